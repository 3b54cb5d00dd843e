//! Progress and messages while a command runs.

use tickless_testing::command::Scratch;

const TRAIN: [&str; 8] =
    ["train", "small.toml", "--epochs", "3", "--set", "data.validation=0.2", "--set", "train.select=best"];

#[test]
fn every_epoch_has_a_line_with_its_accuracies_and_the_best_epoch() {
    let scratch = Scratch::small();
    let ran = scratch.ok(&TRAIN);
    let lines: Vec<&str> = ran.stderr.lines().filter(|l| l.starts_with("epoch ")).collect();
    assert_eq!(lines.len(), 3, "{ran:#?}");
    let metrics = scratch.text("runs/small-mtt-seed1/metrics.jsonl");
    let mut best = (0, f64::NEG_INFINITY);
    for (k, (line, metric)) in lines.iter().zip(metrics.lines()).enumerate() {
        let m: serde_json::Value = serde_json::from_str(metric).unwrap();
        let number = |key: &str| m[key].as_f64().unwrap();
        let (training, validation) = (number("train_accuracy"), number("validation_accuracy"));
        let start = format!("epoch {}/3  loss {:.3}  training {training:.1} %", k + 1, number("train_loss"));
        assert!(line.starts_with(&start), "{line} is not {start}");
        assert!(line.contains(&format!("validation {validation:.1} %")), "{line}");
        if validation > best.1 {
            best = (k + 1, validation);
            assert!(line.ends_with("best so far"), "{line}");
        } else {
            assert!(line.ends_with(&format!("best {:.1} % ({})", best.1, best.0)), "{line}");
        }
    }
    assert!(ran.stderr.lines().all(|l| l.chars().count() <= 80), "{ran:#?}");
    // If there are several trainings, the lines of each follow its name.
    let compared = scratch.ok(&["compare", "small.toml", "--strategies", "sdt,mtt", "--epochs", "2"]);
    let lines: Vec<&str> = compared.stderr.lines().collect();
    for (prefix, of) in [("SDT 1/2:", "train SDT"), ("MTT 2/2:", "train MTT")] {
        let at = lines.iter().position(|l| *l == prefix).unwrap_or_else(|| panic!("no {prefix} in {lines:#?}"));
        let mut after = lines[at + 1..].iter();
        let trained = format!("{prefix} {of}: 20 iterations in ");
        let mut follow = ["epoch 1/2  loss ", "epoch 2/2  loss ", &trained].into_iter();
        assert!(follow.all(|start| after.any(|l| l.starts_with(start))), "{lines:#?}");
    }
    assert!(lines.iter().all(|l| l.starts_with("warning: ") || l.chars().count() <= 80), "{lines:#?}");
    // During an evaluation the line says which T it is at.
    assert!(lines.iter().any(|l| l.contains("evaluate: ") && l.contains("T = 4, leak per step")), "{lines:#?}");
}

#[test]
fn quiet_says_only_what_is_wrong_and_verbose_says_more() {
    let scratch = Scratch::small();
    let usual = scratch.ok(&["train", "small.toml", "--output", "usual"]);
    for (place, quiet) in
        [("before", &["-q", "train", "small.toml"][..]), ("after", &["train", "small.toml", "--quiet"])]
    {
        let ran = scratch.ok(&[quiet, &["--output", place]].concat());
        assert_eq!(ran.stderr, "", "{ran:#?}");
        assert_eq!(ran.stdout.replace(place, "usual"), usual.stdout, "the result is told all the same");
    }
    let line = scratch.ok(&["-q", "train", "small.toml", "--set", "train.t_min=4", "--output", "warned"]).stderr;
    assert!(line.starts_with("warning: `train.t_min` and `train.t_max` are both 4"), "{line}");
    assert!(line.lines().all(|l| l.starts_with("warning: ")), "{line}");
    scratch.refused_with(&["-q", "eval", "nowhere"], &["nowhere"]);
    let verbose = scratch.ok(&["train", "small.toml", "-v", "--output", "verbose"]).stderr;
    for word in ["data: digits-dvs", "100 training, 0 validation, 40 test", "network: demo", "µs", "checkpoint after"]
    {
        assert!(verbose.contains(word) && !usual.stderr.contains(word), "{word}: {verbose}");
    }
    assert_eq!(scratch.run(&["-q", "-v", "data", "list"]).code, Some(2), "both at once cannot be meant");
    assert_eq!(scratch.read("usual/weights.safetensors"), scratch.read("verbose/weights.safetensors"));
}

