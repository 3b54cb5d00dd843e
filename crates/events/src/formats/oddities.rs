//! Counts the odd words of a camera's stream: words that decode to no event although the camera may
//! have meant one, and words that decode to an event whose row or column the file does not state.
//!
//! Odd words are no errors, because a camera may begin its stream anywhere and newer cameras have
//! new types of words. The reader reports them so that a user who inspects or converts a file knows
//! that events may be missing or misplaced.

use std::fmt;

/// One kind of odd word in a file, with its number and first position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Oddity {
    /// A description of the kind, for messages.
    pub what: &'static str,
    /// Number of words of this kind.
    pub count: u64,
    /// Position of the first such word, in bytes from the start of the decompressed file.
    pub first_byte: u64,
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Oddity { what, count, first_byte } = self;
        match count {
            1 => write!(f, "{what}: 1 word, at byte {first_byte}"),
            _ => write!(f, "{what}: {count} words, the first at byte {first_byte}"),
        }
    }
}

/// The kinds of oddities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Odd {
    /// A word of a type that the format does not define.
    Unknown,
    /// An event before the first time.
    Untimed,
    /// An event before the first row.
    NoRow,
    /// A vector of events before the first column.
    NoColumn,
}

impl Odd {
    /// The description of the kind.
    const fn words(self) -> &'static str {
        match self {
            Odd::Unknown => "unknown type, skipped",
            Odd::Untimed => "event before the first time, left out",
            Odd::NoRow => "event before the first row, taken to be in row 0",
            Odd::NoColumn => "vector of events before the first column, taken to begin at column 0",
        }
    }
}

/// The odd words found so far, and the part of the decoder's state that tells whether a word is
/// odd.
#[derive(Debug, Clone, Default)]
pub(super) struct Oddities {
    found: Vec<Oddity>,
    /// Whether the stream has stated a time.
    pub timed: bool,
    /// Whether the stream has stated a row after its first time.
    pub has_row: bool,
    /// Whether the stream has stated a column for vectors after its first time.
    pub has_column: bool,
}

impl Oddities {
    /// Counts an odd word at position `byte` of the file.
    #[cold]
    pub fn note(&mut self, odd: Odd, byte: u64) {
        let what = odd.words();
        match self.found.iter_mut().find(|found| found.what == what) {
            Some(found) => found.count += 1,
            None => self.found.push(Oddity { what, count: 1, first_byte: byte }),
        }
    }

    /// All kinds found so far, in the order of their first words.
    pub fn found(&self) -> &[Oddity] {
        &self.found
    }
}
