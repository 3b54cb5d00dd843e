//! Runs the same recordings with 8-bit weights and 16-bit potentials, and compares with the float
//! engine.

use super::{compile_with, counts, load};
use crate::Result;
use crate::error::stop;
use crate::simulate::differences;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tickless_engine::{Confidence, Program, Session, spike_difference};
use tickless_train::data::SampleId;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// The results of the 8-bit engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantised {
    /// Percent correct.
    pub accuracy: f64,
    /// Mean synaptic operations per recording.
    pub synaptic_operations: f64,
    /// Spike difference of each spiking layer to the float engine, over all neurons and recordings.
    #[serde(with = "differences")]
    pub spike_difference: Vec<(String, f64)>,
}

/// The 8-bit program of a run, or the reason why it cannot be compiled.
pub fn program(run: &Loaded) -> Result<std::result::Result<Program, String>> {
    super::possible(run)?;
    Ok(compile_with(run, true).map_err(|e| e.to_string()))
}

/// Runs `ids` in 8 bit. The spike difference covers the first `compared` of them.
pub fn quantised(
    run: &Loaded,
    (float, small): (&Program, &Program),
    ids: &[SampleId],
    compared: usize,
    progress: &dyn Progress,
) -> Result<Quantised> {
    let confidence = Confidence { gain: 1.0, t_max: run.facts.t_max };
    progress.start("8 bit", ids.len() as u64, "recording");
    let run_recording = |session: &mut Session, &id: &SampleId| -> Result<(bool, u64)> {
        stop(progress)?;
        session.reset();
        session.feed(load(run, id)?.as_ref())?;
        progress.advance(1, "");
        Ok((session.decision(&confidence).class == run.source.label(id), session.synaptic_ops()))
    };
    let all: Vec<(bool, u64)> =
        ids.par_iter().map_init(|| Session::new(small), run_recording).collect::<Result<_>>()?;
    progress.finish();
    let n = ids.len().max(1) as f64;
    let some = &ids[..ids.len().min(compared)];
    let (s0, s) = (counts(run, float, some)?, counts(run, small, some)?);
    let layers = float.layers().iter().zip(s0.iter().zip(&s));
    Ok(Quantised {
        accuracy: 100.0 * all.iter().filter(|o| o.0).count() as f64 / n,
        synaptic_operations: all.iter().map(|o| o.1 as f64).sum::<f64>() / n,
        spike_difference: layers.map(|(l, (a, b))| (l.name.clone(), spike_difference(a, b))).collect(),
    })
}
