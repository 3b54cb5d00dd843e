//! A tiny clocked simulator: the whole network, frame by frame, all layers in the same step, in f64.

use super::dense::{Map, linear};
use tickless_net::{Layer, LeakRule, Network, Neuron, NodeId, Weights};
use tickless_neuron::step::{AnyState, Constants, Mode, State, step as neuron_step};

/// One step of one neuron that has taken its current: (spikes, potential afterwards).
pub fn step(n: &Neuron, u: f64) -> (f64, f64) {
    let v_min = n.v_min.map_or(f64::NEG_INFINITY, f64::from);
    let mut state = State { v: u, synapse: (), adaptation: () };
    let fired = neuron_step(Mode::of(n), &Constants::fixed(1.0, n.threshold.into(), v_min), &mut state, 0.0);
    (fired.spikes, state.v)
}

/// What a clocked run gives.
#[derive(Debug, Clone)]
pub struct Clocked {
    /// Output of the last node, summed over the steps, `[c][y][x]`.
    pub output: Vec<f64>,
    /// Spike counts of every spiking layer, `[c][y][x]`.
    pub counts: Vec<Vec<f64>>,
}

/// Runs a network of neurons without leak on frames.
pub fn run(net: &Network, weights: &Weights, frames: &[Map]) -> Clocked {
    run_leaky(net, weights, frames, 1, None)
}

/// Runs a network on frames with the leak per time, trained at `t_max` steps of `step_us` µs.
pub fn run_leaky(net: &Network, weights: &Weights, frames: &[Map], t_max: usize, step_us: Option<f64>) -> Clocked {
    let nodes = net.nodes();
    let mut sums: Vec<Map> = nodes.iter().map(|n| Map::zeros(n.output)).collect();
    let mut states = Vec::new();
    let mut constants = Vec::new();
    for node in nodes {
        let neuron = if let Layer::Neuron(n) = node.layer { n } else { Neuron::if_single() };
        states.push(vec![AnyState::at_rest(&neuron, 0.0f64); node.output.len()]);
        let c = Constants::at(&neuron, LeakRule::Time, t_max, frames.len(), step_us).unwrap();
        constants.push(c.map(f64::from));
    }
    for frame in frames {
        let mut out: Vec<Map> = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let inputs: Vec<&Map> = node
                .from
                .iter()
                .map(|id| match id {
                    NodeId::Input => frame,
                    NodeId::Node(j) => &out[*j],
                })
                .collect();
            let map = match node.layer {
                Layer::Neuron(n) => {
                    let mut spikes = Map::zeros(node.output);
                    for (k, s) in spikes.data.iter_mut().enumerate() {
                        let x = inputs[0].data[k];
                        *s = neuron_step(Mode::of(&n), &constants[i], &mut states[i][k].0, x).spikes;
                    }
                    spikes
                }
                Layer::Add => {
                    let mut sum = Map::zeros(node.output);
                    for (k, s) in sum.data.iter_mut().enumerate() {
                        *s = inputs.iter().map(|m| m.data[k]).sum();
                    }
                    sum
                }
                _ => linear(net, weights, i, inputs[0]),
            };
            for (sum, s) in sums[i].data.iter_mut().zip(&map.data) {
                *sum += s;
            }
            out.push(map);
        }
    }
    Clocked {
        output: sums.last().unwrap().data.clone(),
        counts: net.spiking().into_iter().map(|i| sums[i].data.clone()).collect(),
    }
}

/// Events (t, c, y, x) cut into frames: event k of n goes to frame `bin(k)`.
pub fn frames(net: &Network, events: &[[u64; 4]], count: usize, bin: impl Fn(usize) -> usize) -> Vec<Map> {
    let shape = net.input().shape;
    let mut all = vec![Map::zeros(shape); count];
    for (k, &[_, c, y, x]) in events.iter().enumerate() {
        all[bin(k)].data[(c as usize * shape.height + y as usize) * shape.width + x as usize] += 1.0;
    }
    all
}
