//! Runs the recordings of a trained run through the event-driven engine, and measures how far it is
//! from the clocked network at T_max.

pub mod asynchronous;
pub mod decisions;
mod engine_score;
pub mod no_clock;
pub mod quantised;
pub mod sample_course;
pub mod tune;

pub use engine_score::EngineScore;

use crate::{Error, Result};
use decisions::Decisions;
use quantised::Quantised;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tickless_engine::{CompileOptions, Confidence, NeuronCounts, Program, Session, Trace, spike_difference};
use tickless_events::Recording;
use tickless_net::answers::standard_error;
use tickless_net::{AnswerStatistics, Answers, InputKind, LeakRule, Weights};
use tickless_train::data::SampleId;
use tickless_train::evaluate::{LayerActivity, Setting, spike_counts};
use tickless_train::model::Model;
use tickless_train::progress::{Progress, Silent};
use tickless_train::run::Loaded;

/// Most recordings that the spike difference is measured on.
const DIFFERENCE_SAMPLES: usize = 500;

/// The results of the simulator. They are not measurements of a chip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Simulation {
    /// Percent correct.
    pub accuracy: f64,
    /// Number of correct decisions.
    pub correct: usize,
    /// Number of recordings.
    pub samples: usize,
    /// Standard error of the accuracy over the recordings, in percentage points; missing if all
    /// decisions are right or all are wrong, and in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// What the answers say class by class; missing in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<AnswerStatistics>,
    /// Mean input events per recording.
    pub events: f64,
    /// Mean spikes per recording of each spiking layer.
    pub layers: Vec<LayerActivity>,
    /// Mean synaptic operations per recording.
    pub synaptic_operations: f64,
    /// Layers that never fired.
    pub silent: Vec<String>,
    /// Spike difference Σ|s0 − s| / Σ s0 of each spiking layer over all neurons and recordings,
    /// with s0 the clocked network at T_max and s the engine.
    #[serde(with = "differences")]
    pub spike_difference: Vec<(String, f64)>,
    /// Number of recordings that it was measured on.
    pub spike_difference_samples: usize,
    /// Name of s0.
    #[serde(default)]
    pub spike_difference_reference: String,
    /// The times at which the answer was known.
    #[serde(default)]
    pub decisions: Option<Decisions>,
    /// Results with 8-bit weights.
    #[serde(default)]
    pub quantised: Option<Quantised>,
    /// The reason why there are no 8-bit results.
    #[serde(default)]
    pub quantised_refused: Option<String>,
    /// Wall-clock seconds of the event-driven run, on all threads.
    pub seconds: f64,
    /// The checksum of the weights that were measured.
    #[serde(default)]
    pub weights: Option<String>,
}

