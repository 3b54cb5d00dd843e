//! Recipes of several phases: training with batch norm, conversion, bias-free fine-tuning.

use tickless_testing::command::{Ran, Scratch};
use tickless_testing::recipes::RESIDUAL;

const PHASES: &str = "finetune={ strategies = [\"mtt\", \"sdt\"], epochs = 2, keep_norm = true }";

/// A recipe of a network with norms and biases.
fn recipe() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("small.toml", RESIDUAL);
    scratch
}

fn weights(scratch: &Scratch, run: &str) -> Vec<u8> {
    scratch.read(&format!("{run}/weights.safetensors"))
}

#[test]
fn the_phases_of_a_recipe_are_the_commands_train_and_finetune() {
    let scratch = recipe();
    let told = scratch.ok(&["train", "small.toml", "--output", "all", "--set", PHASES]);
    for words in ["tickless simulate all-mtt-finetuned", "tickless simulate all-sdt-finetuned"] {
        assert!(told.stdout.contains(words), "{told:#?}");
    }
    scratch.ok(&["train", "small.toml", "--output", "base"]);
    assert!(weights(&scratch, "all") == weights(&scratch, "base"));
    for strategy in ["mtt", "sdt"] {
        let (made, alone) = (format!("all-{strategy}-finetuned"), format!("base-{strategy}-finetuned"));
        scratch.ok(&["finetune", "base", "--strategy", strategy, "--epochs", "2", "--keep-norm"]);
        assert!(weights(&scratch, &made) == weights(&scratch, &alone), "{strategy}");
        assert_eq!(scratch.text(&format!("{made}/recipe.toml")), scratch.text(&format!("{alone}/recipe.toml")));
        assert_eq!(scratch.json(&format!("{made}/run.json"))["base"], "all");
        // The command that the run keeps makes it alone.
        let command = scratch.json(&format!("{made}/run.json"))["command"].as_str().unwrap().to_owned();
        let mut args: Vec<&str> = command.split(' ').skip(1).collect();
        *args.last_mut().unwrap() = "repeated";
        scratch.ok(&args);
        assert!(weights(&scratch, &made) == weights(&scratch, "repeated"), "{command}");
        std::fs::remove_dir_all(scratch.at("repeated")).unwrap();
    }
    // Nothing is done twice.
    let again = scratch.ok(&["train", "small.toml", "--output", "all", "--set", PHASES, "--resume"]);
    assert_eq!(again.stderr.matches("has finished already").count(), 3, "{again:#?}");
    // Without epochs there is one conversion.
    let convert = "finetune={ strategies = [\"mtt\", \"sdt\"], epochs = 0 }";
    let facts = scratch.ok_json(&["train", "small.toml", "--output", "only", "--set", convert]);
    assert_eq!(facts.as_array().map(Vec::len), Some(2), "{facts}");
    assert!(scratch.at("only-converted/weights.safetensors").is_file());
}

#[test]
#[cfg(unix)]
fn a_stopped_phase_resumes_to_the_weights_of_a_training_that_was_never_stopped() {
    let scratch = recipe();
    let long = "finetune={ strategies = [\"mtt\", \"sdt\"], epochs = 6, keep_norm = true }";
    let args = |output, more: &[&'static str]| {
        let mut args =
            vec!["train", "small.toml", "--epochs", "6", "--threads", "1", "--output", output, "--set", long];
        args.extend(more);
        args
    };
    scratch.ok(&args("whole", &[]));
    let phases = ["stopped", "stopped-mtt-finetuned", "stopped-sdt-finetuned"];
    for (k, phase) in phases.into_iter().enumerate() {
        let args = args("stopped", if k == 0 { &[] } else { &["--resume"] });
        let mut child = scratch.spawn(&args);
        while !scratch.at(phase).join("checkpoint.safetensors").exists() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before `{phase}` could be stopped");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let kill = format!("kill -INT {}", child.id());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let ran = Ran::of(&args, child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(130), "{phase}: {ran:#?}");
        assert!(ran.stderr.contains("the same command with `--resume`"), "{phase}: {ran:#?}");
    }
    scratch.ok(&args("stopped", &["--resume"]));
    for phase in phases {
        let whole = phase.replace("stopped", "whole");
        assert!(weights(&scratch, phase) == weights(&scratch, &whole), "{phase}");
    }
}

#[test]
fn phases_that_cannot_run_are_refused_before_the_training() {
    let scratch = recipe();
    let refused = |set: &[&str], words: &[&str]| {
        let mut args = vec!["train", "small.toml", "--output", "run"];
        set.iter().for_each(|s| args.extend(["--set", s]));
        scratch.refused_with(&args, words);
        assert!(!scratch.at("run").exists(), "{set:?}");
    };
    refused(&["finetune.strategies=[\"mttt\"]"], &["`mttt`", "did you mean `mtt`?"]);
    refused(&["finetune.epoch=2"], &["did you mean `epochs`?"]);
    let layers = "network={ name = \"mine\", layers = [{ layer = \"conv\", out = 4 }, { layer = \"neuron\" }, \
                  { layer = \"pool\", kernel = 2, kind = \"max\" }, { layer = \"linear\", out = 10 }] }";
    refused(&[layers, "finetune={}"], &["`pool1`", "max pooling has no event-driven form", "`kind = \"sum\"`"]);
    let taken = ["train", "small.toml", "--output", "run", "--set", PHASES];
    scratch.write("run-sdt-finetuned/recipe.toml", "");
    scratch.refused_with(&taken, &["run-sdt-finetuned", "`--resume`", "`--output`"]);
    assert!(!scratch.at("run").exists());
    scratch.refused_with(&[&taken[..], &["--workers", "2"]].concat(), &["`finetune`", "one worker"]);
    scratch.refused_with(&["compare", "small.toml", "--set", PHASES], &["`finetune`", "tickless train"]);
}

#[test]
fn calibration_can_be_switched_off_and_made_up_for() {
    let scratch = recipe();
    scratch.ok(&["train", "small.toml", "--output", "on"]);
    scratch.ok(&["train", "small.toml", "--output", "off", "--set", "eval.calibration_batches=0"]);
    assert!(
        weights(&scratch, "on") != weights(&scratch, "off"),
        "the running statistics of MTT differ from those of T_max"
    );
    scratch.ok(&["calibrate", "off"]);
    assert!(weights(&scratch, "on") == weights(&scratch, "off"));
}
