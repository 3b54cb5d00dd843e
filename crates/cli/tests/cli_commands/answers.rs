//! What `eval` and `simulate` say about the answers: classes, confusions, calibration, single
//! samples, and what they cost.

use serde_json::Value;
use tickless_testing::command::{Scratch, number};

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("no list `{key}` in {value}"))
}

/// `[label][class]`.
fn matrix(value: &Value) -> Vec<Vec<u64>> {
    let row = |r: &Value| r.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    list(value, "confusion").iter().map(row).collect()
}

/// Asserts that the statistics of answers fit the score that they belong to.
fn assert_adds_up(score: &Value) {
    let (answers, samples, correct) = (&score["answers"], number(score, "samples"), number(score, "correct"));
    let matrix = matrix(answers);
    assert_eq!(matrix.iter().flatten().sum::<u64>() as f64, samples);
    assert_eq!((0..matrix.len()).map(|k| matrix[k][k]).sum::<u64>() as f64, correct);
    let p = correct / samples;
    let error = 100.0 * (p * (1.0 - p) / samples).sqrt();
    assert!((number(score, "standard_error") - error).abs() < 1e-9);
    for (class, row) in list(answers, "per_class").iter().zip(&matrix) {
        assert_eq!(number(class, "samples"), row.iter().sum::<u64>() as f64);
    }
    let top = number(answers, "top5/accuracy");
    assert!(top >= number(score, "accuracy") && top <= 100.0);
    let calibration = &answers["calibration"];
    let bins = list(calibration, "bins");
    assert_eq!(bins.iter().map(|b| number(b, "samples")).sum::<f64>(), samples);
    let gap = |b: &Value| number(b, "samples") * (number(b, "accuracy") - number(b, "confidence")).abs();
    let error = bins.iter().map(gap).sum::<f64>() / samples;
    assert!((number(calibration, "expected_calibration_error") - error).abs() < 1e-6);
}

#[test]
fn the_confusion_matrix_of_every_t_adds_up_to_its_accuracy_and_the_page_has_it() {
    let scratch = Scratch::trained();
    let (table, result) = (scratch.ok(&["eval", "run"]), scratch.ok_json(&["eval", "run"]));
    list(&result, "points").iter().for_each(assert_adds_up);
    assert_eq!(list(&result, "class_names").len(), 10);
    assert!(table.stdout.contains("a row for each label"), "{table:#?}");
    assert!(table.stdout.contains("uncalibrated, because the run has no validation part"), "{table:#?}");
    let simulated = scratch.ok_json(&["simulate", "run"]);
    assert_adds_up(&simulated);
    // The page makes its matrices from the stored answers of single samples.
    let report = scratch.ok_json(&["report", "run"]);
    let strategy = &report["strategies"][0];
    for (shown, measured) in list(strategy, "points").iter().zip(list(&result, "points")) {
        assert_eq!((&shown["leak"], &shown["accuracy"]), (&measured["leak"], &measured["accuracy"]));
        assert_eq!(matrix(shown), matrix(&measured["answers"]));
        let operations = &measured["operations"];
        let sum = number(operations, "Effective_MACs") + number(operations, "Effective_ACs");
        assert!((number(shown, "operations") - sum).abs() < 1e-9 && sum > 0.0);
    }
    assert_eq!(matrix(&strategy["event_driven"]), matrix(&simulated["answers"]));
    let page = scratch.text("run/report/report.html");
    for id in ["explore-t", "explore-confusion", "explore-values", "frontier-title", "explore"] {
        assert!(page.contains(&format!(" id=\"{id}\"")), "{id}");
    }
    assert!(page.contains("class=\"play\""));
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
}

#[test]
fn a_validation_part_calibrates_the_confidence() {
    let scratch = Scratch::small();
    scratch.ok(&["train", "small.toml", "--output", "run", "--set", "data.validation=0.3"]);
    let (table, result) = (scratch.ok(&["eval", "run"]), scratch.ok_json(&["eval", "run"]));
    assert_eq!(number(&result, "gain_samples"), 30.0);
    // The table shows the answers at T_max.
    let shown = list(&result, "points").iter().find(|p| p["configuration"] == serde_json::json!([4])).unwrap();
    let calibration = &shown["answers"]["calibration"];
    assert!(number(calibration, "gain") != 1.0);
    let words = format!("at temperature {:.3} (fitted on 30 validation", number(calibration, "gain"));
    assert!(table.stdout.contains(&words), "{words}: {table:#?}");
}

