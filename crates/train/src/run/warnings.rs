//! Warnings before the first iteration about recipes that can be trained but are probably mistakes.

use tickless_net::recipe::Recipe;
use tickless_net::{InputKind, Layer, Network, Pool, PoolKind};

/// One sentence for each probable mistake.
pub(super) fn warnings(recipe: &Recipe, network: &Network) -> Vec<String> {
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
fn needs_clock(network: &Network) -> impl Iterator<Item = String> {
    let first = |wanted: fn(&Layer) -> bool| network.nodes().iter().find(|n| wanted(&n.layer));
    let max = first(|l| matches!(l, Layer::Pool(Pool { kind: PoolKind::Max, .. })));
    let attention = first(|l| matches!(l, Layer::Attention(_)));
    let found = [(max, "max pooling", "use `average` pooling"), (attention, "attention", "use a `conv`")];
    found.into_iter().filter_map(|(node, what, remedy)| {
        node.map(|node| {
            format!(
                "layer `{}` is {what}, which has no event-driven form: this network will run at time steps only; for a \
                 run without a clock {remedy}",
                node.name
            )
        })
    })
}

/// The warning if, with this network and these steps, a strategy trains as another one does.
fn same_as_another(recipe: &Recipe, network: &Network) -> Option<String> {
    let t = &recipe.train;
    let (name, stages) = (network.name(), network.stages());
    if t.strategy == "sdt" {
        return None;
    }
    let strategy = t.strategy.to_uppercase();
    // A recording enters in T_max frames, and only a TTM can change that number.
    let first_fixed = network.input().kind == InputKind::Events && !network.has_input_ttm();
    if t.t_min == t.t_max {
        return Some(format!(
            "`train.t_min` and `train.t_max` are both {}: {strategy} draws nothing and trains as SDT; lower `train.t_min`",
            t.t_max
        ));
    }
    match (stages, first_fixed) {
        (1, true) => Some(format!(
            "network `{name}` has no TTM layer, so it is one stage that always runs at T_max: {strategy} trains as SDT; \
             begin each stage with `layer = \"ttm\"`"
        )),
        (1, false) if t.strategy == "mtt" => Some(format!(
            "network `{name}` has one stage, so MTT trains as NMT: one number of steps for all layers; begin each stage \
             with `layer = \"ttm\"`"
        )),
        (_, true) => Some(format!(
            "network `{name}` has no TTM at its input, so its first stage always runs at T_max; put `layer = \"ttm\"` before \
             its first layer"
        )),
        (_, false) if t.strategy == "mtt" && t.group >= stages => Some(format!(
            "`train.group` = {} puts all {stages} blocks into one stage: MTT trains as NMT; lower `train.group`",
            t.group
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use tickless_net::Shape;

    /// The warnings for a network of these layers with recordings or images as input.
    fn of(layers: &[&str], kind: InputKind, set: &[&str]) -> Vec<String> {
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
        assert_eq!(of(&staged, events, &[]), [""; 0], "two stages with a TTM at the input are what MTT is for");
        let bare = [CONV, NEURON, LINEAR];
        for (strategy, said) in [("mtt", "MTT trains as SDT"), ("nmt", "NMT trains as SDT")] {
            let all = of(&bare, events, &[&format!("train.strategy={strategy}")]);
            assert!(all.len() == 1 && all[0].contains("no TTM layer") && all[0].contains(said), "{all:?}");
        }
        assert_eq!(of(&bare, events, &["train.strategy=sdt"]), [""; 0]);
        let all = of(&bare, InputKind::Image, &[]);
        assert!(all.len() == 1 && all[0].contains("MTT trains as NMT"), "{all:?}");
        assert_eq!(of(&bare, InputKind::Image, &["train.strategy=nmt"]), [""; 0], "that is what NMT does");
        let all = of(&[TTM, CONV, NEURON, LINEAR], events, &[]);
        assert!(all.len() == 1 && all[0].contains("MTT trains as NMT"), "{all:?}");
        let all = of(&[CONV, NEURON, TTM, LINEAR], events, &[]);
        assert!(all.len() == 1 && all[0].contains("first stage always runs at T_max"), "{all:?}");
        let all = of(&staged, events, &["train.t_min=10"]);
        assert!(all.len() == 1 && all[0].contains("MTT draws nothing"), "{all:?}");
        let all = of(&staged, events, &["train.group=2"]);
        assert!(all.len() == 1 && all[0].contains("`train.group` = 2"), "{all:?}");
        assert_eq!(of(&bare, events, &["train.epochs=0"]), [""; 0], "what is not trained has no strategy");
    }

    #[test]
    fn max_pooling_is_named_where_there_is_a_run_without_a_clock_to_lose() {
        let layers = [TTM, CONV, NEURON, "\"pool\"\nkernel = 2\nkind = \"max\"", TTM, LINEAR];
        let all = of(&layers, InputKind::Events, &["train.strategy=sdt"]);
        assert!(all.len() == 1 && all[0].contains("layer `pool1` is max pooling"), "{all:?}");
        assert_eq!(of(&layers, InputKind::Image, &["train.strategy=sdt"]), [""; 0]);
        let average = [TTM, CONV, NEURON, "\"pool\"\nkernel = 2", TTM, LINEAR];
        assert_eq!(of(&average, InputKind::Events, &["train.strategy=sdt"]), [""; 0]);
    }

    #[test]
    fn attention_is_named_where_there_is_a_run_without_a_clock_to_lose() {
        let attention = "\"attention\"\nfrom = [\"neuron1\", \"neuron1\", \"neuron1\"]";
        let layers = [TTM, CONV, NEURON, attention, NEURON, TTM, LINEAR];
        let all = of(&layers, InputKind::Events, &["train.strategy=sdt"]);
        assert!(all.len() == 1 && all[0].contains("layer `attention1` is attention"), "{all:?}");
        assert_eq!(of(&layers, InputKind::Image, &["train.strategy=sdt"]), [""; 0]);
    }
}
