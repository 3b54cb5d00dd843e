//! Networks for other tools and chips, out and in.

use super::common::Scratch;
use super::residual;
use tickless::train::run::RunFolder;

#[test]
fn a_trained_network_is_exported_for_other_tools_and_chips() {
    let scratch = Scratch::trained();
    let said = scratch.ok(&["export", "run", "--to", "nir"]);
    assert!(said.stdout.contains("run/network.nir"), "{said:#?}");
    let graph = tickless::net::interop::nir::read(&scratch.at("run/network.nir")).unwrap();
    let options = tickless::net::interop::nir::ImportOptions::default();
    let back = tickless::net::interop::nir::import(&graph, &scratch.at("run/network.nir"), &options).unwrap();
    let run = RunFolder::open(&scratch.at("run")).unwrap().load().unwrap();
    assert_eq!((&back.network, &back.weights), (&*run.network, &run.weights), "nothing is lost on the way");
    scratch.refused_with(&["export", "run", "--to", "nir", "--reader", "brian"], &["brian", "sinabs", "norse"]);
    scratch.refused_with(&["export", "run", "--to", "speck"], &[]);
    let residual = residual();
    residual.refused_with(&["export", "base", "--to", "nir"], &["has a bias", "tickless finetune"]);
}

#[test]
fn an_if_network_is_configured_for_a_chip() {
    let scratch = Scratch::small();
    let model = ["--set", "network.neuron.model=\"if\""];
    scratch.ok(&[&["train", "small.toml", "--output", "run"], &model[..]].concat());
    scratch.ok(&["export", "run", "--to", "speck"]);
    assert!(scratch.json("run/speck.json").is_object());
}

#[test]
fn an_exported_graph_is_imported_as_the_same_run() {
    let scratch = Scratch::trained();
    scratch.ok(&["export", "run", "--to", "nir", "--output", "net.nir"]);
    let made = scratch.ok_json(&["import", "net.nir", "--recipe", "small.toml", "--output", "back"]);
    assert_eq!((&made["run"], &made["notes"]), (&"back".into(), &serde_json::json!([])));
    let results = ["run", "back"].map(|run| scratch.ok_json(&["simulate", run, "--limit", "20"]));
    for key in ["accuracy", "layers", "synaptic_operations", "spike_difference", "decisions"] {
        assert_eq!(results[0][key], results[1][key], "{key}");
    }
    let clocked = ["run", "back"].map(|run| scratch.ok_json(&["eval", run, "--steps", "1,4"]));
    assert_eq!(clocked[0]["points"], clocked[1]["points"]);
    let theirs = ["import", "net.nir", "--recipe", "small.toml", "--output", "theirs", "--dialect"];
    let words = scratch.ok(&[&theirs[..], &["plain"]].concat()).stdout;
    assert!(words.contains("next: tickless simulate theirs"), "{words}");
    scratch.refused_with(&[&theirs[..], &["brain"]].concat(), &["--dialect brain", "tickless"]);
    scratch.refused_with(&["import", "small.toml", "--recipe", "small.toml"], &["small.toml", "HDF5"]);
    scratch
        .refused_with(&["import", "net.nir", "--recipe", "small.toml", "--output", "back"], &["back", "run already"]);
    let other = ["import", "net.nir", "--recipe", "small.toml", "--set", "data.size=[16,16]"];
    scratch.refused_with(&other, &["2×34×34", "2×16×16", "data.size"]);
}
