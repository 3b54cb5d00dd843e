//! A network: an ordered graph of layers, divided into stages.
//!
//! Every node comes after its inputs, so an executor visits the nodes once, in order. A
//! [`Layer::Ttm`] starts a stage, whose layers run at the stage's own number of time steps. Layers
//! before the first TTM run at the steps of the input. If neurons or weights are among them, they
//! form a stage of their own (for example, for a static image that is shown t₁ times).

use crate::error::{Error, Result};
use crate::layer::{Conv, Layer, Linear, Norm, Pool, Recurrent, TensorSpec, TtmMode};
use crate::neuron::Neuron;
use crate::shape::Shape;
use serde::Serialize;
use tickless_words::words;

/// The kind of the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// A recording of an event camera, cut into frames.
    Events,
    /// A static image that is shown at every step.
    Image,
}

words!(serde InputKind, "kind of input", { Events = "events", Image = "image" });

/// Shape and kind of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Shape of one step.
    pub shape: Shape,
    /// Events or image.
    pub kind: InputKind,
}

/// Index of a node in [`Network::nodes`], or the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeId {
    /// The network's input.
    Input,
    /// The node with this index.
    Node(usize),
}

/// A layer of a network with its inputs and shapes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// Unique name; the prefix of its weights' names.
    pub name: String,
    /// The layer.
    pub layer: Layer,
    /// Its inputs; every one comes earlier in the order.
    pub from: Vec<NodeId>,
    /// Shape of the first input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// Stage of the layer; `None` for pooling of the raw input before the first stage.
    pub stage: Option<usize>,
    /// Of a neuron layer: the threshold θ_c of each channel, `None` if all have that of the neuron,
    /// θ. The neurons of channel c are those of the layer in units of θ_c/θ: the layer multiplies
    /// their input by θ/θ_c, so their lower limit and the width of their surrogate are those of the
    /// neuron times θ_c/θ.
    pub thresholds: Option<Vec<f32>>,
    /// Of a neuron layer: its recurrent connections, if any.
    pub recurrent: Option<Recurrent>,
}

impl Node {
    /// Names and shapes of the node's tensors: those of the layer ([`Layer::tensors`]), then the
    /// weights of recurrent connections.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let recurrent = self.recurrent.map(|r| r.tensor(self.output.channels));
        self.layer.tensors(self.input).into_iter().chain(recurrent).collect()
    }

    /// The factor θ/θ_c of each channel's input, if the layer has thresholds per channel.
    pub fn input_scale(&self) -> Option<Vec<f32>> {
        let Layer::Neuron(n) = self.layer else { return None };
        self.thresholds.as_ref().map(|all| all.iter().map(|t| n.threshold / t).collect())
    }
}

/// A complete, valid network. [`NetworkBuilder`] checks and creates it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Network {
    name: String,
    input: Input,
    nodes: Vec<Node>,
    stages: usize,
}

impl Network {
    /// Name of the network.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Shape and kind of the input.
    pub fn input(&self) -> Input {
        self.input
    }

    /// All nodes, each after its inputs. The last node is the output (the readout).
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Number of stages G, which is the length of a temporal configuration.
    pub fn stages(&self) -> usize {
        self.stages
    }

    /// Shape of the output of one step; for a classifier, a vector with one value per class.
    pub fn output(&self) -> Shape {
        self.nodes.last().map_or(self.input.shape, |n| n.output)
    }

    /// Shape of a node's output, or of the input.
    pub fn shape_of(&self, id: NodeId) -> Shape {
        match id {
            NodeId::Input => self.input.shape,
            NodeId::Node(i) => self.nodes[i].output,
        }
    }

