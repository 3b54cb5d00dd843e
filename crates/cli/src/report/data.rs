//! The values that a report shows: plain data without tensors or handles.
//!
//! An experiment fills a [`ReportData`]. The page, the pictures, the terminal tables and `--json`
//! are views of it. Everything but the title may be missing; a view leaves out the parts that it
//! has no values for.

use serde::{Deserialize, Serialize};

use tickless::net::LeakRule;
use tickless::number;
use tickless::simulate::decisions::DecisionCurve;
use tickless::train::run::Machine;

/// All values of one report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportData {
    /// Headline of the page.
    pub title: String,
    /// One paragraph: the question and how it was measured.
    pub purpose: String,
    /// The recordings or images.
    pub dataset: Dataset,
    /// The network that all strategies share.
    pub network: Network,
    /// Largest number of time steps in training.
    pub t_max: usize,
    /// One entry per training strategy (or run), in the order of the tables. The work table
    /// compares with the first one named `SDT`, else with the first that has event-driven numbers.
    pub strategies: Vec<StrategyResult>,
    /// One recording, to show the network's input.
    pub sample: Option<InputSample>,
    /// The machine, the version and the date of the runs.
    pub origin: Origin,
    /// Remarks, one paragraph each.
    pub notes: Vec<String>,
    /// The command that repeats the experiment.
    pub command: String,
}

/// The data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// One or two sentences: origin, split.
    pub description: String,
    /// Whether the events come from a simulated camera instead of a real one.
    pub simulated_camera: bool,
    /// Number of classes.
    pub classes: usize,
    /// The names of the classes, in the order of their indices.
    pub class_names: Vec<String>,
    /// Number of samples that the accuracies are measured on.
    pub test_samples: usize,
    /// Mean events per recording; 0 for images.
    pub mean_events: f64,
}

/// The network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The neuron in words, e.g. "LIF, λ = 0.5, hard reset".
    pub neuron: String,
    /// Number of stages; each may run at its own T.
    pub stages: usize,
    /// Number of trainable values.
    pub trainable_values: usize,
    /// One line per layer: its name, kind, shapes and stage.
    pub layers: Vec<String>,
}

/// The results of one strategy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StrategyResult {
    /// Name in the tables: `SDT`, `NMT`, `MTT`, with other differences appended, or the name of the
    /// run.
    pub name: String,
    /// `SDT`, `NMT`, `MTT` or another origin of the weights; determines the colour. If empty, the
    /// name does.
    pub strategy: String,
    /// Largest number of time steps in its training; 0 if it is that of the report.
    pub t_max: usize,
    /// Seeds of the runs that the numbers are means of.
    pub seeds: Vec<u64>,
    /// Accuracy at each T, clocked.
    pub points: Vec<MeanPoint>,
    /// Accuracy with a number of steps of its own in each stage.
    pub mixed: Vec<MixedPoint>,
    /// Results without a clock; missing if the network cannot run so (it still has batch norm).
    pub event_driven: Option<EventDriven>,
    /// One entry per epoch.
    pub curve: Vec<EpochPoint>,
    /// Firing rates per layer.
    pub layers: Vec<LayerRates>,
    /// The spikes of one recording.
    pub raster: Option<Raster>,
    /// Confidence and membrane potentials during that recording.
    pub course: Option<Course>,
    /// The operating point that was chosen for the run, if one was.
    pub chosen: Option<Chosen>,
    /// Wall-clock seconds of training, summed over the seeds.
    #[serde(with = "number")]
    pub train_seconds: f64,
    /// Optimiser steps of one run.
    pub iterations: usize,
}

/// Accuracy at one T.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MeanPoint {
    /// Number of time steps T.
    pub steps: usize,
    /// Whether the leak belongs to the step or to time.
    pub leak: LeakRule,
    /// Percent correct, mean over the runs.
    #[serde(with = "number")]
    pub accuracy: f64,
    /// Standard error over the runs, in percentage points.
    pub standard_error: Option<f64>,
    /// Mean loss.
    #[serde(with = "number")]
    pub loss: f64,
    /// Percent of samples whose label is among the five largest values, mean over the runs.
    pub top5: Option<f64>,
    /// Expected calibration error in percentage points, mean over the runs.
    pub calibration_error: Option<f64>,
    /// `[label][class]`: number of samples of each label that were given each class, summed over the
    /// runs.
    pub confusion: Option<Vec<Vec<usize>>>,
    /// Synaptic operations per sample, mean over the runs.
    pub operations: Option<f64>,
}

/// Accuracy at one mixed configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MixedPoint {
    /// Number of time steps of each stage.
    pub configuration: Vec<usize>,
    /// Whether the leak belongs to the step or to time.
    pub leak: LeakRule,
    /// Percent correct, mean over the runs.
    #[serde(with = "number")]
    pub accuracy: f64,
    /// Standard error over the runs, in percentage points.
    pub standard_error: Option<f64>,
    /// Mean loss.
    #[serde(with = "number")]
    pub loss: f64,
    /// Mean synaptic operations of a sample, if they were counted.
    pub operations: Option<f64>,
}

/// Results of event-driven execution in the simulator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventDriven {
    /// Percent correct, mean over the runs.
    #[serde(with = "number")]
    pub accuracy: f64,
    /// Standard error over the runs, in percentage points.
    pub standard_error: Option<f64>,
    /// Name and spikes per recording of each layer, in the order of the network.
    pub spikes_per_layer: Vec<(String, f64)>,
    /// Synaptic operations per recording.
    pub synaptic_operations: f64,
    /// Input events per recording.
    pub events: f64,
    /// Spike difference Σ|s0 − s| / Σ s0 to the clocked network at T_max, as a fraction. It is
    /// infinite if the clocked network is silent and this one is not.
    #[serde(with = "number::optional")]
    pub spike_difference: Option<f64>,
    /// Number of recordings measured.
    pub samples: usize,
    /// Accuracy over time within a recording; missing if it was not measured.
    pub decisions: Option<DecisionCurve>,
    /// Expected calibration error in percentage points, mean over the runs.
    pub calibration_error: Option<f64>,
    /// `[label][class]`, as in [`MeanPoint`].
    pub confusion: Option<Vec<Vec<usize>>>,
}

