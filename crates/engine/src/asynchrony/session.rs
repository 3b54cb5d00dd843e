//! Runs a recording under the model, with a queue of events in order of time.

use super::model::{Asynchrony, Order, Timing, Traffic};
use crate::decision::Decision;
use crate::deliver::{NetworkState, SpikeObserver, fire_due, next_due, tally};
use crate::error::{Error, Result};
use crate::flat::FlatNetwork;
use crate::hop::Hop;
use crate::pass::{Carried, Pass, carry};
use crate::program::Program;
use crate::session::{SinkObserver, values};
use crate::sink::Sink;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use tickless_events::Recording;
use tickless_events::rng::Rng;
use tickless_net::Confidence;

/// An event that travels to a core or that the core is serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    t_ns: u64,
    /// Among events of the same moment, the one with the smallest rank comes first.
    rank: u64,
    served: bool,
    edge: u32,
    place: u64,
    cause: u32,
}

/// Runs one recording at a time through a program under a model of asynchrony.
#[derive(Debug)]
pub struct AsyncSession {
    program: Program,
    model: Asynchrony,
    /// One per core.
    timings: Vec<Timing>,
    memory: NetworkState,
    flights: BinaryHeap<Reverse<Flight>>,
    busy_ns: Vec<u64>,
    waiting: Vec<usize>,
    traffic: Traffic,
    events: u64,
    /// Index of the last input event that the session has sent.
    sent: u32,
    span_us: u64,
    /// Time of the recording's first event; the session counts times from it.
    base_us: u64,
    rank: u64,
    later: u64,
    rng: Rng,
}

const NS: f64 = 1000.0;

impl AsyncSession {
    /// A session at rest.
    ///
    /// # Errors
    /// If a time of the model is invalid, or if the model names a core that the program does not
    /// have.
    pub fn new(program: &Program, model: &Asynchrony) -> Result<Self> {
        if let Some(l) = program.flat.late.iter().position(Option::is_some) {
            let problem =
                "has recurrent connections, which the model of asynchrony does not have; run it with `simulate`";
            return Err(Error::layer(&program.flat.infos[l].name, problem));
        }
        let cores = program.flat.rules.len();
        Ok(Self {
            program: program.clone(),
            model: model.clone(),
            timings: model.timings(cores)?,
            memory: NetworkState::new(&program.flat),
            flights: BinaryHeap::new(),
            busy_ns: vec![0; cores],
            waiting: vec![0; cores],
            traffic: Traffic::default(),
            events: 0,
            sent: 0,
            span_us: 0,
            base_us: 0,
            rank: 0,
            later: 0,
            rng: Rng::new(model.seed, 0),
        })
    }

    /// Runs a whole recording from rest until no event is left. `number` identifies the recording,
    /// so that each recording has its own random numbers.
    ///
    /// # Errors
    /// If an event lies outside the input; the message states its index.
    pub fn run<S: Sink>(&mut self, recording: &Recording, number: u64, sink: &mut S) -> Result<()> {
        self.reset(number);
        let mut input = self.input(recording)?.into_iter().peekable();
        let flat = self.program.flat.clone();
        let exact = self.model.order != Order::Random;
        let mut last_ns = 0;
        loop {
            // An input event waits until no earlier event is left and, except in random order, none
            // of the same moment.
            let next = self.flights.peek().map(|f| f.0.t_ns);
            // A neuron fires by itself before an input of the same moment, and after the spikes
            // that are in flight. When no input and no event in flight is left, the recording is
            // over.
            let arrives = input.peek().map(|i| i.0);
            let waits = |t: u64| next.is_some_and(|n| n <= t) || arrives.is_some_and(|i| i < t);
            let over = next.is_none() && arrives.is_none();
            let due = next_due(&flat, &self.memory).filter(|d| !over && !waits(d.0.saturating_mul(1000)));
            if let Some(due) = due {
                self.fire(&flat, due, sink);
                continue;
            }
            let joins = |t: u64| next.is_none_or(|n| if exact { t < n } else { t <= n });
            if let Some((t_ns, hop)) = input.next_if(|(t, _)| joins(*t)) {
                self.sent = hop.cause;
                self.send(&flat, flat.input_edges.clone(), &[hop], t_ns);
                continue;
            }
            let Some(Reverse(flight)) = self.flights.pop() else { break };
            last_ns = flight.t_ns;
            let core = flat.edges[flight.edge as usize].target;
            if flight.served || self.timings[core].service_ns == 0 {
                self.serve(&flat, flight, sink);
            } else {
                self.queue(core, flight);
            }
        }
        self.traffic.tail_us = (last_ns as f64 / NS - self.offset_us() - self.span_us as f64).max(0.0);
        Ok(())
    }

