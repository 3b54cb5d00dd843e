//! The names that frameworks give to the tensors of a network.

use super::form::{Block, Form, Unit, form_of};
use crate::error::{Error, Result};
use crate::layer::{Layer, RecurrentKind, TensorSpec};
use crate::network::Network;
use crate::neuron::model::learned_lambda;
use crate::weights::{Array, Weights};
use tickless_words::words;

/// A framework's way to name tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// `<layer>.<tensor>` with the names of the recipe's layers.
    Tickless,
    /// The code of the paper on temporal flexibility: `conv.module.0`,
    /// `feature_ext.<block>.conv1.module.0`, `.shortcut.module.0`, `fc.module`; `.module.1` is the
    /// norm. In a chain of layers, `feature_ext.<i>.conv.module.0`.
    Paper,
    /// ResNet of torchvision and SpikingJelly (`conv1`, `bn1`, `layer1.0.conv1`,
    /// `layer2.0.downsample.0`, `fc`) and their VGG (`features.<i>`, `classifier.<i>`).
    Torchvision,
    /// `torch.nn.Sequential`, as snnTorch and sinabs use it: the number of the module. Each layer is
    /// one module, a `ttm` is none, and a `Flatten` precedes the first linear layer after layers
    /// with rows and columns.
    Sequential,
}

words!(serde Dialect, "dialect of a checkpoint", {
    Tickless = "tickless",
    Paper = "paper",
    Torchvision = "torchvision",
    Sequential = "sequential",
});

impl Dialect {
    /// All dialects; of those that match equally many tensors, the first one counts.
    pub const ALL: [Dialect; 4] = [Dialect::Tickless, Dialect::Paper, Dialect::Torchvision, Dialect::Sequential];

    /// The dialect in which a framework names the tensors of networks as in `network`, by the name
    /// of the framework or of the dialect; `None` if the name is unknown.
    pub fn of_framework(word: &str) -> Option<Dialect> {
        match word {
            "spikingjelly" => Some(Dialect::Torchvision),
            "snntorch" | "sinabs" => Some(Dialect::Sequential),
            _ => word.parse().ok(),
        }
    }

    /// Whether the dialect numbers the layers of this network instead of naming them.
    pub(super) fn numbers(self, network: &Network) -> bool {
        self != Dialect::Tickless && is_chain(network)
    }

    /// The module of each node, empty if the dialect has no name for it; `None` if the dialect has no
    /// names for a network of this form.
    pub(super) fn modules(self, network: &Network) -> Option<Vec<String>> {
        Some(match self {
            Dialect::Tickless => network.nodes().iter().map(|n| n.name.clone()).collect(),
            Dialect::Paper => paper(network.nodes().len(), &form_of(network)?)?,
            Dialect::Torchvision => {
                let form = form_of(network)?;
                if form.blocks.is_empty() { vgg(network)? } else { resnet(network, &form)? }
            }
            Dialect::Sequential => sequential(network)?,
        })
    }

    /// The name of each tensor of a network, in the order of [`Network::tensors`]; `None` if the
    /// dialect has no names for a network of this form.
    pub(super) fn names(self, network: &Network) -> Option<Vec<String>> {
        let layers = self.modules(network)?;
        let tensors = network.tensors();
        let name = |node: usize, spec: &TensorSpec| match network.nodes()[node].recurrent.map(|r| r.kind) {
            // As `RLeaky` and `RSynaptic` of snnTorch name them.
            Some(RecurrentKind::Dense) if self == Dialect::Sequential && spec.name == "recurrent" => "recurrent.weight",
            Some(RecurrentKind::OneToOne) if self == Dialect::Sequential && spec.name == "recurrent" => "recurrent.V",
            _ => spec.name,
        };
        Some(tensors.iter().map(|(node, _, spec)| format!("{}.{}", layers[*node], name(*node, spec))).collect())
    }
}

/// The framework whose neurons a state dict is for. Each stores a learned decay in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NeuronFramework {
    /// `ParametricLIFNode`: `w`, with 1/τ = sigmoid(w).
    SpikingJelly,
    /// `Leaky`: `beta`.
    SnnTorch,
    /// `LIF`: `tau_mem`, in steps.
    Sinabs,
}

