//! Progress of a long run. The library itself prints nothing.

/// Receives the number of finished recordings, from any thread.
pub trait Progress: Sync {
    /// `finished` of `total` recordings are finished.
    fn finished(&self, finished: usize, total: usize);
}

impl Progress for () {
    fn finished(&self, _: usize, _: usize) {}
}

impl<F: Fn(usize, usize) + Sync> Progress for F {
    fn finished(&self, finished: usize, total: usize) {
        self(finished, total);
    }
}
