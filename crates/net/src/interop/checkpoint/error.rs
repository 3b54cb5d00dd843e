//! The error of a checkpoint that cannot be read.

use crate::error::Error;
use std::path::Path;

/// An error about the content of a checkpoint: the place in it, the problem and its remedy.
pub(super) fn refused(file: &Path, problem: impl Into<String>) -> Error {
    Error::Checkpoint { file: file.to_owned(), problem: problem.into() }
}
