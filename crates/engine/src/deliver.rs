//! Delivers an event to the network and defines the order of all its consequences.
//!
//! # Chains
//! An event adds its weights to all neurons that it reaches. Those that reach their threshold fire
//! in (channel, y, x) order. Each of a neuron's n spikes is a separate event, and all its
//! consequences come before the next spike (depth first). Each layer receives the same events in
//! the same order as if the layers ran one after the other (breadth first), because a layer's own
//! spikes never reach it again.
//!
//! # Residual graphs
//! If several layers read the output of a spiking layer (or the input), an event passes through
//! them in node order, each branch to its end before the next begins. An `add` only forwards what
//! arrives: the contribution of each branch is one input event of the following neurons, which fire
//! as soon as it arrives, before the contribution of the next branch. If an `add` reads the same
//! node twice, the event arrives twice.
//!
//! # Recurrent connections
//! A spike of a layer with recurrent connections also returns to the layer itself after their delay.
//! It waits in a queue of the layer. Before an input event, all spikes that arrive at its time or
//! earlier are delivered, in order of time, each with all its consequences.
//!
//! The tests check the following property. Input event i has the key (i), the contribution of an
//! event with key K along branch b has the key (K, b), and the j-th spike that it causes has the
//! key (K, b, j). If a layer alone receives its contributions in the lexicographic order of their
//! keys, one per clock step, it emits exactly the engine's spikes.

use crate::edge::Edge;
use crate::flat::FlatNetwork;
use crate::hop::Hop;
use crate::layer::{self, Potentials};
use crate::pass::{Carried, Pass, carry};
use std::collections::VecDeque;
use std::ops::Range;

/// Most firings of each neuron, on average, that may be on their way along recurrent connections. In
/// a network that makes more, each spike causes more than one, and their number grows without end.
pub(crate) const MOST_LATE: usize = 64;

/// The state of all layers in a session.
#[derive(Debug, Clone)]
pub(crate) struct NetworkState {
    /// One state per layer, and one for an accumulating readout.
    pub layers: Vec<layer::LayerState>,
    /// Spike counts of the output neurons, `[c][y][x]`; empty if the readout accumulates.
    pub counts: Vec<u64>,
    /// Number of spikes of each layer.
    pub spikes: Vec<u64>,
    /// Number of weights added so far.
    pub ops: u64,
    /// For each layer with recurrent connections, the spikes on their way back and the times in µs
    /// at which they arrive, in order of time.
    pub late: Vec<VecDeque<(u64, Hop)>>,
    /// The layer whose queue is full, if any: its neurons excite each other without end.
    pub flooded: Option<usize>,
}

impl NetworkState {
    pub fn new(flat: &FlatNetwork) -> Self {
        let readout = flat.infos.len();
        Self {
            layers: flat.rules.iter().enumerate().map(|(l, r)| r.state(flat.small, l == readout)).collect(),
            counts: vec![0; if flat.output_layer.is_some() { flat.output.len() } else { 0 }],
            spikes: vec![0; readout],
            ops: 0,
            late: vec![VecDeque::new(); readout],
            flooded: None,
        }
    }

    /// Memory in use, in bytes.
    pub fn bytes(&self) -> usize {
        let lists = (self.counts.capacity() + self.spikes.capacity()) * 8;
        let late = self.late.iter().map(|q| q.capacity() * size_of::<(u64, Hop)>()).sum::<usize>();
        lists + late + self.layers.iter().map(layer::LayerState::bytes).sum::<usize>()
    }

    pub fn reset(&mut self) {
        self.layers.iter_mut().for_each(layer::LayerState::reset);
        self.counts.fill(0);
        self.spikes.fill(0);
        self.ops = 0;
        self.late.iter_mut().for_each(VecDeque::clear);
        self.flooded = None;
    }
}

/// Receives the spikes of a layer when they are fired, several at a time.
pub(crate) trait SpikeObserver {
    fn observe(&mut self, layer: usize, fired: &[Hop]);
}

impl SpikeObserver for () {
    #[inline(always)]
    fn observe(&mut self, _: usize, _: &[Hop]) {}
}

/// Delivers a list of events along the edges of their source, with all consequences.
pub(crate) fn deliver<H: SpikeObserver>(
    flat: &FlatNetwork,
    memory: &mut NetworkState,
    observer: &mut H,
    edges: Range<usize>,
    hops: &[Hop],
    times: &[u64],
) {
    if flat.chain {
        for edge in &flat.edges[edges] {
            along(flat, memory, observer, edge, hops, times);
        }
        return;
    }
    for hop in hops {
        let single = [Hop { spikes: 1, ..*hop }];
        for _ in 0..hop.spikes {
            for edge in &flat.edges[edges.clone()] {
                along(flat, memory, observer, edge, &single, times);
            }
        }
    }
}

