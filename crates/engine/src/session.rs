//! One stream of events running through a program: here a recording becomes spikes.
//!
//! NetworkState is constant and nothing is allocated after the start, so a camera may never stop.
//! Sessions share their program and nothing else. Splitting a stream into pushes changes nothing,
//! and after [`reset`](Session::reset) a session equals a new one.

use crate::decision::{Confidence, Decision};
use crate::deliver::{Hear, NetworkState, deliver, deliver_due, fire_due, next_due};
use crate::error::{Error, Result};
use crate::flat::FlatNetwork;
use crate::hop::Hop;
use crate::layer::Potentials;
use crate::program::Program;
use crate::sink::Sink;
use tickless_events::{Event, Recording};
use tickless_net::Shape;

/// Events that go through a chain together: enough for long loops, few enough to stay at hand.
const CHUNK: usize = 256;

/// The state of one run.
#[derive(Debug, Clone)]
pub struct Session {
    program: Program,
    memory: NetworkState,
    events: u64,
    first_us: Option<u64>,
    now_us: u64,
    chunk: Chunk,
    lenient: bool,
    dropped: u64,
}

/// Events on their way in.
#[derive(Debug, Clone, Default)]
struct Chunk {
    hops: Vec<Hop>,
    times: Vec<u64>,
}

/// A sink, told of spikes by their input event's time and number.
pub(crate) struct Telling<'a, S> {
    pub sink: &'a mut S,
    pub flat: &'a FlatNetwork,
    /// Times of the chunk's events in µs.
    pub times: &'a [u64],
    /// Number of the chunk's first event.
    pub first: u64,
}

/// The readout's values in (channel, y, x) order.
pub(crate) fn values<'a>(program: &'a Program, memory: &'a NetworkState) -> impl Iterator<Item = f64> + Clone + 'a {
    let flat = &*program.flat;
    let shape = flat.output;
    let positions = shape.height * shape.width;
    let readout = memory.layers.get(flat.infos.len());
    (0..shape.len()).map(move |i| {
        let at = i % positions * shape.channels + i / positions;
        match readout.map(|r| &r.potentials) {
            None => memory.counts[i] as f64,
            Some(Potentials::Float(v)) => f64::from(v[at]),
            Some(Potentials::Sum(v)) => f64::from(v[at]) / f64::from(flat.rules[flat.infos.len()].small.scale),
            Some(Potentials::Small(v)) => f64::from(v[at]),
            Some(Potentials::Timed(_)) => 0.0,
        }
    })
}

impl<S: Sink> Hear for Telling<'_, S> {
    #[inline]
    fn hear(&mut self, layer: usize, fired: &[Hop]) {
        if !S::LISTENS {
            return;
        }
        let width = self.flat.infos[layer].shape.width;
        for f in fired {
            let (t_us, cause) = (self.times[f.cause as usize], self.first + u64::from(f.cause));
            let (y, x) = (f.position() / width, f.position() % width);
            for _ in 0..f.spikes {
                self.sink.spike(layer, t_us, cause, f.channel(), y, x);
            }
        }
    }
}

impl Session {
    /// A session at rest.
    pub fn new(program: &Program) -> Self {
        let memory = NetworkState::new(&program.flat);
        let chunk = Chunk { hops: Vec::with_capacity(CHUNK), times: Vec::with_capacity(CHUNK) };
        Self {
            program: program.clone(),
            memory,
            events: 0,
            first_us: None,
            now_us: 0,
            chunk,
            lenient: false,
            dropped: 0,
        }
    }

    /// Drops events that lie outside the input or before the session's time, and counts them, instead
    /// of refusing them: for cameras that now and then send one.
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Events dropped since the start by a [`lenient`](Self::lenient) session.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes of the session's own state, which does not grow; the program's weights are shared.
    pub fn state_bytes(&self) -> usize {
        self.memory.bytes() + self.chunk.hops.capacity() * size_of::<Hop>() + self.chunk.times.capacity() * 8
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
        let channel = self.channel(event.on)?;
        self.push_at(event.t_us, channel, event.y.into(), event.x.into(), sink)
    }

