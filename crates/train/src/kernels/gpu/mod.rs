//! The fused operators on a GPU (Burn's CubeCL backend: Vulkan, Metal, DirectX 12, CUDA).
//!
//! One kernel source, compiled for the device when it is first launched. Values are stored in f32 or in a
//! shorter float and computed in f32. Convolutions are Burn's own, which choose among kernels by timing
//! them once for each shape; so a sum may be added in another order in another run, and results are equal to
//! those of the CPU up to rounding only.

mod adamw;
mod equations;
mod fused;
mod launch;
mod neuron;
mod pool;
pub(crate) mod precision;
mod sgd;
mod time;

use super::adamw::AdamWOp;
use super::conv::{ConvOp, Geometry, Keep, Kept};
use super::first::{FirstOp, backward_in_parts, in_parts};
use super::fused::{FusedOp, StatisticsSlot};
use super::pool::TilePool;
use super::sgd::SgdOp;
use super::{NeuronOp, SpikingOps};
use crate::parallel::{GroupOps, Ranks};
use crate::ttm::TimeMap;
use burn::backend::ops::{ConvOptions, FloatTensorOps};
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::conv::{ConvStrategy, conv_data_backward, conv_forward, conv_weight_backward};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::{into_data_sync, permute_nchw_to_nhwc, permute_nhwc_to_nchw};
use burn_cubecl::tensor::CubeTensor;
use precision::{Precision, whole};
use std::sync::{Arc, PoisonError};

/// Why a convolution cannot fail.
const CHECKED: &str = "the geometry was checked when the network was built";

impl SpikingOps for CubeBackend {
    fn neuron_spikes(current: CubeTensor, op: NeuronOp) -> CubeTensor {
        neuron::forward(current, op)
    }

    fn neuron_spikes_and_potentials(current: CubeTensor, op: NeuronOp) -> (CubeTensor, CubeTensor) {
        neuron::forward_and_potentials(current, op)
    }

    fn neuron_backward(potentials: CubeTensor, gradient: CubeTensor, op: NeuronOp) -> CubeTensor {
        neuron::backward(potentials, gradient, op)
    }

    fn tile_pool(input: CubeTensor, op: TilePool) -> CubeTensor {
        pool::forward(input, op)
    }

    fn tile_pool_backward(gradient: CubeTensor, op: TilePool) -> CubeTensor {
        pool::backward(gradient, op)
    }

    fn map_time(input: CubeTensor, map: Arc<TimeMap>) -> CubeTensor {
        time::map(input, &map)
    }

    fn conv(input: CubeTensor, weight: CubeTensor, op: ConvOp, keep: Keep) -> CubeTensor {
        let short = Precision::chosen();
        let (input, weight) = (short.round(input), short.round(weight));
        if let Some(keep) = keep {
            *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(Kept::Device(Box::new(input.clone())));
        }
        let x = permute_nhwc_to_nchw(input);
        let y = conv_forward::<2>(x, weight, None, options(&op.geometry), ConvStrategy::default());
        whole(permute_nchw_to_nhwc(y.expect(CHECKED)))
    }

    fn conv_input_gradient(gradient: CubeTensor, weight: CubeTensor, op: ConvOp) -> CubeTensor {
        let (g, short) = (op.geometry, Precision::chosen());
        let (gradient, weight) = (short.round(gradient), short.round(weight));
        let shape = Shape::new([gradient.meta.shape()[0], g.channels, g.height, g.width]);
        let d = permute_nhwc_to_nchw(gradient);
        let x = conv_data_backward::<2>(d, weight, shape, options(&g), ConvStrategy::default());
        whole(permute_nchw_to_nhwc(x.expect(CHECKED)))
    }

    fn conv_weight_gradient(gradient: CubeTensor, kept: Kept, op: ConvOp) -> CubeTensor {
        let Kept::Device(input) = kept else { unreachable!("what a device's forward pass kept is on the device") };
        let g = op.geometry;
        let shape = Shape::new([g.out, g.channels, g.kernel, g.kernel]);
        let (x, d) = (permute_nhwc_to_nchw(*input), permute_nhwc_to_nchw(Precision::chosen().round(gradient)));
        let w = conv_weight_backward::<2>(x, d, shape, options(&g), ConvStrategy::default());
        whole(w.expect(CHECKED))
    }

