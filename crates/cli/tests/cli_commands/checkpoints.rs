//! Checkpoints of other frameworks: import, export, and trainings that start from them.

use super::residual;
use std::path::Path;
use tickless::net::interop::checkpoint::{self, torch};
use tickless::net::{Array, Weights};
use tickless_testing::command::Scratch;

/// Writes tensors as `torch.save` does.
pub(super) fn save(scratch: &Scratch, name: &str, tensors: &[(&str, &Array)]) {
    let named: Vec<(String, &Array)> = tensors.iter().map(|(n, a)| ((*n).to_owned(), *a)).collect();
    scratch.write(name, torch::to_bytes(&named).unwrap());
}

fn weights(scratch: &Scratch, run: &str) -> Weights {
    Weights::load(&scratch.at(run).join("weights.safetensors")).unwrap()
}

#[test]
fn what_is_exported_is_imported_with_the_same_bits() {
    let scratch = Scratch::trained();
    for (to, dialect, first) in [
        ("torch", "sequential", "0.weight"),
        ("torch", "tickless", "conv1.weight"),
        ("safetensors", "torchvision", "classifier.0.weight"),
        ("safetensors", "sinabs", "0.weight"),
    ] {
        let args = ["export", "run", "--to", to, "--dialect", dialect, "--output", "net.any"];
        let said = scratch.ok(&args).stdout;
        assert!(said.contains("net.any"), "{said}");
        let read = checkpoint::read(&scratch.at("net.any"), None).unwrap();
        let names: Vec<&str> = read.tensors().iter().map(|(n, _)| n.as_str()).collect();
        let found =
            if first == "0.weight" { names.iter().any(|n| n.ends_with(".weight")) } else { names.contains(&first) };
        assert!(found, "{names:?}");
        let back = format!("back-{to}-{dialect}");
        let told = scratch.ok(&["import", "net.any", "--recipe", "small.toml", "--output", &back]).stdout;
        assert!(told.contains(&format!("{} of {} tensors matched", names.len(), names.len())), "{told}");
        assert!(told.contains(&format!("next: tickless simulate {back}")), "{told}");
        assert!(weights(&scratch, "run") == weights(&scratch, &back), "{to} {dialect}");
        assert_eq!(scratch.json(&format!("{back}/run.json"))["strategy"], "imported");
    }
    let results = ["run", "back-torch-sequential"].map(|run| scratch.ok_json(&["simulate", run, "--limit", "10"]));
    assert_eq!(results[0]["decisions"], results[1]["decisions"]);
    scratch
        .refused_with(&["export", "run", "--to", "torch", "--dialect", "keras"], &["--dialect keras", "torchvision"]);
}

#[test]
fn a_network_with_norms_and_branches_comes_back_with_its_running_statistics() {
    let scratch = residual();
    for (to, dialect) in [("torch", "torchvision"), ("safetensors", "paper")] {
        scratch.ok(&["export", "base", "--to", to, "--dialect", dialect, "--output", "net.any"]);
        let made = scratch.ok_json(&["import", "net.any", "--recipe", "base.toml", "--output", to]);
        assert_eq!((&made["run"], &made["dialect"]), (&to.into(), &dialect.into()));
        assert!(made["missing"].as_array().unwrap().is_empty() && made["unused"].as_array().unwrap().is_empty());
        assert!(weights(&scratch, "base") == weights(&scratch, to), "{to} {dialect}");
    }
    scratch.refused_with(&["export", "base", "--to", "torch", "--dialect", "sequential"], &["names a chain of layers"]);
}

#[test]
fn a_dry_run_shows_what_matches_and_makes_nothing() {
    let scratch = Scratch::trained();
    let own = weights(&scratch, "run");
    let (conv1, conv2) = (own.get("conv1.weight").unwrap(), own.get("conv2.weight").unwrap());
    let head = Array::full(&[7, 256], 0.5);
    let counter = Array::full(&[], 1.0);
    save(
        &scratch,
        "net.pt",
        &[
            ("conv1.weight", conv1),
            ("konv2.weight", conv2),
            ("linear1.weight", &head),
            ("bn.num_batches_tracked", &counter),
        ],
    );
    let args = ["import", "net.pt", "--recipe", "small.toml", "--dialect", "tickless"];
    let told = scratch.ok(&[&args[..], &["--dry-run"]].concat()).stdout;
    for words in [
        "net.pt: 1 of 3 tensors matched, by the names of `tickless`",
        "missing: the file has no `conv2.weight`; nearest: `konv2.weight`",
        "missing: `linear1.weight` has shape [7, 256] in the file, [10, 256] is needed",
        "konv2.weight [16, 8, 3, 3]: no layer has this name; of its shape: `conv2.weight`",
        "1 states and constants of modules are not weights",
    ] {
        assert!(told.contains(words), "no `{words}` in {told}");
    }
    let json = scratch.ok_json(&[&args[..], &["--dry-run"]].concat());
    assert_eq!(json["missing"].as_array().unwrap().len(), 2);
    assert!(json.get("run").is_none() && !scratch.at("runs").exists());
    // Without the data set, which a dry run does not need if its shape is known.
    let elsewhere = ["--set", "data.set=\"nmnist\"", "--set", "data.path=\"/nowhere\"", "--dry-run"];
    scratch.ok(&[&args[..], &elsewhere].concat());
    // A run needs all tensors.
    let ran = scratch.run(&args);
    assert_eq!(ran.code, Some(2));
    for words in [
        "error: net.pt: no values for `conv2.weight` (and 1 other)",
        "--map",
        "tickless train small.toml --from net.pt",
    ] {
        assert!(ran.stderr.contains(words), "no `{words}` in {ran:#?}");
    }
    assert!(!scratch.at("runs").exists());
}

