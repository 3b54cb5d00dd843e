//! The result of one recording, and the means of a dataset run with a warning that bias-free
//! spiking networks often need.

use crate::program::Program;

/// What became of one recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Its label.
    pub label: usize,
    /// The class predicted; of equal readout values the lowest index.
    pub class: usize,
    /// Softmax probability of that class.
    pub confidence: f32,
    /// The readout: accumulated logits, or output spike counts where the readout spikes.
    pub logits: Vec<f32>,
    /// Input events.
    pub events: u64,
    /// µs from its first to its last event.
    pub us: u64,
    /// Spikes of each layer of [`Program::layers`].
    pub spikes: Vec<u64>,
    /// Synaptic operations.
    pub synaptic_ops: u64,
}

/// A dataset run in a few numbers. All means are 0 for an empty run.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Recordings.
    pub recordings: usize,
    /// How many were classified right.
    pub correct: usize,
    /// `correct / recordings`.
    pub accuracy: f64,
    /// Mean input events.
    pub events: f64,
    /// Mean spikes of each layer of [`Program::layers`].
    pub spikes: Vec<f64>,
    /// Mean synaptic operations.
    pub synaptic_ops: f64,
    /// Names of the layers that never fired over the whole run: the usual failure of bias-free
    /// spiking networks (weights too small for the threshold).
    pub silent: Vec<String>,
}

impl Summary {
    /// The summary of these outcomes of `program`.
    pub fn of(program: &Program, outcomes: &[Outcome]) -> Self {
        let n = outcomes.len();
        let mean = |sum: u64| if n == 0 { 0.0 } else { sum as f64 / n as f64 };
        let total = |f: &dyn Fn(&Outcome) -> u64| outcomes.iter().map(f).sum::<u64>();
        let layers = program.layers();
        let spikes: Vec<u64> = (0..layers.len()).map(|l| total(&|o| o.spikes[l])).collect();
        let correct = outcomes.iter().filter(|o| o.class == o.label).count();
        let silent = if n == 0 {
            Vec::new()
        } else {
            layers.iter().zip(&spikes).filter(|(_, s)| **s == 0).map(|(l, _)| l.name.clone()).collect()
        };
        Self {
            recordings: n,
            correct,
            accuracy: mean(correct as u64),
            events: mean(total(&|o| o.events)),
            spikes: spikes.into_iter().map(mean).collect(),
            synaptic_ops: mean(total(&|o| o.synaptic_ops)),
            silent,
        }
    }
}
