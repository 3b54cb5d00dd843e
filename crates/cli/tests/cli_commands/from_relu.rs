//! `import --from-relu`: a network with rectifiers becomes a run of spiking neurons.

use super::checkpoints::save;
use super::images::records;
use std::path::Path;
use std::sync::Arc;
use tickless::net::init::{InitScheme, initialise};
use tickless::net::interop::checkpoint::{Dialect, rename};
use tickless::net::recipe::Recipe;
use tickless::net::{Array, InputKind, Layer, Network, Shape, Weights};
use tickless::train::data::{Parts, Source};
use tickless::train::device::device;
use tickless::train::model::{Model, NormMode, Pass};
use tickless_testing::command::{Scratch, number};
use tickless_testing::generate::Rng;

/// A small residual network for images, with norms, biases and an identity.
const IMAGES: &str = r#"
seed = 3
[data]
set = "cifar10"
path = "cifar"
[network]
name = "relu"
neuron = { model = "if", v_min = "none" }
[[network.layers]]
layer = "conv"
out = 6
kernel = 4
stride = 4
padding = 0
bias = true
[[network.layers]]
layer = "norm"
[[network.layers]]
layer = "neuron"
name = "stem"
[[network.layers]]
layer = "conv"
out = 6
[[network.layers]]
layer = "norm"
name = "branch"
[[network.layers]]
layer = "add"
from = ["branch", "stem"]
[[network.layers]]
layer = "neuron"
name = "block"
[[network.layers]]
layer = "global_average"
[[network.layers]]
layer = "linear"
out = 10
bias = true
[train]
strategy = "mtt"
t_max = 4
samples = 1
epochs = 1
batch = 10
[eval]
steps = [1, 4]
"#;

/// A folder with 60 training and 30 test images of random pixels, and [`IMAGES`] as `relu.toml`.
fn images() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("cifar/data_batch_1.bin", records(60, 1, 10));
    scratch.write("cifar/test_batch.bin", records(30, 1, 10));
    scratch.write("relu.toml", IMAGES);
    scratch
}

fn network_of(scratch: &Scratch, shape: Shape, kind: InputKind) -> Network {
    Recipe::load(&scratch.at("relu.toml"), &[]).unwrap().network.build(shape, kind, 10).unwrap()
}

/// Weights with norms that change every value.
fn lively(network: &Network) -> Weights {
    let mut weights = initialise(network, InitScheme::KaimingNormalFanOut, 5);
    let mut r = Rng(8);
    for (i, name, spec) in network.tensors() {
        if matches!(network.nodes()[i].layer, Layer::Norm(_)) {
            let data = (0..spec.shape[0]).map(|_| 1.0 + 0.4 * r.unit()).collect();
            weights.insert(name, Array::new(spec.shape, data));
        }
    }
    weights
}

/// Saves weights as torch does, in the names of the recipe.
fn saved(scratch: &Scratch, name: &str, weights: &Weights, network: &Network) {
    let named = rename(weights, network, Dialect::Tickless, None).unwrap();
    let named: Vec<(&str, &Array)> = named.iter().map(|(n, a)| (n.as_str(), a)).collect();
    save(scratch, name, &named);
}

const IMPORT: [&str; 6] = ["import", "relu.pt", "--recipe", "relu.toml", "--from-relu", "--output"];

fn import<'a>(output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&IMPORT[..], &[output], more].concat()
}

