//! What an iteration is given and what it reports.

use crate::loss::LossSetting;
use crate::model::NormMode;
use tickless_net::LeakRule;

/// What stays the same over all iterations.
#[derive(Debug, Clone, Copy)]
pub struct StepSetting {
    /// Loss.
    pub loss: LossSetting,
    /// What batch norm does; by running statistics its shift is not trained either.
    pub norm: NormMode,
    /// What the leak belongs to.
    pub leak: LeakRule,
    /// Steps at which λ is the leak of one step.
    pub t_max: usize,
    /// Duration of such a step in µs.
    pub step_us: Option<f64>,
}

/// What one iteration saw.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StepReport {
    /// Mean loss over the configurations.
    pub loss: f32,
    /// Predictions that were right, over all configurations.
    pub correct: usize,
    /// Predictions in all.
    pub predictions: usize,
}
