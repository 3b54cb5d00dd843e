//! Early exits of a run at an operating point, with what they need besides rule and threshold: the
//! temperature of the probabilities, and the policy of a learned exit.
//!
//! Both are fitted on the first validation samples once and kept in the run
//! ([`temperature::FILE`]), so every command stops a sample at the same
//! moment. A policy belongs to one operating point, because its features change with T. Without a
//! validation part there is no policy: the training samples are those that the network has been
//! fitted to, so it is right there more often and sooner than elsewhere.

use crate::error::stop;
use crate::operating_point::{ExitAt, OperatingPoint};
use crate::readout::setting;
use crate::simulate::load;
use crate::temperature::{self, Temperature, fit_samples, found, is_kept, keep, kept, put};
use crate::{Error, Result};
use rayon::prelude::*;
use tickless_engine::{Confidence, Session, exit_examples};
use tickless_net::exit_policy::Example;
use tickless_net::{Exit, ExitPolicy, ExitRule};
use tickless_train::data::SampleId;
use tickless_train::evaluate::over_time;
use tickless_train::model::Model;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// The exits of an operating point.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Exits {
    /// The temperature of the probabilities.
    pub temperature: Temperature,
    /// The policy, if one of the exits is learned.
    pub policy: Option<ExitPolicy>,
    /// Each exit as its rule and threshold, and as what stops a run.
    pub all: Vec<(ExitAt, Exit)>,
}

/// The exits of a run at an operating point, whose own exit does not matter. What the run does not
/// keep is fitted on the validation part and kept.
///
/// # Errors
/// [`Error::NoValidation`] if an exit is learned and the run has no validation part; if a sample
/// cannot be decoded, the network cannot run so, or the user stops.
pub fn exits(
    run: &Loaded,
    model: &Model,
    at: &OperatingPoint,
    exits: &[ExitAt],
    progress: &dyn Progress,
) -> Result<Exits> {
    gathered(run, model, at, exits, true, progress)
}

/// As [`exits`], for a run whose network was changed in memory: the run keeps nothing of it.
///
/// # Errors
/// As [`exits`].
pub fn exits_of_changed(
    run: &Loaded,
    model: &Model,
    at: &OperatingPoint,
    exits: &[ExitAt],
    progress: &dyn Progress,
) -> Result<Exits> {
    gathered(run, model, at, exits, false, progress)
}

/// `keeps`: whether the run keeps the fits.
fn gathered(
    run: &Loaded,
    model: &Model,
    at: &OperatingPoint,
    exits: &[ExitAt],
    keeps: bool,
    progress: &dyn Progress,
) -> Result<Exits> {
    let at = &at.canonical(&run.network, run.facts.t_max);
    let keeps = keeps && is_kept(run, model, at);
    let learns = exits.iter().any(|e| e.rule == ExitRule::Learned);
    if learns && run.parts.validation.is_empty() {
        return Err(Error::no_validation(run));
    }
    let temperature = match keeps {
        true => temperature::temperature(run, model, at, progress)?,
        false => temperature::temperature_of_changed(run, model, at, progress)?,
    };
    let policy = match (learns, keeps) {
        (false, _) => None,
        (true, true) => Some(policy(run, model, at, temperature, progress)?),
        (true, false) => Some(learned(run, model, at, temperature, progress)?),
    };
    Ok(Exits { temperature, policy, all: resolved(run, at, exits, temperature, policy)? })
}

fn resolved(
    run: &Loaded,
    at: &OperatingPoint,
    exits: &[ExitAt],
    temperature: Temperature,
    policy: Option<ExitPolicy>,
) -> Result<Vec<(ExitAt, Exit)>> {
    let resolve = |exit: &ExitAt| {
        let rule = exit.rule.with(policy).ok_or_else(|| Error::no_validation(run))?;
        Ok((
            *exit,
            match at {
                OperatingPoint::Clocked { .. } => Exit { rule, alpha: exit.alpha, gain: temperature.gain },
                OperatingPoint::EventDriven { .. } => confidence(run, temperature).exit(rule, exit.alpha),
            },
        ))
    };
    exits.iter().map(resolve).collect()
}

/// The confidence of an event-driven run.
pub(crate) fn confidence(run: &Loaded, temperature: Temperature) -> Confidence {
    temperature.confidence(run.facts.t_max).0
}

/// The policy that the run keeps, or else a new one, which it keeps from then on.
fn policy(
    run: &Loaded,
    model: &Model,
    at: &OperatingPoint,
    temperature: Temperature,
    progress: &dyn Progress,
) -> Result<ExitPolicy> {
    if let Some(policy) = kept(run).and_then(|kept| found(&kept.policies, at)) {
        return Ok(policy);
    }
    let policy = learned(run, model, at, temperature, progress)?;
    if let Err(e) = keep(run, |kept| put(&mut kept.policies, at.clone(), policy)) {
        progress.warn(&format!("the policy of the learned exit is not kept, and is fitted again next time: {e}"));
    }
    Ok(policy)
}

/// Learns a policy on the first validation samples.
fn learned(
    run: &Loaded,
    model: &Model,
    at: &OperatingPoint,
    temperature: Temperature,
    progress: &dyn Progress,
) -> Result<ExitPolicy> {
    let ids = fit_samples(run);
    let OperatingPoint::Clocked { configuration, leak, .. } = at else {
        return learned_without_a_clock(run, at, ids, temperature, progress);
    };
    let steps = configuration.first().copied().unwrap_or(1);
    Ok(over_time(model, &setting(run, ids), steps, *leak, progress)?.policy(temperature.gain))
}

fn learned_without_a_clock(
    run: &Loaded,
    at: &OperatingPoint,
    ids: &[SampleId],
    temperature: Temperature,
    progress: &dyn Progress,
) -> Result<ExitPolicy> {
    let program = at.program(run)?;
    let confidence = confidence(run, temperature);
    // The mean span of a training recording.
    let span_us = run.facts.step_us.map_or(1e6, |step| step * run.facts.t_max as f64);
    progress.start("learned exit", ids.len() as u64, "recording");
    let examples = |session: &mut Session, &id: &SampleId| -> Result<Vec<Example>> {
        stop(progress)?;
        let found = exit_examples(session, load(run, id)?.as_ref(), run.source.label(id), &confidence, span_us)?;
        progress.advance(1, "");
        Ok(found)
    };
    let all: Vec<Vec<Example>> = ids.par_iter().map_init(|| Session::new(&program), examples).collect::<Result<_>>()?;
    progress.finish();
    Ok(ExitPolicy::fitted(span_us, &all.concat()))
}
