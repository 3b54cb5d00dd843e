//! Training with the event-driven network in the forward pass.
//!
//! The pass runs all stages at T_max. An executor without time steps, such as the engine, runs the
//! same recordings with the same weights and returns the spikes of every neuron in every step of
//! T_max. They replace the spikes of the clocked neurons, whose surrogate carries the gradient:
//!
//! ```text
//! forward:   s̃[t] = n[t]                  n[t]: event-driven spikes of the neuron in step t
//! backward:  ∂s̃[t]/∂u[t] = ∂s[t]/∂u[t]    s[t]: clocked spike, from the input that layer l − 1
//!                                          emits without a clock
//! ```
//!
//! This is a straight-through estimator: the loss is that of the event-driven network, the clocked
//! network is the proxy that is differentiated. Source of the idea: Wu et al., "A Tandem Learning
//! Rule for Effective Training and Rapid Inference of Deep Spiking Neural Networks", IEEE TNNLS,
//! 2021, with spike counts of the spiking network in the forward pass and a network that can be
//! differentiated as the proxy.
//!
//! The pass costs T_max time steps besides the event-driven run, which is not counted in time steps.
//!
//! This crate knows no engine: the caller passes an [`EventDrivenForward`].

use super::ExtraPasses;
use std::fmt::Debug;
use std::sync::Arc;
use tickless_events::Recording;
use tickless_net::recipe::EventDrivenRecipe;
use tickless_net::{Network, Weights};

/// The event-driven pass of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventDriven {
    /// When it runs.
    pub extra: ExtraPasses,
}

impl From<EventDrivenRecipe> for EventDriven {
    fn from(recipe: EventDrivenRecipe) -> Self {
        Self { extra: ExtraPasses::new(recipe.every, recipe.replaces) }
    }
}

/// What an event-driven executor runs.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EventDrivenRun<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its weights.
    pub weights: &'a Weights,
    /// Duration of a step at T_max in µs, for parameters in steps.
    pub step_us: Option<f64>,
    /// The recordings, each from rest.
    pub recordings: &'a [Arc<Recording>],
    /// Number of equal parts of a recording in which spikes are counted.
    pub steps: usize,
}

impl<'a> EventDrivenRun<'a> {
    /// A run of these recordings.
    pub fn new(
        (network, weights): (&'a Network, &'a Weights),
        step_us: Option<f64>,
        recordings: &'a [Arc<Recording>],
        steps: usize,
    ) -> Self {
        Self { network, weights, step_us, recordings, steps }
    }
}

/// The spikes of every spiking layer in every step.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpikes {
    /// Number of steps T.
    pub steps: usize,
    /// Number of recordings B.
    pub batch: usize,
    /// For each node of [`Network::spiking`], in that order: counts `[T, B, C, H, W]`.
    pub layers: Vec<Vec<f32>>,
}

/// Runs a network without time steps and counts its spikes.
pub trait EventDrivenForward: Debug + Sync {
    /// Runs all recordings. The result must not depend on the number of threads.
    ///
    /// # Errors
    /// If the executor refuses the network or a recording.
    fn spikes(&self, run: &EventDrivenRun<'_>) -> Result<LayerSpikes, Box<dyn std::error::Error + Send + Sync>>;
}
