//! Killed commands and full disks: the file is the old one or the new one, and errors reach the
//! exit code.

use super::{leftovers, random, shell};
use std::time::{Duration, Instant};
use tickless_testing::command::Scratch;
use tickless_testing::recipes::RECIPE;

/// Number of times that each command is killed.
const KILLS: usize = 12;

/// Kills a command at random moments of its usual duration and calls `check` after each kill.
fn kill(scratch: &Scratch, args: &[&str], seed: u64, check: impl Fn()) {
    let whole = scratch.duration(args).as_micros() as u64;
    let mut killed = 0;
    for moment in random(seed, whole + whole / 8).take(KILLS) {
        let mut child = scratch.spawn(args);
        std::thread::sleep(Duration::from_micros(moment));
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
        check();
    }
    assert!(killed >= KILLS / 2, "only {killed} were still running when they were killed");
}

#[test]
fn a_killed_evaluation_leaves_the_old_result_or_the_new_one() {
    let scratch = Scratch::trained();
    scratch.ok(&["eval", "run", "--steps", "1"]);
    let old = scratch.read("run/eval.json");
    scratch.ok(&["eval", "run", "--steps", "1..3"]);
    let new = scratch.read("run/eval.json");
    kill(&scratch, &["eval", "run", "--steps", "1..3"], 11, || {
        let is = scratch.read("run/eval.json");
        assert!(is == old || is == new);
        scratch.write("run/eval.json", &old);
    });
    scratch.ok(&["eval", "run", "--steps", "1..3"]);
    assert!(scratch.read("run/eval.json") == new && leftovers(&scratch, "run").is_empty());
}

#[test]
fn a_killed_comparison_goes_on_to_the_same_report() {
    let scratch = Scratch::small();
    let compare = |output| ["compare", "small.toml", "--strategies", "sdt,mtt", "--output", output];
    let whole = scratch.ok(&compare("whole")).stdout.replace("whole/", "killed/");
    let begun = Instant::now();
    scratch.ok(&compare("timed"));
    let duration = begun.elapsed().as_micros() as u64;
    for moment in random(12, duration).take(KILLS) {
        let mut child = scratch.spawn(&compare("killed"));
        std::thread::sleep(Duration::from_micros(moment));
        child.kill().unwrap();
        child.wait().unwrap();
        let ran = scratch.ok(&compare("killed"));
        assert_eq!(ran.stdout, whole);
        for run in ["sdt-seed1", "mtt-seed1"] {
            for file in ["weights.safetensors", "eval.json"] {
                let same =
                    scratch.read(&format!("killed/{run}/{file}")) == scratch.read(&format!("whole/{run}/{file}"));
                assert!(same, "{run}/{file}");
            }
        }
        std::fs::remove_dir_all(scratch.at("killed")).unwrap();
    }
}

#[test]
fn a_killed_fine_tuning_resumes_to_the_same_weights() {
    let scratch = Scratch::new();
    scratch.write("base.toml", tickless_testing::recipes::RESIDUAL);
    scratch.ok(&["train", "base.toml", "--output", "base"]);
    let tune = |output: &'static str, more: &[&'static str]| -> Vec<&str> {
        [&["finetune", "base", "--epochs", "2", "--keep-norm", "--output", output], more].concat()
    };
    let begun = Instant::now();
    scratch.ok(&tune("whole", &[]));
    let duration = begun.elapsed().as_micros() as u64;
    for moment in random(13, duration + duration / 8).take(KILLS) {
        let mut child = scratch.spawn(&tune("tuned", &[]));
        std::thread::sleep(Duration::from_micros(moment));
        child.kill().unwrap();
        child.wait().unwrap();
        scratch.ok(&tune("tuned", &["--resume"]));
        for file in ["weights.safetensors", "recipe.toml"] {
            assert!(scratch.read(&format!("tuned/{file}")) == scratch.read(&format!("whole/{file}")), "{file}");
        }
        assert!(leftovers(&scratch, "tuned").is_empty());
        std::fs::remove_dir_all(scratch.at("tuned")).unwrap();
    }
}

#[test]
fn a_file_that_cannot_be_written_reaches_the_exit_code_and_the_old_one_stays() {
    let scratch = Scratch::trained();
    for command in ["eval run", "simulate run", "report run", "calibrate norm"] {
        if command.starts_with("calibrate") {
            scratch.ok(&["train", "small.toml", "--set", "network.norm=true", "--output", "norm"]);
        }
        shell(&scratch, &format!("$B {command}"));
        let files = ["run/eval.json", "run/simulate.json", "run/report/report.html", "norm/weights.safetensors"];
        let content = || files.map(|f| std::fs::read(scratch.at(f)).ok());
        let before = content();
        // With a limit of 0 no file may grow: every write fails, as on a full disk.
        let ran = shell(&scratch, &format!("trap '' XFSZ; ulimit -f 0; exec $B {command}"));
        assert_eq!(ran.code, Some(2), "{command}: {ran:#?}");
        let error = ran.stderr.lines().last().unwrap_or_default();
        assert!(error.starts_with("error: ") && error.contains("File too large"), "{command}: {ran:#?}");
        assert!(content() == before, "{command}: the old files stay");
        assert!(leftovers(&scratch, "run").is_empty(), "{command}");
    }
    for command in
        ["train small.toml --output new", "finetune run --epochs 1 --output new", "compare small.toml --output new"]
    {
        let ran = shell(&scratch, &format!("trap '' XFSZ; ulimit -f 0; exec $B {command}"));
        assert_eq!(ran.code, Some(2), "{command}: {ran:#?}");
        assert!(ran.stderr.contains("File too large"), "{command}: {ran:#?}");
        let _ = std::fs::remove_dir_all(scratch.at("new"));
    }
}

#[test]
fn a_disk_that_fills_up_while_training_keeps_the_last_checkpoint() {
    let scratch = Scratch::new();
    scratch.write("long.toml", RECIPE.replace("epochs = 1", "epochs = 60"));
    scratch.ok(&["train", "long.toml", "--output", "whole"]);
    let metrics = scratch.read("whole/metrics.jsonl").len();
    let checkpoint = scratch.read("whole/checkpoint.safetensors").len();
    assert!(
        metrics < checkpoint,
        "the checkpoint, whose header grows with each epoch, is the first file that is too large"
    );
    // The limit, in blocks of 512 bytes, has room for a checkpoint of about half of the epochs.
    let begun = scratch.read("whole/checkpoint.safetensors").len() - 60 * 100;
    let line = format!("trap '' XFSZ; ulimit -f {}; exec $B train long.toml --output run", begun / 512);
    let ran = shell(&scratch, &line);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains("run/checkpoint.safetensors: File too large"), "{ran:#?}");
    assert!(leftovers(&scratch, "run").is_empty());
    scratch.ok(&["train", "long.toml", "--output", "run", "--resume"]);
    assert!(scratch.read("run/weights.safetensors") == scratch.read("whole/weights.safetensors"));
}

#[test]
fn a_lock_that_is_a_link_is_not_followed() {
    let scratch = Scratch::small();
    scratch.write("victim", "precious");
    std::fs::create_dir(scratch.at("run")).unwrap();
    std::os::unix::fs::symlink(scratch.at("victim"), scratch.at("run/lock")).unwrap();
    scratch.refused_with(&["train", "small.toml", "--output", "run"], &["run/lock", "no regular file"]);
    assert_eq!(scratch.text("victim"), "precious");
    std::fs::remove_file(scratch.at("run/lock")).unwrap();
    scratch.ok(&["train", "small.toml", "--output", "run"]);
}
