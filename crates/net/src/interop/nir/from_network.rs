//! Converts a network and its weights to a NIR graph, written for one reader.
//!
//! Temporal transformation modules have no node, so the reader runs all stages at the same steps. A
//! merge has no node either: the exporter draws an edge from each of its sources to each of its
//! consumers, and NIR sums edges into one node. Linear layers become `Affine` with a zero bias,
//! because every reader supports `Affine`. Recurrent connections become a loop through an `Affine`
//! (for a map through a convolution with one tap); for snnTorch this loop is a graph of its own,
//! because snnTorch reads no other.

use super::dense::Layout;
use super::deviation::Deviation;
use super::difference::{Difference, joined};
use super::fold::weights_follow;
use super::graph::{Conv1d, Conv2d, Graph, Node, Padding, Tensor, Window};
use super::metadata::{Description, KEY};
use super::naming::Names;
use super::reader::{Cell, Reader, differences, interpret};
use super::weighted::{Part, Weighted};
use super::write::VERSION;
use crate::error::{Error, Result};
use crate::layer::{Layer, Pool, PoolKind, Recurrent};
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
    /// Duration of one step in µs; needed only if a leak of a neuron is a time constant.
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
/// vector, a neuron with an adaptive threshold, a synapse without a leak of the membrane, a time
/// constant without [`ExportOptions::step_us`].
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
    /// How the graph arranges the values.
    form: Form,
    /// Factor of the nodes' sum relative to the layer's output, from pooling.
    carry: f64,
}

/// The arrangement of a layer's values in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `[N]`.
    Vector,
    /// `[C, W]`, for a reader of `Conv1d`.
    Line,
    /// `[C, H, W]`.
    Map,
}

impl Form {
    fn dims(self, s: Shape) -> Vec<usize> {
        match self {
            Form::Vector => vec![s.len()],
            Form::Line => vec![s.channels, s.width],
            Form::Map => vec![s.channels, s.height, s.width],
        }
    }

    fn is_vector(self) -> bool {
        self == Form::Vector
    }
}

impl GraphDraft {
    pub fn new(network: &Network, options: &ExportOptions) -> Result<Self> {
        let graph = Graph { version: VERSION.to_owned(), ..Graph::default() };
        let mut draft =
            Self { graph, weighted: Vec::new(), differences: Vec::new(), names: Names::new(), options: *options };
        let input = network.input().shape;
        let form = match (input.height, input.width) {
            (1, 1) if !read_as_map(network, NodeId::Input) => Form::Vector,
            (1, 2..) if options.reader.reads_conv1d() && is_line(network) => Form::Line,
            _ => Form::Map,
        };
        draft.graph.nodes.insert("input".into(), Node::Input { shape: form.dims(input) });
        let entry = Wire { sources: vec!["input".into()], form, carry: 1.0 };
        let mut wires: Vec<Wire> = Vec::with_capacity(network.nodes().len());
        for i in 0..network.nodes().len() {
            let from: Vec<Wire> = network.nodes()[i].from.iter().map(|id| wire(&entry, &wires, *id).clone()).collect();
            wires.push(draft.layer(network, i, &from)?);
        }
        let last = wires.pop().unwrap_or(entry);
        draft.graph.nodes.insert("output".into(), Node::Output { shape: last.form.dims(network.output()) });
        draft.lead(&last, "output");
        draft.whole(network);
        draft.differences = joined(std::mem::take(&mut draft.differences));
        Ok(draft)
    }

    /// Fills the weight and bias tensors of all nodes in `weighted`.
    pub fn fill(&mut self, network: &Network, weights: &Weights) -> Result<()> {
        for w in &self.weighted {
            let layer = &network.nodes()[w.layer];
            let name = format!("{}.{}", layer.name, w.tensor());
            let bias = weights.get(&format!("{}.bias", layer.name));
            if !w.write(&mut self.graph, weights.require(&layer.name, w.tensor())?, bias) {
                return Err(Error::layer(&layer.name, format!("`{name}` is too large to be written to a graph")));
            }
        }
        Ok(())
    }

