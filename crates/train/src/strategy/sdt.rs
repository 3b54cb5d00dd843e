//! Standard direct training: every stage at T_max, one pass an iteration.

use super::Strategy;
use rand_chacha::ChaCha8Rng;

/// Standard direct training.
#[derive(Debug, Clone, Copy)]
pub struct Sdt {
    /// The one number of steps.
    pub t_max: usize,
}

impl Strategy for Sdt {
    fn name(&self) -> &'static str {
        "SDT"
    }

    fn configurations(&self, stages: usize, _: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        vec![vec![self.t_max; stages]]
    }
}
