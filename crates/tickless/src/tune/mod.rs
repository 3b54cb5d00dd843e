//! Chooses the operating point of a run for a budget, on its validation part.
//!
//! [`tune`] measures one T, early exits, one T per stage ([`search`]) and event-driven runs, takes
//! the best one within the budget, and measures that one on the test part once. Everything but a
//! budget of milliseconds is deterministic. [`keep`] writes the choice into the run, and [`kept`]
//! reads it, so that whoever uses the run answers at the chosen point.

mod budget;
mod kept;
pub mod measure;
pub mod search;

pub use budget::{Budget, Quantity};
pub use kept::{FILE, keep, kept};
pub use search::Plan;

use crate::operating_point::OperatingPoint;
use crate::temperature::{Temperature, temperature};
use crate::{Error, Result};
use measure::{measure, time};
use serde::{Deserialize, Serialize};
use tickless_train::model::Model;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// The results of an operating point on some samples. Costs are means over the samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The operating point.
    pub point: OperatingPoint,
    /// Percent correct.
    pub accuracy: f64,
    /// Its binomial standard error in percentage points; `None` if all answers are right or all are
    /// wrong.
    pub standard_error: Option<f64>,
    /// Number of correct answers.
    pub correct: usize,
    /// Number of samples.
    pub samples: usize,
    /// Time steps; of several stages, their mean. `None` without a clock.
    pub steps: Option<f64>,
    /// Time from the first event to the answer in µs; `None` with a clock.
    pub us: Option<f64>,
    /// Input events until the answer; `None` with a clock.
    pub events: Option<f64>,
    /// Synaptic operations.
    pub operations: f64,
    /// Estimated energy in nJ (45 nm: 0.9 pJ per accumulate, 4.6 pJ per multiply-accumulate).
    pub energy_nj: f64,
    /// Milliseconds of a sample, if they were measured.
    pub ms: Option<f64>,
}

/// A choice, as a run keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// Version of this format.
    pub format: u32,
    /// The checksum of the weights.
    pub weights: String,
    /// The budget.
    pub budget: Budget,
    /// The choice, with its results on the validation part.
    pub chosen: Measured,
    /// Its results on the whole test part.
    pub test: Measured,
    /// The temperature of its confidence.
    pub temperature: Temperature,
    /// Milliseconds of a validation sample at the choice, on all threads of the machine, without the
    /// time to load it. A measurement, so this value alone differs if the run is tuned again; missing
    /// in files of earlier versions.
    #[serde(default)]
    pub ms_per_sample: Option<f64>,
    /// All points that were measured on the validation part, in the order of the search.
    pub tried: Vec<Measured>,
}

/// Most samples that the choice is timed on.
const TIMED: usize = 500;

/// Chooses an operating point for a budget on the validation part, and measures it on the test part
/// once.
///
/// # Errors
/// [`Error::NoValidation`]; [`Error::Budget`] if no point meets the budget. Also if a sample cannot
/// be decoded or the user stops.
pub fn tune(run: &Loaded, model: &Model, plan: &Plan, progress: &dyn Progress) -> Result<Tuning> {
    let tried = search::search(run, model, plan, progress)?;
    let best = tried.iter().reduce(|best, m| if plan.budget.prefers(m, best) { m } else { best });
    let Some(chosen) = best.filter(|m| plan.budget.is_met(m)).cloned() else {
        let nearest = best.and_then(|m| Some((plan.budget.of(m)?, m.point.to_string())));
        return Err(Error::Budget { budget: plan.budget.to_string(), nearest });
    };
    let temperature = temperature(run, model, &chosen.point, progress)?;
    let all = &run.parts.validation;
    let timed = &all[..all.len().min(chosen.samples).min(TIMED)];
    let ms_per_sample = Some(time(run, model, timed, &chosen.point, progress)?);
    let test = measure(run, model, &run.parts.test, &chosen.point, progress)?;
    let (format, weights, budget) = (kept::FORMAT, run.checksum.clone(), plan.budget);
    Ok(Tuning { format, weights, budget, chosen, test, temperature, ms_per_sample, tried })
}
