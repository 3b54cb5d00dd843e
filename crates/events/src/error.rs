//! The one error of this crate. Each message names the file, the place in it and the remedy.

use std::path::PathBuf;

use crate::{Choice, Remedy, Sensor};

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between a path and a tensor of counts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a read or a write.
    #[error("{}: {source}; check that the path exists and may be accessed", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file or folder that a data set needs is not there.
    #[error("{}: {what} not found; {remedy}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What was looked for.
        what: String,
        /// What to do.
        remedy: Remedy,
    },
    /// A file's content breaks its format.
    #[error("{file}: byte {at}: {problem}; {remedy}")]
    Malformed {
        /// File, and the member inside an archive.
        file: String,
        /// Byte offset inside the (decompressed) file.
        at: u64,
        /// What is wrong there.
        problem: String,
        /// What to do.
        remedy: Remedy,
    },
    /// Times whose unit a file does not state.
    #[error(
        "{file}: byte {at}: {problem}; state the unit in the name of the column (t_s, t_ms, t_us, t_ns), or as \
         `data.time_unit`"
    )]
    TimeUnit {
        /// File, and the member inside an archive.
        file: String,
        /// Byte offset of the time, or of the header of the file.
        at: u64,
        /// What is missing.
        problem: String,
    },
    /// An event that lies outside the sensor of its file.
    #[error(
        "{file}: event {index} at ({x}, {y}) lies outside the {sensor} sensor; state a larger sensor \
         (`data.sensor`), or leave such events out (`data.drop_outside`)"
    )]
    StrayEvent {
        /// File, and the member inside an archive.
        file: String,
        /// Index of the event in the file.
        index: u64,
        /// Column.
        x: u16,
        /// Row.
        y: u16,
        /// The sensor it should lie in.
        sensor: Sensor,
    },
    /// A file of several streams of events, of which none or another one was chosen.
    #[error("{file}: {}; choose one by its number (`data.stream`)", crate::formats::refusal(streams, *wanted))]
    Streams {
        /// File, and the member inside an archive.
        file: String,
        /// Name of the format.
        format: &'static str,
        /// The number that was asked for.
        wanted: Option<i32>,
        /// Those that there are.
        streams: Vec<crate::formats::StreamInfo>,
    },
    /// A file or archive member that does not belong where it lies.
    #[error("{file}: {problem}; {remedy}")]
    Unexpected {
        /// File, and the member inside an archive.
        file: String,
        /// Why it does not belong.
        problem: String,
        /// What to do.
        remedy: Remedy,
    },
    /// An event lies outside the sensor.
    #[error("event {index} at ({x}, {y}) lies outside the {sensor} sensor; state a larger sensor")]
    OutsideSensor {
        /// Index of the event in the sequence given.
        index: usize,
        /// Column.
        x: u16,
        /// Row.
        y: u16,
        /// The sensor it should lie in.
        sensor: Sensor,
    },
    /// A buffer has another size than its shape asks for.
    #[error("{what}: shape {shape:?} needs {} values, got {got}; size the buffer by the shape", shape.iter().product::<usize>())]
    Shape {
        /// Which buffer.
        what: &'static str,
        /// The shape asked for.
        shape: Vec<usize>,
        /// The number of values given.
        got: usize,
    },
    /// A setting that cannot be carried out.
    #[error("{what}; {remedy}")]
    Setting {
        /// Which setting, and why not.
        what: String,
        /// What to do.
        remedy: Remedy,
    },
    /// No data set has this name.
    #[error("unknown data set `{name}`; choose one of: {known}")]
    UnknownDataset {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A published file that could not be fetched.
    #[error("{url}: {problem}; {remedy}")]
    Fetch {
        /// Where it was asked for.
        url: String,
        /// What went wrong.
        problem: String,
        /// What to do, by hand if need be.
        remedy: String,
    },
    /// The user asked to stop.
    #[error("{what} was stopped; run it again to go on")]
    Cancelled {
        /// What was going on.
        what: String,
    },
    /// A sample index beyond the end of a split.
    #[error("{dataset}: no sample {index}, the {split} part has {len}; use an index below that")]
    NoSample {
        /// Data set.
        dataset: String,
        /// `train` or `test`.
        split: &'static str,
        /// The index asked for.
        index: usize,
        /// The number of samples.
        len: usize,
    },
}

impl Error {
    /// The choices of this library that mend it; see [`Remedy::choices`].
    pub fn choices(&self) -> &'static [Choice] {
        match self {
            Error::Missing { remedy, .. }
            | Error::Malformed { remedy, .. }
            | Error::Unexpected { remedy, .. }
            | Error::Setting { remedy, .. } => remedy.choices(),
            _ => &[],
        }
    }

    pub(crate) fn malformed(file: &str, at: u64, problem: impl Into<String>, remedy: impl Into<Remedy>) -> Error {
        Error::Malformed { file: file.into(), at, problem: problem.into(), remedy: remedy.into() }
    }

    pub(crate) fn unexpected(file: impl Into<String>, problem: impl Into<String>, remedy: impl Into<Remedy>) -> Error {
        Error::Unexpected { file: file.into(), problem: problem.into(), remedy: remedy.into() }
    }

    pub(crate) fn setting(what: impl Into<String>, remedy: impl Into<Remedy>) -> Error {
        Error::Setting { what: what.into(), remedy: remedy.into() }
    }
}
