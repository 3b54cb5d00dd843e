//! A first layer whose feature map is stored: a convolution, then a fused layer.
//!
//! Backends without kernels of their own for it compute it so, and every backend if the gradient of
//! the input is requested, which the kernels of `cpu/first` do not give.

use crate::operators::{
    BranchTensors, Branches, ConvInput, FirstGradients, FirstOp, FirstSaved, FusedSaved, FusedSums, LayerStatistics,
    NormParameters, NormSums, SpikingGradients,
};
use burn::backend::tensor::FloatTensor;

/// The output of the convolution, channels last, and what the gradient of its weight needs.
#[derive(Debug)]
pub(crate) struct Stored<B: SpikingGradients> {
    map: FloatTensor<B>,
    input: ConvInput<B>,
}

impl<B: SpikingGradients> Stored<B> {
    /// Of an input `[T_in·B, C, H, W]`.
    pub(crate) fn new(input: FloatTensor<B>, weight: FloatTensor<B>, op: &FirstOp) -> Self {
        let (map, input) = B::conv_and_input(B::float_permute(input, &[0, 2, 3, 1]), weight, op.conv);
        Self { map, input }
    }

    /// The fused layer that reads the map.
    pub(crate) fn fused(&self, norm: NormParameters<B>, op: FirstOp, statistics: LayerStatistics) -> FusedSaved<B> {
        let branches = Branches::One(BranchTensors { x: self.map.clone(), norm });
        FusedSaved { branches, op: op.fused, statistics }
    }

    /// Gradients of the map, and of weight, γ and β.
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

/// Gradients of the input and of weight, γ and β; `reduce` makes sums over the whole batch of those
/// of this part.
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
