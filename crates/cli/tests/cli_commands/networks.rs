//! `tickless net`, and networks of layers that the built-in ones do not have.

use std::path::Path;
use tickless_testing::command::Scratch;

/// A network with every layer that runs without a clock, for the embedded recordings.
const LAYERS: &str = r#"
seed = 1

[data]
set = "digits-dvs"
seed = 0
train_limit = 100
test_limit = 20

[network]
name = "mine"
neuron = { model = "if" }
layers = [
    { layer = "ttm" },
    { layer = "conv", out = 6, kernel = [5, 3], stride = [2, 3], padding = [[2, 1], [1, 0]] },
    { layer = "dropout", rate = 0.1 },
    { layer = "neuron", thresholds = [0.5, 1, 1.5, 1, 1, 2] },
    { layer = "pool", kernel = [1, 2] },
    { layer = "ttm" },
    { layer = "conv", out = 8, kernel = 2, dilation = [2, 1], padding = "same", groups = 2 },
    { layer = "neuron" },
    { layer = "adaptive_average", size = [1, 5] },
    { layer = "flatten" },
    { layer = "linear", out = 10 },
]

[train]
strategy = "mtt"
t_max = 4
samples = 2
epochs = 1
batch = 10
init_gain = 3.0

[eval]
steps = [1, 4]
"#;

#[test]
fn a_network_of_many_layers_trains_runs_without_a_clock_and_its_executors_agree() {
    let scratch = Scratch::new();
    scratch.write("layers.toml", LAYERS);
    let shown = scratch.ok_json(&["net", "show", "layers.toml"]);
    assert_eq!(shown["event_driven"]["possible"], true, "{shown}");
    scratch.ok(&["train", "layers.toml", "--output", "run"]);
    let run = "run";
    scratch.ok(&["eval", run]);
    let simulated = scratch.ok_json(&["simulate", run]);
    assert!(simulated.to_string().len() > 2);
    scratch.ok(&["parity", run]);
}

#[test]
fn the_list_has_every_network_with_its_weights() {
    let scratch = Scratch::small();
    let json = scratch.ok_json(&["net", "list"]);
    let all = json.as_array().unwrap();
    let of = |name: &str| all.iter().find(|n| n["name"] == name).unwrap_or_else(|| panic!("{name} is not listed"));
    assert_eq!(of("resnet18")["parameters"], 11_173_962);
    assert_eq!((&of("3c1fc")["parameters"], &of("3c1fc")["stages"]), (&6160.into(), &3.into()));
    let text = scratch.ok(&["net", "list"]).stdout;
    assert_eq!(text.lines().count(), all.len());
    assert!(text.contains("11,173,962 weights"), "{text}");
}

