//! Every way to run the same recordings. All of them return the same kind of result.

use super::layers::Layers;
use crate::error::{Result, stop};
use rayon::prelude::*;
use std::sync::Arc;
use tickless_engine::{CompileOptions, Confidence, Event, Program, Recording, Session, Spike, Trace};
use tickless_net::{LeakRule, Network, Shape, Weights};
use tickless_train::device::Device;
use tickless_train::model::Model;
use tickless_train::progress::Progress;

/// The result of one executor, recording by recording.
#[derive(Debug, Clone, Default)]
pub struct Executed {
    /// `[recording][spiking layer][neuron]`, neurons as (channel, y, x).
    pub counts: Vec<Vec<Vec<u32>>>,
    /// `[recording][spiking layer]`, in order of emission; empty if only counts are known.
    pub spikes: Vec<Vec<Vec<Spike>>>,
    /// The readout, in (channel, y, x) order; empty if it is not known.
    pub logits: Vec<Vec<f32>>,
    /// Updates in which rounding decides whether a neuron fires: recording, layer, input event,
    /// neuron.
    pub close: Vec<(usize, usize, u64, usize)>,
    /// Whether nothing is known of each spiking layer; empty if all are known.
    pub absent: Vec<bool>,
}

impl Executed {
    /// The class that each recording was assigned.
    pub fn classes(&self) -> Vec<usize> {
        let class = |l: &Vec<f32>| Confidence::default().of(l.iter().map(|&v| f64::from(v))).0;
        self.logits.iter().map(class).collect()
    }

    /// Whether nothing is known of a spiking layer.
    pub fn is_absent(&self, layer: usize) -> bool {
        self.absent.get(layer).copied().unwrap_or(false)
    }

    /// The results of the recordings at these positions.
    pub fn picked(&self, places: &[usize]) -> Self {
        fn pick<T: Clone>(all: &[T], places: &[usize]) -> Vec<T> {
            places.iter().filter_map(|&p| all.get(p).cloned()).collect()
        }
        let again = |c: &(usize, usize, u64, usize)| {
            let new = places.iter().position(|&p| p == c.0)?;
            Some((new, c.1, c.2, c.3))
        };
        Self {
            counts: pick(&self.counts, places),
            spikes: pick(&self.spikes, places),
            logits: pick(&self.logits, places),
            close: self.close.iter().filter_map(again).collect(),
            absent: self.absent.clone(),
        }
    }

    /// Builds the result from the spikes and the readout of every recording.
    fn of(shapes: &[Shape], all: impl IntoIterator<Item = (Vec<Vec<Spike>>, Vec<f32>)>) -> Self {
        let mut out = Self::default();
        for (spikes, logits) in all {
            let counts = spikes.iter().zip(shapes).map(|(spikes, shape)| {
                let mut counts = vec![0u32; shape.len()];
                spikes.iter().for_each(|s| counts[neuron(*shape, s)] += 1);
                counts
            });
            out.counts.push(counts.collect());
            out.spikes.push(spikes);
            out.logits.push(logits);
        }
        out
    }
}

/// Index of a spike's neuron within its layer.
pub fn neuron(shape: Shape, s: &Spike) -> usize {
    (s.channel * shape.height + s.y) * shape.width + s.x
}

/// Shapes of the spiking layers.
pub fn shapes(network: &Network) -> Vec<Shape> {
    network.spiking().iter().map(|&i| network.nodes()[i].output).collect()
}

/// Compiles a network for the engine.
pub fn program(
    network: &Network,
    weights: &Weights,
    step_us: Option<f64>,
    quantised: bool,
) -> tickless_engine::Result<Program> {
    Program::compile(network, weights, &CompileOptions { step_us, quantised, ..CompileOptions::default() })
}

/// The treatment of the engine's state between recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A new session per recording.
    New,
    /// One session that is reset between recordings; it runs the last recording first.
    Reset,
    /// One session that is never reset, which is a usual mistake.
    Kept,
}

/// By how many µs a recording is delayed in a session. A session that is never reset continues
/// where the last recording ended, because time cannot run backwards in it.
pub fn late(session: &Session, r: &Recording, state: State) -> u64 {
    let begun = state == State::Kept && session.now_us() > r.t_first_us().unwrap_or(0);
    if begun { session.now_us() } else { 0 }
}

/// Runs the event-driven engine.
pub fn engine(program: &Program, recordings: &[Arc<Recording>], state: State) -> Result<Executed> {
    let layers = program.layers().len();
    let run = |session: &mut Session, r: &Recording| -> Result<(Vec<Vec<Spike>>, Vec<f32>)> {
        let mut trace = Trace::default();
        match late(session, r, state) {
            0 => session.feed_into(r, &mut trace)?,
            by => {
                let events: Vec<Event> = r.iter().map(|e| Event { t_us: e.t_us + by, ..e }).collect();
                session.feed_into(&Recording::from_events(r.sensor(), &events)?.0, &mut trace)?;
            }
        }
        let mut spikes = vec![Vec::new(); layers];
        trace.spikes.into_iter().for_each(|s| spikes[s.layer].push(s));
        Ok((spikes, session.logits()))
    };
    let all: Vec<_> = match state {
        State::New => recordings.par_iter().map(|r| run(&mut Session::new(program), r)).collect::<Result<_>>()?,
        State::Kept => {
            let mut session = Session::new(program);
            recordings.iter().map(|r| run(&mut session, r)).collect::<Result<_>>()?
        }
        State::Reset => {
            let mut session = Session::new(program);
            let backwards = recordings.iter().rev().map(|r| {
                session.reset();
                run(&mut session, r)
            });
            let mut all = backwards.collect::<Result<Vec<_>>>()?;
            all.reverse();
            all
        }
    };
    let shapes: Vec<Shape> = program.layers().iter().map(|l| l.shape).collect();
    Ok(Executed::of(&shapes, all))
}

