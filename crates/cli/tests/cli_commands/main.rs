//! The normal use of every command, and that the commands' results agree with each other.

mod answers;
mod bursts;
mod checkpoints;
mod data;
mod event_driven;
mod export;
mod formats;
mod from_relu;
mod images;
mod learned_exit;
mod networks;
mod one_temperature;
mod phases;
mod predict;
mod progress;
mod recipes;
mod recordings;
mod report;
mod robustness;
mod streams;
mod texts;
mod traces;
mod training;
mod tune;

use serde_json::Value;
use tickless::net::Layer;
use tickless::train::run::RunFolder;
use tickless_testing::command::{Ran, Scratch, number};
use tickless_testing::recipes::{RECIPE, RESIDUAL};

/// The rows of the accuracy table that `eval` prints: T, leak, % correct, standard error, loss.
fn rows(table: &str) -> Vec<[String; 5]> {
    let words = |l: &str| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let of_table = |w: &Vec<String>| w.len() > 5 && (w[1] == "time" || w[1] == "step");
    let row = |w: Vec<String>| [w[0].clone(), w[1].clone(), w[2].clone(), w[3].clone(), w[w.len() - 1].clone()];
    table.lines().map(words).filter(of_table).map(row).collect()
}

/// The same rows from the JSON of `eval`.
fn rows_of(json: &Value) -> Vec<[String; 5]> {
    let points = json["points"].as_array().expect("points");
    let row = |p: &Value| {
        let t: Vec<String> = p["configuration"].as_array().unwrap().iter().map(Value::to_string).collect();
        let leak = p["leak"].as_str().unwrap().to_owned();
        let error = format!("{:.2}", number(p, "standard_error"));
        [t.join(","), leak, format!("{:.2}", number(p, "accuracy")), error, format!("{:.4}", number(p, "loss"))]
    };
    points.iter().map(row).collect()
}

/// Asserts that the page loads nothing.
fn assert_self_contained(page: &str) {
    assert!(page.starts_with("<!doctype html>") || page.starts_with("<!DOCTYPE html>"), "{}", &page[..60]);
    for word in ["src=", "<link", "@import", "url("] {
        for (at, _) in page.match_indices(word) {
            let rest: String = page[at..].chars().take(80).collect();
            assert!(rest.contains("data:") || rest.contains("url(#"), "the page loads: {rest}");
        }
    }
    for (at, _) in page.match_indices("://") {
        let before = &page[page.floor_char_boundary(at.saturating_sub(20))..at];
        assert!(before.contains("xmlns"), "the page names an address: {before}http…");
    }
}