#[test]
fn what_a_recipe_may_not_mean_is_said_before_training() {
    let scratch = Scratch::new();
    // The network has one stage: no layer changes the number of steps.
    let bare =
        super::RESIDUAL.replace("[[network.layers]]\nlayer = \"ttm\"\n[[", "[[").replace("name = \"fork\"\n", "");
    let bare = bare.replace("layer = \"ttm\"", "layer = \"pool\"\nkernel = 1\nkind = \"max\"\nname = \"fork\"");
    let bare = bare.replace("strategy = \"sdt\"", "strategy = \"mtt\"");
    scratch.write("bare.toml", bare);
    let said = scratch.ok(&["train", "bare.toml", "--output", "run"]).stderr;
    for words in
        ["warning: network `mine` has no TTM layer", "MTT trains as SDT", "warning: layer `fork` is max pooling"]
    {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    let said = scratch.ok(&["train", "bare.toml", "--set", "train.strategy=sdt", "--output", "sdt"]).stderr;
    assert!(!said.contains("TTM"), "{said}");
}

#[test]
fn a_later_evaluation_is_added_to_the_one_that_the_run_keeps() {
    let scratch = Scratch::trained();
    scratch.ok(&["eval", "run", "--steps", "1,4"]);
    let before = scratch.json("run/eval.json");
    scratch.ok(&["eval", "run", "--steps", "2,4", "--leak", "time"]);
    let points = |v: &serde_json::Value| v["points"].as_array().unwrap().clone();
    let after = points(&scratch.json("run/eval.json"));
    assert_eq!(after[..4], points(&before)[..], "what was there stays");
    assert_eq!(after.len(), 5, "T = 2 came, T = 4 was measured again");
    // The output shows only what was asked for.
    let shown = scratch.ok_json(&["eval", "run", "--steps", "2", "--leak", "time"]);
    assert_eq!(points(&shown), after[4..]);
    let page = scratch.ok_json(&["report", "run"]);
    let steps: Vec<_> = page["strategies"][0]["points"].as_array().unwrap().iter().map(|p| &p["steps"]).collect();
    assert_eq!(steps, [1, 4, 1, 4, 2]);
    // An unreadable file is replaced, with a warning.
    scratch.write("run/eval.json", "{");
    let ran = scratch.ok(&["eval", "run", "--steps", "1"]);
    assert!(ran.stderr.contains("warning: what cannot be read is replaced: run/eval.json"), "{ran:#?}");
    assert_eq!(points(&scratch.json("run/eval.json")).len(), 2);
}

#[test]
fn an_experiment_measures_what_a_partial_evaluation_lacks_and_only_that() {
    let scratch = Scratch::small();
    let args = ["compare", "small.toml", "--strategies", "sdt", "--output", "c"];
    let first = scratch.ok(&args);
    let whole = scratch.json("c/sdt-seed1/eval.json");
    std::fs::remove_file(scratch.at("c/sdt-seed1/eval.json")).unwrap();
    scratch.ok(&["eval", "c/sdt-seed1", "--steps", "1", "--leak", "step"]);
    let again = scratch.ok(&args);
    assert_eq!(again.stdout, first.stdout);
    let kept = scratch.json("c/sdt-seed1/eval.json");
    let mut points = [&whole, &kept].map(|e| e["points"].as_array().unwrap().clone());
    points.iter_mut().for_each(|p| p.sort_by_key(ToString::to_string));
    assert_eq!(points[0], points[1]);
    assert!(!scratch.ok(&args).stderr.contains("evaluate"), "nothing is measured twice");
}
