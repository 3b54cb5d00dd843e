//! The errors that a new user meets: one line that names the place and the remedy, exit code 2.

mod before;
mod limits;

use tickless::events::Event;
use tickless::events::formats::nmnist_bin;
use tickless_testing::command::{Ran, Scratch};
use tickless_testing::recipes::RECIPE;

/// A recording of a hundred events.
fn recording() -> Vec<u8> {
    let event = |k: u16| Event { t_us: u64::from(k) * 3_000, x: k % 34, y: (k * 7) % 34, on: k.is_multiple_of(2) };
    nmnist_bin::encode((0..100).map(event)).expect("the events fit the format")
}

/// An N-MNIST folder with two training recordings and one test recording of each digit, and its
/// recipe.
fn nmnist() -> Scratch {
    let scratch = Scratch::new();
    for digit in 0..10 {
        for (part, ids) in [("Train", [1, 2].as_slice()), ("Test", &[1])] {
            for id in ids {
                scratch.write(&format!("data/{part}/{digit}/{:05}.bin", digit * 10 + id), recording());
            }
        }
    }
    let recipe =
        RECIPE.replace("set = \"digits-dvs\"", "set = \"nmnist\"").replace("epochs = 1", "epochs = 1\nt_min = 1");
    scratch.write("nmnist.toml", recipe);
    scratch
}

/// A scratch folder with the small recipe in which `from` is replaced by `to`.
fn with(from: &str, to: &str) -> Scratch {
    assert!(RECIPE.contains(from), "{from}");
    let scratch = Scratch::new();
    scratch.write("small.toml", RECIPE.replace(from, to));
    scratch
}

const TRAIN: [&str; 2] = ["train", "small.toml"];

/// The command `train small.toml --set …`.
fn set(assignment: &str) -> [&str; 4] {
    ["train", "small.toml", "--set", assignment]
}

#[test]
fn a_recipe_that_is_not_there() {
    Scratch::new()
        .refused_with(&["train", "recipes/nmist.toml"], &["recipes/nmist.toml", "no such recipe", "recipes/"]);
}

#[test]
fn a_folder_in_the_place_of_a_recipe() {
    let scratch = Scratch::trained();
    scratch.refused_with(&["train", "run"], &["run: ", "folder", "tickless eval run"]);
}

#[test]
fn data_that_are_not_there() {
    let scratch = nmnist();
    let args = ["train", "nmnist.toml"];
    scratch.refused_with(&args, &["nmnist", "without a path", "Train.zip"]);
    let nowhere = [&args[..], &["--data", "no/where"]].concat();
    scratch.refused_with(&nowhere, &["no/where", "not found", "Train.zip and Test.zip"]);
    std::fs::rename(scratch.at("data/Test"), scratch.at("data/Tset")).unwrap();
    let half = [&args[..], &["--data", "data"]].concat();
    scratch.refused_with(&half, &["data: ", "Test.zip or the folder Test", "put it there"]);
}

#[test]
fn a_wrong_file_in_a_data_folder() {
    let scratch = nmnist();
    scratch.write("data/Train/3/notes.txt", "hello");
    let line = scratch.refused_with(&["train", "nmnist.toml", "--data", "data"], &["is no recording", "remove it"]);
    assert!(line.contains(&["data", "Train", "3", "notes.txt"].join(std::path::MAIN_SEPARATOR_STR)), "{line}");
    assert!(!scratch.at("runs/nmnist-mtt-seed1/recipe.toml").exists(), "nothing has begun");
}

#[test]
fn a_truncated_recording_is_named_with_its_byte() {
    let scratch = nmnist();
    scratch.write("data/Train/7/00072.bin", &recording()[..497]);
    let args = ["train", "nmnist.toml", "--data", "data"];
    scratch.refused_with(&args, &["00072.bin: byte 495: truncated", "get the file again"]);
    // With the recording replaced the same command works, because the refused one left nothing
    // behind.
    scratch.write("data/Train/7/00072.bin", recording());
    scratch.ok(&args);
}

