//! A first layer: a convolution whose input is mostly zeros, and its only consumer, a fused layer.

use super::{ConvOp, Encoded, FusedOp, KernelChoice, LayerStatistics, NormParameters, NormSums, Precision};
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

/// Most input channels of a first layer. With more channels, storing the feature map costs little
/// compared with computing it, so fusing does not pay.
const MOST_CHANNELS: usize = 4;

/// A convolution and its only consumer, a fused layer.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstOp {
    /// The convolution.
    pub conv: ConvOp,
    /// The fused layer, of one branch.
    pub fused: FusedOp,
}

impl FirstOp {
    /// Whether a convolution (stride, padding, kernel side, input channels) can be part of a first
    /// layer.
    pub fn fits(stride: usize, padding: usize, side: usize, channels: usize) -> bool {
        stride == 1 && padding < side && channels <= MOST_CHANNELS
    }

    /// Whether the first-layer kernels may run if the caller asks for this kernel and precision.
    pub fn wanted(kernel: KernelChoice, precision: Precision) -> bool {
        matches!(kernel, KernelChoice::Auto | KernelChoice::Sparse) && precision == Precision::F32
    }
}

/// The values that a first layer saves for its backward pass.
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

/// The backward pass of a first layer before its sums are summed over the whole batch.
#[derive(Debug)]
pub struct FirstSums {
    /// The values from which the backend computes the weight gradient.
    pub weight: Encoded,
    /// The norm's sums over this part of the batch, if the layer has a norm.
    pub norm: Option<NormSums>,
}

/// Gradients of a first layer.
#[derive(Debug)]
pub struct FirstGradients<B: Backend> {
    /// Gradient of the weight.
    pub weight: FloatTensor<B>,
    /// Gradients of γ and β.
    pub norm: NormParameters<B>,
}
