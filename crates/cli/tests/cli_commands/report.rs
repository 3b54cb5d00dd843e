//! Which runs form one row of a report, and the page of a single run.

use serde_json::Value;
use tickless_testing::command::{Scratch, number};

/// Trains and evaluates a run, without simulating it.
fn run(scratch: &Scratch, folder: &str, set: &[&str]) {
    let mut args = vec!["-q", "train", "small.toml", "--output", folder];
    set.iter().for_each(|s| args.extend(["--set", s]));
    scratch.ok(&args);
    scratch.ok(&["-q", "eval", folder, "--steps", "1,4"]);
}

fn names(report: &Value) -> Vec<String> {
    report["strategies"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
}

fn notes(report: &Value) -> String {
    report["notes"].as_array().unwrap().iter().map(|n| format!("{}\n", n.as_str().unwrap())).collect()
}

#[test]
fn runs_that_differ_in_more_than_the_seed_are_rows_of_their_own() {
    let scratch = Scratch::small();
    for (folder, set) in [
        ("a", &["seed=1"][..]),
        ("b", &["seed=2"]),
        ("t", &["train.t_max=6"]),
        ("e", &["train.epochs=2", "seed=3"]),
        ("n", &["network.neuron.model=if"]),
        ("w", &["network.name=nmnist-small"]),
        ("s", &["train.strategy=sdt"]),
    ] {
        run(&scratch, folder, set);
    }
    let two = scratch.ok_json(&["report", "a", "b"]);
    assert_eq!(names(&two), ["MTT"]);
    assert_eq!(two["strategies"][0]["seeds"], serde_json::json!([1, 2]));
    let mean = ["a", "b"].map(|r| number(&scratch.json(&format!("{r}/eval.json")), "points/0/accuracy"));
    assert!((number(&two, "strategies/0/points/0/accuracy") - (mean[0] + mean[1]) / 2.0).abs() < 1e-9);
    assert_eq!(names(&scratch.ok_json(&["report", "s", "a", "b"])), ["SDT", "MTT"]);
    for (other, name, key) in [
        ("t", "MTT, T_max 6", "train.t_max"),
        ("e", "MTT, epochs 2", "train.epochs"),
        ("n", "MTT, neuron.model if", "network.neuron.model"),
        ("w", "MTT, network nmnist-small", "network.name"),
    ] {
        let report = scratch.ok_json(&["report", "a", "b", other]);
        let found = names(&report);
        assert!(found.len() == 2 && found[1] == name && found[0].starts_with("MTT, "), "{other}: {found:?}");
        assert!(notes(&report).contains(key), "{other}: {}", notes(&report));
        let said = scratch.ok(&["report", "a", "b", other]);
        assert!(said.stderr.contains("note: Rows differ in more than the strategy"), "{said:#?}");
    }
    // If the rows differ in T_max, each shows its own.
    let report = scratch.ok_json(&["report", "a", "t"]);
    assert_eq!([number(&report, "strategies/0/t_max"), number(&report, "strategies/1/t_max")], [4.0, 6.0]);
    // The strategy determines the colour, whatever the name of the row.
    let separate = scratch.ok_json(&["report", "a", "s", "--separate"]);
    assert_eq!(names(&separate), ["a", "s"]);
    assert_eq!([&separate["strategies"][0]["strategy"], &separate["strategies"][1]["strategy"]], ["MTT", "SDT"]);
    // Runs with the same folder name in two places are distinguished.
    std::fs::create_dir(scratch.at("x")).unwrap();
    std::fs::rename(scratch.at("b"), scratch.at("x/a")).unwrap();
    assert_eq!(names(&scratch.ok_json(&["report", "a", "x/a", "--separate"]))[1], "x/a");
}

#[test]
fn runs_that_cannot_stand_on_one_page_are_refused_with_the_reason() {
    let scratch = Scratch::small();
    run(&scratch, "a", &["seed=1"]);
    run(&scratch, "less", &["seed=2", "data.test_limit=20"]);
    run(&scratch, "twin", &["seed=1"]);
    let words = ["a and less were tested on different samples", "`data.test_limit`: 40 and 20"];
    scratch.refused_with(&["report", "a", "less"], &words);
    scratch.refused_with(&["report", "a", "less", "--separate"], &words);
    scratch.refused_with(&["report", "a", "twin"], &["a and twin are the same training (seed 1)", "--separate"]);
    scratch.refused_with(&["report", "a", "a"], &["the same training"]);
    scratch.ok(&["report", "a", "twin", "--separate"]);
}

#[test]
fn a_run_without_results_is_named_and_not_averaged() {
    let scratch = Scratch::small();
    run(&scratch, "a", &["seed=1"]);
    scratch.ok(&["train", "small.toml", "--set", "seed=2", "--output", "b"]);
    scratch.ok(&["train", "small.toml", "--set", "train.strategy=sdt", "--output", "s"]);
    let said = scratch.ok(&["report", "a", "b", "s"]);
    for run in ["b", "s"] {
        let line = format!("warning: {run} has not been evaluated: `tickless eval {run}`");
        assert!(said.stderr.contains(&line), "no {line} in {said:#?}");
    }
    assert!(said.stdout.lines().any(|l| l.starts_with("SDT")), "a row of its own all the same: {said:#?}");
    let report = scratch.ok_json(&["report", "b", "a", "s"]);
    assert_eq!(report["strategies"][0]["seeds"], serde_json::json!([1]), "the mean is of what was measured");
    assert_eq!(
        number(&report, "strategies/0/points/0/accuracy"),
        number(&scratch.json("a/eval.json"), "points/0/accuracy")
    );
    assert!(notes(&report).contains("MTT leaves a run out: b has not been evaluated"), "{}", notes(&report));
    // A T at which only some runs were evaluated has no mean.
    scratch.ok(&["eval", "b", "--steps", "1"]);
    let report = scratch.ok_json(&["report", "a", "b"]);
    assert_eq!(report["strategies"][0]["points"].as_array().unwrap().len(), 2, "T = 1 with both leaks");
    assert!(notes(&report).contains("MTT has no value at T = 4"), "{}", notes(&report));
}

#[test]
fn the_page_of_one_run_describes_it_and_gives_the_commands_that_repeat_it() {
    let scratch = Scratch::small();
    run(&scratch, "a", &["purpose=Three strategies are compared"]);
    scratch.ok(&["simulate", "a"]);
    let report = scratch.ok_json(&["report", "a"]);
    let purpose = report["purpose"].as_str().unwrap();
    for words in ["One run, trained as MTT, seed 1", "network demo", "100 training", "1 epoch at T from 1 to 4"] {
        assert!(purpose.contains(words), "no `{words}` in {purpose}");
    }
    assert!(!purpose.contains("compared"), "that is a comparison's: {purpose}");
    let command = report["command"].as_str().unwrap();
    let expected = [
        "tickless train a/recipe.toml --output a-again",
        "tickless eval a-again --steps 1,4",
        "tickless simulate a-again",
        "tickless report a-again",
    ];
    assert_eq!(command.lines().collect::<Vec<_>>(), expected);
    assert!(scratch.text("a/report/report.html").contains("tickless train a/recipe.toml --output a-again"));
    for line in expected {
        scratch.ok(&line.split(' ').skip(1).collect::<Vec<_>>());
    }
    let again = scratch.json("a-again/eval.json");
    assert_eq!(again, scratch.json("a/eval.json"), "the commands repeat the run");
    // A fine-tuned run is repeated with the command that made it, into another folder.
    scratch.ok(&["finetune", "a", "--epochs", "1", "--output", "tuned"]);
    scratch.ok(&["eval", "tuned", "--steps", "1"]);
    let tuned = scratch.ok_json(&["report", "tuned"]);
    let command = tuned["command"].as_str().unwrap();
    assert!(command.starts_with("tickless finetune a --epochs 1 --output tuned-again\n"), "{command}");
    assert!(tuned["purpose"].as_str().unwrap().contains("fine-tuned as MTT from a"), "{tuned:#}");
    assert_eq!(names(&scratch.ok_json(&["report", "a", "tuned"])), ["MTT", "MTT, fine-tuned from MTT"]);
}

#[test]
fn a_row_shows_the_setting_that_was_chosen_for_a_budget_if_all_its_runs_were_tuned_for_it() {
    let scratch = Scratch::small();
    run(&scratch, "a", &["seed=1", "data.validation=0.3"]);
    run(&scratch, "b", &["seed=2", "data.validation=0.3"]);
    assert_eq!(scratch.ok_json(&["report", "a"])["strategies"][0]["chosen"], Value::Null);
    let tune = |run: &str, budget: &str| scratch.ok(&["-q", "tune", run, "--budget", budget, "--mixed", "2"]);
    tune("a", "steps=2");
    let kept = scratch.json("a/tuned.json");
    let alone = scratch.ok_json(&["report", "a", "-o", "page"]);
    let chosen = &alone["strategies"][0]["chosen"];
    for key in ["accuracy", "operations"] {
        assert_eq!(number(chosen, key), number(&kept, &format!("test/{key}")), "{key}");
    }
    let words = chosen["words"].as_str().unwrap();
    assert!(words.starts_with("steps=2: T = "), "{words}");
    let page = scratch.text("page/report.html");
    assert!(page.contains("the chosen budget of MTT, steps=2"), "the page does not say the choice");

    let half = scratch.ok_json(&["report", "a", "b"]);
    assert_eq!(half["strategies"][0]["chosen"], Value::Null);
    assert!(notes(&half).contains("shows no chosen budget"), "{}", notes(&half));
    tune("b", "steps=3");
    assert_eq!(scratch.ok_json(&["report", "a", "b"])["strategies"][0]["chosen"], Value::Null, "two budgets");
    tune("b", "steps=2");
    let both = scratch.ok_json(&["report", "a", "b"]);
    let mean = ["a", "b"].map(|r| number(&scratch.json(&format!("{r}/tuned.json")), "test/accuracy"));
    assert!((number(&both, "strategies/0/chosen/accuracy") - (mean[0] + mean[1]) / 2.0).abs() < 1e-9);

    // A choice for other weights is no choice of this run.
    std::fs::copy(scratch.at("a/tuned.json"), scratch.at("b/tuned.json")).unwrap();
    scratch.refused_with(&["report", "b"], &["tuned.json", "other weights", "tune the run again"]);
}