    /// Takes one event at any channel; for inputs that are no camera. Spikes go to `sink`.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_at<S: Sink>(&mut self, t_us: u64, channel: usize, y: usize, x: usize, sink: &mut S) -> Result<()> {
        self.take(t_us, channel, y, x)?;
        self.flush(sink);
        Ok(())
    }

    /// Takes events until the decision's confidence reaches `threshold` (above 1 for never), and
    /// gives the decision at that moment or at the end. Asks after every event.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn decide(
        &mut self,
        events: impl IntoIterator<Item = Event>,
        confidence: &Confidence,
        threshold: f32,
    ) -> Result<Decision> {
        for event in events {
            self.push(event)?;
            let decision = self.decision(confidence);
            if decision.confidence >= threshold {
                return Ok(decision);
            }
        }
        Ok(self.decision(confidence))
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
        // A sink needs spikes grouped by input event, and neurons that fire by themselves do so
        // between events: both take one event at a time.
        let flat = &self.program.flat;
        let chunk = if S::LISTENS || !flat.chain || !flat.timed.is_empty() { 1 } else { CHUNK };
        for event in recording.iter() {
            let taken = self
                .channel(event.on)
                .and_then(|channel| self.take(event.t_us, channel, event.y.into(), event.x.into()));
            if taken.is_err() || self.chunk.hops.len() >= chunk {
                self.flush(sink);
            }
            taken?;
        }
        self.flush(sink);
        Ok(())
    }

    #[inline]
    fn channel(&self, on: bool) -> Result<usize> {
        match self.program.flat.input.channels {
            1 => Ok(0),
            2 => Ok(usize::from(on)),
            channels => Err(self.refuse(format!(
                "the network has {channels} input channels and a camera two polarities; use `push_at` with a channel"
            ))),
        }
    }

    /// Checks an event and puts it into the chunk.
    #[inline]
    fn take(&mut self, t_us: u64, channel: usize, y: usize, x: usize) -> Result<()> {
        let Shape { channels, height, width } = self.program.flat.input;
        if channel >= channels || y >= height || x >= width || t_us < self.now_us {
            if self.lenient {
                self.dropped += 1;
                return Ok(());
            }
            return Err(self.refuse_event(t_us, channel, y, x));
        }
        let cause = self.chunk.hops.len() as u32;
        self.chunk.hops.push(Hop::new(channel, y * width + x, 1, cause));
        self.chunk.times.push(t_us);
        self.now_us = t_us;
        self.first_us.get_or_insert(t_us);
        self.events += 1;
        Ok(())
    }

    /// Carries the chunk through the network.
    fn flush<S: Sink>(&mut self, sink: &mut S) {
        if let (false, Some(&t_us)) = (self.program.flat.timed.is_empty(), self.chunk.times.first()) {
            self.fire_until(t_us, (self.events - self.chunk.hops.len() as u64).saturating_sub(1), sink);
        }
        let flat = &*self.program.flat;
        let Chunk { hops, times } = &mut self.chunk;
        let first = self.events - hops.len() as u64;
        let mut hear = Telling { sink, flat, times, first };
        deliver(flat, &mut self.memory, &mut hear, flat.input_edges.clone(), hops, times);
        hops.clear();
        times.clear();
    }

    /// Lets all neurons fire by themselves that are due until `t_us`, in order of time. `cause` is
    /// the number of the last event before.
    fn fire_until<S: Sink>(&mut self, t_us: u64, cause: u64, sink: &mut S) {
        let flat = &*self.program.flat;
        while let Some(due) = next_due(flat, &self.memory).filter(|due| due.0 <= t_us) {
            if let Some(hop) = fire_due(flat, &mut self.memory, due) {
                let mut hear = Telling { sink, flat, times: &[due.0], first: cause };
                deliver_due(flat, &mut self.memory, &mut hear, due.1, hop, due.0);
            }
        }
    }

    /// The error of an event that [`take`](Self::take) does not take.
    #[cold]
    fn refuse_event(&self, t_us: u64, channel: usize, y: usize, x: usize) -> Error {
        let input = self.program.flat.input;
        if channel < input.channels && y < input.height && x < input.width {
            return self.refuse(format!(
                "its time {t_us} µs lies before {} µs, which has passed; sort the events by time, or `reset` between recordings",
                self.now_us
            ));
        }
        self.refuse(format!(
            "channel {channel}, y {y}, x {x} lies outside the input {input} of `{}`; use a network of the sensor's size or crop the recording",
            self.program.name()
        ))
    }

    #[cold]
    fn refuse(&self, problem: String) -> Error {
        Error::Event { index: self.events, problem }
    }

    /// Lets time pass without events: potentials decay, and neurons fire that do so by themselves
    /// (those with a synaptic current or an adaptive threshold).
    ///
    /// # Errors
    /// If `t_us` lies before the session's time.
    pub fn advance_to(&mut self, t_us: u64) -> Result<()> {
        self.advance_into(t_us, &mut ())
    }

    /// The same, and tells every spike to `sink`; its cause is the last event.
    ///
    /// # Errors
    /// As [`advance_to`](Self::advance_to).
    pub fn advance_into<S: Sink>(&mut self, t_us: u64, sink: &mut S) -> Result<()> {
        if t_us < self.now_us {
            return Err(
                self.refuse(format!("cannot advance to {t_us} µs: {} µs has passed; `reset` starts anew", self.now_us))
            );
        }
        self.fire_until(t_us, self.events.saturating_sub(1), sink);
        self.now_us = t_us;
        Ok(())
    }

    /// Back to rest, at time 0.
    pub fn reset(&mut self) {
        self.memory.reset();
        (self.events, self.first_us, self.now_us, self.dropped) = (0, None, 0, 0);
    }

    /// The readout in (channel, y, x) order: the sum of the weights of all spikes that reached it,
    /// or the spike counts where the readout spikes.
    pub fn logits(&self) -> Vec<f32> {
        values(&self.program, &self.memory).map(|v| v as f32).collect()
    }

    /// Spike counts of the output neurons in (channel, y, x) order; empty where the readout
    /// accumulates ([`Program::output_layer`] is `None`).
    pub fn counts(&self) -> &[u64] {
        &self.memory.counts
    }

    /// What the answer would be now. Allocates nothing, so it may be asked after every event.
    pub fn decision(&self, confidence: &Confidence) -> Decision {
        let (class, confidence) = confidence.of(values(&self.program, &self.memory));
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

    /// The same, decayed to `t_us` without a spike until then (a time that has passed counts as
    /// that of the last hit).
    pub fn membranes_at(&self, layer: usize, t_us: u64) -> Option<Vec<f32>> {
        self.program.flat.infos.get(layer)?;
        Some(self.program.flat.rules[layer].membranes(&self.memory.layers[layer], t_us))
    }
}
