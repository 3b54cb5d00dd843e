//! The temporal transformation module (TTM): the one new component of the method.
//!
//! Between two stages that run at t_in and t_out steps, a TTM applies a linear map without
//! parameters to the time axis. With fewer = min(t_in, t_out) and more = max(t_in, t_out):
//!
//! ```text
//! b(i) = round((i + 1)·more/fewer − 1e-5), i = 0..fewer−1, b(−1) = 0
//! even, down:  out[i] = Σ in[b(i−1) .. b(i)−1]           spikes are summed, nothing is lost
//! even, up:    out[b(i−1)] = … = out[b(i)−1] = in[i]
//! soft:        out[j] = Σ_i |[i, i+1) ∩ [j·t_in/t_out, (j+1)·t_in/t_out)| · in[i]
//! trim:        down keeps the first t_out steps, up is even
//! random:      as even with `fewer` non-empty contiguous groups drawn uniformly
//! ```
//!
//! Source: Du et al., "Temporal Flexibility in Spiking Neural Networks", ICLR 2025, section 4.
//!
//! The map acts on the time axis only, so it commutes with every operation that is linear and acts
//! on each step separately: conv(up(x)) = up(conv(x)). A model uses this property and runs linear
//! layers before a repeat, on the fewer steps.

use rand::Rng;
use rand::seq::index::sample;
use tickless_net::TtmMode;

/// A linear map from `t_in` to `t_out` steps. For each output step it holds the input steps that
/// contribute and their weights.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeMap {
    t_in: usize,
    rows: Vec<Vec<(usize, f32)>>,
}

impl TimeMap {
    /// The map of a TTM. Only [`TtmMode::Random`] draws from `rng`.
    ///
    /// # Panics
    /// If `t_in` or `t_out` is zero.
    pub fn ttm(mode: TtmMode, t_in: usize, t_out: usize, rng: &mut impl Rng) -> Self {
        assert!(t_in > 0 && t_out > 0, "a stage runs at least one step, got {t_in} → {t_out}");
        if t_in == t_out {
            return Self::repeat_groups(&(1..=t_in).collect::<Vec<_>>());
        }
        let (fewer, more) = (t_in.min(t_out), t_in.max(t_out));
        match mode {
            TtmMode::Soft => Self::soft(t_in, t_out),
            TtmMode::Trim if t_in > t_out => Self { t_in, rows: (0..t_out).map(|i| vec![(i, 1.0)]).collect() },
            TtmMode::Even | TtmMode::Trim => Self::groups(t_in > t_out, &even_bounds(fewer, more)),
            TtmMode::Random => {
                let mut bounds: Vec<usize> = sample(rng, more - 1, fewer - 1).into_iter().map(|c| c + 1).collect();
                bounds.sort_unstable();
                bounds.push(more);
                Self::groups(t_in > t_out, &bounds)
            }
        }
    }

    /// Repeats a static image (one step) `t_out` times.
    pub fn show(t_out: usize) -> Self {
        Self::repeat_groups(&[t_out])
    }

    fn groups(down: bool, bounds: &[usize]) -> Self {
        let repeat = Self::repeat_groups(bounds);
        if down { repeat.transposed() } else { repeat }
    }

    /// Repeats input i at the output steps `bounds[i-1]..bounds[i]`.
    fn repeat_groups(bounds: &[usize]) -> Self {
        let mut rows = Vec::new();
        for (i, &end) in bounds.iter().enumerate() {
            while rows.len() < end {
                rows.push(vec![(i, 1.0)]);
            }
        }
        Self { t_in: bounds.len(), rows }
    }

    fn soft(t_in: usize, t_out: usize) -> Self {
        let width = t_in as f64 / t_out as f64;
        let overlap = |i: usize, j: usize| {
            let (lo, hi) = (j as f64 * width, (j + 1) as f64 * width);
            (hi.min((i + 1) as f64) - lo.max(i as f64)).max(0.0)
        };
        let row = |j: usize| {
            let all = (0..t_in).map(|i| (i, overlap(i, j) as f32));
            // Rounding may produce a tiny overlap between intervals that only touch.
            all.filter(|&(_, w)| w > 1e-6).collect()
        };
        Self { t_in, rows: (0..t_out).map(row).collect() }
    }

    /// Number of input steps.
    pub fn t_in(&self) -> usize {
        self.t_in
    }

    /// Number of output steps.
    pub fn t_out(&self) -> usize {
        self.rows.len()
    }

    /// For each output step, the input steps that contribute and their weights.
    pub fn rows(&self) -> &[Vec<(usize, f32)>] {
        &self.rows
    }

