//! Builds the network of a graph that has no description, node by node.

mod integrator;
mod linear;
mod spiking;

use super::deviation::Deviation;
use super::difference::Difference;
use super::graph::{Graph, Node};
use super::loops::{self, Way};
use super::reader::Reader;
use super::to_network_neuron::{Numbers, Step};
use super::topology::Topology;
use crate::error::{Error, Result};
use crate::layer::{Layer, PoolKind};
use crate::network::{InputKind, Network, NetworkBuilder, NodeId};
use crate::shape::Shape;
use crate::weights::Weights;
use integrator::Filter;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Largest dimension, so that products of dimensions do not overflow.
const LARGEST: usize = 1 << 20;

/// Largest number of values of a layer in one step.
const LARGEST_STEP: usize = 1 << 24;

/// Builds the network of a graph, node by node.
pub(super) struct Build<'a> {
    file: &'a Path,
    reader: Option<Reader>,
    step: Step,
    notes: &'a mut Vec<Difference>,
    weights: Weights,
    /// Existing `add` layers, by their inputs.
    merges: HashMap<Vec<NodeId>, Value>,
    /// Number of layers that `settle` has added.
    settled: usize,
    /// The ways along which the spikes of a node of neurons return to it.
    ways: BTreeMap<String, Vec<Way>>,
}

/// The output of a node.
#[derive(Debug, Clone)]
struct Value {
    id: NodeId,
    /// The shape of the layer.
    shape: Shape,
    /// The dimensions by which the graph arranges the same values, in the same order.
    dims: Vec<usize>,
    /// The layer whose weights can take up a factor of this value, because only this value reads it
    /// and only pooling stands between.
    scalable: Option<String>,
    /// The node's output divided by the layer's output; later weights take it up.
    gain: f64,
    /// The `Scale` that made the gain negative or zero.
    scaled_by: Option<String>,
    /// The delay of the node's output against that of the layer, in seconds.
    delay: f64,
    /// The integrator that the node's output has passed and the layer's has not.
    filter: Option<Filter>,
}

impl Value {
    /// The output of a new layer with weights.
    fn of_weights(self, layer: &str, id: NodeId, shape: Shape, dims: Vec<usize>) -> Self {
        Self { id, shape, dims, scalable: Some(layer.to_owned()), gain: 1.0, scaled_by: None, ..self }
    }

    /// Whether the graph arranges the values as a vector.
    fn is_vector(&self) -> bool {
        self.dims.len() == 1
    }
}

/// The dimensions in words, as NIR states them.
fn listed(dims: &[usize]) -> String {
    format!("[{}]", dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", "))
}

impl<'a> Build<'a> {
    pub fn new(file: &'a Path, reader: Option<Reader>, step: Step, notes: &'a mut Vec<Difference>) -> Self {
        Self {
            file,
            reader,
            step,
            notes,
            weights: Weights::default(),
            merges: HashMap::new(),
            settled: 0,
            ways: BTreeMap::new(),
        }
    }

