//! A builder for the built-in networks that adds each layer after the previous one.

use crate::error::Result;
use crate::layer::{Attention, Conv, Layer, Linear, Norm, Pool, PoolKind, Recurrent, RecurrentKind, TtmMode};
use crate::network::{Input, Network, NetworkBuilder, NodeId};
use crate::neuron::Neuron;

/// The options of a built-in network, with defaults filled in.
pub(super) struct Choices {
    pub classes: usize,
    pub neuron: Neuron,
    pub norm: bool,
    /// Factor of the output channels of every convolution and hidden linear layer.
    pub width: f64,
    /// Overrides the mode of every temporal transformation module.
    pub ttm: Option<TtmMode>,
    pub classifier_bias: bool,
}

/// A network under construction; each method adds layers after the current one.
///
/// The name of a layer is `<prefix><kind><number>` (`conv1`, `block2.conv1`). The number counts the
/// layers of that kind within the prefix, so it does not depend on whether the network has norms.
/// After [`alone`](Self::alone), names have no number (`block2.ttm`, `block3.shortcut.conv`).
pub(super) struct Chain {
    builder: NetworkBuilder,
    at: NodeId,
    choices: Choices,
    prefix: String,
    numbered: bool,
    counts: std::collections::HashMap<String, usize>,
}

impl Chain {
    pub fn new(name: &str, input: Input, choices: Choices) -> Self {
        let builder = NetworkBuilder::new(name, input.shape, input.kind);
        Self { builder, at: NodeId::Input, choices, prefix: String::new(), numbered: true, counts: Default::default() }
    }

    /// The node that the next layer will read.
    pub fn at(&self) -> NodeId {
        self.at
    }

    /// Continues after another node, to start a branch.
    pub fn go(mut self, at: NodeId) -> Self {
        self.at = at;
        self
    }

    /// Sets the prefix of the names of the following layers.
    pub fn within(mut self, prefix: &str) -> Self {
        (self.prefix, self.numbered) = (prefix.to_owned(), true);
        self
    }

    /// Sets the prefix for layers whose kind occurs only once under it; their names have no number.
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

    /// Adds an even TTM, which starts a stage.
    pub fn ttm(self) -> Self {
        self.ttm_by_default(TtmMode::Even)
    }

    /// Adds a TTM; the mode of the options overrides `mode`.
    pub fn ttm_by_default(self, mode: TtmMode) -> Self {
        let mode = self.choices.ttm.unwrap_or(mode);
        self.push(Layer::Ttm(mode))
    }

    /// Adds a convolution and, if the network uses norms, batch norm.
    pub fn conv(self, conv: Conv) -> Self {
        let norm = self.choices.norm;
        let conv = Conv { out: self.wide(conv.out), ..conv };
        let chain = self.push(Layer::Conv(conv));
        if norm { chain.push(Layer::Norm(Norm::default())) } else { chain }
    }

    /// A number of channels at the network's width: at least 1.
    fn wide(&self, channels: usize) -> usize {
        ((channels as f64 * self.choices.width).round() as usize).max(1)
    }

    /// Adds spiking neurons.
    pub fn fire(self) -> Self {
        let neuron = self.choices.neuron;
        self.push(Layer::Neuron(neuron))
    }

    /// Adds neurons with half the threshold of the others.
    pub fn fire_at_half(self) -> Self {
        let neuron = self.choices.neuron;
        self.push(Layer::Neuron(Neuron { threshold: 0.5 * neuron.threshold, ..neuron }))
    }

    /// Adds attention over queries, keys and values of `channels` channels before the network's width.
    /// The number of heads is the largest up to `heads` times the width that divides the channels, so
    /// a head keeps its number of channels if the width allows it.
    pub fn attend(self, from: [NodeId; 3], heads: usize, channels: usize) -> Self {
        let (channels, most) = (self.wide(channels), self.wide(heads));
        let heads = (1..=most).rev().find(|h| channels.is_multiple_of(*h)).unwrap_or(1);
        self.push_from(Layer::Attention(Attention { heads, ..Attention::default() }), &from)
    }

    /// Adds a convolution, batch norm if the network uses it, and neurons: `C BN N`.
    pub fn spike(self, conv: Conv) -> Self {
        self.conv(conv).fire()
    }

    /// Adds k×k average pooling with stride k.
    pub fn average(self, k: usize) -> Self {
        self.push(Layer::Pool(Pool::average(k)))
    }

    /// Adds max pooling.
    pub fn max(self, kernel: usize, stride: usize, padding: usize) -> Self {
        self.push(Layer::Pool(Pool::square(PoolKind::Max, kernel, stride, padding)))
    }

    /// Adds the mean over height and width.
    pub fn global_average(self) -> Self {
        self.push(Layer::GlobalAverage)
    }

    /// Adds a linear layer without bias, and spiking neurons.
    pub fn spike_linear(self, out: usize) -> Self {
        let out = self.wide(out);
        self.push(Layer::Linear(Linear { out, bias: false })).fire()
    }

    /// Adds a linear layer without bias, and spiking neurons with all-to-all recurrent connections.
    pub fn spike_recurrent(self, out: usize) -> Self {
        let mut chain = self.spike_linear(out);
        let recurrent = Recurrent { kind: RecurrentKind::Dense, delay_us: None };
        chain.builder.recurrent(chain.at, recurrent);
        chain
    }

    /// Adds a merge of the current node and another.
    pub fn plus(self, other: NodeId) -> Self {
        let at = self.at;
        self.push_from(Layer::Add, &[at, other])
    }

    /// Adds the classifier and builds the network.
    pub fn classify(self) -> Result<Network> {
        let (out, bias) = (self.choices.classes, self.choices.classifier_bias);
        self.push(Layer::Linear(Linear { out, bias })).builder.build()
    }
}
