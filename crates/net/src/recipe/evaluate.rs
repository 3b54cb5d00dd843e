//! `[eval]` of a recipe: the numbers of steps, the leak rules and the calibration of norms.

use crate::energy::EnergyCosts;
use crate::neuron::LeakRule;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `[eval]` part of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalRecipe {
    /// Numbers of time steps T to evaluate at.
    pub steps: Vec<usize>,
    /// Leak rules to evaluate recordings with; a static image always leaks per step.
    pub leak: Vec<LeakRule>,
    /// Samples per batch.
    pub batch: usize,
    /// Number of training batches that calibrate batch norm at T_max when the training ends; 0
    /// leaves the running statistics of the training.
    pub calibration_batches: usize,
    /// Further models of energy by name, beside that of a 45 nm process:
    /// `energy."28 nm" = { accumulate_pj = 0.3, multiply_accumulate_pj = 1.4 }`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub energy: BTreeMap<String, EnergyCosts>,
}

impl Default for EvalRecipe {
    fn default() -> Self {
        Self {
            steps: vec![1, 2, 3, 5, 10, 20, 50, 100],
            leak: vec![LeakRule::Time, LeakRule::Step],
            batch: 50,
            calibration_batches: 10,
            energy: BTreeMap::new(),
        }
    }
}

/// Largest number of time steps of a clocked run. At this number, a clocked run of a recording is
/// about as fine as an event-driven one.
pub const LARGEST_STEPS: usize = 10_000;

impl EvalRecipe {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.steps.is_empty() || self.leak.is_empty() {
            let key = if self.steps.is_empty() { "steps" } else { "leak" };
            return Err(format!("`eval.{key}` is empty: give at least one, or remove the key"));
        }
        if let Some(t) = self.steps.iter().find(|t| **t > LARGEST_STEPS) {
            return Err(format!("`eval.steps` has {t}: a network runs at most {LARGEST_STEPS} time steps"));
        }
        if self.steps.contains(&0) {
            return Err("`eval.steps` has a 0: a network runs at least 1 time step".into());
        }
        for (name, costs) in &self.energy {
            costs.check().map_err(|problem| format!("`eval.energy.{name}` {problem}"))?;
        }
        if self.batch == 0 {
            return Err("`eval.batch` = 0: it is at least 1".into());
        }
        Ok(())
    }
}
