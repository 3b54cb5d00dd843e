//! A simple event-driven simulator, which is the reference for the engine. It runs breadth first,
//! layer by layer: each layer receives its input events one by one, and neurons that an event does
//! not reach keep their state. A spike that returns along recurrent connections is an event of its
//! own, which comes before the input events of its time. It computes dense maps in f64 and is slow.

use crate::clocked::fire;
use crate::layers::{Map, linear, ones, readers};
use std::collections::{HashMap, VecDeque};
use tickless_net::{During, Layer, Network, NodeId, Period, SpikeMode, Weights};

/// A spike, with a key that orders it: the path to the spike from its root, which is an input event
/// or a spike that returns along recurrent connections.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Emitted {
    /// The root's time, source (layers in node order, then the input) and number, then the branch
    /// taken at each step of the path. Sorting by it gives the order of a depth-first run.
    pub key: Vec<u64>,
    /// Time of its root, in µs.
    pub t_us: u64,
    /// Index of its root, or of the last input event before a root that is not one.
    pub cause: u64,
    /// Channel, row, column.
    pub place: Place,
}

/// The result of a run.
#[derive(Debug)]
pub struct Reference {
    /// Spikes of each spiking layer, in order of emission.
    pub spikes: Vec<Vec<Emitted>>,
    /// Membrane potentials of each spiking layer, each at the time of the neuron's last input.
    pub membranes: Vec<Map>,
    /// Sum of the input current of each spiking layer.
    pub current: Vec<f64>,
    /// Accumulated output of the last node, if it does not spike.
    pub logits: Vec<f64>,
    /// Number of weights added.
    pub ops: u64,
    /// The smallest distance of a membrane potential from a value that decides on the number of
    /// spikes: the threshold, and for multi-spike neurons its multiples.
    pub margin: f64,
}

/// The contribution of an event: (index in `[c][y][x]`, weight) for each position that it reaches.
type Patch = Vec<(usize, f64)>;

/// Channel, row, column.
type Place = (usize, usize, usize);

struct Paths<'a> {
    net: &'a Network,
    weights: &'a Weights,
    ones: Weights,
    known: HashMap<(Vec<usize>, Place), Patch>,
}

impl Paths<'_> {
    fn patch(&mut self, source: NodeId, path: &[usize], place: Place) -> Patch {
        let mut key = vec![match source {
            NodeId::Input => usize::MAX,
            NodeId::Node(i) => i,
        }];
        key.extend(path);
        if let Some(p) = self.known.get(&(key.clone(), place)) {
            return p.clone();
        }
        let start = Map::one_hot(self.net.shape_of(source), place.0, place.1, place.2);
        let through = |w: &Weights| path.iter().fold(start.clone(), |m, &node| linear(self.net, w, node, &m));
        let (sum, reached) = (through(self.weights), through(&self.ones));
        let patch: Patch =
            reached.data.iter().enumerate().filter(|(_, r)| **r > 0.0).map(|(i, _)| (i, sum.data[i])).collect();
        self.known.insert((key, place), patch.clone());
        patch
    }
}

/// All paths from a source through layers that do not spike: the nodes, and the neuron at the end
/// (`None` for the output).
fn ways(net: &Network, id: NodeId) -> Vec<(Vec<usize>, Option<usize>)> {
    let mut all = Vec::new();
    for r in readers(net, id) {
        if matches!(net.nodes()[r].layer, Layer::Neuron(_)) {
            all.push((vec![], Some(r)));
        } else if r == net.nodes().len() - 1 {
            all.push((vec![r], None));
        } else {
            all.extend(ways(net, NodeId::Node(r)).into_iter().map(|(p, end)| ([vec![r], p].concat(), end)));
        }
    }
    all
}

/// The contributions of a spike that returns to its own layer: one for each channel at its position,
/// or one for its own neuron.
fn back(net: &Network, weights: &Weights, node: usize, (c, y, x): Place) -> Patch {
    let (name, shape) = (&net.nodes()[node].name, net.nodes()[node].output);
    let w = weights.get(&format!("{name}.recurrent")).expect("recurrent weights");
    let index = |channel: usize| (channel * shape.height + y) * shape.width + x;
    match w.shape.len() {
        1 => vec![(index(c), w.data[c].into())],
        _ => (0..shape.channels).map(|to| (index(to), w.data[to * shape.channels + c].into())).collect(),
    }
}

