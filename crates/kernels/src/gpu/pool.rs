//! Tile pooling and its gradient. One unit of the device computes one value of the result.

use super::launch::{Launch, empty};
use crate::operators::TilePool;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::{permute_nchw_to_nhwc, permute_nhwc_to_nchw};
use burn_cubecl::tensor::CubeTensor;

/// Sizes of a feature map and of its tiles.
#[derive(CubeLaunch, CubeType)]
struct Sizes {
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    channels: usize,
    kernel: usize,
    scale: f32,
}

impl SizesLaunch {
    fn of(op: TilePool) -> Self {
        let (oh, ow) = op.out();
        Self::new(op.height, op.width, oh, ow, op.channels, op.kernel, op.scale)
    }
}

#[cube(launch, address_type = "dynamic")]
fn forward_kernel<F: Float>(x: &[F], y: &mut [F], units: usize, p: Sizes, #[define(F)] _dtype: ElemType) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let (pixel, c) = (ABSOLUTE_POS / p.channels, ABSOLUTE_POS % p.channels);
    let (row, ox) = (pixel / p.out_width, pixel % p.out_width);
    let (map, oy) = (row / p.out_height, row % p.out_height);
    let mut sum = f32::new(0.0);
    for i in 0..p.kernel {
        let from = (map * p.height + oy * p.kernel + i) * p.width + ox * p.kernel;
        for j in 0..p.kernel {
            sum += f32::cast_from(x[(from + j) * p.channels + c]);
        }
    }
    y[ABSOLUTE_POS] = F::cast_from(sum * p.scale);
}

#[cube(launch, address_type = "dynamic")]
fn backward_kernel<F: Float>(g: &[F], out: &mut [F], units: usize, p: Sizes, #[define(F)] _dtype: ElemType) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let (pixel, c) = (ABSOLUTE_POS / p.channels, ABSOLUTE_POS % p.channels);
    let (row, x) = (pixel / p.width, pixel % p.width);
    let (map, y) = (row / p.height, row % p.height);
    let (oy, ox) = (y / p.kernel, x / p.kernel);
    let mut value = f32::new(0.0);
    if oy < p.out_height && ox < p.out_width {
        let at = ((map * p.out_height + oy) * p.out_width + ox) * p.channels + c;
        value = p.scale * f32::cast_from(g[at]);
    }
    out[ABSOLUTE_POS] = F::cast_from(value);
}

/// Pools to a map of H/k × W/k.
pub(super) fn forward(input: CubeTensor, op: TilePool) -> CubeTensor {
    let (input, op, turned) = as_it_lies(input, op);
    let y = empty(&input, op.resized(input.meta.shape().clone(), op.out()), input.dtype);
    let l = Launch::new(&input, y.meta.num_elements());
    if l.units > 0 {
        let (x, to, dtype) = (input.into_buffer_arg(), y.clone().into_buffer_arg(), l.elem());
        forward_kernel::launch(&l.client, l.count(), l.dim(), l.address, x, to, l.units, SizesLaunch::of(op), dtype);
    }
    if turned { permute_nhwc_to_nchw(y) } else { y }
}

/// Gradient of the input from the gradient of the output.
pub(super) fn backward(gradient: CubeTensor, op: TilePool) -> CubeTensor {
    let (gradient, op, turned) = as_it_lies(gradient, op);
    let out = empty(&gradient, op.resized(gradient.meta.shape().clone(), (op.height, op.width)), gradient.dtype);
    let l = Launch::new(&out, out.meta.num_elements());
    if l.units > 0 {
        let (g, to, dtype) = (gradient.into_buffer_arg(), out.clone().into_buffer_arg(), l.elem());
        backward_kernel::launch(&l.client, l.count(), l.dim(), l.address, g, to, l.units, SizesLaunch::of(op), dtype);
    }
    if turned { permute_nhwc_to_nchw(out) } else { out }
}

/// Prepares a tensor for the kernels: contiguous, and as a channels-last map if a channels-first
/// shape has its channels innermost in memory. The last value says whether the result must be
/// permuted back to channels-first.
fn as_it_lies(tensor: CubeTensor, op: TilePool) -> (CubeTensor, TilePool, bool) {
    if !op.last && !tensor.is_contiguous() {
        let turned = permute_nchw_to_nhwc(tensor.clone());
        if turned.is_contiguous() {
            let channels = turned.meta.shape()[3];
            return (turned, TilePool { channels, last: true, ..op }, true);
        }
    }
    (into_contiguous(tensor), op, false)
}
