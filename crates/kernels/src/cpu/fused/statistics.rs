//! Mean and variance of each channel of a channels-last map, each step weighted by how often it is
//! shown.
//!
//! Sums are of x − k and (x − k)², k the channel's first value, so that a large mean costs no digits.
//! The map is cut at fixed places and the parts are added in order, in f64.

use crate::cpu::grain::FineGrained;
use crate::cpu::simd::{Isa, Lanes, by_isa};
use crate::operators::Moments;
use rayon::prelude::*;

/// Values that one task sums.
const TASK: usize = 1 << 16;

struct Job<'a> {
    x: &'a [f32],
    origin: &'a [f32],
    sum: &'a mut [f32],
    square: &'a mut [f32],
}

by_isa!(run = body(&mut Job<'_>));

/// Sums lane by lane; compiled once per instruction set.
#[inline(always)]
#[expect(clippy::extra_unused_type_parameters, reason = "the loops are the compiler's to vectorise")]
unsafe fn body<V: Lanes>(job: &mut Job<'_>) {
    for x in job.x.chunks(job.origin.len()) {
        for (((x, k), s), q) in x.iter().zip(job.origin).zip(job.sum.iter_mut()).zip(job.square.iter_mut()) {
            let d = x - k;
            *s += d;
            *q += d * d;
        }
    }
}

/// Of `[steps·n]` values with `channels` innermost, step i counted `copies[i]` times.
pub fn moments(isa: Isa, x: &[f32], channels: usize, copies: &[usize]) -> Moments {
    let n = x.len() / copies.len().max(1);
    // Whole pixels, wide enough for the loop over them to be worth its start.
    let wide = channels * (1024 / channels).max(1);
    let origin: Vec<f32> = x[..channels].iter().copied().cycle().take(wide).collect();
    let task = TASK.next_multiple_of(wide);
    let parts: Vec<(usize, &[f32])> =
        x.chunks(n.max(1)).enumerate().flat_map(|(i, row)| row.chunks(task).map(move |part| (i, part))).collect();
    let sums: Vec<(usize, Vec<f64>, Vec<f64>)> = parts
        .into_par_iter()
        .fine_grained()
        .map(|(i, part)| {
            let (mut sum, mut square) = (vec![0.0f32; wide], vec![0.0f32; wide]);
            run(isa, &mut Job { x: part, origin: &origin, sum: &mut sum, square: &mut square });
            (i, fold(&sum, channels), fold(&square, channels))
        })
        .collect();
    let count = (copies.iter().sum::<usize>() * n / channels) as f64;
    let mut out = Moments { mean: vec![0.0; channels], variance: vec![0.0; channels], count };
    for c in 0..channels {
        let (mut s, mut q) = (0.0f64, 0.0f64);
        for (i, sum, square) in &sums {
            s += copies[*i] as f64 * sum[c];
            q += copies[*i] as f64 * square[c];
        }
        let m = s / count;
        out.mean[c] = m + f64::from(origin[c]);
        out.variance[c] = (q / count - m * m).max(0.0);
    }
    out
}

/// Sums what belongs to one channel.
pub(crate) fn fold(wide: &[f32], channels: usize) -> Vec<f64> {
    let mut out = vec![0.0f64; channels];
    for pixel in wide.chunks_exact(channels) {
        out.iter_mut().zip(pixel).for_each(|(o, v)| *o += f64::from(*v));
    }
    out
}
