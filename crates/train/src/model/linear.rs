//! Convolutions, linear layers and pools as functions of a sequence.
//!
//! With [`KernelChoice::Plain`] each calls the tensor library's operator; otherwise convolutions of
//! one group and linear layers use the kernels of [`conv_for`], and pools without overlap use
//! [`tile_pool`] or [`tile_pool_last`].

use super::Sequence;
use super::fusion::tile_scale;
use burn::tensor::Tensor;
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use tickless_kernels::cpu::conv::low::Stays;
use tickless_kernels::cpu::conv::precision;
use tickless_kernels::{KernelChoice, Precision, conv_for, tile_pool, tile_pool_last};
use tickless_net::{Conv, Pool, PoolKind};

/// Settings for layers with weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) kernel: KernelChoice,
    pub(crate) precision: Precision,
    /// The pass runs without autodiff now and again with it later, so it uses the training kernels:
    /// both runs must match.
    pub(crate) recompute_later: bool,
}

/// Convolution; `weight` `[Co, C/groups, k, k]`.
pub(crate) fn convolution(
    x: Sequence,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    c: Conv,
    How { kernel, precision, recompute_later }: How,
) -> Sequence {
    if kernel == KernelChoice::Plain || c.groups != 1 {
        stays_f32(precision, "conv", "only convolutions of one group have other kernels");
        let options = ConvOptions::new([c.stride; 2], [c.padding; 2], [1, 1], c.groups);
        return x.channels_first().linear(c.bias, |x| conv2d(x, weight, bias, options));
    }
    x.channels_last().linear(c.bias, |x| {
        let y = conv_for(x, weight, (c.stride, c.padding), kernel, precision, recompute_later);
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

/// Pooling; the tile kernels evaluate windows that neither overlap nor leave gaps.
pub(crate) fn pool(x: Sequence, p: Pool) -> Sequence {
    let (k, s) = ([p.kernel, p.kernel], [p.stride, p.stride]);
    let pad = [(p.padding, p.padding); 2];
    let mut average = AvgPoolOptions::new(k);
    (average.stride, average.padding) = (s, pad);
    let area = (p.kernel * p.kernel) as f32;
    match (p.kind, tile_scale(p)) {
        (_, Some(scale)) if x.is_channels_last() => x.linear(false, |x| tile_pool_last(x, p.kernel, scale)),
        (_, Some(scale)) => x.linear(false, |x| tile_pool(x, p.kernel, scale)),
        (PoolKind::Average, _) => x.channels_first().linear(false, |x| avg_pool2d(x, average)),
        (PoolKind::Sum, _) => x.channels_first().linear(false, |x| avg_pool2d(x, average).mul_scalar(area)),
        (PoolKind::Max, _) => {
            let mut max = MaxPoolOptions::new(k);
            (max.stride, max.padding) = (s, pad);
            x.channels_first().each(|x| max_pool2d(x, max))
        }
    }
}
