//! Runs recordings under a model of a chip's asynchrony and compares them with the exact engine.

use crate::Result;
use crate::error::stop;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tickless_engine::{AsyncSession, Asynchrony, Confidence, NeuronCounts, Program, Session, spike_difference};
use tickless_train::data::SampleId;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// One setting of the model of asynchrony, and its results.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SweepRow {
    /// The quantity that was changed: exact (none), order, delay, layer, jitter, service or queue.
    pub swept: String,
    /// Its value: µs, events, or the name of an order or a layer.
    pub value: String,
    /// Percent correct.
    pub accuracy: f64,
    /// Σ|exact − this| / Σ exact over the spike counts of all neurons; `None` if infinite.
    pub spike_difference: Option<f64>,
    /// Events lost at full queues, per recording.
    pub lost: f64,
    /// Most events in a core at one time, over all recordings.
    pub longest_queue: usize,
}

/// Spike counts of all neurons of all layers without asynchrony, one list per recording.
///
/// # Errors
/// If a recording cannot be decoded.
pub fn exact(run: &Loaded, program: &Program, ids: &[SampleId]) -> Result<Vec<Vec<f64>>> {
    let count_spikes = |&id: &SampleId| {
        let (mut session, mut counts) = (Session::new(program), NeuronCounts::new(program));
        session.feed_into(run.source.recording(id)?.as_ref(), &mut counts)?;
        Ok(all_counts(program, &counts))
    };
    ids.par_iter().map(count_spikes).collect()
}

fn all_counts(program: &Program, counts: &NeuronCounts) -> Vec<f64> {
    (0..program.layers().len()).flat_map(|l| counts.layer(l)).map(|&c| c as f64).collect()
}

/// Runs recordings under a model. Recording k draws its random numbers from the model's seed and k.
///
/// # Errors
/// If the model has a negative time, a recording cannot be decoded, or the user stops.
pub fn measure(
    run: &Loaded,
    program: &Program,
    ids: &[SampleId],
    exact: &[Vec<f64>],
    model: &Asynchrony,
    progress: &dyn Progress,
) -> Result<SweepRow> {
    let confidence = Confidence { gain: 1.0, t_max: run.facts.t_max };
    let run_recording = |(k, &id): (usize, &SampleId)| -> Result<(bool, Vec<f64>, u64, usize)> {
        stop(progress)?;
        let (mut session, mut counts) = (AsyncSession::new(program, model)?, NeuronCounts::new(program));
        session.run(run.source.recording(id)?.as_ref(), k as u64, &mut counts)?;
        progress.advance(1, "");
        let right = session.decision(&confidence).class == run.source.label(id);
        let traffic = session.traffic();
        let (lost, longest) = (traffic.lost.iter().sum(), traffic.longest.iter().copied().max().unwrap_or(0));
        Ok((right, all_counts(program, &counts), lost, longest))
    };
    let results: Vec<_> = ids.par_iter().enumerate().map(run_recording).collect::<Result<_>>()?;
    let flat = |all: &mut dyn Iterator<Item = &Vec<f64>>| -> Vec<f64> { all.flatten().copied().collect() };
    let difference = spike_difference(&flat(&mut exact.iter()), &flat(&mut results.iter().map(|r| &r.1)));
    Ok(SweepRow {
        accuracy: 100.0 * results.iter().filter(|r| r.0).count() as f64 / ids.len().max(1) as f64,
        spike_difference: difference.is_finite().then_some(difference),
        lost: results.iter().map(|r| r.2).sum::<u64>() as f64 / ids.len().max(1) as f64,
        longest_queue: results.iter().map(|r| r.3).max().unwrap_or(0),
        ..SweepRow::default()
    })
}
