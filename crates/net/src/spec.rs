//! Builds a network from a list of layers, as a recipe states it, and converts any network to such
//! a list.
//!
//! ```toml
//! [[layer]]
//! layer = "ttm"
//! [[layer]]
//! layer = "conv"
//! out = 8
//! [[layer]]
//! layer = "neuron"
//! neuron = { model = "lif", leak = 0.8 }
//! [[layer]]
//! layer = "linear"
//! out = 10
//! ```
//!
//! A layer reads the one before it unless `from` names others. If a layer has a key that does not
//! belong to its kind, that is an error, because the key would have no effect.

#[cfg(test)]
mod tests;

pub use tickless_neuron::{NeuronSpec, NumberOrNone, RefractorySpec};

use crate::error::{Error, Result};
use crate::layer::{Conv, Layer, LayerKind, Linear, Norm, Pool, PoolKind, TtmMode};
use crate::network::{InputKind, Network, NetworkBuilder, NodeId};
use crate::neuron::Neuron;
use crate::shape::Shape;
use crate::suggest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use tickless_words::UnknownWord;

/// One name or a list of names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a layer's name or a list of names")]
pub enum OneOrMany {
    /// A single name: `from = "a"`.
    One(String),
    /// A list of names: `from = ["a", "b"]`.
    Many(Vec<String>),
}

impl OneOrMany {
    fn names(&self) -> &[String] {
        match self {
            OneOrMany::One(name) => std::slice::from_ref(name),
            OneOrMany::Many(names) => names,
        }
    }
}

/// One layer of a recipe.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerSpec {
    /// Kind of layer: `ttm`, `conv`, `norm`, `neuron`, `pool`, `global_average`, `linear` or `add`.
    pub layer: String,
    /// Name of the layer (default: its kind and a number).
    pub name: Option<String>,
    /// Inputs: names of earlier layers, or `input` (default: the layer before).
    pub from: Option<OneOrMany>,
    /// `conv`: output channels; `linear`: output values.
    pub out: Option<usize>,
    /// Side of the window of `conv` (default 3) and `pool`.
    pub kernel: Option<usize>,
    /// Stride of `conv` (default 1) and `pool` (default: the kernel).
    pub stride: Option<usize>,
    /// Padding of `conv` (default (kernel − 1)/2) and `pool` (default 0).
    pub padding: Option<usize>,
    /// `conv`: number of channel groups (default 1).
    pub groups: Option<usize>,
    /// `conv`, `linear`: whether the layer adds a bias (default false).
    pub bias: Option<bool>,
    /// `ttm`: mode `even` (default), `soft`, `trim` or `random`.
    pub mode: Option<TtmMode>,
    /// `pool`: `average` (default), `sum` or `max`.
    pub kind: Option<PoolKind>,
    /// `norm`: ε in √(σ² + ε) (default 1e-5).
    pub eps: Option<f64>,
    /// `norm`: weight of a new batch in the running statistics (default 0.1).
    pub momentum: Option<f64>,
    /// `neuron`: the fields that differ from the network's neuron.
    pub neuron: Option<NeuronSpec>,
}

/// The fields that a kind of layer accepts besides `layer`, `name` and `from`.
const fn fields(kind: LayerKind) -> &'static [&'static str] {
    match kind {
        LayerKind::Ttm => &["mode"],
        LayerKind::Conv => &["out", "kernel", "stride", "padding", "groups", "bias"],
        LayerKind::Norm => &["eps", "momentum"],
        LayerKind::Neuron => &["neuron"],
        LayerKind::Pool => &["kind", "kernel", "stride", "padding"],
        LayerKind::Linear => &["out", "bias"],
        LayerKind::GlobalAverage | LayerKind::Add => &[],
    }
}

/// Largest size in a layer, so that products of sizes do not overflow.
const LARGEST: usize = 1 << 20;

