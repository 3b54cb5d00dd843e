//! Convolutions, linear layers and pools as functions of a sequence.
//!
//! With [`KernelChoice::Plain`] each calls the tensor library's operator; otherwise convolutions of
//! one group and linear layers use the kernels of [`conv_for`], and pools without overlap use
//! [`tile_pool`] or [`tile_pool_last`].

use super::Sequence;
use super::fusion::tile;
use burn::tensor::Tensor;
use burn::tensor::module::{adaptive_avg_pool2d, avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, TensorData};
use tickless_kernels::cpu::conv::low::Stays;
use tickless_kernels::cpu::conv::precision;
use tickless_kernels::{KernelChoice, Precision, conv_for, tile_pool, tile_pool_last};
use tickless_net::{AdaptiveAverage, Conv, Pool, PoolKind, Shape};

/// Settings for layers with weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) kernel: KernelChoice,
    pub(crate) precision: Precision,
    /// The pass runs without autodiff now and again with it later, so it uses the training kernels:
    /// both runs must match.
    pub(crate) recompute_later: bool,
}

/// Convolution; `weight` `[Co, C/groups, rows, columns]`. Convolutions of several groups and with a
/// window that is no plain square run on the tensor library's operator.
pub(crate) fn convolution(
    x: Sequence,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    c: Conv,
    How { kernel, precision, recompute_later }: How,
) -> Sequence {
    let fast = c.window.as_square().filter(|_| kernel != KernelChoice::Plain && c.groups == 1);
    let Some((_, stride, padding)) = fast else {
        stays_f32(precision, "conv", "only square convolutions of one group without dilation have other kernels");
        let (r, k) = (c.window.rows, c.window.columns);
        let even = r.before == r.after && k.before == k.after;
        let padding = if even { [r.before, k.before] } else { [0; 2] };
        let options = ConvOptions::new([r.stride, k.stride], padding, [r.dilation, k.dilation], c.groups);
        return x.channels_first().linear(c.bias, |x| {
            let x = if even { x } else { x.pad([(r.before, r.after), (k.before, k.after)], 0.0) };
            conv2d(x, weight, bias, options)
        });
    };
    x.channels_last().linear(c.bias, |x| {
        let y = conv_for(x, weight, (stride, padding), kernel, precision, recompute_later);
        match bias {
            Some(b) => y + b.reshape([1, 1, 1, c.out]),
            None => y,
        }
    })
}

/// Reports that a layer stays in f32 because it has no kernel at the requested precision.
fn stays_f32(precision: Precision, layer: &str, why: &'static str) {
    if precision != Precision::F32 {
        precision::report(precision, || layer.into(), Err(Stays::OtherLayer(why)));
    }
}

/// Linear layer over all values of a step; `weight` `[out, values]`, with values in the order
/// C, H, W.
///
/// If the input is channels last and the kernel is not `Plain`, the layer runs as a 1×1
/// convolution of one pixel, because the convolution kernel can skip inactive inputs.
pub(crate) fn linear(
    x: Sequence,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    How { kernel, precision, recompute_later }: How,
) -> Sequence {
    let out = weight.dims()[0];
    if kernel == KernelChoice::Plain || !x.is_channels_last() {
        stays_f32(precision, "linear", "its input is not held channels last");
        return x.channels_first().linear(bias.is_some(), |x| {
            let [n, c, h, w] = x.dims();
            let y = x.reshape([n, c * h * w]).matmul(weight.transpose());
            let y = match bias {
                Some(b) => y + b.reshape([1, out]),
                None => y,
            };
            y.reshape([n, out, 1, 1])
        });
    }
    x.linear(bias.is_some(), |x| {
        let [n, h, w, c] = x.dims();
        let weight = weight.reshape([out, c, h, w]).permute([0, 2, 3, 1]).reshape([out, c * h * w, 1, 1]);
        let y = conv_for(x.reshape([n, 1, 1, c * h * w]), weight, (1, 0), kernel, precision, recompute_later);
        match bias {
            Some(b) => y + b.reshape([1, 1, 1, out]),
            None => y,
        }
    })
}

/// Mean over height and width.
pub(crate) fn global_average(x: Sequence) -> Sequence {
    match x.is_channels_last() {
        true => x.linear(false, |x| x.mean_dim(1).mean_dim(2)),
        false => x.linear(false, |x| x.mean_dim(2).mean_dim(3)),
    }
}

/// Average pooling to a fixed size, of an input of shape `input`.
pub(crate) fn adaptive_average(x: Sequence, a: AdaptiveAverage, input: Shape) -> Sequence {
    match a.as_pool(input) {
        Some(p) => pool(x, p),
        None => x.channels_first().linear(false, |x| adaptive_avg_pool2d(x, [a.rows, a.columns])),
    }
}

/// Multiplies each channel by its factor.
pub(crate) fn scale_channels(x: Sequence, factors: &[f32], device: &Device) -> Sequence {
    let channels = factors.len();
    let shape = if x.is_channels_last() { [1, 1, 1, channels] } else { [1, channels, 1, 1] };
    let factors = Tensor::<4>::from_data(TensorData::new(factors.to_vec(), shape), device);
    x.linear(false, |x| {
        // The constant joins the graph of `x` if `x` has one.
        let factors = if x.device().is_autodiff() { Tensor::from_inner(factors) } else { factors };
        x * factors
    })
}

/// Pooling; the tile kernels evaluate square windows that neither overlap nor leave gaps.
pub(crate) fn pool(x: Sequence, p: Pool) -> Sequence {
    let (rows, columns) = (p.window.rows, p.window.columns);
    let (k, s) = ([rows.kernel, columns.kernel], [rows.stride, columns.stride]);
    let pad = [(rows.before, rows.after), (columns.before, columns.after)];
    let mut average = AvgPoolOptions::new(k);
    (average.stride, average.padding) = (s, pad);
    let area = p.window.taps() as f32;
    match (p.kind, tile(p)) {
        (_, Some((side, scale))) if x.is_channels_last() => x.linear(false, |x| tile_pool_last(x, side, scale)),
        (_, Some((side, scale))) => x.linear(false, |x| tile_pool(x, side, scale)),
        (PoolKind::Average, _) => x.channels_first().linear(false, |x| avg_pool2d(x, average)),
        (PoolKind::Sum, _) => x.channels_first().linear(false, |x| avg_pool2d(x, average).mul_scalar(area)),
        (PoolKind::Max, _) => {
            let mut max = MaxPoolOptions::new(k);
            (max.stride, max.padding) = (s, pad);
            x.channels_first().each(|x| max_pool2d(x, max))
        }
    }
}
