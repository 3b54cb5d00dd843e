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
//! belong to its kind, that is an error, because the key would have no effect. [`kinds`] lists all
//! kinds and keys.

pub mod kinds;
mod sizes;
#[cfg(test)]
mod tests;

pub use sizes::{PaddingSpec, Sizes};

pub use tickless_neuron::{NeuronSpec, NumberOrNone, RefractorySpec};

use crate::error::{Error, Result};
use crate::layer::{
    AdaptiveAverage, Attention, Conv, Dropout, Layer, Linear, Norm, Pool, PoolKind, Recurrent, RecurrentKind, TtmMode,
};
use crate::network::{InputKind, Network, NetworkBuilder, NodeId};
use crate::neuron::Neuron;
use crate::shape::Shape;
use crate::suggest;
use crate::window::{Axis, Window};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// One name or a list of names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a layer's name or a list of names")]
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
    /// Kind of layer ([`kinds::KINDS`]).
    pub layer: String,
    /// Name of the layer (default: its kind and a number).
    pub name: Option<String>,
    /// Inputs: names of earlier layers, or `input` (default: the layer before).
    pub from: Option<OneOrMany>,
    /// `conv`, `conv1d`: output channels; `linear`: output values.
    pub out: Option<usize>,
    /// Window of `conv`, `conv1d` (default 3) and `pool`.
    pub kernel: Option<Sizes>,
    /// Stride of `conv`, `conv1d` (default 1) and `pool` (default: the kernel).
    pub stride: Option<Sizes>,
    /// Padding of `conv`, `conv1d` (default (kernel − 1)/2) and `pool` (default 0).
    pub padding: Option<PaddingSpec>,
    /// Dilation of `conv` and `conv1d` (default 1).
    pub dilation: Option<Sizes>,
    /// `adaptive_average`: size of the output.
    pub size: Option<Sizes>,
    /// `conv`, `conv1d`: number of channel groups (default 1).
    pub groups: Option<usize>,
    /// `conv`, `conv1d`, `linear`: whether the layer adds a bias (default false).
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
    /// `neuron`: one threshold per channel ([`Node::thresholds`](crate::Node::thresholds)).
    pub thresholds: Option<Vec<f32>>,
    /// `neuron`: recurrent connections, `dense` or `one_to_one`.
    pub recurrent: Option<RecurrentKind>,
    /// `neuron`: delay of the recurrent connections without a clock, in µs.
    pub delay_us: Option<f64>,
    /// `dropout`: probability that a value is set to 0 (default 0.5).
    pub rate: Option<f32>,
    /// `attention`: number of heads (default 1).
    pub heads: Option<usize>,
    /// `attention`: factor of the product (default 0.125).
    pub scale: Option<f32>,
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
    let mut known: BTreeMap<&str, Value> = BTreeMap::from([(INPUT, Value { id: NodeId::Input, flat: false })]);
    let names = names(layers);
    let mut last = known[INPUT];
    for (i, (spec, name)) in layers.iter().zip(&names).enumerate() {
        if name.is_empty() || name == INPUT {
            let problem = format!("layer {} needs another name; `{INPUT}` is the network's input", i + 1);
            return Err(Error::layer(name, problem));
        }
        if name.contains(char::is_control) {
            let problem = format!("layer {} needs a name without line breaks and control characters", i + 1);
            return Err(Error::layer(&name.escape_debug().to_string(), problem));
        }
        let from = match &spec.from {
            None => vec![last],
            Some(from) => from.names().iter().map(|f| find(name, f, &known, &names[i..])).collect::<Result<_>>()?,
        };
        let in_words = |problem| Error::layer(name, problem);
        let layer = spec.to_layer(default_neuron).map_err(in_words)?;
        let flat = from.iter().any(|v| v.flat);
        last = match layer {
            None if from.len() == 1 => Value { flat: true, ..from[0] },
            None => return Err(in_words(format!("takes one input, got {}", from.len()))),
            Some(layer) => {
                for value in &from {
                    spec.check_input(&layer, builder.shape_of(value.id), value.flat).map_err(in_words)?;
                }
                let ids: Vec<NodeId> = from.iter().map(|v| v.id).collect();
                let id = builder.add(name, layer, &ids);
                if let Some(thresholds) = &spec.thresholds {
                    builder.thresholds(id, thresholds.clone());
                }
                match (spec.recurrent, spec.delay_us) {
                    (Some(kind), delay_us) => builder.recurrent(id, Recurrent { kind, delay_us }),
                    (None, None) => {}
                    (None, Some(_)) => {
                        let problem = "`delay_us` is that of recurrent connections; give `recurrent = \"dense\"` too";
                        return Err(in_words(problem.to_owned()));
                    }
                }
                Value { id, flat: flat && !matches!(layer, Layer::Linear(_)) }
            }
        };
        if known.insert(name, last).is_some() {
            return Err(in_words("another layer has this name; give each its own".to_owned()));
        }
    }
    builder.build()
}

