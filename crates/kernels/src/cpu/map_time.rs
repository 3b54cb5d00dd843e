//! A linear map over the time axis on the CPU: `[T_in·B, …]` to `[T_out·B, …]`.
//!
//! ```text
//! y[j] = Σ_i w_ji·x[i]
//! ```
//!
//! x[i] and y[j] are whole steps, and w_ji are the weights of a [`TimeMap`]. An output step depends
//! on few input steps, so memory bandwidth limits the speed of the map. The kernel therefore cuts
//! an output step into pieces: it writes a piece with its first term and adds the other terms while
//! the piece is in the L1 cache. It adds the terms in the order of the map, so results do not
//! depend on the number of threads.

use super::memory::{full, room};
use super::tensor::{from_vec, values};
use crate::ttm::TimeMap;
use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Number of values in a piece, which are 16 KiB.
const PIECE: usize = 4096;

/// Maps `[T_in·B, …]` to `[T_out·B, …]`.
pub(crate) fn map_time(input: FlexTensor, map: Arc<TimeMap>) -> FlexTensor {
    let input = input.to_contiguous();
    let out = mapped(values(&input), &map);
    let mut shape = input.shape();
    shape[0] = shape[0] / map.t_in() * map.t_out();
    from_vec(out, shape)
}

/// Applies `map` to its `t_in` input steps, which follow each other in `x` and have equal size.
fn mapped(x: &[f32], map: &TimeMap) -> Vec<f32> {
    let n = x.len() / map.t_in();
    let mut out = room(n * map.t_out());
    if n > 0 {
        let steps = out.par_chunks_mut(n).zip(map.rows());
        steps.for_each(|(y, terms)| {
            let pieces = y.par_chunks_mut(PIECE).enumerate();
            pieces.for_each(|(p, y)| sum(x, n, p * PIECE, terms, y));
        });
    }
    // SAFETY: the pieces cover every step.
    unsafe { full(out) }
}

/// Writes one piece of an output step: `y`, which begins at value `at` of the step. `n` is the
/// number of values of a step; `terms` are the input steps and weights of the output step.
fn sum(x: &[f32], n: usize, at: usize, terms: &[(usize, f32)], y: &mut [MaybeUninit<f32>]) {
    let len = y.len();
    let row = |i: usize| &x[i * n + at..][..len];
    let Some((&(i, w), more)) = terms.split_first() else {
        y.fill(MaybeUninit::new(0.0));
        return;
    };
    let y = y.write_copy_of_slice(row(i));
    if w != 1.0 {
        y.iter_mut().for_each(|y| *y *= w);
    }
    for &(i, w) in more {
        match w {
            1.0 => y.iter_mut().zip(row(i)).for_each(|(y, x)| *y += x),
            _ => y.iter_mut().zip(row(i)).for_each(|(y, x)| *y += w * x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use tickless_net::TtmMode;

    #[test]
    fn every_value_of_every_step_is_the_sum_of_its_terms() {
        let n = 2 * PIECE + 3;
        let x: Vec<f32> = (0..6 * n).map(|i| (i % 977) as f32 - 400.0).collect();
        for (mode, to) in [(TtmMode::Even, 4), (TtmMode::Soft, 4), (TtmMode::Soft, 9), (TtmMode::Trim, 2)] {
            let map = TimeMap::ttm(mode, 6, to, &mut ChaCha8Rng::seed_from_u64(1));
            for map in [map.adjoint(), map] {
                let x = &x[..map.t_in().min(6) * n];
                if map.t_in() > 6 {
                    continue;
                }
                let y = mapped(x, &map);
                for (j, terms) in map.rows().iter().enumerate() {
                    for k in (0..n).step_by(61).chain([PIECE, n - 1]) {
                        let sum = terms.iter().fold(0.0, |sum, (i, w)| sum + w * x[i * n + k]);
                        assert_eq!(y[j * n + k], sum, "{mode:?} to {to}, step {j}, value {k}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_step_that_nothing_goes_into_is_silent() {
        let trim = TimeMap::ttm(TtmMode::Trim, 3, 2, &mut ChaCha8Rng::seed_from_u64(1)).adjoint();
        assert_eq!(mapped(&[1.0, 2.0, 3.0, 4.0], &trim), [1.0, 2.0, 3.0, 4.0, 0.0, 0.0]);
    }
}
