//! Sum and average pooling over non-overlapping windows (stride = kernel, no padding).
//!
//! ```text
//! y[Y, X] = scale·Σ x[k·Y + i, k·X + j], 0 ≤ i, j < k
//! ```
//!
//! Rows and columns that do not fill a window are dropped. The backward pass writes scale·g to
//! every value of the window. Spikes are small integers, so their sums are exact in any order.
//! Forward and backward are one pass over memory each.

use super::memory::zeros;
use super::tensor::{from_vec, values};
use crate::operators::TilePool;
use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

/// Pools to a map of H/k × W/k.
pub(crate) fn forward(input: FlexTensor, op: TilePool) -> FlexTensor {
    let input = input.to_contiguous();
    let x = values(&input);
    let (oh, ow) = op.out();
    let (k, c, w, plane) = (op.kernel, op.channels, op.width * op.channels, op.height * op.width * op.channels);
    let shape = op.resized(input.shape(), (oh, ow));
    let mut out = zeros(shape.num_elements());
    planes(&mut out, oh * ow * c, c).for_each(|(p, y)| {
        for (oy, row) in y.chunks_mut(ow * c).enumerate() {
            sums_row(row, &x[p * plane + oy * k * w..][..k * w], op);
        }
    });
    from_vec(out, shape)
}

