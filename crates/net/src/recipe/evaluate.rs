//! `[eval]`: at which numbers of steps, with which leak, and how the norms are calibrated.

use crate::neuron::LeakRule;
use serde::{Deserialize, Serialize};

/// The evaluation part of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalRecipe {
    /// Numbers of time steps T.
    pub steps: Vec<usize>,
    /// What the leak belongs to (recordings; a static image always has it per step).
    pub leak: Vec<LeakRule>,
    /// Samples per batch.
    pub batch: usize,
    /// Training batches for batch-norm calibration at T_max.
    pub calibration_batches: usize,
}

impl Default for EvalRecipe {
    fn default() -> Self {
        Self {
            steps: vec![1, 2, 3, 5, 10, 20, 50, 100],
            leak: vec![LeakRule::Time, LeakRule::Step],
            batch: 50,
            calibration_batches: 10,
        }
    }
}

/// The most time steps that a network is run at; a recording in so many is as good as event by event.
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
        for (name, value) in [("batch", self.batch), ("calibration_batches", self.calibration_batches)] {
            if value == 0 {
                return Err(format!("`eval.{name}` = 0: it is at least 1"));
            }
        }
        Ok(())
    }
}
