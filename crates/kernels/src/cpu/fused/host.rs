//! The fused-layer operators of the CPU backend: they turn tensors into the slices that the kernels
//! of this folder read.

use super::{backward, forward};
use crate::cpu::simd::detect;
use crate::cpu::tensor::{from_vec, values};
use crate::operators::{
    BranchTensors, Branches, FusedOp, FusedSaved, FusedSums, LayerStatistics, Moments, NormParameters, NormSums,
    parameter_gradients,
};
use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;

pub(crate) fn moments(branches: Branches<Flex>, op: FusedOp) -> Vec<Option<Moments>> {
    let branches = contiguous(branches);
    forward::moments_of(detect(), &op, &inputs(&branches), channels(&branches))
}

pub(crate) fn spikes(branches: Branches<Flex>, op: FusedOp, statistics: LayerStatistics) -> FlexTensor {
    let branches = contiguous(branches);
    let spikes = forward::spikes(detect(), &op, &inputs(&branches), &statistics, channels(&branches));
    let mut shape = branches[0].x.shape();
    let steps = op.branches[0].repeat.as_ref().map_or(op.neuron.steps, |m| m.t_in());
    shape[0] = shape[0] / steps * op.neuron.steps;
    if let Some(pool) = op.pool {
        shape = pool.resized(shape, pool.out());
    }
    from_vec(spikes, shape)
}

pub(crate) fn sums(gradient: FlexTensor, layer: FusedSaved<Flex>) -> FusedSums<Flex> {
    let (branches, gradient) = (contiguous(layer.branches), gradient.to_contiguous());
    let (isa, channels, inputs) = (detect(), channels(&branches), inputs(&branches));
    let all = backward::sums(isa, &layer.op, &inputs, &layer.statistics, channels, values(&gradient));
    let (current, norms): (Vec<_>, _) = all.into_iter().unzip();
    let current = current.into_iter().zip(&branches).map(|(g, b)| from_vec(g, b.x.shape())).collect();
    FusedSums { current, norms }
}

pub(crate) fn gradients(
    sums: FusedSums<Flex>,
    of_batch: Vec<Option<NormSums>>,
    layer: FusedSaved<Flex>,
) -> Branches<Flex> {
    let (branches, isa) = (contiguous(layer.branches), detect());
    let inputs = inputs(&branches);
    let all = sums.current.into_iter().zip(sums.norms).zip(of_batch).enumerate();
    Branches::of(all.map(|(b, ((mut x, own), of_batch))| {
        let seen = layer.statistics[b].as_ref();
        let (Some(own), Some(of_batch)) = (own, of_batch) else {
            return BranchTensors { x, norm: NormParameters::None };
        };
        backward::through_norm(isa, &layer.op, b, inputs[b], seen, &of_batch, x.storage_mut());
        let parameters = parameter_gradients(layer.op.branches[b].norm, seen, &own);
        let [gain, shift] = parameters.map(|v| from_vec(v, Shape::new([channels(&branches)])));
        BranchTensors { x, norm: NormParameters::Given { gain, shift } }
    }))
}

/// The branches, made contiguous.
fn contiguous(branches: Branches<Flex>) -> Vec<BranchTensors<Flex>> {
    branches.map(|t: FlexTensor| t.to_contiguous()).into_vec()
}

/// The branches of a fused layer as slices.
fn inputs(branches: &[BranchTensors<Flex>]) -> Vec<forward::Input<'_>> {
    fn of_branch(BranchTensors { x, norm }: &BranchTensors<Flex>) -> forward::Input<'_> {
        let (gain, shift): (&[f32], &[f32]) = match norm {
            NormParameters::None => (&[], &[]),
            NormParameters::Given { gain, shift } => (values(gain), values(shift)),
        };
        forward::Input { x: values(x), gain, shift }
    }
    branches.iter().map(of_branch).collect()
}

/// The number of channels of the layer.
fn channels(branches: &[BranchTensors<Flex>]) -> usize {
    branches[0].x.shape()[3]
}
