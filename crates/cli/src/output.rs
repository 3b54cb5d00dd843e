//! Prints results on standard output and diagnostics on standard error.
//!
//! A failed write never ends the program. A diagnostic that cannot be written (the terminal is
//! closed, the disk is full, the reader of the pipe is gone) is dropped, because the work is worth
//! more than the message. If a result cannot be written, the work continues and the program ends
//! with an error, unless the reader of standard output has closed it, as `head` does, because then
//! the reader has what it wanted.
//!
//! If standard output is closed from the start (`>&-`), Rust's standard library opens the null
//! device as standard output before `main` runs, so that no other file gets its descriptor. The
//! program cannot distinguish this from `>/dev/null` and treats both alike.
//!
//! This module escapes control characters ([`crate::shown`]), because a terminal reacts to them
//! instead of showing them. They may come from names of files, archive members, classes and
//! tensors, and from words of a recipe.

use crate::shown::{json, shown};
use anyhow::{Result, bail};
use std::fmt::Arguments;
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;
use tickless_files::NewFile;

/// The first error of writing standard output.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Prints a line of the result on standard output, as `println!` does.
macro_rules! say {
    ($($words:tt)*) => { $crate::output::result(format_args!($($words)*)) };
}

/// Prints a line for the user on standard error, as `eprintln!` does.
macro_rules! note {
    ($($words:tt)*) => { $crate::output::diagnostic(format_args!($($words)*)) };
}

pub(crate) use {note, say};

/// Prints a line of the result, unless an earlier line could not be printed.
pub fn result(line: Arguments<'_>) {
    if FAILED.get().is_none()
        && let Err(e) = writeln!(io::stdout().lock(), "{}", shown(&line.to_string()))
    {
        let _ = FAILED.set(e);
    }
}

/// Prints a line on standard error; a write error is ignored.
pub fn diagnostic(line: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{}", shown(&line.to_string()));
}

/// Prints a value as JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    say!("{}", json(&serde_json::to_string_pretty(value)?));
    Ok(())
}

/// Checks that all results were printed, or that their reader closed standard output.
///
/// # Errors
/// If standard output could not be written.
pub fn all_printed() -> Result<()> {
    match FAILED.get() {
        Some(e) if e.kind() != io::ErrorKind::BrokenPipe => anyhow::bail!("standard output: {e}"),
        _ => Ok(()),
    }
}

/// Checks before a long command that its output file can be written at the end: the file is not a
/// folder, its folder exists, and a file can be created in that folder.
///
/// # Errors
/// If the file cannot be written. The message names `option` and the file.
pub fn check_output(option: &str, file: &Path) -> Result<()> {
    let named = format!("`{option} {}`", file.display());
    check_file_name(&named, file)?;
    if let Some(folder) = file.parent().filter(|p| !p.as_os_str().is_empty() && !p.is_dir()) {
        bail!("{named}: there is no folder {}; make it, or name another file", folder.display())
    }
    // Devices and FIFOs are written into directly, so no file has to be created for them.
    if !file.exists() || file.is_file() {
        NewFile::create_following(file)
            .map_err(|e| anyhow::anyhow!("{named}: {e}; name a file that can be written"))?;
    }
    Ok(())
}

/// Checks that a name can be that of an output file. `named` is the beginning of the message.
///
/// # Errors
/// If the name is that of a folder, or `-`.
pub fn check_file_name(named: &str, file: &Path) -> Result<()> {
    anyhow::ensure!(!file.is_dir(), "{named} is a folder; name a file in it");
    anyhow::ensure!(
        file.as_os_str() != "-",
        "{named}: standard output is written to as /dev/stdout; `./-` is a file of that name"
    );
    Ok(())
}

/// Checks before a long command that its output folder can be made, and written into, at the end.
///
/// # Errors
/// If it cannot. The message names `option` and the folder.
pub fn check_output_folder(option: &str, folder: &Path) -> Result<()> {
    let named = format!("`{option} {}`", folder.display());
    anyhow::ensure!(folder.as_os_str() != "-", "{named}: pictures go into a folder; `./-` is one of that name");
    // Missing folders can be made if the nearest ancestor that exists can be written into.
    let there = folder.ancestors().find(|p| p.as_os_str().is_empty() || p.exists());
    let there = there.filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    anyhow::ensure!(there.is_dir(), "{named}: {} is no folder; name a folder", there.display());
    NewFile::create(&there.join("tickless-output")).map_err(|e| {
        anyhow::anyhow!("{named}: nothing can be written into {}: {e}; name another folder", there.display())
    })?;
    Ok(())
}

/// A share as percent; `infinite` if the share is not finite, because the reference has no spikes.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.2} %", 100.0 * share) } else { "infinite".to_owned() }
}