/// Runs the clocked network layer by layer, with one input event per step.
pub fn clocked_layers(
    (network, weights): (&Arc<Network>, &Weights),
    step_us: Option<f64>,
    recordings: &[Arc<Recording>],
    device: &Device,
    progress: &dyn Progress,
) -> Result<Executed> {
    let mut layers = Layers::new(network, weights, step_us, device)?;
    let (mut all, mut close) = (Vec::new(), Vec::new());
    progress.start("clocked layers", recordings.len() as u64, "recording");
    for (k, r) in recordings.iter().enumerate() {
        stop(progress)?;
        let out = layers.run(r)?;
        close.extend(out.close.into_iter().map(|(layer, event, neuron)| (k, layer, event, neuron)));
        all.push((out.spikes, out.logits));
        progress.advance(1, "");
    }
    progress.finish();
    Ok(Executed { close, ..Executed::of(&shapes(network), all) })
}

/// Runs the clocked network at T steps as it was trained; returns counts and logits.
pub fn clocked(model: &Model, recordings: &[Arc<Recording>], t_max: usize, step_us: Option<f64>) -> Result<Executed> {
    let network = model.network().clone();
    let spiking = network.spiking();
    let mut out = Executed::default();
    for r in recordings {
        let how = Clock { steps: t_max, t_max, step_us, leak: LeakRule::Step };
        let (spikes, logits) = pass(model, r, how)?;
        let counts = spiking.iter().zip(&spikes).map(|(&i, all)| {
            let mut counts = vec![0u32; network.nodes()[i].output.len()];
            all.chunks(counts.len()).for_each(|step| counts.iter_mut().zip(step).for_each(|(c, v)| *c += *v as u32));
            counts
        });
        out.counts.push(counts.collect());
        out.logits.push(summed(&logits, network.output().len()));
    }
    Ok(out)
}

/// The logits of all steps, added up.
fn summed(logits: &[f32], classes: usize) -> Vec<f32> {
    let mut sum = vec![0.0f32; classes];
    logits.chunks(classes).for_each(|step| sum.iter_mut().zip(step).for_each(|(s, v)| *s += v));
    sum
}

/// The class of a recording at `steps` steps with the leak per time.
pub fn clocked_class(
    model: &Model,
    recording: &Recording,
    steps: usize,
    (t_max, step_us): (usize, Option<f64>),
) -> Result<usize> {
    let (_, logits) = pass(model, recording, Clock { steps, t_max, step_us, leak: LeakRule::Time })?;
    let sum = summed(&logits, model.network().output().len());
    Ok(Confidence::default().of(sum.iter().map(|&v| f64::from(v))).0)
}

/// The spikes of each spiking layer, `[layer][step · neuron]`, at `steps` steps with the leak per
/// time.
pub fn clocked_steps(
    model: &Model,
    recording: &Recording,
    steps: usize,
    (t_max, step_us): (usize, Option<f64>),
) -> Result<Vec<Vec<f32>>> {
    Ok(pass(model, recording, Clock { steps, t_max, step_us, leak: LeakRule::Time })?.0)
}

/// The time steps of a clocked run.
#[derive(Debug, Clone, Copy)]
struct Clock {
    steps: usize,
    t_max: usize,
    step_us: Option<f64>,
    leak: LeakRule,
}

/// The spikes of each spiking layer and the logits of all steps.
fn pass(model: &Model, recording: &Recording, how: Clock) -> Result<(Vec<Vec<f32>>, Vec<f32>)> {
    use tickless_events::Framing;
    use tickless_train::model::{NormMode, Pass, Sequence};
    use tickless_train::seed;
    let network = model.network().clone();
    let spiking = network.spiking();
    let shape = network.input().shape;
    let configuration = vec![how.steps; network.stages()];
    let Clock { steps, t_max, step_us, leak } = how;
    let pass = Pass { configuration: &configuration, norm: NormMode::Running, leak, t_max, step_us };
    let mut values = vec![0.0f32; steps * shape.len()];
    Framing::slices(steps).write(recording, &mut values)?;
    let input = Sequence::from_values(values, [steps, 1, shape.channels, shape.height, shape.width], model.device());
    let mut spikes = vec![Vec::new(); spiking.len()];
    let mut see = |i: usize, s: &Sequence| {
        let Some(k) = spiking.iter().position(|&j| j == i) else { return };
        spikes[k] = s.clone().tensor().into_data().try_into_vec().expect("every tensor of the trainer is f32");
    };
    let result = model.forward(&model.constants(), input, &pass, &mut seed::rng(0, "parity", 0), Some(&mut see))?;
    let logits = result.logits.into_data().try_into_vec().expect("every tensor of the trainer is f32");
    Ok((spikes, logits))
}
