//! The operators that a backend must implement beyond those of Burn. Each signature is declared
//! once.
//!
//! Networks call [`SpikingOps`], on any backend and through autodiff. The autodiff rules call
//! [`SpikingGradients`] on the inner backend. [`UpdateOps`] updates weights and is not part of a
//! graph. The files of this folder describe the operators; each backend has a folder that computes
//! them.
//!
//! A backend implements a trait by calling a macro (for example `implement_spiking_ops`). The macro
//! forwards every operator to the function of the same name in the calling module, so `cpu/mod.rs`
//! is a table of these functions.
//!
//! The operators know nothing of other processes. If several processes share a batch, the caller
//! adds up the [`Moments`] between [`SpikingOps::fused_moments`] and [`SpikingOps::fused`], and
//! supplies a [`Reduction`] that adds up the [`NormSums`]: the autodiff rule calls it between
//! [`SpikingGradients::fused_sums`] and [`SpikingGradients::fused_gradients`].

mod conv;
mod encoded;
mod first;
mod fused;
mod geometry;
mod neuron;
mod pool;
mod reduction;
mod update;

pub use conv::{ConvOp, KernelChoice, Precision};
pub use encoded::Encoded;
pub use first::{FirstGradients, FirstOp, FirstSaved, FirstSums};
pub use fused::{
    Branch, BranchNorm, BranchTensors, Branches, FusedOp, FusedSaved, FusedSums, LayerStatistics, Moments,
    NormParameters, NormSums, Statistics,
};
pub(crate) use fused::{inverse_deviation, norm_constants, parameter_gradients};
pub use geometry::Geometry;
pub use neuron::NeuronOp;
pub use pool::TilePool;
pub use reduction::{Reduction, SharedBatch};
pub use update::{AdamWOp, AdamWTensors, SgdOp, SgdTensors};

use crate::ttm::TimeMap;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata, backend_extension};
use burn::tensor::Shape;
use std::fmt::Debug;
use std::sync::Arc;

