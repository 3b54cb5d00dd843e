//! How a long run says how far it is. The library draws nothing.

/// Hears of finished recordings, from any thread.
pub trait Progress: Sync {
    /// `finished` of `total` recordings are done.
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
