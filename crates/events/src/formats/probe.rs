//! The facts about a file that tell its format, and how well a format fits them.

/// Number of bytes at the front of a file that detection examines.
pub const HEAD: usize = 64 << 10;

/// The facts about a file that detection uses.
#[derive(Debug, Clone, Copy)]
pub struct Probe<'a> {
    /// The first bytes after decompression, up to [`HEAD`].
    pub head: &'a [u8],
    /// The number of bytes after decompression, if known.
    pub len: Option<u64>,
    /// All bytes, if they are in memory.
    pub all: Option<&'a [u8]>,
    /// Whether more bytes may follow that belong to the head: a pipe has given only these so far.
    pub grows: bool,
}

impl<'a> Probe<'a> {
    /// The probe of a whole file in memory.
    pub fn whole(bytes: &'a [u8]) -> Probe<'a> {
        Probe { head: &bytes[..bytes.len().min(HEAD)], len: Some(bytes.len() as u64), all: Some(bytes), grows: false }
    }

    /// The probe of a file of which only the first bytes have been read.
    pub fn front(head: &'a [u8], len: Option<u64>) -> Probe<'a> {
        Probe { head, len, all: None, grows: false }
    }

    /// The probe of the first bytes of a stream that has given no more yet.
    pub fn begun(head: &'a [u8]) -> Probe<'a> {
        Probe { head, len: None, all: None, grows: head.len() < HEAD }
    }

    /// The fit of a format whose files begin with `magic`.
    pub fn begins_with(&self, magic: &[u8]) -> Fit {
        match self.head {
            head if head.starts_with(magic) => Fit::Sure,
            head if self.grows && magic.starts_with(head) => Fit::Unknown,
            _ => Fit::No,
        }
    }
}

/// Whether a file's content matches a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// The content cannot be of this format.
    No,
    /// The bytes so far do not tell; only of a probe that [grows](Probe::grows).
    Unknown,
    /// The content can be of this format; the file's name must decide.
    Possible,
    /// A magic number or an unmistakable header identifies the format, whatever the name is.
    Sure,
}
