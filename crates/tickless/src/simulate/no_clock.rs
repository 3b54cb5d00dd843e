//! The study "no clock, no loss" of one run: the same weights event-driven and clocked, once for
//! each of several refractory periods (or lower limits of multi-spike neurons).
//!
//! Each value is set in all layers. The weights do not change. The validation part, if the run has
//! one, is measured too, so that a value can be chosen without looking at the test part.

use super::tune::Knob;
use super::{EngineScore, compile_with, possible};
use crate::error::stop;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tickless_engine::Program;
use tickless_net::LeakRule;
use tickless_train::device::Device;
use tickless_train::evaluate::{LayerActivity, Setting, point_and_activity};
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The values of the [`Knob`]; `None` is no period or no limit.
    pub values: Vec<Option<f64>>,
    /// Numbers of steps to run clocked, for the values in `clocked`. Every value also runs clocked
    /// at T_max.
    pub steps: Vec<usize>,
    /// The values that run clocked at all `steps`.
    pub clocked: Vec<Option<f64>>,
}

/// The results of one run, measured on its test part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NoClock {
    /// The property that was changed.
    pub knob: Knob,
    /// One row per value.
    pub rows: Vec<Row>,
    /// The checksum of the weights that were measured.
    pub weights: String,
}

/// The results of one value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Row {
    /// ρ in steps of T_max, or the limit divided by θ; `None` for no period or no limit.
    pub value: Option<f64>,
    /// Event-driven on the test part.
    pub event_driven: EngineScore,
    /// Event-driven on the validation part, if the run has one.
    pub validation: Option<EngineScore>,
    /// Event-driven on the test part with 8-bit weights and 16-bit potentials, if the engine can
    /// run the network so.
    pub quantised: Option<EngineScore>,
    /// Clocked with the leak per time, in the order of T.
    pub clocked: Vec<Clocked>,
}

/// The clocked result at one T.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Clocked {
    /// T.
    pub steps: usize,
    /// Percent correct.
    pub accuracy: f64,
    /// Number of samples classified correctly.
    pub correct: usize,
    /// Number of samples.
    pub samples: usize,
    /// Mean spikes per recording, summed over the layers.
    pub spikes: f64,
}

impl NoClock {
    /// The row of a value, if it was measured.
    pub fn row(&self, value: Option<f64>) -> Option<&Row> {
        self.rows.iter().find(|r| r.value == value)
    }

    /// Measures what `plan` asks for and `kept` lacks. `kept` are earlier results of the same run;
    /// those of other weights or neurons are dropped. `step` is called with the results so far after
    /// each value, so that the caller can store them.
    ///
    /// # Errors
    /// If the network needs a clock, a recording cannot be decoded, the user stops, or `step`
    /// fails.
    pub fn measure(
        run: &mut Loaded,
        device: &Device,
        plan: &Plan,
        kept: Option<Self>,
        progress: &dyn Progress,
        cancel: &AtomicBool,
        step: &mut dyn FnMut(&Loaded, &Self) -> Result<()>,
    ) -> Result<Self> {
        possible(run)?;
        if run.parts.test.is_empty() {
            return Err(Error::NoRecordings);
        }
        let knob = Knob::of(&run.network);
        let fits = |k: &Self| {
            let samples = |r: &Row| r.event_driven.samples == run.parts.test.len();
            k.weights == run.checksum && k.knob == knob && k.rows.iter().all(samples)
        };
        let mut found =
            kept.filter(fits).unwrap_or_else(|| Self { knob, rows: Vec::new(), weights: run.checksum.clone() });
        let own = run.network.clone();
        let layers = own.spiking().len();
        for &value in &plan.values {
            stop(progress)?;
            run.network = Arc::new(knob.set(&own, &vec![value; layers]));
            let measured = found.value(run, device, plan, value, progress, cancel);
            run.network = own.clone();
            if measured? {
                step(run, &found)?;
            }
        }
        Ok(found)
    }

    /// Adds what the row of `value` lacks, with the neurons of `run`, which have this value.
    /// Returns whether anything was measured.
    fn value(
        &mut self,
        run: &Loaded,
        device: &Device,
        plan: &Plan,
        value: Option<f64>,
        progress: &dyn Progress,
        cancel: &AtomicBool,
    ) -> Result<bool> {
        let mut measured = false;
        let at = match self.rows.iter().position(|r| r.value == value) {
            Some(at) => at,
            None => {
                self.rows.push(event_driven(run, value, progress, cancel)?);
                measured = true;
                self.rows.len() - 1
            }
        };
        let mut steps = vec![run.facts.t_max];
        if plan.clocked.contains(&value) {
            steps.extend(&plan.steps);
        }
        let clocked = &mut self.rows[at].clocked;
        steps.retain(|t| clocked.iter().all(|c| c.steps != *t));
        steps.sort_unstable();
        steps.dedup();
        if steps.is_empty() {
            return Ok(measured);
        }
        let model = run.model(device)?;
        let (t_max, step_us, batch) = (run.facts.t_max, run.facts.step_us, run.recipe.eval.batch);
        let setting = Setting { source: &run.source, ids: &run.parts.test, t_max, step_us, batch };
        for steps in steps {
            let (p, layers) = point_and_activity(&model, &setting, steps, LeakRule::Time, progress)?;
            let spikes = layers.iter().map(|l: &LayerActivity| l.spikes).sum();
            clocked.push(Clocked { steps, accuracy: p.accuracy, correct: p.correct, samples: p.samples, spikes });
        }
        clocked.sort_by_key(|c| c.steps);
        Ok(true)
    }
}

/// The event-driven results of a run with its present neurons.
fn event_driven(run: &Loaded, value: Option<f64>, progress: &dyn Progress, cancel: &AtomicBool) -> Result<Row> {
    let (program, small) = (compile_with(run, false)?, compile_with(run, true).ok());
    let (test, validation) = (&run.parts.test, &run.parts.validation);
    let recordings = test.len() * (1 + usize::from(small.is_some())) + validation.len();
    progress.start("event-driven", recordings as u64, "recording");
    let score = |program: &Program, ids| EngineScore::measure(run, program, ids, progress, cancel);
    let row = Row {
        value,
        event_driven: score(&program, test)?,
        validation: if validation.is_empty() { None } else { Some(score(&program, validation)?) },
        quantised: small.map(|small| score(&small, test)).transpose()?,
        clocked: Vec::new(),
    };
    progress.finish();
    Ok(row)
}