/// Builds a network from its layers. A `neuron` layer changes the fields of `default_neuron` that
/// it sets.
///
/// # Errors
/// If a layer has an unknown kind, a field that does not belong to its kind, a missing field, an
/// unknown name in `from` or a value out of range, or if [`NetworkBuilder::build`] fails. The
/// messages name the layer.
pub fn network_from_specs(
    name: &str,
    input: Shape,
    kind: InputKind,
    layers: &[LayerSpec],
    default_neuron: Neuron,
) -> Result<Network> {
    let mut builder = NetworkBuilder::new(name, input, kind);
    let mut known: BTreeMap<&str, NodeId> = BTreeMap::from([(INPUT, NodeId::Input)]);
    let names = names(layers);
    let mut last = NodeId::Input;
    for (i, (spec, name)) in layers.iter().zip(&names).enumerate() {
        if name.is_empty() || name == INPUT {
            let problem = format!("layer {} needs another name; `{INPUT}` is the network's input", i + 1);
            return Err(Error::layer(name, problem));
        }
        let from = match &spec.from {
            None => vec![last],
            Some(from) => from.names().iter().map(|f| find(name, f, &known, &names[i..])).collect::<Result<_>>()?,
        };
        let layer = spec.to_layer(default_neuron).map_err(|problem| Error::layer(name, problem))?;
        last = builder.add(name, layer, &from);
        known.insert(name, last);
    }
    builder.build()
}

const INPUT: &str = "input";

/// The name of every layer: the given one, or its kind and a number.
fn names(layers: &[LayerSpec]) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut names = Vec::with_capacity(layers.len());
    for spec in layers {
        let n = counts.entry(&spec.layer).or_default();
        *n += 1;
        names.push(spec.name.clone().unwrap_or_else(|| format!("{}{n}", spec.layer)));
    }
    names
}

fn find(layer: &str, from: &str, known: &BTreeMap<&str, NodeId>, later: &[String]) -> Result<NodeId> {
    known.get(from).copied().ok_or_else(|| {
        let problem = if from == layer {
            "`from` names the layer itself".to_owned()
        } else if later.iter().any(|n| n == from) {
            format!("`from` names `{from}`, which comes later; move it before this layer")
        } else {
            format!("`from` names `{from}`, which is no layer{}", suggest::hint(from, known.keys().copied()))
        };
        Error::layer(layer, problem)
    })
}

