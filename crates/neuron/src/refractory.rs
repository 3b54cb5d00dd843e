//! The refractory period of a single-spike neuron: the time after a spike in which it cannot fire.
//!
//! If ρ is the period in steps at T_max and Δ the duration of such a step:
//!
//! ```text
//! event-driven:         two spikes are at least ρ·Δ µs apart
//! clocked at T steps:   two spikes are at least k steps apart, that is k − 1 dead steps,
//!                       k = max(1, ⌈ρ·T/T_max⌉) with a leak per time, otherwise max(1, ⌈ρ⌉)
//! ```
//!
//! A clocked single-spike neuron cannot fire twice within a step, so it has an implicit refractory
//! period of one step. An explicit period with ρ = 1 gives the event-driven neuron the same limit.
//! If ρ ≤ 1 and T ≤ T_max, then k = 1: the clocked neuron behaves as if it had no period.
//!
//! The period starts with a spike. With [`During::Integrate`] the neuron integrates inputs during
//! the period and may be above its threshold at the end; it then fires at the next input (in a
//! clocked run: in the next step whose input is not 0, because a clocked neuron gets only the sum
//! of its inputs; an event-driven neuron also counts an input that comes with weight 0). If the
//! neuron can fire without input, because it has a synaptic current or an adaptive threshold, it
//! fires at the end of the period. With [`During::Hold`] the membrane keeps the potential that it
//! has after the reset and ignores inputs, while a synaptic current and an adaptive threshold
//! continue to change.

use crate::error::Error;
use crate::leak::{LeakRule, stretch};
use serde::{Deserialize, Serialize};
use std::fmt;
use tickless_words::words;

/// Largest number of steps between two spikes: 2²⁴, up to which f32 represents every whole number.
const MOST_STEPS: f64 = 16_777_216.0;

/// Relative rounding error: if a number exceeds a whole number by less, it is not rounded up.
const SLACK: f64 = 1e-9;

/// The length of a refractory period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// ρ, in steps at T_max.
    Steps(f64),
    /// ρ·Δ, in µs.
    Us(f64),
}

/// The behaviour of the membrane during the refractory period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum During {
    /// The membrane leaks and integrates its inputs.
    #[default]
    Integrate,
    /// The membrane keeps its potential after the reset and ignores its inputs.
    Hold,
}

words!(serde During, "behaviour during a refractory period", { Integrate = "integrate", Hold = "hold" });

/// The refractory period of a single-spike neuron.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Refractory {
    /// Length of the period.
    #[serde(flatten)]
    pub period: Period,
    /// Behaviour of the membrane during the period.
    #[serde(default)]
    pub during: During,
}

impl Refractory {
    /// A period of ρ steps at T_max, during which the membrane integrates.
    pub const fn steps(rho: f64) -> Self {
        Self { period: Period::Steps(rho), during: During::Integrate }
    }

    /// k, the smallest number of steps between two spikes if a recording that has `t_max` steps in
    /// training is run in `steps` steps.
    ///
    /// `step_us` is the duration of one step at `t_max` in µs. The result is `None` if the period
    /// is in µs and `step_us` is missing.
    pub fn interval(&self, rule: LeakRule, t_max: usize, steps: usize, step_us: Option<f64>) -> Option<usize> {
        let rho = match self.period {
            Period::Steps(rho) => rho,
            Period::Us(us) => us / step_us?,
        };
        Some(whole(rho / stretch(rule, t_max, steps)).min(MOST_STEPS) as usize)
    }

    /// The period in whole µs, at least 1: the smallest distance of two spikes.
    ///
    /// `step_us` is the duration of one step at T_max in µs. The result is `None` if the period is
    /// in steps and `step_us` is missing.
    pub fn us(&self, step_us: Option<f64>) -> Option<u64> {
        let us = match self.period {
            Period::Steps(rho) => rho * step_us?,
            Period::Us(us) => us,
        };
        Some(whole(us) as u64)
    }