/// The output of a layer of the list.
#[derive(Debug, Clone, Copy)]
struct Value {
    id: NodeId,
    /// Whether a `flatten` has joined its dimensions. The node keeps its shape, because only layers
    /// that do not depend on it may read the value.
    flat: bool,
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

fn find(layer: &str, from: &str, known: &BTreeMap<&str, Value>, later: &[String]) -> Result<Value> {
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
            ("dilation", self.dilation.is_some()),
            ("size", self.size.is_some()),
            ("groups", self.groups.is_some()),
            ("bias", self.bias.is_some()),
            ("mode", self.mode.is_some()),
            ("kind", self.kind.is_some()),
            ("eps", self.eps.is_some()),
            ("momentum", self.momentum.is_some()),
            ("neuron", self.neuron.is_some()),
            ("thresholds", self.thresholds.is_some()),
            ("recurrent", self.recurrent.is_some()),
            ("delay_us", self.delay_us.is_some()),
            ("rate", self.rate.is_some()),
            ("heads", self.heads.is_some()),
            ("scale", self.scale.is_some()),
        ]
        .into_iter()
        .filter_map(|(field, given)| given.then_some(field))
    }

    /// Checks what this layer needs of the shape of one of its inputs; the error does not name the layer.
    fn check_input(&self, layer: &Layer, input: Shape, flat: bool) -> std::result::Result<(), String> {
        if self.layer == "conv1d" && input.height != 1 {
            return Err(format!("convolves along one row, but its input {input} has {}; use `conv`", input.height));
        }
        let shaped = match layer {
            Layer::Conv(_)
            | Layer::Norm(_)
            | Layer::Pool(_)
            | Layer::GlobalAverage
            | Layer::AdaptiveAverage(_)
            | Layer::Attention(_) => true,
            Layer::Neuron(_) => self.thresholds.is_some() || self.recurrent.is_some(),
            Layer::Ttm(_) | Layer::Linear(_) | Layer::Dropout(_) | Layer::Add => false,
        };
        if flat && shaped && input != Shape::vector(input.channels) {
            return Err(format!(
                "reads the map {input} behind a `flatten`, which only `linear` joins to a vector; put it before the `flatten`, or a `linear` between"
            ));
        }
        Ok(())
    }

    /// The layer that this describes, or `None` for a layer without effect (`flatten`); the error
    /// does not name the layer.
    fn to_layer(&self, default_neuron: Neuron) -> std::result::Result<Option<Layer>, String> {
        let word = self.layer.as_str();
        let Some(kind) = kinds::kind(word) else {
            let words = || kinds::KINDS.iter().map(|k| k.name);
            let known = words().collect::<Vec<_>>().join(", ");
            let hint = match kinds::known_elsewhere(word) {
                Some(here) => format!(", here it is {here}"),
                None => suggest::hint(word, words()),
            };
            return Err(format!("unknown layer `{word}`{hint}; known: {known}"));
        };
        if let Some(field) = self.given().find(|f| kind.keys.iter().all(|k| k.name != *f)) {
            let keys: Vec<&str> = kind.keys.iter().map(|k| k.name).collect();
            let takes = if keys.is_empty() { "nothing more".to_owned() } else { format!("`{}`", keys.join("`, `")) };
            return Err(format!("`{field}` makes no sense for a `{word}` layer, which takes {takes}"));
        }
        for (field, size) in [("out", self.out), ("groups", self.groups), ("heads", self.heads)] {
            if size.is_some_and(|s| s > LARGEST) {
                return Err(format!("`{field}` is larger than {LARGEST}"));
            }
        }
        let sizes =
            [("kernel", self.kernel), ("stride", self.stride), ("dilation", self.dilation), ("size", self.size)];
        for (field, sizes) in sizes {
            if sizes.is_some_and(|s| s.rows().max(s.columns()) > LARGEST) {
                return Err(format!("`{field}` is larger than {LARGEST}"));
            }
        }
        let needs =
            |field: &str, value: Option<usize>| value.ok_or_else(|| format!("a `{word}` layer needs `{field}`"));
        Ok(Some(match word {
            "flatten" => return Ok(None),
            "ttm" => Layer::Ttm(self.mode.unwrap_or_default()),
            "conv" | "conv1d" => Layer::Conv(Conv {
                out: needs("out", self.out)?,
                window: self.window(self.kernel.unwrap_or(Sizes::One(3)))?,
                groups: self.groups.unwrap_or(1),
                bias: self.bias.unwrap_or(false),
            }),
            "norm" => {
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
            "neuron" => {
                let spec = self.neuron.clone().unwrap_or_default();
                Layer::Neuron(spec.resolve(default_neuron).map_err(|e| e.to_string())?)
            }
            "pool" => {
                let kernel = self.kernel.ok_or("a `pool` layer needs `kernel`")?;
                let window = self.window(kernel)?;
                for axis in [window.rows, window.columns] {
                    if 2 * axis.before.max(axis.after) > axis.kernel {
                        let padding = axis.before.max(axis.after);
                        let (rows, columns) = window.kernel();
                        return Err(format!("`padding` {padding} is more than half of the {rows}×{columns} window"));
                    }
                }
                Layer::Pool(Pool { kind: self.kind.unwrap_or(PoolKind::Average), window })
            }
            "global_average" => Layer::GlobalAverage,
            "adaptive_average" => {
                let size = self.size.ok_or("an `adaptive_average` layer needs `size`")?;
                Layer::AdaptiveAverage(AdaptiveAverage { rows: size.rows(), columns: size.columns() })
            }
            "dropout" => {
                let rate = self.rate.unwrap_or(0.5);
                if !(0.0..1.0).contains(&rate) {
                    return Err(format!("`rate` must be from 0 to below 1, got {rate}"));
                }
                Layer::Dropout(Dropout { rate })
            }
            "linear" => Layer::Linear(Linear { out: needs("out", self.out)?, bias: self.bias.unwrap_or(false) }),
            "add" => Layer::Add,
            "attention" => {
                let usual = Attention::default();
                let (heads, scale) = (self.heads.unwrap_or(usual.heads), self.scale.unwrap_or(usual.scale));
                if !(scale > 0.0 && scale.is_finite()) {
                    return Err(format!("`scale` must be a number above 0, got {scale}"));
                }
                Layer::Attention(Attention { heads, scale })
            }
            other => {
                return Err(format!("a `{other}` layer cannot be made; this is an error of the reader, report it"));
            }
        }))
    }

    /// The window with this kernel and the layer's stride, dilation and padding.
    fn window(&self, kernel: Sizes) -> std::result::Result<Window, String> {
        let pools = self.layer == "pool";
        let one = Sizes::One(1);
        let stride = self.stride.unwrap_or(if pools { kernel } else { one });
        let dilation = self.dilation.unwrap_or(one);
        let given = self.padding.as_ref().map(|p| p.sides(LARGEST)).transpose()?;
        let axis = |side: usize, pick: fn(Sizes) -> usize| -> std::result::Result<Axis, String> {
            let (kernel, stride, dilation) = (pick(kernel), pick(stride), pick(dilation));
            let usual = if pools { 0 } else { kernel.saturating_sub(1) / 2 };
            match given {
                None => Ok(Axis { dilation, ..Axis::new(kernel, stride, usual) }),
                Some(Some(sides)) => {
                    let [before, after] = sides[side];
                    Ok(Axis { kernel, stride, dilation, before, after })
                }
                Some(None) if stride == 1 => {
                    let axis = Axis::same(kernel, dilation);
                    match axis.after > LARGEST {
                        true => Err(format!("`padding` is larger than {LARGEST}")),
                        false => Ok(axis),
                    }
                }
                Some(None) => {
                    Err(format!("`padding = \"same\"` needs a stride of 1, got {stride}; give the padding in numbers"))
                }
            }
        };
        let columns = axis(1, Sizes::columns)?;
        if self.layer != "conv1d" {
            return Ok(Window { rows: axis(0, Sizes::rows)?, columns });
        }
        let one_number =
            [Some(kernel), self.stride, self.dilation].iter().flatten().all(|s| matches!(s, Sizes::One(_)));
        if !one_number || matches!(self.padding, Some(PaddingSpec::Two(_) | PaddingSpec::Four(_))) {
            return Err("a `conv1d` layer has one direction; give single numbers".to_owned());
        }
        Ok(Window { rows: Axis::new(1, 1, 0), columns })
    }
}

