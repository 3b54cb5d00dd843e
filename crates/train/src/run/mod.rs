//! A run is a folder: the resolved recipe, facts, metrics, weights, checkpoint and results.
//!
//! ```text
//! recipe.toml             every key with its value
//! run.json                seed, versions, machine, data set, step duration, state
//! metrics.jsonl           one line per epoch
//! checkpoint.safetensors  everything that --resume needs
//! lock                    held by the process that trains
//! weights.safetensors     the chosen weights, norms calibrated
//! eval.json, simulate.json, asynchrony.json, report/   written by the commands of these names
//! temperatures.json       the temperatures of confidences; tuned.json: the choice of `tune`
//! results.lock            held while a command reads, changes and writes one of these
//! ```

pub mod checkpoint;
pub mod conditions;
mod facts;
mod folder;
mod freeze;
mod job;
mod lock;
mod machine;
mod made;
mod seal;
pub mod train_plan;
pub mod trainer;
mod warnings;

pub use facts::RunFacts;
pub use folder::{Loaded, RunFolder};
pub use job::{Base, Job, train, train_as};
pub use machine::Machine;
pub use seal::Seal;
