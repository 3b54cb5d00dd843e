//! A sample has one class and one confidence at one setting, whichever command answers: the
//! temperature belongs to the setting that runs.

use crate::tune::{loaded, validated};
use serde_json::Value;
use tickless::events::formats::encode;
use tickless::events::{Columns, Event, Sensor};
use tickless::train::run::Loaded;
use tickless_testing::command::{Scratch, number};

/// The rows of a CSV file without its head: RFC 4180, without line breaks in cells.
pub(crate) fn csv(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let cells = |line: &str| {
        let (mut cells, mut quoted) = (vec![String::new()], false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(String::new()),
                c => cells.last_mut().unwrap().push(c),
            }
        }
        cells
    };
    let mut rows = text.lines().map(cells);
    (rows.next().unwrap(), rows.collect())
}

/// A row of an answer: class, confidence and what was spent, as `predict` says them.
#[derive(Debug)]
struct Said {
    class: String,
    confidence: f64,
    spent: Vec<String>,
}

/// Confidences are the same up to the rounding of f32: the batch of a sample may change the order in
/// which its logits are summed.
impl PartialEq for Said {
    fn eq(&self, other: &Self) -> bool {
        let same = (self.confidence - other.confidence).abs() < 1e-6;
        same && (&self.class, &self.spent) == (&other.class, &other.spent)
    }
}

/// The rows of `eval` or `simulate` in the CSV file, whose leading cells are `first`.
fn evaluated(scratch: &Scratch, file: &str, first: &[&str], last: &[&str], spent: &[&str]) -> Vec<Said> {
    let (head, rows) = csv(&scratch.text(file));
    let at = |name: &str| head.iter().position(|h| h == name).unwrap_or_else(|| panic!("no {name} in {head:?}"));
    let own = |row: &Vec<String>| {
        let exit = last.iter().zip(["rule", "alpha"]).all(|(cell, column)| row[at(column)] == *cell);
        row.iter().zip(first).all(|(a, b)| a == b) && exit
    };
    let said = |row: Vec<String>| Said {
        class: row[at("class")].clone(),
        confidence: row[at("confidence")].parse().unwrap(),
        spent: spent.iter().map(|s| row[at(s)].clone()).collect(),
    };
    rows.into_iter().filter(own).map(said).collect()
}

/// What `predict` says of these files, with these fields as what was spent.
fn predicted(scratch: &Scratch, files: &[String], args: &[&str], spent: &[&str]) -> Vec<Said> {
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let ran = scratch.ok(&[&["predict", "run", "--json", "--untuned"], &files[..], args].concat());
    let said = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["calibrated"], true, "{line}");
        let text = |key: &str| match &line[key] {
            Value::Array(all) => all.iter().map(Value::to_string).collect::<Vec<_>>().join(","),
            value => value.to_string(),
        };
        let spent = spent.iter().map(|key| text(key)).collect();
        Said { class: line["label"].to_string(), confidence: number(&line, "confidence"), spent }
    };
    ran.stdout.lines().map(said).collect()
}

fn files(scratch: &Scratch, run: &Loaded) -> Vec<String> {
    let write = |(k, id): (usize, &_)| {
        let recording = run.source.recording(*id).unwrap();
        let name = format!("{k}.raw");
        scratch.write(&name, encode("evt3", recording.columns(), Some(recording.sensor())).unwrap());
        name
    };
    run.parts.test.iter().enumerate().map(write).collect()
}