#[test]
fn train_then_eval_then_simulate_then_report() {
    let scratch = Scratch::small();
    let trained = scratch.ok(&["train", "small.toml"]);
    // Standard error is not a terminal here, so it gets plain lines that say what was done and how
    // fast.
    assert!(trained.stderr.contains("train MTT: 10 iterations in "), "{trained:#?}");
    assert!(trained.stdout.contains("tickless eval runs/small-mtt-seed1"), "the next step is named: {trained:#?}");
    let run = "runs/small-mtt-seed1";
    for name in ["recipe.toml", "run.json", "metrics.jsonl", "checkpoint.safetensors", "weights.safetensors"] {
        assert!(scratch.at(run).join(name).is_file(), "{name}");
    }
    let facts = scratch.json(&format!("{run}/run.json"));
    assert_eq!(facts["finished"], true);
    assert_eq!(facts["samples"], serde_json::json!([100, 0, 40]));
    assert_eq!(facts["iterations"], 10);

    let args = ["eval", run, "--steps", "1..4"];
    let (table, json) = (scratch.ok(&args), scratch.ok_json(&args));
    assert_eq!(rows(&table.stdout), rows_of(&json), "the table and the JSON agree");
    let ts: Vec<String> = rows_of(&json).into_iter().filter(|r| r[1] == "time").map(|r| r[0].clone()).collect();
    assert_eq!(ts, ["1", "2", "3", "4"], "both ends of a range are in");
    assert_eq!(scratch.result(&format!("{run}/eval.json")), json, "the run keeps what was shown");
    // At T_max the leak per step and the leak per time are equal.
    let at_t_max: Vec<_> =
        rows_of(&json).into_iter().filter(|r| r[0] == "4").map(|[_, _, a, e, l]| [a, e, l]).collect();
    assert_eq!(at_t_max[0], at_t_max[1]);

    let args = ["eval", run, "--configuration", "4,2,1", "--configuration", "4,4,4", "--leak", "step"];
    let (table, mixed) = (scratch.ok(&args), scratch.ok_json(&args));
    assert_eq!(rows(&table.stdout), rows_of(&mixed));
    assert_eq!(rows_of(&mixed)[0][..2], ["4,2,1", "step"]);
    assert_eq!(rows_of(&mixed)[1][2..], at_t_max[0], "all stages at T_max are T_max");
    let kept = rows_of(&scratch.result(&format!("{run}/eval.json")));
    let expected: Vec<_> = rows_of(&json).into_iter().chain(rows_of(&mixed)).collect();
    assert_eq!(kept, expected, "a mixed configuration is kept like any T");

    let limited = scratch.ok_json(&["eval", run, "--steps", "1", "--limit", "7", "--part", "train"]);
    assert_eq!(number(&limited, "points/0/samples"), 7.0);

    let (table, simulated) = (scratch.ok(&["simulate", run]), scratch.ok_json(&["simulate", run]));
    assert_eq!(number(&simulated, "samples"), 40.0);
    let accuracy = number(&simulated, "accuracy");
    assert!(table.stdout.contains(&format!("{accuracy:>12.2} %")), "{accuracy}: {table:#?}");
    let kept = scratch.json(&format!("{run}/simulate.json"));
    let decisions = &simulated["decisions"];
    let last = |curve: &str| number(decisions[curve].as_array().unwrap().last().unwrap(), "accuracy");
    assert_eq!([last("time"), last("events")], [accuracy, accuracy], "asked at the end, it is the whole run's answer");
    assert_eq!(decisions["exits"].as_array().unwrap().len(), 8);
    assert!(simulated["quantised_refused"].as_str().unwrap().contains("leaks"), "{simulated:#}");
    assert_eq!((&kept["accuracy"], &kept["layers"]), (&simulated["accuracy"], &simulated["layers"]));

    let (text, report) = (scratch.ok(&["report", run]), scratch.ok_json(&["report", run]));
    assert!(text.stdout.contains(&format!("{accuracy:.1}")) && text.stdout.contains("report.html"), "{text:#?}");
    assert_eq!(number(&report, "strategies/0/event_driven/accuracy"), accuracy);
    let shown = &report["strategies"][0]["mixed"][0];
    assert_eq!(
        (&shown["configuration"], &shown["accuracy"]),
        (&serde_json::json!([4, 2, 1]), &mixed["points"][0]["accuracy"])
    );
    assert!(text.stdout.contains("4,2,1") && text.stdout.contains("each stage"), "{text:#?}");
    assert_self_contained(&scratch.text(&format!("{run}/report/report.html")));
    let pictures = std::fs::read_dir(scratch.at(run).join("report/pictures")).unwrap();
    let pictures: Vec<String> = pictures.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(
        pictures.contains(&"accuracy.svg".to_owned()) && pictures.contains(&"raster-mtt.png".to_owned()),
        "{pictures:?}"
    );
}

/// A residual network with norms and biases, trained in the folder `base`.
fn residual() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("base.toml", RESIDUAL);
    scratch.ok(&["train", "base.toml", "--output", "base"]);
    scratch
}

/// Asserts that the network of a run has no bias and no norm, and that its weights fit it.
fn assert_deployable(scratch: &Scratch, run: &str) {
    let loaded = RunFolder::open(&scratch.at(run)).unwrap().load().unwrap();
    loaded.network.check_event_driven().unwrap();
    assert!(!loaded.network.nodes().iter().any(|n| matches!(n.layer, Layer::Norm(_))));
    assert!(loaded.weights.tensors.keys().all(|k| k.ends_with(".weight")), "{:?}", loaded.weights.tensors.keys());
    assert!(loaded.network.nodes().iter().any(|n| matches!(n.layer, Layer::Add)), "the residual merge is kept");
    let simulated = scratch.ok_json(&["simulate", run]);
    assert_eq!(number(&simulated, "samples"), 40.0);
    assert!(number(&simulated, "synaptic_operations") > 0.0, "{simulated:#}");
    let spikes: f64 = simulated["layers"].as_array().unwrap().iter().map(|l| number(l, "spikes")).sum();
    assert!(spikes > 0.0, "{simulated:#}");
}

