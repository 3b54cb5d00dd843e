//! Measures an operating point on some samples of a run: accuracy and cost. Each sample is loaded
//! once.

use super::Measured;
use crate::error::stop;
use crate::exits::{confidence, exits};
use crate::operating_point::{ExitAt, OperatingPoint};
use crate::readout::setting;
use crate::simulate::load;
use crate::temperature::Temperature;
use crate::{Error, Result};
use rayon::prelude::*;
use std::time::{Duration, Instant};
use tickless_engine::{Session, Stop, early_exits};
use tickless_net::answers::standard_error;
use tickless_net::{Exit, LeakRule};
use tickless_train::data::SampleId;
use tickless_train::evaluate::{
    Operations, OverTime, early_exit, fastest, over_time_with_operations, point_and_operations, time_of_whole_passes,
};
use tickless_train::model::Model;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// Most samples that the synaptic operations of a search are counted on.
pub(super) const COUNTED: usize = 200;

impl Measured {
    /// The results of a point that answered `correct` of `samples` samples with these operations.
    fn of(point: OperatingPoint, correct: usize, samples: usize, operations: Operations) -> Self {
        Self {
            point,
            accuracy: 100.0 * correct as f64 / samples.max(1) as f64,
            standard_error: standard_error(correct, samples),
            correct,
            samples,
            steps: None,
            us: None,
            events: None,
            operations: operations.total(),
            energy_nj: operations.energy_nj(),
            ms: None,
        }
    }
}

/// Measures a point on `ids`.
///
/// # Errors
/// If a sample cannot be decoded, the network cannot run so, or the user stops.
pub fn measure(
    run: &Loaded,
    model: &Model,
    ids: &[SampleId],
    point: &OperatingPoint,
    progress: &dyn Progress,
) -> Result<Measured> {
    if let OperatingPoint::Clocked { configuration, leak, exit: None } = point {
        return at_configuration(run, model, ids, (configuration, *leak), usize::MAX, progress);
    }
    let asked: Vec<ExitAt> = point.exit().into_iter().collect();
    let found = exits(run, model, point, &asked, progress)?;
    let first = match point {
        OperatingPoint::Clocked { configuration, leak, .. } => {
            let steps = configuration.first().copied().unwrap_or(1);
            let all = over_time_with_operations(model, &setting(run, ids), steps, *leak, progress)?;
            found.all.iter().map(|exit| at_exit(&all, point, exit)).next()
        }
        OperatingPoint::EventDriven { .. } => {
            progress.start("event-driven", ids.len() as u64, "recording");
            let all = stops(run, ids, point, (&found.all, found.temperature), progress)?;
            progress.finish();
            // With an exit, the last entry is the run to the end.
            event_driven(point, &found.all, &all).into_iter().next()
        }
    };
    first.ok_or(Error::NoRecordings)
}

/// Milliseconds per sample of a run that really stops, on all threads, without the time to load the
/// samples: a measurement, which another time or another machine may give otherwise. Up to four passes
/// are timed, and the fastest counts.
///
/// # Errors
/// As [`measure`].
pub fn time(
    run: &Loaded,
    model: &Model,
    ids: &[SampleId],
    point: &OperatingPoint,
    progress: &dyn Progress,
) -> Result<f64> {
    let asked: Vec<ExitAt> = point.exit().into_iter().collect();
    let exit = exits(run, model, point, &asked, progress)?.all.pop().map(|found| found.1);
    let passed = match (point, exit) {
        (OperatingPoint::Clocked { configuration, leak, .. }, None) => {
            let pass = || time_of_whole_passes(model, &setting(run, ids), configuration, *leak, progress);
            fastest(|| pass().map(|passed| ((), passed)))?.1
        }
        (OperatingPoint::Clocked { configuration, leak, .. }, Some(exit)) => {
            let steps = configuration.first().copied().unwrap_or(1);
            fastest(|| early_exit(model, &setting(run, ids), steps, *leak, &exit, progress))?.1
        }
        (OperatingPoint::EventDriven { .. }, exit) => {
            let program = point.program(run)?;
            let recordings = ids.iter().map(|&id| Ok(load(run, id)?)).collect::<Result<Vec<_>>>()?;
            let pass = || -> Result<((), Duration)> {
                let begun = Instant::now();
                recordings.par_iter().try_for_each_init(
                    || Session::new(&program),
                    |session, recording| -> Result<()> {
                        stop(progress)?;
                        session.reset();
                        match &exit {
                            None => session.feed(recording)?,
                            Some(exit) => drop(session.feed_until(recording, exit)?),
                        }
                        Ok(())
                    },
                )?;
                Ok(((), begun.elapsed()))
            };
            fastest(pass)?.1
        }
    };
    Ok(passed.as_secs_f64() * 1e3 / ids.len().max(1) as f64)
}