    /// Index of the node with this name, if any.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|n| n.name == name)
    }

    /// Indices of the neuron layers, in order.
    pub fn spiking(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&i| matches!(self.nodes[i].layer, Layer::Neuron(_))).collect()
    }

    /// Whether a run at this number of steps of each stage differs between the two [`LeakRule`]s, if
    /// the network was trained at `t_max` steps. A leak, a synaptic current, an adaptive threshold, a
    /// refractory period and the delay of recurrent connections are stretched with the steps; a delay
    /// in µs is one step with a leak per step, also at `t_max`.
    ///
    /// [`LeakRule`]: crate::LeakRule
    pub fn depends_on_leak_rule(&self, t_max: usize, configuration: &[usize]) -> bool {
        let stretched = configuration.iter().any(|t| *t != t_max);
        let depends = |node: &Node| match node.layer {
            Layer::Neuron(n) => {
                node.recurrent.is_some_and(|r| r.delay_us.is_some())
                    || (stretched && (n.leaks() || n.refractory.is_some() || node.recurrent.is_some()))
            }
            _ => false,
        };
        self.input.kind == InputKind::Events && self.nodes.iter().any(depends)
    }

    /// For each node, how many inputs of other nodes read its output.
    pub fn readers(&self) -> Vec<usize> {
        let mut count = vec![0; self.nodes.len()];
        for id in self.nodes.iter().flat_map(|n| &n.from) {
            if let NodeId::Node(i) = id {
                count[*i] += 1;
            }
        }
        count
    }

    /// Every tensor of the network, as (node index, `<node>.<tensor>`, spec).
    pub fn tensors(&self) -> Vec<(usize, String, TensorSpec)> {
        let mut all = Vec::new();
        for (i, n) in self.nodes.iter().enumerate() {
            for t in n.tensors() {
                all.push((i, format!("{}.{}", n.name, t.name), t));
            }
        }
        all
    }

    /// Number of trainable values.
    pub fn trainable_values(&self) -> usize {
        self.tensors().iter().filter(|t| t.2.trainable).map(|t| t.2.shape.iter().product::<usize>()).sum()
    }

    /// Whether a TTM precedes every layer except pooling, so it converts the T_max frames of a
    /// recording to the steps of the first stage.
    pub fn has_input_ttm(&self) -> bool {
        self.nodes.iter().find(|n| !matches!(n.layer, Layer::Pool(_))).is_some_and(|n| matches!(n.layer, Layer::Ttm(_)))
    }

    /// Whether a node is a TTM that reads the input directly or through pooling only.
    pub fn is_input_ttm(&self, node: usize) -> bool {
        let mut ids = self.nodes[node].from.clone();
        if !matches!(self.nodes[node].layer, Layer::Ttm(_)) {
            return false;
        }
        while let Some(id) = ids.pop() {
            match id {
                NodeId::Node(i) if matches!(self.nodes[i].layer, Layer::Pool(_)) => ids.extend(&self.nodes[i].from),
                NodeId::Node(_) => return false,
                NodeId::Input => {}
            }
        }
        true
    }

    /// The same graph with every neuron replaced by the result of `f(name, neuron)`.
    pub fn map_neurons(&self, f: impl Fn(&str, Neuron) -> Neuron) -> Network {
        let mut net = self.clone();
        for n in &mut net.nodes {
            if let Layer::Neuron(neuron) = n.layer {
                n.layer = Layer::Neuron(f(&n.name, neuron));
            }
        }
        net
    }

    /// The same graph with another mode for the TTM at the input.
    ///
    /// # Errors
    /// If the network has no TTM at its input.
    pub fn with_input_ttm(&self, mode: TtmMode) -> Result<Network> {
        let mut net = self.clone();
        match net.nodes.iter_mut().find(|n| !matches!(n.layer, Layer::Pool(_))).map(|n| &mut n.layer) {
            Some(Layer::Ttm(m)) => *m = mode,
            _ => {
                let problem = "has no TTM at its input whose mode could be chosen; remove `input_ttm`".into();
                return Err(Error::Network { network: self.name.clone(), problem });
            }
        }
        Ok(net)
    }

    /// Checks that the network can run event-driven: it must have no bias, norm, max pooling or
    /// attention.
    ///
    /// # Errors
    /// Names the first layer that cannot run event-driven.
    pub fn check_event_driven(&self) -> Result<()> {
        for n in &self.nodes {
            let what = match n.layer {
                Layer::Norm(_) => "batch norm",
                Layer::Conv(c) if c.bias => "a bias",
                Layer::Linear(l) if l.bias => "a bias",
                Layer::Pool(Pool { kind: crate::PoolKind::Max, .. }) => {
                    return Err(Error::layer(&n.name, NO_MAX));
                }
                Layer::Neuron(neuron) if !neuron.reset.is_immediate() => {
                    return Err(Error::layer(&n.name, NO_LATE_RESET));
                }
                Layer::Attention(_) => return Err(Error::layer(&n.name, NO_ATTENTION)),
                Layer::AdaptiveAverage(a) if a.as_pool(n.input).is_none() => {
                    let problem = format!(
                        "its windows over the input {} differ in size, so they have no event-driven form; choose rows and columns that divide those of the input",
                        n.input
                    );
                    return Err(Error::layer(&n.name, problem));
                }
                _ => continue,
            };
            return Err(Error::NotEventDriven { layer: n.name.clone(), what });
        }
        Ok(())
    }
}

/// Why max pooling cannot run event-driven, and the remedy.
const NO_MAX: &str = "max pooling has no event-driven form, because the largest of several inputs is not a sum that \
                      events can add up one by one; set `kind = \"sum\"` (or \"average\") and fine-tune";