#[test]
fn every_sample_is_a_row_of_the_file_and_the_rows_add_up_to_the_accuracy() {
    let scratch = Scratch::trained();
    let result = scratch.ok_json(&["eval", "run", "--samples", "answers.csv"]);
    let text = scratch.text("answers.csv");
    let mut lines = text.lines();
    let head = "steps,leak,part,sample,file,label,label_name,class,class_name,confidence,right";
    assert_eq!(lines.next(), Some(head));
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    assert_eq!(rows.len(), 40 * list(&result, "points").len());
    for p in list(&result, "points") {
        let steps = p["configuration"][0].to_string();
        let own = |r: &&Vec<&str>| r[0] == steps && p["leak"] == r[1];
        let right = rows.iter().filter(own).filter(|r| r[10] == "true").count();
        assert_eq!(right as f64, number(p, "correct"));
    }
    for r in &rows {
        assert_eq!(r[10] == "true", r[5] == r[7], "{r:?}");
        assert!((0.0..=1.0).contains(&r[9].parse::<f64>().unwrap()), "{r:?}");
    }
    let simulated = scratch.ok_json(&["simulate", "run", "--samples", "events.csv"]);
    let text = scratch.text("events.csv");
    let right = text.lines().filter(|l| l.starts_with("event-driven,,") && l.ends_with(",true")).count();
    assert_eq!(right as f64, number(&simulated, "correct"));
    let mixed =
        scratch.ok_json(&["eval", "run", "--configuration", "4,2,1", "--leak", "step", "--samples", "mixed.csv"]);
    assert_eq!(scratch.text("mixed.csv").matches("\"4,2,1\",step,test,").count(), 40, "{mixed}");
    scratch.refused_with(&["eval", "run", "--samples", "none/answers.csv"], &["--samples", "none"]);
    scratch.refused_with(&["eval", "run", "--samples", "run"], &["--samples", "folder"]);
}

#[test]
fn both_leak_rules_together_are_each_of_them_alone() {
    let scratch = Scratch::small();
    let recurrent = [
        "network.name=\"mine\"",
        "network.layers=[{ layer = \"conv\", out = 4, stride = 4 }, { layer = \"neuron\", recurrent = \"dense\" }, \
         { layer = \"linear\", out = 10 }]",
    ];
    let resting = ["network.neuron={ model = \"if-single\", refractory = { steps = 1.0 } }"];
    let plain = ["network.neuron={ model = \"if\" }"];
    for (sets, depends) in [(&resting[..], true), (&recurrent, true), (&plain, false)] {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let train =
            ["train", "small.toml", "--output", "run", "--set", "train.epochs=4", "--set", "train.strategy=\"sdt\""];
        scratch.ok(&[&train[..], &sets].concat());
        let eval =
            |more: &[&str]| scratch.ok_json(&[&["eval", "run", "--steps", "4,13"], more].concat())["points"].clone();
        let (both, step, time) = (eval(&[]), eval(&["--leak", "step"]), eval(&["--leak", "time"]));
        let all = both.as_array().unwrap();
        let of = |leak: &str| Value::from(all.iter().filter(|p| p["leak"] == leak).cloned().collect::<Vec<_>>());
        assert_eq!((of("step"), of("time")), (step.clone(), time.clone()), "{sets:?}");
        let loss = |points: &Value| number(&points[1], "loss");
        assert_eq!(loss(&step) != loss(&time), depends, "{sets:?}: {} {}", loss(&step), loss(&time));
        assert_eq!(number(&step[0], "loss"), number(&time[0], "loss"), "at T_max");
        std::fs::remove_dir_all(scratch.at("run")).unwrap();
    }
}

#[test]
fn a_standard_error_that_alike_answers_cannot_have_is_absent() {
    let scratch = Scratch::trained();
    let (table, result) =
        (scratch.ok(&["eval", "run", "--limit", "1"]), scratch.ok_json(&["eval", "run", "--limit", "1"]));
    for point in list(&result, "points") {
        assert!(point.get("standard_error").is_none(), "{point}");
        let of_class = list(&point["answers"], "per_class").iter().find(|c| c["samples"] == 1).unwrap();
        assert!(of_class["standard_error"].is_null() && of_class["accuracy"].is_f64(), "{of_class}");
        assert!(point["answers"]["top5"]["standard_error"].is_null());
    }
    assert!(!table.stdout.contains("± 0.00") && table.stdout.contains('–'), "{table:#?}");
    let exits = ["--limit", "1", "--exit", "margin", "--alpha", "0.2"];
    for command in ["eval", "simulate"] {
        let shown = scratch.ok_json(&[&[command, "run"], &exits[..]].concat());
        assert!(shown["rows"][0]["standard_error"].is_null(), "{shown}");
        let table = scratch.ok(&[&[command, "run"], &exits[..]].concat()).stdout;
        assert!(!table.contains("± 0.00"), "{table}");
        let table = scratch.ok(&[command, "run", "--limit", "1"]).stdout;
        assert!(!table.contains("± 0.00"), "{table}");
    }
    let simulated = scratch.ok_json(&["simulate", "run", "--limit", "1"]);
    assert!(simulated.get("standard_error").is_none(), "{simulated}");
    assert!(list(&simulated["decisions"], "time").iter().all(|p| p.get("standard_error").is_none()));
}

