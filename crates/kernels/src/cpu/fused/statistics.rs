//! Mean and variance of each channel of a channels-last map. Each step is weighted by how often the
//! neuron reads it.
//!
//! The sums are of x − k and (x − k)², with k the channel's first value, because this keeps
//! precision if the mean is large against the deviation. The map is cut at positions that do not
//! depend on the number of threads, and the partial sums are added in order, in f64.

use crate::cpu::grain::FineGrained;
use crate::cpu::simd::{Isa, Lanes, by_isa};
use crate::operators::Moments;
use rayon::prelude::*;

/// Values per task.
const TASK: usize = 1 << 16;

struct Job<'a> {
    x: &'a [f32],
    origin: &'a [f32],
    sum: &'a mut [f32],
    square: &'a mut [f32],
}

by_isa!(run = body(&mut Job<'_>));

/// Sums each lane separately. Compiled once per instruction set.
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

/// Moments of `[steps·n]` values with `channels` innermost. Step i counts `copies[i]` times.
pub fn moments(isa: Isa, x: &[f32], channels: usize, copies: &[usize]) -> Moments {
    let n = x.len() / copies.len().max(1);
    // Whole pixels, and enough of them that the inner loop is long.
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

/// Sums the lanes of each channel.
pub(crate) fn fold(wide: &[f32], channels: usize) -> Vec<f64> {
    let mut out = vec![0.0f64; channels];
    for pixel in wide.chunks_exact(channels) {
        out.iter_mut().zip(pixel).for_each(|(o, v)| *o += f64::from(*v));
    }
    out
}
