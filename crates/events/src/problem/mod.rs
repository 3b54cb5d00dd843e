//! The problem that an error states: a kind with its values, or a description.
//!
//! A problem has a kind of its own if a caller or a test has to tell it from the other problems
//! that may occur at the same place; all others are descriptions. The text of a problem names no
//! remedy, because the error states the remedy beside the problem ([`crate::Remedy`]).

mod archive;
mod array;
mod dataset;
mod fetch;
mod packet;
mod text;
mod unit;

pub use archive::ArchiveProblem;
pub use array::{ArrayProblem, HeaderSyntax};
pub use dataset::DatasetProblem;
pub use fetch::FetchProblem;
pub use packet::PacketProblem;
pub use text::TextProblem;
pub use unit::UnitProblem;

use std::borrow::Cow;

use crate::Sensor;

/// What is wrong with a file, a folder or a member of an archive.
///
/// ```
/// use tickless_events::problem::{ArchiveProblem, Part, Problem};
///
/// let twice = Problem::from(ArchiveProblem::Twice);
/// assert_eq!(twice.to_string(), "is there twice");
/// let inside = twice.clone().inside(Part::Member("t".into()));
/// assert_eq!(inside.to_string(), "the member `t`: is there twice");
/// assert_eq!(inside.innermost(), &twice);
/// assert_eq!(Problem::from("an empty file"), Problem::Described("an empty file".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A problem without a kind of its own.
    #[error("{0}")]
    Described(Cow<'static, str>),
    /// A problem of one part of the file.
    #[error("{part}: {problem}")]
    Inside {
        /// The part.
        part: Part,
        /// Its problem.
        problem: Box<Problem>,
    },
    /// The file, or a part of it, ends too early.
    #[error("truncated: {0}")]
    Truncated(Truncation),
    /// A value differs from the one that its place requires.
    #[error("{}, expected {expected}", what.replacen("{}", found, 1))]
    Expected {
        /// Which value; `{}` stands for the value that was found.
        what: &'static str,
        /// The value that was found.
        found: String,
        /// The value, or the values, that the place requires.
        expected: String,
    },
    /// A version, a type or a codec that is not known.
    #[error("{}", what.replacen("{}", found, 1))]
    Unknown {
        /// What it is; `{}` stands for the value that was found.
        what: &'static str,
        /// The value that was found.
        found: String,
    },
    /// A value of an event is outside its range.
    #[error("{value} is {found}")]
    OutOfRange {
        /// Which value: `x`, `y`, `the time` or `the polarity`.
        value: &'static str,
        /// The value that was found.
        found: String,
    },
    /// The checksum that the file states differs from that of its content.
    #[error("{} is wrong", checksum_of(of))]
    Checksum {
        /// The part that the checksum protects; `None` if it is the part that [`Problem::Inside`]
        /// names.
        of: Option<&'static str>,
    },
    /// Decompressed data would be longer than their place allows, by the size that they state.
    #[error("a claim of {bytes} bytes, more than {limit}")]
    Claim {
        /// The stated size in bytes.
        bytes: u64,
        /// The largest size in bytes.
        limit: u64,
    },
    /// Decompressed data are longer than their place allows.
    #[error("{}more than {limit} bytes", of_what(*what))]
    TooLong {
        /// What is too long, if that is not clear from the place.
        what: Option<&'static str>,
        /// The largest size in bytes.
        limit: u64,
    },
    /// A compressed stream ends too early.
    #[error("a truncated stream")]
    TruncatedStream,
    /// A compressed stream copies bytes from before the beginning of its output.
    #[error("a copy from before its beginning")]
    CopyFromBefore,
    /// A compressed stream or frame is damaged.
    #[error("{what} ({reason})")]
    Broken {
        /// What is broken.
        what: &'static str,
        /// The decoder's reason.
        reason: String,
    },
    /// A decoder of another library does not accept the file.
    #[error("not a readable {what} ({reason})")]
    Unreadable {
        /// What the file should be.
        what: &'static str,
        /// The decoder's reason.
        reason: String,
    },
    /// Bytes follow the last event of a chunk.
    #[error("{bytes} bytes are left behind the last event of an ECF chunk")]
    Surplus {
        /// The number of bytes.
        bytes: u64,
    },
    /// Elements of a data set were never written.
    #[error("{which} were never written, and stand for the fill value, which is no event")]
    Unwritten {
        /// Which elements.
        which: String,
    },
    /// A line or record has no end within the accepted length.
    #[error("no end of line or record within {limit} bytes")]
    NoEnd {
        /// The accepted length in bytes.
        limit: u64,
    },
    /// The first line of the file is not that of its format.
    #[error("the first line is not `{expected}`")]
    FirstLine {
        /// The first line of the format.
        expected: String,
    },
    /// The header of a file states a size or a version that contradicts itself or that no file has.
    #[error("{0}")]
    Header(#[from] HeaderProblem),
    /// An event outside the sensor of an Event Stream, which counts y from the bottom.
    #[error(
        "an event outside the {sensor} sensor that {}: event {index} (x {x}, y {y} from the bottom)",
        if *given { "is given" } else { "the header states" }
    )]
    OutsideFromBottom {
        /// The sensor.
        sensor: Sensor,
        /// Whether the caller gave the sensor; the header states it otherwise.
        given: bool,
        /// Index of the event in the file.
        index: u64,
        /// Column.
        x: u16,
        /// Row from the bottom.
        y: u16,
    },
    /// An event outside the sensor of the data set.
    #[error("event at ({x}, {y}) outside the {sensor} sensor")]
    Outside {
        /// The sensor of the data set.
        sensor: Sensor,
        /// Column.
        x: u16,
        /// Row.
        y: u16,
    },
    /// A pixel that the sensor cannot have.
    #[error("{0}")]
    Address(#[from] AddressProblem),
    /// The times of a file fall too often for a recording in 5-byte events.
    #[error("no recording in 5-byte events: read as such, the time falls {falls} times in {events} events, first here")]
    TimesFall {
        /// Number of events whose time is before that of the event before.
        falls: usize,
        /// Number of events that were examined.
        events: usize,
    },
    /// All events of a file are equal, so it is no recording in 5-byte events.
    #[error("no recording in 5-byte events: read as such, all events are one and the same")]
    OneEvent,
    /// A file is larger, unpacked, than what is read into memory.
    #[error("more than 2 GiB of data")]
    TooMuch,
    /// No format matches the content of a file.
    #[error("no known format of events")]
    NoFormat,
    /// The file is of a format that holds no events.
    #[error("{what}, no recording")]
    NoRecording {
        /// What the file is.
        what: &'static str,
    },
    /// The path of a file to write is a folder.
    #[error("a folder")]
    Folder,
    /// The path of a file to write is that of the file that is read.
    #[error("the file that is read, which would be replaced")]
    SameFile,
    /// The path is that of a pipe, a device or a folder.
    #[error("no regular file")]
    NoRegularFile,
    /// Options for reading events are given for a file of images or labels.
    #[error("it holds images or labels, and options for reading events are given")]
    OptionsOfEvents,
    /// An option for reading a single file is given for a data set.
    #[error("a data set ({dataset}), and an option for reading a single file is given")]
    OptionsOfFile {
        /// Name of the data set.
        dataset: &'static str,
    },
    /// The unit of the times is not stated, not known, or stated in two ways.
    #[error("{0}")]
    Unit(#[from] UnitProblem),
    /// A line of a text is no event, or the names of its columns contradict each other.
    #[error("{0}")]
    Text(#[from] TextProblem),
    /// An array, a table or a group of data sets does not hold events.
    #[error("{0}")]
    Array(#[from] ArrayProblem),
    /// A packet of AEDAT contradicts itself or its format.
    #[error("{0}")]
    Packet(#[from] PacketProblem),
    /// A member of an archive is refused.
    #[error("{0}")]
    Archive(#[from] ArchiveProblem),
    /// The files of a data set are not in its layout.
    #[error("{0}")]
    Dataset(#[from] DatasetProblem),
}

/// The part of a file that has a problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Part {
    /// A member of an archive.
    #[error("the member `{0}`")]
    Member(String),
    /// An event, by its index in the file.
    #[error("event {0}")]
    Event(u64),
    /// A comment of a text.
    #[error("a comment before this line")]
    Comment,
    /// A line of a text that should be an event.
    #[error("`{0}` is no event")]
    Line(String),
    /// A compressed chunk, by the name of its filter.
    #[error("a chunk packed with {0}")]
    Chunk(&'static str),
    /// Another part, by its name.
    #[error("{0}")]
    Named(&'static str),
}

/// The way in which a file, or a part of it, ends too early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Truncation {
    /// A part has too few bytes.
    #[error("{part} has {found} of {expected} bytes")]
    Size {
        /// The part.
        part: Cow<'static, str>,
        /// The number of bytes that are there.
        found: u64,
        /// The number of bytes of the whole part.
        expected: u64,
    },
    /// The file ends inside its header.
    #[error("the header ends after {found} of {expected} bytes")]
    Header {
        /// The number of bytes that are there.
        found: u64,
        /// The number of bytes of the whole header.
        expected: u64,
    },
    /// A field needs more bytes than are left.
    #[error("{part} needs {needed} more bytes here, and {left} are left")]
    Field {
        /// The part to which the field belongs.
        part: &'static str,
        /// The number of bytes of the field.
        needed: u64,
        /// The number of bytes that are left.
        left: u64,
    },
    /// A buffer has too few bytes for its size.
    #[error("{found} bytes, expected {expected}")]
    Buffer {
        /// The number of bytes that are there.
        found: u64,
        /// The number of bytes that are needed.
        expected: u64,
    },
    /// The last packet lacks its end.
    #[error("{missing} {unit} of the last packet are missing")]
    Packet {
        /// The number of events or bytes that are missing.
        missing: u64,
        /// `events` or `bytes`.
        unit: &'static str,
    },
    /// The header or a packet lacks its end.
    #[error("{part} is not complete")]
    Incomplete {
        /// The part.
        part: &'static str,
    },
    /// The file ends before the packets that its header states.
    #[error("the header says that packets go up to byte {end}, and the file is not complete")]
    Packets {
        /// The end of the packets that the header states, as a byte offset.
        end: u64,
    },
    /// The header states more elements than the file holds.
    #[error("the header claims {claimed} {unit}, the file holds {held}")]
    Claim {
        /// The number of elements that the header states.
        claimed: u128,
        /// The number of elements that the file holds.
        held: u128,
        /// `labels` or `pixels`.
        unit: &'static str,
    },
    /// A truncation without a kind of its own.
    #[error("{0}")]
    Described(Cow<'static, str>),
}

/// A contradiction in the header of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderProblem {
    /// Two statements of the header contradict each other about the size of the sensor.
    #[error("the header states two sizes, `{first}` and `{second}`")]
    TwoSizes {
        /// The first statement.
        first: String,
        /// The statement that contradicts it.
        second: String,
    },
    /// The header states a size that no sensor has.
    #[error("the header says `{stated}`, a size that no sensor has")]
    NoSize {
        /// The statement.
        stated: String,
    },
    /// The header states no version.
    #[error("the header states no version of EVT")]
    NoVersion,
    /// The header states two versions, or one that its data do not have.
    #[error("the header says `evt {}` and `format {}`", or_nothing(evt), or_nothing(format))]
    Versions {
        /// The value of `evt`.
        evt: Option<String>,
        /// The value of `format`.
        format: Option<String>,
    },
    /// The header of an IDX file states fewer elements than the file holds.
    #[error("the header claims {claimed} {unit}, the file holds {held}")]
    Surplus {
        /// The number of elements that the header states.
        claimed: u128,
        /// The number of elements that the file holds.
        held: u128,
        /// `labels` or `pixels`.
        unit: &'static str,
    },
}

/// An address of a pixel that the camera cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressProblem {
    /// An address that a DVS128 does not have.
    #[error("an address beyond the 16 bits of a DVS128")]
    Beyond16Bits,
    /// A file of 16-bit addresses that names a camera of 32-bit addresses.
    #[error("a DAVIS has no addresses of 16 bits, which this file has")]
    Davis,
    /// A vector of events that ends beyond the last column.
    #[error("a vector of events beyond the column 2047")]
    Vector,
}

impl Problem {
    /// The same problem, of a part of the file.
    pub fn inside(self, part: Part) -> Problem {
        Problem::Inside { part, problem: Box::new(self) }
    }

    /// The problem without the parts in which it lies.
    pub fn innermost(&self) -> &Problem {
        match self {
            Problem::Inside { problem, .. } => problem.innermost(),
            problem => problem,
        }
    }

    /// The parts in which the problem lies, from the outermost inwards.
    pub fn parts(&self) -> Vec<&Part> {
        let (mut parts, mut problem) = (Vec::new(), self);
        while let Problem::Inside { part, problem: inner } = problem {
            parts.push(part);
            problem = inner;
        }
        parts
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        matches!(self, Problem::Described(text) if text.is_empty())
    }
}

impl From<&'static str> for Problem {
    fn from(text: &'static str) -> Problem {
        Problem::Described(text.into())
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Problem {
        Problem::Described(text.into())
    }
}

impl From<Truncation> for Problem {
    fn from(truncation: Truncation) -> Problem {
        Problem::Truncated(truncation)
    }
}

fn checksum_of(of: &Option<&'static str>) -> Cow<'static, str> {
    of.map_or("its checksum".into(), |of| format!("the checksum of {of}").into())
}

fn of_what(what: Option<&'static str>) -> String {
    what.map(|what| format!("{what} of ")).unwrap_or_default()
}

fn or_nothing(stated: &Option<String>) -> &str {
    stated.as_deref().unwrap_or("(nothing)")
}