/// The operating point that was chosen for a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chosen {
    /// The choice in words.
    pub words: String,
    /// Percent correct on the test part.
    #[serde(with = "number")]
    pub accuracy: f64,
    /// Synaptic operations per sample.
    #[serde(with = "number")]
    pub operations: f64,
}

/// What an event-driven network thinks during one recording.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Course {
    /// The moments, in µs since the first event.
    pub moments: Vec<u64>,
    /// The probability of each class at each moment: `[moment][class]`.
    pub probabilities: Vec<Vec<f32>>,
    /// One neuron of each spiking layer.
    pub membranes: Vec<Membrane>,
}

/// The membrane potential of one neuron at the moments of a [`Course`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Membrane {
    /// Name of the layer.
    pub layer: String,
    /// Index of the neuron in (channel, y, x) order.
    pub neuron: usize,
    /// Its threshold.
    pub threshold: f32,
    /// Its potential at each moment.
    pub potentials: Vec<f32>,
}

impl StrategyResult {
    /// The strategy of the row.
    pub(crate) fn family(&self) -> &str {
        if self.strategy.is_empty() { &self.name } else { &self.strategy }
    }

    /// T_max of this strategy; `report` is that of the report.
    pub(crate) fn t_max(&self, report: usize) -> usize {
        if self.t_max == 0 { report } else { self.t_max }
    }
}

impl EventDriven {
    /// Spikes per recording, summed over all layers.
    pub fn spikes(&self) -> f64 {
        self.spikes_per_layer.iter().map(|(_, spikes)| spikes).sum()
    }
}

/// One epoch of training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EpochPoint {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean training loss.
    #[serde(with = "number")]
    pub train_loss: f64,
    /// Percent correct during training.
    #[serde(with = "number")]
    pub train_accuracy: f64,
    /// Percent correct on the validation part.
    pub validation_accuracy: Option<f64>,
    /// Standard errors over the runs: of loss, training accuracy and validation accuracy. Missing
    /// if there is one run.
    pub standard_errors: Option<[f64; 3]>,
    /// Learning rate at the end of the epoch.
    pub learning_rate: f64,
    /// Wall-clock seconds of the epoch.
    #[serde(with = "number")]
    pub seconds: f64,
}

/// Firing rates of one layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LayerRates {
    /// Name of the layer.
    pub layer: String,
    /// Number of neurons.
    pub neurons: usize,
    /// Spikes per neuron and recording, clocked at T_max.
    #[serde(with = "number")]
    pub rate: f64,
    /// Spikes per neuron and recording, event-driven.
    #[serde(with = "number::optional")]
    pub event_driven_rate: Option<f64>,
    /// Whether no neuron of the layer ever fired.
    pub silent: bool,
}

/// The spikes of one recording in all layers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Raster {
    /// Length of the recording in µs.
    pub duration_us: u64,
    /// The layers from input to output.
    pub layers: Vec<RasterLayer>,
    /// Input events: time in µs and pixel index.
    pub input: Vec<(u64, u32)>,
    /// Number of pixels; if 0, the largest index seen is used.
    pub input_pixels: u32,
    /// True class.
    pub label: String,
    /// Class that the network chose.
    pub predicted: String,
}

/// The spikes of one layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RasterLayer {
    /// Name of the layer.
    pub name: String,
    /// Number of neurons.
    pub neurons: u32,
    /// Spikes: time in µs and neuron index.
    pub spikes: Vec<(u64, u32)>,
}

/// A sample of channels that are not pixels, such as those of a cochlea.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChannelSample {
    /// Text above its raster.
    pub label: String,
    /// Time in µs and channel of each spike.
    pub spikes: Vec<(u64, u32)>,
}

/// One recording, counted per pixel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InputSample {
    /// Class of the recording.
    pub label: String,
    /// Pixels per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// Slices of equal duration. Each holds the counts `[on, off]` per pixel, row by row.
    pub frames: Vec<Vec<[u16; 2]>>,
    /// Length of the recording in µs.
    pub duration_us: u64,
    /// Number of events.
    pub events: usize,
}

/// Where, when and with which version a run was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The machine.
    #[serde(flatten)]
    pub machine: Machine,
    /// Version of Tickless.
    pub tickless_version: String,
    /// Date of the run, ISO 8601.
    pub date: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn json_round_trip_keeps_everything() {
        let data = fixture::full();
        let json = serde_json::to_string(&data).unwrap();
        assert_eq!(serde_json::from_str::<ReportData>(&json).unwrap(), data);
    }

    #[test]
    fn infinite_spike_difference_survives_json() {
        let event = EventDriven { spike_difference: Some(f64::INFINITY), ..EventDriven::default() };
        let json = serde_json::to_string(&event).unwrap();
        assert!(json.contains(r#""spike_difference":"infinity""#), "{json}");
        assert_eq!(serde_json::from_str::<EventDriven>(&json).unwrap(), event);
    }

    #[test]
    fn leaks_read_as_words_and_missing_fields_as_defaults() {
        let point: MeanPoint = serde_json::from_str(r#"{"steps": 5, "leak": "time", "accuracy": 82.5}"#).unwrap();
        assert_eq!((point.steps, point.leak, point.standard_error), (5, LeakRule::Time, None));
    }
}
