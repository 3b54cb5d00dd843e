//! Reads results that a run stores, and checks them against the run.
//!
//! A result is left out if it does not belong to the present run: it was measured on other weights
//! or on a part of the test set, a value is not finite, or its checksum does not fit. A warning
//! then names the file and the command that measures it again. A file that is not JSON is an error,
//! because only the user can decide what to do with it.

use crate::output::note;
use crate::results::{Evaluation, StoredAnswers};
use crate::shell::quoted;
use anyhow::Result;
use serde::de::DeserializeOwned;
use tickless::robustness::Robustness;
use tickless::simulate::Simulation;
use tickless::simulate::no_clock::NoClock;
use tickless_train::run::{Loaded, Seal};

/// The evaluation on the whole test part.
///
/// # Errors
/// If the file cannot be read or is not JSON.
pub fn evaluation(run: &Loaded) -> Result<Option<Evaluation>> {
    read(run, "eval.json", "eval", |e: &Evaluation| {
        check_weights(run, e.weights.as_deref())?;
        for p in &e.points {
            check_counts(p.accuracy, p.correct, p.samples)?;
            check_finite("the loss", p.loss)?;
            p.standard_error.map_or(Ok(()), |e| check_finite("a standard error", e))?;
            p.answers.as_ref().map_or(Ok(()), |a| a.check(p.correct, p.samples))?;
        }
        e.neurobench.as_ref().map_or(Ok(()), |c| c.check())?;
        e.energy.iter().try_for_each(|e| check_finite("an estimate of energy", e.estimate_nj))?;
        if !e.is_whole(run) {
            return Err(format!("is not of all {} test samples at f32", run.parts.test.len()));
        }
        e.activity.iter().try_for_each(|l| check_finite("an activity", l.spikes))
    })
}

/// The event-driven simulation of the whole test part.
///
/// # Errors
/// As [`evaluation`].
pub fn simulation(run: &Loaded) -> Result<Option<Simulation>> {
    read(run, "simulate.json", "simulate", |s: &Simulation| {
        check_weights(run, s.weights.as_deref())?;
        check_counts(s.accuracy, s.correct, s.samples)?;
        if s.samples != run.parts.test.len() {
            return Err(format!("is of {} recordings, the test part has {}", s.samples, run.parts.test.len()));
        }
        s.standard_error.map_or(Ok(()), |e| check_finite("a standard error", e))?;
        s.answers.as_ref().map_or(Ok(()), |a| a.check(s.correct, s.samples))?;
        let means = [s.events, s.synaptic_operations, s.seconds].into_iter().chain(s.layers.iter().map(|l| l.spikes));
        means.into_iter().try_for_each(|v| check_finite("a mean", v))
    })
}

/// The file of the answers to single samples.
pub const ANSWERS: &str = "answers.json";

/// The answers to the samples of the whole test part.
///
/// # Errors
/// As [`evaluation`].
pub fn answers(run: &Loaded) -> Result<Option<StoredAnswers>> {
    read(run, ANSWERS, "eval", |a: &StoredAnswers| a.check(run))
}

/// The file of `tickless study no-clock`, in a run and in a folder of results.
pub const NO_CLOCK: &str = "no-clock.json";

/// The study of refractory periods or lower limits on the whole test part.
///
/// # Errors
/// As [`evaluation`].
pub fn no_clock(run: &Loaded) -> Result<Option<NoClock>> {
    read(run, NO_CLOCK, "study no-clock", |n: &NoClock| {
        check_weights(run, Some(&n.weights))?;
        for row in &n.rows {
            for s in [Some(row.event_driven), row.validation, row.quantised].into_iter().flatten() {
                check_counts(s.accuracy, s.correct, s.samples)?;
            }
            row.clocked.iter().try_for_each(|c| check_counts(c.accuracy, c.correct, c.samples))?;
        }
        Ok(())
    })
}

/// The file of `tickless study robustness`, in a run and in a folder of results.
pub const ROBUSTNESS: &str = "robustness.json";

/// The study of disturbed weights and inputs.
///
/// # Errors
/// As [`evaluation`].
pub fn robustness(run: &Loaded) -> Result<Option<Robustness>> {
    read(run, ROBUSTNESS, "study robustness", |r: &Robustness| {
        check_weights(run, Some(&r.weights))?;
        r.check()
    })
}

fn read<T: DeserializeOwned>(
    run: &Loaded,
    name: &str,
    command: &str,
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<Option<T>> {
    let file = run.folder.file(name);
    if !file.is_file() {
        return Ok(None);
    }
    let (json, seal) = run.folder.read_result(name)?;
    let again =
        || format!("`tickless {command} {}` measures it again", quoted(&run.folder.path().display().to_string()));
    let checked = match seal {
        Seal::Broken => Err("was changed after it was measured: its checksum does not fit its values".to_owned()),
        Seal::Whole | Seal::Absent => serde_json::from_value(json)
            .map_err(|e| format!("cannot be read ({e})"))
            .and_then(|t| check(&t).map(|()| t)),
    };
    match checked {
        Ok(result) => {
            if seal == Seal::Absent {
                note!(
                    "warning: {}: has no checksum (an earlier version wrote it), so changes of it cannot be noticed; {}",
                    file.display(),
                    again()
                );
            }
            Ok(Some(result))
        }
        Err(problem) => {
            note!("warning: {}: left out, because it {problem}; {}", file.display(), again());
            Ok(None)
        }
    }
}

fn check_weights(run: &Loaded, measured: Option<&str>) -> Result<(), String> {
    // Results of earlier versions do not state which weights they were measured on.
    match measured {
        Some(checksum) if checksum != run.checksum => Err("was measured on other weights".into()),
        _ => Ok(()),
    }
}

fn check_counts(accuracy: f64, correct: usize, samples: usize) -> Result<(), String> {
    let is = 100.0 * correct as f64 / samples.max(1) as f64;
    match correct <= samples && (accuracy - is).abs() < 1e-6 {
        true => Ok(()),
        false => Err(format!("has an accuracy of {accuracy} % for {correct} of {samples} samples")),
    }
}

fn check_finite(what: &str, value: f64) -> Result<(), String> {
    if value.is_finite() { Ok(()) } else { Err(format!("has {value} for {what}")) }
}
