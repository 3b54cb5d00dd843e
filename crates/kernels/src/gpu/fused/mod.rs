//! Norm, addition and neuron in one kernel on a GPU; the operator is that of [`crate::cpu::fused`].
//!
//! Feature maps are channels-last. The statistics and gradients of a norm need sums over a whole
//! map: the device computes partial sums and the host finishes them in f64. This transfers a few
//! kilobytes in each direction per norm.

mod backward;
mod forward;
mod map_sums;

pub(super) use backward::{gradients, sums};
pub(super) use forward::{moments_of, spikes};

use super::launch::{numbers, vector};
use crate::operators::{BranchNorm, BranchTensors, FusedOp, Statistics, inverse_deviation};
use burn::backend::ops::FloatTensorOps;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

/// Values, γ and β of one branch.
pub(super) type Input = BranchTensors<CubeBackend>;

/// The properties of a layer's branches that are fixed when its kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kinds {
    two: bool,
    first: Kind,
    second: Kind,
}

/// A branch's norm, and the offsets of its γ, β and of its µ, 1/σ in the tables, in rows of
/// channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    norm: bool,
    batch: bool,
    gains: u32,
    means: u32,
}

impl Kinds {
    fn of(op: &FusedOp) -> Self {
        let (mut gains, mut means) = (0, 0);
        let mut kind = |norm: BranchNorm| {
            let (norm, batch) = (norm != BranchNorm::None, matches!(norm, BranchNorm::Batch(_)));
            let kind = Kind { norm, batch, gains, means };
            (gains, means) = (gains + 2 * u32::from(norm), means + 2 * u32::from(batch));
            kind
        };
        let first = kind(op.branches[0].norm);
        let second = kind(op.branches.get(1).map_or(BranchNorm::None, |b| b.norm));
        Self { two: op.branches.len() > 1, first, second }
    }
}

/// The sizes of a layer, passed to a kernel.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Sizes {
    /// Values of one step.
    pub(super) n: usize,
    pub(super) steps: usize,
    pub(super) channels: usize,
}

/// A branch's value after its norm.
#[cube]
fn normed(x: f32, gains: &[f32], means: &[f32], p: &Sizes, #[comptime] kind: Kind) -> f32 {
    let c = ABSOLUTE_POS % p.channels;
    if comptime!(kind.batch) {
        let (gain, mean) = (comptime!(kind.gains as usize) * p.channels, comptime!(kind.means as usize) * p.channels);
        let scale = gains[gain + c] * means[mean + p.channels + c];
        (x - means[mean + c]) * scale + gains[gain + p.channels + c]
    } else if comptime!(kind.norm) {
        let gain = comptime!(kind.gains as usize) * p.channels;
        x * gains[gain + c] + gains[gain + p.channels + c]
    } else {
        x
    }
}

/// The input current I[t] of this unit's neuron.
#[cube]
#[allow(clippy::too_many_arguments, reason = "what two branches have")]
fn current<F: Float>(
    t: usize,
    x: &[F],
    x2: &[F],
    gains: &[f32],
    means: &[f32],
    shown: &[u32],
    p: &Sizes,
    #[comptime] branches: Kinds,
) -> f32 {
    let at = shown[t] as usize * p.n + ABSOLUTE_POS;
    let first = normed(f32::cast_from(x[at]), gains, means, p, branches.first);
    if comptime!(branches.two) {
        let at = shown[p.steps + t] as usize * p.n + ABSOLUTE_POS;
        first + normed(f32::cast_from(x2[at]), gains, means, p, branches.second)
    } else {
        first
    }
}

/// The tables that kernels read: γ and β of all norms, µ and 1/σ of all batch norms, and, for each
/// branch and step of the neuron, the branch's step that it reads.
fn tables(op: &FusedOp, inputs: &[Input], statistics: &[Option<Statistics>]) -> (CubeTensor, BufferArg, BufferArg) {
    let client = &inputs[0].x.client;
    let parameters = inputs.iter().filter_map(|i| i.norm.clone().tensors()).flatten();
    let gains = match parameters.collect::<Vec<_>>() {
        none if none.is_empty() => vector(&inputs[0].x, &[0.0]),
        all => CubeBackend::float_cat(all, 0),
    };
    let mut means = Vec::new();
    for (b, s) in op.branches.iter().zip(statistics) {
        if let (BranchNorm::Batch(eps), Some(s)) = (b.norm, s) {
            means.extend_from_slice(&s.mean);
            means.extend(s.variance.iter().map(|v| inverse_deviation(*v, eps)));
        }
    }
    if means.is_empty() {
        means.push(0.0f32);
    }
    let shown = op.branches.iter().flat_map(|b| b.steps(op.neuron.steps)).map(|i| i as u32);
    (gains, numbers(client, &means), numbers(client, &shown.collect::<Vec<_>>()))
}
