//! What tests of whole trainings share: a stop after some iterations, and the difference of weights.

use std::sync::atomic::{AtomicUsize, Ordering};
use tickless_net::Weights;
use tickless_train::progress::Progress;

/// Asks to stop after a number of iterations.
pub struct StopAfter {
    iterations: usize,
    done: AtomicUsize,
}

impl StopAfter {
    /// Asks to stop after `iterations`.
    pub fn new(iterations: usize) -> StopAfter {
        StopAfter { iterations, done: AtomicUsize::new(0) }
    }
}

impl Progress for StopAfter {
    fn advance(&self, n: u64, _: &str) {
        self.done.fetch_add(n as usize, Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= self.iterations
    }
}

/// Largest difference over all tensors, each relative to the largest value of its tensor.
pub fn difference(a: &Weights, b: &Weights) -> f32 {
    assert!(a.tensors.keys().eq(b.tensors.keys()));
    let each = a.tensors.iter().map(|(name, x)| {
        let largest = x.data.iter().fold(0.0f32, |m, v| m.max(v.abs())).max(f32::MIN_POSITIVE);
        let apart = x.data.iter().zip(&b.tensors[name].data).fold(0.0f32, |m, (x, y)| m.max((x - y).abs()));
        apart / largest
    });
    each.fold(0.0, f32::max)
}