/// The classes that the network with rectifiers gives the test samples.
fn answers_with_rectifiers(scratch: &Scratch, network: &Network, weights: &Weights) -> Vec<usize> {
    let mut recipe = Recipe::load(&scratch.at("relu.toml"), &[]).unwrap();
    recipe.data.path = Some(scratch.at("cifar"));
    let source = Source::open(&recipe.data, recipe.seed).unwrap();
    let ids = Parts::of(&source, &recipe.data, recipe.seed).unwrap().test;
    let on = device("cpu").unwrap();
    let model = Model::new(Arc::new(network.clone()), weights, &on).unwrap().with_rectifiers();
    let (input, _) = source.batch(&ids, 1, None).unwrap().into_sequence(&on);
    let pass = Pass {
        configuration: &[1],
        norm: NormMode::Running,
        leak: tickless::net::LeakRule::Step,
        t_max: 1,
        step_us: None,
    };
    let mut rng = tickless::train::seed::rng(0, "test", 0);
    let out = model.forward(&model.constants(), input, &pass, &mut rng, None).unwrap();
    let logits = tickless::train::model::readout::time_mean(out.logits);
    logits.chunks(10).map(tickless::train::model::readout::largest).collect()
}

#[test]
fn a_relu_network_becomes_a_run_that_answers_as_it_does_and_can_be_trained_further() {
    let scratch = images();
    let network = network_of(&scratch, Shape::new(3, 32, 32), InputKind::Image);
    let weights = lively(&network);
    saved(&scratch, "relu.pt", &weights, &network);
    let told = scratch.ok(&import("run", &["--balance-samples", "40"])).stdout;
    for words in ["balanced by the largest activation of 40 of 60 training samples (seed 3)", "stem", "0.000 %"] {
        assert!(told.contains(words), "no `{words}` in {told}");
    }
    let report = scratch.json("run/balance.json");
    assert_eq!((number(&report, "samples"), number(&report, "of"), number(&report, "percentile")), (40.0, 60.0, 100.0));
    assert_eq!(report["layers"].as_array().unwrap().len(), 2);
    // The identity has the scale of the stem, so the threshold of the block balances it.
    let lambda = |i: usize| number(&report["layers"][i], "lambda");
    assert!((number(&report["layers"][1], "threshold") - lambda(1) / lambda(0)).abs() < 1e-6, "{report:#}");
    assert_eq!(number(&report["layers"][0], "threshold"), 1.0);

    let want = answers_with_rectifiers(&scratch, &network, &weights);
    scratch.ok(&["eval", "run", "--steps", "1,512", "--samples", "answers.csv"]);
    let text = scratch.text("answers.csv");
    let given = |steps: &str| -> Vec<usize> {
        let rows = text.lines().map(|l| l.split(',').collect::<Vec<_>>()).filter(|r| r[0] == steps && r[2] == "test");
        rows.map(|r| r[7].parse().unwrap()).collect()
    };
    let equal = |steps| given(steps).iter().zip(&want).filter(|(a, b)| a == b).count();
    assert_eq!(given("512").len(), 30);
    let (few, many) = (equal("1"), equal("512"));
    assert!(many >= 29 && few < many, "{few} of 30 at T = 1, {many} at T = 512");

    // Twice the same, and an ordinary run: it trains on, and runs without biases.
    let again = scratch.ok_json(&import("again", &["--balance-samples", "40"]));
    assert_eq!(again["balance"], report);
    assert!(scratch.read("run/weights.safetensors") == scratch.read("again/weights.safetensors"));
    scratch.ok(&["train", "run/recipe.toml", "--from", "run", "--epochs", "1", "--output", "trained"]);
    scratch.ok(&["finetune", "run", "--epochs", "1", "--output", "fine"]);
    assert!(scratch.text("fine/run.json").contains("\"base\""));
}

