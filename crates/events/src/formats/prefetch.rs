//! A hint for decoders that read a file from front to back.

/// Asks for the 64 bytes that lie a page behind these, because a decoder needs them soon: the
/// processor itself foresees sequential reads only up to the end of a page.
#[inline(always)]
pub fn prefetch_a_page_ahead<T>(these: &T) {
    tickless_simd::prefetch(std::ptr::from_ref(these).wrapping_byte_add(4096));
}
