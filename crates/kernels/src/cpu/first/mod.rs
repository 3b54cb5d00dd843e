//! A first layer without a stored feature map: convolution, norm, neuron and pooling in one
//! operator.
//!
//! The first convolution of a network reads recordings: few channels, most values zero, no gradient
//! requested. The kernels recompute its output instead of storing it, because recomputing it from
//! the active inputs is cheaper than a round trip through memory. They compute it three times, one
//! band of rows at a time in the cache: for the statistics of the norm, for the spikes, and in the
//! backward pass.
//!
//! ```text
//! y[i] = w ∗ x[i],    I[t] = norm(y[map(t)]),    s = neuron(I),    out = Σ over windows of s
//! ```
//!
//! The gradient of y is not stored either. `G[i]` is the sum of ∂L/∂I over the cᵢ steps of the
//! neuron that read step i. With M values per channel and the sums of
//! [`crate::cpu::fused::backward`]:
//!
//! ```text
//! ∂w = γ/σ·(A₁ − ΣG/M·A₂ − ΣG·(y − μ)/(M·σ²)·A₃)
//! A₁ = Σ x·G,   A₂ = Σ c·x,   A₃ = Σ c·x·(y − μ)        over the inputs that each tap reads
//! ```
//!
//! One pass therefore computes all sums (A₃ as Σ c·x·y − μ·A₂). All three are sums over active
//! inputs. Tasks are fixed parts of the batch whose sums are added in order, so results do not
//! depend on the number of threads.

mod backward;
mod forward;
pub(crate) mod host;
mod layout;
mod line;
mod rows;
mod taps;

pub use rows::Rows;

use crate::operators::Statistics;

/// γ and β of the branch, and the batch statistics if it has a batch norm.
#[derive(Debug, Clone, Copy)]
struct Norm<'a> {
    gain: &'a [f32],
    shift: &'a [f32],
    statistics: Option<&'a Statistics>,
}