#[test]
fn a_relu_network_of_recordings_runs_without_a_clock() {
    let scratch = Scratch::small();
    scratch.write(
        "relu.toml",
        scratch.text("small.toml").replace("name = \"demo\"", "name = \"demo\"\nneuron = { model = \"if\" }"),
    );
    scratch.ok(&["train", "relu.toml", "--output", "base"]);
    std::fs::copy(scratch.at("base/weights.safetensors"), scratch.at("relu.safetensors")).unwrap();
    let args = ["import", "relu.safetensors", "--recipe", "relu.toml", "--from-relu", "--output", "run"];
    let told = scratch.ok(&[&args[..], &["--balance", "99.9%"]].concat()).stdout;
    for words in ["99.9 % activation of 100 of 100", "mean frame", "lower limit -1", "next: tickless simulate run"] {
        assert!(told.contains(words), "no `{words}` in {told}");
    }
    let above: Vec<f64> =
        scratch.json("run/balance.json")["layers"].as_array().unwrap().iter().map(|l| number(l, "above")).collect();
    assert!(above.iter().all(|a| *a > 0.0 && *a <= 0.0011), "{above:?}");
    assert_eq!(number(&scratch.ok_json(&["simulate", "run"]), "samples"), 40.0);
    scratch.ok(&["eval", "run"]);
}

#[test]
fn what_cannot_be_balanced_is_refused_before_a_folder_is_made() {
    let scratch = images();
    let network = network_of(&scratch, Shape::new(3, 32, 32), InputKind::Image);
    let weights = lively(&network);
    saved(&scratch, "relu.pt", &weights, &network);
    let with = |change: &'static str| [&import("run", &[])[..], &["--set", change]].concat();
    let quiet = |args: Vec<&str>, words: &[&str]| {
        let ran = scratch.run(&args);
        let error = ran.stderr.lines().last().unwrap_or_default().to_owned();
        assert!(ran.code == Some(2) && error.starts_with("error: "), "{ran:#?}");
        assert!(words.iter().all(|w| error.contains(w)), "{words:?} in {error}");
    };
    quiet(with("network.neuron={model=\"lif\"}"), &["layer `stem`", "leak", "model = \"if\""]);
    quiet(with("network.neuron={model=\"if-single\"}"), &["layer `stem`", "reset = \"soft\""]);
    quiet(
        [&import("run", &["--dry-run"])[..], &["--set", "network.neuron={model=\"lif\"}"]].concat(),
        &["layer `stem`"],
    );
    for (word, what) in [("12", "90"), ("maximum", "max"), ("NaN", "99.9")] {
        let ran = scratch.run(&import("run", &["--balance", word]));
        assert!(ran.code == Some(2) && ran.stderr.contains("--balance") && ran.stderr.contains(what), "{ran:#?}");
    }
    let ran = scratch.run(&["import", "relu.pt", "--recipe", "relu.toml", "--balance", "max", "--output", "run"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("--from-relu"), "{ran:#?}");

    // A layer that is never active, and one that is active in too few values for a percentile.
    let mut dead = weights.clone();
    dead.insert("branch.bias", Array::full(&[6], -1e6));
    saved(&scratch, "relu.pt", &dead, &network);
    quiet(import("run", &[]), &["layer `block`", "no activation is above 0", "--balance-samples"]);
    let mut rare = weights.clone();
    rare.insert("norm1.bias", Array::full(&[6], -9.5));
    rare.insert("norm1.weight", Array::full(&[6], 1.0));
    saved(&scratch, "relu.pt", &rare, &network);
    let ran = scratch.run(&import("run", &["--balance", "90"]));
    assert!(ran.code == Some(2) && ran.stderr.contains("layer `stem`"), "{ran:#?}");

    for value in [f32::NAN, f32::INFINITY] {
        let mut broken = weights.clone();
        broken.tensors.get_mut("conv2.weight").unwrap().data[3] = value;
        saved(&scratch, "relu.pt", &broken, &network);
        quiet(import("run", &[]), &["value 3 of `conv2.weight`"]);
    }
    // A bias that the recipe leaves out would make it another network.
    saved(&scratch, "relu.pt", &weights, &network);
    scratch.write("relu.toml", IMAGES.replacen("bias = true\n", "", 1));
    quiet(import("run", &[]), &["relu.pt: `conv1.bias` is not used", "bias = true"]);
    assert!(!Path::new(&scratch.at("run")).exists());
}
