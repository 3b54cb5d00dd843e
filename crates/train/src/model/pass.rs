//! [`Pass`]: the settings of one pass over a network.

use super::norm::NormMode;
use tickless_net::LeakRule;

/// The settings of one pass over a network.
#[derive(Debug, Clone)]
pub struct Pass<'a> {
    /// Number of steps of each stage.
    pub configuration: &'a [usize],
    /// Which statistics batch norm uses.
    pub norm: NormMode,
    /// Whether a step at T steps leaks by λ (`Step`) or by λ^(T_max/T) (`Time`).
    pub leak: LeakRule,
    /// The number of steps T_max at which one step leaks by λ.
    pub t_max: usize,
    /// Duration of a step at `t_max` in µs, for leaks given as a time constant.
    pub step_us: Option<f64>,
}
