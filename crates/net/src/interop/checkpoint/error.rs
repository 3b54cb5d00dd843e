//! The errors of a checkpoint that the importer does not read.

use crate::error::Error;
use std::path::Path;

/// An error about the content of a checkpoint: the place in it, the problem and its remedy, in one
/// line.
pub(super) fn refused(file: &Path, problem: impl AsRef<str>) -> Error {
    Error::Checkpoint { file: file.to_owned(), problem: one_line(problem.as_ref()) }
}

/// An error about the choice of a state dict; `problem` lists those of the file.
pub(super) fn undecided(file: &Path, problem: &str) -> Error {
    Error::StateDicts { file: file.to_owned(), problem: one_line(problem) }
}

/// The text with its control characters escaped, which names in a file may hold.
fn one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    text.chars().map(escaped).collect()
}
