//! A session: runs one stream of events through a program.
//!
//! The state has a constant size, and a session allocates no memory after its start, so a stream
//! may be endless. Sessions share only their program. The result does not depend on how the caller
//! divides a stream into pushes, and after [`reset`](Session::reset) a session equals a new one.

use crate::decision::Decision;
use crate::deliver::{
    MOST_LATE, NetworkState, SpikeObserver, deliver, deliver_due, deliver_late, fire_due, next_due, next_late,
};
use crate::error::{Error, Result};
use crate::flat::FlatNetwork;
use crate::hop::Hop;
use crate::layer::Potentials;
use crate::program::Program;
use crate::sink::Sink;
use tickless_events::{Event, Recording};
use tickless_net::Confidence;
use tickless_net::Shape;

/// Number of events that pass through a chain together: enough for long loops, but few enough for
/// the cache.
const CHUNK: usize = 256;

/// The state of one stream.
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

/// Input events that the session has not delivered yet.
#[derive(Debug, Clone, Default)]
struct Chunk {
    hops: Vec<Hop>,
    times: Vec<u64>,
}

/// Passes spikes to a sink, with the time and number of their input event.
pub(crate) struct SinkObserver<'a, S> {
    pub sink: &'a mut S,
    pub flat: &'a FlatNetwork,
    /// Times of the chunk's events in µs.
    pub times: &'a [u64],
    /// Number of the chunk's first event in the stream.
    pub first: u64,
}

/// The values of the readout in (channel, y, x) order.
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