#[test]
fn predict_says_of_every_test_file_what_eval_and_simulate_say_at_every_setting() {
    let scratch = validated();
    let files = files(&scratch, &loaded(&scratch));
    let mixed = ["4,2,1", "3,3,3"];
    let mixed_args = mixed.iter().flat_map(|c| ["--mixed", c]);
    let args: Vec<&str> =
        ["eval", "run", "--steps", "1..4,6", "--samples", "a.csv"].into_iter().chain(mixed_args).collect();
    let shown = scratch.ok_json(&args);
    let gain = |steps: &[u64]| {
        let of = |p: &&Value| p["configuration"] == serde_json::json!(steps) && p["leak"] == "step";
        let point = shown["points"].as_array().unwrap().iter().find(of).unwrap();
        number(point, "answers/calibration/gain")
    };
    assert!((gain(&[1]) - gain(&[4])).abs() > 1e-3, "the settings have one temperature: {} {}", gain(&[1]), gain(&[4]));
    assert_ne!(gain(&[4, 2, 1]), gain(&[4]));
    assert_eq!(gain(&[3, 3, 3]), gain(&[3]), "equal stages are one T");
    for leak in ["step", "time"] {
        for t in ["1", "2", "4", "6"] {
            let eval = evaluated(&scratch, "a.csv", &[t, leak], &[], &[]);
            assert_eq!(eval, predicted(&scratch, &files, &["--steps", t, "--leak", leak], &[]), "T = {t}, {leak}");
            assert_eq!(eval.len(), 40);
        }
        for c in mixed {
            let eval = evaluated(&scratch, "a.csv", &[c, leak], &[], &[]);
            assert_eq!(eval, predicted(&scratch, &files, &["--mixed", c, "--leak", leak], &[]), "{c}, {leak}");
        }
    }
    for neurons in [&[][..], &["--refractory", "0.5"], &["--refractory", "none"]] {
        scratch.ok(&[&["simulate", "run", "--samples", "e.csv"], neurons].concat());
        let simulated = evaluated(&scratch, "e.csv", &["event-driven", ""], &[], &[]);
        assert_eq!(
            simulated,
            predicted(&scratch, &files, &[&["--event-driven"], neurons].concat(), &[]),
            "{neurons:?}"
        );
    }
    // Whoever comes first fits, and it makes no difference.
    let kept = scratch.json("run/temperatures.json");
    std::fs::remove_file(scratch.at("run/temperatures.json")).unwrap();
    for args in [&["--steps", "6"][..], &["--steps", "1"], &["--mixed", "4,2,1", "--leak", "time"], &["--event-driven"]]
    {
        predicted(&scratch, &files[..1], args, &[]);
    }
    let again = scratch.json("run/temperatures.json");
    for entry in again["all"].as_array().unwrap() {
        assert!(kept["all"].as_array().unwrap().contains(entry), "{entry}");
    }
    assert_eq!(scratch.ok_json(&args), shown);
}

#[test]
fn the_rows_of_an_early_exit_are_what_predict_says_and_add_up_to_its_results() {
    let scratch = validated();
    let files = files(&scratch, &loaded(&scratch));
    let exits = ["--exit", "confidence,margin,entropy,learned", "--alpha", "0.3,0.6"];
    for (t, leak) in [("6", "time"), ("3", "step")] {
        let args = ["eval", "run", "--steps", t, "--leak", leak, "--samples", "a.csv"];
        let shown = scratch.ok_json(&[&args[..], &exits].concat());
        for row in shown["rows"].as_array().unwrap() {
            let (rule, alpha) = (row["rule"].as_str().unwrap(), row["alpha"].to_string());
            let eval = evaluated(&scratch, "a.csv", &[t, leak], &[rule, &alpha], &["exit_step", "stopped_early"]);
            let own = ["--steps", t, "--leak", leak, "--exit", rule, "--alpha", &alpha];
            assert_eq!(eval, predicted(&scratch, &files, &own, &["steps", "stopped_early"]), "T = {t}, {rule} {alpha}");
            let mean = eval.iter().map(|s| s.spent[0].parse::<f64>().unwrap()).sum::<f64>() / 40.0;
            assert!((mean - number(row, "mean_steps")).abs() < 1e-9, "{rule} {alpha}");
        }
        let (head, rows) = csv(&scratch.text("a.csv"));
        assert_eq!(rows.len(), 8 * 40);
        assert!(rows.iter().all(|row| row.len() == head.len()));
        let right = rows.iter().filter(|r| r[10] == "true").count() as f64;
        let counted: f64 = shown["rows"].as_array().unwrap().iter().map(|r| number(r, "accuracy") * 0.4).sum();
        assert!((right - counted).abs() < 1e-6, "{right} {counted}");
    }
    for neurons in [&[][..], &["--refractory", "0.5"]] {
        let shown = scratch.ok_json(&[&["simulate", "run", "--samples", "e.csv"], &exits[..], neurons].concat());
        for row in shown["rows"].as_array().unwrap() {
            let at = |key: &str| row["point"]["exit"][key].clone();
            let (rule, alpha) = (at("rule").as_str().unwrap().to_owned(), at("alpha").to_string());
            let columns = ["exit_us", "exit_events", "stopped_early"];
            let eval = evaluated(&scratch, "e.csv", &["event-driven", ""], &[&rule, &alpha], &columns);
            let own = [&["--event-driven", "--exit", &rule, "--alpha", &alpha], neurons].concat();
            assert_eq!(eval, predicted(&scratch, &files, &own, &["us", "events", "stopped_early"]), "{rule} {alpha}");
            let mean = eval.iter().map(|s| s.spent[1].parse::<f64>().unwrap()).sum::<f64>() / 40.0;
            assert!((mean - number(row, "events")).abs() < 1e-9, "{rule} {alpha}");
        }
    }
    // One T for all stages may be written stage by stage; several have no common step to stop at.
    let same = ["eval", "run", "--mixed", "3,3,3", "--exit", "margin", "--alpha", "0.3", "--leak", "step"];
    assert_eq!(scratch.ok_json(&same)["steps"], 3);
    predicted(&scratch, &files[..1], &["--mixed", "3,3,3", "--exit", "margin"], &[]);
    scratch
        .refused_with(&["eval", "run", "--mixed", "4,2,1", "--exit", "margin"], &["same number of steps", "--steps"]);
    scratch
        .refused_with(&["predict", "run", "0.raw", "--mixed", "4,2,1", "--exit", "margin"], &["same number of steps"]);
}

