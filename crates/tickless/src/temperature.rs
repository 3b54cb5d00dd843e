//! The temperature of a run's confidence at an operating point: fitted on the validation part once,
//! and kept in the run, as are the learned policies of early exit ([`exits`](crate::exits)).
//!
//! p = softmax(g·m) with the mean logits m, or softmax(g·Σ/T_max) without a clock. A run without a
//! validation part has g = 1, and its confidence is uncalibrated.

use crate::operating_point::OperatingPoint;
use crate::readout::mean_logits;
use crate::simulate::decisions::{FIT_SAMPLES, fit};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use tickless_engine::Program;
use tickless_net::{Confidence, ExitPolicy};
use tickless_train::data::{SampleId, prefetch};
use tickless_train::model::Model;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// The file of a run that keeps its temperatures and policies.
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

/// What a run keeps of the fits on its validation part.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    format: u32,
    /// The checksum of the weights.
    weights: String,
    all: Vec<(OperatingPoint, Temperature)>,
    /// The learned policies of early exit; missing in files of earlier versions.
    #[serde(default)]
    pub(crate) policies: Vec<(OperatingPoint, ExitPolicy)>,
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
    if let Some(temperature) = kept(run).and_then(|kept| found(&kept.all, &at)) {
        return Ok(temperature);
    }
    let temperature = fitted(run, model, &at, progress)?;
    if let Err(e) = keep(run, |kept| put(&mut kept.all, at, temperature)) {
        progress.warn(&format!("the temperature of the confidence is not kept, and is fitted again next time: {e}"));
    }
    Ok(temperature)
}

/// The first validation samples, on which everything that a run keeps is fitted.
pub(crate) fn fit_samples(run: &Loaded) -> &[SampleId] {
    &run.parts.validation[..run.parts.validation.len().min(FIT_SAMPLES)]
}

/// Fits the temperature, whatever the run keeps. `at` has no exit.
///
/// # Errors
/// As [`temperature`].
pub(crate) fn fitted(run: &Loaded, model: &Model, at: &OperatingPoint, progress: &dyn Progress) -> Result<Temperature> {
    let ids = fit_samples(run);
    if ids.is_empty() {
        return Ok(Temperature::UNCALIBRATED);
    }
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
pub(crate) fn kept(run: &Loaded) -> Option<Kept> {
    if !run.folder.file(FILE).is_file() {
        return None;
    }
    // A fit is cheap to repeat, so a file that cannot be used is replaced.
    let kept: Kept = run.folder.read_sealed(FILE).ok()?;
    let possible = |t: &Temperature| t.gain.is_finite() && t.gain > 0.0;
    let fits = kept.format == FORMAT && kept.weights == run.checksum;
    let usable = kept.all.iter().all(|(_, t)| possible(t)) && kept.policies.iter().all(|(_, p)| p.check().is_ok());
    (fits && usable).then_some(kept)
}

/// The value of a list at an operating point.
pub(crate) fn found<T: Copy>(all: &[(OperatingPoint, T)], at: &OperatingPoint) -> Option<T> {
    all.iter().find(|(point, _)| point == at).map(|k| k.1)
}

/// Replaces the value of a list at an operating point.
pub(crate) fn put<T>(all: &mut Vec<(OperatingPoint, T)>, at: OperatingPoint, value: T) {
    all.retain(|(point, _)| *point != at);
    all.push((at, value));
}

/// Changes what the run keeps.
pub(crate) fn keep(run: &Loaded, change: impl FnOnce(&mut Kept)) -> Result<(), Error> {
    // Another command may write the same file.
    let _lock = run.folder.lock_results()?;
    let mut all = kept(run).unwrap_or_default();
    (all.format, all.weights) = (FORMAT, run.checksum.clone());
    change(&mut all);
    Ok(run.folder.write_result(FILE, &all)?)
}
