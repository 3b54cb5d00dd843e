//! Converts a network and its weights to a NIR graph, written for one reader.
//!
//! Temporal transformation modules have no node, so the reader runs all stages at the same steps. A
//! merge has no node either: the exporter draws an edge from each of its sources to each of its
//! consumers, and NIR sums edges into one node. Linear layers become `Affine` with a zero bias,
//! because every reader supports `Affine`.

use super::deviation::Deviation;
use super::difference::{Difference, joined};
use super::fold::{divided, weights_follow};
use super::graph::{Conv2d, Graph, Node, Padding, Tensor, Window};
use super::metadata::{Description, KEY};
use super::naming::Names;
use super::reader::{Cell, Reader, differences, interpret};
use super::write::VERSION;
use crate::error::{Error, Result};
use crate::layer::{Layer, Pool, PoolKind};
use crate::network::{Network, Node as OurNode, NodeId};
use crate::neuron::{Leak, LeakRule, Neuron};
use crate::shape::Shape;
use crate::weights::Weights;
use crate::window::Axis;
use std::path::Path;

/// Limit on the edges into one node. More arise only if merges read merges without neurons between.
const MAX_SOURCES: usize = 1 << 12;

/// Options of an export.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExportOptions {
    /// The framework that will run the graph; it decides how pooling and time constants are
    /// written.
    pub reader: Reader,
    /// Duration of one step in µs; needed only if a neuron's leak is a time constant.
    pub step_us: Option<f64>,
}

impl Default for ExportOptions {
    /// Writes for sinabs, without a step duration.
    fn default() -> Self {
        Self { reader: Reader::Sinabs, step_us: None }
    }
}

/// An exported network.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The graph.
    pub graph: Graph,
    /// The differences between the network and what each reader will run.
    pub differences: Vec<Difference>,
}

/// Converts a network to a NIR graph.
///
/// # Errors
/// If the weights are not those of the network, if a recipe cannot describe the network, or if a
/// layer has no NIR form: batch norm (fold it first), max pooling, attention, a convolution of a
/// vector, a neuron with a synapse or an adaptive threshold, a time constant without
/// [`ExportOptions::step_us`].
pub fn export(network: &Network, weights: &Weights, options: &ExportOptions) -> Result<Exported> {
    weights.check(network, Path::new("<memory>"))?;
    let learned = weights.with_learned_leaks(network)?;
    let network = &learned;
    let description = Description::new(network, options.reader, options.step_us);
    let rebuilt = description.network()?;
    if &rebuilt != network {
        let problem = "cannot be described in a recipe, so the graph could not be read back; rename its layers".into();
        return Err(Error::Network { network: network.name().to_owned(), problem });
    }
    let mut draft = GraphDraft::new(network, options)?;
    draft.fill(network, weights)?;
    draft.graph.metadata.insert(KEY.to_owned(), description.text());
    Ok(Exported { graph: draft.graph, differences: draft.differences })
}

/// A layer with weights and the NIR node that represents it.
#[derive(Debug)]
pub(super) struct Weighted {
    /// The layer's index.
    pub layer: usize,
    /// The node's name.
    pub node: String,
    /// Factor of the node's input relative to the layer's input, from pooling.
    pub carry: f64,
}

/// The graph of a network, at first without its weights.
#[derive(Debug)]
pub(super) struct GraphDraft {
    pub graph: Graph,
    pub weighted: Vec<Weighted>,
    differences: Vec<Difference>,
    names: Names,
    options: ExportOptions,
}

/// The representation of a layer's output in the graph.
#[derive(Debug, Clone)]
struct Wire {
    /// The nodes whose sum is the output.
    sources: Vec<String>,
    /// Whether the shape is `[N]` instead of `[C, H, W]`.
    vector: bool,
    /// Factor of the nodes' sum relative to the layer's output, from pooling.
    carry: f64,
}

