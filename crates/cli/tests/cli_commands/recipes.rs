//! Every recipe of recordings and photographs, on a few samples: from training to the evaluation at
//! its steps, and without a clock where the recipe says so. The samples are real where the shared
//! data are present, otherwise the test writes them. [`super::images`] has the recipes of CIFAR.

use super::images::recipe;
use tickless::events::formats::{encode, nmnist_bin};
use tickless::events::{Columns, Event, Sensor};
use tickless_testing::command::{Scratch, number};
use tickless_testing::folders::data;
use tickless_testing::generate::Rng;
use tickless_testing::generate::bursts::shd_file;
use tickless_testing::generate::recordings::gesture_array;

const DVS128: Sensor = Sensor { width: 128, height: 128 };

/// A recording of 2,000 events in 200 ms.
fn events(r: &mut Rng, sensor: Sensor) -> Vec<Event> {
    let event = |k: u64, r: &mut Rng| Event {
        t_us: k * 100,
        x: r.below(sensor.width.into()) as u16,
        y: r.below(sensor.height.into()) as u16,
        on: r.below(2) == 1,
    };
    (0..2000).map(|k| event(k, r)).collect()
}

/// The folder of the real set, or of one that this function writes.
fn folder(scratch: &Scratch, set: &str) -> String {
    let folder_of = match set {
        "mnist-dvs-sim" => "mnist",
        other => other,
    };
    // The shared data have no other set whole.
    if ["nmnist", "mnist", "mnist-dvs"].contains(&folder_of)
        && let Some(path) = data(folder_of)
    {
        return path.to_str().expect("a path of text").to_owned();
    }
    let mut r = Rng(7);
    let r = &mut r;
    let put = |name: String, bytes: Vec<u8>| scratch.write(&format!("{folder_of}/{name}"), bytes);
    match set {
        "nmnist" => {
            for (part, per_class) in [("Train", 3), ("Test", 1)] {
                for i in 0..10 * per_class {
                    let bytes = nmnist_bin::encode(events(r, Sensor { width: 34, height: 34 })).expect("it fits");
                    put(format!("{part}/{}/{i:05}.bin", i % 10), bytes);
                }
            }
        }
        "mnist-dvs-sim" => {
            for (part, count) in [("train", 30u32), ("t10k", 10)] {
                let head = |kind: u32, sizes: &[u32]| -> Vec<u8> {
                    [&[kind, count][..], sizes].concat().iter().flat_map(|v| v.to_be_bytes()).collect()
                };
                let mut images = head(0x803, &[28, 28]);
                images.extend((0..count * 784).map(|_| r.below(256) as u8));
                let mut labels = head(0x801, &[]);
                labels.extend((0..count).map(|i| (i % 10) as u8));
                put(format!("{part}-images-idx3-ubyte"), images);
                put(format!("{part}-labels-idx1-ubyte"), labels);
            }
        }
        "mnist-dvs" | "cifar10-dvs" => {
            let cifar = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
            for (digit, picture) in cifar.into_iter().enumerate() {
                for i in 0..6 {
                    let events = Columns::from(&events(r, DVS128)[..]);
                    let (class, format) = match set {
                        "mnist-dvs" => (digit.to_string(), "aedat2"),
                        _ => (picture.to_owned(), "aedat4"),
                    };
                    let extension = if format == "aedat2" { "aedat" } else { format };
                    put(
                        format!("{class}/{class}_{i}.{extension}"),
                        encode(format, &events, Some(DVS128)).expect("fits"),
                    );
                }
            }
        }
        "ncaltech101" => {
            for class in ["accordion", "airplanes", "anchor"] {
                for i in 1..=10 {
                    let events = events(r, Sensor { width: 240, height: 180 });
                    put(format!("{class}/image_{i:04}.bin"), nmnist_bin::encode(events).expect("it fits"));
                }
            }
        }
        "dvs-gesture" => {
            for (user, class) in [2, 3, 4, 24].into_iter().flat_map(|user| (0..11).map(move |class| (user, class))) {
                let of = events(r, DVS128).into_iter().map(|e| (e.t_us, e.x, e.y, e.on));
                put(format!("user{user:02}_led/{class}.npy"), gesture_array(of));
            }
        }
        "imagenet" => {
            for (part, class, i) in ["train", "val"].into_iter().flat_map(|part| {
                ["n01", "n02"].into_iter().flat_map(move |class| (0..12).map(move |i| (part, class, i)))
            }) {
                let mut bytes = Vec::new();
                let mut picture = png::Encoder::new(&mut bytes, 40, 40);
                picture.set_color(png::ColorType::Rgb);
                let pixels: Vec<u8> = (0..40 * 40 * 3).map(|_| r.below(256) as u8).collect();
                let mut writer = picture.write_header().expect("a header");
                writer.write_image_data(&pixels).expect("pixels");
                writer.finish().expect("an end");
                put(format!("{part}/{class}/{i}.png"), bytes);
            }
        }
        "shd" => {
            put("shd_train.h5".into(), shd_file(r, 30));
            put("shd_test.h5".into(), shd_file(r, 10));
        }
        other => panic!("no samples of {other}"),
    }
    scratch.at(folder_of).to_str().expect("a path of text").to_owned()
}