#[test]
fn a_network_with_norms_and_biases_becomes_one_without() {
    let scratch = residual();
    let trained = scratch.read("base/weights.safetensors");
    scratch.refused_with(&["simulate", "base"], &["layer `conv1` has a bias", "tickless finetune"]);

    scratch.ok(&["finetune", "base", "--epochs", "0"]);
    assert_deployable(&scratch, "base-converted");

    for (strategy, more) in [("mtt", &[][..]), ("sdt", &[]), ("mtt", &["--keep-norm"])] {
        let output = format!("{strategy}{}", more.concat());
        let args = [&["finetune", "base", "--epochs", "1", "--strategy", strategy, "--output", &output], more].concat();
        let tuned = scratch.ok(&args);
        assert!(tuned.stdout.contains(&format!("tickless simulate {output}")), "{tuned:#?}");
        assert_deployable(&scratch, &output);
        assert_eq!(scratch.json(&format!("{output}/run.json"))["base"], "base");
        let converted = scratch.read("base-converted/weights.safetensors");
        assert_ne!(scratch.read(&format!("{output}/weights.safetensors")), converted, "{output} has learnt");
    }
    assert_eq!(scratch.read("base/weights.safetensors"), trained, "what it starts from stays");
    // Both runs in one report, as rows named after their folders.
    scratch.ok(&["eval", "mtt"]);
    let report = scratch.ok_json(&["report", "mtt", "sdt", "--separate", "--output", "page", "--title", "two <b>"]);
    assert_eq!(report["strategies"].as_array().unwrap().len(), 2);
    let page = scratch.text("page/report.html");
    assert!(page.contains("two &lt;b&gt;"), "a title is text");
    assert_self_contained(&page);
}

#[test]
fn calibrating_anew_gives_what_training_gave() {
    let scratch = residual();
    let trained = scratch.read("base/weights.safetensors");
    scratch.ok(&["eval", "base"]);
    let done = scratch.ok_json(&["calibrate", "base"]);
    assert_eq!((number(&done, "norms"), number(&done, "batches"), number(&done, "steps")), (2.0, 10.0, 4.0));
    assert_eq!(scratch.read("base/weights.safetensors"), trained);
    assert!(scratch.at("base/eval.json").is_file(), "nothing changed, so its results stay");

    // If more batches are asked for than exist, the result says how many were used.
    assert_eq!(number(&scratch.ok_json(&["calibrate", "base", "--batches", "1000"]), "batches"), 10.0);
    let two = scratch.ok(&["calibrate", "base", "--batches", "2"]);
    assert!(two.stdout.contains("2 norms calibrated on 2 batches at T = 4"), "{two:#?}");
    assert_ne!(scratch.read("base/weights.safetensors"), trained);
    assert!(!scratch.at("base/eval.json").exists(), "results of other statistics must not pass for these");
    scratch.refused_with(&["calibrate", "base", "--batches", "0"], &["--batches", "at least 1"]);
    let plain = Scratch::trained();
    plain.refused_with(&["calibrate", "run"], &["no batch norm", "nothing to calibrate"]);
}

#[test]
fn statistics_can_be_taken_at_each_t_of_an_evaluation() {
    let scratch = residual();
    let kept = scratch.ok_json(&["eval", "base", "--steps", "1,4"]);
    let anew = scratch.ok_json(&["eval", "base", "--steps", "1,4", "--calibrate"]);
    let loss = |v: &Value, k: usize| number(v, &format!("points/{k}/loss"));
    assert_ne!(loss(&kept, 0), loss(&anew, 0), "T = 1 has statistics of its own");
    assert_eq!(loss(&kept, 1), loss(&anew, 1), "those of T_max are the run's");
    assert_eq!(scratch.result("base/eval.json"), kept, "what is calibrated on the side is only shown");
    // A mixed configuration has statistics of its own, and equal steps are those of their T.
    let leak = anew["points"][0]["leak"].as_str().unwrap();
    let mixed = |c: &str, more: &[&str]| {
        loss(&scratch.ok_json(&[&["eval", "base", "--mixed", c, "--leak", leak], more].concat()), 0)
    };
    let stages = RunFolder::open(&scratch.at("base")).unwrap().load().unwrap().network.stages();
    let ones = vec!["1"; stages].join(",");
    let falling = format!("4,{}", vec!["1"; stages - 1].join(","));
    assert_eq!(mixed(&ones, &["--calibrate"]), loss(&anew, 0), "T = 1 in every stage");
    assert_ne!(mixed(&falling, &["--calibrate"]), mixed(&falling, &[]), "{falling}");
    let plain = Scratch::trained();
    plain.refused_with(&["eval", "run", "--calibrate"], &["no batch norm", "leave out `--calibrate`"]);
}

