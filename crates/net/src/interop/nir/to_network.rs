//! Converts a NIR graph to a network and its weights.
//!
//! A graph that this library wrote contains its description, from which the importer restores
//! exactly that network. The importer builds any other network node by node, with neurons as the
//! dialect's framework runs them:
//!
//! - If thresholds or gains differ between channels, or the input has a gain g, the importer
//!   multiplies them into the weights before the neuron; if no weights precede it, a uniform gain
//!   turns θ into θ/g.
//! - Several edges into one node become an `add`. `Flatten` needs no layer, because `linear`
//!   flattens.
//! - A time constant becomes the λ of one step or a τ in seconds ([`ImportOptions::leak`]).
//! - A dilated kernel becomes a larger kernel with zeros in between. A bias of zeros is dropped.

use super::deviation::Deviation;
use super::dialect::Dialect;
use super::difference::Difference;
use super::fold;
use super::from_network::{ExportOptions, GraphDraft};
use super::graph::{self, Conv2d, Graph, Node, Padding, Tensor};
use super::metadata::{Description, KEY};
use super::reader::Reader;
use super::to_network_neuron::{self as neurons, Made, Numbers, Step};
use super::topology::Topology;
use crate::error::{Error, Result};
use crate::layer::{Conv, Layer, Linear, Pool, PoolKind};
use crate::network::{InputKind, Network, NetworkBuilder, NodeId};
use crate::neuron::LeakRule;
use crate::shape::Shape;
use crate::weights::{Array, Weights};
use crate::window::{Axis, Window};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Options of an import.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportOptions {
    /// The convention of the neurons. `None` selects this library's if the graph contains its
    /// description, otherwise plain NIR.
    pub dialect: Option<Dialect>,
    /// Duration of a step in seconds; `None` selects the step that the dialect's framework assumes
    /// (1e-4 for plain NIR).
    pub dt: Option<f64>,
    /// Name of the network; unused if the graph contains a valid description by this library.
    pub name: String,
    /// Kind of input; unused if the graph contains a valid description by this library.
    pub kind: InputKind,
    /// Rule for the leak; unused if the graph contains a valid description by this library.
    /// [`LeakRule::Step`] keeps the λ of one step as the framework computes it; it suits images and
    /// step-by-step comparison. [`LeakRule::Time`] keeps τ in seconds as the node states it, for
    /// every number of steps and for event-driven runs; it suits recordings. An input spike then
    /// adds the charge of a current over one step with exact decay.
    pub leak: LeakRule,
    /// Name of the output to keep if the graph has several; nodes that lead only to others are
    /// dropped.
    pub output: Option<String>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            dialect: None,
            dt: None,
            name: "nir".to_owned(),
            kind: InputKind::Events,
            leak: LeakRule::Step,
            output: None,
        }
    }
}

/// An imported network.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The network.
    pub network: Network,
    /// Its weights.
    pub weights: Weights,
    /// The dialect in which the importer read the graph.
    pub dialect: Dialect,
    /// Choices and changes that the importer made.
    pub differences: Vec<Difference>,
    /// Duration of one step in µs that the graph's description states; leaks per step refer to it.
    /// `None` if the graph has no description or the description states none.
    pub step_us: Option<f64>,
}

/// Converts a graph to a network; the messages name `file`.
///
/// # Errors
/// If part of the graph cannot run here; the message names the file and the node and states the
/// reason and the remedy.
pub fn import(graph: &Graph, file: &Path, options: &ImportOptions) -> Result<Imported> {
    representable(graph, "", file)?;
    let mut notes = Vec::new();
    let note = |what: Deviation| Difference { reader: None, places: Vec::new(), what };
    if matches!(options.dialect, None | Some(Dialect::Tickless)) {
        match described(graph, file) {
            Ok((network, weights, step_us)) => {
                let dialect = Dialect::Tickless;
                return Ok(Imported { network, weights, dialect, differences: notes, step_us });
            }
            Err(problem) if options.dialect.is_some() => {
                let problem = format!("{problem}; name the framework that wrote the graph as its dialect");
                return Err(Error::NirGraph { file: file.to_owned(), problem });
            }
            Err(problem) if graph.metadata.contains_key(KEY) => notes.push(note(problem)),
            Err(_) => {}
        }
    }
    let dialect = options.dialect.unwrap_or_else(|| {
        notes.push(note(Deviation::NoWriter));
        Dialect::Plain
    });
    let reader = match dialect {
        Dialect::Of(reader) => Some(reader),
        _ => None,
    };
    let dt = options.dt.unwrap_or(reader.map_or(1e-4, Reader::dt));
    if !(dt > 0.0 && dt.is_finite()) {
        return Err(Error::NirGraph { file: file.to_owned(), problem: format!("a step of {dt} s is no duration") });
    }
    let step = Step { seconds: dt, given: options.dt.is_some(), leak: options.leak };
    let flat = graph.flattened(file)?.led_to(options.output.as_deref(), file)?;
    let (network, weights) = Build::new(file, reader, step, &mut notes).run(&flat, options)?;
    weights.check(&network, file)?;
    finite(&weights, file)?;
    Ok(Imported { network, weights, dialect, differences: notes, step_us: None })
}