#[test]
fn an_event_outside_the_sensor_is_named_with_its_byte() {
    let scratch = nmnist();
    let mut bytes = recording();
    bytes[10] = 200;
    scratch.write("data/Test/0/00001.bin", bytes);
    scratch.ok(&["train", "nmnist.toml", "--data", "data", "--output", "run"]);
    scratch.refused_with(&["eval", "run"], &["00001.bin: byte 10: event at (200, 14)", "34x34"]);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_a_suggestion() {
    let scratch = with("epochs = 1", "epoch = 1");
    let line = RECIPE.lines().position(|l| l == "epochs = 1").unwrap() + 1;
    let place = format!("small.toml: line {line}: unknown field `epoch`");
    scratch.refused_with(&TRAIN, &[&place, "did you mean `epochs`?"]);
    // The line is that of the file, even if options on the command line change the recipe.
    let args = ["train", "small.toml", "--set", "train.batch=20", "--data", "x"];
    scratch.refused_with(&args, &[&place, "did you mean `epochs`?"]);
}

#[test]
fn an_unknown_key_on_the_command_line_is_named() {
    let scratch = Scratch::small();
    let line = scratch.refused_with(&set("train.epoch=3"), &["unknown field `epoch`", "did you mean `epochs`?"]);
    assert!(!line.contains("small.toml: line"), "the file has no such line: {line}");
    scratch.refused_with(&set("train.epochs"), &["train.epochs", "key=value"]);
    scratch.refused_with(&set("train.epochs=many"), &["many", "epochs"]);
    scratch.refused_with(&set("seed.of=3"), &["seed", "not a table"]);
}

#[test]
fn text_that_is_no_toml_is_named_with_its_line() {
    with("seed = 1\n", "seed = = 1\n").refused_with(&TRAIN, &["small.toml: line 2"]);
}

#[test]
fn unknown_words_are_named_with_a_suggestion() {
    let scratch = Scratch::small();
    let known = [
        ("train.strategy=mttt", "unknown strategy `mttt`", "did you mean `mtt`?"),
        ("network.name=nmnist-smal", "unknown network `nmnist-smal`", "did you mean `nmnist-small`?"),
        ("data.set=digit-dvs", "unknown data set `digit-dvs`", "did you mean `digits-dvs`?"),
        ("train.optimiser=sdg", "unknown optimiser `sdg`", "did you mean `sgd`?"),
        ("network.neuron.model=lfi", "unknown neuron model `lfi`", "did you mean `lif`?"),
    ];
    for (assignment, what, hint) in known {
        scratch.refused_with(&set(assignment), &[what, hint]);
        assert!(!scratch.at("runs/small-mtt-seed1/recipe.toml").exists(), "{assignment}: nothing has begun");
    }
    scratch.refused_with(&["train", "small.toml", "--device", "cup"], &["unknown device `cup`", "did you mean `cpu`?"]);
    scratch.refused_with(&["train", "small.toml", "--device", "wgpu"], &["wgpu", "--device cpu"]);
}

#[test]
fn a_number_of_stages_that_does_not_fit() {
    let scratch = Scratch::trained();
    let args = ["eval", "run", "--configuration", "1,2"];
    scratch.refused_with(&args, &["3 stages", "[1, 2]", "one number of steps per stage"]);
    let fresh = Scratch::small();
    fresh.refused_with(&set("train.group=4"), &["`train.group` = 4", "3 blocks", "at most"]);
    // With a valid number the same command runs, because the refused one started nothing.
    fresh.ok(&set("train.group=3"));
}

#[test]
fn no_time_steps_at_all() {
    let scratch = Scratch::trained();
    for steps in ["0", "0..3", "1,0"] {
        scratch.refused_with(&["eval", "run", "--steps", steps], &["T = 0", "at least 1"]);
    }
    scratch.refused_with(&["eval", "run", "--configuration", "1,0,2"], &["T = 0", "at least 1"]);
    scratch.refused_with(&["eval", "run", "--steps", "5..3"], &["5..3", "empty"]);
    scratch.refused_with(&["eval", "run", "--steps", "few"], &["few", "1,2,5..8"]);
    scratch.refused_with(&set("train.t_max=0"), &["`train.t_max` = 0", "at least 1"]);
    scratch.refused_with(&set("train.t_min=0"), &["`train.t_min` = 0", "at least 1"]);
    scratch.refused_with(&set("eval.steps=[1, 0]"), &["`eval.steps`", "0"]);
}

#[test]
fn more_steps_at_least_than_at_most() {
    Scratch::small().refused_with(&set("train.t_min=5"), &["`train.t_min` = 5", "`train.t_max` = 4", "greater"]);
}

#[test]
fn weights_of_another_network() {
    let scratch = Scratch::trained();
    scratch.ok(&["train", "small.toml", "--set", "network.name=nmnist-wide", "--output", "other"]);
    std::fs::copy(scratch.at("other/weights.safetensors"), scratch.at("run/weights.safetensors")).unwrap();
    for command in ["eval", "simulate"] {
        let words = ["run/weights.safetensors", "layer `linear1`", "[10, 512] in the file", "`demo` needs [10, 256]"];
        scratch.refused_with(&[command, "run"], &words);
    }
}

#[test]
fn damaged_files_of_a_run() {
    let scratch = Scratch::trained();
    scratch.ok(&["eval", "run"]);
    let whole: Vec<(&str, Vec<u8>)> = ["weights.safetensors", "eval.json", "run.json", "recipe.toml", "metrics.jsonl"]
        .map(|name| (name, scratch.read(&format!("run/{name}"))))
        .into();
    for (name, bytes) in &whole {
        for n in [0, 7, bytes.len() / 2, bytes.len() - 3] {
            scratch.write(&format!("run/{name}"), &bytes[..n]);
            // A text file cut in half can still be valid; a recipe without its end falls back to
            // defaults.
            let may_pass = matches!(*name, "recipe.toml" | "metrics.jsonl");
            let ran = scratch.run(&["report", "run"]);
            if ran.code == Some(0) && may_pass {
                continue;
            }
            assert_eq!((ran.code, ran.stderr.lines().count()), (Some(2), 1), "{name} cut at {n}: {ran:#?}");
            assert!(ran.stderr.contains(name), "{name} cut at {n}: {ran:#?}");
        }
        scratch.write(&format!("run/{name}"), bytes);
    }
    let line = ["run/weights.safetensors", "delete it", "--resume"];
    scratch.write("run/weights.safetensors", &whole[0].1[..1000]);
    scratch.refused_with(&["eval", "run"], &line);
    // The remedy that the message names works.
    std::fs::remove_file(scratch.at("run/weights.safetensors")).unwrap();
    scratch.ok(&["train", "small.toml", "--output", "run", "--resume"]);
    assert_eq!(scratch.read("run/weights.safetensors"), whole[0].1);
}

#[test]
fn a_damaged_checkpoint() {
    let scratch = Scratch::trained();
    let weights = scratch.read("run/weights.safetensors");
    std::fs::remove_file(scratch.at("run/weights.safetensors")).unwrap();
    let bytes = scratch.read("run/checkpoint.safetensors");
    let resume = ["train", "small.toml", "--output", "run", "--resume"];
    for n in [0, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        scratch.write("run/checkpoint.safetensors", &bytes[..n]);
        scratch.refused_with(&resume, &["run/checkpoint.safetensors", "delete it"]);
    }
    // The remedy that the message names works: the training restarts and ends with the same
    // weights.
    std::fs::remove_file(scratch.at("run/checkpoint.safetensors")).unwrap();
    scratch.ok(&resume);
    assert_eq!(scratch.read("run/weights.safetensors"), weights);
}

#[test]
fn what_needs_a_clock_cannot_run_without_one() {
    for (change, layer, what) in
        [("network.classifier_bias=true", "linear1", "a bias"), ("network.norm=true", "norm1", "batch norm")]
    {
        let scratch = Scratch::small();
        scratch.ok(&["train", "small.toml", "--set", change, "--output", "run"]);
        let layer = format!("layer `{layer}` has {what}");
        scratch.refused_with(&["simulate", "run"], &[&layer, "tickless finetune", "--epochs 0"]);
    }
}

/// Writes MNIST files of 20 images and labels per part.
fn images(scratch: &Scratch) {
    let number = |n: u32| n.to_be_bytes();
    for part in ["train", "t10k"] {
        let pixels = (0..20 * 28 * 28u32).map(|k| (k * 7 % 251) as u8).collect::<Vec<_>>();
        let head = [number(2051), number(20), number(28), number(28)].concat();
        scratch.write(&format!("data/{part}-images-idx3-ubyte"), [head, pixels].concat());
        let labels = (0..20).map(|k| k % 10).collect();
        scratch
            .write(&format!("data/{part}-labels-idx1-ubyte"), [[number(2049), number(20)].concat(), labels].concat());
    }
}

#[test]
fn images_cannot_run_without_a_clock() {
    let scratch = with("set = \"digits-dvs\"", "set = \"mnist\"\npath = \"data\"");
    images(&scratch);
    let change = "data.train_limit=20";
    scratch.ok(&["train", "small.toml", "--set", change, "--set", "data.test_limit=10", "--output", "run"]);
    scratch.ok(&["eval", "run", "--steps", "1,2"]);
    scratch.refused_with(&["simulate", "run"], &["`mnist` holds images", "mnist-dvs-sim", "tickless data list"]);
}

#[test]
fn data_that_have_moved() {
    let scratch = nmnist();
    scratch.ok(&["train", "nmnist.toml", "--data", "data", "--set", "data.train_limit=10", "--output", "run"]);
    std::fs::rename(scratch.at("data"), scratch.at("elsewhere")).unwrap();
    for command in ["eval", "simulate", "report"] {
        scratch.refused_with(&[command, "run"], &["data"]);
        scratch.ok(&[command, "run", "--data", "elsewhere"]);
    }
    scratch.ok(&["finetune", "run", "--data", "elsewhere", "--epochs", "0"]);
}

#[test]
fn a_run_that_is_not_there() {
    let scratch = Scratch::small();
    for command in ["eval", "simulate", "calibrate", "finetune", "report"] {
        scratch.refused_with(&[command, "runs/none"], &["runs/none", "not a run folder", "tickless train"]);
    }
    scratch.write("runs/begun/recipe.toml", RECIPE);
    scratch.refused_with(&["eval", "runs/begun"], &["runs/begun", "no weights yet", "--resume"]);
}

#[test]
fn a_folder_that_holds_a_run_already() {
    let scratch = Scratch::trained();
    let before = scratch.read("run/weights.safetensors");
    let args = ["train", "small.toml", "--output", "run"];
    scratch.refused_with(&args, &["run: holds a run already", "--resume", "--output"]);
    scratch.refused_with(&["finetune", "run", "--output", "run"], &["run: holds a run already", "--output"]);
    assert_eq!(scratch.read("run/weights.safetensors"), before, "nothing was overwritten");
}

#[test]
fn an_output_folder_that_cannot_be_made() {
    let scratch = Scratch::small();
    scratch.refused_with(&["train", "small.toml", "--output", "small.toml/run"], &["small.toml/run"]);
}

#[test]
fn the_best_epoch_needs_a_validation_part() {
    let scratch = Scratch::small();
    scratch.refused_with(&set("train.select=best"), &["train.select", "data.validation"]);
    scratch.ok(&["train", "small.toml", "--set", "train.select=best", "--set", "data.validation=0.2"]);
}

#[test]
fn folds_that_cannot_be() {
    let scratch = Scratch::small();
    for folds in ["{of = 3, fold = 3}", "{of = 1, fold = 0}", "{of = 0, fold = 0}"] {
        scratch.refused_with(&set(&format!("data.folds={folds}")), &["`data.folds`", "count from 0", "at least 2"]);
    }
    scratch.refused_with(&["compare", "small.toml", "--folds", "1", "--output", "x"], &["--folds", "at least 2"]);
}

#[test]
fn a_network_spelled_layer_by_layer_has_no_switches_for_built_in_ones() {
    let scratch = Scratch::new();
    scratch.write("small.toml", tickless_testing::recipes::RESIDUAL);
    for (assignment, key) in [
        ("network.norm=true", "`network.norm`"),
        ("network.ttm=soft", "`network.ttm`"),
        ("network.classifier_bias=false", "`network.classifier_bias`"),
    ] {
        scratch.refused_with(&set(assignment), &["small.toml", key, "`layers`"]);
    }
}

#[test]
fn a_layer_that_does_not_fit_is_named() {
    let scratch = Scratch::new();
    scratch.write("small.toml", tickless_testing::recipes::RESIDUAL.replace("name = \"branch\"", "name = \"brunch\""));
    scratch.refused_with(&TRAIN, &["layer `add1`", "`branch`, which is no layer", "did you mean `brunch`?"]);
    scratch.write("small.toml", tickless_testing::recipes::RESIDUAL.replace("out = 10", "out = 11"));
    scratch.refused_with(&TRAIN, &["network `mine`", "11 values", "10 classes"]);
}

#[test]
fn unknown_subcommands_and_options_end_with_code_2() {
    for args in [&["trian"][..], &["train", "--epoch", "3"], &["eval", "run", "--leak", "both"], &[]] {
        let ran = Scratch::new().run(args);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        assert!(ran.stdout.is_empty(), "{ran:#?}");
    }
}

#[test]
fn an_unknown_value_of_a_variable_is_refused_by_every_command_before_it_does_anything() {
    let scratch = Scratch::small();
    for (name, value, known) in [
        ("TICKLESS_KERNEL", "sprase", "auto, sparse, dense, plain"),
        ("TICKLESS_PRECISION", "fp8", "f32, bf16, int8"),
        ("TICKLESS_GPU_PRECISION", "f16", "f32, flex32, bf16"),
        ("TICKLESS_SIMD", "avx3", "avx512, avx2, portable"),
        ("TICKLESS_KERNEL_REPORT", "yes", "0, 1"),
    ] {
        let args = ["train", "small.toml", "--output", "run"];
        let out = scratch.command(&args).env(name, value).output().expect("the program starts");
        let ran = Ran::of(&args, out);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:#?}");
        assert!([name, value, known].iter().all(|word| ran.stderr.contains(word)), "{ran:#?}");
        assert!(!scratch.at("run").exists(), "{name}");
    }
}
