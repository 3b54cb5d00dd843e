//! A first layer without a stored feature map: convolution, norm, neuron and pooling in one
//! operator.
//!
//! The first convolution of a network reads recordings: few channels, most values zero, no gradient
//! requested. The output is recomputed instead of stored, because recomputing it from the active
//! inputs is cheaper than a round trip through memory. It is computed three times, a band of rows
//! at a time in the cache: for the statistics of the norm, for the spikes and in the backward pass.
//!
//! ```text
//! y[i] = w ∗ x[i],    I[t] = norm(y[map(t)]),    s = neuron(I),    out = Σ over windows of s
//! ```
//!
//! The gradient of y is not stored either. With `G[i]` the sum of ∂L/∂I over the cᵢ steps that show
//! step i, M values a channel and the sums of [`crate::cpu::fused::backward`]
//!
//! ```text
//! ∂w = γ/σ·(A₁ − ΣG/M·A₂ − ΣG·(y − μ)/(M·σ²)·A₃)
//! A₁ = Σ x·G,   A₂ = Σ c·x,   A₃ = Σ c·x·(y − μ)        over what each tap meets
//! ```
//!
//! so one pass adds up everything (A₃ as Σ c·x·y − μ·A₂). All three are sums over active inputs.
//! Tasks are fixed parts of the batch whose sums are added in order, so results do not depend on
//! the number of threads.

mod backward;
mod forward;
pub(crate) mod host;
mod line;
mod plan;
mod rows;
mod taps;

pub use rows::Rows;

use crate::operators::Statistics;

/// One branch's γ and β, and the statistics of the batch if it is normalised by them.
#[derive(Debug, Clone, Copy)]
struct Norm<'a> {
    gain: &'a [f32],
    shift: &'a [f32],
    statistics: Option<&'a Statistics>,
}
