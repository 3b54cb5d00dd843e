//! A fused layer: norm, addition and neuron, and the values that its passes exchange.

use super::{NeuronOp, TilePool};
use crate::ttm::TimeMap;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};
use std::sync::Arc;

/// The norm of a branch, which is applied before the branches are added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BranchNorm {
    /// The values are used unchanged.
    None,
    /// x·gain + shift; gain and shift already include the running statistics.
    Affine,
    /// Batch norm with this ε.
    Batch(f32),
}

impl BranchNorm {
    /// Whether mean and variance come from the batch.
    pub fn is_of_batch(self) -> bool {
        matches!(self, Self::Batch(_))
    }
}

/// The norm and the repeat that a fused layer applies to a branch.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// Its norm.
    pub norm: BranchNorm,
    /// The repeat that extends the branch to the neuron's steps; `None` if the branch has as many.
    pub repeat: Option<Arc<TimeMap>>,
}

impl Branch {
    /// For each of the neuron's `steps`, the step of the branch that it reads.
    pub(crate) fn steps(&self, steps: usize) -> Vec<usize> {
        match &self.repeat {
            None => (0..steps).collect(),
            Some(map) => map.rows().iter().map(|r| r[0].0).collect(),
        }
    }

    /// For each step of the branch, how many of the neuron's `steps` read it.
    pub(crate) fn copies(&self, steps: usize) -> Vec<usize> {
        let shown = self.steps(steps);
        (0..=shown.last().copied().unwrap_or(0)).map(|i| shown.iter().filter(|s| **s == i).count()).collect()
    }
}

/// A spiking layer over one or two branches.
#[derive(Debug, Clone, PartialEq)]
pub struct FusedOp {
    /// The neuron.
    pub neuron: NeuronOp,
    /// One or two branches.
    pub branches: Vec<Branch>,
    /// The windows over which the layer sums its spikes, if only these sums are the output.
    pub pool: Option<TilePool>,
}

/// Mean and variance of a batch at one norm, as the norm uses them.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// Per channel.
    pub mean: Vec<f32>,
    /// Per channel, biased.
    pub variance: Vec<f32>,
    /// Values per channel.
    pub count: usize,
}

/// Mean, variance and number of values of each channel, in f64.
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
    /// Rounds to f32, as the norm uses them.
    pub fn round(&self) -> Statistics {
        let round = |v: &[f64]| v.iter().map(|v| *v as f32).collect();
        Statistics { mean: round(&self.mean), variance: round(&self.variance), count: self.count as usize }
    }
}

/// 1/√(σ² + ε).
pub(crate) fn inverse_deviation(variance: f32, eps: f32) -> f32 {
    1.0 / (variance + eps).sqrt()
}

/// γ and β of a norm, or no norm.
///
/// # Shapes
/// `[C]`.
#[derive(Debug, Clone, ExtensionType)]
pub enum NormParameters<B: Backend> {
    /// No norm.
    None,
    /// A batch norm, or a norm whose gain and shift already include the running statistics.
    Given {
        /// γ.
        gain: FloatTensor<B>,
        /// β.
        shift: FloatTensor<B>,
    },
}

/// One term of a fused layer's current: the values before the norm, and its parameters.
#[derive(Debug, Clone, ExtensionType)]
pub struct BranchTensors<B: Backend> {
    /// Values, `[T_in·B, H, W, C]`.
    pub x: FloatTensor<B>,
    /// γ and β of its norm.
    #[extension_type]
    pub norm: NormParameters<B>,
}

/// The terms of a fused layer's current.
#[derive(Debug, Clone, ExtensionType)]
pub enum Branches<B: Backend> {
    /// One term.
    One(#[extension_type] BranchTensors<B>),
    /// Two terms: a residual block and its shortcut.
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

    /// Applies `f` to each tensor, to move the parameters to another backend.
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
    /// Builds the value from a list of one or two branches.
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

    /// All tensors: for each branch its values and, if it has a norm, γ and β.
    pub fn into_tensors(self) -> Vec<FloatTensor<B>> {
        let tensors = |b: BranchTensors<B>| std::iter::once(b.x).chain(b.norm.tensors().into_iter().flatten());
        self.into_vec().into_iter().flat_map(tensors).collect()
    }

    /// Applies `f` to each tensor, in the order of [`into_tensors`](Self::into_tensors), to move
    /// the branches to another backend.
    pub fn map<D: Backend>(self, mut f: impl FnMut(FloatTensor<B>) -> FloatTensor<D>) -> Branches<D> {
        match self {
            Self::One(a) => Branches::One(a.map(&mut f)),
            Self::Two(a, b) => Branches::Two(a.map(&mut f), b.map(&mut f)),
        }
    }
}

/// Statistics of the whole batch, one entry per branch of a layer; `None` for a branch without a
/// batch norm.
pub type LayerStatistics = Arc<Vec<Option<Statistics>>>;

/// The values that a fused layer saves for its backward pass.
#[derive(Debug, Clone)]
pub struct FusedSaved<B: Backend> {
    /// The layer's tensors.
    pub branches: Branches<B>,
    /// The operator.
    pub op: FusedOp,
    /// Statistics of the whole batch.
    pub statistics: LayerStatistics,
}

/// Sums of a norm's backward pass, per channel; G is the gradient of the branch after its norm.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NormSums {
    /// Σ G: the gradient of β.
    pub shift: Vec<f64>,
    /// Σ G·(x − μ): σ times the gradient of γ.
    pub product: Vec<f64>,
}

/// The backward pass of a fused layer before its sums are summed over the whole batch.
#[derive(Debug)]
pub struct FusedSums<B: Backend> {
    /// G of each branch, in the shape of the branch's values.
    pub current: Vec<FloatTensor<B>>,
    /// For each branch with a norm, its sums over this part of the batch.
    pub norms: Vec<Option<NormSums>>,
}

/// 1/σ per channel, 1/M with M values per channel, and μ per channel. Without batch statistics
/// these are 1, 0 and 0: then no gradient flows through the statistics.
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

/// Gradients of γ and β from the sums over this part of the batch.
pub(crate) fn parameter_gradients(norm: BranchNorm, seen: Option<&Statistics>, sums: &NormSums) -> [Vec<f32>; 2] {
    let (inverse, ..) = norm_constants(norm, seen, sums.shift.len());
    let gain = sums.product.iter().zip(&inverse).map(|(p, i)| (p * i) as f32).collect();
    [gain, sums.shift.iter().map(|v| *v as f32).collect()]
}