/// Returns an error if a value of the graph is too large for f32, in which every network runs.
fn representable(graph: &Graph, prefix: &str, file: &Path) -> Result<()> {
    for (name, node) in &graph.nodes {
        let name = format!("{prefix}{name}");
        if let Node::Graph(inner) = node {
            representable(inner, &format!("{name}."), file)?;
        }
        for (tensor, t) in node.tensors() {
            if let Some(i) = t.data.iter().position(|v| !(*v as f32).is_finite()) {
                let problem = format!(
                    "`{tensor}`: value {i} is {:e}, and f32 holds at most {:e}; scale the weights and thresholds of \
                     its layer",
                    t.data[i],
                    f32::MAX
                );
                return Err(Error::NirNode { file: file.to_owned(), node: name, problem });
            }
        }
    }
    Ok(())
}

/// Returns an error if a factor (r, τ and step, scale, pooling) made a weight too large for f32.
fn finite(weights: &Weights, file: &Path) -> Result<()> {
    for (name, array) in &weights.tensors {
        if let Some(i) = array.data.iter().position(|v| !v.is_finite()) {
            let (node, tensor) = name.rsplit_once('.').unwrap_or((name, "weight"));
            let problem = format!(
                "`{tensor}`: value {i} times the factors of the nodes beside it (r, τ, step, scale, pooling) is beyond f32; \
                 make the factors smaller"
            );
            return Err(Error::NirNode { file: file.to_owned(), node: node.to_owned(), problem });
        }
    }
    Ok(())
}

/// The network that the metadata describes. An error if a writer changed the graph since the
/// export.
fn described(graph: &Graph, file: &Path) -> std::result::Result<(Network, Weights, Option<f64>), Deviation> {
    let text = graph.metadata.get(KEY).ok_or(Deviation::NoDescription)?;
    let unusable = |reason: String| Deviation::Unusable { reason };
    let description = Description::parse(text).map_err(unusable)?;
    let network = description.network().map_err(|e| unusable(e.to_string()))?;
    let (reader, step_us) = description.conventions().ok_or_else(|| unusable("it names an unknown reader".into()))?;
    let mut draft =
        GraphDraft::new(&network, &ExportOptions { reader, step_us }).map_err(|e| unusable(e.to_string()))?;
    let mut weights = Weights::default();
    for w in &draft.weighted {
        let layer = &network.nodes()[w.layer];
        let (weight, bias) = match graph.nodes.get(&w.node) {
            Some(Node::Conv2d(c)) => (&c.weight, &c.bias),
            Some(Node::Affine { weight, bias }) => (weight, bias),
            _ => return Err(unusable(format!("the graph has no weights `{}` any more", w.node))),
        };
        weights.insert(format!("{}.weight", layer.name), fold::multiplied(weight, w.carry));
        if layer.tensors().iter().any(|t| t.name == "bias") {
            weights.insert(format!("{}.bias", layer.name), fold::multiplied(bias, 1.0));
        }
    }
    weights.check(&network, file).and_then(|()| finite(&weights, file)).map_err(|e| unusable(e.to_string()))?;
    draft.fill(&network, &weights).map_err(|e| unusable(e.to_string()))?;
    let sorted = |g: &Graph| {
        let mut edges = g.edges.clone();
        edges.sort();
        edges.dedup();
        edges
    };
    if draft.graph.nodes != graph.nodes || sorted(&draft.graph) != sorted(graph) {
        return Err(Deviation::Changed);
    }
    Ok((network, weights, step_us))
}

/// Largest dimension, so that products of dimensions do not overflow.
const LARGEST: usize = 1 << 20;

/// Largest number of values of a layer in one step.
const LARGEST_STEP: usize = 1 << 24;

