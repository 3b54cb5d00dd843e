//! Norm, addition and neuron in one operator.
//!
//! The current of a spiking layer is the sum of one or two branches (a residual block's shortcut is
//! the second). Each branch is a sequence that may still need a repeat in time, a norm, or both:
//!
//! ```text
//! I[t] = Σ_branches norm(x[map(t)]),    norm(x) = (x − μ)·γ/√(σ² + ε) + β
//! ```
//!
//! then the neuron's equations follow (see [`tickless_neuron::step`]). The operator stores only the
//! spikes or, if their only consumer is a pool, the sums over its windows. A repeat costs only an
//! index; the statistics weight each step by how often it is repeated; the backward pass recomputes
//! the membrane from x. Feature maps are channels-last, `[T·B, H, W, C]`.
//!
//! Fast path (`time.rs`): if the layer has one branch, its neuron is the clocked LIF with single
//! spikes, and a chunk is a multiple of 16 values, each block of neurons passes all steps with its
//! state in registers. Otherwise `rows.rs` processes a chunk one step after the other.

pub mod backward;
pub mod forward;
pub(crate) mod host;
pub(crate) mod rows;
pub mod statistics;
pub(crate) mod time;

use crate::operators::{BranchNorm, FusedOp, Statistics, inverse_deviation};

/// The norm of a branch as (x − mean)·scale + shift, per channel.
#[derive(Debug, Clone)]
pub(crate) struct Channels {
    pub(crate) mean: Vec<f32>,
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
}

impl Channels {
    pub(crate) fn new(norm: BranchNorm, gain: &[f32], shift: &[f32], statistics: Option<&Statistics>) -> Option<Self> {
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

    /// Repeats the channels to `len` values, so that loops over a chunk need no channel index.
    pub(crate) fn widen(&self, len: usize) -> Self {
        let wide = |v: &[f32]| v.iter().copied().cycle().take(len).collect();
        Self { mean: wide(&self.mean), scale: wide(&self.scale), shift: wide(&self.shift) }
    }
}

/// Values per chunk: whole pixels, few enough that T steps of a chunk fit the L1 cache.
pub(crate) fn chunk(channels: usize, steps: usize) -> usize {
    let channels = channels.max(1);
    ((8192 / steps.max(1)).clamp(256, 2048) / channels).max(1) * channels
}

/// Most values of a chunk. With pooling, a chunk is the input rows of one row of windows.
pub(crate) fn chunk_of(op: &FusedOp, channels: usize) -> usize {
    op.pool.map_or(chunk(channels, op.neuron.steps), |p| p.kernel * p.width * p.channels)
}

/// Cuts rows of `n` values into pieces of `len` columns. Each piece holds its part of every row.
pub(crate) fn columns<T>(data: &mut [T], n: usize, len: usize) -> Vec<Vec<&mut [T]>> {
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