    /// The input, sorted by shifted times. All times are moved by the jitter so that none is
    /// negative.
    fn input(&mut self, recording: &Recording) -> Result<Vec<(u64, Hop)>> {
        let shape = self.program.flat.input;
        self.base_us = recording.t_first_us().unwrap_or(0);
        let (offset, jitter) = (self.offset_us(), self.model.jitter_us);
        let mut all = Vec::with_capacity(recording.len());
        for (k, e) in recording.iter().enumerate() {
            let channel = usize::from(e.on && shape.channels == 2);
            let (y, x) = (usize::from(e.y), usize::from(e.x));
            if shape.channels > 2 || y >= shape.height || x >= shape.width {
                let problem =
                    format!("y {y}, x {x} lies outside the input {shape}; use a network of the sensor's size");
                return Err(Error::Event { index: k as u64, problem });
            }
            let shift = if jitter > 0.0 { (2.0 * f64::from(self.rng.unit()) - 1.0) * jitter } else { 0.0 };
            let t_ns = (((e.t_us - self.base_us) as f64 + offset + shift) * NS).round() as u64;
            all.push((t_ns, Hop::new(channel, y * shape.width + x, 1, k as u32)));
        }
        all.sort_by_key(|(t, _)| *t);
        self.events = recording.len() as u64;
        self.span_us = recording.t_last_us().unwrap_or(0) - self.base_us;
        Ok(all)
    }

    fn offset_us(&self) -> f64 {
        self.model.jitter_us.ceil()
    }

    fn reset(&mut self, number: u64) {
        self.memory.reset();
        self.flights.clear();
        self.busy_ns.fill(0);
        self.sent = 0;
        self.waiting.fill(0);
        let cores = self.busy_ns.len();
        self.traffic = Traffic { lost: vec![0; cores], longest: vec![0; cores], tail_us: 0.0 };
        self.rank = u64::MAX / 2;
        self.later = self.rank;
        self.rng = Rng::new(self.model.seed, number);
    }

    /// Sends spikes along all edges of their source, each spike as a separate event.
    fn send(&mut self, flat: &FlatNetwork, edges: Range<usize>, hops: &[Hop], t_ns: u64) {
        let count: u64 = hops.iter().map(|h| u64::from(h.spikes)).sum::<u64>() * edges.len() as u64;
        // If spikes arrive at the moment they are sent, later groups come before earlier ones,
        // which is depth first. Otherwise events of the same moment keep the order in which they
        // were sent.
        self.rank -= count;
        let (depth_first, in_turn) = (self.rank, self.later);
        self.later += count;
        let mut k = 0;
        for hop in hops {
            for edge in (0..hop.spikes).flat_map(|_| edges.clone()) {
                let Timing { delay_ns, delay_jitter_ns, .. } = self.timings[flat.edges[edge].target];
                let at_once = delay_ns == 0 && delay_jitter_ns == 0.0;
                let rank = match self.model.order {
                    Order::Exact if at_once => depth_first + k,
                    Order::Exact => in_turn + k,
                    Order::Momentum => depth_first + count - 1 - k,
                    Order::Random => self.rng.next_u64(),
                };
                k += 1;
                let mut t_ns = t_ns + delay_ns;
                if delay_jitter_ns > 0.0 {
                    t_ns += (f64::from(self.rng.unit()) * delay_jitter_ns) as u64;
                }
                let (place, cause) = (hop.place, hop.cause);
                self.flights.push(Reverse(Flight { t_ns, rank, served: false, edge: edge as u32, place, cause }));
            }
        }
    }