impl GraphDraft {
    pub fn new(network: &Network, options: &ExportOptions) -> Result<Self> {
        let graph = Graph { version: VERSION.to_owned(), ..Graph::default() };
        let mut draft =
            Self { graph, weighted: Vec::new(), differences: Vec::new(), names: Names::new(), options: *options };
        let input = network.input().shape;
        let vector = (input.height, input.width) == (1, 1) && !read_as_map(network, NodeId::Input);
        draft.graph.nodes.insert("input".into(), Node::Input { shape: shape_of(input, vector) });
        let entry = Wire { sources: vec!["input".into()], vector, carry: 1.0 };
        let mut wires: Vec<Wire> = Vec::with_capacity(network.nodes().len());
        for i in 0..network.nodes().len() {
            let from: Vec<Wire> = network.nodes()[i].from.iter().map(|id| wire(&entry, &wires, *id).clone()).collect();
            wires.push(draft.layer(network, i, &from)?);
        }
        let last = wires.pop().unwrap_or(entry);
        draft.graph.nodes.insert("output".into(), Node::Output { shape: shape_of(network.output(), last.vector) });
        draft.lead(&last, "output");
        draft.whole(network);
        draft.differences = joined(std::mem::take(&mut draft.differences));
        Ok(draft)
    }

    /// Fills the weight and bias tensors of all nodes in `weighted`.
    pub fn fill(&mut self, network: &Network, weights: &Weights) -> Result<()> {
        for w in &self.weighted {
            let layer = &network.nodes()[w.layer];
            let weight = divided(weights.require(&layer.name, "weight")?, w.carry);
            let out = weight.shape.first().copied().unwrap_or(0);
            let bias = match weights.get(&format!("{}.bias", layer.name)) {
                Some(b) => Tensor::single(&b.shape, &b.data),
                None => Tensor::full(&[out], 0.0),
            };
            match self.graph.nodes.get_mut(&w.node) {
                Some(Node::Conv2d(c)) => (c.weight, c.bias) = (weight, bias),
                Some(Node::Affine { weight: w, bias: b }) => (*w, *b) = (weight, bias),
                _ => {}
            }
        }
        Ok(())
    }

    fn layer(&mut self, network: &Network, index: usize, from: &[Wire]) -> Result<Wire> {
        let layer = &network.nodes()[index];
        let first = &from[0];
        let needs_map = |what: &str| {
            let problem = format!("{what} a vector, which NIR cannot shape into a map; use a `linear` layer");
            if first.vector { Err(Error::layer(&layer.name, problem)) } else { Ok(()) }
        };
        match layer.layer {
            Layer::Ttm(_) | Layer::Dropout(_) => Ok(first.clone()),
            Layer::Add => self.merge(layer, from),
            Layer::Attention(_) => Err(Error::layer(
                &layer.name,
                "attention has no NIR node, because NIR has no product of two signals; replace it by a `conv`",
            )),
            Layer::Norm(_) => Err(Error::layer(
                &layer.name,
                "batch norm has no NIR node; fold it into the layer before it first (`fold::fold_norm`, or `fold::deployable` for a network without bias)",
            )),
            Layer::Conv(c) => {
                needs_map("convolves")?;
                let (rows, columns) = (c.window.rows, c.window.columns);
                let same = |a: Axis| a == Axis::same(a.kernel, a.dilation);
                let padding = if rows.before == rows.after && columns.before == columns.after {
                    Padding::Zeros(rows.before, columns.before)
                } else if same(rows) && same(columns) {
                    Padding::Same
                } else {
                    let problem =
                        "pads two opposite sides differently, which NIR can say only for `padding = \"same\"`";
                    return Err(Error::layer(&layer.name, problem));
                };
                let node = Node::Conv2d(Conv2d {
                    weight: Tensor::default(),
                    bias: Tensor::default(),
                    stride: (rows.stride, columns.stride),
                    padding,
                    dilation: (rows.dilation, columns.dilation),
                    groups: c.groups,
                    input: Some((layer.input.height, layer.input.width)),
                });
                if c.groups > 1 {
                    self.differ(Reader::SpikingJelly, &layer.name, Deviation::Groups);
                }
                Ok(self.weigh(index, layer, first, node, false))
            }
            Layer::Linear(_) => {
                let flat = self.flat(&layer.name, layer.input, first);
                let node = Node::Affine { weight: Tensor::default(), bias: Tensor::default() };
                Ok(self.weigh(index, layer, &flat, node, true))
            }
            Layer::Pool(Pool { kind: PoolKind::Max, .. }) => {
                Err(Error::layer(&layer.name, "max pooling has no NIR node; train the network with `average` pooling"))
            }
            Layer::Pool(p) => {
                needs_map("pools")?;
                Ok(self.pool(network, index, p.kind, pool_window(&layer.name, p)?, first))
            }
            Layer::AdaptiveAverage(a) => {
                needs_map("averages")?;
                let Some(p) = a.as_pool(layer.input) else {
                    let problem = "its windows differ in size, so it has no NIR node; choose sizes that divide those of its input";
                    return Err(Error::layer(&layer.name, problem));
                };
                Ok(self.pool(network, index, PoolKind::Average, pool_window(&layer.name, p)?, first))
            }
            Layer::GlobalAverage => {
                needs_map("averages")?;
                let all = (layer.input.height, layer.input.width);
                let window = Window { kernel: all, stride: all, padding: (0, 0) };
                Ok(self.pool(network, index, PoolKind::Average, window, first))
            }
            Layer::Neuron(n) => self.neuron(layer, n, first),
        }
    }

