//! Cuts a parallel loop into small parts.
//!
//! Rayon halves a loop until each thread has a part, and halves a part again when a thread steals
//! it. It cannot steal a running part, so large parts leave threads idle: on two threads a part is
//! a quarter of the loop, and the thread that finishes first waits that long, at every kernel. We
//! cap the size of a part. Each part costs one more split and, in kernels that have a buffer for
//! each part, one more buffer.

use rayon::iter::{IndexedParallelIterator, MaxLen};

/// Parts per thread.
const PARTS: usize = 8;

/// A parallel loop that is cut into small parts.
pub(crate) trait FineGrained: IndexedParallelIterator {
    /// Caps the size of a part; the result is the same, because each item is computed by one
    /// thread.
    fn fine_grained(self) -> MaxLen<Self> {
        let parts = PARTS * rayon::current_num_threads();
        let len = self.len().div_ceil(parts).max(1);
        self.with_max_len(len)
    }
}

impl<I: IndexedParallelIterator> FineGrained for I {}
