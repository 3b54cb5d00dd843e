//! The error of a checkpoint that cannot be read.

use crate::error::Error;
use std::path::Path;

/// An error about the content of a checkpoint: the place in it, the problem and its remedy, in one
/// line. Control characters, which names in the file may hold, are escaped.
pub(super) fn refused(file: &Path, problem: impl AsRef<str>) -> Error {
    let escaped = |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    Error::Checkpoint { file: file.to_owned(), problem: problem.as_ref().chars().map(escaped).collect() }
}