#[test]
fn comparing_seeds_gives_means_with_standard_errors_and_does_nothing_twice() {
    let scratch = Scratch::small();
    let args = ["compare", "small.toml", "--strategies", "sdt,mtt", "--seeds", "1,2", "--output", "two"];
    let first = scratch.ok(&args);
    assert!(first.stderr.contains("SDT 1/4: train SDT") && first.stderr.contains("MTT 4/4: train MTT"), "{first:#?}");
    let report = scratch.json("two/report.json");
    for (k, name) in ["SDT", "MTT"].into_iter().enumerate() {
        let strategy = &report["strategies"][k];
        assert_eq!((&strategy["name"], &strategy["seeds"]), (&name.into(), &serde_json::json!([1, 2])));
        assert_eq!(strategy["points"].as_array().unwrap().len(), 4, "two T, two leaks");
        // The expected mean and standard error, computed here from the two runs.
        let both = [1, 2].map(|seed| scratch.json(&format!("two/{}-seed{seed}/eval.json", name.to_lowercase())));
        let [a, b] = both.each_ref().map(|e| number(e, "points/0/accuracy"));
        assert!((number(strategy, "points/0/accuracy") - (a + b) / 2.0).abs() < 1e-9);
        assert!((number(strategy, "points/0/standard_error") - (a - b).abs() / 2.0).abs() < 1e-9);
        assert!(
            number(strategy, "event_driven/accuracy").is_finite()
                && strategy["event_driven"]["standard_error"].is_f64()
        );
    }
    assert_self_contained(&scratch.text("two/report/report.html"));

    let before = scratch.read("two/mtt-seed2/run.json");
    let again = scratch.ok(&args);
    assert!(!again.stderr.contains("train"), "{again:#?}");
    assert_eq!(again.stdout, first.stdout);
    assert_eq!(scratch.read("two/mtt-seed2/run.json"), before);
    // Only what is missing is repeated.
    std::fs::remove_file(scratch.at("two/mtt-seed2/eval.json")).unwrap();
    std::fs::remove_file(scratch.at("two/sdt-seed1/weights.safetensors")).unwrap();
    let again = scratch.ok(&args);
    assert_eq!(again.stdout, first.stdout);
    assert_eq!(again.stderr.lines().filter(|l| l.contains("evaluate")).count(), 1, "{again:#?}");
    // A run of another recipe is refused in the same folder.
    let other = [&args[..], &["--epochs", "2"]].concat();
    let words = ["two/sdt-seed1", "another recipe", "--output"];
    scratch.refused_with(&other, &words);
    // It is also refused if the first training was stopped, and the files stay as they were.
    std::fs::remove_file(scratch.at("two/sdt-seed1/weights.safetensors")).unwrap();
    let recipe = scratch.text("two/sdt-seed1/recipe.toml");
    scratch.refused_with(&other, &words);
    assert_eq!(scratch.text("two/sdt-seed1/recipe.toml"), recipe);
}

#[test]
fn comparing_over_folds_uses_every_sample_once() {
    let scratch = Scratch::small();
    let args = ["compare", "small.toml", "--strategies", "mtt", "--folds", "3", "--output", "three"];
    let args = [&args[..], &["--set", "data.test_limit=0", "--set", "eval.steps=[1]"]].concat();
    scratch.ok(&args);
    let report = scratch.json("three/report.json");
    assert_eq!(report["strategies"].as_array().unwrap().len(), 1);
    assert!(number(&report, "strategies/0/points/0/standard_error") >= 0.0);
    assert_eq!(number(&report, "strategies/0/event_driven/samples"), 1797.0);
    let mut tested: Vec<_> = (0..3)
        .flat_map(|k| {
            RunFolder::open(&scratch.at(&format!("three/mtt-seed1-fold{k}"))).unwrap().load().unwrap().parts.test
        })
        .collect();
    tested.sort_by_key(|s| (s.split.as_str(), s.index));
    tested.dedup();
    assert_eq!(tested.len(), 1797);
    let again = scratch.ok(&args);
    assert!(!again.stderr.contains("train"), "{again:#?}");
}