impl LayerSpec {
    /// The fields of a window, as short as they can be said.
    fn with_window(self, w: Window) -> Self {
        let dilation = Sizes::of(w.rows.dilation, w.columns.dilation);
        Self {
            kernel: Some(Sizes::of(w.rows.kernel, w.columns.kernel)),
            stride: Some(Sizes::of(w.rows.stride, w.columns.stride)),
            padding: Some(PaddingSpec::of(w)),
            dilation: Some(dilation).filter(|d| *d != Sizes::One(1)),
            ..self
        }
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
            layer: node.layer.kind().to_owned(),
            name: Some(node.name.clone()),
            from,
            ..Default::default()
        };
        specs.push(match node.layer {
            Layer::Ttm(mode) => LayerSpec { mode: Some(mode), ..spec },
            Layer::Conv(c) => {
                LayerSpec { out: Some(c.out), groups: Some(c.groups), bias: Some(c.bias), ..spec.with_window(c.window) }
            }
            Layer::Norm(n) => LayerSpec { eps: Some(n.eps), momentum: Some(n.momentum), ..spec },
            Layer::Neuron(n) => LayerSpec {
                neuron: Some(NeuronSpec::from_neuron(&n)),
                thresholds: node.thresholds.clone(),
                recurrent: node.recurrent.map(|r| r.kind),
                delay_us: node.recurrent.and_then(|r| r.delay_us),
                ..spec
            },
            Layer::Pool(p) => LayerSpec { kind: Some(p.kind), ..spec.with_window(p.window) },
            Layer::AdaptiveAverage(a) => LayerSpec { size: Some(Sizes::of(a.rows, a.columns)), ..spec },
            Layer::Dropout(d) => LayerSpec { rate: Some(d.rate), ..spec },
            Layer::Linear(l) => LayerSpec { out: Some(l.out), bias: Some(l.bias), ..spec },
            Layer::Attention(a) => LayerSpec { heads: Some(a.heads), scale: Some(a.scale), ..spec },
            Layer::GlobalAverage | Layer::Add => spec,
        });
        last = NodeId::Node(i);
    }
    specs
}