words!(serde NeuronFramework, "framework of neurons", {
    SpikingJelly = "spikingjelly",
    SnnTorch = "snntorch",
    Sinabs = "sinabs",
});

impl NeuronFramework {
    /// The framework that the name of a framework or dialect means; `None` for a dialect that
    /// several share.
    pub fn of_dialect(word: &str) -> Option<Self> {
        if word == "torchvision" { Some(Self::SpikingJelly) } else { word.parse().ok() }
    }

    /// The name of the tensor of a learned decay and its value for the trained value `decay`.
    fn decay(self, decay: f32) -> (&'static str, f32) {
        match self {
            Self::SpikingJelly => ("w", -decay),
            Self::SnnTorch => ("beta", learned_lambda(decay)),
            Self::Sinabs => ("tau_mem", (-1.0 / f64::from(learned_lambda(decay)).ln()) as f32),
        }
    }
}

/// A network's weights with the names of a dialect, in the order of the layers. A learned decay
/// gets the name and the form of `neurons`, except in the dialect of this library. Recurrent
/// connections get the name that sinabs gives them if `neurons` says so, else that of snnTorch, and the
/// bias that they have there, of zeros.
///
/// # Errors
/// If a tensor is missing, the dialect has no names for a network of this form or for a layer of
/// neurons with tensors, or the network has a learned decay and `neurons` is `None`.
pub fn rename(
    weights: &Weights,
    network: &Network,
    dialect: Dialect,
    neurons: Option<NeuronFramework>,
) -> Result<Vec<(String, Array)>> {
    let names = dialect.names(network).ok_or_else(|| no_names(network, dialect))?;
    let modules = dialect.modules(network).ok_or_else(|| no_names(network, dialect))?;
    let tensors = network.tensors();
    let mut all = Vec::with_capacity(names.len());
    for ((node, _, spec), name) in tensors.iter().zip(names) {
        let layer = &network.nodes()[*node].name;
        let array = weights.require(layer, spec.name)?;
        let refuse = |what: &str, problem: String| Err(Error::layer(layer, format!("has {what}, and {problem}")));
        let of_neurons = match spec.name {
            "decay" => Some("a learned decay"),
            "recurrent" => Some("recurrent connections"),
            _ => None,
        };
        let (Some(what), false) = (of_neurons, dialect == Dialect::Tickless) else {
            all.push((name, array.clone()));
            continue;
        };
        let module = modules[*node].as_str();
        if module.is_empty() {
            return refuse(what, format!("the dialect `{dialect}` has no name for its neurons; use `tickless`"));
        }
        match (spec.name, neurons, array.data.first()) {
            ("recurrent", Some(NeuronFramework::Sinabs), _) if dialect == Dialect::Sequential => {
                if array.shape.len() == 1 {
                    return refuse(what, "sinabs has none from a neuron to itself alone; use `tickless`".into());
                }
                all.push((format!("{module}.rec_connect.weight"), array.clone()));
            }
            ("recurrent", ..) => {
                all.push((name.clone(), array.clone()));
                // A new module has a random bias, which stays if the state dict has none.
                if dialect == Dialect::Sequential && name.ends_with(".weight") {
                    all.push((format!("{module}.recurrent.bias"), Array::full(&array.shape[..1], 0.0)));
                } else if dialect == Dialect::Sequential {
                    all.push((format!("{module}.V"), array.clone()));
                }
            }
            (_, None, _) => {
                return refuse(what, "each framework stores it in its own way; say which framework is meant".into());
            }
            (_, Some(framework), Some(decay)) => {
                let (tensor, value) = framework.decay(*decay);
                all.push((format!("{module}.{tensor}"), Array::full(&[], value)));
            }
            (.., None) => return refuse(what, "it has no value".into()),
        }
    }
    Ok(all)
}

/// The error of a network that a dialect has no names for.
pub(super) fn no_names(network: &Network, dialect: Dialect) -> Error {
    let forms = match dialect {
        Dialect::Tickless => "any network",
        Dialect::Paper => {
            "a stem, residual blocks and one linear layer, or a chain of convolutions and one linear layer"
        }
        Dialect::Torchvision => {
            "a stem, residual blocks and one linear layer, or a chain of convolutions and linear layers"
        }
        Dialect::Sequential => "a chain of layers",
    };
    let problem = format!("the dialect `{dialect}` names {forms}, and this network is none; use `tickless` or a map");
    Error::Network { network: network.name().to_owned(), problem }
}

