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
        Self { steps: vec![1, 2, 3, 5, 10, 20, 50, 100], leak: vec![LeakRule::Time, LeakRule::Step], batch: 50, calibration_batches: 10 }
    }
}

impl EvalRecipe {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.steps.contains(&0) {
            return Err("`eval.steps` has a 0: a network runs at least 1 time step".into());
        }
        if self.batch == 0 || self.calibration_batches == 0 {
            return Err("`eval.batch` and `eval.calibration_batches` are at least 1".into());
        }
        Ok(())
    }
}