impl<S: Sink> SpikeObserver for SinkObserver<'_, S> {
    #[inline]
    fn observe(&mut self, layer: usize, fired: &[Hop]) {
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
    /// Creates a session at rest.
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

    /// Makes the session drop and count events that lie outside the input or before the session's
    /// time, instead of returning an error; for cameras that occasionally send such events.
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Number of events that a [`lenient`](Self::lenient) session has dropped since its start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Size of the session's own state in bytes, which is constant unless the network has
    /// recurrent connections, whose spikes wait in queues; the program's weights are shared.
    pub fn state_bytes(&self) -> usize {
        self.memory.bytes() + self.chunk.hops.capacity() * size_of::<Hop>() + self.chunk.times.capacity() * 8
    }

    /// The program of the session.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Processes one event of a camera. The channel of an event is its polarity: 0 for OFF, 1 for
    /// ON. If the network has one input channel, both polarities use it.
    ///
    /// # Errors
    /// If the event lies outside the input or before the session's time; the state then stays the
    /// same.
    #[inline]
    pub fn push(&mut self, event: Event) -> Result<()> {
        self.push_into(event, &mut ())
    }

    /// Processes one event of a camera and passes every spike to `sink`.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[inline]
    pub fn push_into<S: Sink>(&mut self, event: Event, sink: &mut S) -> Result<()> {
        let channel = self.channel(event.on)?;
        self.push_at(event.t_us, channel, event.y.into(), event.x.into(), sink)
    }

    /// Processes one event of any channel, for inputs other than cameras, and passes every spike to
    /// `sink`.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_at<S: Sink>(&mut self, t_us: u64, channel: usize, y: usize, x: usize, sink: &mut S) -> Result<()> {
        self.take(t_us, channel, y, x)?;
        self.flush(sink)
    }

    /// Processes events until the confidence of the decision reaches `threshold`, and returns the
    /// decision at that moment or at the end. Decides after every event. A `threshold` above 1 is
    /// never reached.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn decide(
        &mut self,
        events: impl IntoIterator<Item = Event>,
        confidence: &Confidence,
        threshold: f64,
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

    /// Processes a whole recording as a continuation of the stream; [`reset`](Self::reset) starts a
    /// new one.
    ///
    /// # Errors
    /// As [`push`](Self::push); the events before the refused one have been processed.
    pub fn feed(&mut self, recording: &Recording) -> Result<()> {
        self.feed_into(recording, &mut ())
    }

    /// Processes a whole recording and passes every spike to `sink`.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn feed_into<S: Sink>(&mut self, recording: &Recording, sink: &mut S) -> Result<()> {
        // A sink needs spikes grouped by input event, and some neurons fire, or spikes return,
        // between events. Both require chunks of one event.
        let flat = &self.program.flat;
        let chunk = if S::LISTENS || !flat.chain || flat.acts_between_events() { 1 } else { CHUNK };
        for event in recording.iter() {
            let taken = self
                .channel(event.on)
                .and_then(|channel| self.take(event.t_us, channel, event.y.into(), event.x.into()));
            if taken.is_err() || self.chunk.hops.len() >= chunk {
                self.flush(sink)?;
            }
            taken?;
        }
        self.flush(sink)
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

    /// Checks an event and adds it to the chunk.
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

    /// Delivers the chunk to the network and empties it.
    ///
    /// # Errors
    /// If recurrent connections excite their neurons without end.
    fn flush<S: Sink>(&mut self, sink: &mut S) -> Result<()> {
        if let (true, Some(&t_us)) = (self.program.flat.acts_between_events(), self.chunk.times.first()) {
            self.fire_until(t_us, (self.events - self.chunk.hops.len() as u64).saturating_sub(1), sink)?;
        }
        let flat = &*self.program.flat;
        let Chunk { hops, times } = &mut self.chunk;
        let first = self.events - hops.len() as u64;
        let mut observer = SinkObserver { sink, flat, times, first };
        deliver(flat, &mut self.memory, &mut observer, flat.input_edges.clone(), hops, times);
        hops.clear();
        times.clear();
        self.check_flood()
    }

    /// Refuses to go on if more spikes are on their way than a network that can be trained makes.
    fn check_flood(&self) -> Result<()> {
        let Some(l) = self.memory.flooded else { return Ok(()) };
        let layer = self.program.flat.infos[l].name.clone();
        Err(Error::Flood { index: self.events, layer, most: MOST_LATE })
    }

    /// Fires all neurons that are due by themselves, and delivers all spikes that return along
    /// recurrent connections, until `t_us`, in order of time. `cause` is the number of the last
    /// input event before.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    fn fire_until<S: Sink>(&mut self, t_us: u64, cause: u64, sink: &mut S) -> Result<()> {
        let flat = &*self.program.flat;
        loop {
            self.check_flood()?;
            let due = next_due(flat, &self.memory).filter(|due| due.0 <= t_us);
            let late = next_late(&self.memory).filter(|late| late.0 <= t_us);
            if let Some((at_us, l)) = late.filter(|late| due.is_none_or(|due| late.0 <= due.0)) {
                let mut observer = SinkObserver { sink, flat, times: &[at_us], first: cause };
                deliver_late(flat, &mut self.memory, &mut observer, l);
                continue;
            }
            let Some(due) = due else { return Ok(()) };
            if let Some(hop) = fire_due(flat, &mut self.memory, due) {
                let mut observer = SinkObserver { sink, flat, times: &[due.0], first: cause };
                deliver_due(flat, &mut self.memory, &mut observer, due.1, hop, due.0);
            }
        }
    }

    /// The error for an event that [`take`](Self::take) refuses.
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

    /// Lets time pass without events: potentials decay, and neurons with a synaptic current or an
    /// adaptive threshold may fire by themselves.
    ///
    /// # Errors
    /// If `t_us` is before the session's time.
    pub fn advance_to(&mut self, t_us: u64) -> Result<()> {
        self.advance_into(t_us, &mut ())
    }

    /// As [`advance_to`](Self::advance_to), and passes every spike to `sink`, with the last event
    /// as cause.
    ///
    /// # Errors
    /// As [`advance_to`](Self::advance_to).
    pub fn advance_into<S: Sink>(&mut self, t_us: u64, sink: &mut S) -> Result<()> {
        if t_us < self.now_us {
            return Err(
                self.refuse(format!("cannot advance to {t_us} µs: {} µs has passed; `reset` starts anew", self.now_us))
            );
        }
        self.fire_until(t_us, self.events.saturating_sub(1), sink)?;
        self.now_us = t_us;
        Ok(())
    }

    /// Returns to rest at time 0.
    pub fn reset(&mut self) {
        self.memory.reset();
        // An error leaves events that were not delivered.
        self.chunk.hops.clear();
        self.chunk.times.clear();
        (self.events, self.first_us, self.now_us, self.dropped) = (0, None, 0, 0);
    }

    /// The readout in (channel, y, x) order: the sum of the weights of all spikes that reached it,
    /// or the spike counts if the readout spikes.
    pub fn logits(&self) -> Vec<f32> {
        values(&self.program, &self.memory).map(|v| v as f32).collect()
    }

    /// Adds the readout to `sums`, in (channel, y, x) order, and sets it to zero; the neurons keep
    /// their state. If `sums` is empty, it gets the readout's length. A stream without end so loses
    /// no precision, and its integer sums do not overflow.
    ///
    /// # Panics
    /// If `sums` has another length than the readout.
    pub fn drain_readout(&mut self, sums: &mut Vec<f64>) {
        if sums.is_empty() {
            sums.resize(self.program.flat.output.len(), 0.0);
        }
        assert_eq!(sums.len(), self.program.flat.output.len(), "one sum for each value of the readout");
        sums.iter_mut().zip(values(&self.program, &self.memory)).for_each(|(sum, v)| *sum += v);
        match self.memory.layers.get_mut(self.program.flat.infos.len()).map(|r| &mut r.potentials) {
            None => self.memory.counts.fill(0),
            Some(Potentials::Float(v)) => v.fill(0.0),
            Some(Potentials::Sum(v)) => v.fill(0),
            Some(Potentials::Small(v)) => v.fill(0),
            // An accumulating readout has no neurons of the general form.
            Some(Potentials::Timed(_)) => {}
        }
    }

    /// Sets `sums` to the readout, in (channel, y, x) order.
    pub fn copy_readout(&self, sums: &mut Vec<f64>) {
        sums.clear();
        sums.extend(values(&self.program, &self.memory));
    }

    /// The state of the network.
    pub(crate) fn memory(&self) -> &NetworkState {
        &self.memory
    }

    /// Spike counts of the output neurons in (channel, y, x) order; empty if the readout
    /// accumulates ([`Program::output_layer`] is `None`).
    pub fn counts(&self) -> &[u64] {
        &self.memory.counts
    }

    /// The current decision. Allocates no memory, so callers can ask after every event.
    pub fn decision(&self, confidence: &Confidence) -> Decision {
        let (class, confidence) = confidence.of(values(&self.program, &self.memory));
        Decision { class, confidence, events: self.events, us: self.elapsed_us() }
    }

    /// Time from the first event to the session's time in µs; 0 before the first event.
    pub fn elapsed_us(&self) -> u64 {
        self.now_us - self.first_us.unwrap_or(self.now_us)
    }

    /// Number of events processed since the start.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The session's time in µs: that of the last event or [`advance_to`](Self::advance_to).
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Spikes of each layer of [`Program::layers`] since the start.
    pub fn spikes(&self) -> &[u64] {
        &self.memory.spikes
    }

    /// Number of synaptic operations since the start: one for every weight added to a neuron or
    /// readout value (an unweighted connection adds the weight 1).
    pub fn synaptic_ops(&self) -> u64 {
        self.memory.ops
    }

    /// Membrane potentials of one spiking layer, `[channel][y][x]`, decayed to the session's time.
    /// `None` if the layer does not exist.
    pub fn membranes(&self, layer: usize) -> Option<Vec<f32>> {
        self.membranes_at(layer, self.now_us)
    }

    /// As [`membranes`](Self::membranes), decayed to `t_us` as if no spike happened before. If
    /// `t_us` is before the last hit of a neuron, its potential is that at the last hit.
    pub fn membranes_at(&self, layer: usize, t_us: u64) -> Option<Vec<f32>> {
        self.program.flat.infos.get(layer)?;
        Some(self.program.flat.rules[layer].membranes(&self.memory.layers[layer], t_us))
    }
}
