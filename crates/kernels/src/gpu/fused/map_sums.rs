//! Sums over all values of a channel, in two stages: each unit of the device sums one channel over
//! up to 512 pixels, then the host adds these partial sums in f64 and in a fixed order.

use super::super::launch::{Launch, empty};
use crate::operators::Moments;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::ops::into_data_sync;
use burn_cubecl::tensor::CubeTensor;

/// Most pixels that one unit sums.
const PIXELS: usize = 512;

/// Sizes of a feature map that is summed.
#[derive(CubeLaunch, CubeType)]
struct Parts {
    channels: usize,
    /// Pixels of one step (all images of the batch).
    pixels: usize,
    /// Partial sums per step and channel.
    parts: usize,
    units: usize,
}

/// Σ (x − k), Σ (x − k)² and k, the channel's first value. Subtracting k keeps precision if the
/// mean is large against the deviation.
#[cube(launch, address_type = "dynamic")]
fn moments_kernel<F: Float>(x: &[F], out: &mut [f32], p: Parts, #[define(F)] _dtype: ElemType) {
    if ABSOLUTE_POS >= p.units {
        terminate!();
    }
    let (part, c) = (ABSOLUTE_POS / p.channels, ABSOLUTE_POS % p.channels);
    let (step, from) = (part / p.parts, part % p.parts * PIXELS);
    let k = f32::cast_from(x[c]);
    let mut sum = f32::new(0.0);
    let mut square = f32::new(0.0);
    for i in from..min(from + PIXELS, p.pixels) {
        let d = f32::cast_from(x[(step * p.pixels + i) * p.channels + c]) - k;
        sum += d;
        square += d * d;
    }
    let at = part * 3 * p.channels + c;
    out[at] = sum;
    out[at + p.channels] = square;
    out[at + 2 * p.channels] = k;
}

/// Σ g and Σ g·(x − µ).
#[cube(launch, address_type = "dynamic")]
fn products_kernel<F: Float>(
    g: &[f32],
    x: &[F],
    mean: &[f32],
    out: &mut [f32],
    p: Parts,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= p.units {
        terminate!();
    }
    let (part, c) = (ABSOLUTE_POS / p.channels, ABSOLUTE_POS % p.channels);
    let (step, from) = (part / p.parts, part % p.parts * PIXELS);
    let mut sum = f32::new(0.0);
    let mut product = f32::new(0.0);
    for i in from..min(from + PIXELS, p.pixels) {
        let at = (step * p.pixels + i) * p.channels + c;
        sum += g[at];
        product += g[at] * (f32::cast_from(x[at]) - mean[c]);
    }
    let at = part * 2 * p.channels + c;
    out[at] = sum;
    out[at + p.channels] = product;
}

/// Allocates `sums` values for each partial sum and channel. Returns the buffer, the launch that
/// fills it, its sizes and the number of partial sums per step.
fn parts(x: &CubeTensor, steps: usize, sums: usize) -> (CubeTensor, Launch, PartsLaunch, usize) {
    let channels = x.meta.shape()[3];
    let pixels = x.meta.num_elements() / steps / channels.max(1);
    let parts = pixels.div_ceil(PIXELS);
    let l = Launch::new(x, steps * parts * channels);
    let out = empty(x, Shape::new([l.units * sums]), DType::F32);
    let sizes = PartsLaunch::new(channels, pixels, parts, l.units);
    (out, l, sizes, parts)
}

/// Copies the buffer to the host as rows of `channels` values.
fn rows(out: CubeTensor, channels: usize) -> Vec<Vec<f32>> {
    let data: Vec<f32> = into_data_sync(out).try_into_vec().expect("was made as f32");
    data.chunks(channels).map(<[f32]>::to_vec).collect()
}

/// Moments of each channel of `[T_in·B, H, W, C]`. Step i counts `copies[i]` times.
pub(super) fn moments(x: &CubeTensor, copies: &[usize]) -> Moments {
    let channels = x.meta.shape()[3];
    let count = (copies.iter().sum::<usize>() * (x.meta.num_elements() / copies.len() / channels.max(1))) as f64;
    let mut all = Moments { mean: vec![0.0; channels], variance: vec![0.0; channels], count };
    let (out, l, sizes, parts) = parts(x, copies.len(), 3);
    if l.units == 0 {
        return all;
    }
    let (from, to) = (x.clone().into_buffer_arg(), out.clone().into_buffer_arg());
    moments_kernel::launch(&l.client, l.count(), l.dim(), l.address, from, to, sizes, l.elem());
    let rows = rows(out, channels);
    for c in 0..channels {
        let (mut sum, mut square) = (0.0f64, 0.0f64);
        for (part, row) in rows.chunks_exact(3).enumerate() {
            let weight = copies[part / parts] as f64;
            sum += weight * f64::from(row[0][c]);
            square += weight * f64::from(row[1][c]);
        }
        let mean = sum / count;
        all.mean[c] = mean + f64::from(rows[2][c]);
        all.variance[c] = (square / count - mean * mean).max(0.0);
    }
    all
}

/// Σ G and Σ G·(x − µ) of each channel of `[T_in·B, H, W, C]`.
pub(super) fn products(g: &CubeTensor, x: &CubeTensor, steps: usize, mean: BufferArg) -> (Vec<f64>, Vec<f64>) {
    let channels = x.meta.shape()[3];
    let (mut sum, mut product) = (vec![0.0f64; channels], vec![0.0f64; channels]);
    let (out, l, sizes, _) = parts(x, steps, 2);
    if l.units > 0 {
        let (g, from, to) = (g.clone().into_buffer_arg(), x.clone().into_buffer_arg(), out.clone().into_buffer_arg());
        products_kernel::launch(&l.client, l.count(), l.dim(), l.address, g, from, mean, to, sizes, l.elem());
        for row in rows(out, channels).chunks_exact(2) {
            sum.iter_mut().zip(&row[0]).for_each(|(s, v)| *s += f64::from(*v));
            product.iter_mut().zip(&row[1]).for_each(|(s, v)| *s += f64::from(*v));
        }
    }
    (sum, product)
}
