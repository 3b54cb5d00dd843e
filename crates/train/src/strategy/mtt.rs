//! Mixed time-step training: an iteration runs s configurations, and each stage k draws its steps
//! independently, t_k ~ U{T_min..T_max}.
//!
//! Source: Du et al., "Temporal Flexibility in Spiking Neural Networks", ICLR 2025, section 4.2.
//! If `group` = g, each g neighbouring stages share one draw; if g covers all stages, MTT equals
//! NMT.

use super::{Steps, Strategy};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Mixed time-step training.
#[derive(Debug, Clone, Copy)]
pub struct Mtt {
    /// Range, number of configurations and group.
    pub steps: Steps,
}

impl Strategy for Mtt {
    fn name(&self) -> &'static str {
        "MTT"
    }

    fn configurations(&self, stages: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let Steps { t_min, t_max, samples, group } = self.steps;
        let mut draw = |_| {
            let drawn: Vec<usize> = (0..stages.div_ceil(group)).map(|_| rng.random_range(t_min..=t_max)).collect();
            (0..stages).map(|k| drawn[k / group]).collect()
        };
        (0..samples).map(&mut draw).collect()
    }

    fn passes(&self) -> usize {
        self.steps.samples
    }

    fn mean_steps(&self) -> f64 {
        self.steps.mean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn draw(group: usize, stages: usize) -> Vec<Vec<usize>> {
        let steps = Steps { t_min: 1, t_max: 10, samples: 200, group };
        Mtt { steps }.configurations(stages, &mut ChaCha8Rng::seed_from_u64(7))
    }

    #[test]
    fn one_block_per_stage_draws_every_stage_on_its_own_over_the_whole_range() {
        let all = draw(1, 3);
        for t in 1..=10 {
            assert!((0..3).all(|k| all.iter().any(|c| c[k] == t)), "{t} never drawn");
        }
        assert!(all.iter().any(|c| c[0] != c[1] && c[1] != c[2]));
    }

    #[test]
    fn the_mean_steps_are_those_of_many_draws() {
        let all = draw(1, 3);
        let mean = all.iter().flatten().sum::<usize>() as f64 / (3 * all.len()) as f64;
        let steps = Steps { t_min: 1, t_max: 10, samples: 200, group: 1 };
        assert!((Mtt { steps }.mean_steps() - mean).abs() < 0.5, "{mean}");
        assert_eq!(Mtt { steps }.passes(), all.len());
    }

    #[test]
    fn all_blocks_in_one_stage_make_mtt_into_nmt() {
        assert!(draw(3, 3).iter().all(|c| c.windows(2).all(|w| w[0] == w[1])));
        assert!(draw(2, 4).iter().all(|c| c[0] == c[1] && c[2] == c[3]));
    }
}
