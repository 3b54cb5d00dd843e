//! A hint that memory is needed soon.

/// Asks for the cache line at `p` to be brought to the first-level cache. Reads nothing that a
/// program could see and never faults, so `p` may point anywhere; nothing happens except on x86-64.
#[inline(always)]
#[allow(unsafe_code, reason = "the hint is an instruction of x86-64")]
pub fn prefetch<T>(p: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing that a program could see and never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}
