//! Detects the format of a file: by its content if that is unmistakable, otherwise by its name if
//! the content is possible for it.

use super::{FORMATS, Format, foreign, nmnist_bin};
use crate::{Error, Result};

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
}

impl<'a> Probe<'a> {
    /// The probe of a whole file in memory.
    pub fn whole(bytes: &'a [u8]) -> Probe<'a> {
        Probe { head: &bytes[..bytes.len().min(HEAD)], len: Some(bytes.len() as u64), all: Some(bytes) }
    }

    /// The probe of a file of which only the first bytes have been read.
    pub fn front(head: &'a [u8], len: Option<u64>) -> Probe<'a> {
        Probe { head, len, all: None }
    }
}

/// Whether a file's content matches a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// The content cannot be of this format.
    No,
    /// The content can be of this format; the file's name must decide.
    Possible,
    /// A magic number or an unmistakable header identifies the format, whatever the name is.
    Sure,
}

/// Detects the format of the file with the name `file`.
///
/// # Errors
/// [`Error::Unexpected`] if neither the content nor the name matches a format.
pub fn detect(probe: Probe<'_>, file: &str) -> Result<&'static Format> {
    let name = file.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let fit = |f: &Format| (f.fits)(&probe);
    if let Some(sure) = FORMATS.iter().find(|f| fit(f) == Fit::Sure) {
        return Ok(sure);
    }
    let named = |f: &&Format| {
        let ends = |e: &str| name.strip_suffix(e).is_some_and(|stem| stem.ends_with('.'));
        f.extensions.iter().any(|e| ends(e))
    };
    let mut candidates = FORMATS.iter().filter(named);
    let first = candidates.clone().next();
    if let Some(possible) = candidates.find(|f| fit(f) == Fit::Possible) {
        return Ok(possible);
    }
    if let Some((what, remedy)) = foreign::kind(&probe) {
        return Err(Error::unexpected(file, format!("{what}, no recording"), remedy));
    }
    match first {
        // Any bytes are valid 5-byte events, so the decoder would report no error.
        Some(f) if f.name == nmnist_bin::FORMAT.name => Err(nmnist_bin::refusal(&probe, file)),
        // The content does not match the name's format; its decoder gives the most specific error.
        Some(f) => Ok(f),
        None => {
            let mut known: Vec<_> = FORMATS.iter().flat_map(|f| f.extensions).copied().collect();
            known.sort_unstable();
            known.dedup();
            let remedy = format!("known file names end in .{}", known.join(", ."));
            Err(Error::unexpected(file, "no known format of events", remedy))
        }
    }
}

/// Whether the file is of events: its content identifies a format, or its name does and its content
/// is possible for it.
pub fn is_events(probe: Probe<'_>, file: &str) -> bool {
    detect(probe, file).is_ok_and(|f| (f.fits)(&probe) > Fit::No)
}

/// The format with this name ([`Format::name`]).
///
/// # Errors
/// [`Error::Setting`] if no format has this name; it lists the names.
pub fn by_name(name: &str) -> Result<&'static Format> {
    FORMATS.iter().find(|f| f.name == name).ok_or_else(|| {
        let known: Vec<_> = FORMATS.iter().map(|f| f.name).collect();
        Error::setting(format!("unknown format `{name}`"), format!("choose one of: {}", known.join(", ")))
    })
}
