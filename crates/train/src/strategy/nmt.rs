//! Naive mixture training: an iteration runs s configurations, and in each of them all stages run
//! at one number of steps T ~ U{T_min..T_max}.

use super::{Steps, Strategy};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Naive mixture training.
#[derive(Debug, Clone, Copy)]
pub struct Nmt {
    /// Range and number of configurations.
    pub steps: Steps,
}

impl Strategy for Nmt {
    fn name(&self) -> &'static str {
        "NMT"
    }

    fn configurations(&self, stages: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let Steps { t_min, t_max, samples, .. } = self.steps;
        (0..samples).map(|_| vec![rng.random_range(t_min..=t_max); stages]).collect()
    }

    fn passes(&self) -> usize {
        self.steps.samples
    }

    fn mean_steps(&self) -> f64 {
        self.steps.mean()
    }
}