    /// Checks the length.
    ///
    /// # Errors
    /// If the length is not a positive finite number; the message names the recipe's field.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (unit, value) = match self.period {
            Period::Steps(rho) => ("steps", rho),
            Period::Us(us) => ("us", us),
        };
        if value > 0.0 && value.is_finite() {
            return Ok(());
        }
        Err(Error::PeriodLength { unit, value: value.to_string() })
    }
}

/// The smallest whole number that is at least 1 and, up to a relative error of 1e-9, at least `x`.
pub fn whole(x: f64) -> f64 {
    (x * (1.0 - SLACK)).ceil().max(1.0)
}

impl fmt::Display for Refractory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.period {
            Period::Steps(1.0) => f.write_str("refractory for 1 step")?,
            Period::Steps(rho) => write!(f, "refractory for {rho} steps")?,
            Period::Us(us) => write!(f, "refractory for {us} µs")?,
        }
        match self.during {
            During::Integrate => Ok(()),
            During::Hold => f.write_str(" (membrane held)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn k(rho: f64, rule: LeakRule, t: usize) -> usize {
        Refractory::steps(rho).interval(rule, 10, t, None).unwrap()
    }

    #[test]
    fn spikes_are_the_rounded_up_share_of_a_step_apart_where_the_leak_belongs_to_time() {
        for (rho, t, expected) in [
            (0.5, 300, 15),
            (0.25, 300, 8),
            (0.75, 300, 23),
            (1.0, 300, 30),
            (1.0, 10, 1),
            (0.5, 10, 1),
            (0.5, 20, 1),
            (0.5, 21, 2),
            (1.5, 10, 2),
            (2.0, 5, 1),
            (2.5, 10, 3),
            (0.28, 1000, 28),
            (0.07, 1000, 7),
            (1e-6, 10, 1),
        ] {
            assert_eq!(k(rho, LeakRule::Time, t), expected, "ρ = {rho}, T = {t}");
        }
    }

    #[test]
    fn spikes_are_as_many_steps_apart_at_every_t_where_the_leak_belongs_to_a_step() {
        for t in [1, 10, 300] {
            for (rho, expected) in [(0.5, 1), (1.0, 1), (1.01, 2), (3.0, 3)] {
                assert_eq!(k(rho, LeakRule::Step, t), expected, "ρ = {rho}, T = {t}");
            }
        }
    }

    #[test]
    fn a_period_up_to_one_step_changes_no_run_up_to_t_max() {
        for rho in [0.01, 0.25, 0.5, 0.75, 1.0] {
            assert!((1..=10).all(|t| k(rho, LeakRule::Time, t) == 1 && k(rho, LeakRule::Step, t) == 1));
        }
    }

    #[test]
    fn a_period_in_microseconds_is_the_same_period_in_steps() {
        let us = Refractory { period: Period::Us(15_000.0), during: During::Hold };
        let steps = Refractory::steps(0.5);
        for t in [1, 10, 20, 21, 300, 1000] {
            let interval = |r: Refractory| r.interval(LeakRule::Time, 10, t, Some(30_000.0));
            assert_eq!(interval(us), interval(steps), "T = {t}");
        }
        assert_eq!((us.us(None), steps.us(Some(30_000.0))), (Some(15_000), Some(15_000)));
        assert_eq!((us.interval(LeakRule::Time, 10, 10, None), steps.us(None)), (None, None));
        assert_eq!(Refractory::steps(0.1).us(Some(30_000.0)), Some(3000), "no rounding error adds a µs");
        assert_eq!(Refractory::steps(0.1).us(Some(30_001.0)), Some(3001), "a part of a µs counts whole");
    }

    #[test]
    fn it_is_written_as_a_recipe_writes_it() {
        let text = serde_json::to_string(&Refractory { during: During::Hold, ..Refractory::steps(0.5) }).unwrap();
        assert_eq!(text, r#"{"steps":0.5,"during":"hold"}"#);
        let read: Refractory = serde_json::from_str(r#"{"us":15000}"#).unwrap();
        assert_eq!(read, Refractory { period: Period::Us(15_000.0), during: During::Integrate });
    }
}
