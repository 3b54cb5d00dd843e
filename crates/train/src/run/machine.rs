//! The machine that a run computed on.

use serde::{Deserialize, Serialize};

/// The machine that a run computed on, as far as the system describes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the processor; empty if unknown.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Main memory in GB (10⁹ bytes); 0 if unknown.
    pub memory_gb: f64,
    /// Operating system and architecture.
    pub os: String,
    /// Threads of the compute pool.
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
