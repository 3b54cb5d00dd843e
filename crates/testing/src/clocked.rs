//! A simple clocked simulator: one sample, step by step, all layers in the same step, in f64. It
//! requires a network without norms, and treats every TTM as the identity, because all stages run
//! at the same T.

use crate::layers::{Map, linear};
use tickless_net::{
    Attention, During, Layer, LeakRule, Network, Neuron, NodeId, Period, Recurrent, Reset, SpikeMode, Weights,
};

/// Updates a neuron with potential `u`: returns (spikes, potential afterwards).
pub fn fire(n: &Neuron, u: f64) -> (f64, f64) {
    let theta = f64::from(n.threshold);
    let fires = if n.fire_at_threshold { u >= theta } else { u > theta };
    let spikes = match (fires, n.spikes) {
        (false, _) => 0.0,
        (true, SpikeMode::Single) => 1.0,
        (true, SpikeMode::Multi) => (u / theta).floor(),
    };
    let v = if n.reset == Reset::Hard && fires { 0.0 } else { u - spikes * theta };
    (spikes, n.v_min.map_or(v, |m| v.max(m.into())))
}

/// The result of a clocked run.
#[derive(Debug, Clone)]
pub struct Clocked {
    /// Output of the last node for each step, `[T][C·H·W]`.
    pub steps: Vec<Vec<f64>>,
    /// Output of the last node, summed over the steps, `[C·H·W]`.
    pub output: Vec<f64>,
    /// Spike counts of each spiking layer, `[C·H·W]`.
    pub counts: Vec<Vec<f64>>,
}

/// Runs a network on frames, whose neurons may have a synaptic current. `step_us` is the duration of a step in µs, which leaks and refractory
/// periods given as times need. With it, recurrent connections with a delay in µs take that delay in
/// steps, rounded up; all others take one step.
pub fn run(net: &Network, weights: &Weights, frames: &[Map], step_us: Option<f64>) -> Clocked {
    let nodes = net.nodes();
    let mut v: Vec<Map> = nodes.iter().map(|n| Map::zeros(n.output)).collect();
    let mut currents: Vec<Map> = v.clone();
    let mut sums: Vec<Map> = v.clone();
    // Dead steps that are left.
    let mut dead: Vec<Vec<u64>> = nodes.iter().map(|n| vec![0; n.output.len()]).collect();
    let mut steps = Vec::new();
    // The spikes of all steps, for recurrent connections.
    let mut fired: Vec<Vec<Map>> = vec![Vec::new(); nodes.len()];
    for (t, frame) in frames.iter().enumerate() {
        let mut out: Vec<Map> = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let input = |id: &NodeId| match id {
                NodeId::Input => frame,
                NodeId::Node(j) => &out[*j],
            };
            let inputs: Vec<&Map> = node.from.iter().map(input).collect();
            let map = match node.layer {
                Layer::Neuron(n) => {
                    let lambda = f64::from(n.lambda(LeakRule::Step, 1, 1, step_us).expect("a step duration"));
                    let apart = n.refractory.map_or(1, |r| match r.period {
                        Period::Steps(rho) => rho.ceil() as u64,
                        Period::Us(us) => (us / step_us.expect("a step duration")).ceil() as u64,
                    });
                    let synapse = n
                        .synapse
                        .map(|leak| f64::from(leak.lambda(LeakRule::Step, 1, 1, step_us).expect("a step duration")));
                    let held = n.refractory.is_some_and(|r| r.during == During::Hold);
                    let scales = node.input_scale();
                    let mut spikes = Map::zeros(node.output);
                    let back = match t.checked_sub(delay(node.recurrent, step_us)) {
                        Some(then) => recurrent(net, weights, i, &fired[i][then]),
                        None => Map::zeros(node.output),
                    };
                    for (k, s) in spikes.data.iter_mut().enumerate() {
                        let channel = k / (node.output.height * node.output.width);
                        let scale = scales.as_ref().map_or(1.0, |s| f64::from(s[channel]));
                        let (v, input, dead) =
                            (&mut v[i].data[k], (inputs[0].data[k] + back.data[k]) * scale, &mut dead[i][k]);
                        let input = match synapse {
                            None => input,
                            Some(lambda) => {
                                let current = &mut currents[i].data[k];
                                *current = lambda * *current + input;
                                *current
                            }
                        };
                        if *dead > 0 && held {
                            *dead -= 1;
                            continue;
                        }
                        // What a reset that acts in the step after the spike takes off.
                        let theta = f64::from(n.threshold);
                        let late = if n.reset.is_immediate() { 0.0 } else { theta * fire(&n, *v).0 };
                        let u = lambda * *v + input - late;
                        if *dead > 0 || (apart > 1 && input == 0.0 && synapse.is_none()) {
                            *dead = dead.saturating_sub(1);
                            *v = n.v_min.map_or(u, |m| u.max(m.into()));
                            continue;
                        }
                        (*s, *v) = fire(&n, u);
                        match n.reset {
                            Reset::Hard | Reset::Soft => {}
                            Reset::SoftDelayed => *v = n.v_min.map_or(u, |m| u.max(m.into())),
                            Reset::SoftRepeated => *v += late,
                        }
                        if *s > 0.0 {
                            *dead = apart - 1;
                        }
                    }
                    fired[i].push(spikes.clone());
                    spikes
                }
                Layer::Add => {
                    let mut sum = Map::zeros(node.output);
                    for (k, s) in sum.data.iter_mut().enumerate() {
                        *s = inputs.iter().map(|m| m.data[k]).sum();
                    }
                    sum
                }
                Layer::Attention(a) => attention(a, inputs[0], inputs[1], inputs[2]),
                _ => linear(net, weights, i, inputs[0]),
            };
            for (sum, s) in sums[i].data.iter_mut().zip(&map.data) {
                *sum += s;
            }
            out.push(map);
        }
        steps.extend(out.pop().map(|last| last.data));
    }
    Clocked {
        steps,
        output: sums.last().map(|m| m.data.clone()).unwrap_or_default(),
        counts: net.spiking().into_iter().map(|i| sums[i].data.clone()).collect(),
    }
}