#[test]
fn stored_answers_of_another_run_or_changed_ones_are_left_out_with_a_warning() {
    let scratch = Scratch::trained();
    scratch.ok(&["eval", "run"]);
    let whole = scratch.read("run/answers.json");
    let changed = scratch.text("run/answers.json").replacen("\"format\": 1", "\"format\": 2", 1);
    scratch.write("run/answers.json", &changed);
    let said = scratch.ok(&["report", "run"]);
    assert!(said.stderr.contains("answers.json: left out"), "{said:#?}");
    assert!(!scratch.text("run/report/report.html").contains(" id=\"explore-confusion\""));
    // Another run with other weights.
    scratch.ok(&["train", "small.toml", "--output", "other", "--set", "seed=2"]);
    scratch.ok(&["eval", "other"]);
    scratch.write("other/answers.json", &whole);
    let said = scratch.ok(&["report", "other"]);
    assert!(said.stderr.contains("was measured on other weights"), "{said:#?}");
    // A new evaluation replaces answers that cannot be read.
    scratch.ok(&["eval", "run"]);
    assert_eq!(scratch.read("run/answers.json"), whole, "the same weights give the same answers");
}

#[test]
fn a_later_evaluation_adds_its_answers_to_the_stored_ones() {
    let scratch = Scratch::trained();
    scratch.ok(&["eval", "run", "--steps", "1"]);
    scratch.ok(&["simulate", "run"]);
    scratch.ok(&["eval", "run", "--steps", "2"]);
    let stored = scratch.json("run/answers.json");
    let at: Vec<u64> = list(&stored, "points").iter().map(|p| p["configuration"][0].as_u64().unwrap()).collect();
    assert_eq!(at, [1, 1, 2, 2], "both leaks at both T");
    assert!(stored["event_driven"].is_object());
    scratch.ok(&["eval", "run", "--steps", "3", "--limit", "7"]);
    assert_eq!(scratch.json("run/answers.json"), stored, "part of the samples is only shown");
}

#[test]
fn the_cost_has_the_keys_of_neurobench_and_the_energy_names_its_model() {
    let scratch = Scratch::small();
    let set = "eval.energy={ \"mine\" = { accumulate_pj = 0.5, multiply_accumulate_pj = 2.0 } }";
    scratch.ok(&["train", "small.toml", "--output", "run", "--set", set]);
    let (table, result) = (scratch.ok(&["eval", "run"]), scratch.ok_json(&["eval", "run"]));
    let cost = &result["neurobench"];
    for key in [
        "Footprint",
        "ParameterCount",
        "ConnectionSparsity",
        "ActivationSparsity",
        "MembraneUpdates",
        "SynapticOperations/Effective_MACs",
        "SynapticOperations/Effective_ACs",
        "SynapticOperations/Dense",
        "NeuronOperations/Effective Neuron Ops",
        "NeuronOperations/Neuron Dense Ops",
    ] {
        assert!(number(cost, key) >= 0.0, "{key}");
        assert!(table.stdout.contains(key.split('/').next_back().unwrap()), "{key}: {table:#?}");
    }
    let by_layer = cost["ActivationSparsityByLayer"].as_object().unwrap();
    let activity = list(&result, "activity");
    assert_eq!(by_layer.len(), activity.len());
    for l in activity {
        // A single-spike neuron fires at most once a step, so its outputs other than 0 are its
        // spikes.
        let dense = number(l, "neurons") * 4.0;
        let sparsity = by_layer[l["layer"].as_str().unwrap()].as_f64().unwrap();
        assert!((sparsity - (1.0 - number(l, "spikes") / dense)).abs() < 1e-12, "{l}");
    }
    let energy = list(&result, "energy");
    let models: Vec<&str> = energy.iter().map(|e| e["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["45 nm", "mine"]);
    let (macs, acs) =
        (number(cost, "SynapticOperations/Effective_MACs"), number(cost, "SynapticOperations/Effective_ACs"));
    assert!((number(&energy[0], "estimate_nj") - (4.6 * macs + 0.9 * acs) / 1e3).abs() < 1e-9);
    assert!((number(&energy[1], "estimate_nj") - (2.0 * macs + 0.5 * acs) / 1e3).abs() < 1e-9);
    assert!(table.stdout.contains("estimated by the model \"45 nm\""), "{table:#?}");
    let bad = "eval.energy={ \"mine\" = { accumulate_pj = -0.5, multiply_accumulate_pj = 2.0 } }";
    scratch.refused_with(&["train", "small.toml", "--output", "no", "--set", bad], &["eval.energy.mine"]);
}