/// What makes a training of seconds of a recipe.
const SMALL: [&str; 6] = [
    "train.batch=8",
    "data.train_limit=24",
    "data.test_limit=8",
    "data.validation=0.25",
    "eval.calibration_batches=1",
    "train.epochs=1",
];

/// Trains a recipe and evaluates it at two of its steps; returns the scratch folder with the run
/// `run`.
fn runs(name: &str, set: &str, more: &[&str]) -> Scratch {
    let scratch = Scratch::new();
    let (file, samples) = (recipe(name), folder(&scratch, set));
    let mut args = vec!["train", &file, "--data", &samples, "--output", "run"];
    args.extend(SMALL.iter().chain(more).flat_map(|change| ["--set", change]));
    scratch.ok(&args);
    let result = scratch.ok_json(&["eval", "run", "--steps", "1,3", "--leak", "step"]);
    let points = result["points"].as_array().expect("points");
    assert_eq!(points.len(), 2, "{name}: {result}");
    for p in points {
        assert!(p["loss"].as_f64().is_some_and(f64::is_finite) && number(p, "samples") > 0.0, "{name}: {p}");
    }
    scratch
}

/// Asserts that a run runs without a clock.
fn simulates(scratch: &Scratch, run: &str) {
    let simulated = scratch.ok_json(&["simulate", run]);
    assert!(number(&simulated, "samples") > 0.0 && number(&simulated, "accuracy") >= 0.0, "{run}: {simulated}");
}

#[test]
fn the_recipes_of_nmnist_train_and_run_without_a_clock() {
    for name in ["nmnist", "nmnist-if", "nmnist-no-clock", "nmnist-no-clock-lif", "nmnist-3c1fc"] {
        simulates(&runs(name, "nmnist", &[]), "run");
    }
}

#[test]
fn the_recipes_of_mnist_before_a_camera_train_and_run_without_a_clock() {
    simulates(&runs("mnist-dvs-sim", "mnist-dvs-sim", &[]), "run");
    simulates(&runs("mnist-dvs-sim-no-clock", "mnist-dvs-sim", &[]), "run");
    simulates(&runs("mnist-dvs", "mnist-dvs", &[]), "run");
}

#[test]
fn recipes_of_three_phases_end_in_networks_that_run_without_a_clock() {
    for (name, set, more) in [
        ("nmnist-event-driven", "nmnist", &["finetune.epochs=1", "network.width=0.25"][..]),
        ("dvs-gesture-event-driven", "dvs-gesture", &["finetune.epochs=1", "network.width=0.125", "train.t_max=4"]),
        (
            "cifar10-dvs-event-driven",
            "cifar10-dvs",
            &["finetune.epochs=1", "network.width=0.03125", "train.t_max=4", "data.train_first=4"],
        ),
    ] {
        let scratch = runs(name, set, more);
        simulates(&scratch, "run-mtt-finetuned");
        simulates(&scratch, "run-sdt-finetuned");
    }
}

#[test]
fn recipes_of_larger_networks_train_on_recordings_and_photographs() {
    let small = ["network.width=0.03125", "train.t_max=3"];
    runs("cifar10-dvs", "cifar10-dvs", &[&small[..], &["data.train_first=4"]].concat());
    runs("ncaltech101", "ncaltech101", &small);
    runs("imagenet-resnet34", "imagenet", &[&small[..], &["data.size=[64, 64]"]].concat());
    runs("shd", "shd", &["network.width=0.25", "train.t_max=10"]);
}

#[test]
fn every_recipe_has_a_smoke_run() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let here = [include_str!("recipes.rs"), include_str!("images.rs")].concat();
    for entry in std::fs::read_dir(folder).expect("the recipes") {
        let path = entry.expect("an entry").path();
        let Some(name) = path.extension().filter(|e| *e == "toml").and(path.file_stem()) else { continue };
        // The demo has a test of its own.
        let quoted = format!("\"{}\"", name.to_str().expect("text"));
        assert!(here.contains(&quoted) || name == "demo", "{quoted} is in no smoke run");
    }
}
