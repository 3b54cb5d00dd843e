//! The error type of the report module. Each message names the file and the remedy.

use std::path::PathBuf;

/// An error of writing a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The folder of the report cannot be created.
    #[error("{}: cannot create this folder: {source}; choose a folder you may write to", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of the report cannot be written.
    #[error("{}: cannot write: {source}; check the free space and the permissions of its folder", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A picture cannot be drawn, which is a bug of this crate.
    #[error("picture `{picture}`: cannot draw: {reason}; please report this with the output of `--json`")]
    Draw {
        /// Name of the picture.
        picture: String,
        /// The renderer's reason.
        reason: String,
    },
}