#[test]
fn a_map_names_what_no_dialect_knows() {
    let scratch = Scratch::trained();
    let own = weights(&scratch, "run");
    let tensor = |name: &str| own.get(name).unwrap();
    let all = [
        ("backbone.b.kernel", tensor("conv2.weight")),
        ("backbone.a.weight", tensor("conv1.weight")),
        ("linear1.weight", tensor("linear1.weight")),
    ];
    save(&scratch, "net.pth", &all);
    let args = ["import", "net.pth", "--recipe", "small.toml", "--output", "back", "--map", "map.toml"];
    scratch.refused_with(&args, &["map.toml", "No such file"]);
    scratch.write("map.toml", "backbone.a = \"conv1\"\n\"backbone.b.kernel\" = \"conv2.wait\"\n");
    scratch.refused_with(&args, &["map.toml: the network has no tensor `conv2.wait`, did you mean `conv2.weight`?"]);
    scratch.write("map.toml", "backbone.a = \"conv1\"\n\"backbone.b.kernel\" = \"conv2.weight\"\n");
    scratch.ok(&args);
    assert!(weights(&scratch, "back") == own);
}

/// The arguments of a training of the small recipe.
fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "small.toml"], more].concat()
}

#[test]
fn frozen_layers_keep_their_weights_also_after_a_resumption() {
    let scratch = Scratch::trained();
    let freeze = ["--from", "run", "--set", "train.freeze=[\"conv1\", \"lin*\"]", "--output", "a"];
    scratch.ok(&train(&freeze));
    let (before, after) = (weights(&scratch, "run"), weights(&scratch, "a"));
    for (name, array) in &after.tensors {
        assert_eq!(before.get(name) == Some(array), name != "conv2.weight", "{name}");
    }
    // The checkpoint has no state of the optimiser for them.
    std::fs::remove_file(scratch.at("a/weights.safetensors")).unwrap();
    scratch.ok(&train(&[&freeze[..], &["--resume"]].concat()));
    assert!(weights(&scratch, "a") == after);
    let wrong = train(&["--set", "train.freeze=[\"conv9\"]", "--output", "b"]);
    scratch.refused_with(&wrong, &["`train.freeze` names `conv9`", "did you mean `conv1`?"]);
    let all = train(&["--set", "train.freeze=[\"*\"]", "--output", "b"]);
    scratch.refused_with(&all, &["nothing is left to train"]);
    assert!(!scratch.at("b").exists());
}

#[test]
fn a_training_starts_from_a_run_or_a_file() {
    let scratch = Scratch::trained();
    // One iteration from the same weights gives the same result from the run and from its export.
    scratch.ok(&["export", "run", "--to", "torch", "--dialect", "sequential", "--output", "net.pt"]);
    let from_run = scratch.ok(&train(&["--from", "run", "--output", "a"]));
    assert!(from_run.stderr.contains("3 of 3 tensors from run/weights.safetensors, by the names of `tickless`"));
    let from_file = scratch.ok(&train(&["--from", "net.pt", "--output", "b"]));
    assert!(from_file.stderr.contains("3 of 3 tensors from net.pt"), "{from_file:#?}");
    assert!(weights(&scratch, "a") == weights(&scratch, "b"));
    scratch.ok(&train(&["--output", "c"]));
    assert!(weights(&scratch, "a") != weights(&scratch, "c") && weights(&scratch, "c") == weights(&scratch, "run"));
    let facts = scratch.json("a/run.json");
    assert_eq!(
        (&facts["base"], &facts["base_strategy"], &facts["strategy"]),
        (&"run".into(), &"MTT".into(), &"MTT".into())
    );
    assert_eq!(scratch.json("b/run.json")["base_strategy"], "imported");
    assert!(scratch.ok(&["eval", "a", "--steps", "4"]).stdout.contains("fine-tuned as MTT from run"));
    // A folder keeps its start.
    let again = train(&["--resume", "--output", "a"]);
    scratch.refused_with(&again, &["a: was begun from run; resume it so"]);
    scratch.ok(&train(&["--resume", "--output", "a", "--from", "run"]));
    scratch.refused_with(&train(&["--resume", "--output", "c", "--from", "run"]), &["c: was begun without `--from`"]);
}

