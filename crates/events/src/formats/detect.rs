//! Which format a file has: by its content first, then by its name if the content can be that.

use super::{FORMATS, Format, foreign, nmnist_bin};
use crate::{Error, Result};

/// Bytes at the front of a file that are looked at.
pub const HEAD: usize = 64 << 10;

/// What is known of a file before it is decoded.
#[derive(Debug, Clone, Copy)]
pub struct Probe<'a> {
    /// The first bytes (decompressed), up to [`HEAD`].
    pub head: &'a [u8],
    /// The number of all bytes (decompressed), where it is known.
    pub len: Option<u64>,
    /// All bytes, if they lie in memory.
    pub all: Option<&'a [u8]>,
}

impl<'a> Probe<'a> {
    /// The probe of a whole file.
    pub fn whole(bytes: &'a [u8]) -> Probe<'a> {
        Probe { head: &bytes[..bytes.len().min(HEAD)], len: Some(bytes.len() as u64), all: Some(bytes) }
    }

    /// The probe of a file of which only the first bytes are read.
    pub fn front(head: &'a [u8], len: Option<u64>) -> Probe<'a> {
        Probe { head, len, all: None }
    }
}

/// Whether content can be of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It cannot.
    No,
    /// It can, and the name should say so.
    Possible,
    /// A magic number or an unmistakable header says so, whatever the name is.
    Sure,
}

/// The format of a file.
///
/// # Errors
/// [`Error::Unexpected`] when neither the content nor the name is that of a format.
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
        // Any bytes are 5-byte events, so its decoder would find nothing wrong.
        Some(f) if f.name == nmnist_bin::FORMAT.name => Err(nmnist_bin::refusal(&probe, file)),
        // A header or the lack of it: the decoder knows best what is wrong.
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

/// Whether the content is sure to be, or its name and content can be, a format of events.
pub fn is_events(probe: Probe<'_>, file: &str) -> bool {
    detect(probe, file).is_ok_and(|f| (f.fits)(&probe) > Fit::No)
}

/// The format of this name ([`Format::name`]).
///
/// # Errors
/// [`Error::Setting`] listing the names.
pub fn by_name(name: &str) -> Result<&'static Format> {
    FORMATS.iter().find(|f| f.name == name).ok_or_else(|| {
        let known: Vec<_> = FORMATS.iter().map(|f| f.name).collect();
        Error::setting(format!("unknown format `{name}`"), format!("choose one of: {}", known.join(", ")))
    })
}