/// Sums one row of windows, `[k, width, c]` to `[ow, c]`. Processes channels in the largest block
/// that divides their number, so that a block is in registers.
#[inline(always)]
pub(crate) fn sums_row(row: &mut [f32], from: &[f32], op: TilePool) {
    match op.channels {
        c if c.is_multiple_of(16) => sums::<16>(row, from, op),
        c if c.is_multiple_of(8) => sums::<8>(row, from, op),
        c if c.is_multiple_of(4) => sums::<4>(row, from, op),
        c if c.is_multiple_of(2) => sums::<2>(row, from, op),
        _ => sums::<1>(row, from, op),
    }
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
fn sums<const BLOCK: usize>(row: &mut [f32], from: &[f32], op: TilePool) {
    let (k, c, line) = (op.kernel, op.channels, op.width * op.channels);
    // Blocks per pixel.
    let blocks = c / BLOCK;
    let row = row.as_chunks_mut::<BLOCK>().0;
    if k == 2 {
        let (upper, lower) = (from[..line].as_chunks::<BLOCK>().0, from[line..2 * line].as_chunks::<BLOCK>().0);
        for (i, y) in row.iter_mut().enumerate() {
            // One block per pixel is the common case and needs no division.
            let at = if blocks == 1 { 2 * i } else { i / blocks * 2 * blocks + i % blocks };
            let (a, b, d, e) = (upper[at], upper[at + blocks], lower[at], lower[at + blocks]);
            let mut sum = [0.0f32; BLOCK];
            for l in 0..BLOCK {
                sum[l] = ((a[l] + b[l]) + (d[l] + e[l])) * op.scale;
            }
            *y = sum;
        }
        return;
    }
    for (i, y) in row.iter_mut().enumerate() {
        let (ox, block) = (i / blocks, i % blocks);
        let mut sum = [0.0f32; BLOCK];
        for line in from.chunks_exact(line) {
            for j in 0..k {
                let x = &line[(ox * k + j) * c + block * BLOCK..][..BLOCK];
                for l in 0..BLOCK {
                    sum[l] += x[l];
                }
            }
        }
        for l in 0..BLOCK {
            sum[l] *= op.scale;
        }
        *y = sum;
    }
}

/// Gradient of the input from the gradient of the output.
pub(crate) fn backward(gradient: FlexTensor, op: TilePool) -> FlexTensor {
    let gradient = gradient.to_contiguous();
    let g = values(&gradient);
    let (oh, ow) = op.out();
    let (k, c, w, plane) = (op.kernel, op.channels, op.width * op.channels, op.height * op.width * op.channels);
    let shape = op.resized(gradient.shape(), (op.height, op.width));
    let mut out = zeros(shape.num_elements());
    planes(&mut out, plane, c).for_each(|(p, x)| {
        for (oy, rows) in x.chunks_mut(k * w).take(oh).enumerate() {
            let from = &g[(p * oh + oy) * ow * c..][..ow * c];
            for row in rows.chunks_mut(w) {
                if c == 1 {
                    for (window, g) in row.chunks_exact_mut(k).zip(from) {
                        window.fill(op.scale * g);
                    }
                } else {
                    spread_row(row, from, op);
                }
            }
        }
    });
    from_vec(out, shape)
}

/// Spreads the gradients of one row of windows over its input rows. Writes zeros to columns that do
/// not fill a window.
#[inline(always)]
pub(crate) fn spread_rows(rows: &mut [f32], from: &[f32], op: TilePool) {
    for row in rows.chunks_exact_mut(op.width * op.channels) {
        spread_row(row, from, op);
        row[op.width / op.kernel * op.kernel * op.channels..].fill(0.0);
    }
}

/// Spreads the gradients of one row of windows over one input row. Processes channels in the
/// largest block that divides their number.
#[inline(always)]
fn spread_row(row: &mut [f32], from: &[f32], op: TilePool) {
    match op.channels {
        c if c.is_multiple_of(16) => spread::<16>(row, from, op),
        c if c.is_multiple_of(8) => spread::<8>(row, from, op),
        c if c.is_multiple_of(4) => spread::<4>(row, from, op),
        c if c.is_multiple_of(2) => spread::<2>(row, from, op),
        _ => spread::<1>(row, from, op),
    }
}

#[inline(always)]
fn spread<const BLOCK: usize>(row: &mut [f32], from: &[f32], op: TilePool) {
    let (k, c) = (op.kernel, op.channels);
    for (window, g) in row.chunks_exact_mut(k * c).zip(from.chunks_exact(c)) {
        for (block, g) in g.as_chunks::<BLOCK>().0.iter().enumerate() {
            let mut g = *g;
            for g in &mut g {
                *g *= op.scale;
            }
            for pixel in window.chunks_exact_mut(c) {
                pixel[block * BLOCK..][..BLOCK].copy_from_slice(&g);
            }
        }
    }
}

/// A parallel iterator over planes of `len` values. A plane of few channels is too little work for
/// a task, so several such planes form one task.
fn planes(data: &mut [f32], len: usize, channels: usize) -> impl ParallelIterator<Item = (usize, &mut [f32])> {
    data.par_chunks_mut(len.max(1)).with_min_len(64usize.div_ceil(channels)).enumerate()
}

#[cfg(test)]
mod tests {
    use crate::{tile_pool, tile_pool_last};
    use burn::tensor::module::avg_pool2d;
    use burn::tensor::ops::AvgPoolOptions;
    use burn::tensor::{Device, Distribution, Tensor};

    #[test]
    fn tiles_equal_the_tensor_librarys_average_pooling_forward_and_back() {
        let device = Device::flex().autodiff();
        for (shape, k) in [([3, 5, 17, 17], 2), ([70, 1, 9, 7], 3), ([1, 2, 4, 4], 4), ([2, 2, 5, 3], 1)] {
            let x = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device).require_grad();
            let ours = tile_pool(x.clone(), k, 1.0 / (k * k) as f32);
            let theirs = avg_pool2d(x.clone(), AvgPoolOptions::new([k, k]));
            assert_eq!(ours.dims(), theirs.dims());
            let worst = (ours.clone() - theirs.clone()).abs().max().into_scalar::<f32>();
            assert!(worst < 1e-6, "{shape:?} {k}: {worst}");
            let gradient = |y: Tensor<4>| x.grad(&(y.clone() * y).sum().backward()).expect("x is a leaf");
            let worst = (gradient(ours) - gradient(theirs)).abs().max().into_scalar::<f32>();
            assert!(worst < 1e-6, "{shape:?} {k}: gradient {worst}");
            let last =
                |x: Tensor<4>| tile_pool_last(x.permute([0, 2, 3, 1]), k, 1.0 / (k * k) as f32).permute([0, 3, 1, 2]);
            let ours = tile_pool(x.clone(), k, 1.0 / (k * k) as f32);
            let worst = (last(x.clone()) - ours.clone()).abs().max().into_scalar::<f32>();
            assert!(worst < 1e-6, "{shape:?} {k}: channels last {worst}");
            let worst = (gradient(last(x.clone())) - gradient(ours)).abs().max().into_scalar::<f32>();
            assert!(worst < 1e-6, "{shape:?} {k}: channels last, gradient {worst}");
        }
    }
}
