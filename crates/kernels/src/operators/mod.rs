//! The operators, each signature once: what a backend must offer beyond those of the tensor library.
//!
//! [`SpikingOps`] is what a network calls, on any backend and through autodiff. [`SpikingGradients`] is what the
//! autodiff rule (`autodiff.rs`) calls on the backend below it. [`UpdateOps`] changes weights, outside any graph.
//! The macro [`operators!`] makes a backend's implementation of a trait from its module: the operator `conv` of the
//! CPU is the function `flex::conv`, with the arguments of the trait.
//!
//! No operator knows of other processes. Where a batch is shared, whoever shares it adds up the [`Moments`] between
//! [`SpikingOps::fused_moments`] and [`SpikingOps::fused`], and the [`NormSums`] through a [`Reduction`] that the
//! autodiff rule calls between [`SpikingGradients::fused_sums`] and [`SpikingGradients::fused_gradients`].

use super::conv::ConvOp;
use super::first::FirstOp;
use super::fused::statistics::Moments;
use super::fused::{FusedOp, Statistics};
use super::{AdamWOp, NeuronOp, SgdOp, TilePool};
use crate::ttm::TimeMap;
use burn::backend::autodiff::{Autodiff, checkpoint::strategy::CheckpointStrategy};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType, Flex, TensorMetadata, backend_extension};
use burn::tensor::Shape;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn_cubecl::CubeBackend;
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// Implements a trait for a backend by the functions of the same names in a module.
macro_rules! implement {
    ([$($generics:tt)*] $trait:ident for $backend:ty, $module:ident $turbofish:tt {
        $( $(#[$($attribute:tt)*])*
        fn $operator:ident($( $(#[$mark:meta])* $argument:ident: $type:ty ),* $(,)?) -> $result:ty; )*
    } {
        $( $(#[$($provided_attribute:tt)*])*
        fn $provided:ident($( $(#[$provided_mark:meta])* $given:ident: $given_type:ty ),* $(,)?) -> $made:ty $body:block )*
    }) => {
        impl $($generics)* $trait for $backend {
            $( fn $operator($($argument: $type),*) -> $result {
                implement!(@call $module, $operator, $turbofish)($($argument),*)
            } )*
            $( fn $provided($($given: $given_type),*) -> $made {
                implement!(@call $module, $provided, $turbofish)($($given),*)
            } )*
        }
    };
    (@call $module:ident, $operator:ident, ()) => { super::$module::$operator };
    (@call $module:ident, $operator:ident, (B, C)) => { super::$module::$operator::<B, C> };
}

/// Declares a trait of operators and implements it for every backend.
///
/// What stands after `differentiated` has a default that suffices where nothing is differentiated.
macro_rules! operators {
    ($(#[$($attribute:tt)*])* pub trait $trait:ident: $bound:ident { $($required:tt)* }
    differentiated { $($provided:tt)* }) => {
        operators!(@declare [$(#[$($attribute)*])*] $trait $bound { $($required)* } { $($provided)* });
        implement!([<B: SpikingGradients, C: CheckpointStrategy>] $trait for Autodiff<B, C>, autodiff (B, C) {
            $($required)*
        } { $($provided)* });
    };
    ($(#[$($attribute:tt)*])* pub trait $trait:ident: $bound:ident { $($required:tt)* }) => {
        operators!(@declare [$(#[$($attribute)*])*] $trait $bound { $($required)* } {});
    };
    (@declare [$($attributes:tt)*] $trait:ident $bound:ident { $($required:tt)* } { $($provided:tt)* }) => {
        $($attributes)*
        pub trait $trait: $bound { $($required)* $($provided)* }
        implement!([] $trait for Flex, flex () { $($required)* } {});
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        implement!([] $trait for CubeBackend, gpu () { $($required)* } {});
    };
}

operators! {
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

        /// As [`first`](Self::first); its backward pass adds up the batch by `reduction`. `input` is what was
        /// encoded: it is kept in case its own gradient is requested.
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

operators! {
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
    type ConvInput: Clone + Debug + Send + 'static;
}

/// What [`KeepsInput::ConvInput`] is of a backend.
pub type ConvInput<B> = <B as KeepsInput>::ConvInput;

operators! {
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

        /// Gradients of the terms of a fused layer's current, and their sums over this part of the batch.
        fn fused_sums(gradient: FloatTensor<Self>, layer: FusedSaved<Self>) -> FusedSums<Self>;

        /// Gradients of all tensors of a fused layer; `of_batch` are the sums over the whole batch.
        fn fused_gradients(
            sums: FusedSums<Self>,
            of_batch: Vec<Option<NormSums>>,
            layer: FusedSaved<Self>,
        ) -> Branches<Self>;

        /// Sums over active inputs and this part of the batch, of which the gradients of a first layer are made.
        fn first_sums(gradient: FloatTensor<Self>, layer: FirstSaved<Self>) -> FirstSums;

        /// Gradients of weight and norm of a first layer; `of_batch` are the sums over the whole batch.
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

/// γ and β of a norm, where there is one.
///
/// # Shapes
/// `[C]`.
#[derive(Debug, Clone, ExtensionType)]
pub enum NormParameters<B: Backend> {
    /// No norm.
    None,
    /// A norm, by the batch or with running statistics already in both.
    Given {
        /// γ.
        gain: FloatTensor<B>,
        /// β.
        shift: FloatTensor<B>,
    },
}

/// One term of a fused layer's current, before its norm.
#[derive(Debug, Clone, ExtensionType)]
pub struct BranchTensors<B: Backend> {
    /// Values, `[T_in·B, H, W, C]`.
    pub x: FloatTensor<B>,
    /// Its norm.
    #[extension_type]
    pub norm: NormParameters<B>,
}

/// The terms of a fused layer's current.
#[derive(Debug, Clone, ExtensionType)]
pub enum Branches<B: Backend> {
    /// One.
    One(#[extension_type] BranchTensors<B>),
    /// Two: a residual block and its shortcut.
    Two(#[extension_type] BranchTensors<B>, #[extension_type] BranchTensors<B>),
}

impl<B: Backend> NormParameters<B> {
    /// γ and β, if there is a norm.
    pub fn tensors(self) -> Option<[FloatTensor<B>; 2]> {
        match self {
            Self::None => None,
            Self::Given { gain, shift } => Some([gain, shift]),
        }
    }

    /// The same of another backend.
    pub fn map<D: Backend>(self, f: &mut impl FnMut(FloatTensor<B>) -> FloatTensor<D>) -> NormParameters<D> {
        match self {
            Self::None => NormParameters::None,
            Self::Given { gain, shift } => NormParameters::Given { gain: f(gain), shift: f(shift) },
        }
    }
}

impl<B: Backend> BranchTensors<B> {
    fn map<D: Backend>(self, f: &mut impl FnMut(FloatTensor<B>) -> FloatTensor<D>) -> BranchTensors<D> {
        BranchTensors { x: f(self.x), norm: self.norm.map(f) }
    }
}

impl<B: Backend> Branches<B> {
    /// The one or two of a list.
    ///
    /// # Panics
    /// If there are none or more than two.
    pub fn of(all: impl IntoIterator<Item = BranchTensors<B>>) -> Self {
        let mut all = all.into_iter();
        match (all.next(), all.next(), all.next()) {
            (Some(a), None, None) => Self::One(a),
            (Some(a), Some(b), None) => Self::Two(a, b),
            _ => panic!("a fused layer has one or two branches"),
        }
    }

    /// The branches in their order.
    pub fn into_vec(self) -> Vec<BranchTensors<B>> {
        match self {
            Self::One(a) => vec![a],
            Self::Two(a, b) => vec![a, b],
        }
    }

    /// All tensors: of each branch its values, γ and β.
    pub fn into_tensors(self) -> Vec<FloatTensor<B>> {
        let of = |b: BranchTensors<B>| std::iter::once(b.x).chain(b.norm.tensors().into_iter().flatten());
        self.into_vec().into_iter().flat_map(of).collect()
    }

    /// The same of another backend, tensor by tensor in the order of [`into_tensors`](Self::into_tensors).
    pub fn map<D: Backend>(self, mut f: impl FnMut(FloatTensor<B>) -> FloatTensor<D>) -> Branches<D> {
        match self {
            Self::One(a) => Branches::One(a.map(&mut f)),
            Self::Two(a, b) => Branches::Two(a.map(&mut f), b.map(&mut f)),
        }
    }
}

/// Statistics of the whole batch at the branches of a layer; `None` for a branch that is not normalised by the batch.
pub type LayerStatistics = Arc<Vec<Option<Statistics>>>;

/// What a fused layer saves for its backward pass.
#[derive(Debug, Clone)]
pub struct FusedSaved<B: Backend> {
    /// Its tensors.
    pub branches: Branches<B>,
    /// The operator.
    pub op: FusedOp,
    /// Statistics of the whole batch.
    pub statistics: LayerStatistics,
}

/// Sums of a norm's backward pass, for every channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NormSums {
    /// Σ G: the gradient of β.
    pub shift: Vec<f64>,
    /// Σ G·(x − μ): σ times the gradient of γ.
    pub product: Vec<f64>,
}

/// The backward pass of a fused layer before its sums are those of the whole batch.
#[derive(Debug)]
pub struct FusedSums<B: Backend> {
    /// G of each branch, in the shape of its values.
    pub current: Vec<FloatTensor<B>>,
    /// Sums of each branch that has a norm, over this part of the batch.
    pub norms: Vec<Option<NormSums>>,
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

/// What one operator of a backend leaves for another of the same; nobody else looks inside.
#[derive(Debug, Clone)]
pub struct Encoded(Arc<dyn Opaque>);

trait Opaque: Any + Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any + Debug + Send + Sync> Opaque for T {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Encoded {
    /// Around a backend's own value.
    pub(super) fn new<T: Any + Debug + Send + Sync>(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// The value.
    ///
    /// # Panics
    /// If another backend has made it.
    pub(super) fn get<T: Any>(&self) -> &T {
        // The trait object itself is `Any` too: ask what it points at.
        (*self.0).as_any().downcast_ref().expect("a value is read by the backend that made it")
    }
}

/// Weight and momentum, `[n]`.
#[derive(Debug, Clone, ExtensionType)]
pub struct SgdTensors<B: Backend> {
    /// Weight.
    pub weight: FloatTensor<B>,
    /// Momentum.
    pub momentum: FloatTensor<B>,
}

/// Weight, first and second moment, `[n]`.
#[derive(Debug, Clone, ExtensionType)]
pub struct AdamWTensors<B: Backend> {
    /// Weight.
    pub weight: FloatTensor<B>,
    /// Moving average of the gradient.
    pub first: FloatTensor<B>,
    /// Moving average of its square.
    pub second: FloatTensor<B>,
}

/// A batch of which this computation has one part.
pub trait SharedBatch: Debug + Send + Sync {
    /// Replaces sums over this part by the sums over all parts.
    ///
    /// A backward pass cannot return an error: an implementation that fails leaves the values as they are, and keeps
    /// the error for the caller of the backward pass.
    fn sum(&self, values: &mut [f64]);
}

/// How sums over a part of a batch become sums over the batch.
#[derive(Debug, Clone, Default)]
pub struct Reduction(Option<Arc<dyn SharedBatch>>);

impl Reduction {
    /// The part is the whole batch: nothing is to be done.
    pub fn whole() -> Self {
        Self(None)
    }

    /// By the one who shares the batch.
    pub fn over(batch: Arc<dyn SharedBatch>) -> Self {
        Self(Some(batch))
    }

    /// Sums over the whole batch, all in one call.
    pub(super) fn apply<'a>(&self, sums: impl Iterator<Item = &'a mut NormSums>) {
        let Some(batch) = &self.0 else { return };
        let sums: Vec<&mut NormSums> = sums.collect();
        let mut all: Vec<f64> = sums.iter().flat_map(|s| s.shift.iter().chain(&s.product).copied()).collect();
        if all.is_empty() {
            return;
        }
        batch.sum(&mut all);
        let mut rest = all.as_slice();
        for s in sums {
            for part in [&mut s.shift, &mut s.product] {
                let (own, others) = rest.split_at(part.len());
                part.copy_from_slice(own);
                rest = others;
            }
        }
    }
}
