//! A fused layer: norm, addition and neuron, and what its two passes exchange.

use super::{NeuronOp, TilePool};
use crate::ttm::TimeMap;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};
use std::sync::Arc;

/// What is done to a branch before it is added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BranchNorm {
    /// Nothing.
    None,
    /// x·gain + shift, with running statistics already in both.
    Affine,
    /// Batch norm with this ε.
    Batch(f32),
}

impl BranchNorm {
    /// Whether it takes mean and variance from the batch.
    pub fn is_of_batch(self) -> bool {
        matches!(self, Self::Batch(_))
    }
}

/// How a branch enters the sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// Its norm.
    pub norm: BranchNorm,
    /// A plain repeat to the neuron's steps; `None` if it has them already.
    pub repeat: Option<Arc<TimeMap>>,
}

impl Branch {
    /// For each of the neuron's steps the step of the branch.
    pub(crate) fn steps(&self, steps: usize) -> Vec<usize> {
        match &self.repeat {
            None => (0..steps).collect(),
            Some(map) => map.rows().iter().map(|r| r[0].0).collect(),
        }
    }

    /// How often each step of the branch is shown.
    pub(crate) fn copies(&self, steps: usize) -> Vec<usize> {
        let shown = self.steps(steps);
        (0..=shown.last().copied().unwrap_or(0)).map(|i| shown.iter().filter(|s| **s == i).count()).collect()
    }
}

/// A spiking layer.
#[derive(Debug, Clone, PartialEq)]
pub struct FusedOp {
    /// The neuron.
    pub neuron: NeuronOp,
    /// One or two branches.
    pub branches: Vec<Branch>,
    /// Windows over which its spikes are summed, if only the sums are wanted.
    pub pool: Option<TilePool>,
}

/// Mean and biased variance of a batch at one norm.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// Per channel.
    pub mean: Vec<f32>,
    /// Per channel, biased.
    pub variance: Vec<f32>,
    /// Values per channel.
    pub count: usize,
}

/// Mean, biased variance and number of values of each channel, before they are rounded.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Per channel.
    pub mean: Vec<f64>,
    /// Per channel, biased.
    pub variance: Vec<f64>,
    /// Values per channel.
    pub count: f64,
}

impl Moments {
    /// As the layers use them.
    pub fn round(&self) -> Statistics {
        let round = |v: &[f64]| v.iter().map(|v| *v as f32).collect();
        Statistics { mean: round(&self.mean), variance: round(&self.variance), count: self.count as usize }
    }
}

/// 1/√(σ² + ε).
pub(crate) fn inverse_deviation(variance: f32, eps: f32) -> f32 {
    1.0 / (variance + eps).sqrt()
}

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

    /// The same of another backend, tensor by tensor in the order of
    /// [`into_tensors`](Self::into_tensors).
    pub fn map<D: Backend>(self, mut f: impl FnMut(FloatTensor<B>) -> FloatTensor<D>) -> Branches<D> {
        match self {
            Self::One(a) => Branches::One(a.map(&mut f)),
            Self::Two(a, b) => Branches::Two(a.map(&mut f), b.map(&mut f)),
        }
    }
}

/// Statistics of the whole batch at the branches of a layer; `None` for a branch that is not
/// normalised by the batch.
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

/// 1/σ of every channel, 1/M and μ: without statistics of the batch nothing flows through them.
pub(crate) fn norm_constants(
    norm: BranchNorm,
    seen: Option<&Statistics>,
    channels: usize,
) -> (Vec<f64>, f64, Vec<f32>) {
    match (seen, norm) {
        (Some(s), BranchNorm::Batch(eps)) => {
            let inverse = s.variance.iter().map(|v| f64::from(inverse_deviation(*v, eps))).collect();
            (inverse, 1.0 / s.count as f64, s.mean.clone())
        }
        _ => (vec![1.0; channels], 0.0, vec![0.0; channels]),
    }
}

/// Gradients of γ and β from the sums over these values.
pub(crate) fn parameter_gradients(norm: BranchNorm, seen: Option<&Statistics>, sums: &NormSums) -> [Vec<f32>; 2] {
    let (inverse, ..) = norm_constants(norm, seen, sums.shift.len());
    let gain = sums.product.iter().zip(&inverse).map(|(p, i)| (p * i) as f32).collect();
    [gain, sums.shift.iter().map(|v| *v as f32).collect()]
}
