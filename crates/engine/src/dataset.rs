//! Runs many recordings in parallel, with the same results on any number of threads.
//!
//! Every recording starts with the session's neurons at rest. A thread takes an idle session before
//! it makes one, so there is at most one session per thread. The results are in the order of the
//! indices. If several recordings fail, the run returns the error of the lowest index, so that the
//! error does not depend on which thread failed first.

use crate::error::{Error, Result};
use crate::program::Program;
use crate::progress::Progress;
use crate::session::Session;
pub use crate::summary::Outcome;
use crate::summary::Summary;
use rayon::prelude::*;
use std::borrow::Borrow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tickless_events::Recording;
use tickless_net::Confidence;

/// The outcomes of a dataset run, in the order of the recordings, and their summary.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// One outcome per recording.
    pub outcomes: Vec<Outcome>,
    /// The summary of the outcomes.
    pub summary: Summary,
}

/// Runs the recordings `0..total` on the threads of the current rayon pool.
///
/// `load(index)` returns the recording (owned, borrowed or shared) and its label; the thread that
/// runs a recording also loads it. `progress` is told the number of finished recordings. If
/// `cancel` becomes true, the run stops after the recordings that are in progress.
///
/// # Errors
/// If a recording cannot be loaded or run (the one with the lowest index), or if the run was
/// cancelled.
pub fn run<F, R, E, P>(
    program: &Program,
    confidence: &Confidence,
    total: usize,
    load: F,
    progress: &P,
    cancel: &AtomicBool,
) -> Result<Run>
where
    F: Fn(usize) -> Result<(R, usize), E> + Sync,
    R: Borrow<Recording>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
    P: Progress + ?Sized,
{
    let idle: Mutex<Vec<Session>> = Mutex::new(Vec::new());
    let finished = AtomicUsize::new(0);
    // The lowest index that has failed. Recordings after it need not run; earlier ones must run,
    // because they may fail too and the run returns the error of the lowest index.
    let failed = AtomicUsize::new(usize::MAX);
    let run_one = |index: usize| -> Option<Result<Outcome>> {
        if cancel.load(Ordering::Relaxed) || index > failed.load(Ordering::Relaxed) {
            return None;
        }
        let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut session = taken.unwrap_or_else(|| Session::new(program));
        let outcome = load(index)
            .map_err(Into::into)
            .and_then(|(recording, label)| Ok(outcome(&mut session, recording.borrow(), label, confidence)?));
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        match outcome {
            Ok(o) => {
                progress.finished(finished.fetch_add(1, Ordering::Relaxed) + 1, total);
                Some(Ok(o))
            }
            Err(source) => {
                failed.fetch_min(index, Ordering::Relaxed);
                Some(Err(Error::Recording { index, source }))
            }
        }
    };
    let results: Vec<Option<Result<Outcome>>> = (0..total).into_par_iter().map(run_one).collect();
    let mut outcomes = Vec::with_capacity(total);
    for result in results.into_iter().flatten() {
        outcomes.push(result?);
    }
    if outcomes.len() < total {
        return Err(Error::Cancelled { finished: outcomes.len(), total });
    }
    let summary = Summary::of(program, &outcomes);
    Ok(Run { outcomes, summary })
}

/// Resets the session, runs one recording in it and returns the outcome.
///
/// # Errors
/// If an event lies outside the input, or if a value of the readout is not finite.
pub fn outcome(session: &mut Session, recording: &Recording, label: usize, confidence: &Confidence) -> Result<Outcome> {
    session.reset();
    session.feed(recording)?;
    let decision = session.decision(confidence);
    let logits = session.logits();
    if let Some((class, &value)) = logits.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        return Err(Error::NotFinite { class, value });
    }
    Ok(Outcome {
        label,
        class: decision.class,
        confidence: decision.confidence,
        logits,
        events: decision.events,
        us: decision.us,
        spikes: session.spikes().to_vec(),
        synaptic_ops: session.synaptic_ops(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::CompileOptions;
    use tickless_events::{Event, Sensor};
    use tickless_net::{Array, InputKind, NetworkBuilder, Shape, Weights};

    #[test]
    fn a_readout_beyond_f32_is_an_error_that_names_its_class() {
        let mut b = NetworkBuilder::new("two", Shape::new(2, 1, 1), InputKind::Events);
        b.linear(b.input(), 2, false);
        let net = b.build().unwrap();
        let event = |t_us| Event { t_us, x: 0, y: 0, on: true };
        let sensor = Sensor { width: 1, height: 1 };
        let recording = Recording::from_events(sensor, &[event(1), event(2), event(3)]).unwrap().0;
        for (weight, finite) in [(1e38, true), (3e38, false), (-3e38, false)] {
            let mut weights = Weights::default();
            weights.insert("linear1.weight", Array::new(vec![2, 2], vec![0.5, 0.5, 0.5, weight]));
            let program = Program::compile(&net, &weights, &CompileOptions::default()).unwrap();
            let result = outcome(&mut Session::new(&program), &recording, 0, &Confidence::default());
            match result {
                Ok(o) => assert!(finite && o.logits.iter().all(|v| v.is_finite()), "{weight}"),
                Err(e) => assert!(!finite && e.to_string().contains("class 1"), "{weight}: {e}"),
            }
        }
    }
}
