//! The first-layer operators of the CPU backend: they turn tensors into the slices that the kernels
//! of this folder read.

use super::backward::{self, Products};
use super::layout::{self, Layout};
use super::{Norm, Rows, forward};
use crate::cpu::conv::choice;
use crate::cpu::simd::detect;
use crate::cpu::tensor::{from_vec, values};
use crate::operators::{
    Encoded, FirstGradients, FirstOp, FirstSaved, FirstSums, LayerStatistics, Moments, NormParameters, NormSums,
    parameter_gradients,
};
use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;

/// Encodes the active values of the input, row by row.
pub(crate) fn encode(input: FlexTensor, _: FlexTensor, op: FirstOp) -> Encoded {
    let (input, g) = (input.to_contiguous(), op.conv.geometry);
    let rows = Rows::of(detect(), values(&input), &g, layout::pitch(&g));
    choice::report(&g, rows.images(), Some(rows.density(&g)), true, true);
    Encoded::new(rows)
}

/// One entry: the moments of the convolution's output if the layer has a batch norm, else `None`.
pub(crate) fn moments(input: Encoded, weight: FlexTensor, op: FirstOp) -> Vec<Option<Moments>> {
    let (rows, weight) = (input.get::<Rows>(), weight.to_contiguous());
    let is_of_batch = op.fused.branches[0].norm.is_of_batch();
    let layout = Layout::new(&op, rows.images());
    vec![is_of_batch.then(|| forward::moments(detect(), &layout, rows, values(&weight)))]
}

/// The spikes, after pooling, `[T·B, H, W, Co]`.
pub(crate) fn spikes(
    input: Encoded,
    weight: FlexTensor,
    norm: NormParameters<Flex>,
    op: FirstOp,
    statistics: LayerStatistics,
) -> FlexTensor {
    let (rows, weight, norm) = (input.get::<Rows>(), weight.to_contiguous(), contiguous(norm));
    let layout = Layout::new(&op, rows.images());
    let norm = norm_of(&norm, &statistics);
    let spikes = forward::spikes(detect(), &op, &layout, rows, values(&weight), norm);
    let (height, width) = layout.out;
    from_vec(spikes, Shape::new([layout.batch * layout.steps.len(), height, width, layout.g.out]))
}

/// Spikes of one step, after pooling, `[B, H, W, Co]`, from an input `[B, C, H, W]`, a weight `[Co,
/// C, k, k]`, and the γ and β of a norm without batch statistics. Moves `membranes` on by the step.
pub(crate) fn step(
    op: &FirstOp,
    (input, weight): (&[f32], &[f32]),
    (gain, shift): (&[f32], &[f32]),
    membranes: &mut [f32],
) -> (Vec<f32>, [usize; 4]) {
    let g = op.conv.geometry;
    let rows = Rows::of(detect(), input, &g, layout::pitch(&g));
    choice::report(&g, rows.images(), Some(rows.density(&g)), true, true);
    let layout = Layout::new(op, rows.images());
    let norm = Norm { gain, shift, statistics: None };
    let spikes = forward::step(detect(), op, &layout, &rows, weight, norm, membranes);
    let (height, width) = layout.out;
    (spikes, [layout.batch, height, width, g.out])
}

/// The sums from which the gradients of the weight, γ and β are computed.
pub(crate) fn sums(gradient: FlexTensor, layer: FirstSaved<Flex>) -> FirstSums {
    let FirstSaved { input, weight, norm, op, statistics } = layer;
    let (rows, gradient, weight, norm) =
        (input.get::<Rows>(), gradient.to_contiguous(), weight.to_contiguous(), contiguous(norm));
    let layout = Layout::new(&op, rows.images());
    let norm = norm_of(&norm, &statistics);
    let (products, norm) = backward::sums(detect(), &op, &layout, rows, values(&weight), norm, values(&gradient));
    FirstSums { weight: Encoded::new(products), norm }
}

/// Gradients of the weight, γ and β.
pub(crate) fn gradients(sums: FirstSums, of_batch: Option<NormSums>, layer: FirstSaved<Flex>) -> FirstGradients<Flex> {
    let FirstSaved { weight, norm, op, statistics, .. } = layer;
    let norm = contiguous(norm);
    let (of_norm, products) = (norm_of(&norm, &statistics), sums.weight.get::<Products>());
    let of_weight = backward::weight(&op, products, of_batch.as_ref(), of_norm);
    let of_norm = match sums.norm {
        None => NormParameters::None,
        Some(own) => {
            let shape = Shape::new([op.conv.geometry.out]);
            let [gain, shift] = parameter_gradients(op.fused.branches[0].norm, of_norm.statistics, &own);
            NormParameters::Given { gain: from_vec(gain, shape.clone()), shift: from_vec(shift, shape) }
        }
    };
    FirstGradients { weight: from_vec(of_weight, weight.shape()), norm: of_norm }
}

fn contiguous(norm: NormParameters<Flex>) -> NormParameters<Flex> {
    norm.map(&mut |t: FlexTensor| t.to_contiguous())
}

fn norm_of<'a>(norm: &'a NormParameters<Flex>, statistics: &'a LayerStatistics) -> Norm<'a> {
    let (gain, shift): (&[f32], &[f32]) = match norm {
        NormParameters::None => (&[], &[]),
        NormParameters::Given { gain, shift } => (values(gain), values(shift)),
    };
    Norm { gain, shift, statistics: statistics.first().and_then(Option::as_ref) }
}
