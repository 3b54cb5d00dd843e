//! Errors that can be found before the first batch are found then, and leave no folder behind.

use super::{nmnist, recording, set};
use tickless_testing::command::Scratch;
use tickless_testing::recipes::RECIPE;

const COMPARE: [&str; 4] = ["compare", "small.toml", "--output", "runs/many"];

#[test]
fn an_experiment_is_refused_before_its_first_run_for_what_would_stop_a_later_one() {
    let scratch = Scratch::small();
    let hostile: [(&[&str], &[&str]); 9] = [
        (&["--strategies", "sdt,foo"], &["unknown strategy `foo`", "sdt, nmt, mtt"]),
        (&["--strategies", ""], &["unknown strategy ``", "sdt, nmt, mtt"]),
        (&["--strategies", "sdt,mtt,sdt"], &["--strategies", "sdt twice"]),
        (&["--seeds", "1,2,1"], &["--seeds", "1 twice"]),
        (&["--folds", "1"], &["--folds", "at least 2"]),
        (&["--folds", "100000"], &["test part", "empty"]),
        (&["--set", "train.group=4"], &["`train.group` = 4", "3 blocks"]),
        (&["--set", "train.select=best"], &["train.select", "data.validation"]),
        (&["--device", "cuda:x"], &["cuda"]),
    ];
    for (options, words) in hostile {
        scratch.refused_with(&[&COMPARE[..], options].concat(), words);
        assert!(!scratch.at("runs").exists(), "{options:?} left a folder");
    }
    // The folder of the last run holds a run of another recipe.
    scratch.write("runs/many/mtt-seed1/recipe.toml", RECIPE.replace("epochs = 1", "epochs = 7"));
    let words = ["mtt-seed1", "another recipe", "--output"];
    scratch.refused_with(&[&COMPARE[..], &["--strategies", "sdt,mtt"]].concat(), &words);
    assert!(!scratch.at("runs/many/sdt-seed1").exists(), "the first has not begun");
    scratch.write("runs/other/report", "a file");
    let args = ["compare", "small.toml", "--output", "runs/other", "--strategies", "sdt"];
    scratch.refused_with(&args, &["runs/other/report", "in the way"]);
    assert!(!scratch.at("runs/other/sdt-seed1").exists());
}

#[test]
fn a_refused_training_leaves_no_folder() {
    let scratch = Scratch::small();
    for (assignment, word) in [
        ("train.strategy=foo", "foo"),
        ("network.name=foo", "foo"),
        ("data.set=foo", "foo"),
        ("train.group=9", "group"),
        ("train.select=best", "select"),
        ("data.size=[8000, 8000]", "GB"),
        ("train.t_min=5", "t_min"),
    ] {
        scratch.refused_with(&set(assignment), &[word]);
        assert!(!scratch.at("runs").exists(), "{assignment} left a folder");
    }
    for (precision, word) in [("int9", "int9"), ("int8", "int8")] {
        let mut command = scratch.command(&["train", "small.toml"]);
        let out = command.env("TICKLESS_PRECISION", precision).output().unwrap();
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(2) && error.contains(word), "{precision}: {error}");
        assert!(!scratch.at("runs").exists(), "{precision} left a folder");
    }
    let broken = nmnist();
    broken.write("data/Train/7/00072.bin", &recording()[..497]);
    broken.refused_with(&["train", "nmnist.toml", "--data", "data"], &["00072.bin", "truncated"]);
    assert!(!broken.at("runs").exists(), "the recordings are read before the folder is kept");
    broken.refused_with(&["compare", "nmnist.toml", "--data", "data", "--strategies", "sdt"], &["00072.bin"]);
    assert!(!broken.at("runs").exists());
}

#[test]
fn what_a_run_is_used_for_is_checked_before_it_is_run() {
    let scratch = Scratch::trained();
    scratch.refused_with(&["finetune", "run", "--strategy", "foo"], &["unknown strategy `foo`"]);
    scratch.refused_with(&["finetune", "run", "--strategy", "foo", "--epochs", "0"], &["unknown strategy `foo`"]);
    for rate in ["nan", "inf", "-1"] {
        scratch.refused_with(&["finetune", "run", &format!("--learning-rate={rate}")], &["learning_rate"]);
    }
    scratch.refused_with(&["finetune", "run", "--epochs", "1000000000"], &["epochs", "at most"]);
    let names: Vec<_> = std::fs::read_dir(scratch.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the recipe and the run: {names:?}");
    // Each of these is refused before any sample is read: a wrong configuration after a right one,
    // steps that are not valid, a file that cannot be written.
    let args = ["eval", "run", "--configuration", "1,2,4", "--configuration", "1,2", "--part", "train"];
    scratch.refused_with(&args, &["3 stages", "[1, 2]"]);
    scratch.refused_with(&["eval", "no-run", "--steps", "0"], &["T = 0"]);
    scratch.refused_with(&["parity", "run", "--write-counts", "no/counts.csv"], &["--write-counts", "no folder no"]);
    scratch.refused_with(&["parity", "run", "--write-counts", "run"], &["--write-counts run", "is a folder"]);
    assert!(!scratch.at("no").exists());
}

#[test]
fn a_demo_that_cannot_begin_deletes_nothing() {
    let scratch = Scratch::new();
    scratch.write("runs/demo/sdt-seed0/recipe.toml", RECIPE);
    let words = ["`train.group` = 9"];
    scratch.refused_with(&["demo", "--fresh", "--set", "train.group=9"], &words);
    scratch.refused_with(&["demo", "--fresh", "--device", "foo"], &["foo"]);
    assert_eq!(scratch.text("runs/demo/sdt-seed0/recipe.toml"), RECIPE);
    let here = ["demo", "--set", "data.train_limit=60"];
    scratch.refused_with(&here, &["another recipe", "--output"]);
}

#[test]
fn a_run_finds_its_data_from_any_folder() {
    let scratch = nmnist();
    scratch.write("elsewhere/empty.txt", "");
    let train = ["train", "nmnist.toml", "--data", "data", "--set", "data.cache=cache", "--output", "run"];
    scratch.ok(&train);
    let recipe = scratch.text("run/recipe.toml");
    let lines: Vec<&str> = recipe.lines().filter(|l| l.starts_with("path =") || l.starts_with("cache =")).collect();
    let here = scratch.path().display().to_string();
    assert!(lines.len() == 2 && lines.iter().all(|l| l.contains(&here)), "{lines:?} not in {here}");
    let out = scratch.command(&["eval", "../run", "--steps", "1"]).current_dir(scratch.at("elsewhere")).output();
    let out = out.unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    scratch.ok(&["finetune", "run", "--epochs", "0"]);
    assert!(scratch.text("run-converted/recipe.toml").contains(lines[0]));
    // A run that stores relative paths continues with the same command.
    let relative = recipe.replace(&format!("{here}{}", std::path::MAIN_SEPARATOR), "");
    assert_ne!(relative, recipe);
    scratch.write("run/recipe.toml", relative);
    assert!(scratch.ok(&[&train[..], &["--resume"]].concat()).stderr.contains("has finished already"));
}
