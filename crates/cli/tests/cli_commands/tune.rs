//! `tickless tune`: a choice for a budget on the validation part, which the other commands use, and
//! early exits in event time.

use serde_json::Value;
use tickless::OperatingPoint;
use tickless::events::Split;
use tickless::events::formats::encode;
use tickless::train::device::device;
use tickless::train::progress::Silent;
use tickless::train::run::{Loaded, RunFolder};
use tickless::tune::search::search;
use tickless::tune::{Plan, tune};
use tickless_testing::command::{Scratch, number};

/// A run with a validation part of 30 samples, in the folder `run`.
pub(crate) fn validated() -> Scratch {
    let scratch = Scratch::small();
    scratch.ok(&["train", "small.toml", "--epochs", "8", "--output", "run", "--set", "data.validation=0.3"]);
    scratch
}

pub(crate) fn loaded(scratch: &Scratch) -> Loaded {
    RunFolder::open(&scratch.at("run")).unwrap().load().unwrap()
}

#[test]
fn the_search_never_reads_the_test_part_and_the_choice_reads_it_once() {
    let scratch = validated();
    for text in ["steps=2.5", "operations=60000", "energy=120", "accuracy=12"] {
        let budget = text.parse().unwrap();
        let plan = Plan::new(budget);
        let run = loaded(&scratch);
        let model = run.model(&device("cpu").unwrap()).unwrap();
        let tried = search(&run, &model, &plan, &Silent).unwrap();
        assert_eq!(run.source.given(Split::Test), 0, "{text}: the search has read the test part");
        let tuning = tune(&run, &model, &plan, &Silent).unwrap();
        assert_eq!(run.source.given(Split::Test), run.parts.test.len(), "{text}: not once");
        assert_eq!(tuning.tried, tried, "{text}: twice is not the same");
        assert_eq!((tuning.test.samples, tuning.chosen.samples), (40, 30));
        assert!(budget.is_met(&tuning.chosen), "{text}");
        assert!(!tried.iter().any(|m| budget.prefers(m, &tuning.chosen)), "{text}: there is a better one");
        assert_eq!(tuning.test.point, tuning.chosen.point);
        let kinds = |f: fn(&OperatingPoint) -> bool| tried.iter().filter(|m| f(&m.point)).count();
        let clocked = |p: &OperatingPoint| p.most_steps().is_some();
        let mixed = |p: &OperatingPoint| matches!(p, OperatingPoint::Clocked { configuration: c, .. } if c.iter().any(|t| *t != c[0]));
        assert!(kinds(mixed) > 0 && kinds(|p| p.exit().is_some()) > 72, "{text}");
        assert_eq!(kinds(clocked) == tried.len(), text.starts_with("steps"), "{text}: only events have no steps");
        for m in &tried {
            assert!(m.operations > 0.0 && m.energy_nj > 0.0 && m.ms.is_none(), "{m:?}");
        }
    }
}