    fn layer(&mut self, network: &Network, index: usize, from: &[Wire]) -> Result<Wire> {
        let layer = &network.nodes()[index];
        let first = &from[0];
        let needs_map = |what: &str| {
            let problem = format!("{what} a vector, which NIR cannot shape into a map; use a `linear` layer");
            if first.form.is_vector() { Err(Error::layer(&layer.name, problem)) } else { Ok(()) }
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
                let Some(layout) = Layout::new(&c, layer.input) else {
                    let problem =
                        "pads two opposite sides differently, which NIR can say only for `padding = \"same\"`";
                    return Err(Error::layer(&layer.name, problem));
                };
                let (rows, columns) = (c.window.rows, c.window.columns);
                let (weight, bias) = (Tensor::default(), Tensor::default());
                let node = if first.form == Form::Line {
                    let padding = match layout.padding {
                        Padding::Zeros(_) => Padding::Zeros(columns.before),
                        Padding::Same => Padding::Same,
                        Padding::Valid => Padding::Valid,
                    };
                    let (stride, dilation) = (columns.stride, columns.dilation);
                    Node::Conv1d(Conv1d {
                        weight,
                        bias,
                        stride,
                        padding,
                        dilation,
                        groups: 1,
                        input: Some(layer.input.width),
                    })
                } else {
                    if !layout.checks {
                        self.differ(None, &layer.name, Deviation::TypeCheck);
                    }
                    Node::Conv2d(Conv2d {
                        weight,
                        bias,
                        stride: (rows.stride, columns.stride),
                        padding: layout.padding,
                        dilation: (rows.dilation, columns.dilation),
                        groups: 1,
                        input: Some((layer.input.height, layer.input.width)),
                    })
                };
                let part = if first.form == Form::Line { Part::Line(c.groups) } else { Part::Map(layout) };
                Ok(self.weigh(index, layer, first, node, part, first.form))
            }
            Layer::Linear(_) => {
                let flat = self.flat(&layer.name, layer.input, first);
                let node = Node::Affine { weight: Tensor::default(), bias: Tensor::default() };
                Ok(self.weigh(index, layer, &flat, node, Part::Matrix, Form::Vector))
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
            Layer::Neuron(n) => self.neuron(index, n, layer, first),
        }
    }

    /// Adds a node that reads `from`, and returns its output.
    fn put(&mut self, wish: &str, node: Node, from: &Wire, form: Form, carry: f64) -> Wire {
        let name = self.names.take(wish);
        self.graph.nodes.insert(name.clone(), node);
        self.lead(from, &name);
        Wire { sources: vec![name], form, carry }
    }

    fn lead(&mut self, from: &Wire, to: &str) {
        self.graph.edges.extend(from.sources.iter().map(|s| (s.clone(), to.to_owned())));
    }

    fn weigh(&mut self, layer: usize, ours: &OurNode, from: &Wire, node: Node, part: Part, form: Form) -> Wire {
        let wire = self.put(&ours.name, node, from, form, 1.0);
        self.weighted.push(Weighted { layer, node: wire.sources[0].clone(), inside: None, carry: from.carry, part });
        wire
    }

    /// Returns the wire as a vector and adds a `Flatten` node if it is a map.
    fn flat(&mut self, layer: &str, shape: Shape, from: &Wire) -> Wire {
        if from.form.is_vector() {
            return from.clone();
        }
        for reader in [Reader::SnnTorch, Reader::Norse] {
            self.differ(reader, layer, "flattens the batch too (it does not count the batch as a dimension)");
        }
        let node = Node::Flatten { start: 0, end: -1, input: Some(from.form.dims(shape)) };
        self.put(&format!("{layer}_flatten"), node, from, Form::Vector, from.carry)
    }

    fn merge(&mut self, layer: &OurNode, from: &[Wire]) -> Result<Wire> {
        let vector = from.iter().any(|w| w.form.is_vector());
        let form = if vector { Form::Vector } else { from[0].form };
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
        let mut wire = Wire { sources: Vec::new(), form, carry: 1.0 };
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
            let scale = Tensor::full(&form.dims(layer.input), times as f64);
            let one = Wire { sources: vec![source], form, carry: 1.0 };
            let scaled = self.put(&format!("{}_times", layer.name), Node::Scale { scale }, &one, form, 1.0);
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
        self.put(name, node, from, Form::Map, from.carry * carry)
    }

