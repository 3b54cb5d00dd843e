//! The temperatures of a run's confidence, and the file in which the run keeps them.
//!
//! p = softmax(g·m) with the mean logits m, or softmax(g·Σ/T_max) without a clock. A temperature g
//! belongs to one setting, because the logits change with it: to the numbers of steps and the leak
//! rule, or to the neurons of an event-driven run. It is fitted on the first validation samples. All
//! commands take it from here, so that a sample has one confidence at one setting. A run without a
//! validation part has g = 1, and its confidence is uncalibrated.
//!
//! The file also keeps the learned policies of early exit ([`exits`](crate::exits)).

use crate::operating_point::OperatingPoint;
use crate::readout::setting;
use crate::simulate::load;
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tickless_engine::Session;
use tickless_kernels::Precision;
use tickless_net::{Confidence, ExitPolicy};
use tickless_train::data::SampleId;
use tickless_train::evaluate::fitted_gain;
use tickless_train::model::Model;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// The file of a run that keeps its temperatures and policies.
pub const FILE: &str = "temperatures.json";

/// Most validation samples that a temperature is fitted on.
pub const FIT_SAMPLES: usize = 2000;

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

    /// The confidence of an event-driven run that was trained at `t_max` steps, with the number of
    /// samples that the temperature was fitted on.
    pub fn confidence(&self, t_max: usize) -> (Confidence, usize) {
        (Confidence { gain: self.gain as f32, t_max }, self.samples)
    }

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
    let found = temperatures(run, model, std::slice::from_ref(at), progress)?;
    Ok(found.first().copied().unwrap_or(Temperature::UNCALIBRATED))
}

/// The temperatures of a run at several operating points, as [`temperature`].
///
/// # Errors
/// As [`temperature`].
pub fn temperatures(
    run: &Loaded,
    model: &Model,
    points: &[OperatingPoint],
    progress: &dyn Progress,
) -> Result<Vec<Temperature>> {
    let (mut old, mut new) = (kept(run).unwrap_or_default().all, Vec::new());
    let mut found = Vec::with_capacity(points.len());
    for at in points {
        let at = at.canonical(&run.network, run.facts.t_max);
        if !is_kept(run, model, &at) {
            found.push(temperature_of_changed(run, model, &at, progress)?);
            continue;
        }
        found.push(match self::found(&old, &at) {
            Some(temperature) => temperature,
            None => {
                let temperature = temperature_of_changed(run, model, &at, progress)?;
                put(&mut old, at.clone(), temperature);
                new.push((at, temperature));
                temperature
            }
        });
    }
    if !new.is_empty()
        && let Err(e) = keep(run, |kept| new.into_iter().for_each(|(at, t)| put(&mut kept.all, at, t)))
    {
        progress.warn(&format!("the temperatures of the confidence are not kept, and are fitted again next time: {e}"));
    }
    Ok(found)
}

/// As [`temperature`], for a run whose network or model was changed in memory: the run neither keeps
/// nor gives a temperature of it.
///
/// # Errors
/// As [`temperature`].
pub fn temperature_of_changed(
    run: &Loaded,
    model: &Model,
    at: &OperatingPoint,
    progress: &dyn Progress,
) -> Result<Temperature> {
    let ids = fit_samples(run);
    if ids.is_empty() {
        return Ok(Temperature::UNCALIBRATED);
    }
    let gain = match at.canonical(&run.network, run.facts.t_max) {
        OperatingPoint::Clocked { configuration, leak, .. } => {
            fitted_gain(model, &setting(run, ids), &configuration, leak, progress)?
        }
        at @ OperatingPoint::EventDriven { .. } => event_driven(run, &at, ids, progress)?,
    };
    Ok(Temperature { gain, samples: ids.len() })
}

/// The temperature of softmax(g·Σ/T_max) at the end of these recordings.
fn event_driven(run: &Loaded, at: &OperatingPoint, ids: &[SampleId], progress: &dyn Progress) -> Result<f64> {
    let program = at.program(run)?;
    progress.start("fit the confidence", ids.len() as u64, "recording");
    let readout = |session: &mut Session, &id: &SampleId| -> Result<(Vec<f32>, usize)> {
        crate::error::stop(progress)?;
        session.reset();
        session.feed(load(run, id)?.as_ref())?;
        progress.advance(1, "");
        Ok((session.logits(), run.source.label(id)))
    };
    let readouts: Vec<_> = ids.par_iter().map_init(|| Session::new(&program), readout).collect::<Result<_>>()?;
    progress.finish();
    Ok(Confidence::fitted(run.facts.t_max, &readouts).gain.into())
}

/// The first validation samples, on which everything that a run keeps is fitted.
pub fn fit_samples(run: &Loaded) -> &[SampleId] {
    &run.parts.validation[..run.parts.validation.len().min(FIT_SAMPLES)]
}

/// Whether the run keeps the fits of this point: not those of a run at time steps at a lower precision,
/// which has other logits. (Without a clock the precision of the model has no effect.)
pub(crate) fn is_kept(run: &Loaded, model: &Model, at: &OperatingPoint) -> bool {
    let exact = model.precision() == Precision::F32 || matches!(at, OperatingPoint::EventDriven { .. });
    exact && !run.parts.validation.is_empty()
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
