//! Norm, addition and neuron in one operator.
//!
//! A spiking layer's current is the sum of one or two branches (a residual block's shortcut is the
//! second), each of them a sequence that may still have to be repeated in time, be normalised, or
//! both:
//!
//! ```text
//! I[t] = Σ_branches norm(x[map(t)]),    norm(x) = (x − μ)·γ/√(σ² + ε) + β
//! ```
//!
//! and the neuron's equations follow (see [`tickless_neuron::step`]). Done at once nothing of this is stored
//! but the spikes, or where pooling alone reads them their sums over its windows: the repeat is an index, the statistics weight each step by how often it is repeated,
//! and backward computes the membrane again from x. Maps are channels-last, `[T·B, H, W, C]`.

pub mod backward;
pub mod forward;
pub(super) mod rows;
pub mod statistics;
pub(super) mod time;

use super::{NeuronOp, TilePool};
use crate::parallel::Ranks;
use crate::ttm::TimeMap;
use std::sync::{Arc, Mutex};

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
    pub(super) fn steps(&self, steps: usize) -> Vec<usize> {
        match &self.repeat {
            None => (0..steps).collect(),
            Some(map) => map.rows().iter().map(|r| r[0].0).collect(),
        }
    }

    /// How often each step of the branch is shown.
    pub(super) fn copies(&self, steps: usize) -> Vec<usize> {
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
    /// The workers whose parts of the batch are normalised together.
    pub ranks: Ranks,
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

/// Where the forward pass puts the statistics of its branches.
pub type StatisticsSlot = Arc<Mutex<Vec<Option<Statistics>>>>;

/// One branch's values: what is subtracted, the factor and what is added, per channel.
#[derive(Debug, Clone)]
pub(super) struct Channels {
    pub(super) mean: Vec<f32>,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl Channels {
    pub(super) fn new(norm: BranchNorm, gain: &[f32], shift: &[f32], statistics: Option<&Statistics>) -> Option<Self> {
        match (norm, statistics) {
            (BranchNorm::None, _) => None,
            (BranchNorm::Batch(eps), Some(s)) => Some(Self {
                mean: s.mean.clone(),
                scale: gain.iter().zip(&s.variance).map(|(g, v)| g * inverse_deviation(*v, eps)).collect(),
                shift: shift.to_vec(),
            }),
            _ => Some(Self { mean: vec![0.0; gain.len()], scale: gain.to_vec(), shift: shift.to_vec() }),
        }
    }

    /// Repeated to a chunk of whole pixels, so that loops need not know about channels.
    pub(super) fn widen(&self, len: usize) -> Self {
        let wide = |v: &[f32]| v.iter().copied().cycle().take(len).collect();
        Self { mean: wide(&self.mean), scale: wide(&self.scale), shift: wide(&self.shift) }
    }
}

/// 1/√(σ² + ε).
pub(super) fn inverse_deviation(variance: f32, eps: f32) -> f32 {
    1.0 / (variance + eps).sqrt()
}

/// Values of a chunk: whole pixels, as many as leave T steps of them in the first-level cache.
pub(super) fn chunk(channels: usize, steps: usize) -> usize {
    let channels = channels.max(1);
    ((8192 / steps.max(1)).clamp(256, 2048) / channels).max(1) * channels
}

/// Cuts rows of `n` values into pieces of `len` columns: for each piece its part of every row.
pub(super) fn columns<T>(data: &mut [T], n: usize, len: usize) -> Vec<Vec<&mut [T]>> {
    let mut pieces: Vec<Vec<&mut [T]>> = (0..n.div_ceil(len)).map(|_| Vec::new()).collect();
    if n > 0 {
        for row in data.chunks_mut(n) {
            for (piece, part) in pieces.iter_mut().zip(row.chunks_mut(len)) {
                piece.push(part);
            }
        }
    }
    pieces
}
