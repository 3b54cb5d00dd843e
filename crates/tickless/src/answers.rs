//! The answers of a run at many settings with time steps, each with the temperature of its own
//! setting.

use crate::Result;
use crate::operating_point::OperatingPoint;
use crate::readout::setting;
use crate::temperature::{Temperature, temperature_of_changed, temperatures};
use tickless_net::LeakRule;
use tickless_train::data::SampleId;
use tickless_train::evaluate::calibrate::Calibration;
use tickless_train::evaluate::{Answered, answers_at, calibrated};
use tickless_train::model::Model;
use tickless_train::progress::{Progress, Quiet};
use tickless_train::run::Loaded;

/// The answers to `ids` at each setting: the numbers of steps (one for each stage, or one for all) and
/// the leak rule. Settings that are the same computation are run once.
///
/// `is_changed` says that the network of the run was changed in memory. A calibration calibrates the
/// norms of a copy of the model for each setting. In both cases the run keeps no temperature.
///
/// # Errors
/// If a sample cannot be decoded, a number of steps does not fit the network, a logit is not finite,
/// or the user stops.
pub fn answers(
    run: &Loaded,
    model: &Model,
    ids: &[SampleId],
    settings: &[(Vec<usize>, LeakRule)],
    (is_changed, calibration): (bool, Option<&Calibration<'_>>),
    progress: &dyn Progress,
) -> Result<Vec<Answered>> {
    let point = |(given, leak): &(Vec<usize>, LeakRule)| {
        let configuration = match given[..] {
            [steps] => vec![steps; run.network.stages()],
            _ => given.clone(),
        };
        OperatingPoint::Clocked { configuration, leak: *leak, exit: None }.canonical(&run.network, run.facts.t_max)
    };
    let points: Vec<OperatingPoint> = settings.iter().map(point).collect();
    // Each at its last place, so that the progress ends at the last setting.
    let last = |k: &usize| !points[k + 1..].contains(&points[*k]);
    let distinct: Vec<OperatingPoint> = (0..points.len()).filter(last).map(|k| points[k].clone()).collect();
    let known: Vec<Temperature> = match is_changed || calibration.is_some() {
        false => temperatures(run, model, &distinct, progress)?,
        true => Vec::new(),
    };
    progress.start("evaluate", (distinct.len() * ids.len()) as u64, "sample");
    let mut found: Vec<Answered> = Vec::with_capacity(distinct.len());
    for (k, point) in distinct.iter().enumerate() {
        let OperatingPoint::Clocked { configuration, leak, .. } = point else { continue };
        let at = (&configuration[..], *leak);
        let copy = calibration.map(|c| calibrated(model, c, at)).transpose()?;
        let model = copy.as_ref().unwrap_or(model);
        let temperature = match known.get(k) {
            Some(temperature) => *temperature,
            None => temperature_of_changed(run, model, point, &Quiet(progress))?,
        };
        found.push(answers_at(model, &setting(run, ids), at, temperature.gain, progress)?);
    }
    progress.finish();
    let of = |((given, leak), point): (&(Vec<usize>, LeakRule), &OperatingPoint)| {
        let k = distinct.iter().position(|p| p == point)?;
        let mut answered = found.get(k)?.clone();
        (answered.point.configuration, answered.point.leak) = (given.clone(), *leak);
        Some(answered)
    };
    Ok(settings.iter().zip(&points).filter_map(of).collect())
}