#[test]
fn a_network_is_shown_layer_by_layer_with_its_sums_and_drawn() {
    let scratch = Scratch::small();
    let args = ["net", "show", "nmnist-small", "--svg", "net.svg"];
    let json = scratch.ok_json(&args);
    let layers = json["layers"].as_array().unwrap();
    let sum = |key: &str| layers.iter().map(|l| l[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("parameters"), json["parameters"].as_u64()), (3856, Some(3856)));
    assert_eq!(Some(sum("operations")), json["operations"].as_u64());
    assert_eq!(json["event_driven"]["possible"], true);
    assert_eq!(json["chip"]["possible"], true);
    let parts = ["program", "weights", "optimiser", "input", "saved", "gradients"];
    let bytes: u64 = parts.iter().map(|p| json["memory"][p].as_u64().unwrap()).sum();
    assert_eq!(json["memory"]["total"].as_u64(), Some(bytes));
    let svg = std::fs::read_to_string(scratch.at("net.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert!(layers.iter().all(|l| svg.contains(l["name"].as_str().unwrap())), "every layer is drawn");
    let text = scratch.ok(&["net", "show", "resnet18"]).stdout;
    assert!(
        text.contains("weights: 11,173,962") && text.contains("event-driven: no: its input is a static image"),
        "{text}"
    );
    let e = scratch.refused(&["net", "show", "resnet81"]);
    assert!(e.contains("did you mean `resnet18`?"), "{e}");
}

#[test]
fn sizes_and_numbers_out_of_range_are_refused_by_the_name_of_their_option() {
    let scratch = Scratch::small();
    let show = ["net", "show", "resnet18"];
    let steps = [&show[..], &["--steps", "99999999999999"]].concat();
    scratch.refused_with(&steps, &["`--steps` = 99999999999999", "at most 10000 time steps"]);
    scratch.refused_with(&[&show[..], &["--width", "-1"]].concat(), &["has no width -1; give a factor above 0"]);
    let ran = scratch.run(&[&show[..], &["--steps", "-1"]].concat());
    assert!(ran.code == Some(2) && ran.stderr.contains("invalid value '-1' for '--steps <STEPS>'"), "{ran:#?}");
    // A batch that no computer has needs memory that no computer has, and not what is left of an
    // overflow.
    let largest = usize::MAX.to_string();
    let json = scratch.ok_json(&[&show[..], &["--steps", "10000", "--batch", &largest]].concat());
    assert_eq!(json["memory"]["total"].as_u64(), Some(usize::MAX as u64), "{}", json["memory"]);
}

#[test]
fn a_recipe_is_checked_without_data_and_max_pooling_is_refused_by_name() {
    let max =
        LAYERS.replace(r#"{ layer = "pool", kernel = [1, 2] }"#, r#"{ layer = "pool", kernel = 2, kind = "max" }"#);
    let scratch = Scratch::new();
    scratch.write("max.toml", &max);
    let text = scratch.ok(&["net", "check", "max.toml"]).stdout;
    assert!(text.contains("event-driven: no: layer `pool1`: max pooling has no event-driven form"), "{text}");
    let e = scratch.refused(&["net", "check", "max.toml", "--event-driven"]);
    assert!(e.contains("`pool1`") && e.contains("set `kind = \"sum\"`") && e.contains("fine-tune"), "{e}");
    let e = scratch.refused(&["net", "check", "max.toml", "--set", "network.nmae=x"]);
    assert!(e.contains("did you mean `name`?"), "{e}");
}

#[test]
fn attention_is_refused_by_name_wherever_a_run_without_a_clock_or_a_chip_is_asked_for() {
    let attention =
        r#"{ layer = "attention", from = ["neuron1", "neuron1", "neuron1"], heads = 3 }, { layer = "neuron" }"#;
    let scratch = Scratch::new();
    scratch.write("attention.toml", LAYERS.replace(r#"{ layer = "pool", kernel = [1, 2] }"#, attention));
    let text = scratch.ok(&["net", "check", "attention.toml"]).stdout;
    let why = "no: layer `attention1`: attention has no event-driven form, because it multiplies spikes";
    assert!(text.contains(&format!("event-driven: {why}")) && text.contains(&format!("chip: {why}")), "{text}");
    for option in ["--event-driven", "--chip"] {
        let e = scratch.refused(&["net", "check", "attention.toml", option]);
        assert!(e.contains("network `mine` cannot") && e.contains("`attention1`") && e.contains("a `conv`"), "{e}");
    }
    // A recipe that trains with event-driven passes is refused before the training.
    let event_driven = ["train", "attention.toml", "--set", "train.event_driven.every=2", "--output", "run"];
    let e = scratch.refused(&event_driven);
    assert!(e.contains("`attention1`: attention has no event-driven form"), "{e}");
    assert!(!scratch.at("run/weights.safetensors").exists());
    let shown = scratch.ok_json(&["net", "show", "attention.toml", "--svg", "net.svg"]);
    let layers = shown["layers"].as_array().unwrap();
    let layer = layers.iter().find(|l| l["name"] == "attention1").unwrap();
    assert_eq!((&layer["detail"], &layer["parameters"]), (&"heads 3 scale 0.125".into(), &0.into()));
    assert!(scratch.text("net.svg").contains("attention1"));
}

#[test]
fn every_recipe_of_the_repository_passes_the_check() {
    let scratch = Scratch::small();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes")];
    let mut recipes = 0;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "toml") {
                scratch.ok(&["net", "check", path.to_str().unwrap()]);
                recipes += 1;
            }
        }
    }
    assert!(recipes >= 20, "{recipes} recipes");
}

#[test]
fn the_layers_are_those_of_the_guide() {
    let scratch = Scratch::small();
    let guide = include_str!("../../../../docs/guide.md");
    let table = scratch.ok(&["net", "layers", "--markdown"]).stdout;
    assert!(table.len() > 1000 && guide.contains(table.trim_end()), "{table}");
    let json = scratch.ok_json(&["net", "layers"]);
    let text = scratch.ok(&["net", "layers"]).stdout;
    for kind in json["layers"].as_array().unwrap() {
        assert!(text.contains(&format!("\n{}: ", kind["name"].as_str().unwrap())), "{kind}");
    }
}