/// Builds the network of a graph that has no description, node by node.
struct Build<'a> {
    file: &'a Path,
    reader: Option<Reader>,
    step: Step,
    notes: &'a mut Vec<Difference>,
    weights: Weights,
    /// Existing `add` layers, by their inputs.
    merges: HashMap<Vec<NodeId>, Value>,
    /// Number of layers that `settle` has added.
    settled: usize,
}

/// The output of a node.
#[derive(Debug, Clone)]
struct Value {
    id: NodeId,
    shape: Shape,
    /// Whether the output has one dimension instead of three.
    vector: bool,
    /// The layer whose weights can take up a factor of this value, because only this value reads it
    /// and only pooling stands between.
    scalable: Option<String>,
    /// The node's output divided by the layer's output; later weights take it up.
    gain: f64,
    /// The `Scale` that made the gain negative or zero.
    scaled_by: Option<String>,
}

impl<'a> Build<'a> {
    fn new(file: &'a Path, reader: Option<Reader>, step: Step, notes: &'a mut Vec<Difference>) -> Self {
        Self { file, reader, step, notes, weights: Weights::default(), merges: HashMap::new(), settled: 0 }
    }

    /// Builds the network of a flat graph.
    fn run(mut self, graph: &Graph, options: &ImportOptions) -> Result<(Network, Weights)> {
        let t = Topology::new(graph, self.file)?;
        let Some(Node::Input { shape }) = graph.nodes.get(t.input) else { return self.refuse(t.input, "is no input") };
        let (shape, vector) = match shape.as_slice() {
            [n] => (Shape::vector(*n), true),
            [c, h, w] => (Shape::new(*c, *h, *w), false),
            other => {
                return self.refuse(t.input, format!("has the shape {other:?}; one step must be [C, H, W] or [N]"));
            }
        };
        self.size(t.input, shape)?;
        let mut b = NetworkBuilder::new(&options.name, shape, options.kind);
        let mut values: BTreeMap<&str, Value> = BTreeMap::new();
        values.insert(t.input, Value { id: NodeId::Input, shape, vector, scalable: None, gain: 1.0, scaled_by: None });
        for &name in t.order.iter().filter(|n| **n != t.input) {
            let from: Vec<&Value> = t.from[name].iter().filter_map(|f| values.get(f)).collect();
            let from = self.sum(&mut b, name, &from)?;
            let mut value = match (&graph.nodes[name], from) {
                (Node::Output { .. }, from) => self.settle(&mut b, name, from),
                (node, from) => self.node(&mut b, name, node, &from)?,
            };
            self.size(name, value.shape)?;
            if t.readers[name] != 1 {
                value.scalable = None;
            }
            values.insert(name, value);
        }
        let last = values.get(t.output).map(|v| v.id);
        let network = b.build().map_err(|e| self.error(t.output, e.to_string()))?;
        if last != Some(NodeId::Node(network.nodes().len() - 1)) {
            return self.refuse(t.output, "does not read the last layer; a network has one output");
        }
        Ok((network, self.weights))
    }

    fn error(&self, node: &str, problem: impl Into<String>) -> Error {
        Error::NirNode { file: self.file.to_owned(), node: node.to_owned(), problem: problem.into() }
    }

    fn refuse<T>(&self, node: &str, problem: impl Into<String>) -> Result<T> {
        Err(self.error(node, problem))
    }

    fn size(&self, node: &str, s: Shape) -> Result<()> {
        let fits = [s.channels, s.height, s.width].iter().all(|d| (1..=LARGEST).contains(d));
        if fits && s.len() <= LARGEST_STEP {
            return Ok(());
        }
        self.refuse(node, format!("has the shape {s}, which is empty or too large"))
    }

    /// The sum of all values that lead to a node.
    fn sum(&mut self, b: &mut NetworkBuilder, node: &str, from: &[&Value]) -> Result<Value> {
        let [first, rest @ ..] = from else { return self.refuse(node, "nothing leads to it") };
        if rest.is_empty() {
            return Ok((*first).clone());
        }
        if let Some(other) = rest.iter().find(|v| v.shape != first.shape) {
            return self.refuse(node, format!("sums the shapes {} and {}, which differ", first.shape, other.shape));
        }
        let from: Vec<Value> = from.iter().map(|v| self.settle(b, node, (*v).clone())).collect();
        let ids: Vec<NodeId> = from.iter().map(|v| v.id).collect();
        if let Some(value) = self.merges.get(&ids) {
            return Ok(value.clone());
        }
        let id = b.add(&format!("{node}.sum"), Layer::Add, &ids);
        let value = Value { id, scalable: None, gain: 1.0, scaled_by: None, ..from[0].clone() };
        self.merges.insert(ids, value.clone());
        Ok(value)
    }

