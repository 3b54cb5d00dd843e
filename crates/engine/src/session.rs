//! One stream of events running through a program: here a recording becomes spikes.
//!
//! Memory is constant and nothing is allocated after the start, so a camera may never stop.
//! Sessions share their program and nothing else. Splitting a stream into pushes changes nothing,
//! and after [`reset`](Session::reset) a session equals a new one.

use crate::decision::{Confidence, Decision};
use crate::deliver::{Cause, Memory, deliver};
use crate::error::{Error, Result};
use crate::program::Program;
use crate::sink::Sink;
use tickless_events::{Event, Recording};

/// The state of one run.
#[derive(Debug, Clone)]
pub struct Session {
    program: Program,
    memory: Memory,
    events: u64,
    first_us: Option<u64>,
    now_us: u64,
}

impl Session {
    /// A session at rest.
    pub fn new(program: &Program) -> Self {
        let memory = Memory::new(&program.plan);
        Self { program: program.clone(), memory, events: 0, first_us: None, now_us: 0 }
    }

    /// The program it runs.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Takes one event of a camera. Its polarity is its channel, off 0 and on 1; a network with one
    /// input channel takes both polarities there.
    ///
    /// # Errors
    /// If the event lies outside the input or before the session's time; the state is unchanged.
    #[inline]
    pub fn push(&mut self, event: Event) -> Result<()> {
        self.push_into(event, &mut ())
    }

    /// The same, and tells every spike to `sink`.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[inline]
    pub fn push_into<S: Sink>(&mut self, event: Event, sink: &mut S) -> Result<()> {
        let channels = self.program.plan.input.channels;
        if channels > 2 {
            return Err(self.refuse(format!(
                "the network has {channels} input channels and a camera two polarities; use `push_at` with a channel"
            )));
        }
        let channel = usize::from(event.on && channels == 2);
        self.push_at(event.t_us, channel, event.y.into(), event.x.into(), sink)
    }

    /// Takes one event at any channel; for inputs that are no camera. Spikes go to `sink`.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_at<S: Sink>(&mut self, t_us: u64, channel: usize, y: usize, x: usize, sink: &mut S) -> Result<()> {
        let input = self.program.plan.input;
        if channel >= input.channels || y >= input.height || x >= input.width {
            return Err(self.refuse(format!(
                "channel {channel}, y {y}, x {x} lies outside the input {input} of `{}`; use a network of the sensor's size or crop the recording",
                self.program.name()
            )));
        }
        if t_us < self.now_us {
            return Err(self.refuse(format!(
                "its time {t_us} µs lies before {} µs, which has passed; sort the events by time, or `reset` between recordings",
                self.now_us
            )));
        }
        let cause = Cause { t_us, index: self.events };
        self.now_us = t_us;
        self.first_us.get_or_insert(t_us);
        self.events += 1;
        let plan = &*self.program.plan;
        deliver(plan, &mut self.memory, sink, cause, plan.input_edges.clone(), (channel, y, x));
        Ok(())
    }

    /// Takes a whole recording (it continues the stream; [`reset`](Self::reset) starts anew).
    ///
    /// # Errors
    /// As [`push`](Self::push); the events before the refused one have been taken.
    pub fn feed(&mut self, recording: &Recording) -> Result<()> {
        self.feed_into(recording, &mut ())
    }

    /// The same, and tells every spike to `sink`.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn feed_into<S: Sink>(&mut self, recording: &Recording, sink: &mut S) -> Result<()> {
        recording.iter().try_for_each(|event| self.push_into(event, sink))
    }

    #[cold]
    fn refuse(&self, problem: String) -> Error {
        Error::Event { index: self.events, problem }
    }

    /// Lets time pass without events. Nothing fires: potentials only decay.
    ///
    /// # Errors
    /// If `t_us` lies before the session's time.
    pub fn advance_to(&mut self, t_us: u64) -> Result<()> {
        if t_us < self.now_us {
            return Err(
                self.refuse(format!("cannot advance to {t_us} µs: {} µs has passed; `reset` starts anew", self.now_us))
            );
        }
        self.now_us = t_us;
        Ok(())
    }

    /// Back to rest, at time 0.
    pub fn reset(&mut self) {
        self.memory.reset();
        (self.events, self.first_us, self.now_us) = (0, None, 0);
    }

    /// The readout in (channel, y, x) order: the sum of the weights of all spikes that reached it,
    /// or the spike counts where the readout spikes.
    pub fn logits(&self) -> Vec<f32> {
        self.values().map(|v| v as f32).collect()
    }

    /// Spike counts of the output neurons in (channel, y, x) order; empty where the readout
    /// accumulates ([`Program::output_layer`] is `None`).
    pub fn counts(&self) -> &[u64] {
        &self.memory.counts
    }

    fn values(&self) -> impl Iterator<Item = f64> + Clone {
        let shape = self.program.plan.output;
        let positions = shape.height * shape.width;
        let spiking = self.program.plan.output_layer.is_some();
        (0..shape.len()).map(move |i| {
            if spiking {
                self.memory.counts[i] as f64
            } else {
                f64::from(self.memory.readout[i % positions * shape.channels + i / positions])
            }
        })
    }

    /// What the answer would be now. Allocates nothing, so it may be asked after every event.
    pub fn decision(&self, confidence: &Confidence) -> Decision {
        let (class, confidence) = confidence.of(self.values());
        Decision { class, confidence, events: self.events, us: self.now_us - self.first_us.unwrap_or(self.now_us) }
    }

    /// Events taken since the start.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The session's time in µs: that of the last event or of [`advance_to`](Self::advance_to).
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Spikes of each layer of [`Program::layers`] since the start.
    pub fn spikes(&self) -> &[u64] {
        &self.memory.spikes
    }

    /// Synaptic operations since the start: one for every weight added to an existing neuron or
    /// readout value (an unweighted connection adds the weight 1).
    pub fn synaptic_ops(&self) -> u64 {
        self.memory.ops
    }

    /// Membrane potentials of one spiking layer, `[channel][y][x]`, decayed to the session's time.
    /// `None` if there is no such layer.
    pub fn membranes(&self, layer: usize) -> Option<Vec<f32>> {
        self.membranes_at(layer, self.now_us)
    }

    /// The same, decayed to `t_us` (a time that has passed counts as that of the last hit).
    pub fn membranes_at(&self, layer: usize, t_us: u64) -> Option<Vec<f32>> {
        Some(self.program.plan.rules.get(layer)?.membranes(&self.memory.layers[layer], t_us))
    }
}