#[test]
fn the_measured_choice_is_what_eval_and_simulate_measure() {
    let scratch = validated();
    let shown = scratch.ok_json(&["tune", "run", "--budget", "steps=2", "--clocked"]);
    let tried = shown["tried"].as_array().unwrap();
    let of = |c: &[u64], leak: &str| {
        let wanted = serde_json::json!({ "form": "clocked", "configuration": c, "leak": leak, "exit": null });
        tried.iter().find(|m| m["point"] == wanted).unwrap_or_else(|| panic!("no {c:?} per {leak}"))
    };
    let eval = ["eval", "run", "--part", "validation", "--untuned"];
    let evaluated = scratch.ok_json(&[&eval[..], &["--steps", "1..4", "--leak", "time"]].concat());
    for t in 1..=4 {
        let point = format!("points/{}/accuracy", t - 1);
        assert_eq!(number(of(&[t; 3], "time"), "accuracy"), number(&evaluated, &point), "T = {t}");
    }
    // More steps of one network cost more.
    let operations = |t| number(of(&[t; 3], "time"), "operations");
    assert!(operations(1) < operations(4), "{} {}", operations(1), operations(4));
    let mixed = tried.iter().find(|m| {
        let c = m["point"]["configuration"].as_array().unwrap();
        c.iter().any(|t| *t != c[0])
    });
    let mixed = mixed.expect("a mixed configuration");
    let c: Vec<String> = mixed["point"]["configuration"].as_array().unwrap().iter().map(Value::to_string).collect();
    let leak = mixed["point"]["leak"].as_str().unwrap();
    let evaluated = scratch.ok_json(&[&eval[..], &["--mixed", &c.join(","), "--leak", leak]].concat());
    assert_eq!(number(mixed, "accuracy"), number(&evaluated, "points/0/accuracy"));
    let exit = tried.iter().find(|m| m["point"]["exit"]["rule"] == "margin").unwrap();
    let alpha = exit["point"]["exit"]["alpha"].to_string();
    let args = [&eval[..], &["--exit", "margin", "--alpha", &alpha, "--leak", "time"]].concat();
    let evaluated = scratch.ok_json(&args);
    assert_eq!(number(exit, "accuracy"), number(&evaluated, "rows/0/accuracy"));
    assert!((number(exit, "steps") - number(&evaluated, "rows/0/mean_steps")).abs() < 1e-9);
    assert!((number(exit, "operations") - number(&evaluated, "rows/0/operations")).abs() < 1e-6);

    let shown = scratch.ok_json(&["tune", "run", "--budget", "operations=1e9", "--event-driven"]);
    let whole = shown["tried"].as_array().unwrap().last().unwrap().clone();
    let simulated = scratch.ok_json(&["simulate", "run", "--tune", "--part", "validation"]);
    for key in ["accuracy", "events"] {
        assert!((number(&whole, key) - number(&simulated, key)).abs() < 1e-9, "{key}: {whole:#} {simulated:#}");
    }
    assert!((number(&whole, "operations") - number(&simulated, "synaptic_operations")).abs() < 1e-6);
}

