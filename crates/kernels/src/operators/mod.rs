//! The operators: what a backend must offer beyond those of the tensor library, each signature
//! once.
//!
//! [`SpikingOps`] is what a network calls, on any backend and through autodiff.
//! [`SpikingGradients`] is what the autodiff rule calls on the backend below it. [`UpdateOps`]
//! changes weights, outside any graph. The files of this folder describe the operators; how they
//! are computed stands in one folder for each backend.
//!
//! A backend implements a trait by a macro of its name, which forwards every operator to the
//! function of the same name in the module that calls the macro: `cpu/mod.rs` is a table of them.
//!
//! No operator knows of other processes. If a batch is shared, whoever shares it adds up the
//! [`Moments`] between [`SpikingOps::fused_moments`] and [`SpikingOps::fused`], and the
//! [`NormSums`] through a [`Reduction`] that the autodiff rule calls between
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

pub use conv::{ConvOp, Kernel, Precision};
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

/// Implements a trait for a backend by the functions of the same names where the macro is called.
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
/// What stands after `differentiated` has a default that suffices where nothing is differentiated.
/// (The first argument is a dollar sign for the parameters of the macro that is declared.)
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
    /// What a network calls.
    #[backend_extension(Cube: cfg(any(feature = "wgpu", feature = "cuda")), Flex, Autodiff)]
    pub trait SpikingOps: Backend {
        /// Spikes of a neuron layer; input and output `[T·B, …]`.
        fn neuron_spikes(current: FloatTensor<Self>, op: NeuronOp) -> FloatTensor<Self>;

        /// Sums over tiles of a map.
        fn tile_pool(input: FloatTensor<Self>, op: TilePool) -> FloatTensor<Self>;

        /// A linear map over the time axis: `[T_in·B, …]` to `[T_out·B, …]`.
        fn map_time(input: FloatTensor<Self>, map: Arc<TimeMap>) -> FloatTensor<Self>;

        /// Convolution of a channels-last map.
        fn conv(input: FloatTensor<Self>, weight: FloatTensor<Self>, op: ConvOp) -> FloatTensor<Self>;

        /// Moments of the branches that are normalised by the batch, in their order.
        fn fused_moments(#[extension_type] branches: Branches<Self>, op: FusedOp) -> Vec<Option<Moments>>;

        /// Spikes of a fused layer, normalised by `statistics`.
        fn fused(
            #[extension_type] branches: Branches<Self>,
            op: FusedOp,
            statistics: LayerStatistics,
        ) -> FloatTensor<Self>;

        /// The input `[T_in·B, C, H, W]` of a first layer as its other operators read it.
        fn first_encode(input: FloatTensor<Self>, weight: FloatTensor<Self>, op: FirstOp) -> Encoded;

        /// Moments of the convolution's output, if it is normalised by the batch.
        fn first_moments(input: Encoded, weight: FloatTensor<Self>, op: FirstOp) -> Vec<Option<Moments>>;

        /// Spikes of a first layer, normalised by `statistics`.
        fn first(
            input: Encoded,
            weight: FloatTensor<Self>,
            #[extension_type] norm: NormParameters<Self>,
            op: FirstOp,
            statistics: LayerStatistics,
        ) -> FloatTensor<Self>;
    } differentiated {
        /// One value, 0, whose gradient with respect to `end` is `gradient`.
        fn seed_gradient(end: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
            let _ = gradient;
            Self::float_zeros(Shape::new([1]), &end.device(), end.dtype().into())
        }

        /// As [`fused`](Self::fused); its backward pass adds up the batch by `reduction`.
        fn fused_in_batch(
            #[extension_type] branches: Branches<Self>,
            op: FusedOp,
            statistics: LayerStatistics,
            reduction: Reduction,
        ) -> FloatTensor<Self> {
            let _ = reduction;
            Self::fused(branches, op, statistics)
        }

        /// As [`first`](Self::first); its backward pass adds up the batch by `reduction`. `input`
        /// is what was encoded: it is kept in case its own gradient is requested.
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
    /// One step of an optimiser, and the sum of gradients: no part of a graph.
    #[backend_extension(Cube: cfg(any(feature = "wgpu", feature = "cuda")), Flex)]
    pub trait UpdateOps: Backend {
        /// The sum of two tensors.
        fn accumulate(sum: FloatTensor<Self>, more: FloatTensor<Self>) -> FloatTensor<Self>;

        /// Weight and momentum after a step of SGD.
        fn sgd(#[extension_type] of: SgdTensors<Self>, gradient: FloatTensor<Self>, op: SgdOp) -> SgdTensors<Self>;

        /// Weight and moments after a step of AdamW.
        fn adamw(
            #[extension_type] of: AdamWTensors<Self>,
            gradient: FloatTensor<Self>,
            op: AdamWOp,
        ) -> AdamWTensors<Self>;
    }
}

/// A backend whose convolutions can be differentiated.
pub trait KeepsInput: Backend {
    /// What the weight gradient of a convolution needs of its input.
    type ConvInput: Clone + Debug + Send + Sync + 'static;
}

/// What [`KeepsInput::ConvInput`] is of a backend.
pub type ConvInput<B> = <B as KeepsInput>::ConvInput;

operators! { ($) as implement_spiking_gradients:
    /// What the autodiff rule calls: forward passes that keep what backward needs, and gradients.
    pub trait SpikingGradients: DifferentiableBackend {
        /// Spikes and membrane potentials u before the spike.
        fn neuron_and_potentials(current: FloatTensor<Self>, op: NeuronOp) -> (FloatTensor<Self>, FloatTensor<Self>);

        /// Gradient of the current from the potentials u and the gradient of the spikes.
        fn neuron_gradient(
            potentials: FloatTensor<Self>,
            gradient: FloatTensor<Self>,
            op: NeuronOp,
        ) -> FloatTensor<Self>;

        /// Gradient of the input of [`SpikingOps::tile_pool`] from that of its output.
        fn tile_pool_gradient(gradient: FloatTensor<Self>, op: TilePool) -> FloatTensor<Self>;

        /// Convolution, and what its weight gradient needs.
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

        /// Gradients of all tensors of a fused layer; `of_batch` are the sums over the whole batch.
        fn fused_gradients(
            sums: FusedSums<Self>,
            of_batch: Vec<Option<NormSums>>,
            layer: FusedSaved<Self>,
        ) -> Branches<Self>;

        /// Sums over active inputs and this part of the batch, of which the gradients of a first
        /// layer are made.
        fn first_sums(gradient: FloatTensor<Self>, layer: FirstSaved<Self>) -> FirstSums;

        /// Gradients of weight and norm of a first layer; `of_batch` are the sums over the whole
        /// batch.
        fn first_gradients(
            sums: FirstSums,
            of_batch: Option<NormSums>,
            layer: FirstSaved<Self>,
        ) -> FirstGradients<Self>;
    }
}

/// A backend with the operators of a network that keeps what their gradients need.
pub trait DifferentiableBackend: SpikingOps + KeepsInput {}

impl<B: SpikingOps + KeepsInput> DifferentiableBackend for B {}