    fn node(&mut self, b: &mut NetworkBuilder, name: &str, node: &Node, from: &Value) -> Result<Value> {
        match node {
            Node::Affine { weight, bias } => self.linear(b, name, weight, Some(bias), from),
            Node::Linear { weight } => self.linear(b, name, weight, None, from),
            Node::Conv2d(c) => self.conv(b, name, c, from),
            Node::AvgPool2d(w) => self.pool(b, name, PoolKind::Average, w, from),
            Node::SumPool2d(w) => self.pool(b, name, PoolKind::Sum, w, from),
            Node::Flatten { start, end, .. } => {
                // Norse and snnTorch pass the numbers to torch, which counts the batch as dimension
                // 0.
                let batch = i64::from(*start == 1 && matches!(self.reader, Some(Reader::Norse | Reader::SnnTorch)));
                let all = *start == batch && (*end == -1 || *end == 2 + batch);
                if all || from.vector {
                    return Ok(Value { vector: true, ..from.clone() });
                }
                let problem = format!(
                    "joins the dimensions {start} to {end} of {}; only all of them (0 to −1) can be joined here{}",
                    from.shape,
                    if *start == 1 {
                        ", or 1 to −1 in a dialect that counts the batch (norse, snntorch)"
                    } else {
                        ""
                    }
                );
                self.refuse(name, problem)
            }
            Node::Scale { scale } => self.scale(b, name, scale, from),
            Node::If { r, threshold, reset } => {
                self.neuron(b, name, &Numbers { tau: None, r, leak: None, threshold, reset }, from)
            }
            Node::Lif { tau, r, leak, threshold, reset } => {
                self.neuron(b, name, &Numbers { tau: Some(tau), r, leak: Some(leak), threshold, reset }, from)
            }
            Node::CubaLif { .. } => self.refuse(
                name,
                "is a `CubaLIF`: its synapses have a current that decays, which no neuron here has; \
                 train with `LIF`",
            ),
            Node::Li { .. } => self.refuse(
                name,
                "is a `LI`: a leaky readout without spikes; the readout here sums its currents, so end the network \
                 with the linear layer before it",
            ),
            Node::Threshold { .. } => self.refuse(
                name,
                "is a `Threshold`: a neuron that forgets everything after each step; use an `IF` or `LIF`",
            ),
            other => {
                let known = "Affine, Linear, Conv2d, AvgPool2d, SumPool2d, Flatten, Scale, IF, LIF";
                self.refuse(name, format!("is a `{}`, which has no counterpart here; known: {known}", other.kind()))
            }
        }
    }

    fn linear(
        &mut self,
        b: &mut NetworkBuilder,
        name: &str,
        w: &Tensor,
        bias: Option<&Tensor>,
        from: &Value,
    ) -> Result<Value> {
        let [out, input] = w.shape[..] else {
            return self.refuse(name, format!("its weight has the shape {:?}, not [out, in]", w.shape));
        };
        if !from.vector && from.shape != Shape::vector(from.shape.channels) {
            return self.refuse(name, format!("reads the map {}; put a `Flatten` before it", from.shape));
        }
        if input != from.shape.len() {
            return self
                .refuse(name, format!("its weight {:?} does not fit {} input values", w.shape, from.shape.len()));
        }
        self.size(name, Shape::vector(out))?;
        self.weights.insert(format!("{name}.weight"), fold::multiplied(w, from.gain));
        let bias = self.bias(name, bias, out)?;
        let id = b.add(name, Layer::Linear(Linear { out, bias }), &[from.id]);
        Ok(Value {
            id,
            shape: Shape::vector(out),
            vector: true,
            scalable: Some(name.to_owned()),
            gain: 1.0,
            scaled_by: None,
        })
    }

    /// Stores a bias unless it is zero everywhere, and returns whether the layer has one.
    fn bias(&mut self, name: &str, bias: Option<&Tensor>, out: usize) -> Result<bool> {
        let Some(bias) = bias else { return Ok(false) };
        if bias.data.len() != out {
            return self.refuse(name, format!("its bias has {} values for {out} outputs", bias.data.len()));
        }
        if bias.is_zero() {
            return Ok(false);
        }
        self.weights.insert(format!("{name}.bias"), Array { shape: vec![out], data: bias.to_f32() });
        Ok(true)
    }

