//! The clocked network layer by layer, with one input event per step. The engine must reproduce it
//! exactly.
//!
//! Each spiking layer receives its own input events, one per clock step. The current that an event
//! adds is computed by the trainer's convolutions and linear layers, from a map that contains only
//! this event. The neurons that it reaches take one step of the trainer's neuron; the others are
//! unchanged. Events carry the path that they came by (input event, edge, spike, edge, …), and a
//! layer receives them in the order of these paths, which is the engine's order at a merge. This
//! executor shares no code with the engine. It is slow.

use crate::{Error, Result};
use std::collections::HashMap;
use std::sync::Arc;
use tickless_engine::{Recording, Spike};
use tickless_net::{
    Array, Conv, During, InputKind, Layer, LeakRule, Network, NetworkBuilder, Neuron, NodeId, Shape, Weights,
};
use tickless_train::device::Device;
use tickless_train::model::NormMode;
use tickless_train::model::Sequence;
use tickless_train::model::{Model, Pass};
use tickless_train::neuron::step::plain_step;
use tickless_train::seed;

/// Most values in one batch of maps.
const BATCH_VALUES: usize = 1 << 22;

/// If a potential is closer to the threshold than this share of it, rounding decides.
pub const CLOSE: f64 = 1e-5;

/// The spikes and the readout of one recording.
#[derive(Debug, Default)]
pub struct Clocked {
    /// The spikes of every spiking layer, in order of emission.
    pub spikes: Vec<Vec<Spike>>,
    /// The readout, in (channel, y, x) order.
    pub logits: Vec<f32>,
    /// Updates closer than [`CLOSE`] to a threshold: layer, input event, neuron.
    pub close: Vec<(usize, u64, usize)>,
}

/// The current that an event adds: (neuron, current) for each neuron that it reaches.
type Patch = Arc<[(usize, f32)]>;

/// A path between two spiking layers with no neurons in between.
struct Way {
    /// The input or a neuron node.
    source: NodeId,
    /// Index of the spiking layer at its end; the number of spiking layers if it ends at the
    /// readout.
    target: usize,
    /// The path's linear layers, once with the weights and once with ones; `None` if the path adds
    /// the spike itself.
    models: Option<(Model, Model)>,
    shape: Shape,
    known: HashMap<(usize, usize, usize), Patch>,
}

/// A spike with the path that it came by.
#[derive(Clone)]
struct Arrival {
    way: Vec<u32>,
    t_us: u64,
    cause: u64,
    place: (usize, usize, usize),
}

/// The executor.
pub struct Layers {
    network: Arc<Network>,
    /// The neuron of every spiking layer, its time constant in µs, and the layer's shape.
    neurons: Vec<(Neuron, f64, Shape)>,
    /// The refractory period of every spiking layer in µs; 0 if it has none.
    dead_us: Vec<u64>,
    ways: Vec<Way>,
    device: Device,
}

impl Layers {
    /// Prepares a network without biases and norms.
    ///
    /// # Errors
    /// If the network needs a clock, or `step_us` is not given and a leak or a refractory period
    /// is in steps.
    pub fn new(network: &Arc<Network>, weights: &Weights, step_us: Option<f64>, device: &Device) -> Result<Self> {
        network.check_event_driven()?;
        let network = &Arc::new(weights.with_learned_leaks(network)?);
        let spiking = network.spiking();
        let (mut neurons, mut dead_us) = (Vec::new(), Vec::new());
        for &i in &spiking {
            let node = &network.nodes()[i];
            let Layer::Neuron(n) = node.layer else { continue };
            if node.recurrent.is_some() {
                return Err(Error::Recurrent { layer: node.name.clone() });
            }
            let tau = n.tau_us(step_us);
            let Some(tau) = tau else { return Err(Error::NoStep { layer: node.name.clone() }) };
            let dead = n.refractory.map_or(Some(0), |r| r.us(step_us));
            dead_us.push(dead.ok_or_else(|| Error::NoPeriod { layer: node.name.clone() })?);
            neurons.push((n, tau, node.output));
        }
        let mut ways = Vec::new();
        for source in std::iter::once(NodeId::Input).chain(spiking.iter().map(|&i| NodeId::Node(i))) {
            for (nodes, end) in follow(network, source) {
                let target = end.and_then(|i| spiking.iter().position(|&s| s == i)).unwrap_or(spiking.len());
                ways.push(Way {
                    source,
                    target,
                    models: models(network, weights, source, (&nodes, end), device)?,
                    shape: network.shape_of(source),
                    known: HashMap::new(),
                });
            }
        }
        Ok(Self { network: network.clone(), neurons, dead_us, ways, device: device.clone() })
    }

