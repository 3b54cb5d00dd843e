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
use crate::kernel;
use crate::layer::{self, Potentials};
use crate::pass::{Hop, Pass, Progress};
use crate::program::Plan;
use std::ops::Range;

/// All that a session remembers of the network.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    /// One a layer, and one more for a readout that accumulates.
    pub layers: Vec<layer::State>,
    /// Counts of the output neurons, `[c][y][x]`; empty where the readout accumulates.
    pub counts: Vec<u64>,
    /// Spikes of each layer.
    pub spikes: Vec<u64>,
    /// Weights added so far.
    pub ops: u64,
}

impl Memory {
    pub fn new(plan: &Plan) -> Self {
        let readout = plan.infos.len();
        Self {
            layers: plan.rules.iter().enumerate().map(|(l, r)| r.state(plan.small, l == readout)).collect(),
            counts: vec![0; if plan.output_layer.is_some() { plan.output.len() } else { 0 }],
            spikes: vec![0; readout],
            ops: 0,
        }
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        let lists = (self.counts.capacity() + self.spikes.capacity()) * 8;
        lists + self.layers.iter().map(layer::State::bytes).sum::<usize>()
    }

    pub fn reset(&mut self) {
        self.layers.iter_mut().for_each(layer::State::reset);
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
    plan: &Plan,
    memory: &mut Memory,
    hear: &mut H,
    edges: Range<usize>,
    hops: &[Hop],
    times: &[u64],
) {
    if plan.chain {
        for edge in &plan.edges[edges] {
            along(plan, memory, hear, edge, hops, times);
        }
        return;
    }
    for hop in hops {
        let one = [Hop { spikes: 1, ..*hop }];
        for _ in 0..hop.spikes {
            for edge in &plan.edges[edges.clone()] {
                along(plan, memory, hear, edge, &one, times);
            }
        }
    }
}

/// The neuron that fires by itself next: (moment in µs, layer, rank). Of one moment the lowest
/// layer's goes first.
pub(crate) fn next_due(plan: &Plan, memory: &Memory) -> Option<(u64, usize, usize)> {
    let all = plan.timed.iter().filter_map(|&l| memory.layers[l].due.first().map(|(us, rank)| (us, l, rank)));
    all.min()
}

/// Lets the neuron of this layer and rank fire by itself at `t_us`; gives its spikes, if it does.
pub(crate) fn fire_due(plan: &Plan, memory: &mut Memory, (t_us, l, rank): (u64, usize, usize)) -> Option<Hop> {
    let (rule, state) = (&plan.rules[l], &mut memory.layers[l]);
    let (Some(timed), Potentials::Timed(memories)) = (&rule.timed, &mut state.potentials) else { return None };
    let at = rule.place(rank);
    let spikes = timed.fire(&mut memories[at], t_us);
    state.due.set(rank, timed.due(&memories[at]));
    let channels = rule.shape.channels;
    let hop = (spikes > 0).then(|| Hop::new(at % channels, at / channels, spikes, 0))?;
    tally(plan, memory, l, &[hop]);
    Some(hop)
}

/// Carries the spikes of one neuron that fired by itself at `t_us`, and all that follows.
pub(crate) fn deliver_due<H: Hear>(plan: &Plan, memory: &mut Memory, hear: &mut H, l: usize, hop: Hop, t_us: u64) {
    each(plan, memory, hear, l, &[hop], &[t_us]);
}

/// Carries a list of events along one edge. The target's queue is taken out meanwhile: a layer's
/// spikes never come back to it.
fn along<H: Hear>(plan: &Plan, memory: &mut Memory, hear: &mut H, edge: &Edge, hops: &[Hop], times: &[u64]) {
    let target = edge.target;
    let (rule, table) = (&plan.rules[target], &plan.tables[edge.table]);
    let mut queue = std::mem::take(&mut memory.layers[target].queue);
    let mut done = Progress::default();
    while done.hops < hops.len() {
        queue.clear();
        let state = &mut memory.layers[target];
        done = kernel::pass(plan.simd, Pass { rule, state, edge, table, hops, from: done, times, out: &mut queue });
        if !queue.is_empty() {
            tally(plan, memory, target, &queue);
            if plan.chain {
                hear.hear(target, &queue);
                deliver(plan, memory, hear, rule.edges.clone(), &queue, times);
            } else {
                each(plan, memory, hear, target, &queue, times);
            }
        }
    }
    queue.clear();
    memory.layers[target].queue = queue;
    memory.ops += done.ops;
}

/// Depth first: each spike is heard, then carried to the end, before the next.
fn each<H: Hear>(plan: &Plan, memory: &mut Memory, hear: &mut H, l: usize, fired: &[Hop], times: &[u64]) {
    for hop in fired {
        let one = [Hop { spikes: 1, ..*hop }];
        for _ in 0..hop.spikes {
            hear.hear(l, &one);
            deliver(plan, memory, hear, plan.rules[l].edges.clone(), &one, times);
        }
    }
}

pub(crate) fn tally(plan: &Plan, memory: &mut Memory, l: usize, fired: &[Hop]) {
    memory.spikes[l] += fired.iter().map(|f| u64::from(f.spikes)).sum::<u64>();
    if plan.output_layer == Some(l) {
        let positions = plan.output.height * plan.output.width;
        for f in fired {
            memory.counts[f.channel() * positions + f.position()] += u64::from(f.spikes);
        }
    }
}
