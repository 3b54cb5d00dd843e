//! Removes biases and batch norm, because an event-driven run has no steps at which to apply them.
//!
//! A norm in evaluation mode is affine, y = γ·(x − μ)/√(σ² + ε) + β, so [`fold_norm`] can fold it
//! into the convolution (or linear layer) before it:
//!
//! ```text
//! W′ = W·γ/√(σ² + ε)        b′ = (b − μ)·γ/√(σ² + ε) + β        (fold_norm)
//! ```
//!
//! This fold leaves a bias b′, which an event-driven run cannot apply. [`deployable`] and
//! [`keep_norm`] therefore set every bias and every running mean to zero first and fold only the
//! scale; fine-tuning without biases then recovers the accuracy. Source: Du et al., ICLR 2025
//! (arXiv 2503.17394), released code (`bias_remove`, `bn_merge_biasless`); golden `bn_fold`.

use crate::error::{Error, Result};
use crate::layer::{Layer, Norm};
use crate::network::{Network, NetworkBuilder, Node, NodeId};
use crate::weights::{Array, Weights};
use std::path::Path;

/// Folds every norm into the layer before it: the outputs in evaluation mode stay the same, and
/// each folded layer gains a bias.
///
/// # Errors
/// If the input of a norm is not a convolution or linear layer whose only consumer is that norm, if
/// the scale of a channel is not finite, or if the weights are not those of the network.
pub fn fold_norm(network: &Network, weights: &Weights) -> Result<(Network, Weights)> {
    let pairs = pairs(network, weights)?;
    let mut folded = weights.clone();
    for &(before, norm) in &pairs {
        let (name, norm) = (&network.nodes()[before].name, &network.nodes()[norm]);
        let scale = fold_scale(name, norm, &mut folded)?;
        let (mean, beta) = (folded.require(&norm.name, "running_mean")?, folded.require(&norm.name, "bias")?);
        let old = folded.get(&format!("{name}.bias"));
        let bias = (0..scale.len())
            .map(|c| {
                let b = old.map_or(0.0, |o| f64::from(o.data[c]));
                ((b - f64::from(mean.data[c])) * scale[c] + f64::from(beta.data[c])) as f32
            })
            .collect();
        folded.insert(format!("{name}.bias"), Array::new(vec![scale.len()], bias));
        drop_tensors(&norm.name, &mut folded);
    }
    let network = rebuild(network, |i, node| {
        if pairs.iter().any(|p| p.1 == i) {
            return None;
        }
        Some(if pairs.iter().any(|p| p.0 == i) { with_bias(node.layer, true) } else { node.layer })
    })?;
    Ok((network, folded))
}

/// Returns the weights with every bias and every running mean set to zero, for the unchanged
/// network.
///
/// # Errors
/// If the weights are not those of the network.
pub fn remove_bias(network: &Network, weights: &Weights) -> Result<Weights> {
    weights.check(network, Path::new("<memory>"))?;
    let mut removed = weights.clone();
    for (_, name, spec) in network.tensors() {
        if matches!(spec.name, "bias" | "running_mean") {
            removed.insert(name, Array::full(&spec.shape, 0.0));
        }
    }
    Ok(removed)
}

/// The network for an event-driven run: sets the biases to zero, folds the scale of each norm into
/// the layer before it, and removes norms and biases from the graph.
///
/// # Errors
/// As [`fold_norm`], and if the network contains another layer that cannot run event-driven (max
/// pooling or attention).
pub fn deployable(network: &Network, weights: &Weights) -> Result<(Network, Weights)> {
    let pairs = pairs(network, weights)?;
    let mut merged = remove_bias(network, weights)?;
    for &(before, norm) in &pairs {
        let norm = &network.nodes()[norm];
        fold_scale(&network.nodes()[before].name, norm, &mut merged)?;
        drop_tensors(&norm.name, &mut merged);
    }
    let network = rebuild(network, |i, node| (!pairs.iter().any(|p| p.1 == i)).then(|| with_bias(node.layer, false)))?;
    network.check_event_driven()?;
    drop_biases(&network, &mut merged);
    Ok((network, merged))
}

/// As [`deployable`], but keeps each norm, with weight 1, bias 0, mean 0 and variance 1, so the
/// network can be fine-tuned in evaluation mode and folded a second time.
///
/// # Errors
/// As [`fold_norm`].
pub fn keep_norm(network: &Network, weights: &Weights) -> Result<(Network, Weights)> {
    let pairs = pairs(network, weights)?;
    let mut merged = remove_bias(network, weights)?;
    for &(before, norm) in &pairs {
        let norm = &network.nodes()[norm];
        let channels = fold_scale(&network.nodes()[before].name, norm, &mut merged)?.len();
        for tensor in ["weight", "running_var"] {
            merged.insert(format!("{}.{tensor}", norm.name), Array::full(&[channels], 1.0));
        }
    }
    let network = rebuild(network, |_, node| Some(with_bias(node.layer, false)))?;
    drop_biases(&network, &mut merged);
    Ok((network, merged))
}

