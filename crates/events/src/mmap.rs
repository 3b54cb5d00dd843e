//! The one file that maps files into memory, and asks for large pages of new memory.
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

/// Takes the pages of a range out of this process's memory: a file that is read from front to back
/// then takes the memory of what is being read, and not that of the whole file. Reading the range
/// again gives the same bytes, because the map shows the file.
pub(crate) fn release(map: &Mmap, range: std::ops::Range<usize>) {
    // SAFETY: the map is shared and only read, so dropping its pages changes none of its bytes.
    #[cfg(unix)]
    let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
    #[cfg(not(unix))]
    let _ = (map, range);
}

/// Asks the system for large pages of memory that was reserved and is to be filled, where it is
/// large: each page of 4 KiB costs 1 µs or so when it is touched first, which is more than
/// decoding the events that fill it. Only a hint, and one that NumPy gives too.
pub(crate) fn large_pages<T>(reserved: &Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        const LARGE: usize = 4 << 20;
        let bytes = reserved.capacity() * size_of::<T>();
        if bytes >= LARGE {
            // From the first page to the last: a part that is advised otherwise could not be grown
            // in place.
            let start = reserved.as_ptr().cast::<u8>();
            let before = start.addr() % PAGE;
            let pages = (before + bytes).next_multiple_of(PAGE);
            // SAFETY: the advice changes neither what memory holds nor who may use it.
            unsafe { libc::madvise(start.wrapping_sub(before).cast_mut().cast(), pages, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = reserved;
}