    /// Whether the map leaves every sequence unchanged.
    pub fn is_identity(&self) -> bool {
        self.t_in == self.t_out() && self.rows.iter().enumerate().all(|(j, r)| *r == [(j, 1.0)])
    }

    /// Whether every output step is a copy of one input step, so that adding a constant to each
    /// step commutes with the map.
    pub fn is_repeat(&self) -> bool {
        self.rows.iter().all(|r| matches!(r.as_slice(), [(_, 1.0)]))
    }

    /// The map that carries gradients back: the transpose. For a repeat, the gradients of the
    /// copies are summed from the last copy to the first. Burn's autodiff meets the copies in this
    /// order, so the gradients equal those of the step-by-step form bit for bit.
    pub fn adjoint(&self) -> Self {
        let mut map = self.transposed();
        if self.is_repeat() {
            map.rows.iter_mut().for_each(|row| row.reverse());
        }
        map
    }

    /// The transposed map.
    pub fn transposed(&self) -> Self {
        let mut rows = vec![Vec::new(); self.t_in];
        for (j, row) in self.rows.iter().enumerate() {
            for &(i, w) in row {
                rows[i].push((j, w));
            }
        }
        Self { t_in: self.rows.len(), rows }
    }
}

/// The bounds b(i) of the module head, for i = 0..fewer−1.
fn even_bounds(fewer: usize, more: usize) -> Vec<usize> {
    (0..fewer).map(|i| ((i + 1) as f64 * more as f64 / fewer as f64 - 1e-5).round_ties_even() as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn apply(map: &TimeMap, x: &[f64]) -> Vec<f64> {
        map.rows().iter().map(|r| r.iter().map(|&(i, w)| f64::from(w) * x[i]).sum()).collect()
    }

    fn ttm(mode: TtmMode, a: usize, b: usize, seed: u64) -> TimeMap {
        TimeMap::ttm(mode, a, b, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    #[test]
    fn five_to_three_groups_and_three_to_five_repeats_as_published() {
        let down = ttm(TtmMode::Even, 5, 3, 0);
        assert_eq!(down.rows(), [vec![(0, 1.0), (1, 1.0)], vec![(2, 1.0)], vec![(3, 1.0), (4, 1.0)]]);
        assert_eq!(apply(&ttm(TtmMode::Even, 3, 5, 0), &[0., 1., 2.]), [0., 0., 1., 2., 2.]);
    }

    proptest! {
        #[test]
        fn down_conserves_the_sum_over_time(a in 1usize..20, b in 1usize..20, seed in 0u64..99,
            mode in prop_oneof![Just(TtmMode::Even), Just(TtmMode::Soft), Just(TtmMode::Random)]) {
            let (a, b) = (a.max(b), a.min(b));
            let x: Vec<f64> = (0..a).map(|i| (i * 7 % 5) as f64).collect();
            let y = apply(&ttm(mode, a, b, seed), &x);
            prop_assert!((y.iter().sum::<f64>() - x.iter().sum::<f64>()).abs() < 1e-4);
        }

        #[test]
        fn soft_conserves_the_sum_on_the_way_up_too(a in 1usize..20, b in 1usize..20) {
            let x: Vec<f64> = (0..a).map(|i| (i * 3 % 4) as f64).collect();
            let y = apply(&ttm(TtmMode::Soft, a, b, 0), &x);
            prop_assert!((y.iter().sum::<f64>() - x.iter().sum::<f64>()).abs() < 1e-4);
        }

        #[test]
        fn up_to_k_t_and_down_again_multiplies_by_k_with_even_and_by_one_with_soft(t in 1usize..9, k in 1usize..9) {
            let x: Vec<f64> = (0..t).map(|i| (i * 5 % 7) as f64 - 2.0).collect();
            for (mode, factor) in [(TtmMode::Even, k as f64), (TtmMode::Soft, 1.0)] {
                let y = apply(&ttm(mode, k * t, t, 0), &apply(&ttm(mode, t, k * t, 0), &x));
                for (a, b) in x.iter().zip(&y) {
                    prop_assert!((a * factor - b).abs() < 1e-4, "{mode:?} {x:?} {y:?}");
                }
            }
        }

        #[test]
        fn every_group_is_non_empty_and_contiguous(a in 1usize..20, b in 1usize..20, seed in 0u64..99,
            mode in prop_oneof![Just(TtmMode::Even), Just(TtmMode::Random)]) {
            let map = ttm(mode, a.max(b), a.min(b), seed);
            let order: Vec<usize> = map.rows().iter().flatten().map(|e| e.0).collect();
            prop_assert_eq!(order, (0..a.max(b)).collect::<Vec<_>>());
            prop_assert!(map.rows().iter().all(|r| !r.is_empty()));
        }
    }
}