/// Why a reset that acts in the next step cannot run event-driven, and the remedy.
const NO_LATE_RESET: &str = "its reset acts in the step after the spike, and without a clock there is no step; \
                                 set `reset = \"soft\"` and fine-tune";

/// Why attention cannot run event-driven, and the remedy.
const NO_ATTENTION: &str = "attention has no event-driven form, because it multiplies spikes of one step with \
                                       each other, and without a clock no two spikes share a step; run it at time \
                                       steps, or replace it by a `conv`";

/// The factor by which a layer of neurons multiplies the input of a channel with the threshold
/// `threshold`; 1 for other layers.
fn scale(layer: Layer, threshold: f32) -> f32 {
    match layer {
        Layer::Neuron(neuron) => neuron.threshold / threshold,
        _ => 1.0,
    }
}

/// The shape of a layer's output, if it is not too large.
fn manageable(layer: &str, output: Shape) -> Result<Shape> {
    if output.is_manageable() {
        return Ok(output);
    }
    let problem = format!(
        "its output {output} has more than 2^46 values a step; give it fewer channels, less padding or a larger stride"
    );
    Err(Error::layer(layer, problem))
}

/// Builds a [`Network`] node by node. The builder keeps the first error, and [`build`](Self::build)
/// returns it.
#[derive(Debug)]
pub struct NetworkBuilder {
    net: Network,
    error: Option<Error>,
}

impl NetworkBuilder {
    /// Starts a network without layers.
    pub fn new(name: &str, shape: Shape, kind: InputKind) -> Self {
        let net = Network { name: name.to_owned(), input: Input { shape, kind }, nodes: Vec::new(), stages: 0 };
        Self { net, error: None }
    }

    /// The network's input.
    pub fn input(&self) -> NodeId {
        NodeId::Input
    }

    /// Adds a layer that reads `from`; an empty `name` is replaced by `<kind><number>`.
    pub fn add(&mut self, name: &str, layer: Layer, from: &[NodeId]) -> NodeId {
        let name = if name.is_empty() {
            let n = 1 + self.net.nodes.iter().filter(|n| n.layer.kind() == layer.kind()).count();
            format!("{}{n}", layer.kind())
        } else {
            name.to_owned()
        };
        let shapes: Vec<Shape> = from.iter().map(|&id| self.net.shape_of(id)).collect();
        let input = shapes.first().copied().unwrap_or(self.net.input.shape);
        let output = layer.output(&name, &shapes).and_then(|output| manageable(&name, output)).unwrap_or_else(|e| {
            self.error.get_or_insert(e);
            input
        });
        if self.net.find(&name).is_some() {
            self.error.get_or_insert_with(|| Error::layer(&name, "another layer has this name; give each its own"));
        }
        let stage = self.stage_of(&name, &layer, from);
        self.net.nodes.push(Node {
            name,
            layer,
            from: from.to_vec(),
            input,
            output,
            stage,
            thresholds: None,
            recurrent: None,
        });
        NodeId::Node(self.net.nodes.len() - 1)
    }

    /// Adds a copy of a node that reads `from`, with another layer of the same kind.
    pub fn add_copy(&mut self, node: &Node, layer: Layer, from: &[NodeId]) -> NodeId {
        let id = self.add(&node.name, layer, from);
        if let Some(thresholds) = &node.thresholds {
            self.thresholds(id, thresholds.clone());
        }
        if let Some(recurrent) = node.recurrent {
            self.recurrent(id, recurrent);
        }
        id
    }

    /// Gives a neuron layer recurrent connections.
    pub fn recurrent(&mut self, neurons: NodeId, recurrent: Recurrent) {
        let NodeId::Node(i) = neurons else { return };
        let node = &mut self.net.nodes[i];
        let problem = match recurrent.delay_us {
            _ if !matches!(node.layer, Layer::Neuron(_)) => {
                "only a `neuron` layer has recurrent connections".to_owned()
            }
            Some(us) if !(1.0..=1e12).contains(&us) => {
                format!("`delay_us` must be at least 1 and at most 1e12, got {us}")
            }
            _ => {
                node.recurrent = Some(recurrent);
                return;
            }
        };
        let e = Error::layer(&node.name, problem);
        self.error.get_or_insert(e);
    }