#[test]
fn predict_simulate_and_export_use_the_choice_unless_told_otherwise() {
    let scratch = validated();
    let run = loaded(&scratch);
    let write = |(k, id): (usize, &_)| {
        let recording = run.source.recording(*id).unwrap();
        let name = format!("{k}.raw");
        scratch.write(&name, encode("evt3", recording.columns(), Some(recording.sensor())).unwrap());
        name
    };
    let files: Vec<String> = run.parts.test.iter().enumerate().map(write).collect();
    let predict = |more: &[&str]| -> Vec<Value> {
        let names: Vec<&str> = files.iter().map(String::as_str).collect();
        let ran = scratch.ok(&[&["predict", "run", "--json"], &names[..], more].concat());
        ran.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let accuracy = |lines: &[Value]| {
        let right = lines.iter().zip(&run.parts.test).filter(|(l, id)| l["label"] == run.source.label(**id)).count();
        100.0 * right as f64 / lines.len() as f64
    };
    let before = predict(&[]);
    for args in [&["--budget", "steps=1.6"][..], &["--budget", "operations=1e9", "--event-driven"]] {
        let shown = scratch.ok_json(&[&["tune", "run"], args].concat());
        let lines = predict(&[]);
        assert_eq!(accuracy(&lines), number(&shown, "test/accuracy"), "{args:?}");
        assert!(
            lines.iter().all(|l| l["tuned_for"]
                == shown["budget"]["quantity"]
                    .as_str()
                    .map_or(Value::Null, |q| { Value::from(format!("{q}={}", number(&shown, "budget/limit"))) })),
            "{:#}",
            lines[0]
        );
        assert_eq!(predict(&["--untuned"]), before, "{args:?}: --untuned is as before");
        let stated = predict(&["--steps", "4"]);
        assert!(stated.iter().all(|l| l.get("tuned_for").is_none()));
        assert_eq!(stated[0]["scores"], before[0]["scores"]);
        let table = scratch.ok(&["predict", "run", &files[0]]).stdout;
        assert!(table.contains("chosen by `tune`") && table.contains("--untuned"), "{table}");
    }
    // The neurons that the event-driven choice has are those of the graph and of `simulate`.
    let kept = scratch.json("run/tuned.json");
    let chosen = kept["chosen"]["point"]["neurons"]["values"].as_array().unwrap();
    let simulated = scratch.ok(&["simulate", "run", "--json"]);
    let exported = scratch.ok(&["export", "run", "--to", "nir"]);
    if chosen.iter().any(|v| !v.is_null()) {
        assert!(simulated.stderr.contains("as chosen") && exported.stderr.contains("as chosen"), "{exported:#?}");
        assert!(exported.stdout.contains("refractory period"), "{exported:#?}");
    }
    assert!(!scratch.at("run/simulate.json").exists(), "the run keeps results of its own neurons only");
    scratch.ok(&["simulate", "run", "--untuned"]);
    assert!(scratch.at("run/simulate.json").exists());
}

#[test]
fn a_choice_that_was_changed_or_is_of_other_weights_is_refused() {
    let scratch = validated();
    scratch.ok(&["tune", "run", "--budget", "steps=2"]);
    let run = loaded(&scratch);
    let recording = run.source.recording(run.parts.test[0]).unwrap();
    scratch.write("a.raw", encode("evt3", recording.columns(), Some(recording.sensor())).unwrap());
    scratch.ok(&["predict", "run", "a.raw"]);
    let text = scratch.text("run/tuned.json");
    scratch.write(
        "run/tuned.json",
        text.replacen("\"alpha\": ", "\"alpha\": 1", 1).replacen("\"limit\": 2", "\"limit\": 3", 1),
    );
    scratch.refused_with(&["predict", "run", "a.raw"], &["tuned.json", "checksum", "--untuned"]);
    scratch.ok(&["predict", "run", "a.raw", "--untuned"]);
    scratch.ok(&["predict", "run", "a.raw", "--steps", "2"]);
    scratch.write("run/tuned.json", &text);
    // Other weights, with all files of the run intact.
    scratch.ok(&["train", "small.toml", "--output", "other", "--set", "data.validation=0.3", "--set", "seed=2"]);
    std::fs::copy(scratch.at("run/tuned.json"), scratch.at("other/tuned.json")).unwrap();
    scratch.refused_with(&["predict", "other", "a.raw"], &["other weights", "tune the run again"]);

    scratch.refused_with(&["tune", "run", "--budget", "steps=0.5", "-q"], &["steps=0.5", "nearest has 1"]);
    scratch.refused_with(&["tune", "run", "--budget", "steps"], &["--budget", "steps=1.5"]);
    scratch.refused_with(&["tune", "run", "--budget", "watts=3"], &["watts", "energy"]);
    scratch.refused_with(&["tune", "run", "--budget", "steps=2", "--event-driven"], &["no steps", "operations="]);
    scratch.ok(&["train", "small.toml", "--output", "bare"]);
    let words = ["bare: ", "no validation part", "--set data.validation=0.1"];
    scratch.refused_with(&["tune", "bare", "--budget", "steps=2"], &words);
    scratch.refused_with(&["tune", "run", "--budget", "energy=1nJ"], &["energy=1nJ", "in nJ", "energy=1.5"]);
    for bad in ["ms=0", "steps=-1", "steps=NaN", "operations=inf", "accuracy=101", "energy=", "=3", ""] {
        scratch.refused_with(&["tune", "run", "--budget", bad], &["--budget"]);
    }
    // One sample has no standard error.
    let shown = scratch.ok_json(&["tune", "run", "--budget", "steps=4", "--limit", "1", "--mixed", "1"]);
    assert!(shown["tried"].as_array().unwrap().iter().all(|m| m["standard_error"].is_null()));
    assert_eq!(shown["test"]["samples"], 40);
    let table = scratch.ok(&["tune", "run", "--budget", "steps=4", "--limit", "1", "--mixed", "1"]).stdout;
    assert!(!table.contains("± 0.00"), "{table}");
}

#[test]
#[cfg(unix)]
fn a_search_that_is_stopped_keeps_no_choice_and_the_number_of_threads_changes_none() {
    let scratch = validated();
    let args = ["tune", "run", "--budget", "operations=60000", "--json"];
    let mut child = scratch.spawn(&args);
    // The search fits a temperature in its middle.
    while !scratch.at("run/temperatures.json").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be stopped");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let sent = std::process::Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.stdout.is_empty() && !scratch.at("run/tuned.json").exists());
    let tuned = |threads: &str| {
        let mut shown = scratch.ok_json(&[&args[..4], &["--threads", threads]].concat());
        // A measurement.
        assert!(shown.as_object_mut().unwrap().remove("ms_per_sample").is_some());
        shown
    };
    assert_eq!(tuned("1"), tuned("2"));
    // A run that cannot keep a choice is known before the search.
    std::fs::remove_file(scratch.at("run/results.lock")).unwrap();
    std::fs::create_dir(scratch.at("run/results.lock")).unwrap();
    scratch.refused_with(&args, &["results.lock"]);
}

#[test]
fn a_budget_of_time_is_a_measurement_and_says_so() {
    let scratch = validated();
    let args = ["tune", "run", "--budget", "ms=1e6", "--limit", "10", "--mixed", "2"];
    let shown = scratch.ok_json(&args);
    assert_eq!((&shown["measured_time"], &shown["chosen"]["samples"]), (&true.into(), &10.into()));
    assert!(number(&shown, "chosen/ms") > 0.0, "{:#}", shown["chosen"]);
    let table = scratch.ok(&args).stdout;
    assert!(table.contains("measurements of this machine") && table.contains("chosen: "), "{table}");
}

#[test]
fn early_exits_in_event_time_have_the_end_of_the_recordings_as_their_limit() {
    let scratch = validated();
    let args = ["simulate", "run", "--exit", "confidence,margin,entropy", "--alpha", "0,0.3,1", "-o", "exits"];
    let shown = scratch.ok_json(&args);
    let rows = shown["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &shown["gain_samples"], &shown["samples"]), (9, &30.into(), &40.into()));
    let whole = &shown["whole"];
    let simulated = scratch.ok_json(&["simulate", "run"]);
    assert_eq!(number(whole, "accuracy"), number(&simulated, "accuracy"));
    assert!((number(whole, "operations") - number(&simulated, "synaptic_operations")).abs() < 1e-6);
    for (k, row) in rows.iter().enumerate() {
        for key in ["us", "events", "operations"] {
            assert!(number(row, key) <= number(whole, key), "{k} {key}");
        }
        let p = number(row, "accuracy");
        assert!((number(row, "standard_error") - (p * (100.0 - p) / 40.0).sqrt()).abs() < 1e-9, "{row}");
    }
    // The first event passes any confidence and any margin of 0 unless nothing has reached the
    // readout; no confidence passes 1, and every entropy lies below 1.
    assert_eq!(number(&rows[0], "events"), 1.0);
    assert_eq!(number(&rows[2], "events"), number(whole, "events"));
    assert_eq!(number(&rows[6], "events"), number(whole, "events"), "no entropy is below 0");
    assert!(number(&rows[8], "events") < number(whole, "events"));
    assert!(scratch.at("exits/early-exit.svg").is_file() && scratch.at("exits/early-exit.png").is_file());
    let table = scratch.ok(&args).stdout;
    assert!(table.contains("to the end") && table.contains(&format!("{:.0}", number(whole, "operations"))), "{table}");

    let clocked = ["eval", "run", "--exit", "confidence", "--alpha", "0,1", "--steps", "3", "-o", "clocked"];
    let shown = scratch.ok_json(&clocked);
    let operations = |k: usize| number(&shown, &format!("rows/{k}/operations"));
    assert!(operations(0) < operations(1));
    assert_eq!(operations(1), number(&shown, "operations"), "who never stops costs what all steps cost");
    assert!(scratch.at("clocked/early-exit.svg").is_file());
    scratch.refused_with(&["simulate", "run", "--exit", "margin", "--alpha", "2"], &["--alpha 2"]);
}
