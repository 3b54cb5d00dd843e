//! `tickless study robustness`: what noise, lost and moved events do to several runs.

use serde_json::Value;
use tickless_testing::command::{Scratch, number};

fn groups(studied: &Value) -> &[Value] {
    studied["groups"].as_array().unwrap()
}

#[test]
fn a_vanishing_disturbance_changes_nothing_and_a_large_one_does() {
    let scratch = Scratch::small();
    for strategy in ["sdt", "mtt"] {
        let set = format!("train.strategy={strategy}");
        scratch.ok(&["train", "small.toml", "--output", strategy, "--set", &set, "--set", "train.epochs=4"]);
    }
    let small = ["--weights", "1e-9", "--input", "1e-9", "--drop", "1e-9", "--jitter", "1e-6"];
    let mut args = vec!["study", "robustness", "sdt", "mtt", "--draws", "2", "--gradients", "20", "-o", "out"];
    args.extend(small);
    let studied = scratch.ok_json(&args);
    let names: Vec<&str> = groups(&studied).iter().map(|g| g["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["SDT", "MTT"]);
    for (g, run) in groups(&studied).iter().zip(["sdt", "mtt"]) {
        let clocked = scratch.ok_json(&["eval", run, "--steps", "4", "--leak", "step"]);
        let event_driven = scratch.ok_json(&["simulate", run]);
        let undisturbed = &g["undisturbed"];
        assert_eq!(number(undisturbed, "clocked/mean"), number(&clocked, "points/0/accuracy"));
        assert_eq!(number(undisturbed, "clocked/standard_error"), number(&clocked, "points/0/standard_error"));
        assert_eq!(number(undisturbed, "event_driven/mean"), number(&event_driven, "accuracy"));
        let levels = g["levels"].as_array().unwrap();
        assert_eq!(levels.len(), 4);
        for l in levels {
            assert_eq!(l["clocked"], undisturbed["clocked"], "{l}");
            let events = if l["disturbance"] == "input" { &Value::Null } else { &undisturbed["event_driven"] };
            assert_eq!(&l["event_driven"], events, "{l}");
        }
        assert!(number(g, "gradients/weights") > 0.0 && number(g, "gradients/inputs") > 0.0);
    }
    assert_eq!(scratch.json("out/robustness.json"), studied);
    assert!(scratch.text("out/robustness.svg").contains("share of lost events"));
    // The runs keep what was measured, and a later study adds to it.
    let before = scratch.json("mtt/robustness.json");
    let more = scratch.ok_json(&["study", "robustness", "mtt", "--draws", "2", "--weights", "5", "--drop", "0.99"]);
    let kept = scratch.json("mtt/robustness.json");
    assert_eq!(kept["rows"].as_array().unwrap()[..4], before["rows"].as_array().unwrap()[..]);
    let level = |what: &str| {
        let levels = groups(&more)[0]["levels"].as_array().unwrap();
        number(levels.iter().find(|l| l["disturbance"] == what).unwrap(), "clocked/mean")
    };
    let undisturbed = number(&groups(&more)[0], "undisturbed/clocked/mean");
    assert!(undisturbed > 30.0, "the network has learned something: {undisturbed} %");
    assert!(level("weights") < undisturbed && level("drop") < undisturbed, "{more}");
    let table = scratch.ok(&["study", "robustness", "sdt", "mtt", "--draws", "2", "--gradients", "20"]);
    for words in ["undisturbed", "lost events 0.5", "gradient of weights", "jitter, steps 0.25"] {
        assert!(table.stdout.contains(words), "{words}: {table:#?}");
    }
}

#[test]
fn levels_that_cannot_be_are_refused_before_anything_runs() {
    let scratch = Scratch::trained();
    for (option, level, words) in [
        ("--drop", "1", "below 1"),
        ("--weights", "-0.1", "above 0"),
        ("--jitter", "x", "none"),
        ("--draws", "0", "at least once"),
    ] {
        let given = format!("{option}={level}");
        scratch.refused_with(&["study", "robustness", "run", &given], &[option, words]);
    }
    assert!(!scratch.at("run/robustness.json").exists());
}