    /// Runs one recording from rest.
    ///
    /// # Errors
    /// If a layer cannot be run.
    pub fn run(&mut self, recording: &Recording) -> Result<Clocked> {
        let one_channel = self.network.input().shape.channels == 1;
        let input = recording.iter().enumerate().map(|(k, e)| Arrival {
            way: vec![k as u32],
            t_us: e.t_us,
            cause: k as u64,
            place: (if one_channel { 0 } else { usize::from(e.on) }, e.y.into(), e.x.into()),
        });
        let mut emitted: HashMap<NodeId, Vec<Arrival>> = HashMap::from([(NodeId::Input, input.collect())]);
        let mut out = Clocked { logits: vec![0.0; self.network.output().len()], ..Clocked::default() };
        for target in 0..=self.neurons.len() {
            let arrivals = self.arrivals(target, &emitted)?;
            if target == self.neurons.len() {
                arrivals.iter().flat_map(|(_, patch)| patch.iter()).for_each(|&(i, w)| out.logits[i] += w);
                continue;
            }
            let spikes = self.fire(target, arrivals, &mut out.close);
            out.spikes.push(spikes.iter().map(|s| spike(target, s)).collect());
            emitted.insert(NodeId::Node(self.network.spiking()[target]), spikes);
        }
        let last = self.network.spiking().last().copied();
        if last.is_some_and(|i| i + 1 == self.network.nodes().len()) {
            let (spikes, shape) = (out.spikes.last().map_or(&[][..], Vec::as_slice), self.network.output());
            spikes.iter().for_each(|s| out.logits[(s.channel * shape.height + s.y) * shape.width + s.x] += 1.0);
        }
        Ok(out)
    }

    /// The events that a layer receives, in order, with the current that each adds.
    fn arrivals(&mut self, target: usize, emitted: &HashMap<NodeId, Vec<Arrival>>) -> Result<Vec<(Arrival, Patch)>> {
        let mut all = Vec::new();
        for k in 0..self.ways.len() {
            if self.ways[k].target != target {
                continue;
            }
            let source = self.ways[k].source;
            let branch = self.ways[..k].iter().filter(|w| w.source == source).count() as u32;
            let events = emitted.get(&source).map_or(&[][..], Vec::as_slice);
            self.ways[k].learn(events.iter().map(|e| e.place), &self.device)?;
            for e in events {
                let mut e = e.clone();
                e.way.push(branch);
                let patch = self.ways[k].known[&e.place].clone();
                all.push((e, patch));
            }
        }
        all.sort_by(|a, b| a.0.way.cmp(&b.0.way));
        Ok(all)
    }

    /// For every event, updates the neurons that it reaches by one step and returns their spikes.
    /// During a refractory period a neuron does not fire; it integrates the event, or ignores it if
    /// its membrane is held.
    fn fire(
        &self,
        layer: usize,
        arrivals: Vec<(Arrival, Patch)>,
        close: &mut Vec<(usize, u64, usize)>,
    ) -> Vec<Arrival> {
        let (neuron, tau, shape) = self.neurons[layer];
        let theta = f64::from(neuron.threshold);
        let held = neuron.refractory.is_some_and(|r| r.during == During::Hold);
        let mut v = vec![(0.0f32, 0u64); shape.len()];
        // The time in µs from which each neuron may fire again.
        let mut ready = vec![0u64; shape.len()];
        let mut spikes = Vec::new();
        for (event, patch) in arrivals {
            for &(i, current) in patch.iter() {
                let (before, hit) = v[i];
                let dead = event.t_us < ready[i];
                if dead && held {
                    continue;
                }
                let since = if held { hit.max(ready[i]) } else { hit };
                let lambda = (-((event.t_us - since) as f64) / tau).exp() as f32;
                let (n, u, after) = plain_step(&neuron, lambda, before, current);
                if dead {
                    v[i] = (neuron.v_min.map_or(u, |limit| u.max(limit)), event.t_us);
                    continue;
                }
                if n > 0.0 {
                    ready[i] = event.t_us + self.dead_us[layer];
                }
                v[i] = (after, event.t_us);
                // If the neuron emits one spike, u crosses θ; if it emits a burst, u may cross any
                // multiple.
                let multiple = (f64::from(u) / theta).round().max(1.0);
                if (f64::from(u) / theta - multiple).abs() < CLOSE {
                    close.push((layer, event.cause, i));
                }
                let (y, x) = (i / shape.width % shape.height, i % shape.width);
                for _ in 0..n as u64 {
                    let mut s = Arrival { place: (i / (shape.height * shape.width), y, x), ..event.clone() };
                    s.way.push(spikes.len() as u32);
                    spikes.push(s);
                }
            }
        }
        spikes
    }
}

fn spike(layer: usize, s: &Arrival) -> Spike {
    Spike { layer, t_us: s.t_us, cause: s.cause, channel: s.place.0, y: s.place.1, x: s.place.2 }
}