/// Attention as its definition states it: for each head, every query with every key.
pub fn attention(a: Attention, queries: &Map, keys: &Map, values: &Map) -> Map {
    let tokens = |m: &Map| m.shape.height * m.shape.width;
    let (n, m) = (tokens(queries), tokens(keys));
    let mut out = Map::zeros(tickless_net::Shape { channels: values.shape.channels, ..queries.shape });
    let (d, e) = (queries.shape.channels / a.heads, values.shape.channels / a.heads);
    for head in 0..a.heads {
        for i in 0..n {
            for j in 0..m {
                let channels = head * d..(head + 1) * d;
                let product: f64 = channels.map(|c| queries.data[c * n + i] * keys.data[c * m + j]).sum();
                for c in head * e..(head + 1) * e {
                    out.data[c * n + i] += f64::from(a.scale) * product * values.data[c * m + j];
                }
            }
        }
    }
    out
}

/// The number of steps after which a spike returns.
fn delay(recurrent: Option<Recurrent>, step_us: Option<f64>) -> usize {
    match (recurrent.and_then(|r| r.delay_us), step_us) {
        (Some(delay), Some(step)) => ((delay / step - 1e-6).ceil() as usize).max(1),
        _ => 1,
    }
}

/// The current that the spikes of one step add to a layer with recurrent connections.
fn recurrent(net: &Network, weights: &Weights, node: usize, spikes: &Map) -> Map {
    let n = &net.nodes()[node];
    let mut out = Map::zeros(spikes.shape);
    if n.recurrent.is_none() {
        return out;
    }
    let w = weights.get(&format!("{}.recurrent", n.name)).expect("recurrent weights");
    let (channels, positions) = (spikes.shape.channels, spikes.shape.height * spikes.shape.width);
    for p in 0..positions {
        for to in 0..channels {
            let from: Vec<(usize, f32)> = match w.shape.len() {
                1 => vec![(to, w.data[to])],
                _ => (0..channels).map(|c| (c, w.data[to * channels + c])).collect(),
            };
            out.data[to * positions + p] =
                from.iter().map(|(c, w)| spikes.data[c * positions + p] * f64::from(*w)).sum();
        }
    }
    out
}

/// Counts events (t, c, y, x) into frames: event k goes to frame `bin(k)` of `count`.
pub fn frames(net: &Network, events: &[[u64; 4]], count: usize, bin: impl Fn(usize) -> usize) -> Vec<Map> {
    let shape = net.input().shape;
    let mut all = vec![Map::zeros(shape); count];
    for (k, &[_, c, y, x]) in events.iter().enumerate() {
        all[bin(k)].data[(c as usize * shape.height + y as usize) * shape.width + x as usize] += 1.0;
    }
    all
}
