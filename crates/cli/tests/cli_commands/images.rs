//! The recipes of image sets, on a few images at a small width: from training to the evaluation at
//! every T.

use std::path::{Path, PathBuf};
use tickless_testing::command::Scratch;
use tickless_testing::folders::data;
use tickless_testing::generate::Rng;

/// The path of a recipe of the repository.
pub(super) fn recipe(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes").join(name).with_extension("toml");
    path.to_str().expect("a path of text").to_owned()
}

/// Records of CIFAR-10 or CIFAR-100: the labels, then random bytes.
pub(super) fn records(count: usize, labels: usize, classes: usize) -> Vec<u8> {
    let mut r = Rng(count as u64);
    let mut bytes = Vec::new();
    for i in 0..count {
        bytes.extend((0..labels).map(|_| (i % classes) as u8));
        bytes.extend((0..3072).map(|_| r.below(256) as u8));
    }
    bytes
}

/// The folder of the set: the real one if it is here, otherwise one that is written into the scratch
/// folder.
fn folder(scratch: &Scratch, set: &str) -> String {
    if let Some(path) = data(set) {
        return path.to_str().expect("a path of text").to_owned();
    }
    let (train, test, labels, classes) = match set {
        "cifar10" => ("data_batch_1.bin", "test_batch.bin", 1, 10),
        _ => ("train.bin", "test.bin", 2, 100),
    };
    scratch.write(&format!("{set}/{train}"), records(200, labels, classes));
    scratch.write(&format!("{set}/{test}"), records(100, labels, classes));
    scratch.at(set).to_str().expect("a path of text").to_owned()
}

/// The changes that make a training of seconds of a recipe.
const SMALL: [&str; 7] = [
    "network.width=0.03125",
    "train.batch=8",
    "data.train_limit=24",
    "data.test_limit=8",
    "data.validation=0.25",
    "eval.calibration_batches=1",
    "train.warmup_epochs=0",
];

fn train<'a>(recipe: &'a str, data: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", recipe, "--data", data, "--epochs", "1", "--output", output];
    args.extend(SMALL.iter().chain(more).flat_map(|change| ["--set", change]));
    args
}

#[test]
fn every_recipe_of_cifar_trains_and_is_evaluated_at_its_steps() {
    let scratch = Scratch::new();
    for name in [
        "cifar10-resnet18",
        "cifar10-resnet19",
        "cifar10-vgg14",
        "cifar10-spikformer",
        "cifar100-resnet18",
        "cifar100-resnet19",
        "cifar100-vgg14",
    ] {
        let (file, images) = (recipe(name), folder(&scratch, name.split('-').next().unwrap()));
        scratch.ok(&train(&file, &images, name, &["eval.steps=[1,3]"]));
        let result = scratch.ok_json(&["eval", name]);
        let points = result["points"].as_array().unwrap();
        assert_eq!(points.len(), 2, "{name}: {result}");
        for p in points {
            assert!(p["loss"].as_f64().is_some_and(f64::is_finite), "{name}: {p}");
        }
    }
}

#[test]
fn the_ablations_train_and_are_evaluated_at_their_steps() {
    let scratch = Scratch::new();
    for (name, set) in
        [("ablation-calibration", "cifar10"), ("ablation-group", "cifar100"), ("ablation-samples", "cifar100")]
    {
        let (file, images) = (recipe(name), folder(&scratch, set));
        scratch.ok(&train(&file, &images, name, &["eval.steps=[1,3]", "train.t_max=3"]));
        let result = scratch.ok_json(&["eval", name]);
        assert_eq!(result["points"].as_array().map(Vec::len), Some(2), "{name}: {result}");
    }
}

#[test]
fn a_spikformer_trains_to_the_same_bits_by_any_threads_and_with_recomputation() {
    let scratch = Scratch::new();
    let (file, images) = (recipe("cifar10-spikformer"), folder(&scratch, "cifar10"));
    let more = ["network.width=0.125", "network.name=spikformer-2-384", "eval.steps=[1,2,3,4,5,8]"];
    let run = |output, threads, recompute| {
        let mut args = train(&file, &images, output, &more);
        args.extend(["--set", recompute, "--threads", threads]);
        scratch.ok(&args);
        scratch.read(&format!("{output}/weights.safetensors"))
    };
    let one = run("one", "1", "train.recompute=false");
    assert!(one == run("two", "2", "train.recompute=false"), "two threads give other weights");
    assert!(one == run("again", "2", "train.recompute=true"), "recomputation gives other weights");
    let result = scratch.ok_json(&["eval", "one"]);
    let points = result["points"].as_array().unwrap();
    let steps: Vec<u64> = points.iter().map(|p| p["configuration"][0].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 8]);
    let mixed = scratch.ok_json(&["eval", "one", "--configuration", "1,4"]);
    assert_eq!(mixed["points"][0]["configuration"], serde_json::json!([1, 4]), "{mixed}");
    scratch.ok(&["calibrate", "one", "--batches", "2"]);
    let e = scratch.refused(&["finetune", "one", "--epochs", "0", "--output", "converted"]);
    assert!(e.contains("no event-driven form"), "{e}");
}
