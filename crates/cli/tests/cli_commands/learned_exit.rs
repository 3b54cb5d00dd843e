//! The learned exit: a policy that is fitted on the validation part alone, kept in the run, and used
//! by every command, at time steps and in event time.

use crate::tune::{loaded, validated};
use serde_json::Value;
use tickless::events::Split;
use tickless::events::formats::encode;
use tickless::exits::exits;
use tickless::net::{ExitRule, LeakRule};
use tickless::train::device::device;
use tickless::train::evaluate::{Setting, over_time};
use tickless::train::progress::Silent;
use tickless::train::run::Loaded;
use tickless::{ExitAt, OperatingPoint};
use tickless_testing::command::{Scratch, number};

fn sweep(json: &Value, key: &str) -> Vec<f64> {
    json["rows"].as_array().unwrap().iter().map(|row| number(row, key)).collect()
}

const SWEEP: [&str; 4] = ["--exit", "learned", "--alpha", "0,0.3,0.5,0.7,0.9,0.97,1"];

/// The answers of `predict` to a file of each test recording.
fn predicted(scratch: &Scratch, run: &Loaded, args: &[&str]) -> Vec<Value> {
    let write = |(k, id): (usize, &_)| {
        let recording = run.source.recording(*id).unwrap();
        let name = format!("{k}.raw");
        scratch.write(&name, encode("evt3", recording.columns(), Some(recording.sensor())).unwrap());
        name
    };
    let files: Vec<String> = run.parts.test.iter().enumerate().map(write).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let ran = scratch.ok(&[&["predict", "run", "--json"], &files[..], args].concat());
    ran.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// The policies that the run keeps.
fn policies(scratch: &Scratch) -> Value {
    scratch.json("run/temperatures.json")["policies"].clone()
}

#[test]
fn a_policy_is_fitted_without_the_test_part_and_stops_where_the_full_run_is_cut() {
    let scratch = validated();
    let run = loaded(&scratch);
    let model = run.model(&device("cpu").unwrap()).unwrap();
    for point in [OperatingPoint::steps(&run.network, 4, LeakRule::Step), OperatingPoint::EVENT_DRIVEN] {
        let asked = [ExitAt { rule: ExitRule::Learned, alpha: 0.9 }];
        let found = exits(&run, &model, &point, &asked, &Silent).unwrap();
        assert_eq!(run.source.given(Split::Test), 0, "{point}: the fit has read the test part");
        assert_eq!(exits(&run, &model, &point, &asked, &Silent).unwrap(), found, "{point}: kept and read again");
    }
    let kept = policies(&scratch);
    assert_eq!(kept.as_array().unwrap().len(), 2, "{kept:#}");
    // Fitted again from nothing, the policy has the same bits.
    std::fs::remove_file(scratch.at("run/temperatures.json")).unwrap();
    let args = [&["eval", "run", "--steps", "4", "--leak", "step", "-o", "exits"], &SWEEP[..]].concat();
    let shown = scratch.ok_json(&args);
    assert_eq!(policies(&scratch)[0], kept[0], "the same bits twice");
    assert_eq!(shown["policy"], kept[0][1]);
    assert!(scratch.text("exits/early-exit.svg").contains("learned"));

    // A higher threshold never stops sooner; the ends are the first step and all steps.
    let steps = sweep(&shown, "mean_steps");
    assert!(steps.windows(2).all(|w| w[0] <= w[1]) && steps[0] == 1.0 && steps[6] == 4.0, "{steps:?}");
    assert!(steps[1..6].iter().any(|s| (1.0..4.0).contains(s) && *s > 1.0), "{steps:?}: nothing lies between");

    // `eval` and `predict` stop each sample at the step at which the full run is cut.
    let setting = Setting {
        source: &run.source,
        ids: &run.parts.test,
        t_max: run.facts.t_max,
        step_us: run.facts.step_us,
        batch: 1,
    };
    let all = over_time(&model, &setting, 4, LeakRule::Step, &Silent).unwrap();
    let point = OperatingPoint::steps(&run.network, 4, LeakRule::Step);
    for (alpha, row) in [("0.5", 2), ("0.9", 4)] {
        let at = ExitAt { rule: ExitRule::Learned, alpha: alpha.parse().unwrap() };
        let exit = exits(&run, &model, &point, &[at], &Silent).unwrap().all[0].1;
        let expected = all.exits(&exit);
        assert_eq!(number(&shown["rows"][row], "accuracy"), expected.accuracy(), "{alpha}");
        assert_eq!(shown["rows"][row]["stopped"], serde_json::json!(expected.stopped), "{alpha}");
        let clocked = ["--steps", "4", "--leak", "step", "--exit", "learned", "--alpha", alpha];
        for (k, line) in predicted(&scratch, &run, &clocked).iter().enumerate() {
            let (step, class) = all.exit_of(k, &exit);
            assert_eq!((&line["steps"][0], &line["label"]), (&(step + 1).into(), &class.into()), "{alpha}: {line}");
        }
    }
    let table = scratch.ok(&args).stdout;
    assert!(table.lines().filter(|l| l.trim_start().starts_with("learned")).count() == 7, "{table}");
}

#[test]
fn in_event_time_the_same_file_is_answered_after_the_same_events_by_every_command() {
    let scratch = validated();
    let run = loaded(&scratch);
    let shown = scratch.ok_json(&[&["simulate", "run"], &SWEEP[..]].concat());
    let events = sweep(&shown, "events");
    assert!(events.windows(2).all(|w| w[0] <= w[1]) && events[0] == 1.0, "{events:?}");
    assert_eq!(events[6], number(&shown["whole"], "events"));
    assert_eq!(shown["policy"], policies(&scratch)[0][1]);
    assert_eq!(scratch.ok_json(&[&["simulate", "run"], &SWEEP[..]].concat()), shown, "twice is the same");
    let lines = predicted(&scratch, &run, &["--event-driven", "--exit", "learned", "--alpha", "0.7"]);
    let sum: f64 = lines.iter().map(|line| number(line, "events")).sum();
    assert!((sum / run.parts.test.len() as f64 - events[3]).abs() < 1e-9, "{sum} {events:?}");
}

#[test]
fn without_a_validation_part_a_policy_is_refused_with_the_remedy() {
    let scratch = Scratch::trained();
    for args in [
        &["eval", "run", "--exit", "learned"][..],
        &["simulate", "run", "--exit", "confidence,learned"],
        &["predict", "run", "-", "--exit", "learned"],
    ] {
        scratch.refused_with(args, &["no validation part", "data.validation"]);
    }
    assert!(!scratch.at("run/temperatures.json").exists());
}

#[test]
fn a_policy_that_somebody_changed_is_fitted_again() {
    let scratch = validated();
    let eval = [&["eval", "run", "--steps", "3"], &SWEEP[..]].concat();
    let before = scratch.ok_json(&eval);
    let whole = scratch.text("run/temperatures.json");
    let weight = before["policy"]["weights"][1].to_string();
    for text in [whole.replacen(&weight, "1e300", 1), "{".into(), "[]".into(), String::new()] {
        assert_ne!(text, whole);
        scratch.write("run/temperatures.json", &text);
        let again = scratch.ok_json(&eval);
        assert_eq!((&again["policy"], &again["gain"]), (&before["policy"], &before["gain"]), "{text}");
        let (a, b) = (sweep(&again, "mean_steps"), sweep(&before, "mean_steps"));
        assert_eq!(a, b);
    }
    // A policy belongs to the weights: that of another run is not used.
    scratch.ok(&["train", "small.toml", "--output", "other", "--set", "data.validation=0.3", "--set", "seed=2"]);
    scratch.write("other/temperatures.json", &whole);
    let other = scratch.ok_json(&[&["eval", "other", "--steps", "3"], &SWEEP[..]].concat());
    assert_ne!(other["policy"], before["policy"]);
}

#[test]
fn a_learned_exit_is_one_of_the_settings_that_a_budget_chooses_from() {
    let scratch = validated();
    let shown = scratch.ok_json(&["tune", "run", "--budget", "steps=2.5", "--clocked", "--mixed", "2"]);
    let learned = |m: &&Value| m["point"]["exit"]["rule"] == "learned";
    let tried: Vec<&Value> = shown["tried"].as_array().unwrap().iter().filter(learned).collect();
    assert!(tried.len() >= 24, "{}", tried.len());
    // What the search has measured is what `eval` measures.
    let point = tried.iter().find(|m| number(m, "steps") > 1.0).unwrap();
    let alpha = point["point"]["exit"]["alpha"].to_string();
    let leak = point["point"]["leak"].as_str().unwrap();
    let args = ["eval", "run", "--part", "validation", "--untuned", "--exit", "learned", "--leak", leak];
    let evaluated = scratch.ok_json(&[&args[..], &["--alpha", &alpha]].concat());
    assert_eq!(number(point, "accuracy"), number(&evaluated, "rows/0/accuracy"));
    assert!((number(point, "steps") - number(&evaluated, "rows/0/mean_steps")).abs() < 1e-9);
    assert!(number(&shown, "ms_per_sample") > 0.0);
}
