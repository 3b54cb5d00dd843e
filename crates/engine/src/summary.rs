//! The outcome of one recording, and the summary of a dataset run, which also lists silent layers.

use crate::program::Program;

/// The outcome of one recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Label of the recording.
    pub label: usize,
    /// Predicted class; the lowest index if several readout values are equal.
    pub class: usize,
    /// Softmax probability of the predicted class.
    pub confidence: f64,
    /// The readout: accumulated logits, or output spike counts if the readout spikes.
    pub logits: Vec<f32>,
    /// Number of input events.
    pub events: u64,
    /// Time from the first to the last event in µs.
    pub us: u64,
    /// Number of spikes of each layer of [`Program::layers`].
    pub spikes: Vec<u64>,
    /// Number of synaptic operations.
    pub synaptic_ops: u64,
}

/// The summary of a dataset run. All means are 0 if the run has no recordings.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Number of recordings.
    pub recordings: usize,
    /// Number of correctly classified recordings.
    pub correct: usize,
    /// `correct / recordings`.
    pub accuracy: f64,
    /// Mean number of input events.
    pub events: f64,
    /// Mean number of spikes of each layer of [`Program::layers`].
    pub spikes: Vec<f64>,
    /// Mean number of synaptic operations.
    pub synaptic_ops: f64,
    /// Names of the layers that never fired in the whole run. Silent layers are the usual failure
    /// of bias-free spiking networks whose weights are too small for the threshold.
    pub silent: Vec<String>,
}

impl Summary {
    /// Summarises outcomes of `program`.
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
