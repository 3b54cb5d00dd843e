//! The words in which the built-in networks are written: a builder that remembers where it is.

use crate::error::Result;
use crate::layer::{Conv, Layer, Linear, Norm, Pool, PoolKind, TtmMode};
use crate::network::{Input, Network, NetworkBuilder, NodeId};
use crate::neuron::Neuron;

/// The choices that hold for a whole network, defaults filled in.
pub(super) struct Plan {
    pub classes: usize,
    pub neuron: Neuron,
    pub norm: bool,
    /// Overrides the mode of every temporal transformation module.
    pub ttm: Option<TtmMode>,
    pub classifier_bias: bool,
}

/// A network under construction; each word adds layers behind the last one.
///
/// Layers are named `<prefix><word><number>` (`conv1`, `block2.conv1`); the number counts the
/// layers of that word within the prefix, so that it does not depend on whether norms are there.
/// Under [`alone`](Self::alone) the number is left out (`block2.ttm`, `block3.shortcut.conv`).
pub(super) struct Chain {
    builder: NetworkBuilder,
    at: NodeId,
    plan: Plan,
    prefix: String,
    numbered: bool,
    counts: std::collections::HashMap<String, usize>,
}

impl Chain {
    pub fn new(name: &str, input: Input, plan: Plan) -> Self {
        let builder = NetworkBuilder::new(name, input.shape, input.kind);
        Self { builder, at: NodeId::Input, plan, prefix: String::new(), numbered: true, counts: Default::default() }
    }

    /// Where the chain stands.
    pub fn at(&self) -> NodeId {
        self.at
    }

    /// Goes back (or aside) to another node: the start of a branch.
    pub fn go(mut self, at: NodeId) -> Self {
        self.at = at;
        self
    }

    /// Names of the following layers start with this.
    pub fn within(mut self, prefix: &str) -> Self {
        (self.prefix, self.numbered) = (prefix.to_owned(), true);
        self
    }

    /// The same for layers that are the only one of their word there.
    pub fn alone(mut self, prefix: &str) -> Self {
        (self.prefix, self.numbered) = (prefix.to_owned(), false);
        self
    }

    fn push(self, layer: Layer) -> Self {
        let at = self.at;
        self.push_from(layer, &[at])
    }

    fn push_from(mut self, layer: Layer, from: &[NodeId]) -> Self {
        let mut name = format!("{}{}", self.prefix, layer.kind());
        if self.numbered {
            let count = self.counts.entry(name.clone()).or_default();
            *count += 1;
            name += &count.to_string();
        }
        self.at = self.builder.add(&name, layer, from);
        self
    }

    /// Opens a stage.
    pub fn ttm(self) -> Self {
        self.ttm_by_default(TtmMode::Even)
    }

    /// Opens a stage whose mode is this one unless the user asks for another.
    pub fn ttm_by_default(self, mode: TtmMode) -> Self {
        let mode = self.plan.ttm.unwrap_or(mode);
        self.push(Layer::Ttm(mode))
    }

    /// Convolution and, in networks that have it, batch norm.
    pub fn conv(self, conv: Conv) -> Self {
        let norm = self.plan.norm;
        let chain = self.push(Layer::Conv(conv));
        if norm { chain.push(Layer::Norm(Norm::default())) } else { chain }
    }

    /// Spiking neurons.
    pub fn fire(self) -> Self {
        let neuron = self.plan.neuron;
        self.push(Layer::Neuron(neuron))
    }

    /// Convolution, norm and neurons: `C BN N`.
    pub fn spike(self, conv: Conv) -> Self {
        self.conv(conv).fire()
    }

    /// k×k average pooling.
    pub fn average(self, k: usize) -> Self {
        self.push(Layer::Pool(Pool::average(k)))
    }

    /// Max pooling.
    pub fn max(self, kernel: usize, stride: usize, padding: usize) -> Self {
        self.push(Layer::Pool(Pool { kind: PoolKind::Max, kernel, stride, padding }))
    }

    /// Mean over height and width.
    pub fn global_average(self) -> Self {
        self.push(Layer::GlobalAverage)
    }

    /// A linear layer of spiking neurons, without bias.
    pub fn spike_linear(self, out: usize) -> Self {
        self.push(Layer::Linear(Linear { out, bias: false })).fire()
    }

    /// Adds the output of another node.
    pub fn plus(self, other: NodeId) -> Self {
        let at = self.at;
        self.push_from(Layer::Add, &[at, other])
    }

    /// The last linear layer, and the whole network.
    pub fn classify(self) -> Result<Network> {
        let (out, bias) = (self.plan.classes, self.plan.classifier_bias);
        self.push(Layer::Linear(Linear { out, bias })).builder.build()
    }
}
