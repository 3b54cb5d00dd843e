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
    assert!(told.stderr.contains(" 6.5 time "), "{told:#?}");
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
