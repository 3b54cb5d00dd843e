//! A prefetch for decoders that read a file from front to back.

/// Prefetches the 64 bytes that begin 4096 bytes after `these`. The processor prefetches sequential
/// reads itself, but only up to the end of a page.
#[inline(always)]
pub fn prefetch_a_page_ahead<T>(these: &T) {
    tickless_simd::prefetch(std::ptr::from_ref(these).wrapping_byte_add(4096));
}