    fn neuron(&mut self, index: usize, n: Neuron, layer: &OurNode, from: &Wire) -> Result<Wire> {
        if n.adaptation.is_some() {
            let problem =
                "its neurons have an adaptive threshold, of which NIR has no node; train with `lif` or `cuba-lif`";
            return Err(Error::layer(&layer.name, problem));
        }
        if !n.reset.is_immediate() {
            let problem =
                format!("its reset is `{}`, which a NIR node cannot say; train with `reset = \"soft\"`", n.reset);
            return Err(Error::layer(&layer.name, problem));
        }
        let of_step = |leak: Leak| leak.lambda(LeakRule::Step, 1, 1, self.options.step_us);
        let (Some(lambda), Some(synapse)) = (of_step(n.leak), n.synapse.map_or(Some(0.0), of_step)) else {
            let problem = "its leak is a time constant; say how long a step lasts (`step_us` of the export)";
            return Err(Error::layer(&layer.name, problem));
        };
        for (leak, left) in [(Some(n.leak), lambda), (n.synapse, synapse)] {
            let Some(leak) = leak.filter(|_| !(left > 0.0 && left <= 1.0)) else { continue };
            let Leak::Time(tau) = leak else { return Err(Error::layer(&layer.name, "its leak must be above 0")) };
            let step = self.options.step_us.unwrap_or(f64::NAN);
            let problem =
                format!("a step of {step} µs leaves nothing of a variable with τ = {tau} µs; shorten the step");
            return Err(Error::layer(&layer.name, problem));
        }
        let lambda = f64::from(lambda);
        let synapse = n.synapse.map(|_| f64::from(synapse));
        let cell = cell(self.options.reader, lambda, synapse, f64::from(n.threshold));
        if cell.synapse.is_some() && cell.tau.is_none() {
            let problem = "its neurons have a synaptic current and no leak, of which NIR has no node; give them a leak";
            return Err(Error::layer(&layer.name, problem));
        }
        let Cell { tau, r, threshold, .. } = cell;
        for other in Reader::ALL {
            match interpret(Some(other), cell, other.dt()) {
                Ok(interpretation) => differences(&n, lambda, synapse, &interpretation)
                    .into_iter()
                    .for_each(|d| self.differ(other, &layer.name, d)),
                Err(problem) => self.differ(other, &layer.name, problem),
            }
        }
        if tau.is_some() && synapse.is_none() && !from.form.is_vector() {
            self.differ(Reader::Sinabs, &layer.name, "cannot import a leaky layer of maps (its own check fails)");
        }
        let shape = from.form.dims(layer.output);
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
        let leak = full(0.0);
        let node = match (tau, cell.synapse) {
            (Some(tau), Some((tau_syn, w_in))) => {
                let (tau_syn, tau_mem, w_in) = (full(tau_syn), full(tau), full(w_in));
                Node::CubaLif { tau_syn, tau_mem, r, leak, threshold, reset, w_in }
            }
            (Some(tau), None) => Node::Lif { tau: full(tau), r, leak, threshold, reset },
            (None, _) => Node::If { r, threshold, reset },
        };
        match layer.recurrent {
            None => Ok(self.put(&layer.name, node, from, from.form, 1.0)),
            Some(recurrent) => Ok(self.recurrent(index, layer, recurrent, node, from)),
        }
    }