/// Every norm and the layer it is folded into, as pairs of node indices (layer, norm).
fn pairs(network: &Network, weights: &Weights) -> Result<Vec<(usize, usize)>> {
    weights.check(network, Path::new("<memory>"))?;
    let (nodes, readers) = (network.nodes(), network.readers());
    let mut pairs = Vec::new();
    for (i, node) in nodes.iter().enumerate().filter(|(_, n)| matches!(n.layer, Layer::Norm(_))) {
        let problem = match node.from[0] {
            NodeId::Input => "it reads the input".to_owned(),
            NodeId::Node(b) => match nodes[b].layer {
                Layer::Conv(_) | Layer::Linear(_) if readers[b] == 1 => {
                    pairs.push((b, i));
                    continue;
                }
                Layer::Conv(_) | Layer::Linear(_) => {
                    format!("`{}` before it is read by other layers too", nodes[b].name)
                }
                other => format!("it stands behind `{}`, a `{}` layer", nodes[b].name, other.kind()),
            },
        };
        let rule = "a norm folds only into a `conv` or `linear` directly before it that only it reads";
        return Err(Error::layer(&node.name, format!("cannot be folded: {problem}; {rule}")));
    }
    Ok(pairs)
}

/// Scales the weights of `layer`, W ← W·γ/√(σ² + ε), and returns the factor of each output channel.
fn fold_scale(layer: &str, norm: &Node, weights: &mut Weights) -> Result<Vec<f64>> {
    let Layer::Norm(Norm { eps, .. }) = norm.layer else { return Err(Error::layer(&norm.name, "is no norm")) };
    let (gamma, var) = (weights.require(&norm.name, "weight")?, weights.require(&norm.name, "running_var")?);
    let scale: Vec<f64> =
        gamma.data.iter().zip(&var.data).map(|(&g, &v)| f64::from(g) / (f64::from(v) + eps).sqrt()).collect();
    if let Some(c) = scale.iter().position(|s| !s.is_finite()) {
        let problem =
            format!("channel {c} has weight {} and variance {}: the scale is not a number", gamma.data[c], var.data[c]);
        return Err(Error::layer(&norm.name, problem));
    }
    let mut weight = weights.require(layer, "weight")?.clone();
    let per_channel = weight.data.len() / scale.len();
    for (values, s) in weight.data.chunks_mut(per_channel).zip(&scale) {
        values.iter_mut().for_each(|w| *w = (f64::from(*w) * s) as f32);
    }
    weights.insert(format!("{layer}.weight"), weight);
    Ok(scale)
}

fn drop_tensors(norm: &str, weights: &mut Weights) {
    for tensor in ["weight", "bias", "running_mean", "running_var"] {
        weights.tensors.remove(&format!("{norm}.{tensor}"));
    }
}

/// Removes the bias tensors of all layers; the graph has none.
fn drop_biases(network: &Network, weights: &mut Weights) {
    for node in network.nodes().iter().filter(|n| matches!(n.layer, Layer::Conv(_) | Layer::Linear(_))) {
        weights.tensors.remove(&format!("{}.bias", node.name));
    }
}

fn with_bias(layer: Layer, bias: bool) -> Layer {
    match layer {
        Layer::Conv(c) => Layer::Conv(crate::Conv { bias, ..c }),
        Layer::Linear(l) => Layer::Linear(crate::Linear { bias, ..l }),
        other => other,
    }
}

/// Copies the graph and replaces each layer by `change`. If `change` returns `None`, the node is
/// left out, and its consumers read its input instead.
fn rebuild(network: &Network, change: impl Fn(usize, &Node) -> Option<Layer>) -> Result<Network> {
    let input = network.input();
    let mut builder = NetworkBuilder::new(network.name(), input.shape, input.kind);
    let mut place: Vec<NodeId> = Vec::with_capacity(network.nodes().len());
    for (i, node) in network.nodes().iter().enumerate() {
        let new_id = |id: &NodeId| match *id {
            NodeId::Input => NodeId::Input,
            NodeId::Node(n) => place[n],
        };
        let from: Vec<NodeId> = node.from.iter().map(new_id).collect();
        place.push(match change(i, node) {
            Some(layer) => builder.add_copy(node, layer, &from),
            None => from[0],
        });
    }
    builder.build()
}

#[cfg(test)]
mod tests;
