//! The operators on a GPU (Burn's CubeCL backend: Vulkan, Metal, DirectX 12, CUDA).
//!
//! Each kernel has one source, which is compiled for the device at its first launch. Values are
//! stored in f32 or a shorter float; the kernels compute in f32. Convolutions are Burn's own. Burn
//! times its convolution kernels once per shape and keeps the fastest, so two runs may add in
//! different orders, and results equal those of the CPU only up to rounding.

mod adamw;
mod equations;
mod fused;
mod launch;
mod neuron;
mod pool;
pub(crate) mod precision;
mod sgd;
mod time;

pub use precision::check as check_precision;

use crate::composed::Stored;
use crate::operators::{
    AdamWOp, AdamWTensors, BranchTensors, Branches, ConvInput, ConvOp, Encoded, FirstGradients, FirstOp, FirstSaved,
    FirstSums, FusedOp, FusedSaved, FusedSums, Geometry, KeepsInput, LayerStatistics, Moments, NeuronOp,
    NormParameters, NormSums, SgdOp, SgdTensors, TilePool, implement_spiking_gradients, implement_spiking_ops,
    implement_update_ops,
};
use crate::options::GpuPrecision;
use crate::ttm::TimeMap;
use burn::backend::ops::{ConvOptions, FloatTensorOps};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::conv::{ConvStrategy, conv_data_backward, conv_forward, conv_weight_backward};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::{permute_nchw_to_nhwc, permute_nhwc_to_nchw};
use burn_cubecl::tensor::CubeTensor;
use precision::whole;
use std::sync::Arc;

use adamw::step as adamw;
use neuron::{backward as neuron_gradient, forward as neuron_spikes, forward_and_potentials as neuron_and_potentials};
use pool::{backward as tile_pool_gradient, forward as tile_pool};
use sgd::step as sgd;

/// The message of a convolution's `expect`, which states why the convolution cannot fail.
const CHECKED: &str = "the geometry was checked when the network was built";

implement_spiking_ops!(CubeBackend);
implement_spiking_gradients!(CubeBackend);
implement_update_ops!(CubeBackend);

impl KeepsInput for CubeBackend {
    /// The whole input, in the type that convolutions read.
    type ConvInput = CubeTensor;
}

fn map_time(input: CubeTensor, map: Arc<TimeMap>) -> CubeTensor {
    time::map(input, &map)
}

fn conv(input: CubeTensor, weight: CubeTensor, op: ConvOp) -> CubeTensor {
    conv_and_input(input, weight, op).0
}

fn conv_and_input(input: CubeTensor, weight: CubeTensor, op: ConvOp) -> (CubeTensor, CubeTensor) {
    let short = GpuPrecision::chosen();
    let (input, weight) = (short.round(input), short.round(weight));
    let x = permute_nhwc_to_nchw(input.clone());
    let y = conv_forward::<2>(x, weight, None, options(&op.geometry), ConvStrategy::default());
    (whole(permute_nchw_to_nhwc(y.expect(CHECKED))), input)
}

fn conv_input_gradient(gradient: CubeTensor, weight: CubeTensor, op: ConvOp) -> CubeTensor {
    let (g, short) = (op.geometry, GpuPrecision::chosen());
    let (gradient, weight) = (short.round(gradient), short.round(weight));
    let shape = Shape::new([gradient.meta.shape()[0], g.channels, g.height, g.width]);
    let d = permute_nhwc_to_nchw(gradient);
    let x = conv_data_backward::<2>(d, weight, shape, options(&g), ConvStrategy::default());
    whole(permute_nchw_to_nhwc(x.expect(CHECKED)))
}

fn conv_weight_gradient(gradient: CubeTensor, input: CubeTensor, op: ConvOp) -> CubeTensor {
    let g = op.geometry;
    let shape = Shape::new([g.out, g.channels, g.kernel, g.kernel]);
    let (x, d) = (permute_nhwc_to_nchw(input), permute_nhwc_to_nchw(GpuPrecision::chosen().round(gradient)));
    let w = conv_weight_backward::<2>(x, d, shape, options(&g), ConvStrategy::default());
    whole(w.expect(CHECKED))
}

