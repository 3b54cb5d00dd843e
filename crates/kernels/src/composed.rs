//! A first layer that stores its feature map: a convolution followed by a fused layer.
//!
//! A backend uses this form in two cases: if it has no first-layer kernels of its own, and if the
//! gradient of the input is requested, because the kernels of `cpu/first` do not compute it.

use crate::operators::{
    BranchTensors, Branches, ConvInput, FirstGradients, FirstOp, FirstSaved, FusedSaved, FusedSums, LayerStatistics,
    NormParameters, NormSums, SpikingGradients,
};
use burn::backend::tensor::FloatTensor;

/// The output of the convolution, channels-last, and the input as the weight gradient needs it.
#[derive(Debug)]
pub(crate) struct Stored<B: SpikingGradients> {
    map: FloatTensor<B>,
    input: ConvInput<B>,
}

impl<B: SpikingGradients> Stored<B> {
    /// Convolves an input `[T_in·B, C, H, W]`.
    pub(crate) fn new(input: FloatTensor<B>, weight: FloatTensor<B>, op: &FirstOp) -> Self {
        let (map, input) = B::conv_and_input(B::float_permute(input, &[0, 2, 3, 1]), weight, op.conv);
        Self { map, input }
    }

    /// Returns the fused layer that reads the map.
    pub(crate) fn fused(&self, norm: NormParameters<B>, op: FirstOp, statistics: LayerStatistics) -> FusedSaved<B> {
        let branches = Branches::One(BranchTensors { x: self.map.clone(), norm });
        FusedSaved { branches, op: op.fused, statistics }
    }

    /// Gradients of the map, and of the weight, γ and β. `of_batch` holds the norm's sums over the
    /// whole batch.
    pub(crate) fn gradients(
        &self,
        sums: FusedSums<B>,
        of_batch: Option<NormSums>,
        layer: FirstSaved<B>,
    ) -> (FloatTensor<B>, FirstGradients<B>) {
        let conv = layer.op.conv;
        let fused = self.fused(layer.norm, layer.op, layer.statistics);
        let Branches::One(BranchTensors { x, norm }) = B::fused_gradients(sums, vec![of_batch], fused) else {
            unreachable!("a layer of one branch has the gradients of one");
        };
        let weight = B::conv_weight_gradient(x.clone(), self.input.clone(), conv);
        (x, FirstGradients { weight, norm })
    }
}

/// Gradients of the input, and of the weight, γ and β. `reduce` turns the norm's sums over this
/// part of the batch into sums over the whole batch.
pub(crate) fn gradients_with_input<B: SpikingGradients>(
    gradient: FloatTensor<B>,
    input: FloatTensor<B>,
    layer: FirstSaved<B>,
    reduce: impl FnOnce(Option<&NormSums>) -> Option<NormSums>,
) -> (FloatTensor<B>, FirstGradients<B>) {
    let stored = Stored::<B>::new(input, layer.weight.clone(), &layer.op);
    let sums = B::fused_sums(gradient, stored.fused(layer.norm.clone(), layer.op.clone(), layer.statistics.clone()));
    let of_batch = reduce(sums.norms[0].as_ref());
    let (conv, weight) = (layer.op.conv, layer.weight.clone());
    let (map, gradients) = stored.gradients(sums, of_batch, layer);
    (B::float_permute(B::conv_input_gradient(map, weight, conv), &[0, 3, 1, 2]), gradients)
}