    fn accumulate(sum: CubeTensor, more: CubeTensor) -> CubeTensor {
        Self::float_add(sum, more)
    }

    fn sgd(weight: CubeTensor, momentum: CubeTensor, gradient: CubeTensor, op: SgdOp) -> (CubeTensor, CubeTensor) {
        sgd::step(weight, momentum, gradient, op)
    }

    fn adamw(
        weight: CubeTensor,
        first: CubeTensor,
        second: CubeTensor,
        gradient: CubeTensor,
        op: AdamWOp,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        adamw::step(weight, first, second, gradient, op)
    }

    fn fused(
        x: CubeTensor,
        gain: CubeTensor,
        shift: CubeTensor,
        x2: CubeTensor,
        gain2: CubeTensor,
        shift2: CubeTensor,
        op: FusedOp,
        statistics: StatisticsSlot,
    ) -> CubeTensor {
        let inputs = inputs([x, gain, shift, x2, gain2, shift2], &op);
        let seen = fused::statistics_of(&op, &inputs);
        let spikes = fused::spikes(&op, &inputs, &seen);
        let spikes = match op.pool {
            Some(pool) => pool::forward(spikes, pool),
            None => spikes,
        };
        *statistics.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        spikes
    }

    fn fused_backward(
        gradient: CubeTensor,
        x: CubeTensor,
        gain: CubeTensor,
        shift: CubeTensor,
        x2: CubeTensor,
        gain2: CubeTensor,
        shift2: CubeTensor,
        op: FusedOp,
        statistics: StatisticsSlot,
    ) -> (CubeTensor, CubeTensor, CubeTensor, CubeTensor, CubeTensor, CubeTensor) {
        let unused = (x2.clone(), gain2.clone(), shift2.clone());
        let inputs = inputs([x, gain, shift, x2, gain2, shift2], &op);
        let seen = statistics.lock().unwrap_or_else(PoisonError::into_inner);
        let gradient = match op.pool {
            Some(pool) => pool::backward(gradient, pool),
            None => into_contiguous(gradient),
        };
        let mut all = fused::gradients(&op, &inputs, &seen, gradient).into_iter();
        // Of a branch that is not there nobody asks the gradient: any tensor of its shape will do.
        let mut next = || all.next().unwrap_or_else(|| unused.clone());
        let ((a, b, c), (d, e, f)) = (next(), next());
        (a, b, c, d, e, f)
    }

    fn first(
        input: CubeTensor,
        weight: CubeTensor,
        gain: CubeTensor,
        shift: CubeTensor,
        op: FirstOp,
        statistics: StatisticsSlot,
        keep: Keep,
    ) -> CubeTensor {
        if let Some(keep) = keep {
            *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(Kept::Device(Box::new(input.clone())));
        }
        in_parts::<Self>(input, [weight, gain, shift], op, statistics)
    }

    fn first_backward(
        gradient: CubeTensor,
        weight: CubeTensor,
        gain: CubeTensor,
        shift: CubeTensor,
        kept: Kept,
        op: FirstOp,
        statistics: StatisticsSlot,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let Kept::Device(input) = kept else { unreachable!("what a device's forward pass kept is on the device") };
        let [_, w, g, s] = backward_in_parts::<Self>(gradient, *input, [weight, gain, shift], op, statistics);
        (w, g, s)
    }
}

impl GroupOps for CubeBackend {
    fn sum_over_ranks(input: CubeTensor, ranks: Ranks) -> CubeTensor {
        let shape = input.meta.shape().clone();
        let mut sum: Vec<f32> = into_data_sync(input.clone()).try_into_vec().expect("every sum of this crate is f32");
        let _ = ranks.sum_f32(&mut sum);
        let handle = input.client.create_from_slice(bytemuck::cast_slice(&sum));
        CubeTensor::new_contiguous(input.client, input.device, shape, handle, DType::F32)
    }
}

/// The branches of a fused layer without gaps.
fn inputs(tensors: [CubeTensor; 6], op: &FusedOp) -> Vec<fused::Input> {
    let [x, gain, shift, x2, gain2, shift2] = tensors.map(into_contiguous);
    [(x, gain, shift), (x2, gain2, shift2)].into_iter().take(op.branches.len()).collect()
}

/// A convolution in the words of the tensor library.
fn options(g: &Geometry) -> ConvOptions<2> {
    ConvOptions::new([g.stride; 2], [g.padding; 2], [1; 2], 1)
}
