//! Several commands on one run at the same time, and results of a part of its samples.

use super::leftovers;
use tickless_testing::command::{Ran, Scratch};

#[test]
fn evaluations_of_one_run_at_the_same_time_all_succeed() {
    let scratch = Scratch::trained();
    scratch.ok(&["eval", "run"]);
    let (table, alone) = (scratch.ok(&["eval", "run"]).stdout, scratch.read("run/eval.json"));
    for _ in 0..5 {
        let all: Vec<_> = (0..4).map(|_| scratch.spawn(&["eval", "run", "--threads", "1"])).collect();
        for child in all {
            let ran = Ran::of(&["eval"], child.wait_with_output().unwrap());
            assert_eq!((ran.code, &ran.stdout), (Some(0), &table), "{ran:#?}");
        }
        assert!(scratch.read("run/eval.json") == alone);
    }
    assert!(leftovers(&scratch, "run").is_empty());
}

#[test]
fn evaluations_at_different_steps_at_the_same_time_are_all_kept() {
    let scratch = Scratch::trained();
    let all = ["1", "2", "3", "4"].map(|t| scratch.spawn(&["eval", "run", "--steps", t, "--threads", "1"]));
    for child in all {
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    }
    let points = scratch.json("run/eval.json")["points"].as_array().unwrap().clone();
    let mut steps: Vec<u64> = points.iter().map(|p| p["configuration"][0].as_u64().unwrap()).collect();
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps, [1, 2, 3, 4]);
}

#[test]
fn a_comparison_measures_what_a_partial_evaluation_does_not_hold() {
    let scratch = Scratch::small();
    let compare = ["compare", "small.toml", "--strategies", "sdt", "--output", "c"];
    let first = scratch.ok(&compare);
    let whole = scratch.read("c/sdt-seed1/eval.json");
    for partial in [
        &["--steps", "1", "--leak", "step"][..],
        &["--limit", "3"],
        &["--part", "train"],
        &["--part", "train", "--limit", "3", "--steps", "1"],
        &["--configuration", "4,1,1"],
    ] {
        for kept in [true, false] {
            if !kept {
                std::fs::remove_file(scratch.at("c/sdt-seed1/eval.json")).unwrap();
            }
            scratch.ok(&[&["eval", "c/sdt-seed1"], partial].concat());
            assert_eq!(scratch.ok(&compare).stdout, first.stdout, "{partial:?}, kept: {kept}");
            scratch.write("c/sdt-seed1/eval.json", &whole);
        }
    }
    // A file that claims the whole test part but holds results of a part, as an earlier version
    // wrote it.
    let mut part = scratch.json("c/sdt-seed1/eval.json");
    part["points"].as_array_mut().unwrap().truncate(1);
    scratch.write("c/sdt-seed1/eval.json", part.to_string());
    assert_eq!(scratch.ok(&compare).stdout, first.stdout);
    part["points"][0]["samples"] = 3.into();
    part["points"][0]["correct"] = 3.into();
    part["points"][0]["accuracy"] = 100.0.into();
    scratch.write("c/sdt-seed1/eval.json", part.to_string());
    assert_eq!(scratch.ok(&compare).stdout, first.stdout);
}

#[test]
fn results_of_a_part_or_of_another_precision_are_labelled_and_not_kept() {
    let scratch = Scratch::trained();
    scratch.ok(&["eval", "run"]);
    let kept = scratch.read("run/eval.json");
    let shown = scratch.ok(&["eval", "run", "--part", "train", "--limit", "7"]).stdout;
    assert!(shown.contains("7 of 100 train samples"), "{shown}");
    let out = scratch.command(&["eval", "run"]).env("TICKLESS_PRECISION", "bf16").output().unwrap();
    let ran = Ran::of(&["eval"], out);
    assert!(ran.code == Some(0) && ran.stdout.contains("bf16"), "{ran:#?}");
    let out = scratch.command(&["eval", "run", "--json"]).env("TICKLESS_PRECISION", "bf16").output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["precision"], "bf16");
    assert!(scratch.read("run/eval.json") == kept, "the kept evaluation is that of the whole test part in f32");
}