/// Measures a configuration without an exit; operations are counted on the first `counted` samples.
pub(super) fn at_configuration(
    run: &Loaded,
    model: &Model,
    ids: &[SampleId],
    (configuration, leak): (&[usize], LeakRule),
    counted: usize,
    progress: &dyn Progress,
) -> Result<Measured> {
    let (score, operations) = point_and_operations(model, &setting(run, ids), configuration, leak, counted, progress)?;
    let point = OperatingPoint::Clocked { configuration: configuration.to_vec(), leak, exit: None };
    let steps = configuration.iter().sum::<usize>() as f64 / configuration.len().max(1) as f64;
    Ok(Measured { steps: Some(steps), ..Measured::of(point, score.correct, score.samples, operations) })
}

/// What a run that stops at an exit would give, from the run to the end.
pub(super) fn at_exit(all: &OverTime, point: &OperatingPoint, (at, exit): &(ExitAt, Exit)) -> Measured {
    let exited = all.exits(exit);
    let operations = exited.operations.unwrap_or_default();
    let measured = Measured::of(point.with_exit(Some(*at)), exited.correct, exited.samples, operations);
    Measured { steps: Some(exited.mean_steps()), ..measured }
}

/// The state of each recording at each of these exits and last at its end, from one run, with its
/// label. `temperature` is that of the exits and of the confidences.
///
/// # Errors
/// As [`measure`].
pub fn stops(
    run: &Loaded,
    ids: &[SampleId],
    point: &OperatingPoint,
    (exits, temperature): (&[(ExitAt, Exit)], Temperature),
    progress: &dyn Progress,
) -> Result<Vec<(Vec<Stop>, usize)>> {
    let program = point.program(run)?;
    let confidence = confidence(run, temperature);
    let rules: Vec<Exit> = exits.iter().map(|e| e.1).collect();
    let one = |session: &mut Session, &id: &SampleId| -> Result<(Vec<Stop>, usize)> {
        stop(progress)?;
        let mut stops = early_exits(session, load(run, id)?.as_ref(), &rules, &confidence)?;
        stops.push(Stop::of(session, &confidence, false));
        progress.advance(1, "");
        Ok((stops, run.source.label(id)))
    };
    ids.par_iter().map_init(|| Session::new(&program), one).collect()
}

/// The results of event-driven runs with each of these exits, and last of one to the end, from
/// [`stops`].
pub fn event_driven(point: &OperatingPoint, exits: &[(ExitAt, Exit)], all: &[(Vec<Stop>, usize)]) -> Vec<Measured> {
    let n = all.len().max(1) as f64;
    let of = |k: usize, exit: Option<ExitAt>| {
        let mean = |f: &dyn Fn(&Stop) -> f64| all.iter().map(|(stops, _)| f(&stops[k])).sum::<f64>() / n;
        let correct = all.iter().filter(|(stops, label)| stops[k].decision.class == *label).count();
        let operations = Operations { accumulates: mean(&|s| s.synaptic_ops as f64), multiplies: 0.0 };
        let measured = Measured::of(point.with_exit(exit), correct, all.len(), operations);
        Measured {
            us: Some(mean(&|s| s.decision.us as f64)),
            events: Some(mean(&|s| s.decision.events as f64)),
            ..measured
        }
    };
    let of_exits = exits.iter().enumerate().map(|(k, exit)| of(k, Some(exit.0)));
    of_exits.chain([of(exits.len(), None)]).collect()
}
