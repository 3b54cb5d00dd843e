//! Warnings before the first iteration about recipes that can be trained but are probably mistakes.

use tickless_net::recipe::Recipe;
use tickless_net::{InputKind, Layer, Network, Pool, PoolKind};

/// A recipe that can be trained, and is probably a mistake.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Warning {
    /// Recordings are the input of a network with max pooling, which needs a clock.
    #[error(
        "layer `{layer}` is max pooling, which has no event-driven form: this network will run at time steps only; for a \
         run without a clock use `average` pooling"
    )]
    MaxPooling {
        /// Name of the layer.
        layer: String,
    },
    /// Recordings are the input of a network with attention, which needs a clock.
    #[error(
        "layer `{layer}` is attention, which has no event-driven form: this network will run at time steps only; for a \
         run without a clock use a `conv`"
    )]
    Attention {
        /// Name of the layer.
        layer: String,
    },
    /// All draws give the same number of steps.
    #[error(
        "`train.t_min` and `train.t_max` are both {steps}: {strategy} draws nothing and trains as SDT; lower \
         `train.t_min`"
    )]
    OneNumberOfSteps {
        /// The strategy, in capitals.
        strategy: String,
        /// The number of steps.
        steps: usize,
    },
    /// The network is one stage, which recordings enter at T_max.
    #[error(
        "network `{network}` has no TTM layer, so it is one stage that always runs at T_max: {strategy} trains as SDT; \
         begin each stage with `layer = \"ttm\"`"
    )]
    NoTtm {
        /// Name of the network.
        network: String,
        /// The strategy, in capitals.
        strategy: String,
    },
    /// Mixed time steps need several stages.
    #[error(
        "network `{network}` has one stage, so MTT trains as NMT: one number of steps for all layers; begin each stage \
         with `layer = \"ttm\"`"
    )]
    OneStage {
        /// Name of the network.
        network: String,
    },
    /// No TTM changes the number of steps of the first stage.
    #[error(
        "network `{network}` has no TTM at its input, so its first stage always runs at T_max; put `layer = \"ttm\"` \
         before its first layer"
    )]
    FixedFirstStage {
        /// Name of the network.
        network: String,
    },
    /// All blocks are one stage.
    #[error("`train.group` = {group} puts all {stages} blocks into one stage: MTT trains as NMT; lower `train.group`")]
    OneGroup {
        /// The number of blocks in a stage.
        group: usize,
        /// The number of blocks of the network.
        stages: usize,
    },
}

/// A warning for each probable mistake.
pub(super) fn warnings(recipe: &Recipe, network: &Network) -> Vec<Warning> {
    let mut all = Vec::new();
    if recipe.train.epochs > 0 {
        all.extend(same_as_another(recipe, network));
    }
    if network.input().kind == InputKind::Events {
        all.extend(needs_clock(network));
    }
    all
}

/// A warning for the first layer of each kind that has no event-driven form, whatever the weights
/// are.
fn needs_clock(network: &Network) -> impl Iterator<Item = Warning> {
    let first = |wanted: fn(&Layer) -> bool| network.nodes().iter().find(|n| wanted(&n.layer)).map(|n| n.name.clone());
    let max = first(|l| matches!(l, Layer::Pool(Pool { kind: PoolKind::Max, .. })));
    let attention = first(|l| matches!(l, Layer::Attention(_)));
    let max = max.map(|layer| Warning::MaxPooling { layer });
    max.into_iter().chain(attention.map(|layer| Warning::Attention { layer }))
}

