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

use crate::edge::Target;
use crate::layer;
use crate::program::Plan;
use crate::sink::Sink;
use std::ops::Range;

/// All that a session remembers of the network.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub layers: Vec<layer::State>,
    /// Accumulated readout, `[y][x][c]`; empty where the readout spikes.
    pub readout: Vec<f32>,
    /// Counts of the output neurons, `[c][y][x]`; empty where the readout accumulates.
    pub counts: Vec<u64>,
    /// Spikes of each layer.
    pub spikes: Vec<u64>,
    /// Weights added so far.
    pub ops: u64,
}

impl Memory {
    pub fn new(plan: &Plan) -> Self {
        let (readout, counts) = match plan.output_layer {
            None => (plan.output.len(), 0),
            Some(_) => (0, plan.output.len()),
        };
        Self {
            layers: plan.rules.iter().map(layer::Rule::state).collect(),
            readout: vec![0.0; readout],
            counts: vec![0; counts],
            spikes: vec![0; plan.rules.len()],
            ops: 0,
        }
    }

    pub fn reset(&mut self) {
        self.layers.iter_mut().for_each(layer::State::reset);
        self.readout.fill(0.0);
        self.counts.fill(0);
        self.spikes.fill(0);
        self.ops = 0;
    }
}

/// The input event that is being carried through.
#[derive(Clone, Copy)]
pub(crate) struct Cause {
    pub t_us: u64,
    pub index: u64,
}

/// Carries an event at `place` = (c, y, x) of a source along the edges that leave it.
pub(crate) fn deliver<S: Sink>(
    plan: &Plan,
    memory: &mut Memory,
    sink: &mut S,
    cause: Cause,
    edges: Range<usize>,
    place: (usize, usize, usize),
) {
    for edge in &plan.edges[edges] {
        let reach = edge.reach(place.1, place.2);
        if reach == 0 {
            continue;
        }
        memory.ops += reach as u64;
        let table = &plan.tables[edge.table];
        match edge.target {
            Target::Readout => {
                let channels = plan.output.channels;
                edge.for_each_segment(table, place, |y, x, first, weights| {
                    let at = (y * edge.target_width + x) * channels + first;
                    for (v, w) in memory.readout[at..at + weights.len()].iter_mut().zip(weights) {
                        *v += w;
                    }
                });
            }
            Target::Layer(l) => {
                plan.rules[l].integrate(&mut memory.layers[l], edge, table, place, cause.t_us);
                emit(plan, memory, sink, cause, l);
            }
        }
    }
}

/// Carries on the spikes that layer `l` has just fired. The list stays untouched meanwhile: a
/// layer's spikes never come back to it.
fn emit<S: Sink>(plan: &Plan, memory: &mut Memory, sink: &mut S, cause: Cause, l: usize) {
    let shape = plan.infos[l].shape;
    for i in 0..memory.layers[l].fired.len() {
        let fired = memory.layers[l].fired[i];
        let (c, y, x) = fired.place();
        memory.spikes[l] += u64::from(fired.spikes);
        if plan.output_layer == Some(l) {
            memory.counts[(c * shape.height + y) * shape.width + x] += u64::from(fired.spikes);
        }
        for _ in 0..fired.spikes {
            sink.spike(l, cause.t_us, cause.index, c, y, x);
            deliver(plan, memory, sink, cause, plan.rules[l].edges.clone(), (c, y, x));
        }
    }
}
