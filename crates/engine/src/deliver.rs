//! One event through the network: the order of everything.
//!
//! # Chains
//! An event adds its weights to all neurons it reaches; those that fire do so in (channel, y, x)
//! order; each of a neuron's n spikes is an event of its own, carried on depth first before the
//! next one. Each layer sees the same events in the same order as if the layers were run one
//! after the other (breadth first), because no layer is reached again from its own spikes.
//!
//! # Residual graphs
//! Where several layers read a spiking layer's output (or the input), an event goes through them
//! one after the other, in node order, each branch to its very end before the next. An `add` only
//! passes on what arrives: the contribution of each branch is one input event of the neurons
//! behind it, which fire as soon as it arrives, before the next branch's contribution comes. Where
//! an `add` reads the same node twice, its event arrives twice.
//!
//! Hence the law that the tests check. Give input event i the key (i); the contribution that an
//! event of key K makes along branch b the key (K, b); the j-th spike it causes (K, b, j). Every
//! layer, fed alone with its contributions in the lexicographic order of their keys, one a clock
//! step, emits exactly the engine's spikes.

use crate::edge::Edge;
use crate::flat::FlatNetwork;
use crate::hop::Hop;
use crate::layer::{self, Potentials};
use crate::pass::{Carried, Pass, carry};
use std::ops::Range;

/// All that a session remembers of the network.
#[derive(Debug, Clone)]
pub(crate) struct NetworkState {
    /// One a layer, and one more for a readout that accumulates.
    pub layers: Vec<layer::LayerState>,
    /// Counts of the output neurons, `[c][y][x]`; empty where the readout accumulates.
    pub counts: Vec<u64>,
    /// Spikes of each layer.
    pub spikes: Vec<u64>,
    /// Weights added so far.
    pub ops: u64,
}

impl NetworkState {
    pub fn new(flat: &FlatNetwork) -> Self {
        let readout = flat.infos.len();
        Self {
            layers: flat.rules.iter().enumerate().map(|(l, r)| r.state(flat.small, l == readout)).collect(),
            counts: vec![0; if flat.output_layer.is_some() { flat.output.len() } else { 0 }],
            spikes: vec![0; readout],
            ops: 0,
        }
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        let lists = (self.counts.capacity() + self.spikes.capacity()) * 8;
        lists + self.layers.iter().map(layer::LayerState::bytes).sum::<usize>()
    }

    pub fn reset(&mut self) {
        self.layers.iter_mut().for_each(layer::LayerState::reset);
        self.counts.fill(0);
        self.spikes.fill(0);
        self.ops = 0;
    }
}

/// Hears the spikes of a layer as they are fired, many at a time.
pub(crate) trait Hear {
    fn hear(&mut self, layer: usize, fired: &[Hop]);
}

impl Hear for () {
    #[inline(always)]
    fn hear(&mut self, _: usize, _: &[Hop]) {}
}

/// Carries a list of events along the edges that leave their source, and all that follows.
pub(crate) fn deliver<H: Hear>(
    flat: &FlatNetwork,
    memory: &mut NetworkState,
    hear: &mut H,
    edges: Range<usize>,
    hops: &[Hop],
    times: &[u64],
) {
    if flat.chain {
        for edge in &flat.edges[edges] {
            along(flat, memory, hear, edge, hops, times);
        }
        return;
    }
    for hop in hops {
        let one = [Hop { spikes: 1, ..*hop }];
        for _ in 0..hop.spikes {
            for edge in &flat.edges[edges.clone()] {
                along(flat, memory, hear, edge, &one, times);
            }
        }
    }
}

/// The neuron that fires by itself next: (moment in µs, layer, rank). Of one moment the lowest
/// layer's goes first.
pub(crate) fn next_due(flat: &FlatNetwork, memory: &NetworkState) -> Option<(u64, usize, usize)> {
    let all = flat.timed.iter().filter_map(|&l| memory.layers[l].due.first().map(|(us, rank)| (us, l, rank)));
    all.min()
}

/// Lets the neuron of this layer and rank fire by itself at `t_us`; gives its spikes, if it does.
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

/// Carries the spikes of one neuron that fired by itself at `t_us`, and all that follows.
pub(crate) fn deliver_due<H: Hear>(
    flat: &FlatNetwork,
    memory: &mut NetworkState,
    hear: &mut H,
    l: usize,
    hop: Hop,
    t_us: u64,
) {
    each(flat, memory, hear, l, &[hop], &[t_us]);
}

/// Carries a list of events along one edge. The target's queue is taken out meanwhile: a layer's
/// spikes never come back to it.
fn along<H: Hear>(
    flat: &FlatNetwork,
    memory: &mut NetworkState,
    hear: &mut H,
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
                hear.hear(target, &queue);
                deliver(flat, memory, hear, rule.edges.clone(), &queue, times);
            } else {
                each(flat, memory, hear, target, &queue, times);
            }
        }
    }
    queue.clear();
    memory.layers[target].queue = queue;
    memory.ops += done.ops;
}

/// Depth first: each spike is heard, then carried to the end, before the next.
fn each<H: Hear>(flat: &FlatNetwork, memory: &mut NetworkState, hear: &mut H, l: usize, fired: &[Hop], times: &[u64]) {
    for hop in fired {
        let one = [Hop { spikes: 1, ..*hop }];
        for _ in 0..hop.spikes {
            hear.hear(l, &one);
            deliver(flat, memory, hear, flat.rules[l].edges.clone(), &one, times);
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
