//! What a run was: seed, versions, machine, data, network. Kept as `run.json`.

use super::checkpoint::Position;
use super::machine::Machine;
use serde::{Deserialize, Serialize};

/// What a run was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// SDT, NMT or MTT.
    pub strategy: String,
    /// Seed.
    pub seed: u64,
    /// Version of Tickless.
    pub version: String,
    /// Version of the format of this folder.
    pub format: u32,
    /// The machine.
    pub machine: Machine,
    /// Name of the data set and what it says of itself.
    pub dataset: String,
    /// Whether its camera is simulated.
    pub simulated_camera: bool,
    /// Training, validation and test samples.
    pub samples: [usize; 3],
    /// Name of the network.
    pub network: String,
    /// Its stages.
    pub stages: usize,
    /// Its trainable values.
    pub trainable_values: usize,
    /// T_max.
    pub t_max: usize,
    /// Duration Δ of a step at T_max in µs: mean span of the training recordings / T_max.
    pub step_us: Option<f64>,
    /// Time constant τ of the leak in µs, by Δ; none without a leak or a duration.
    pub tau_us: Option<f64>,
    /// Mean events per training recording.
    pub mean_events: Option<f64>,
    /// The run it was fine-tuned from.
    pub base: Option<String>,
    /// Workers that shared every batch.
    #[serde(default = "one")]
    pub workers: usize,
    /// Seconds of training.
    pub train_seconds: f64,
    /// Iterations done.
    pub iterations: usize,
    /// Whether training has come to its end.
    pub finished: bool,
}

impl RunFacts {
    /// At the end of training.
    pub(super) fn finish(self, end: &Position) -> Self {
        Self { train_seconds: end.seconds, iterations: end.iteration, finished: true, ..self }
    }
}

/// The workers of runs that do not say it.
fn one() -> usize {
    1
}

/// The format of run folders that this version writes.
pub(super) const FORMAT: u32 = 1;
