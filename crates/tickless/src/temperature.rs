//! The temperature of a run's confidence at an operating point: fitted on the validation part once,
//! and kept in the run.
//!
//! p = softmax(g·m) with the mean logits m, or softmax(g·Σ/T_max) without a clock. A run without a
//! validation part has g = 1, and its confidence is uncalibrated.

use crate::operating_point::OperatingPoint;
use crate::readout::mean_logits;
use crate::simulate::decisions::{FIT_SAMPLES, fit};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use tickless_engine::Program;
use tickless_net::Confidence;
use tickless_train::data::prefetch;
use tickless_train::model::Model;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// The file of a run that keeps its temperatures.
pub const FILE: &str = "temperatures.json";

/// A temperature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// g.
    pub gain: f64,
    /// Number of validation samples that it was fitted on; 0 if the confidence is uncalibrated.
    pub samples: usize,
}

impl Temperature {
    /// The temperature of a run without a validation part.
    pub const UNCALIBRATED: Self = Self { gain: 1.0, samples: 0 };

    /// Whether it was fitted.
    pub fn is_calibrated(&self) -> bool {
        self.samples > 0
    }
}

/// The temperatures that a run keeps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Kept {
    format: u32,
    /// The checksum of the weights.
    weights: String,
    all: Vec<(OperatingPoint, Temperature)>,
}

/// The format of the file.
const FORMAT: u32 = 1;

/// The temperature of a run at an operating point, whose exit does not matter. If the run does not
/// keep one, fits it on the validation part and keeps it.
///
/// # Errors
/// If a sample cannot be decoded, the network cannot run so, or the user stops.
pub fn temperature(run: &Loaded, model: &Model, at: &OperatingPoint, progress: &dyn Progress) -> Result<Temperature> {
    let at = at.with_exit(None);
    if run.parts.validation.is_empty() {
        return Ok(Temperature::UNCALIBRATED);
    }
    let found = |kept: &Kept| kept.all.iter().find(|(point, _)| *point == at).map(|k| k.1);
    if let Some(temperature) = kept(run).as_ref().and_then(found) {
        return Ok(temperature);
    }
    let temperature = fitted(run, model, &at, progress)?;
    if let Err(e) = keep(run, at, temperature) {
        progress.warn(&format!("the temperature of the confidence is not kept, and is fitted again next time: {e}"));
    }
    Ok(temperature)
}

/// Fits the temperature on the first validation samples.
fn fitted(run: &Loaded, model: &Model, at: &OperatingPoint, progress: &dyn Progress) -> Result<Temperature> {
    let ids = &run.parts.validation[..run.parts.validation.len().min(FIT_SAMPLES)];
    let OperatingPoint::Clocked { configuration, leak, .. } = at else {
        let network = at.network(&run.network);
        let options = tickless_engine::CompileOptions { step_us: run.facts.step_us, ..Default::default() };
        let program = Program::compile(&network, &run.weights, &options)?;
        let (confidence, samples) = fit(run, &program, progress)?;
        return Ok(Temperature { gain: confidence.gain.into(), samples });
    };
    let frames = configuration.first().copied().unwrap_or(1);
    let most = configuration.iter().copied().max().unwrap_or(1);
    let mut readouts = Vec::new();
    progress.start("confidence", ids.len() as u64, "sample");
    prefetch(&run.source, ids, run.recipe.eval.batch.min(2000 / most).max(1), false, frames, None, |_, batch| {
        let (input, labels) = batch.into_sequence(model.device());
        let count = labels.len() as u64;
        readouts.extend(mean_logits(run, model, input, configuration, *leak)?.into_iter().zip(labels));
        progress.advance(count, "");
        match progress.cancelled() {
            true => Err(tickless_train::Error::Cancelled { task: "the fit of the confidence" }),
            false => Ok(()),
        }
    })?;
    progress.finish();
    Ok(Temperature { gain: Confidence::fitted(1, &readouts).gain.into(), samples: readouts.len() })
}

/// What the run keeps, if it is of its present weights and nobody changed it.
fn kept(run: &Loaded) -> Option<Kept> {
    if !run.folder.file(FILE).is_file() {
        return None;
    }
    // A temperature is cheap to fit again, so a file that cannot be used is replaced.
    let kept: Kept = run.folder.read_sealed(FILE).ok()?;
    let possible = |t: &Temperature| t.gain.is_finite() && t.gain > 0.0;
    let fits = kept.format == FORMAT && kept.weights == run.checksum;
    (fits && kept.all.iter().all(|(_, t)| possible(t))).then_some(kept)
}

fn keep(run: &Loaded, at: OperatingPoint, temperature: Temperature) -> Result<(), Error> {
    // Another command may write the same file.
    let _lock = run.folder.lock_results()?;
    let mut all = kept(run).map_or_else(Vec::new, |kept| kept.all);
    all.retain(|(point, _)| *point != at);
    all.push((at, temperature));
    let kept = Kept { format: FORMAT, weights: run.checksum.clone(), all };
    Ok(run.folder.write_result(FILE, &kept)?)
}
