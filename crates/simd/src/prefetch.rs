//! Prefetches a cache line.

/// Asks the processor to load the cache line at `p` into the L1 cache. The instruction returns
/// nothing and never faults, so `p` may point anywhere. On targets other than x86-64 the function
/// does nothing.
#[inline(always)]
#[allow(unsafe_code, reason = "the hint is an instruction of x86-64")]
pub fn prefetch<T>(p: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the hint returns nothing and never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}
