//! How a pass over a network is to be run.

use super::norm::NormMode;
use tickless_net::LeakRule;

/// How a pass is to be run.
#[derive(Debug, Clone)]
pub struct Pass<'a> {
    /// Steps of each stage.
    pub configuration: &'a [usize],
    /// What batch norm does.
    pub norm: NormMode,
    /// What the leak belongs to.
    pub leak: LeakRule,
    /// Steps at which λ is the leak of one step.
    pub t_max: usize,
    /// Duration of a step at `t_max` in µs, for leaks given as a time constant.
    pub step_us: Option<f64>,
}