impl Way {
    /// Computes the patches of places that are not known yet, many per batch.
    fn learn(&mut self, places: impl Iterator<Item = (usize, usize, usize)>, device: &Device) -> Result<()> {
        let mut new: Vec<_> = places.filter(|p| !self.known.contains_key(p)).collect();
        new.sort_unstable();
        new.dedup();
        let (shape, index) = (self.shape, |s: Shape, p: (usize, usize, usize)| (p.0 * s.height + p.1) * s.width + p.2);
        let Some((weighted, reached)) = &self.models else {
            self.known.extend(new.into_iter().map(|p| (p, Patch::from([(index(shape, p), 1.0)]))));
            return Ok(());
        };
        let widest = weighted.network().nodes().iter().map(|n| n.output.len()).fold(shape.len(), usize::max);
        for places in new.chunks((BATCH_VALUES / widest).max(1)) {
            let mut maps = vec![0.0f32; places.len() * shape.len()];
            for (k, &p) in places.iter().enumerate() {
                maps[k * shape.len() + index(shape, p)] = 1.0;
            }
            let size = [1, places.len(), shape.channels, shape.height, shape.width];
            let maps = Sequence::from_values(maps, size, device);
            let (currents, reached) = (forward(weighted, maps.clone())?, forward(reached, maps)?);
            let n = weighted.network().output().len();
            for (k, &p) in places.iter().enumerate() {
                let rows = currents[k * n..][..n].iter().zip(&reached[k * n..][..n]);
                let patch = rows.enumerate().filter(|(_, (_, r))| **r > 0.0).map(|(i, (w, _))| (i, *w));
                self.known.insert(p, patch.collect());
            }
        }
        Ok(())
    }
}

fn forward(model: &Model, input: Sequence) -> Result<Vec<f32>> {
    let pass = Pass { configuration: &[1], norm: NormMode::Running, leak: LeakRule::Step, t_max: 1, step_us: None };
    let out = model.forward(&model.constants(), input, &pass, &mut seed::rng(0, "parity", 0), None)?;
    Ok(out.logits.into_data().try_into_vec().expect("every tensor of the trainer is f32"))
}

/// All paths from a source through layers that do not spike, depth first, with consumers in node
/// order. Each is given as its nodes and the neuron node at its end (`None` for the readout).
fn follow(network: &Network, source: NodeId) -> Vec<(Vec<usize>, Option<usize>)> {
    let mut all = Vec::new();
    for (i, node) in network.nodes().iter().enumerate() {
        for _ in node.from.iter().filter(|&&f| f == source) {
            if matches!(node.layer, Layer::Neuron(_)) {
                all.push((Vec::new(), Some(i)));
            } else if i + 1 == network.nodes().len() {
                all.push((vec![i], None));
            } else {
                let rest = follow(network, NodeId::Node(i)).into_iter();
                all.extend(rest.map(|(nodes, end)| ([vec![i], nodes].concat(), end)));
            }
        }
    }
    all
}

/// The linear layers of a path to the neurons `end` as two networks: one with the weights, one with
/// ones. If the neurons have a threshold per channel, its factor is the last layer.
fn models(
    network: &Network,
    weights: &Weights,
    source: NodeId,
    (nodes, end): (&[usize], Option<usize>),
    device: &Device,
) -> Result<Option<(Model, Model)>> {
    let mut b = NetworkBuilder::new("way", network.shape_of(source), InputKind::Events);
    let (mut at, mut some, mut own, mut ones) = (NodeId::Input, false, Weights::default(), Weights::default());
    for &i in nodes {
        let node = &network.nodes()[i];
        // An addition adds this path to others; a TTM of one step and a dropout are the identity.
        if matches!(node.layer, Layer::Add | Layer::Ttm(_) | Layer::Dropout(_)) {
            continue;
        }
        at = b.add(&node.name, node.layer, &[at]);
        some = true;
        for t in node.tensors() {
            let name = format!("{}.{}", node.name, t.name);
            let array = weights.require(&node.name, t.name)?;
            ones.insert(name.clone(), Array::full(&array.shape, 1.0));
            own.insert(name, array.clone());
        }
    }
    if let Some(factors) = end.and_then(|i| network.nodes()[i].input_scale()) {
        let channels = factors.len();
        let each = Conv { groups: channels, ..Conv::square(channels, 1, 1, 0) };
        b.add("thresholds", Layer::Conv(each), &[at]);
        some = true;
        let array = |data| Array { shape: vec![channels, 1, 1, 1], data };
        ones.insert("thresholds.weight".to_owned(), array(vec![1.0; channels]));
        own.insert("thresholds.weight".to_owned(), array(factors));
    }
    if !some {
        return Ok(None);
    }
    let way = Arc::new(b.build()?);
    Ok(Some((Model::new(way.clone(), &own, device)?, Model::new(way, &ones, device)?)))
}