#[test]
fn the_choice_of_tune_has_the_temperature_of_its_setting() {
    let scratch = validated();
    let run = loaded(&scratch);
    for args in [&["--budget", "steps=1.6"][..], &["--budget", "operations=1e9", "--event-driven"]] {
        let shown = scratch.ok_json(&[&["tune", "run"], args].concat());
        let kept = scratch.json("run/temperatures.json");
        let mut point = shown["chosen"]["point"].clone();
        point["exit"] = Value::Null;
        let all = kept["all"].as_array().unwrap();
        let gains: Vec<&Value> = all.iter().filter(|e| e[0] == point).map(|e| &e[1]["gain"]).collect();
        // At T_max and without a leak the leak rules are one setting, which is kept once.
        let step = serde_json::json!({ "leak": "step" });
        if gains.is_empty() {
            point["leak"] = step["leak"].clone();
        }
        let gain = all.iter().find(|e| e[0] == point).map(|e| &e[1]["gain"]).unwrap();
        assert_eq!(gain, &shown["temperature"]["gain"], "{args:?}");
    }
    drop(run);
}

#[test]
fn results_of_one_temperature_for_all_t_are_read_and_called_so() {
    let scratch = validated();
    scratch.ok(&["eval", "run"]);
    let said = |key: &str| {
        let report = scratch.ok_json(&["report", "run"]);
        let notes: Vec<String> = report["notes"].as_array().unwrap().iter().map(Value::to_string).collect();
        notes.into_iter().filter(|n| n.contains(key)).collect::<Vec<_>>()
    };
    assert!(said("temperature").is_empty());
    // As an earlier version wrote it: without the field, and without a checksum.
    let mut old = scratch.result("run/eval.json");
    for point in old["points"].as_array_mut().unwrap() {
        point.as_object_mut().unwrap().remove("temperature_of").unwrap();
    }
    scratch.write("run/eval.json", old.to_string());
    let notes = said("temperature of T_max");
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("at T = 1 ") && notes[0].contains("tickless eval"), "{notes:?}");
    scratch.ok(&["eval", "run"]);
    assert!(said("temperature").is_empty());
}

#[test]
#[cfg(unix)]
fn a_class_name_that_looks_like_csv_is_the_same_name_in_every_output() {
    let scratch = Scratch::new();
    let names = ["a, \"b\"", "plain"];
    for (class, name) in names.iter().enumerate() {
        for k in 0..6u64 {
            let event =
                |i: u64| Event { t_us: 100 * i + k, x: (i % 9) as u16, y: (8 * class) as u16, on: i.is_multiple_of(2) };
            let columns: Columns = (0..90).map(event).collect();
            let part = if k < 4 { "train" } else { "test" };
            let bytes = encode("dat", &columns, Some(Sensor { width: 9, height: 9 })).unwrap();
            scratch.write(&format!("mine/{part}/{name}/{k}.dat"), bytes);
        }
    }
    let recipe = "[data]\nset = \"folder\"\npath = \"mine\"\n[network]\nname = \"demo\"\n[train]\nstrategy = \"sdt\"\n\
                  t_max = 2\nepochs = 1\nbatch = 4\n";
    scratch.write("mine.toml", recipe);
    scratch.ok(&["train", "mine.toml", "--output", "run"]);
    scratch.ok(&["eval", "run", "--samples", "a.csv"]);
    scratch.ok(&["simulate", "run", "--exit", "margin", "--alpha", "0.1", "--samples", "e.csv"]);
    for file in ["a.csv", "e.csv"] {
        let raw = scratch.text(file);
        assert!(raw.contains("\"a, \"\"b\"\"\""), "{raw}");
        let (head, rows) = csv(&raw);
        // The reader of this test drops quotes.
        let shown = ["a, b", "plain"];
        assert!(!rows.is_empty() && rows.iter().all(|row| row.len() == head.len()), "{raw}");
        for row in &rows {
            let (label, class): (usize, usize) = (row[5].parse().unwrap(), row[7].parse().unwrap());
            assert_eq!((row[6].as_str(), row[8].as_str()), (shown[label], shown[class]), "{row:?}");
        }
    }
    let file = format!("mine/test/{}/4.dat", names[0]);
    let line: Value = serde_json::from_str(&scratch.ok(&["predict", "run", &file, "--json"]).stdout).unwrap();
    assert_eq!(line["class"], names[line["label"].as_u64().unwrap() as usize]);
    assert_eq!(line["file"], file.as_str());
}