    /// Adds neurons whose spikes return to them.
    fn recurrent(&mut self, index: usize, layer: &OurNode, recurrent: Recurrent, node: Node, from: &Wire) -> Wire {
        if let Some(us) = recurrent.delay_us
            && self.options.step_us != Some(us)
        {
            self.differ(None, &layer.name, Deviation::Delay { ours: us });
        }
        let (weight, bias) = (Tensor::default(), Tensor::default());
        let shape = layer.output;
        let (back, part) = match from.form {
            Form::Vector => (Node::Affine { weight, bias }, Part::Back(recurrent.kind, 2)),
            Form::Line => {
                let input = Some(shape.width);
                let c = Conv1d { weight, bias, stride: 1, padding: Padding::Zeros(0), dilation: 1, groups: 1, input };
                (Node::Conv1d(c), Part::Back(recurrent.kind, 3))
            }
            Form::Map => {
                let (stride, padding, dilation) = ((1, 1), Padding::Zeros((0, 0)), (1, 1));
                let input = Some((shape.height, shape.width));
                let c = Conv2d { weight, bias, stride, padding, dilation, groups: 1, input };
                (Node::Conv2d(c), Part::Back(recurrent.kind, 4))
            }
        };
        if !from.form.is_vector() {
            self.differ(Reader::SnnTorch, &layer.name, "does not read recurrent connections of a map");
        } else if matches!(node, Node::If { .. }) {
            self.differ(Reader::SnnTorch, &layer.name, "does not read recurrent connections of neurons without a leak");
        }
        let edge = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        if self.options.reader == Reader::SnnTorch && from.form.is_vector() {
            let dims = from.form.dims(shape);
            let mut inner = Graph::default();
            inner.nodes.insert("input".into(), Node::Input { shape: dims.clone() });
            inner.nodes.insert("lif".into(), node);
            inner.nodes.insert("w_rec".into(), back);
            inner.nodes.insert("output".into(), Node::Output { shape: dims });
            inner.edges = vec![edge("input", "lif"), edge("lif", "w_rec"), edge("w_rec", "lif"), edge("lif", "output")];
            let wire = self.put(&layer.name, Node::Graph(inner), from, from.form, 1.0);
            let (node, inside) = (wire.sources[0].clone(), Some("w_rec".to_owned()));
            self.weighted.push(Weighted { layer: index, node, inside, carry: 1.0, part });
            return wire;
        }
        let wire = self.put(&layer.name, node, from, from.form, 1.0);
        let back = self.put(&format!("{}_recurrent", layer.name), back, &wire, from.form, 1.0);
        self.graph.edges.push(edge(&back.sources[0], &wire.sources[0]));
        self.weighted.push(Weighted { layer: index, node: back.sources[0].clone(), inside: None, carry: 1.0, part });
        wire
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

/// The parameters by which `reader` runs a neuron that keeps `lambda` of its membrane, and `synapse` of
/// its current, in each step.
fn cell(reader: Reader, lambda: f64, synapse: Option<f64>, threshold: f64) -> Cell {
    // sinabs counts τ in steps and does not read a synaptic current, so nothing depends on its step.
    let dt = if synapse.is_some() && reader == Reader::Sinabs { 1e-4 } else { reader.dt() };
    let tau = match reader {
        _ if lambda == 1.0 => None,
        Reader::Sinabs if synapse.is_none() => Some(-1.0 / lambda.ln()),
        _ => Some(dt / (1.0 - lambda)),
    };
    let synapse = synapse.map(|lambda| {
        let tau = dt / (1.0 - lambda);
        (tau, tau / dt)
    });
    let (r, threshold) = match (reader, tau) {
        (_, Some(tau)) if synapse.is_some() => (tau / dt, threshold),
        (Reader::Sinabs, _) | (Reader::SnnTorch | Reader::Norse, None) => (1.0, threshold),
        (Reader::SpikingJelly, None) => (1.0 / dt, threshold),
        // Norse multiplies the input by Δt/τ and ignores r, so the threshold takes the factor.
        (Reader::Norse, Some(tau)) => (1.0, threshold * dt / tau),
        (_, Some(tau)) => (tau / dt, threshold),
    };
    Cell { synapse, tau, r, threshold }
}

/// Whether all layers of a network work along one row, so that NIR's `Conv1d` can state them.
fn is_line(network: &Network) -> bool {
    network.nodes().iter().all(|n| match n.layer {
        Layer::Conv(c) => c.window.rows == Axis::new(1, 1, 0),
        Layer::Pool(_) | Layer::GlobalAverage | Layer::AdaptiveAverage(_) | Layer::Attention(_) => false,
        Layer::Ttm(_) | Layer::Norm(_) | Layer::Neuron(_) | Layer::Add | Layer::Dropout(_) | Layer::Linear(_) => true,
    })
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