    /// Adds a node that reads `from`, and returns its output.
    fn put(&mut self, wish: &str, node: Node, from: &Wire, vector: bool, carry: f64) -> Wire {
        let name = self.names.take(wish);
        self.graph.nodes.insert(name.clone(), node);
        self.lead(from, &name);
        Wire { sources: vec![name], vector, carry }
    }

    fn lead(&mut self, from: &Wire, to: &str) {
        self.graph.edges.extend(from.sources.iter().map(|s| (s.clone(), to.to_owned())));
    }

    fn weigh(&mut self, layer: usize, ours: &OurNode, from: &Wire, node: Node, vector: bool) -> Wire {
        let wire = self.put(&ours.name, node, from, vector, 1.0);
        self.weighted.push(Weighted { layer, node: wire.sources[0].clone(), carry: from.carry });
        wire
    }

    /// Returns the wire as a vector and adds a `Flatten` node if it is a map.
    fn flat(&mut self, layer: &str, shape: Shape, from: &Wire) -> Wire {
        if from.vector {
            return from.clone();
        }
        for reader in [Reader::SnnTorch, Reader::Norse] {
            self.differ(reader, layer, "flattens the batch too (it does not count the batch as a dimension)");
        }
        let node = Node::Flatten { start: 0, end: -1, input: Some(shape_of(shape, false)) };
        self.put(&format!("{layer}_flatten"), node, from, true, from.carry)
    }

    fn merge(&mut self, layer: &OurNode, from: &[Wire]) -> Result<Wire> {
        let vector = from.iter().any(|w| w.vector);
        let mut sources: Vec<(String, usize)> = Vec::new();
        for w in from {
            let w = if vector { self.flat(&layer.name, layer.input, w) } else { w.clone() };
            for source in w.sources {
                match sources.iter_mut().find(|s| s.0 == source) {
                    Some((_, times)) => *times += 1,
                    None => sources.push((source, 1)),
                }
            }
            if sources.len() > MAX_SOURCES {
                let problem = format!("sums more than {MAX_SOURCES} nodes; put a `neuron` after the merges");
                return Err(Error::layer(&layer.name, problem));
            }
        }
        // The edges of a graph are a set, so an input that is added k times passes through a
        // `Scale` by k.
        let mut wire = Wire { sources: Vec::new(), vector, carry: 1.0 };
        for (source, times) in sources {
            if times == 1 {
                wire.sources.push(source);
                continue;
            }
            for reader in Reader::ALL {
                self.differ(
                    reader,
                    &layer.name,
                    "must read `Scale`, which stands for an input that is added to itself",
                );
            }
            let scale = Tensor::full(&shape_of(layer.input, vector), times as f64);
            let one = Wire { sources: vec![source], vector, carry: 1.0 };
            let scaled = self.put(&format!("{}_times", layer.name), Node::Scale { scale }, &one, vector, 1.0);
            wire.sources.extend(scaled.sources);
        }
        Ok(wire)
    }

