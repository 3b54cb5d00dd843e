//! `[network]` of a recipe: a built-in network by name, or a network listed layer by layer.

use crate::error::{Error, Result};
use crate::layer::{TensorSpec, TtmMode};
use crate::network::{InputKind, Network};
use crate::neuron::Neuron;
use crate::shape::Shape;
use crate::spec::{self, LayerSpec, NeuronSpec};
use crate::zoo::{self, ZooOptions};
use serde::{Deserialize, Serialize};

/// The `[network]` part of a recipe.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRecipe {
    /// Name of a built-in network, or a name for the network listed in `layers`.
    pub name: String,
    /// Whether batch norm follows every convolution (default: the built-in network's choice).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm: Option<bool>,
    /// Factor of the numbers of channels of a built-in network (default 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<f64>,
    /// Mode of every TTM (default: the built-in network's choice).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttm: Option<TtmMode>,
    /// Mode of only the TTM at the input; `trim` is how the paper's code shortens recordings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_ttm: Option<TtmMode>,
    /// Whether the classifier has a bias (default: the built-in network's choice).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier_bias: Option<bool>,
    /// The neuron of all layers (default: the built-in network's choice).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neuron: Option<NeuronSpec>,
    /// The layers of a network that is not built in, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerSpec>,
}

/// Largest number of trainable values: 4 GiB of weights, and as much for each of the gradient and
/// the optimiser's buffers.
const LARGEST: f64 = (1u64 << 30) as f64;

impl NetworkRecipe {
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        let switches = [
            ("norm", self.norm.is_some(), "write `norm` layers"),
            ("width", self.width.is_some(), "give each layer its `out`"),
            ("ttm", self.ttm.is_some(), "give each `ttm` layer its `mode`"),
            ("input_ttm", self.input_ttm.is_some(), "give the first `ttm` layer its `mode`"),
            ("classifier_bias", self.classifier_bias.is_some(), "give the last `linear` layer its `bias`"),
        ];
        match switches.iter().find(|s| s.1 && !self.layers.is_empty()) {
            Some((key, _, instead)) => Err(format!(
                "`network.{key}` changes a built-in network and does nothing to one spelled in `layers`; {instead}, or remove the key"
            )),
            None => Ok(()),
        }
    }

    /// Builds the network for inputs of this shape and kind and for this number of classes.
    ///
    /// # Errors
    /// If a layer does not fit its input, the name is unknown, the network is too large, or the
    /// last layer does not have one value per class.
    pub fn build(&self, shape: Shape, kind: InputKind, classes: usize) -> Result<Network> {
        let neuron = |base: Neuron| match &self.neuron {
            None => Ok(base),
            Some(s) => {
                s.resolve(base).map_err(|e| Error::Network { network: self.name.clone(), problem: e.to_string() })
            }
        };
        let net = if self.layers.is_empty() {
            let base = zoo::entries().iter().find(|e| e.name == self.name).map_or(Neuron::lif(), |e| e.neuron);
            let options = ZooOptions {
                classes,
                neuron: Some(neuron(base)?),
                norm: self.norm,
                width: self.width,
                input: Some((shape, kind)),
                ttm: self.ttm,
                classifier_bias: self.classifier_bias,
            };
            let net = zoo::build(&self.name, &options)?;
            self.input_ttm.map_or(Ok(net.clone()), |mode| net.with_input_ttm(mode))?
        } else {
            spec::network_from_specs(&self.name, shape, kind, &self.layers, neuron(Neuron::lif())?)?
        };
        // Compute in floating point, because products of very large sizes would overflow an
        // integer.
        let values = |t: &TensorSpec| t.shape.iter().map(|&n| n as f64).product::<f64>();
        let tensors = net.tensors();
        if let Some((i, _, t)) = tensors.iter().find(|t| values(&t.2) > LARGEST) {
            let problem =
                format!("its `{}` of shape {:?} has more than 2^30 values; make the layer smaller", t.name, t.shape);
            return Err(Error::layer(&net.nodes()[*i].name, problem));
        }
        if tensors.iter().map(|t| values(&t.2)).sum::<f64>() > LARGEST {
            return Err(Error::Network {
                network: self.name.clone(),
                problem: "has more than 2^30 weights; make it smaller".into(),
            });
        }
        if net.output().len() != classes {
            return Err(Error::Network {
                network: self.name.clone(),
                problem: format!(
                    "its last layer gives {} values, the data set has {classes} classes",
                    net.output().len()
                ),
            });
        }
        Ok(net)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Layer;

    #[test]
    fn the_input_ttm_can_be_chosen_alone_and_only_where_there_is_one() {
        let recipe = |name: &str| NetworkRecipe {
            name: name.into(),
            input_ttm: Some(TtmMode::Trim),
            ..NetworkRecipe::default()
        };
        let events = Shape::new(2, 34, 34);
        let net = recipe("nmnist-small").build(events, InputKind::Events, 10).unwrap();
        let modes: Vec<TtmMode> = net
            .nodes()
            .iter()
            .filter_map(|n| match n.layer {
                Layer::Ttm(m) => Some(m),
                _ => None,
            })
            .collect();
        assert_eq!(modes, [TtmMode::Trim, TtmMode::Even, TtmMode::Even]);
        let e = recipe("resnet18").build(Shape::new(3, 32, 32), InputKind::Image, 10).unwrap_err();
        assert!(matches!(&e, Error::Network { network, .. } if network == "resnet18"), "{e}");
    }
}
