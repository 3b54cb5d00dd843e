//! The settings of an iteration, and its report.

use crate::loss::LossSetting;
use crate::model::NormMode;
use tickless_net::LeakRule;

/// Settings that stay the same over all iterations.
#[derive(Debug, Clone, Copy)]
pub struct StepSetting {
    /// Loss.
    pub loss: LossSetting,
    /// Which statistics batch norm uses; if the running ones, the norms' shifts are not trained.
    pub norm: NormMode,
    /// Whether a step at T steps leaks by λ (`Step`) or by λ^(T_max/T) (`Time`).
    pub leak: LeakRule,
    /// The number of steps T_max at which one step leaks by λ.
    pub t_max: usize,
    /// Duration of a step at T_max in µs.
    pub step_us: Option<f64>,
}

/// Loss and accuracy of one iteration.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StepReport {
    /// Mean loss over the configurations.
    pub loss: f32,
    /// Number of correct predictions over all configurations.
    pub correct: usize,
    /// Number of predictions over all configurations.
    pub predictions: usize,
}