#[test]
#[cfg(unix)]
fn an_experiment_stopped_by_ctrl_c_goes_on_where_it_was() {
    let scratch = Scratch::small();
    let compare = |output| ["compare", "small.toml", "--strategies", "sdt,mtt", "--epochs", "10", "--output", output];
    let args = compare("both");
    let mut child = scratch.spawn(&args);
    while !scratch.at("both/mtt-seed1/checkpoint.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be stopped");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let sent = std::process::Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
    let ran = Ran::of(&args, child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130), "{ran:#?}");
    // `compare` has no `--resume`, so the message must not name it.
    assert!(ran.stderr.contains("same command") && !ran.stderr.contains("--resume"), "{ran:#?}");
    scratch.ok(&args);
    scratch.ok(&compare("whole"));
    let weights = |folder: &str| scratch.read(&format!("{folder}/mtt-seed1/weights.safetensors"));
    assert!(weights("both") == weights("whole"));
}

#[test]
fn the_demo_made_tiny() {
    let scratch = Scratch::new();
    let mut args = vec!["demo"];
    for set in [
        "data.train_limit=60",
        "data.test_limit=20",
        "train.epochs=1",
        "train.batch=20",
        "train.t_max=3",
        "eval.steps=[1,3]",
    ] {
        args.extend(["--set", set]);
    }
    let first = scratch.ok(&args);
    for word in ["SDT", "NMT", "MTT", "page: runs/demo/report/report.html"] {
        assert!(first.stdout.contains(word), "no `{word}` in {first:#?}");
    }
    assert_self_contained(&scratch.text("runs/demo/report/report.html"));
    let again = scratch.ok(&args);
    assert!(!again.stderr.contains("train"), "it shows what it has: {again:#?}");
    let json = scratch.ok_json(&args);
    assert_eq!(json["strategies"].as_array().unwrap().len(), 3);

    // `--fresh` trains again, after a stopped demo too, and deletes nothing that the demo did not
    // write.
    std::fs::remove_file(scratch.at("runs/demo/report.json")).unwrap();
    scratch.write("runs/demo/mine.txt", "keep");
    let fresh = scratch.ok(&[&args[..], &["--fresh"]].concat());
    assert!(fresh.stderr.contains("SDT 1/3: train SDT"), "{fresh:#?}");
    assert_eq!(scratch.text("runs/demo/mine.txt"), "keep");
    scratch.refused_with(&["demo", "--seeds", "0"], &["--seeds", "at least 1"]);
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let scratch = Scratch::new();
    for args in [&["data", "list"][..], &["data", "list", "--json"]] {
        let mut child = scratch.spawn(args);
        drop(child.stdout.take());
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn every_command_has_a_help_with_examples() {
    let scratch = Scratch::new();
    let main = scratch.ok(&["--help"]).stdout;
    let commands = [
        "demo",
        "train",
        "compare",
        "eval",
        "simulate",
        "predict",
        "tune",
        "asynchrony",
        "parity",
        "import",
        "calibrate",
        "finetune",
        "export",
        "report",
        "data",
    ];
    for command in commands {
        assert!(main.lines().any(|l| l.trim_start().starts_with(command)), "{command} is not in {main}");
        let help = scratch.ok(&["help", command]).stdout;
        assert_eq!(help, scratch.ok(&[command, "--help"]).stdout, "{command}");
        let (_, examples) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("no examples in {help}"));
        let examples: Vec<&str> = examples.lines().take_while(|l| !l.is_empty()).collect();
        assert!(examples.len() >= 2, "{command}: {examples:?}");
        assert!(examples.iter().all(|l| l.starts_with(&format!("  tickless {command}"))), "{command}: {examples:?}");
        assert!(help.contains("--json") && help.contains("--device"), "{help}");
    }
    assert!(scratch.ok(&["--version"]).stdout.starts_with("tickless 0."));
}

#[test]
fn a_run_keeps_its_recipe_with_every_key() {
    let scratch = Scratch::small();
    scratch.ok(&["train", "small.toml", "--output", "run", "--set", "train.batch=20"]);
    // The stored recipe trains the same run.
    scratch.ok(&["train", "run/recipe.toml", "--output", "again"]);
    assert!(scratch.read("run/weights.safetensors") == scratch.read("again/weights.safetensors"));
    assert_eq!(scratch.text("run/recipe.toml"), scratch.text("again/recipe.toml"));
    assert!(!RECIPE.contains("weight_decay") && scratch.text("run/recipe.toml").contains("weight_decay"));
}