/// Implements a trait for a backend with the functions of the same names in the calling module.
macro_rules! implement {
    ([$($generics:tt)*] $trait:ident for $backend:ty, $turbofish:tt {
        $( $(#[$($attribute:tt)*])*
        fn $operator:ident($( $(#[$mark:meta])* $argument:ident: $type:ty ),* $(,)?) -> $result:ty; )*
    } {
        $( $(#[$($provided_attribute:tt)*])*
        fn $provided:ident($( $(#[$provided_mark:meta])* $given:ident: $given_type:ty ),* $(,)?) -> $made:ty $body:block )*
    }) => {
        impl $($generics)* $crate::operators::$trait for $backend {
            $( $crate::operators::implement!(@forward $turbofish $operator($($argument: $type),*) -> $result); )*
            $( $crate::operators::implement!(@forward $turbofish $provided($($given: $given_type),*) -> $made); )*
        }
    };
    (@forward [$($turbofish:tt)*] $operator:ident($($argument:ident: $type:ty),*) -> $result:ty) => {
        fn $operator($($argument: $type),*) -> $result {
            $operator $($turbofish)* ($($argument),*)
        }
    };
}
pub(crate) use implement;

/// Declares a trait of operators and the macro that implements it.
///
/// Operators after `differentiated` have a default, which is right for a backend without autodiff.
/// (The first argument is a dollar sign, for the parameters of the declared macro.)
macro_rules! operators {
    (($d:tt) as $implement:ident: $(#[$($attribute:tt)*])* pub trait $trait:ident: $bound:ident {
        $($required:tt)*
    } $(differentiated { $($provided:tt)* })?) => {
        $(#[$($attribute)*])*
        pub trait $trait: $bound { $($required)* $($($provided)*)? }

        macro_rules! $implement {
            (differentiated $d backend:ty) => {
                $crate::operators::implement!([<B: SpikingGradients, C: CheckpointStrategy>] $trait for $d backend,
                    [::<B, C>] { $($required)* } { $($($provided)*)? });
            };
            ($d backend:ty) => {
                $crate::operators::implement!([] $trait for $d backend, [] { $($required)* } {});
            };
        }
        pub(crate) use $implement;
    };
}

operators! { ($) as implement_spiking_ops:
    /// The operators that a network calls.
    #[backend_extension(Cube: cfg(any(feature = "wgpu", feature = "cuda")), Flex, Autodiff)]
    pub trait SpikingOps: Backend {
        /// The spikes of a neuron layer; input and output `[T·B, …]`.
        fn neuron_spikes(current: FloatTensor<Self>, op: NeuronOp) -> FloatTensor<Self>;

        /// Sum pooling over tiles of a feature map.
        fn tile_pool(input: FloatTensor<Self>, op: TilePool) -> FloatTensor<Self>;

        /// A linear map over the time axis: `[T_in·B, …]` to `[T_out·B, …]`.
        fn map_time(input: FloatTensor<Self>, map: Arc<TimeMap>) -> FloatTensor<Self>;

        /// Convolution of a channels-last map: `[N, H, W, C]` to `[N, OH, OW, Co]`.
        fn conv(input: FloatTensor<Self>, weight: FloatTensor<Self>, op: ConvOp) -> FloatTensor<Self>;

        /// One entry per branch: the moments of a branch with a batch norm, `None` for others.
        fn fused_moments(#[extension_type] branches: Branches<Self>, op: FusedOp) -> Vec<Option<Moments>>;

        /// The spikes of a fused layer `[T·B, H, W, C]`, normalised by `statistics`.
        fn fused(
            #[extension_type] branches: Branches<Self>,
            op: FusedOp,
            statistics: LayerStatistics,
        ) -> FloatTensor<Self>;

        /// Encodes the input `[T_in·B, C, H, W]` of a first layer for the other `first` operators.
        fn first_encode(input: FloatTensor<Self>, weight: FloatTensor<Self>, op: FirstOp) -> Encoded;

        /// One entry: the moments of the convolution's output if the layer has a batch norm.
        fn first_moments(input: Encoded, weight: FloatTensor<Self>, op: FirstOp) -> Vec<Option<Moments>>;

        /// The spikes of a first layer, normalised by `statistics`.
        fn first(
            input: Encoded,
            weight: FloatTensor<Self>,
            #[extension_type] norm: NormParameters<Self>,
            op: FirstOp,
            statistics: LayerStatistics,
        ) -> FloatTensor<Self>;
    } differentiated {
        /// A scalar 0. When it is differentiated, `end` receives the gradient `gradient`.
        fn seed_gradient(end: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
            let _ = gradient;
            Self::float_zeros(Shape::new([1]), &end.device(), end.dtype().into())
        }

        /// As [`fused`](Self::fused). The backward pass sums over the whole batch with `reduction`.
        fn fused_in_batch(
            #[extension_type] branches: Branches<Self>,
            op: FusedOp,
            statistics: LayerStatistics,
            reduction: Reduction,
        ) -> FloatTensor<Self> {
            let _ = reduction;
            Self::fused(branches, op, statistics)
        }

        /// As [`first`](Self::first). The backward pass sums over the whole batch with `reduction`.
        /// `input` is the tensor that was encoded; it is saved in case its gradient is requested.
        fn first_in_batch(
            input: FloatTensor<Self>,
            encoded: Encoded,
            weight: FloatTensor<Self>,
            #[extension_type] norm: NormParameters<Self>,
            op: FirstOp,
            statistics: LayerStatistics,
            reduction: Reduction,
        ) -> FloatTensor<Self> {
            let _ = (input, reduction);
            Self::first(encoded, weight, norm, op, statistics)
        }
    }
}

operators! { ($) as implement_update_ops:
    /// Steps of optimisers, and the sum of gradients. They are not part of a graph.
    #[backend_extension(Cube: cfg(any(feature = "wgpu", feature = "cuda")), Flex)]
    pub trait UpdateOps: Backend {
        /// The sum of two tensors.
        fn accumulate(sum: FloatTensor<Self>, more: FloatTensor<Self>) -> FloatTensor<Self>;

        /// Weight and momentum after one step of SGD.
        fn sgd(#[extension_type] of: SgdTensors<Self>, gradient: FloatTensor<Self>, op: SgdOp) -> SgdTensors<Self>;

        /// Weight and moments after one step of AdamW.
        fn adamw(
            #[extension_type] of: AdamWTensors<Self>,
            gradient: FloatTensor<Self>,
            op: AdamWOp,
        ) -> AdamWTensors<Self>;
    }
}

/// A backend whose convolutions save their input for backward.
pub trait KeepsInput: Backend {
    /// The input of a convolution in the form that its weight gradient needs.
    type ConvInput: Clone + Debug + Send + Sync + 'static;
}

/// The [`KeepsInput::ConvInput`] of a backend.
pub type ConvInput<B> = <B as KeepsInput>::ConvInput;

operators! { ($) as implement_spiking_gradients:
    /// The operators that the autodiff rules call: forward passes that save values for backward,
    /// and gradients.
    pub trait SpikingGradients: DifferentiableBackend {
        /// Spikes and membrane potentials u before the spike.
        fn neuron_and_potentials(current: FloatTensor<Self>, op: NeuronOp) -> (FloatTensor<Self>, FloatTensor<Self>);

        /// Gradient of the current from the potentials u and the gradient of the spikes.
        fn neuron_gradient(
            potentials: FloatTensor<Self>,
            gradient: FloatTensor<Self>,
            op: NeuronOp,
        ) -> FloatTensor<Self>;

        /// Gradient of the input of [`SpikingOps::tile_pool`] from the gradient of its output.
        fn tile_pool_gradient(gradient: FloatTensor<Self>, op: TilePool) -> FloatTensor<Self>;

        /// Convolution; also returns the input in the form that the weight gradient needs.
        fn conv_and_input(
            input: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            op: ConvOp,
        ) -> (FloatTensor<Self>, ConvInput<Self>);

        /// Gradient of the input of [`SpikingOps::conv`].
        fn conv_input_gradient(
            gradient: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            op: ConvOp,
        ) -> FloatTensor<Self>;

        /// Gradient of the weight of [`SpikingOps::conv`].
        fn conv_weight_gradient(gradient: FloatTensor<Self>, input: ConvInput<Self>, op: ConvOp) -> FloatTensor<Self>;

        /// Gradients of input and weight of [`SpikingOps::conv`].
        fn conv_gradients(
            gradient: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            input: ConvInput<Self>,
            op: ConvOp,
        ) -> (FloatTensor<Self>, FloatTensor<Self>);

        /// Gradients of the terms of a fused layer's current, and their sums over this part of the
        /// batch.
        fn fused_sums(gradient: FloatTensor<Self>, layer: FusedSaved<Self>) -> FusedSums<Self>;

        /// Gradients of all tensors of a fused layer; `of_batch` holds the sums over the whole
        /// batch.
        fn fused_gradients(
            sums: FusedSums<Self>,
            of_batch: Vec<Option<NormSums>>,
            layer: FusedSaved<Self>,
        ) -> Branches<Self>;

        /// Sums over the active inputs in this part of the batch, from which the gradients of a
        /// first layer are computed.
        fn first_sums(gradient: FloatTensor<Self>, layer: FirstSaved<Self>) -> FirstSums;

        /// Gradients of the weight and norm of a first layer; `of_batch` holds the sums over the
        /// whole batch.
        fn first_gradients(
            sums: FirstSums,
            of_batch: Option<NormSums>,
            layer: FirstSaved<Self>,
        ) -> FirstGradients<Self>;
    }
}

/// A backend with the operators of a network that can save values for their gradients.
pub trait DifferentiableBackend: SpikingOps + KeepsInput {}

impl<B: SpikingOps + KeepsInput> DifferentiableBackend for B {}