impl LayerSpec {
    /// Names of the fields that are set, besides `layer`, `name` and `from`.
    fn given(&self) -> impl Iterator<Item = &'static str> {
        [
            ("out", self.out.is_some()),
            ("kernel", self.kernel.is_some()),
            ("stride", self.stride.is_some()),
            ("padding", self.padding.is_some()),
            ("groups", self.groups.is_some()),
            ("bias", self.bias.is_some()),
            ("mode", self.mode.is_some()),
            ("kind", self.kind.is_some()),
            ("eps", self.eps.is_some()),
            ("momentum", self.momentum.is_some()),
            ("neuron", self.neuron.is_some()),
        ]
        .into_iter()
        .filter_map(|(field, given)| given.then_some(field))
    }

    /// The layer that this describes; the error does not name the layer.
    fn to_layer(&self, default_neuron: Neuron) -> std::result::Result<Layer, String> {
        let kind: LayerKind = self.layer.parse().map_err(|e: UnknownWord| e.to_string())?;
        let fields = fields(kind);
        if let Some(field) = self.given().find(|f| !fields.contains(f)) {
            let takes =
                if fields.is_empty() { "nothing more".to_owned() } else { format!("`{}`", fields.join("`, `")) };
            return Err(format!("`{field}` makes no sense for a `{kind}` layer, which takes {takes}"));
        }
        let sizes = [("out", self.out), ("kernel", self.kernel), ("stride", self.stride), ("padding", self.padding)];
        for (field, size) in sizes.into_iter().chain([("groups", self.groups)]) {
            if size.is_some_and(|s| s > LARGEST) {
                return Err(format!("`{field}` is larger than {LARGEST}"));
            }
        }
        let needs =
            |field: &str, value: Option<usize>| value.ok_or_else(|| format!("a `{kind}` layer needs `{field}`"));
        Ok(match kind {
            LayerKind::Ttm => Layer::Ttm(self.mode.unwrap_or_default()),
            LayerKind::Conv => {
                let kernel = self.kernel.unwrap_or(3);
                Layer::Conv(Conv {
                    out: needs("out", self.out)?,
                    kernel,
                    stride: self.stride.unwrap_or(1),
                    padding: self.padding.unwrap_or(kernel.saturating_sub(1) / 2),
                    groups: self.groups.unwrap_or(1),
                    bias: self.bias.unwrap_or(false),
                })
            }
            LayerKind::Norm => {
                let usual = Norm::default();
                let norm =
                    Norm { eps: self.eps.unwrap_or(usual.eps), momentum: self.momentum.unwrap_or(usual.momentum) };
                if !(norm.eps > 0.0 && norm.eps.is_finite()) {
                    return Err(format!("`eps` must be above 0, got {}", norm.eps));
                }
                if !(norm.momentum > 0.0 && norm.momentum <= 1.0) {
                    return Err(format!("`momentum` must be above 0 and at most 1, got {}", norm.momentum));
                }
                Layer::Norm(norm)
            }
            LayerKind::Neuron => {
                let spec = self.neuron.clone().unwrap_or_default();
                Layer::Neuron(spec.resolve(default_neuron).map_err(|e| e.to_string())?)
            }
            LayerKind::Pool => {
                let kernel = needs("kernel", self.kernel)?;
                let (stride, padding) = (self.stride.unwrap_or(kernel), self.padding.unwrap_or(0));
                if 2 * padding > kernel {
                    return Err(format!("`padding` {padding} is more than half of the {kernel}×{kernel} window"));
                }
                Layer::Pool(Pool { kind: self.kind.unwrap_or(PoolKind::Average), kernel, stride, padding })
            }
            LayerKind::GlobalAverage => Layer::GlobalAverage,
            LayerKind::Linear => {
                Layer::Linear(Linear { out: needs("out", self.out)?, bias: self.bias.unwrap_or(false) })
            }
            LayerKind::Add => Layer::Add,
        })
    }
}

/// The layers of a network with every field set. From them, [`network_from_specs`] builds the same
/// network if the name, the input and the kind are the same, whatever the default neuron is.
pub fn specs_of(network: &Network) -> Vec<LayerSpec> {
    let name_of = |id: &NodeId| match *id {
        NodeId::Input => INPUT.to_owned(),
        NodeId::Node(n) => network.nodes()[n].name.clone(),
    };
    let mut last = NodeId::Input;
    let mut specs = Vec::with_capacity(network.nodes().len());
    for (i, node) in network.nodes().iter().enumerate() {
        let from = match node.from.as_slice() {
            [one] if *one == last => None,
            [one] => Some(OneOrMany::One(name_of(one))),
            many => Some(OneOrMany::Many(many.iter().map(name_of).collect())),
        };
        let spec = LayerSpec {
            layer: node.layer.kind().to_string(),
            name: Some(node.name.clone()),
            from,
            ..Default::default()
        };
        specs.push(match node.layer {
            Layer::Ttm(mode) => LayerSpec { mode: Some(mode), ..spec },
            Layer::Conv(c) => LayerSpec {
                out: Some(c.out),
                kernel: Some(c.kernel),
                stride: Some(c.stride),
                padding: Some(c.padding),
                groups: Some(c.groups),
                bias: Some(c.bias),
                ..spec
            },
            Layer::Norm(n) => LayerSpec { eps: Some(n.eps), momentum: Some(n.momentum), ..spec },
            Layer::Neuron(n) => LayerSpec { neuron: Some(NeuronSpec::from_neuron(&n)), ..spec },
            Layer::Pool(p) => LayerSpec {
                kind: Some(p.kind),
                kernel: Some(p.kernel),
                stride: Some(p.stride),
                padding: Some(p.padding),
                ..spec
            },
            Layer::Linear(l) => LayerSpec { out: Some(l.out), bias: Some(l.bias), ..spec },
            Layer::GlobalAverage | Layer::Add => spec,
        });
        last = NodeId::Node(i);
    }
    specs
}
