//! What a run was: seed, versions, machine, data, network. Kept as `run.json`.

use crate::checkpoint::Position;
use serde::{Deserialize, Serialize};

/// The machine a run was made on, as far as the system says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the processor; empty where unknown.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Main memory in GB (10⁹ bytes); 0 where unknown.
    pub memory_gb: f64,
    /// Operating system and architecture.
    pub os: String,
    /// Threads that compute.
    pub threads: usize,
}

impl Machine {
    /// This machine.
    pub fn here() -> Self {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        let value = |text: &str, key: &str| {
            let line = text.lines().find(|l| l.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let cpu = value(&read("/proc/cpuinfo"), "model name").unwrap_or_default();
        let kb = value(&read("/proc/meminfo"), "MemTotal").and_then(|v| v.trim_end_matches(" kB").parse::<f64>().ok());
        Self {
            cpu,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gb: kb.map_or(0.0, |k| (k * 1024.0 / 1e8).round() / 10.0),
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            threads: rayon::current_num_threads(),
        }
    }
}

/// What a run was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// SDT, NMT or MTT; of weights that were not trained here the base's, or [`RunFacts::IMPORTED`].
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
    /// The run or graph that its first weights come from.
    pub base: Option<String>,
    /// The strategy of that run.
    #[serde(default)]
    pub base_strategy: Option<String>,
    /// The command that made this run, where a command did.
    #[serde(default)]
    pub command: Option<String>,
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
    /// The strategy of weights that another framework trained.
    pub const IMPORTED: &str = "imported";

    /// How the weights came about, in words: `trained as MTT`, `imported from net.nir`.
    pub fn origin(&self) -> String {
        let Some(base) = &self.base else { return format!("trained as {}", self.strategy) };
        match self.iterations {
            0 if self.strategy == Self::IMPORTED => format!("imported from {base}"),
            0 => format!("converted from {base}, which was trained as {}", self.strategy),
            _ => format!("fine-tuned as {} from {base}", self.strategy),
        }
    }

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
