//! Export of networks to other tools and chips, and import.

use super::residual;
use tickless::net::interop::nir::{self, Graph, Node, Tensor};
use tickless::train::run::RunFolder;
use tickless_testing::command::Scratch;

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
    let import = ["import", "net.nir", "--recipe", "small.toml", "--set", "train.t_max=8", "--output", "finer"];
    let notes = scratch.ok_json(&import)["notes"].to_string();
    assert!(notes.contains("another time constant"), "λ belongs to a step, which is another here: {notes}");
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

/// A graph as another framework may write it: 2×34×34 → flatten → 10 LIF or IF neurons, all with
/// this weight.
fn theirs(neuron: Node, weight: f64) -> Graph {
    let n = 2 * 34 * 34;
    let mut graph = Graph::default();
    let nodes = [
        ("input", Node::Input { shape: vec![2, 34, 34] }),
        ("flat", Node::Flatten { start: 0, end: -1, input: Some(vec![2, 34, 34]) }),
        ("fc", Node::Linear { weight: Tensor::full(&[10, n], weight) }),
        ("cell", neuron),
        ("output", Node::Output { shape: vec![10] }),
    ];
    for pair in nodes.windows(2) {
        graph.edges.push((pair[0].0.to_owned(), pair[1].0.to_owned()));
    }
    graph.nodes = nodes.into_iter().map(|(name, node)| (name.to_owned(), node)).collect();
    graph
}

fn lif(tau: f64) -> Node {
    let full = |v| Tensor::full(&[10], v);
    Node::Lif { tau: full(tau), r: full(1.0), leak: full(0.0), threshold: full(1.0), reset: full(0.0) }
}

#[test]
fn a_time_constant_in_seconds_runs_as_it_is_at_every_t_max() {
    let scratch = Scratch::small();
    nir::write(&theirs(lif(0.02), 1.0), &scratch.at("net.nir")).unwrap();
    let mut runs = Vec::new();
    for t_max in ["4", "9"] {
        let (run, set) = (format!("run{t_max}"), format!("train.t_max={t_max}"));
        let import = ["import", "net.nir", "--recipe", "small.toml", "--dialect", "norse", "--dt", "0.001"];
        scratch.ok(&[&import[..], &["--output", &run, "--set", &set]].concat());
        let tau = scratch.json(&format!("{run}/run.json"))["tau_us"].as_f64().unwrap();
        assert!((tau - 20_000.0).abs() < 1e-6, "τ is {tau} µs at T_max = {t_max}");
        runs.push(scratch.ok_json(&["simulate", &run, "--limit", "10"]));
    }
    let fired = runs[0]["layers"][0]["spikes"].as_f64().unwrap();
    assert!(fired > 0.0, "{:#}", runs[0]);
    for key in ["accuracy", "layers", "synaptic_operations"] {
        assert_eq!(runs[0][key], runs[1][key], "{key}: the engine has no T_max");
    }
}

#[test]
fn a_graph_whose_writer_nothing_names_needs_a_dialect() {
    let scratch = Scratch::small();
    let full = |v| Tensor::full(&[10], v);
    let integrator = |r| Node::If { r: full(r), threshold: full(1.0), reset: full(0.0) };
    nir::write(&theirs(integrator(1.0), 0.5), &scratch.at("unknown.nir")).unwrap();
    let import =
        |file: &'static str, output: &'static str| vec!["import", file, "--recipe", "small.toml", "--output", output];
    scratch.refused_with(&import("unknown.nir", "a"), &["unknown.nir", "who wrote it", "--dialect", "sinabs"]);
    assert!(!scratch.at("a").exists(), "a refused import leaves no folder");
    // Read as plain NIR, r is in 1/s and a step lasts 0.1 ms: no neuron fires, and the command
    // warns.
    let said = scratch.ok(&[&import("unknown.nir", "b")[..], &["--dialect", "plain"]].concat());
    assert!(said.stderr.contains("warning: layer `cell` never fired"), "{said:#?}");
    // r = 1/Δt identifies SpikingJelly.
    nir::write(&theirs(integrator(1e4), 0.5), &scratch.at("jelly.nir")).unwrap();
    let made = scratch.ok_json(&import("jelly.nir", "c"));
    assert_eq!((&made["dialect"], &made["silent"]), (&"spikingjelly".into(), &serde_json::json!([])), "{made:#}");
    assert!(made["notes"][0].as_str().unwrap().contains("r = 1/Δt"), "{made:#}");
}

#[test]
fn one_of_several_outputs_is_imported_by_name() {
    let scratch = Scratch::small();
    let mut graph = theirs(lif(0.02), 1.0);
    graph.nodes.insert("probe".into(), Node::Output { shape: vec![10] });
    graph.edges.push(("fc".into(), "probe".into()));
    nir::write(&graph, &scratch.at("two.nir")).unwrap();
    let import = ["import", "two.nir", "--recipe", "small.toml", "--dialect", "norse", "--output", "run"];
    scratch.refused_with(&import, &["two.nir", "2 outputs (output, probe)", "--output-node"]);
    scratch.ok(&[&import[..], &["--output-node", "output"]].concat());
}