/// Spike differences in JSON. The difference to a silent layer is infinite, which JSON cannot
/// express.
mod differences {
    use crate::number;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Written(#[serde(with = "number")] f64);

    pub fn serialize<S: Serializer>(all: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(|(layer, d)| (layer, Written(*d))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, f64)>, D::Error> {
        let all = Vec::<(String, Written)>::deserialize(deserializer)?;
        Ok(all.into_iter().map(|(layer, d)| (layer, d.0)).collect())
    }
}

/// Checks that a run can be executed without a clock.
///
/// # Errors
/// If its network has a bias or a norm, or its data set holds images; the message says what helps.
pub fn possible(run: &Loaded) -> Result<()> {
    if run.network.input().kind != InputKind::Events {
        return Err(Error::Images { set: run.recipe.data.set.clone() });
    }
    Ok(run.network.check_event_driven()?)
}

/// Compiles a run for the engine.
///
/// # Errors
/// If the network needs a clock (bias, norm); the message names the remedy.
pub fn compile(run: &Loaded) -> Result<Program> {
    possible(run)?;
    Ok(compile_with(run, false)?)
}

pub(crate) fn compile_with(run: &Loaded, quantised: bool) -> tickless_engine::Result<Program> {
    let options = CompileOptions { step_us: run.facts.step_us, quantised, ..CompileOptions::default() };
    Program::compile(&run.network, &run.weights, &options)
}

/// Compiles a run with other weights.
pub(crate) fn compile_with_weights(run: &Loaded, weights: &Weights) -> tickless_engine::Result<Program> {
    let options = CompileOptions { step_us: run.facts.step_us, ..CompileOptions::default() };
    Program::compile(&run.network, weights, &options)
}

/// A recording of a run.
pub(crate) fn load(run: &Loaded, id: SampleId) -> tickless_train::Result<Arc<Recording>> {
    run.source.recording(id)
}

/// Spike counts of each spiking layer over all recordings: `[recordings × neurons]` per layer.
///
/// # Errors
/// If a recording cannot be decoded.
pub fn counts(run: &Loaded, program: &Program, ids: &[SampleId]) -> Result<Vec<Vec<f64>>> {
    let layers = program.layers().len();
    let count_spikes = |(session, counts): &mut (Session, NeuronCounts), &id: &SampleId| -> Result<Vec<Vec<f64>>> {
        session.reset();
        counts.reset();
        session.feed_into(load(run, id)?.as_ref(), counts)?;
        Ok((0..layers).map(|l| counts.layer(l).iter().map(|&c| c as f64).collect()).collect())
    };
    let all: Vec<Vec<Vec<f64>>> = ids
        .par_iter()
        .map_init(|| (Session::new(program), NeuronCounts::new(program)), count_spikes)
        .collect::<Result<_>>()?;
    Ok((0..layers).map(|l| all.iter().flat_map(|r| r[l].iter().copied()).collect()).collect())
}

/// Runs recordings event by event, and the clocked network on some of them for comparison. `fitted` is
/// the confidence of the event-driven run with the number of samples that its temperature was fitted on
/// ([`Temperature::confidence`](crate::temperature::Temperature::confidence)).
///
/// # Errors
/// If the network needs a clock, a recording cannot be decoded, or the user stops.
pub fn simulate(
    run: &Loaded,
    model: &Model,
    (ids, fitted): (&[SampleId], (Confidence, usize)),
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Simulation> {
    Ok(simulate_answers(run, model, (ids, fitted), progress, stop)?.0)
}

/// As [`simulate`], with the answer to each recording.
///
/// # Errors
/// As [`simulate`].
pub fn simulate_answers(
    run: &Loaded,
    model: &Model,
    (ids, fitted): (&[SampleId], (Confidence, usize)),
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<(Simulation, Answers)> {
    let program = compile(run)?;
    if ids.is_empty() {
        return Err(Error::NoRecordings);
    }
    let confidence = Confidence { gain: 1.0, t_max: run.facts.t_max };
    let begun = std::time::Instant::now();
    progress.start("event-driven", ids.len() as u64, "recording");
    let load = |k: usize| -> tickless_train::Result<(Arc<Recording>, usize)> {
        Ok((load(run, ids[k])?, run.source.label(ids[k])))
    };
    let advance = |_: usize, _: usize| progress.advance(1, "");
    let result = tickless_engine::run(&program, &confidence, ids.len(), load, &advance, stop)?;
    progress.finish();
    let seconds = begun.elapsed().as_secs_f64();
    let s = result.summary;
    let layers = program.layers().iter().zip(&s.spikes);
    let layers =
        layers.map(|(l, spikes)| LayerActivity { layer: l.name.clone(), neurons: l.shape.len(), spikes: *spikes });
    let some = &ids[..ids.len().min(DIFFERENCE_SAMPLES)];
    let longest = result.outcomes.iter().fold((0, 0), |m, o| (m.0.max(o.us), m.1.max(o.events)));
    let decisions = decisions::decisions(run, &program, (ids, fitted), longest, progress)?;
    let (quantised, quantised_refused) = match quantised::program(run)? {
        Ok(small) => (Some(quantised::quantised(run, (&program, &small), ids, some.len(), progress)?), None),
        Err(why) => (None, Some(why)),
    };
    let mut answers = Answers::of_sums(run.network.output().len(), decisions.gain, run.facts.t_max);
    result.outcomes.iter().for_each(|o| answers.push(&o.logits, o.label));
    let simulation = Simulation {
        accuracy: 100.0 * s.accuracy,
        correct: s.correct,
        samples: s.recordings,
        standard_error: standard_error(s.correct, s.recordings),
        answers: Some(answers.statistics()),
        events: s.events,
        layers: layers.collect(),
        synaptic_operations: s.synaptic_ops,
        silent: s.silent,
        spike_difference: difference(run, model, &program, some)?,
        spike_difference_samples: some.len(),
        spike_difference_reference: format!("clocked at T = {}", run.facts.t_max),
        decisions: Some(decisions),
        quantised,
        quantised_refused,
        seconds,
        weights: Some(run.checksum.clone()),
    };
    Ok((simulation, answers))
}

/// Spike difference of the engine to the network clocked at T_max, per spiking layer.
fn difference(run: &Loaded, model: &Model, program: &Program, ids: &[SampleId]) -> Result<Vec<(String, f64)>> {
    let Loaded { facts, source, recipe, .. } = run;
    let (t_max, step_us) = (facts.t_max, facts.step_us);
    let setting = Setting { source, ids, t_max, step_us, batch: recipe.eval.batch };
    let clocked = spike_counts(model, &setting, t_max, LeakRule::Step, &Silent)?;
    let engine = counts(run, program, ids)?;
    let layer_difference = |(l, info): (usize, &tickless_engine::LayerInfo)| {
        let s0: Vec<f64> = clocked.layers[l].iter().map(|&c| f64::from(c)).collect();
        (info.name.clone(), spike_difference(&s0, &engine[l]))
    };
    Ok(program.layers().iter().enumerate().map(layer_difference).collect())
}

/// The spikes of one recording, and the class that the network chose.
///
/// # Errors
/// If the network needs a clock or the recording cannot be decoded.
pub fn trace(run: &Loaded, id: SampleId) -> Result<(Program, Trace, usize)> {
    let program = compile(run)?;
    let mut session = Session::new(&program);
    let mut trace = Trace::default();
    let recording = run.source.recording(id).map_err(Error::Drawn)?;
    session.feed_into(recording.as_ref(), &mut trace)?;
    let class = session.decision(&Confidence { gain: 1.0, t_max: run.facts.t_max }).class;
    Ok((program, trace, class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_infinite_spike_difference_survives_the_file_it_is_kept_in() {
        let kept = Simulation {
            accuracy: 10.0,
            correct: 1,
            samples: 10,
            standard_error: None,
            answers: None,
            events: 100.0,
            layers: Vec::new(),
            synaptic_operations: 0.0,
            silent: Vec::new(),
            spike_difference: vec![("a".into(), f64::INFINITY), ("b".into(), 0.5)],
            spike_difference_samples: 10,
            spike_difference_reference: "clocked at T = 4".into(),
            decisions: None,
            quantised: None,
            quantised_refused: None,
            seconds: 1.0,
            weights: None,
        };
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Simulation>(&text).unwrap(), kept, "{text}");
    }
}
