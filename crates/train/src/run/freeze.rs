//! The tensors that a training leaves as they are (`train.freeze`).

use crate::error::{Error, Result};
use std::collections::BTreeSet;
use tickless_net::{Network, suggest};

/// The names of the trainable tensors of all layers that `patterns` name. A pattern is the name of a
/// layer, or the start of names and a `*`.
///
/// # Errors
/// If a pattern names no layer with trainable tensors, or all such layers are named.
pub(super) fn frozen_tensors(patterns: &[String], network: &Network) -> Result<BTreeSet<String>> {
    let refuse = |problem: String| Err(Error::Recipe { key: "train.freeze", problem });
    let mut frozen = BTreeSet::new();
    let tensors = network.tensors();
    let trainable: Vec<(&str, &str)> = tensors
        .iter()
        .filter(|(_, _, spec)| spec.trainable)
        .map(|(node, name, _)| (network.nodes()[*node].name.as_str(), name.as_str()))
        .collect();
    for pattern in patterns {
        let is_named = |layer: &str| match pattern.strip_suffix('*') {
            Some(start) => layer.starts_with(start),
            None => layer == pattern,
        };
        let before = frozen.len();
        frozen.extend(trainable.iter().filter(|(layer, _)| is_named(layer)).map(|(_, name)| (*name).to_owned()));
        if frozen.len() == before && !trainable.iter().any(|(layer, _)| is_named(layer)) {
            let hint = suggest::hint(pattern, trainable.iter().map(|(layer, _)| *layer));
            return refuse(format!("names `{pattern}`, and no layer with weights has this name{hint}"));
        }
    }
    if !frozen.is_empty() && frozen.len() == trainable.len() {
        return refuse("names every layer with weights, so nothing is left to train: leave one out".into());
    }
    Ok(frozen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickless_net::zoo::{ZooOptions, build};

    fn frozen(patterns: &[&str]) -> Result<Vec<String>> {
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let network = build("resnet18", &ZooOptions::default()).unwrap();
        frozen_tensors(&patterns, &network).map(|all| all.into_iter().collect())
    }

    #[test]
    fn patterns_name_layers_or_the_start_of_their_names() {
        assert_eq!(frozen(&["conv1", "norm1"]).unwrap(), ["conv1.weight", "norm1.bias", "norm1.weight"]);
        let block = frozen(&["block3.*"]).unwrap();
        assert_eq!(block.len(), 3 * 3, "{block:?}");
        assert!(block.iter().all(|name| name.starts_with("block3.")));
        assert!(frozen(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_pattern_without_a_layer_and_a_network_without_a_trained_layer_are_refused() {
        let e = frozen(&["conv2"]).unwrap_err().to_string();
        assert!(e.contains("`train.freeze` names `conv2`") && e.contains("`conv1`?"), "{e}");
        let e = frozen(&["block9.*"]).unwrap_err().to_string();
        assert!(e.contains("names `block9.*`"), "{e}");
        let e = frozen(&["*"]).unwrap_err().to_string();
        assert!(e.contains("every"), "{e}");
    }
}