/// Names of layers by node; layers without tensors have an empty name.
type Names = Vec<String>;

fn name_unit(names: &mut Names, unit: &Unit, conv: String, norm: String) {
    names[unit.conv] = conv;
    if let Some(i) = unit.norm {
        names[i] = norm;
    }
}

fn paper(nodes: usize, form: &Form) -> Option<Names> {
    let mut names = vec![String::new(); nodes];
    let pair = |names: &mut Names, unit: &Unit, prefix: &str| {
        name_unit(names, unit, format!("{prefix}.module.0"), format!("{prefix}.module.1"));
    };
    if form.blocks.is_empty() {
        for (i, unit) in form.stem.iter().enumerate() {
            pair(&mut names, unit, &format!("feature_ext.{i}.conv"));
        }
    } else {
        let [stem] = form.stem[..] else { return None };
        pair(&mut names, &stem, "conv");
    }
    for (i, block) in form.blocks.iter().enumerate() {
        for (k, unit) in block.main.iter().enumerate() {
            pair(&mut names, unit, &format!("feature_ext.{i}.conv{}", k + 1));
        }
        if let Some(unit) = &block.shortcut {
            pair(&mut names, unit, &format!("feature_ext.{i}.shortcut"));
        }
    }
    let [fc] = form.head[..] else { return None };
    names[fc] = "fc.module".into();
    Some(names)
}

fn resnet(network: &Network, form: &Form) -> Option<Names> {
    let ([stem], [fc]) = (&form.stem[..], &form.head[..]) else { return None };
    let mut names = vec![String::new(); network.nodes().len()];
    // The neurons that follow node `from` and precede node `to` are sn1, sn2, … (SpikingJelly).
    let neurons = |names: &mut Names, (from, to): (usize, usize), prefix: &str| {
        let within = network.spiking().into_iter().filter(|i| (from..to).contains(i));
        within.enumerate().for_each(|(k, i)| names[i] = format!("{prefix}sn{}", k + 1));
    };
    let begins = |block: Option<&Block>| block.and_then(|b| b.main.first()).map_or(*fc, |unit| unit.conv);
    neurons(&mut names, (stem.conv, begins(form.blocks.first())), "");
    name_unit(&mut names, stem, "conv1".into(), "bn1".into());
    names[*fc] = "fc".into();
    // A group starts with its first block, which alone changes the number or size of channels.
    let (mut group, mut within) = (1, 0);
    for (i, block) in form.blocks.iter().enumerate() {
        if i > 0 && block.shortcut.is_some() {
            (group, within) = (group + 1, 0);
        }
        for (k, unit) in block.main.iter().enumerate() {
            let prefix = format!("layer{group}.{within}");
            name_unit(&mut names, unit, format!("{prefix}.conv{}", k + 1), format!("{prefix}.bn{}", k + 1));
        }
        if let Some(unit) = &block.shortcut {
            let prefix = format!("layer{group}.{within}.downsample");
            name_unit(&mut names, unit, format!("{prefix}.0"), format!("{prefix}.1"));
        }
        let range = (begins(Some(block)), begins(form.blocks.get(i + 1)));
        neurons(&mut names, range, &format!("layer{group}.{within}."));
        within += 1;
    }
    Some(names)
}

/// Whether the nodes form a chain: each reads the one before it.
fn is_chain(network: &Network) -> bool {
    network.nodes().iter().all(|n| n.from.len() == 1) && network.readers().iter().all(|n| *n <= 1)
}

fn vgg(network: &Network) -> Option<Names> {
    let mut names = vec![String::new(); network.nodes().len()];
    let (mut features, mut classifier, mut linear) = (0, 0, false);
    for (name, node) in names.iter_mut().zip(network.nodes()) {
        linear |= matches!(node.layer, Layer::Linear(_));
        match node.layer {
            Layer::Ttm(_) | Layer::GlobalAverage | Layer::AdaptiveAverage(_) => continue,
            Layer::Conv(_) if linear => return None,
            _ => {}
        }
        let (part, count) = if linear { ("classifier", &mut classifier) } else { ("features", &mut features) };
        *name = format!("{part}.{count}");
        *count += 1;
    }
    Some(names)
}

