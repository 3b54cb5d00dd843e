//! A first layer: a convolution of an input that is mostly zeros, and the fused layer that alone
//! reads it.

use super::{ConvOp, Encoded, FusedOp, Kernel, LayerStatistics, NormParameters, NormSums, Precision};
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

/// Input channels at most: beyond, what a step stores is small beside what it computes.
const MOST_CHANNELS: usize = 4;

/// A convolution and the spiking layer that alone reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstOp {
    /// The convolution.
    pub conv: ConvOp,
    /// What follows, of one branch.
    pub fused: FusedOp,
}

impl FirstOp {
    /// Whether a convolution (stride, padding, kernel side, input channels) can be such a layer.
    pub fn fits(stride: usize, padding: usize, side: usize, channels: usize) -> bool {
        stride == 1 && padding < side && channels <= MOST_CHANNELS
    }

    /// Whether its kernels are among those that were asked for.
    pub fn wanted(kernel: Kernel, precision: Precision) -> bool {
        matches!(kernel, Kernel::Auto | Kernel::Sparse) && precision == Precision::F32
    }
}

/// What a first layer saves for its backward pass.
#[derive(Debug, Clone)]
pub struct FirstSaved<B: Backend> {
    /// The encoded input.
    pub input: Encoded,
    /// Weight `[Co, C, k, k]`.
    pub weight: FloatTensor<B>,
    /// γ and β.
    pub norm: NormParameters<B>,
    /// The operator.
    pub op: FirstOp,
    /// Statistics of the whole batch.
    pub statistics: LayerStatistics,
}

/// The backward pass of a first layer before its sums are those of the whole batch.
#[derive(Debug)]
pub struct FirstSums {
    /// What its backend makes the gradient of the weight of.
    pub weight: Encoded,
    /// Sums of the norm over this part of the batch, if there is a norm.
    pub norm: Option<NormSums>,
}

/// Gradients of a first layer.
#[derive(Debug)]
pub struct FirstGradients<B: Backend> {
    /// Of the weight.
    pub weight: FloatTensor<B>,
    /// Of γ and β.
    pub norm: NormParameters<B>,
}