    fn pool(&mut self, network: &Network, index: usize, kind: PoolKind, window: Window, from: &Wire) -> Wire {
        let (name, known) = (&network.nodes()[index].name, self.options.reader.pooling());
        let area = (window.kernel.0 * window.kernel.1) as f64;
        let (written, carry) = match kind {
            _ if kind == known => (kind, 1.0),
            _ if !weights_follow(network, index) => {
                self.differ(None, name, Deviation::NoWeightsFollow);
                (kind, 1.0)
            }
            PoolKind::Average => (known, area),
            _ => (known, 1.0 / area),
        };
        for reader in Reader::ALL {
            if reader.pooling() != written {
                let what = if written == PoolKind::Sum { "sum" } else { "average" };
                self.differ(reader, name, Deviation::UnknownPooling { kind: what });
            } else if written == PoolKind::Sum && window.padding != (0, 0) {
                self.differ(reader, name, "leaves out the padding of a pooling");
            }
        }
        let node = if written == PoolKind::Sum { Node::SumPool2d(window) } else { Node::AvgPool2d(window) };
        self.put(name, node, from, false, from.carry * carry)
    }

    fn neuron(&mut self, layer: &OurNode, n: Neuron, from: &Wire) -> Result<Wire> {
        if layer.recurrent.is_some() {
            let problem = "has recurrent connections, which this exporter cannot write; train it without";
            return Err(Error::layer(&layer.name, problem));
        }
        if n.synapse.is_some() || n.adaptation.is_some() {
            let part = if n.synapse.is_some() { "a synaptic current" } else { "an adaptive threshold" };
            let problem =
                format!("its neurons have {part}, which this exporter cannot write; train with `lif` or `if`");
            return Err(Error::layer(&layer.name, problem));
        }
        if !n.reset.is_immediate() {
            let problem =
                format!("its reset is `{}`, which a NIR node cannot say; train with `reset = \"soft\"`", n.reset);
            return Err(Error::layer(&layer.name, problem));
        }
        let Some(lambda) = n.lambda(LeakRule::Step, 1, 1, self.options.step_us) else {
            let problem = "its leak is a time constant; say how long a step lasts (`step_us` of the export)";
            return Err(Error::layer(&layer.name, problem));
        };
        if !(lambda > 0.0 && lambda <= 1.0) {
            let Leak::Time(tau) = n.leak else { return Err(Error::layer(&layer.name, "its leak must be above 0")) };
            let step = self.options.step_us.unwrap_or(f64::NAN);
            let problem =
                format!("a step of {step} µs leaves nothing of a membrane with τ = {tau} µs; shorten the step");
            return Err(Error::layer(&layer.name, problem));
        }
        let lambda = f64::from(lambda);
        let (reader, threshold) = (self.options.reader, f64::from(n.threshold));
        let dt = reader.dt();
        let tau = match reader {
            _ if lambda == 1.0 => None,
            Reader::Sinabs => Some(-1.0 / lambda.ln()),
            _ => Some(dt / (1.0 - lambda)),
        };
        let (r, threshold) = match (reader, tau) {
            (Reader::Sinabs, _) | (Reader::SnnTorch | Reader::Norse, None) => (1.0, threshold),
            (Reader::SpikingJelly, None) => (1.0 / dt, threshold),
            // Norse multiplies the input by Δt/τ and ignores r, so the threshold takes the factor.
            (Reader::Norse, Some(tau)) => (1.0, threshold * dt / tau),
            (_, Some(tau)) => (tau / dt, threshold),
        };
        let cell = Cell { tau, r, threshold };
        for other in Reader::ALL {
            match interpret(Some(other), cell, other.dt()) {
                Ok(interpretation) => differences(&n, lambda, &interpretation)
                    .into_iter()
                    .for_each(|d| self.differ(other, &layer.name, d)),
                Err(problem) => self.differ(other, &layer.name, problem),
            }
        }
        if tau.is_some() && !from.vector {
            self.differ(Reader::Sinabs, &layer.name, "cannot import a leaky layer of maps (its own check fails)");
        }
        let shape = shape_of(layer.output, from.vector);
        let full = |v: f64| Tensor::full(&shape, v);
        let (r, reset) = (full(r), full(0.0));
        let mut threshold = full(threshold);
        if let Some(own) = &layer.thresholds {
            let each = threshold.data.len() / own.len();
            for (values, own) in threshold.data.chunks_mut(each).zip(own) {
                let ratio = f64::from(*own) / f64::from(n.threshold);
                values.iter_mut().for_each(|t| *t = f64::from((*t * ratio) as f32));
            }
        }
        let node = match tau {
            Some(tau) => Node::Lif { tau: full(tau), r, leak: full(0.0), threshold, reset },
            None => Node::If { r, threshold, reset },
        };
        Ok(self.put(&layer.name, node, from, from.vector, 1.0))
    }

