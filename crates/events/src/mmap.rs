//! The one file that maps files into memory.
//!
//! A map shows what is in the file now. If another program shortens the file while it is mapped,
//! the system ends this process (SIGBUS); that is the price of reading a large recording at the
//! speed of memory and is why the feature `mmap` is off by default.
#![allow(unsafe_code)]

use std::fs::File;

use memmap2::Mmap;

/// As [`map`], for a file that is read here and there.
#[cfg(feature = "datasets")]
pub(crate) fn map_random(file: &File) -> Option<Mmap> {
    let map = plain(file)?;
    #[cfg(unix)]
    let _ = map.advise(memmap2::Advice::Random);
    Some(map)
}

/// The whole file, read from front to back, or `None` where it cannot be mapped (a pipe, an empty file on some systems).
pub(crate) fn map(file: &File) -> Option<Mmap> {
    let map = plain(file)?;
    #[cfg(unix)]
    let _ = map.advise(memmap2::Advice::Sequential);
    Some(map)
}

fn plain(file: &File) -> Option<Mmap> {
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return None;
    }
    // SAFETY: the map is only read, and as bytes, of which every value is valid. That nobody
    // changes the file meanwhile is asked of the user, see above.
    unsafe { Mmap::map(file) }.ok()
}