#[test]
fn a_training_takes_the_tensors_that_match_and_says_which_do_not() {
    let scratch = Scratch::trained();
    let own = weights(&scratch, "run");
    let head = Array::full(&[7, 256], 0.5);
    let conv1 = own.get("conv1.weight").unwrap();
    save(&scratch, "net.pt", &[("conv1.weight", conv1), ("linear1.weight", &head)]);
    let ran = scratch.ok(&["train", "small.toml", "--from", "net.pt", "--output", "a"]);
    for words in [
        "1 of 3 tensors from net.pt",
        "`conv2.weight` is drawn: the file has no `conv2.weight`",
        "`linear1.weight` is drawn: `linear1.weight` has shape [7, 256] in the file, [10, 256] is needed",
    ] {
        assert!(ran.stderr.contains(words), "no `{words}` in {ran:#?}");
    }
    let other = Array::full(&[3], 0.5);
    save(&scratch, "other.pt", &[("thing", &other)]);
    let args = ["train", "small.toml", "--from", "other.pt", "--output", "b"];
    scratch.refused_with(&args, &["none of its tensors matches the 3 of network `demo`", "--dry-run"]);
    assert!(!scratch.at("b").exists());
    scratch.refused_with(&["train", "small.toml", "--map", "m.toml"], &["`--map` and `--entry` say how `--from`"]);
}

#[test]
fn a_finished_run_goes_on_to_more_epochs() {
    let scratch = Scratch::trained();
    scratch.ok(&["train", "run", "--epochs", "3"]);
    let facts = scratch.json("run-epochs3/run.json");
    assert_eq!((&facts["iterations"], &facts["base"]), (&30.into(), &"run".into()));
    let epochs = scratch.text("run-epochs3/metrics.jsonl");
    assert_eq!(epochs.lines().count(), 3);
    assert_eq!(epochs.lines().next(), scratch.text("run/metrics.jsonl").lines().next(), "the first epoch is the run's");
    assert!(weights(&scratch, "run-epochs3") != weights(&scratch, "run"));
    // A schedule of constant rate has no length, so the weights are those of one training.
    let constant = ["--set", "train.schedule=\"constant\"", "--output"];
    scratch.ok(&train(&[&constant[..], &["short"]].concat()));
    scratch.ok(&train(&[&constant[..], &["long", "--epochs", "2"]].concat()));
    scratch.ok(&["train", "short", "--epochs", "2", "--output", "continued"]);
    assert!(weights(&scratch, "long") == weights(&scratch, "continued"));
    scratch.ok(&["train", "short", "--epochs", "2", "--output", "continued", "--resume"]);
    scratch.refused_with(&["train", "run", "--epochs", "1"], &["`train.epochs` = 1, and 1 epochs are trained already"]);
    assert!(!scratch.at("run-epochs1").exists());
    let set = ["train", "run", "--epochs", "3", "--set", "train.batch=5"];
    scratch.refused_with(&set, &["a run goes on with its recipe"]);
    scratch.refused_with(&["train", "run"], &["is the folder of a run, not a recipe"]);
}

