//! Accuracy, spikes and synaptic operations of a program over recordings of a run: what comparisons
//! of many settings need of an event-driven run.

use super::load;
use crate::Result;
use crate::error::stop;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tickless_engine::{Confidence, Program};
use tickless_events::Recording;
use tickless_train::data::SampleId;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// The results of the engine on some recordings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EngineScore {
    /// Percent correct.
    pub accuracy: f64,
    /// Number of correct decisions.
    pub correct: usize,
    /// Number of recordings.
    pub samples: usize,
    /// Mean spikes per recording, summed over the layers.
    pub spikes: f64,
    /// Mean synaptic operations per recording.
    pub synaptic_operations: f64,
}

impl EngineScore {
    /// Runs `ids` through `program`. Advances `progress` by one for each recording.
    ///
    /// # Errors
    /// If a recording cannot be decoded, or `cancel` becomes true; [`Error::Stopped`] if `progress` asks
    /// to stop.
    ///
    /// [`Error::Stopped`]: crate::Error::Stopped
    pub fn measure(
        run: &Loaded,
        program: &Program,
        ids: &[SampleId],
        progress: &dyn Progress,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        let confidence = Confidence { gain: 1.0, t_max: run.facts.t_max };
        let load = |k: usize| -> tickless_train::Result<(Arc<Recording>, usize)> {
            Ok((load(run, ids[k])?, run.source.label(ids[k])))
        };
        let stopped = AtomicBool::new(false);
        let advance = |_: usize, _: usize| {
            progress.advance(1, "");
            if progress.cancelled() || cancel.load(Ordering::Relaxed) {
                stopped.store(true, Ordering::Relaxed);
            }
        };
        let ran = tickless_engine::run(program, &confidence, ids.len(), load, &advance, &stopped);
        stop(progress)?;
        let s = ran?.summary;
        Ok(Self {
            accuracy: 100.0 * s.accuracy,
            correct: s.correct,
            samples: s.recordings,
            spikes: s.spikes.iter().sum(),
            synaptic_operations: s.synaptic_ops,
        })
    }
}