/// The next neuron that fires by itself, as (time in µs, layer, rank). At equal times the lowest
/// layer comes first.
pub(crate) fn next_due(flat: &FlatNetwork, memory: &NetworkState) -> Option<(u64, usize, usize)> {
    let all = flat.timed.iter().filter_map(|&l| memory.layers[l].due.first().map(|(us, rank)| (us, l, rank)));
    all.min()
}

/// Fires the neuron of this layer and rank at `t_us` by itself; returns its spikes, if any.
pub(crate) fn fire_due(
    flat: &FlatNetwork,
    memory: &mut NetworkState,
    (t_us, l, rank): (u64, usize, usize),
) -> Option<Hop> {
    let (rule, state) = (&flat.rules[l], &mut memory.layers[l]);
    let (Some(timed), Potentials::Timed(memories)) = (&rule.timed, &mut state.potentials) else { return None };
    let at = rule.place(rank);
    let spikes = timed.fire(&mut memories[at], t_us);
    state.due.set(rank, timed.due(&memories[at]));
    let channels = rule.shape.channels;
    let hop = (spikes > 0).then(|| Hop::new(at % channels, at / channels, spikes, 0))?;
    tally(flat, memory, l, &[hop]);
    Some(hop)
}

/// Delivers the spikes of a neuron that fired by itself at `t_us`, with all consequences.
pub(crate) fn deliver_due<H: SpikeObserver>(
    flat: &FlatNetwork,
    memory: &mut NetworkState,
    observer: &mut H,
    l: usize,
    hop: Hop,
    t_us: u64,
) {
    each(flat, memory, observer, l, &[hop], &[t_us]);
}

/// The next spike that returns along a recurrent connection, as (time in µs, layer).
pub(crate) fn next_late(memory: &NetworkState) -> Option<(u64, usize)> {
    memory.late.iter().enumerate().filter_map(|(l, queue)| Some((queue.front()?.0, l))).min()
}

/// Delivers the next spike that returns to this layer, with all consequences.
pub(crate) fn deliver_late<H: SpikeObserver>(
    flat: &FlatNetwork,
    memory: &mut NetworkState,
    observer: &mut H,
    l: usize,
) {
    let (Some(late), Some((t_us, hop))) = (flat.late[l], memory.late[l].pop_front()) else { return };
    along(flat, memory, observer, &flat.edges[late.edge], &[Hop { cause: 0, ..hop }], &[t_us]);
}

/// Delivers a list of events along one edge. Takes the target's queue out of the state meanwhile,
/// which is safe because a layer's spikes return to it only later ([`deliver_late`]).
fn along<H: SpikeObserver>(
    flat: &FlatNetwork,
    memory: &mut NetworkState,
    observer: &mut H,
    edge: &Edge,
    hops: &[Hop],
    times: &[u64],
) {
    let target = edge.target;
    let (rule, table) = (&flat.rules[target], &flat.tables[edge.table]);
    let mut queue = std::mem::take(&mut memory.layers[target].queue);
    let mut done = Carried::default();
    while done.hops < hops.len() {
        queue.clear();
        let state = &mut memory.layers[target];
        done = carry(flat.simd, Pass { rule, state, edge, table, hops, from: done, times, out: &mut queue });
        if !queue.is_empty() {
            tally(flat, memory, target, &queue);
            if flat.chain {
                observer.observe(target, &queue);
                deliver(flat, memory, observer, rule.edges.clone(), &queue, times);
            } else {
                each(flat, memory, observer, target, &queue, times);
            }
        }
    }
    queue.clear();
    memory.layers[target].queue = queue;
    memory.ops += done.ops;
}

/// Reports each spike and delivers it with all consequences before the next one (depth first).
fn each<H: SpikeObserver>(
    flat: &FlatNetwork,
    memory: &mut NetworkState,
    observer: &mut H,
    l: usize,
    fired: &[Hop],
    times: &[u64],
) {
    for hop in fired {
        let single = [Hop { spikes: 1, ..*hop }];
        if let Some(late) = flat.late[l] {
            let queue = &mut memory.late[l];
            if queue.len() < MOST_LATE * flat.rules[l].shape.len() {
                queue.push_back((times[hop.cause as usize] + late.delay_us, *hop));
            } else {
                memory.flooded = Some(l);
            }
        }
        for _ in 0..hop.spikes {
            observer.observe(l, &single);
            deliver(flat, memory, observer, flat.rules[l].edges.clone(), &single, times);
        }
    }
}

pub(crate) fn tally(flat: &FlatNetwork, memory: &mut NetworkState, l: usize, fired: &[Hop]) {
    memory.spikes[l] += fired.iter().map(|f| u64::from(f.spikes)).sum::<u64>();
    if flat.output_layer == Some(l) {
        let positions = flat.output.height * flat.output.width;
        for f in fired {
            memory.counts[f.channel() * positions + f.position()] += u64::from(f.spikes);
        }
    }
}