    /// Builds the network of a flat graph, with this name and kind of input.
    pub fn run(mut self, mut graph: Graph, name: &str, kind: InputKind) -> Result<(Network, Weights)> {
        self.ways = loops::open(&mut graph, self.file)?;
        let t = Topology::new(&graph, self.file)?;
        let Some(Node::Input { shape: dims }) = graph.nodes.get(t.input) else {
            return self.refuse(t.input, "is no input");
        };
        // Norse writes the shape of its sample, with the batch of 1, and has no lines that [1, W] could be.
        let dims = match dims.as_slice() {
            [1, rest @ ..] if self.reader == Some(Reader::Norse) && matches!(rest.len(), 1 | 3) => rest.to_vec(),
            all => all.to_vec(),
        };
        let shape = match dims.as_slice() {
            [n] => Shape::vector(*n),
            [c, w] => Shape::new(*c, 1, *w),
            [c, h, w] => Shape::new(*c, *h, *w),
            other => {
                let problem = format!("has the shape {other:?}; one step must be [C, H, W], [C, W] or [N]");
                return self.refuse(t.input, problem);
            }
        };
        self.size(t.input, shape)?;
        let mut b = NetworkBuilder::new(name, shape, kind);
        let mut values: BTreeMap<&str, Value> = BTreeMap::new();
        let input = Value {
            id: NodeId::Input,
            shape,
            dims,
            scalable: None,
            gain: 1.0,
            scaled_by: None,
            delay: 0.0,
            filter: None,
        };
        values.insert(t.input, input);
        for &name in t.order.iter().filter(|n| **n != t.input) {
            let from: Vec<&Value> = t.from[name].iter().filter_map(|f| values.get(f)).collect();
            let from = self.sum(&mut b, name, &from)?;
            let mut value = match (&graph.nodes[name], from) {
                (Node::Output { .. }, from) => self.output(&mut b, name, from),
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

    fn note(&mut self, node: &str, what: impl Into<Deviation>) {
        self.notes.push(Difference { reader: None, places: vec![node.to_owned()], what: what.into() });
    }

    fn size(&self, node: &str, s: Shape) -> Result<()> {
        let fits = [s.channels, s.height, s.width].iter().all(|d| (1..=LARGEST).contains(d));
        if fits && s.channels.saturating_mul(s.height).saturating_mul(s.width) <= LARGEST_STEP {
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
        if let Some(other) = rest.iter().find(|v| v.dims != first.dims) {
            let problem = format!(
                "sums values of shape {} and {}; put a `Flatten` before it on the way of the map",
                listed(&first.dims),
                listed(&other.dims)
            );
            return self.refuse(node, problem);
        }
        if let Some(other) = rest.iter().find(|v| v.delay != first.delay) {
            let problem = format!(
                "sums signals with delays of {} s and {} s, and no layer here delays a part of its input; give all ways \
                 to it the same delay",
                first.delay, other.delay
            );
            return self.refuse(node, problem);
        }
        if let Some(other) = rest.iter().find(|v| v.filter != first.filter) {
            let problem = match first.filter.as_ref().or(other.filter.as_ref()) {
                Some(f) => f.problem("is added to a signal that did not pass it"),
                None => String::new(),
            };
            return self.refuse(node, problem);
        }
        let from: Vec<Value> = from.iter().map(|v| self.settle(b, node, (*v).clone())).collect();
        let ids: Vec<NodeId> = from.iter().map(|v| v.id).collect();
        // Layers with the same inputs are one, but each sum has its own integrator and delay, because
        // neither is a layer.
        let Value { dims, delay, filter, .. } = from[0].clone();
        if let Some(value) = self.merges.get(&ids) {
            return Ok(Value { dims, delay, filter, ..value.clone() });
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
            Node::Conv1d(c) => self.conv1d(b, name, c, from),
            Node::Conv2d(c) => self.conv2d(b, name, c, from),
            Node::AvgPool2d(w) => self.pool(b, name, PoolKind::Average, w, from),
            Node::SumPool2d(w) => self.pool(b, name, PoolKind::Sum, w, from),
            Node::Flatten { start, end, .. } => self.flatten(name, *start, *end, from),
            Node::Identity => Ok(from.clone()),
            Node::Scale { scale } => self.scale(b, name, scale, from),
            Node::Delay { delay } => self.delay(name, delay, from),
            Node::Threshold { threshold } => self.threshold(b, name, threshold, from),
            Node::I { r } => self.integrator(b, name, None, r, from),
            Node::Li { tau, r, leak } => self.leaky_integrator(b, name, None, (tau, r, leak), from),
            Node::CubaLi { tau_syn, tau_mem, r, leak, w_in } => {
                self.leaky_integrator(b, name, Some((tau_syn, w_in)), (tau_mem, r, leak), from)
            }
            Node::If { r, threshold, reset } => {
                self.neuron(b, name, Numbers { synapse: None, tau: None, r, leak: None, threshold, reset }, from)
            }
            Node::Lif { tau, r, leak, threshold, reset } => {
                let (tau, leak) = (Some(tau), Some(leak));
                self.neuron(b, name, Numbers { synapse: None, tau, r, leak, threshold, reset }, from)
            }
            Node::CubaLif { tau_syn, tau_mem, r, leak, threshold, reset, w_in } => {
                let (synapse, tau, leak) = (Some((tau_syn, w_in)), Some(tau_mem), Some(leak));
                self.neuron(b, name, Numbers { synapse, tau, r, leak, threshold, reset }, from)
            }
            Node::Input { .. } | Node::Output { .. } | Node::Graph(_) | Node::Other { .. } => {
                let problem = format!(
                    "is a `{}`, which has no counterpart here; build it from Affine, Linear, Conv1d, Conv2d, AvgPool2d, \
                     SumPool2d, Flatten, Identity, Scale, Delay, Threshold, I, IF, LI, LIF, CubaLI, CubaLIF",
                    node.kind()
                );
                self.refuse(name, problem)
            }
        }
    }
}
