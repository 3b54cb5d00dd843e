//! How finely a parallel loop is cut.
//!
//! The pool halves a loop until there is a part for each thread, and again where a part is stolen. What a thread has
//! begun nobody takes from it: on two threads a part is a quarter of the loop, and the one that is done first waits
//! for up to that long, at every kernel. Finer parts cost a cut each, and where a kernel has one, a buffer.

use rayon::iter::{IndexedParallelIterator, MaxLen};

/// Parts of a loop for each thread.
const PARTS: usize = 8;

/// A loop in parts that are small beside the whole.
pub(crate) trait FineGrained: IndexedParallelIterator {
    /// The same loop; every item is computed as before, whoever does it.
    fn fine_grained(self) -> MaxLen<Self> {
        let parts = PARTS * rayon::current_num_threads();
        let len = self.len().div_ceil(parts).max(1);
        self.with_max_len(len)
    }
}

impl<I: IndexedParallelIterator> FineGrained for I {}