    /// Reports the differences that concern the whole graph.
    fn whole(&mut self, network: &Network) {
        if network.nodes().iter().any(|n| matches!(n.layer, Layer::Ttm(_))) {
            self.differ(None, "", "the graph has no temporal transformation modules: all stages run at the same steps");
        }
        if !matches!(network.nodes().last().map(|n| n.layer), Some(Layer::Neuron(_))) {
            self.differ(None, "", "the output is the current of each step; sum it over time for the logits");
        }
    }

    fn differ(&mut self, reader: impl Into<Option<Reader>>, place: &str, what: impl Into<Deviation>) {
        let places = if place.is_empty() { Vec::new() } else { vec![place.to_owned()] };
        self.differences.push(Difference { reader: reader.into(), places, what: what.into() });
    }
}

/// The window of a pooling as a node states it.
fn pool_window(name: &str, p: Pool) -> Result<Window> {
    let (rows, columns) = (p.window.rows, p.window.columns);
    if rows.before != rows.after || columns.before != columns.after {
        return Err(Error::layer(name, "pads two opposite sides differently, which NIR cannot say"));
    }
    let (stride, padding) = ((rows.stride, columns.stride), (rows.before, columns.before));
    Ok(Window { kernel: p.window.kernel(), stride, padding })
}

fn wire<'a>(entry: &'a Wire, wires: &'a [Wire], id: NodeId) -> &'a Wire {
    match id {
        NodeId::Input => entry,
        NodeId::Node(i) => &wires[i],
    }
}

fn shape_of(s: Shape, vector: bool) -> Vec<usize> {
    if vector { vec![s.len()] } else { vec![s.channels, s.height, s.width] }
}

/// Whether a consumer of the value needs it as a map `[C, H, W]`.
fn read_as_map(network: &Network, id: NodeId) -> bool {
    network.nodes().iter().enumerate().filter(|(_, n)| n.from.contains(&id)).any(|(i, n)| match n.layer {
        Layer::Conv(_) | Layer::Pool(_) | Layer::GlobalAverage | Layer::AdaptiveAverage(_) | Layer::Attention(_) => {
            true
        }
        Layer::Linear(_) => false,
        Layer::Ttm(_) | Layer::Norm(_) | Layer::Neuron(_) | Layer::Add | Layer::Dropout(_) => {
            read_as_map(network, NodeId::Node(i))
        }
    })
}