/// The warning if, with this network and these steps, a strategy trains as another one does.
fn same_as_another(recipe: &Recipe, network: &Network) -> Option<Warning> {
    let t = &recipe.train;
    let (name, stages) = (network.name().to_owned(), network.stages());
    if t.strategy == "sdt" {
        return None;
    }
    let strategy = t.strategy.to_uppercase();
    // A recording enters in T_max frames, and only a TTM can change that number.
    let first_fixed = network.input().kind == InputKind::Events && !network.has_input_ttm();
    if t.t_min == t.t_max {
        return Some(Warning::OneNumberOfSteps { strategy, steps: t.t_max });
    }
    match (stages, first_fixed) {
        (1, true) => Some(Warning::NoTtm { network: name, strategy }),
        (1, false) if t.strategy == "mtt" => Some(Warning::OneStage { network: name }),
        (_, true) => Some(Warning::FixedFirstStage { network: name }),
        (_, false) if t.strategy == "mtt" && t.group >= stages => Some(Warning::OneGroup { group: t.group, stages }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use tickless_net::Shape;

    /// The warnings for a network of these layers with recordings or images as input.
    fn of(layers: &[&str], kind: InputKind, set: &[&str]) -> Vec<Warning> {
        let layers: String = layers.iter().map(|l| format!("[[network.layers]]\nlayer = {l}\n")).collect();
        let text = format!("[data]\nset = \"digits-dvs\"\n[network]\nname = \"mine\"\n{layers}");
        let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
        let recipe = Recipe::parse(&text, Path::new("r.toml"), &set).expect("a recipe");
        let network = recipe.network.build(Shape::new(2, 16, 16), kind, 10).expect("a network");
        warnings(&recipe, &network)
    }

    const TTM: &str = "\"ttm\"";
    const CONV: &str = "\"conv\"\nout = 4";
    const NEURON: &str = "\"neuron\"";
    const LINEAR: &str = "\"linear\"\nout = 10";

    #[test]
    fn a_strategy_that_trains_as_another_is_named() {
        let events = InputKind::Events;
        let staged = [TTM, CONV, NEURON, TTM, LINEAR];
        assert_eq!(of(&staged, events, &[]), [], "two stages with a TTM at the input are what MTT is for");
        let bare = [CONV, NEURON, LINEAR];
        let network = || "mine".to_owned();
        for (strategy, capitals) in [("mtt", "MTT"), ("nmt", "NMT")] {
            let all = of(&bare, events, &[&format!("train.strategy={strategy}")]);
            assert_eq!(all, [Warning::NoTtm { network: network(), strategy: capitals.into() }]);
        }
        assert_eq!(of(&bare, events, &["train.strategy=sdt"]), []);
        assert_eq!(of(&bare, InputKind::Image, &[]), [Warning::OneStage { network: network() }]);
        assert_eq!(of(&bare, InputKind::Image, &["train.strategy=nmt"]), [], "that is what NMT does");
        let one_stage = [Warning::OneStage { network: network() }];
        assert_eq!(of(&[TTM, CONV, NEURON, LINEAR], events, &[]), one_stage);
        let all = of(&[CONV, NEURON, TTM, LINEAR], events, &[]);
        assert_eq!(all, [Warning::FixedFirstStage { network: network() }]);
        let all = of(&staged, events, &["train.t_min=10"]);
        assert_eq!(all, [Warning::OneNumberOfSteps { strategy: "MTT".into(), steps: 10 }]);
        assert_eq!(of(&staged, events, &["train.group=2"]), [Warning::OneGroup { group: 2, stages: 2 }]);
        assert_eq!(of(&bare, events, &["train.epochs=0"]), [], "what is not trained has no strategy");
    }

    #[test]
    fn max_pooling_is_named_where_there_is_a_run_without_a_clock_to_lose() {
        let layers = [TTM, CONV, NEURON, "\"pool\"\nkernel = 2\nkind = \"max\"", TTM, LINEAR];
        let all = of(&layers, InputKind::Events, &["train.strategy=sdt"]);
        assert_eq!(all, [Warning::MaxPooling { layer: "pool1".into() }]);
        assert_eq!(of(&layers, InputKind::Image, &["train.strategy=sdt"]), []);
        let average = [TTM, CONV, NEURON, "\"pool\"\nkernel = 2", TTM, LINEAR];
        assert_eq!(of(&average, InputKind::Events, &["train.strategy=sdt"]), []);
    }

    #[test]
    fn attention_is_named_where_there_is_a_run_without_a_clock_to_lose() {
        let attention = "\"attention\"\nfrom = [\"neuron1\", \"neuron1\", \"neuron1\"]";
        let layers = [TTM, CONV, NEURON, attention, NEURON, TTM, LINEAR];
        let all = of(&layers, InputKind::Events, &["train.strategy=sdt"]);
        assert_eq!(all, [Warning::Attention { layer: "attention1".into() }]);
        assert_eq!(of(&layers, InputKind::Image, &["train.strategy=sdt"]), []);
    }
}