fn sequential(network: &Network) -> Option<Names> {
    if !is_chain(network) {
        return None;
    }
    let mut names = vec![String::new(); network.nodes().len()];
    let mut count = 0;
    let mut flat = network.input().shape.height * network.input().shape.width == 1;
    for (name, node) in names.iter_mut().zip(network.nodes()) {
        match node.layer {
            Layer::Ttm(_) => continue,
            Layer::Linear(_) if !flat => {
                count += 1;
                flat = true;
            }
            Layer::Conv(_) | Layer::Pool(_) | Layer::GlobalAverage | Layer::AdaptiveAverage(_) => flat = false,
            _ => {}
        }
        *name = count.to_string();
        count += 1;
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::{ZooOptions, build};

    fn names(network: &str, dialect: Dialect) -> Vec<(String, String)> {
        let net = build(network, &ZooOptions::default()).unwrap();
        let ours = net.tensors().into_iter().map(|(_, name, _)| name);
        ours.zip(dialect.names(&net).unwrap()).collect()
    }

    fn theirs(all: &[(String, String)], ours: &str) -> String {
        all.iter().find(|(o, _)| o == ours).unwrap().1.clone()
    }

    #[test]
    fn a_resnet_has_the_names_of_torchvision() {
        let all = names("resnet18-imagenet", Dialect::Torchvision);
        assert_eq!(theirs(&all, "conv1.weight"), "conv1.weight");
        assert_eq!(theirs(&all, "norm1.running_var"), "bn1.running_var");
        assert_eq!(theirs(&all, "block1.conv2.weight"), "layer1.0.conv2.weight");
        assert_eq!(theirs(&all, "block2.norm1.bias"), "layer1.1.bn1.bias");
        assert_eq!(theirs(&all, "block3.shortcut.conv.weight"), "layer2.0.downsample.0.weight");
        assert_eq!(theirs(&all, "block3.shortcut.norm.weight"), "layer2.0.downsample.1.weight");
        assert_eq!(theirs(&all, "block8.norm2.running_mean"), "layer4.1.bn2.running_mean");
        assert_eq!(theirs(&all, "linear1.bias"), "fc.bias");
    }

    #[test]
    fn a_resnet_has_the_names_of_the_paper() {
        let all = names("resnet18", Dialect::Paper);
        assert_eq!(theirs(&all, "conv1.weight"), "conv.module.0.weight");
        assert_eq!(theirs(&all, "norm1.bias"), "conv.module.1.bias");
        assert_eq!(theirs(&all, "block3.conv1.weight"), "feature_ext.2.conv1.module.0.weight");
        assert_eq!(theirs(&all, "block3.shortcut.norm.bias"), "feature_ext.2.shortcut.module.1.bias");
        assert_eq!(theirs(&all, "linear1.weight"), "fc.module.weight");
    }

    #[test]
    fn a_chain_has_the_numbers_of_the_modules() {
        // AP2 is module 0, conv1 1, its neurons 2, AP2 3, conv2 4, neurons 5, pool 6, flatten 7.
        let net = build("nmnist-small", &ZooOptions::default()).unwrap();
        let kinds: Vec<&str> = net.nodes().iter().map(|n| n.layer.kind()).collect();
        let index = |name: &str| {
            net.find(name).unwrap() - kinds.iter().take(net.find(name).unwrap()).filter(|k| **k == "ttm").count()
        };
        let all = names("nmnist-small", Dialect::Sequential);
        assert_eq!(theirs(&all, "conv1.weight"), format!("{}.weight", index("conv1")));
        assert_eq!(theirs(&all, "linear1.weight"), format!("{}.weight", index("linear1") + 1));
        let vgg = names("vgg9", Dialect::Torchvision);
        assert_eq!(theirs(&vgg, "conv1.weight"), "features.1.weight");
        assert_eq!(theirs(&vgg, "norm1.weight"), "features.2.weight");
        assert_eq!(theirs(&vgg, "linear1.weight"), "classifier.0.weight");
    }

    #[test]
    fn a_dialect_without_names_for_a_network_says_which_forms_it_names() {
        let net = build("resnet18", &ZooOptions::default()).unwrap();
        let e = rename(&Weights::default(), &net, Dialect::Sequential, None).unwrap_err().to_string();
        assert!(e.contains("`sequential`"), "{e}");
    }
}
