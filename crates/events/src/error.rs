//! The error type of this crate. Each message names the file, the place in it and the remedy.

use std::path::PathBuf;

use crate::problem::FetchProblem;
use crate::{Choice, Problem, Remedy, Sensor};

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every error that this crate returns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a read or a write.
    #[error("{}: {source}; {}", path.display(), remedy_of(source))]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file or folder that a data set needs does not exist.
    #[error("{}: {what} not found; {remedy}", path.display())]
    Missing {
        /// The path that was searched.
        path: PathBuf,
        /// The content that was expected there.
        what: String,
        /// The remedy.
        remedy: Remedy,
    },
    /// A file's content violates its format.
    #[error("{file}: byte {at}: {problem}; {remedy}")]
    Malformed {
        /// The file and, if it is an archive, the member in it.
        file: String,
        /// Byte offset in the file, after decompression.
        at: u64,
        /// The problem at this offset.
        problem: Box<Problem>,
        /// The remedy.
        remedy: Remedy,
    },
    /// A file does not state the unit of its times.
    #[error(
        "{file}: byte {at}: {problem}; state the unit in the name of the column (t_s, t_ms, t_us, t_ns), or give it: s, \
         ms, us or ns"
    )]
    TimeUnit {
        /// The file and, if it is an archive, the member in it.
        file: String,
        /// Byte offset of the time, or of the file's header.
        at: u64,
        /// The unit or statement that is missing.
        problem: Box<Problem>,
    },
    /// An event of a file lies outside the sensor.
    #[error(
        "{file}: event {index} at ({x}, {y}) lies outside the {sensor} sensor; state a larger sensor, or leave such \
         events out"
    )]
    StrayEvent {
        /// The file and, if it is an archive, the member in it.
        file: String,
        /// Index of the event in the file.
        index: u64,
        /// Column.
        x: u16,
        /// Row.
        y: u16,
        /// The sensor that should contain the event.
        sensor: Sensor,
    },
    /// A file holds several streams of events, and the caller chose none or one that does not
    /// exist.
    #[error("{file}: {}; choose one by its number", crate::stream::refusal(streams, *wanted))]
    Streams {
        /// The file and, if it is an archive, the member in it.
        file: String,
        /// Name of the format.
        format: &'static str,
        /// The number that the caller chose, if any.
        wanted: Option<i32>,
        /// The streams that the file holds.
        streams: Vec<crate::stream::StreamInfo>,
    },
    /// A file or archive member is not what its place or its name requires.
    #[error("{file}: {problem}; {remedy}")]
    Unexpected {
        /// The file and, if it is an archive, the member in it.
        file: String,
        /// The problem.
        problem: Box<Problem>,
        /// The remedy.
        remedy: Remedy,
    },
    /// An event of a sequence in memory lies outside the sensor.
    #[error("event {index} at ({x}, {y}) lies outside the {sensor} sensor; state a larger sensor")]
    OutsideSensor {
        /// Index of the event in that sequence.
        index: usize,
        /// Column.
        x: u16,
        /// Row.
        y: u16,
        /// The sensor that should contain the event.
        sensor: Sensor,
    },
    /// The length of a buffer differs from the number of values of its shape.
    #[error("{what}: shape {shape:?} needs {} values, got {got}; size the buffer by the shape", shape.iter().product::<usize>())]
    Shape {
        /// Which buffer.
        what: &'static str,
        /// The required shape.
        shape: Vec<usize>,
        /// The number of values in the buffer.
        got: usize,
    },
    /// A setting is invalid.
    #[error("{what}; {remedy}")]
    Setting {
        /// Which setting, and why it is invalid.
        what: String,
        /// The remedy.
        remedy: Remedy,
    },
    /// No data set has this name.
    #[error("unknown data set `{name}`; choose one of: {known}")]
    UnknownDataset {
        /// The name that was given.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A published file could not be fetched.
    #[error("{url}: {problem}; {remedy}")]
    Fetch {
        /// The URL that was requested.
        url: String,
        /// The problem.
        problem: FetchProblem,
        /// The remedy, including how to fetch the file by hand.
        remedy: String,
    },
    /// The user asked to stop.
    #[error("{what} was stopped; run it again to go on")]
    Cancelled {
        /// The task that was stopped.
        what: String,
    },
    /// A sample index is past the end of a part.
    #[error("{dataset}: no sample {index}, the {split} part has {len}; use an index below that")]
    NoSample {
        /// Name of the data set.
        dataset: String,
        /// `train` or `test`.
        split: &'static str,
        /// The requested index.
        index: usize,
        /// The number of samples.
        len: usize,
    },
}

impl Error {
    /// The options of this library that avoid the error; see [`Remedy::choices`].
    pub fn choices(&self) -> &'static [Choice] {
        match self {
            Error::Missing { remedy, .. }
            | Error::Malformed { remedy, .. }
            | Error::Unexpected { remedy, .. }
            | Error::Setting { remedy, .. } => remedy.choices(),
            Error::TimeUnit { .. } => &[Choice::TimeUnit],
            Error::StrayEvent { .. } => &[Choice::Sensor, Choice::DropOutside],
            Error::Streams { .. } => &[Choice::Stream],
            _ => &[],
        }
    }

    /// The problem of a file, a folder or a member of an archive; `None` for other errors.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Malformed { problem, .. } | Error::TimeUnit { problem, .. } | Error::Unexpected { problem, .. } => {
                Some(problem)
            }
            _ => None,
        }
    }

    /// The offset in the file, after decompression, of the bytes that are wrong; `None` for errors
    /// without one.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Error::Malformed { at, .. } | Error::TimeUnit { at, .. } => Some(*at),
            _ => None,
        }
    }

    pub(crate) fn malformed(file: &str, at: u64, problem: impl Into<Problem>, remedy: impl Into<Remedy>) -> Error {
        Error::Malformed { file: file.into(), at, problem: Box::new(problem.into()), remedy: remedy.into() }
    }

    pub(crate) fn time_unit(file: impl Into<String>, at: u64, problem: impl Into<Problem>) -> Error {
        Error::TimeUnit { file: file.into(), at, problem: Box::new(problem.into()) }
    }

    pub(crate) fn unexpected(file: impl Into<String>, problem: impl Into<Problem>, remedy: impl Into<Remedy>) -> Error {
        Error::Unexpected { file: file.into(), problem: Box::new(problem.into()), remedy: remedy.into() }
    }

    pub(crate) fn setting(what: impl Into<String>, remedy: impl Into<Remedy>) -> Error {
        Error::Setting { what: what.into(), remedy: remedy.into() }
    }
}

/// What to do if the operating system refused a read or a write.
fn remedy_of(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::IsADirectory => "give a file in it",
        _ => "check that the path exists and may be accessed",
    }
}