    fn conv(&mut self, b: &mut NetworkBuilder, name: &str, c: &Conv2d, from: &Value) -> Result<Value> {
        let [out, per_group, rows, columns] = c.weight.shape[..] else {
            return self
                .refuse(name, format!("its weight has the shape {:?}, not [out, in, rows, columns]", c.weight.shape));
        };
        if from.vector {
            return self.refuse(name, "convolves a vector; give the graph a map as input");
        }
        if c.groups == 0 || per_group.checked_mul(c.groups) != Some(from.shape.channels) {
            let problem = format!("{} groups of {per_group} channels do not fit the input {}", c.groups, from.shape);
            return self.refuse(name, problem);
        }
        let sizes = [rows, columns, c.stride.0, c.stride.1, c.dilation.0, c.dilation.1];
        if sizes.iter().any(|s| !(1..=LARGEST).contains(s)) {
            return self.refuse(name, "has a kernel, stride or dilation of 0 or out of all proportion");
        }
        let axis =
            |kernel, stride, dilation, padding| Axis { kernel, stride, dilation, before: padding, after: padding };
        let padded = |y, x| Window {
            rows: axis(rows, c.stride.0, c.dilation.0, y),
            columns: axis(columns, c.stride.1, c.dilation.1, x),
        };
        let window = match c.padding {
            Padding::Zeros(y, x) if y.max(x) <= LARGEST => padded(y, x),
            Padding::Zeros(y, x) => {
                return self.refuse(name, format!("has the padding {y}×{x}, out of all proportion"));
            }
            Padding::Valid => padded(0, 0),
            Padding::Same if c.stride == (1, 1) => {
                Window { rows: Axis::same(rows, c.dilation.0), columns: Axis::same(columns, c.dilation.1) }
            }
            Padding::Same => return self.refuse(name, "pads to the same size with a stride; give numbers"),
        };
        let conv = Conv { out, window, groups: c.groups, bias: self.bias(name, Some(&c.bias), out)? };
        let layer = Layer::Conv(conv);
        let shape = layer.output(name, &[from.shape]).map_err(|e| self.error(name, e.to_string()))?;
        self.weights.insert(format!("{name}.weight"), fold::multiplied(&c.weight, from.gain));
        let id = b.add(name, layer, &[from.id]);
        Ok(Value { id, shape, vector: false, scalable: Some(name.to_owned()), gain: 1.0, scaled_by: None })
    }

    fn pool(
        &mut self,
        b: &mut NetworkBuilder,
        name: &str,
        kind: PoolKind,
        w: &graph::Window,
        from: &Value,
    ) -> Result<Value> {
        if from.vector {
            return self.refuse(name, "pools a vector; give the graph a map as input");
        }
        let whole = w.kernel == (from.shape.height, from.shape.width) && w.padding == (0, 0);
        let square = w.kernel.0 == w.kernel.1 && w.stride.0 == w.stride.1 && w.padding.0 == w.padding.1;
        let area = (w.kernel.0 * w.kernel.1) as f64;
        let sizes = [w.kernel.0, w.kernel.1, w.stride.0, w.stride.1, w.padding.0, w.padding.1];
        let (layer, gain) = match kind {
            _ if whole && !square => (Layer::GlobalAverage, if kind == PoolKind::Sum { area } else { 1.0 }),
            _ if sizes.iter().all(|s| *s <= LARGEST)
                && 2 * w.padding.0 <= w.kernel.0
                && 2 * w.padding.1 <= w.kernel.1 =>
            {
                let rows = Axis::new(w.kernel.0, w.stride.0, w.padding.0);
                let columns = Axis::new(w.kernel.1, w.stride.1, w.padding.1);
                (Layer::Pool(Pool { kind, window: Window { rows, columns } }), 1.0)
            }
            _ => {
                let problem = format!("has the window {w:?}; only windows padded by at most half can run here");
                return self.refuse(name, problem);
            }
        };
        let shape = layer.output(name, &[from.shape]).map_err(|e| self.error(name, e.to_string()))?;
        Ok(Value { id: b.add(name, layer, &[from.id]), shape, gain: from.gain * gain, ..from.clone() })
    }

