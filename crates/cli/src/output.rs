//! Prints results on standard output and diagnostics on standard error.
//!
//! A failed write never ends the program. A diagnostic that cannot be written (the terminal is
//! closed, the disk is full, the reader of the pipe is gone) is dropped, because the work is worth
//! more than the message. If a result cannot be written, the work continues and the program ends
//! with an error, unless the reader of standard output has closed it (`tickless eval RUN | head -1`), because then the reader
//! has what it wanted.
//!
//! Control characters, to which a terminal reacts instead of showing them, are escaped here,
//! whatever they come from: names of files, archive members, classes and tensors, words of a recipe
//! ([`crate::shown`]).

use crate::shown::{json, shown};
use anyhow::{Result, bail};
use std::fmt::Arguments;
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;

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
/// folder, and its folder exists.
pub fn check_output(option: &str, file: &Path) -> Result<()> {
    let shown = file.display();
    anyhow::ensure!(!file.is_dir(), "`{option} {shown}` is a folder; name a file");
    match file.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(folder) if !folder.is_dir() => {
            bail!("`{option} {shown}`: there is no folder {}; make it, or name another file", folder.display())
        }
        _ => Ok(()),
    }
}

/// A share as percent. The share is infinite if the reference has no spikes.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.2} %", 100.0 * share) } else { "infinite".to_owned() }
}