    /// Adds an event that has arrived to its core's queue, or drops it if the queue is full.
    fn queue(&mut self, core: usize, flight: Flight) {
        let Timing { service_ns, queue, .. } = self.timings[core];
        // `waiting` includes the event that the core is serving, which does not count as waiting.
        if queue.is_some_and(|q| self.waiting[core] > q) {
            self.traffic.lost[core] += 1;
            return;
        }
        self.waiting[core] += 1;
        self.traffic.longest[core] = self.traffic.longest[core].max(self.waiting[core]);
        let end = self.busy_ns[core].max(flight.t_ns) + service_ns;
        self.busy_ns[core] = end;
        self.flights.push(Reverse(Flight { t_ns: end, served: true, ..flight }));
    }

    /// Fires a neuron that is due and sends its spikes.
    fn fire<S: Sink>(&mut self, flat: &FlatNetwork, due: (u64, usize, usize), sink: &mut S) {
        let Some(hop) = fire_due(flat, &mut self.memory, due) else { return };
        let told = [(due.0 + self.base_us).saturating_sub(self.offset_us() as u64)];
        SinkObserver { sink, flat, times: &told, first: self.sent.into() }.observe(due.1, &[hop]);
        let hop = Hop { cause: self.sent, ..hop };
        self.send(flat, flat.rules[due.1].edges.clone(), &[hop], due.0.saturating_mul(1000));
    }

    /// Adds the weights of an event to its core and sends the resulting spikes.
    fn serve<S: Sink>(&mut self, flat: &FlatNetwork, flight: Flight, sink: &mut S) {
        let edge = &flat.edges[flight.edge as usize];
        let core = edge.target;
        if flight.served {
            self.waiting[core] -= 1;
        }
        let (rule, table) = (&flat.rules[core], &flat.tables[edge.table]);
        let times = [flight.t_ns / NS as u64];
        let hops = [Hop { place: flight.place, spikes: 1, cause: 0 }];
        let state = &mut self.memory.layers[core];
        let mut out = std::mem::take(&mut state.queue);
        out.clear();
        let from = Carried::default();
        let done = carry(flat.simd, Pass { rule, state, edge, table, hops: &hops, from, times: &times, out: &mut out });
        self.memory.ops += done.ops;
        if !out.is_empty() {
            tally(flat, &mut self.memory, core, &out);
            let told = [(times[0] + self.base_us).saturating_sub(self.offset_us() as u64)];
            if core < flat.infos.len() {
                SinkObserver { sink, flat, times: &told, first: flight.cause.into() }.observe(core, &out);
            }
            out.iter_mut().for_each(|h| h.cause = flight.cause);
            self.send(flat, rule.edges.clone(), &out, flight.t_ns);
        }
        out.clear();
        self.memory.layers[core].queue = out;
    }

    /// Statistics of the last recording's events.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Spikes of each layer of [`Program::layers`] in the last recording.
    pub fn spikes(&self) -> &[u64] {
        &self.memory.spikes
    }

    /// Number of synaptic operations in the last recording.
    pub fn synaptic_ops(&self) -> u64 {
        self.memory.ops
    }

    /// The readout after the last recording; see [`crate::Session::logits`].
    pub fn logits(&self) -> Vec<f32> {
        values(&self.program, &self.memory).map(|v| v as f32).collect()
    }

    /// The decision about the last recording.
    pub fn decision(&self, confidence: &Confidence) -> Decision {
        let (class, confidence) = confidence.of(values(&self.program, &self.memory));
        Decision { class, confidence, events: self.events, us: self.span_us }
    }
}
