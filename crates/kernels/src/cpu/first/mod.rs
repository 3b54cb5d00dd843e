//! A first layer that stores no feature map: convolution, norm, neuron and pooling in one operator.
//!
//! The first convolution of a network reads recordings: few channels, few of whose values are not zero, and no
//! gradient that anybody asks for. Its products over active inputs take less time than its output takes to be
//! written and read again, so the output is computed wherever it is needed, a band of rows at a time in the cache:
//! once for the statistics of the norm, once for the spikes and once in the backward pass.
//!
//! ```text
//! y[i] = w ∗ x[i],    I[t] = norm(y[map(t)]),    s = neuron(I),    out = Σ over windows of s
//! ```
//!
//! Neither is the gradient of y stored. With `G[i]` the sum of ∂L/∂I over the cᵢ steps that show step i, M values a
//! channel and the sums of [`crate::cpu::fused::backward`]
//!
//! ```text
//! ∂w = γ/σ·(A₁ − ΣG/M·A₂ − ΣG·(y − μ)/(M·σ²)·A₃)
//! A₁ = Σ x·G,   A₂ = Σ c·x,   A₃ = Σ c·x·(y − μ)        over what each tap meets
//! ```
//!
//! so that one pass adds up everything (A₃ as Σ c·x·y − μ·A₂). The three are sums over active inputs too. Tasks are fixed parts of the
//! batch whose sums are added in order: results do not depend on the number of threads.

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