/// Runs events (t, c, y, x), in order of time, through a network whose leaks, refractory periods and
/// recurrent delays must be given as times.
pub fn run(net: &Network, weights: &Weights, events: &[[u64; 4]]) -> Reference {
    let mut paths = Paths { net, weights, ones: ones(weights), known: HashMap::new() };
    let as_input = |(i, e): (usize, &[u64; 4])| Emitted {
        key: vec![e[0], u64::MAX, i as u64],
        t_us: e[0],
        cause: i as u64,
        place: (e[1] as usize, e[2] as usize, e[3] as usize),
    };
    let mut emitted: HashMap<NodeId, Vec<Emitted>> =
        HashMap::from([(NodeId::Input, events.iter().enumerate().map(as_input).collect())]);
    let mut out = Reference {
        spikes: vec![],
        membranes: vec![],
        current: vec![],
        logits: vec![0.0; net.output().len()],
        ops: 0,
        margin: f64::INFINITY,
    };
    let spiking = net.spiking();
    for target in spiking.iter().map(|&i| Some(i)).chain([None]) {
        // All contributions to this layer, in the order of their keys.
        let mut inputs: Vec<(Emitted, Patch)> = Vec::new();
        for (&source, list) in &emitted {
            for (branch, (path, end)) in ways(net, source).into_iter().enumerate() {
                for e in list.iter().filter(|_| end == target) {
                    let mut contribution = e.clone();
                    contribution.key.push(branch as u64);
                    inputs.push((contribution, paths.patch(source, &path, e.place)));
                }
            }
        }
        inputs.sort_by(|a, b| a.0.cmp(&b.0));
        let Some(node) = target else {
            out.ops += inputs.iter().map(|(_, p)| p.len() as u64).sum::<u64>();
            inputs.iter().flat_map(|(_, p)| p).for_each(|&(i, w)| out.logits[i] += w);
            continue;
        };
        out.current.push(0.0);
        let shape = net.nodes()[node].output;
        let Layer::Neuron(neuron) = net.nodes()[node].layer else { unreachable!() };
        let tau = neuron.tau_us(None).unwrap();
        let (mut v, mut hit) = (Map::zeros(shape), vec![0u64; shape.len()]);
        // The time from which each neuron may fire again.
        let mut ready = vec![0u64; shape.len()];
        let period = neuron.refractory.map_or(0, |r| match r.period {
            Period::Us(us) => us.ceil() as u64,
            Period::Steps(_) => unreachable!("a period must be given as a time"),
        });
        let held = neuron.refractory.is_some_and(|r| r.during == During::Hold);
        let scales = net.nodes()[node].input_scale();
        let mut spikes = Vec::new();
        let mut inputs = VecDeque::from(inputs);
        // Spikes on their way back; all have the same delay, so they are in order.
        let mut late: VecDeque<(Emitted, Patch)> = VecDeque::new();
        let last_us = events.last().map_or(0, |e| e[0]);
        while let Some((e, patch)) = match (late.front(), inputs.front()) {
            (Some(back), Some(new)) if back.0 < new.0 => late.pop_front(),
            (Some(back), None) if back.0.t_us <= last_us => late.pop_front(),
            _ => inputs.pop_front(),
        } {
            out.ops += patch.len() as u64;
            out.current[out.spikes.len()] += patch.iter().map(|p| p.1).sum::<f64>();
            for (i, w) in patch {
                let channel = i / (shape.height * shape.width);
                let w = scales.as_ref().map_or(w, |s| w * f64::from(s[channel]));
                let dead = e.t_us < ready[i];
                if dead && held {
                    continue;
                }
                let since = if held { hit[i].max(ready[i]) } else { hit[i] };
                let u = v.data[i] * (-((e.t_us - since) as f64) / tau).exp() + w;
                hit[i] = e.t_us;
                if dead {
                    v.data[i] = neuron.v_min.map_or(u, |m| u.max(m.into()));
                    continue;
                }
                let theta = f64::from(neuron.threshold);
                let decisive = match neuron.spikes {
                    SpikeMode::Single => theta,
                    SpikeMode::Multi => theta * (u / theta).round().max(1.0),
                };
                out.margin = out.margin.min((u - decisive).abs());
                let (n, after) = fire(&neuron, u);
                v.data[i] = after;
                if n > 0.0 {
                    ready[i] = e.t_us + period;
                }
                let (hw, w) = (shape.height * shape.width, shape.width);
                for _ in 0..n as u64 {
                    let mut s = e.clone();
                    s.key.push(spikes.len() as u64);
                    s.place = (i / hw, i % hw / w, i % w);
                    if let Some(recurrent) = net.nodes()[node].recurrent {
                        let delay_us = recurrent.delay_us.expect("a delay must be given as a time");
                        let t_us = s.t_us + delay_us.ceil() as u64;
                        let cause = events.partition_point(|e| e[0] < t_us) as u64 - 1;
                        let key = vec![t_us, node as u64, spikes.len() as u64];
                        late.push_back((Emitted { key, t_us, cause, ..s }, back(net, weights, node, s.place)));
                    }
                    spikes.push(s);
                }
            }
        }
        emitted.insert(NodeId::Node(node), spikes.clone());
        out.spikes.push(spikes);
        out.membranes.push(v);
    }
    out
}