#[test]
fn a_pickle_that_calls_something_is_refused_with_its_name() {
    let scratch = Scratch::small();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("net/data.pkl", stored).unwrap();
    std::io::Write::write_all(&mut zip, b"\x80\x02cos\nsystem\nX\x0a\0\0\0touch here!\x85R.").unwrap();
    scratch.write("net.pt", zip.finish().unwrap().into_inner());
    let args = ["import", "net.pt", "--recipe", "small.toml"];
    scratch.refused_with(&args, &["net.pt: its data.pkl, at byte 2: imports os.system", "torch.save(net.state_dict()"]);
    assert!(!Path::new(&scratch.at("here")).exists());
    scratch.write("old.pth", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.");
    let old = ["import", "old.pth", "--recipe", "small.toml"];
    scratch.refused_with(&old, &["old.pth: is in PyTorch's format before version 1.6", "torch.load(FILE"]);
}

#[test]
fn options_for_graphs_and_for_checkpoints_are_told_apart() {
    let scratch = Scratch::trained();
    scratch.ok(&["export", "run", "--to", "nir", "--output", "net.nir"]);
    scratch.ok(&["export", "run", "--to", "torch", "--output", "net.pt"]);
    let graph = ["import", "net.nir", "--recipe", "small.toml"];
    scratch.refused_with(&[&graph[..], &["--dry-run"]].concat(), &["are for a checkpoint, and net.nir is none"]);
    let file = ["import", "net.pt", "--recipe", "small.toml"];
    scratch.refused_with(&[&file[..], &["--dt", "0.001"]].concat(), &["`--dt` is for a NIR graph"]);
    scratch.refused_with(&[&file[..], &["--dialect", "norse"]].concat(), &["--dialect norse", "sequential"]);
    scratch.refused_with(&[&file[..], &["--entry", "model"]].concat(), &["no state dict at `model`", "--entry PLACE"]);
}

#[test]
fn what_the_recipe_leaves_out_of_a_files_network_is_an_error_or_a_warning() {
    let scratch = Scratch::trained();
    let own = weights(&scratch, "run");
    let named: Vec<(&str, &Array)> = own.tensors.iter().map(|(n, a)| (n.as_str(), a)).collect();
    let (ones, zeros) = (Array::full(&[8], 1.0), Array::full(&[8], 0.0));
    let with = |more: &[(&str, &Array)]| {
        save(&scratch, "net.pt", &[&named[..], more].concat());
        ["import", "net.pt", "--recipe", "small.toml", "--output", "back"]
    };
    for (more, words) in [
        (vec![("conv1.bias", &ones)], ["`conv1.bias` is not used", "`bias = true`"]),
        (
            vec![("bn.weight", &ones), ("bn.bias", &zeros), ("bn.running_mean", &zeros), ("bn.running_var", &ones)],
            ["`bn.weight` is not used", "`norm = true`"],
        ),
        (vec![("prelu.weight", &ones)], ["`prelu.weight` is not used", "tickless train small.toml --from net.pt"]),
    ] {
        let args = with(&more);
        scratch.refused_with(&args, &words);
        assert!(!scratch.at("back").exists());
        scratch.ok(&[&args[..4], &["--dry-run"]].concat());
    }
    let (args, head) = (with(&[("conv1.bias", &zeros), ("bn.num_batches_tracked", &ones)]), Array::full(&[3, 3], 1.0));
    let said = scratch.run(&args);
    assert!(said.code == Some(0) && !said.stderr.contains("warning"), "{said:#?}");
    std::fs::remove_dir_all(scratch.at("back")).unwrap();
    let said = scratch.run(&with(&[("projector.weight", &head)]));
    assert!(
        said.code == Some(0) && said.stderr.contains("warning: 1 tensor is not used (`projector.weight`"),
        "{said:#?}"
    );
}

#[test]
fn learned_decays_go_to_every_framework_and_come_back() {
    let scratch = Scratch::small();
    let learned = scratch
        .text("small.toml")
        .replace("name = \"demo\"", "name = \"demo\"\nneuron = { model = \"parametric-lif\" }");
    scratch.write("learned.toml", learned);
    scratch.ok(&["train", "learned.toml", "--output", "run"]);
    let own = weights(&scratch, "run");
    let sequential = ["export", "run", "--to", "torch", "--dialect", "sequential", "--output", "net.pt"];
    scratch.refused_with(&sequential, &["learned decay", "--neurons spikingjelly"]);
    for (framework, tensor) in [("spikingjelly", "w"), ("snntorch", "beta"), ("sinabs", "tau_mem")] {
        let told = scratch.ok(&[&sequential[..], &["--neurons", framework]].concat()).stdout;
        assert_eq!(told.contains("decay_input=False"), framework != "snntorch", "{told}");
        let read = checkpoint::read(&scratch.at("net.pt"), None).unwrap();
        assert_eq!(read.tensors().iter().filter(|(n, _)| n.ends_with(&format!(".{tensor}"))).count(), 2, "{framework}");
        let import = |recipe, more: &[&'static str]| {
            [&["import", "net.pt", "--recipe", recipe, "--output", framework][..], more].concat()
        };
        if framework != "snntorch" {
            scratch.refused_with(&import("learned.toml", &[]), &["net.pt", &format!(".{tensor}`"), "--decay-input"]);
        }
        scratch.ok(&import("learned.toml", &["--decay-input", "false"]));
        let back = weights(&scratch, framework);
        for (name, array) in &own.tensors {
            let near = |(a, b): (&f32, &f32)| a == b || name.ends_with(".decay") && (a - b).abs() < 1e-4;
            assert!(array.data.iter().zip(&back.get(name).unwrap().data).all(near), "{framework}: {name}");
        }
        if tensor == "w" {
            let fixed = [
                &import("small.toml", &["--decay-input", "false"])[..4],
                &["--output", "fixed", "--decay-input", "false"],
            ];
            scratch.refused_with(&fixed.concat(), &["net.pt: `", ".w` is λ =", "parametric-lif"]);
        }
    }
}
