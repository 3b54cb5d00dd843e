//! Trainings with the additions of a recipe to the passes of a strategy, started as a user starts
//! them.

use tickless_testing::command::{Scratch, number};

#[test]
fn a_training_with_the_engine_in_the_forward_pass_resumes_and_runs_event_driven() {
    let scratch = Scratch::small();
    let set = ["--set", "train.event_driven={ replaces = 1 }", "--set", "train.epochs=2"];
    let more = ["--set", "train.rate_penalty.weight=5.0", "--set", "data.augment.jitter_steps=0.5"];
    let train = |output: &str, other: &[&str]| {
        scratch.ok(&[&["-v", "train", "small.toml", "--output", output][..], &set, &more, other].concat())
    };
    let told = train("one", &["--threads", "1"]);
    // One pass of MTT with (1 + 4)/2 steps on average, and the event-driven one with 4.
    assert!(told.stderr.contains("an iteration runs 6.5 time steps on average"), "{told:#?}");
    let weights = |run: &str| scratch.read(&format!("{run}/weights.safetensors"));
    train("two", &["--threads", "3"]);
    assert!(weights("one") == weights("two"), "the weights depend on the number of threads");
    assert!(number(&scratch.ok_json(&["simulate", "one", "--limit", "5"]), "layers/0/spikes") > 0.0);
    let recipe = scratch.text("one/recipe.toml");
    assert!(recipe.contains("[train.event_driven]") && recipe.contains("jitter_steps = 0.5"), "{recipe}");
}

#[test]
fn a_long_pass_teaches_neurons_with_a_refractory_period_and_with_a_synaptic_current() {
    let scratch = Scratch::small();
    let long = "train.long={ times = 3, every = 2, replaces = 1, distill = 1.0 }";
    for (run, neuron) in
        [("lif", "{ model = \"lif\", refractory = { steps = 0.5 } }"), ("cuba", "{ model = \"cuba-lif\" }")]
    {
        let neuron = format!("network.neuron={neuron}");
        scratch.ok(&["train", "small.toml", "--output", run, "--set", long, "--set", &neuron]);
        scratch.ok(&["eval", run]);
        let simulated = scratch.ok_json(&["simulate", run, "--limit", "5"]);
        assert!(number(&simulated, "layers/0/spikes") > 0.0, "{neuron}: {simulated:#}");
        let parity = scratch.ok_json(&["parity", run, "--limit", "2", "--events", "100"]);
        assert!(parity["pairs"].as_array().is_some_and(|all| !all.is_empty()), "{neuron}: {parity:#}");
    }
}

#[test]
fn what_a_network_or_a_strategy_cannot_run_is_refused_before_the_folder_is_made() {
    let scratch = Scratch::small();
    for (set, words) in [
        (&["train.event_driven={}", "network.norm=true"][..], &["norm", "finetune"][..]),
        (&["train.event_driven={ replaces = 3 }"], &["`train.event_driven`", "MTT runs 2", "train.samples"]),
        (&["train.long={ times = 3, replaces = 2, distill = 1.0 }"], &["`train.long`", "`distill`", "none is left"]),
        (&["train.long={ times = 1 }"], &["small.toml", "`train.long.times` = 1", "2 to 2500"]),
        (&["train.rate_penalty={ weight = 1.0, share = 2.0 }"], &["`train.rate_penalty.share` = 2"]),
        (&["data.augment.jitter_step=0.5"], &["did you mean `jitter_steps`?"]),
    ] {
        let set: Vec<&str> = set.iter().flat_map(|s| ["--set", s]).collect();
        scratch.refused_with(&[&["train", "small.toml", "--output", "run"][..], &set].concat(), words);
        assert!(!scratch.at("run").exists(), "{set:?}");
    }
}

#[test]
fn an_early_exit_is_measured_with_a_confidence_that_the_validation_part_calibrates() {
    let scratch = Scratch::small();
    scratch.ok(&["train", "small.toml", "--output", "run", "--set", "data.validation=0.2"]);
    let args = ["eval", "run", "--exit", "confidence,entropy", "--alpha", "0,0.12,1", "--steps", "3"];
    let (table, json) = (scratch.ok(&args), scratch.ok_json(&args));
    assert_eq!((&json["samples"], &json["steps"], &json["gain_samples"]), (&40.into(), &3.into(), &20.into()));
    assert!(number(&json, "calibration_error") <= 100.0 && number(&json, "gain") > 0.0, "{json:#}");
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 6);
    for row in rows {
        let stopped: Vec<u64> = row["stopped"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        assert_eq!(stopped.iter().sum::<u64>(), 40);
        let steps: u64 = (1..).zip(&stopped).map(|(k, n)| k * n).sum();
        assert!((number(row, "mean_steps") - steps as f64 / 40.0).abs() < 1e-9, "{row:#}");
        assert!(table.stdout.contains(&format!("{:.3}", number(row, "mean_steps"))), "{table:#?}");
    }
    let mean = |k: usize| number(&rows[k], "mean_steps");
    // Every confidence is above 0, none above 1; an entropy below 0 does not exist.
    assert_eq!((mean(0), mean(2), mean(3)), (1.0, 3.0, 3.0));
    let at_3 = scratch.ok_json(&["eval", "run", "--steps", "3", "--leak", "time"]);
    assert_eq!(number(&rows[2], "accuracy"), number(&at_3, "points/0/accuracy"), "who never stops runs all steps");
    let at_1 = scratch.ok_json(&["eval", "run", "--exit", "confidence", "--alpha", "0.5", "--steps", "1"]);
    assert_eq!(number(&at_1, "rows/0/mean_steps"), 1.0);

    scratch.ok(&["train", "small.toml", "--output", "bare"]);
    let bare = scratch.ok(&["eval", "bare", "--exit", "margin", "--limit", "5"]);
    assert!(bare.stderr.contains("uncalibrated") && bare.stderr.contains("data.validation"), "{bare:#?}");
    for (args, word) in [(["--exit", "certainty"], "confidence"), (["--alpha", "0.5"], "--exit")] {
        let ran = scratch.run(&[&["eval", "run"][..], &args].concat());
        assert!(ran.code == Some(2) && ran.stderr.contains(word), "{ran:#?}");
    }
    scratch.refused_with(&["eval", "run", "--exit", "margin", "--alpha", "1.5"], &["--alpha", "1.5"]);
    scratch.refused_with(&["eval", "run", "--exit", "margin", "--steps", "1..3"], &["--steps"]);
}