    /// Applies a `Scale`. The following weights take up a uniform factor; the preceding weights
    /// take up factors per channel. If no weights precede, the factors become a 1×1 convolution of
    /// each channel.
    fn scale(&mut self, b: &mut NetworkBuilder, name: &str, scale: &Tensor, from: &Value) -> Result<Value> {
        let Some(factors) = neurons::spread(scale, from.shape).and_then(|s| neurons::per_channel(&s, from.shape))
        else {
            let problem = format!("its factors {:?} are not one for each channel of {}", scale.shape, from.shape);
            return self.refuse(name, problem);
        };
        if factors.iter().all(|f| *f == 0.0) {
            return self
                .refuse(name, "its factors are all 0, so nothing passes it; remove it and what stands before it");
        }
        if factors.iter().all(|f| *f == factors[0]) {
            let gain = from.gain * factors[0];
            let scaled_by = if gain > 0.0 { None } else { Some(name.to_owned()) };
            return Ok(Value { gain, scaled_by, ..from.clone() });
        }
        if let Some(layer) = &from.scalable {
            self.multiply(layer, &factors);
            return Ok(from.clone());
        }
        Ok(self.each_channel(b, name, &factors, from))
    }

    fn each_channel(&mut self, b: &mut NetworkBuilder, name: &str, factors: &[f64], from: &Value) -> Value {
        let channels = from.shape.channels;
        let data = factors.iter().map(|&f| f as f32).collect();
        self.weights.insert(format!("{name}.weight"), Array { shape: vec![channels, 1, 1, 1], data });
        let conv = Conv { groups: channels, ..Conv::square(channels, 1, 1, 0) };
        let id = b.add(name, Layer::Conv(conv), &[from.id]);
        Value { id, scalable: None, ..from.clone() }
    }

    /// Returns the value with gain 1, after a 1×1 convolution if its gain was another.
    fn settle(&mut self, b: &mut NetworkBuilder, reader: &str, from: Value) -> Value {
        if from.gain == 1.0 {
            return from;
        }
        let factors = vec![from.gain; from.shape.channels];
        self.settled += 1;
        let settled = self.each_channel(b, &format!("{reader}.factor{}", self.settled), &factors, &from);
        Value { gain: 1.0, scaled_by: None, ..settled }
    }

    fn neuron(&mut self, b: &mut NetworkBuilder, name: &str, numbers: &Numbers, from: &Value) -> Result<Value> {
        let made = neurons::neuron(self.reader, self.step, numbers, from.shape);
        let Made { mut neuron, gains, notes } = made.map_err(|problem| self.error(name, problem))?;
        let difference = |what| Difference { reader: None, places: vec![name.to_owned()], what };
        self.notes.extend(notes.into_iter().map(difference));
        let gains = match gains {
            None if from.gain == 1.0 => None,
            gains => {
                let gains = gains.unwrap_or_else(|| vec![1.0; from.shape.len()]);
                Some(gains.iter().map(|g| g * from.gain).collect::<Vec<_>>())
            }
        };
        if let Some(gains) = gains {
            match (&from.scalable, neurons::per_channel(&gains, from.shape)) {
                (Some(layer), Some(gains)) => self.multiply(layer, &gains),
                _ if gains.iter().all(|g| *g == gains[0]) => {
                    if let Some(scale) = &from.scaled_by {
                        let problem = format!(
                            "its factor is {}: neuron `{name}` gets its input with the sign turned, and no convolution or \
                             linear layer of its own stands before it to take that up; put the factor into weights",
                            from.gain
                        );
                        return self.refuse(scale, problem);
                    }
                    neurons::divide(&mut neuron, gains[0]).map_err(|problem| self.error(name, problem))?;
                }
                _ => {
                    let problem = "its neurons weigh their inputs differently and no convolution or linear layer of its own \
                                   stands before it to take that up; give all the same numbers";
                    return self.refuse(name, problem);
                }
            }
            let what = "its input has a factor (r, τ and step, pooling, scale), which went into the weights before or the threshold";
            self.notes.push(Difference { reader: None, places: vec![name.to_owned()], what: what.into() });
        }
        let id = b.add(name, Layer::Neuron(neuron), &[from.id]);
        Ok(Value { id, scalable: None, gain: 1.0, scaled_by: None, ..from.clone() })
    }

    /// Multiplies the outputs of a layer by one factor per channel, through its weight and bias.
    fn multiply(&mut self, layer: &str, gains: &[f64]) {
        for tensor in ["weight", "bias"] {
            if let Some(array) = self.weights.tensors.get_mut(&format!("{layer}.{tensor}")) {
                let each = array.data.len() / gains.len().max(1);
                for (values, g) in array.data.chunks_mut(each.max(1)).zip(gains) {
                    values.iter_mut().for_each(|v| *v = (f64::from(*v) * g) as f32);
                }
            }
        }
    }
}