fn conv_gradients(gradient: CubeTensor, weight: CubeTensor, input: CubeTensor, op: ConvOp) -> (CubeTensor, CubeTensor) {
    let of_input = conv_input_gradient(gradient.clone(), weight, op);
    (of_input, conv_weight_gradient(gradient, input, op))
}

fn accumulate(sum: CubeTensor, more: CubeTensor) -> CubeTensor {
    CubeBackend::float_add(sum, more)
}

fn fused_moments(branches: Branches<CubeBackend>, op: FusedOp) -> Vec<Option<Moments>> {
    fused::moments_of(&op, &contiguous(branches))
}

fn fused(branches: Branches<CubeBackend>, op: FusedOp, statistics: LayerStatistics) -> CubeTensor {
    let spikes = fused::spikes(&op, &contiguous(branches), &statistics);
    match op.pool {
        Some(pool) => pool::forward(spikes, pool),
        None => spikes,
    }
}

fn fused_sums(gradient: CubeTensor, layer: FusedSaved<CubeBackend>) -> FusedSums<CubeBackend> {
    let gradient = match layer.op.pool {
        Some(pool) => pool::backward(gradient, pool),
        None => into_contiguous(gradient),
    };
    fused::sums(&layer.op, &contiguous(layer.branches), &layer.statistics, gradient)
}

fn fused_gradients(
    sums: FusedSums<CubeBackend>,
    of_batch: Vec<Option<NormSums>>,
    layer: FusedSaved<CubeBackend>,
) -> Branches<CubeBackend> {
    fused::gradients(&layer.op, contiguous(layer.branches), &layer.statistics, sums, of_batch)
}

fn first_encode(input: CubeTensor, weight: CubeTensor, op: FirstOp) -> Encoded {
    Encoded::new(Stored::<CubeBackend>::new(input, weight, &op))
}

fn first_moments(input: Encoded, _: CubeTensor, op: FirstOp) -> Vec<Option<Moments>> {
    let fused = stored(&input).fused(NormParameters::None, op, LayerStatistics::default());
    fused_moments(fused.branches, fused.op)
}

fn first(
    input: Encoded,
    _: CubeTensor,
    norm: NormParameters<CubeBackend>,
    op: FirstOp,
    statistics: LayerStatistics,
) -> CubeTensor {
    let layer = stored(&input).fused(norm, op, statistics);
    fused(layer.branches, layer.op, layer.statistics)
}

fn first_sums(gradient: CubeTensor, layer: FirstSaved<CubeBackend>) -> FirstSums {
    let FirstSaved { input, norm, op, statistics, .. } = layer;
    let mut sums = fused_sums(gradient, stored(&input).fused(norm, op, statistics));
    FirstSums { weight: Encoded::new(sums.current.remove(0)), norm: sums.norms.remove(0) }
}

fn first_gradients(
    sums: FirstSums,
    of_batch: Option<NormSums>,
    layer: FirstSaved<CubeBackend>,
) -> FirstGradients<CubeBackend> {
    let current = vec![sums.weight.get::<CubeTensor>().clone()];
    let sums = FusedSums { current, norms: vec![sums.norm] };
    let input = layer.input.clone();
    stored(&input).gradients(sums, of_batch, layer).1
}

/// The feature map that [`first_encode`] computed.
fn stored(input: &Encoded) -> &Stored<CubeBackend> {
    input.get()
}

/// The branches of a fused layer, made contiguous.
fn contiguous(branches: Branches<CubeBackend>) -> Vec<BranchTensors<CubeBackend>> {
    branches.map(into_contiguous).into_vec()
}

/// The geometry of a convolution as Burn's options.
fn options(g: &Geometry) -> ConvOptions<2> {
    ConvOptions::new([g.stride; 2], [g.padding; 2], [1; 2], 1)
}
