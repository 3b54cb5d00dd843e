//! One pass of an iteration: what it runs and what it learns from.

use crate::model::Sequence;
use crate::strategy::LayerSpikes;
use std::sync::Arc;
use tickless_net::LeakRule;

/// One pass of an iteration.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrainingPass {
    /// Number of steps of each stage.
    pub configuration: Vec<usize>,
    /// Whether a step at T steps leaks by λ (`Step`) or by λ^(T_max/T) (`Time`).
    pub leak: LeakRule,
    /// The input `[T·B, C, H, W]` if it is not the batch's.
    pub input: Option<Sequence>,
    /// Factor on the logits before the loss.
    pub gain: f32,
    /// Weight of the soft target of the iteration's first pass; 0 for none.
    pub distill: f32,
    /// The spikes that replace those of the neurons.
    pub spikes: Option<Arc<LayerSpikes>>,
}

impl TrainingPass {
    /// A pass over the batch's input.
    pub fn new(configuration: Vec<usize>, leak: LeakRule) -> Self {
        Self { configuration, leak, input: None, gain: 1.0, distill: 0.0, spikes: None }
    }
}
