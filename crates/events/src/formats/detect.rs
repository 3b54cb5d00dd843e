//! Detects the format of a file: by its content if that is unmistakable, otherwise by its name if
//! the content is possible for it.

use super::probe::{Fit, Probe};
use super::{FORMATS, Format, foreign, nmnist_bin};
use crate::problem::Problem;
use crate::{Error, Result};

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
        return Err(Error::unexpected(file, Problem::NoRecording { what }, remedy));
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
            Err(Error::unexpected(file, Problem::NoFormat, remedy))
        }
    }
}

/// Whether the first bytes of a stream, which has given no more yet, tell its format: whatever
/// follows, [`detect`] gives the same.
pub fn is_decided(probe: Probe<'_>, file: &str) -> bool {
    let fits = || FORMATS.iter().map(|f| (f.fits)(&probe));
    // If no format fits, more bytes may show what the stream is, for the error.
    fits().any(|fit| fit == Fit::Sure) || (fits().all(|fit| fit != Fit::Unknown) && is_events(probe, file))
}

/// Whether the file is of events: its content identifies a format, or its name does and its content
/// is possible for it.
pub fn is_events(probe: Probe<'_>, file: &str) -> bool {
    detect(probe, file).is_ok_and(|f| (f.fits)(&probe) > Fit::No)
}
