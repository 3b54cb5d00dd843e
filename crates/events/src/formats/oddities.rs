//! Words of a camera's stream that decode to no event although they may have been meant as one, or
//! to an event whose row or column the file does not state. They are no error, because cameras
//! begin their streams anywhere and new ones have new types of words; but whoever looks at a file,
//! or writes it anew, is told.

use std::fmt;

/// What was odd, how often, and where first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Oddity {
    /// What was odd, in words.
    pub what: &'static str,
    /// How many words are so.
    pub count: u64,
    /// The byte of the first in the (decompressed) file.
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
    const fn words(self) -> &'static str {
        match self {
            Odd::Unknown => "unknown type, skipped",
            Odd::Untimed => "event before the first time, left out",
            Odd::NoRow => "event before the first row, taken to be in row 0",
            Odd::NoColumn => "vector of events before the first column, taken to begin at column 0",
        }
    }
}

/// What has been found odd so far, and what of the state of the stream tells.
#[derive(Debug, Clone, Default)]
pub(super) struct Oddities {
    found: Vec<Oddity>,
    /// A time has been seen.
    pub timed: bool,
    /// A row has been seen after a time.
    pub has_row: bool,
    /// A column of vectors has been seen after a time.
    pub has_column: bool,
}

impl Oddities {
    /// Notes a word at a byte of the file.
    #[cold]
    pub fn note(&mut self, odd: Odd, byte: u64) {
        let what = odd.words();
        match self.found.iter_mut().find(|found| found.what == what) {
            Some(found) => found.count += 1,
            None => self.found.push(Oddity { what, count: 1, first_byte: byte }),
        }
    }

    /// All that was found.
    pub fn found(&self) -> &[Oddity] {
        &self.found
    }
}
