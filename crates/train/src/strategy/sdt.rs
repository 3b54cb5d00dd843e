//! Standard direct training: an iteration runs one pass with every stage at T_max.

use super::Strategy;
use rand_chacha::ChaCha8Rng;

/// Standard direct training.
#[derive(Debug, Clone, Copy)]
pub struct Sdt {
    /// Number of steps of every stage.
    pub t_max: usize,
}

impl Strategy for Sdt {
    fn name(&self) -> &'static str {
        "SDT"
    }

    fn configurations(&self, stages: usize, _: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        vec![vec![self.t_max; stages]]
    }

    fn passes(&self) -> usize {
        1
    }

    fn mean_steps(&self) -> f64 {
        self.t_max as f64
    }
}