    /// Gives each channel of a neuron layer its own threshold ([`Node::thresholds`]).
    pub fn thresholds(&mut self, neurons: NodeId, thresholds: Vec<f32>) {
        let NodeId::Node(i) = neurons else { return };
        let node = &mut self.net.nodes[i];
        let (channels, given) = (node.output.channels, thresholds.len());
        let problem = if !matches!(node.layer, Layer::Neuron(_)) {
            "only a `neuron` layer has thresholds".to_owned()
        } else if given != channels {
            format!("`thresholds` has {given} values for {channels} channels; give one for each channel")
        } else if let Some(t) = thresholds.iter().find(|t| !(**t > 0.0 && t.is_finite())) {
            format!("`thresholds` must be above 0, got {t}")
        } else if let Some(t) = thresholds.iter().find(|t| !scale(node.layer, **t).is_normal()) {
            format!(
                "`thresholds` has {t}, and f32 cannot hold the neuron's threshold divided by it; give a value nearer to that"
            )
        } else {
            node.thresholds = Some(thresholds);
            return;
        };
        let e = Error::layer(&node.name, problem);
        self.error.get_or_insert(e);
    }

    fn stage_of(&mut self, name: &str, layer: &Layer, from: &[NodeId]) -> Option<usize> {
        let stage = |id: &NodeId| match id {
            NodeId::Input => None,
            NodeId::Node(i) => self.net.nodes[*i].stage,
        };
        let first = from.first().and_then(stage);
        if from.iter().any(|id| stage(id) != first) {
            let e = Error::layer(name, "its inputs run in different stages; move the `ttm` before the branch");
            self.error.get_or_insert(e);
        }
        match layer {
            Layer::Ttm(_) => {
                self.net.stages += 1;
                Some(self.net.stages - 1)
            }
            Layer::Pool(_) if first.is_none() => None,
            _ if first.is_none() => {
                // Layers that no TTM precedes form stage 0, so they cannot exist beside a TTM that
                // opens stage 0.
                if self.net.nodes.iter().any(|n| n.stage == Some(0) && matches!(n.layer, Layer::Ttm(_))) {
                    let e = Error::layer(name, "reads the input beside the first `ttm`; let it read the `ttm`");
                    self.error.get_or_insert(e);
                }
                self.net.stages = self.net.stages.max(1);
                Some(0)
            }
            _ => first,
        }
    }

    /// Shape of a node's output, or of the input.
    pub fn shape_of(&self, id: NodeId) -> Shape {
        self.net.shape_of(id)
    }

    /// Adds an even TTM, which starts a stage.
    pub fn ttm(&mut self, from: NodeId) -> NodeId {
        self.add("", Layer::Ttm(TtmMode::Even), &[from])
    }

    /// Adds a convolution.
    pub fn conv(&mut self, from: NodeId, conv: Conv) -> NodeId {
        self.add("", Layer::Conv(conv), &[from])
    }

    /// Adds batch norm with the default constants.
    pub fn norm(&mut self, from: NodeId) -> NodeId {
        self.add("", Layer::Norm(Norm::default()), &[from])
    }

    /// Adds spiking neurons.
    pub fn neuron(&mut self, from: NodeId, neuron: Neuron) -> NodeId {
        self.add("", Layer::Neuron(neuron), &[from])
    }

    /// Adds pooling.
    pub fn pool(&mut self, from: NodeId, pool: Pool) -> NodeId {
        self.add("", Layer::Pool(pool), &[from])
    }

    /// Adds a fully connected layer with `out` outputs.
    pub fn linear(&mut self, from: NodeId, out: usize, bias: bool) -> NodeId {
        self.add("", Layer::Linear(Linear { out, bias }), &[from])
    }

    /// Checks the network and returns it.
    ///
    /// # Errors
    /// The first error: a shape, a name, a branch across stages, an empty input, a network without
    /// layers, or a layer other than the last that no layer reads.
    pub fn build(self) -> Result<Network> {
        if let Some(e) = self.error {
            return Err(e);
        }
        let mut net = self.net;
        // Pooling of the raw input counts to the stage that reads it; if no stage exists, it forms
        // one.
        net.stages = net.stages.max(1);
        let refuse = |problem: String| Err(Error::Network { network: net.name.clone(), problem });
        let shape = net.input.shape;
        if !shape.is_manageable() {
            return refuse(format!("the input {shape} has more than 2^46 values a step; scale it down"));
        }
        if shape.is_empty() {
            return refuse(format!("the input {shape} is empty"));
        }
        if net.nodes.is_empty() {
            return refuse("has no layer".into());
        }
        let readers = net.readers();
        if let Some(i) = (0..net.nodes.len() - 1).find(|&i| readers[i] == 0) {
            return refuse(format!(
                "nothing reads the output of layer `{}`; only the last layer may be unread",
                net.nodes[i].name
            ));
        }
        Ok(net)
    }
}
