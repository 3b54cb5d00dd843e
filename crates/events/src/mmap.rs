//! Maps files into memory, and asks the system for large pages. Both need `unsafe`, because the
//! compiler cannot check what the system does with the memory.
//!
//! A mapping shows the current content of its file. If another program shortens the file while it
//! is mapped, the system kills this process (SIGBUS). Mapping makes large recordings as fast to
//! read as memory, but because of this risk the feature `mmap` is off by default.
#![allow(unsafe_code)]

use std::fs::File;

use memmap2::Mmap;

/// Maps the whole file for reading in random order; otherwise as [`map`].
#[cfg(feature = "datasets")]
pub(crate) fn map_random(file: &File) -> Option<Mmap> {
    let map = plain(file)?;
    #[cfg(unix)]
    let _ = map.advise(memmap2::Advice::Random);
    Some(map)
}

/// Maps the whole file for reading from front to back. Returns `None` if the system cannot map it
/// (a pipe, or on some systems an empty file).
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
    // SAFETY: the map is only read, and as bytes, for which every value is valid. The module's
    // documentation asks the user not to change the file meanwhile.
    unsafe { Mmap::map(file) }.ok()
}

/// Drops the pages of `range` from this process's memory, so that reading a file from front to back
/// occupies only the memory of the part being read. If the range is read again, the system loads
/// the same bytes from the file.
pub(crate) fn release(map: &Mmap, range: std::ops::Range<usize>) {
    // SAFETY: the map is shared and only read, so dropping its pages changes none of its bytes.
    #[cfg(unix)]
    let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
    #[cfg(not(unix))]
    let _ = (map, range);
}

/// Asks the system (Linux only) to back a large allocation with large pages before it is filled.
/// The first access to each 4 KiB page costs about 1 µs, which is more than decoding the events
/// that fill it. This is only a hint; NumPy gives the same one.
pub(crate) fn large_pages<T>(reserved: &Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        const LARGE: usize = 4 << 20;
        let bytes = reserved.capacity() * size_of::<T>();
        if bytes >= LARGE {
            // The advice covers the allocation from its first page to its last, because the system
            // cannot grow a mapping in place if parts of it were advised differently.
            let start = reserved.as_ptr().cast::<u8>();
            let before = start.addr() % PAGE;
            let pages = (before + bytes).next_multiple_of(PAGE);
            // SAFETY: the advice changes neither the content of the memory nor who may access it.
            unsafe { libc::madvise(start.wrapping_sub(before).cast_mut().cast(), pages, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = reserved;
}
