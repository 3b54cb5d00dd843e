//! Sum and average pooling over windows that tile the map (stride = kernel, no padding).
//!
//! y[Y, X] = scale·Σ x[k·Y + i, k·X + j], 0 ≤ i, j < k; rows and columns that do not fill a
//! window are dropped. Backward spreads scale·g over the window. Spikes are small integers, so the
//! sums are exact in any order. One pass over memory each way.

use super::flex::{from_vec, values};
use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

/// Windows of `kernel`×`kernel`, each summed and multiplied by `scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TilePool {
    /// Window side.
    pub kernel: usize,
    /// 1 for sums, 1/k² for means.
    pub scale: f32,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
}

impl TilePool {
    fn out(&self) -> (usize, usize) {
        (self.height / self.kernel, self.width / self.kernel)
    }
}

/// `[N, C, H, W]` to `[N, C, H/k, W/k]`.
pub(super) fn forward(input: FlexTensor, op: TilePool) -> FlexTensor {
    let input = input.to_contiguous();
    let x = values(&input);
    let (oh, ow) = op.out();
    let (k, w, plane) = (op.kernel, op.width, op.height * op.width);
    let mut shape = input.shape();
    (shape[2], shape[3]) = (oh, ow);
    let mut out = vec![0.0f32; shape.num_elements()];
    planes(&mut out, oh * ow).for_each(|(p, y)| {
        for (oy, row) in y.chunks_mut(ow).enumerate() {
            for i in 0..k {
                let from = &x[p * plane + (oy * k + i) * w..][..ow * k];
                for (y, window) in row.iter_mut().zip(from.chunks_exact(k)) {
                    *y += window.iter().sum::<f32>();
                }
            }
            row.iter_mut().for_each(|y| *y *= op.scale);
        }
    });
    from_vec(out, shape)
}

/// Gradient of the input from that of the output.
pub(super) fn backward(gradient: FlexTensor, op: TilePool) -> FlexTensor {
    let gradient = gradient.to_contiguous();
    let g = values(&gradient);
    let (oh, ow) = op.out();
    let (k, w, plane) = (op.kernel, op.width, op.height * op.width);
    let mut shape = gradient.shape();
    (shape[2], shape[3]) = (op.height, op.width);
    let mut out = vec![0.0f32; shape.num_elements()];
    planes(&mut out, plane).for_each(|(p, x)| {
        for (oy, rows) in x.chunks_mut(k * w).take(oh).enumerate() {
            let from = &g[(p * oh + oy) * ow..][..ow];
            for row in rows.chunks_mut(w) {
                for (window, g) in row.chunks_exact_mut(k).zip(from) {
                    window.fill(op.scale * g);
                }
            }
        }
    });
    from_vec(out, shape)
}

/// The planes of `len` values, in parallel, many at a time: one alone is too little work.
fn planes(data: &mut [f32], len: usize) -> impl ParallelIterator<Item = (usize, &mut [f32])> {
    data.par_chunks_mut(len.max(1)).with_min_len(64).enumerate()
}

#[cfg(test)]
mod tests {
    use crate::kernels::tile_pool;
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
        }
    }
}
