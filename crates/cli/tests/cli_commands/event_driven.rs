//! Commands that run networks without a clock.

use tickless::net::Weights;
use tickless_testing::command::{Scratch, number};

#[test]
fn recordings_that_the_recipe_scales_are_simulated_at_that_size() {
    let scratch = Scratch::small();
    scratch.ok(&["train", "small.toml", "--output", "run", "--set", "data.size=[20,18]"]);
    let simulated = scratch.ok_json(&["simulate", "run", "--limit", "5"]);
    assert!(number(&simulated, "layers/0/spikes") > 0.0, "{simulated:#}");
    assert_eq!(scratch.ok_json(&["parity", "run", "--limit", "2", "--events", "200"])["pairs"][0]["verdict"], "agree");
}

#[test]
fn asynchrony_is_swept_from_the_exact_engine_on() {
    let scratch = Scratch::trained();
    let swept = scratch.ok_json(&["asynchrony", "run", "--limit", "20", "--delay-us", "100", "--queue", "0"]);
    assert_eq!(scratch.result("run/asynchrony.json"), swept);
    assert_eq!((&swept["part"], &swept["recordings"]), (&"test".into(), &20.into()));
    assert!(swept["weights"].as_str().unwrap().starts_with("xxh3-64:"), "{swept:#}");
    let rows = swept["rows"].as_array().unwrap();
    assert_eq!((&rows[0]["swept"], number(&rows[0], "spike_difference")), (&"exact".into(), 0.0));
    let swept: Vec<&str> = rows.iter().map(|r| r["swept"].as_str().unwrap()).collect();
    for what in ["order", "delay", "jitter", "service", "queue"] {
        assert!(swept.contains(&what), "{what}: {swept:?}");
    }
    let last = rows.last().unwrap();
    assert!(last["swept"] == "queue" && number(last, "lost") > 0.0, "{last:#}");
    let exact = number(&scratch.ok_json(&["simulate", "run", "--limit", "20"]), "accuracy");
    assert_eq!(number(&rows[0], "accuracy"), exact, "the first row is the engine");
    let late = ["simulate", "run", "--limit", "20", "--service-us", "1000", "--queue", "2", "--order", "random"];
    let shown = scratch.ok_json(&late);
    assert!(number(&shown, "asynchrony/lost") > 0.0 && number(&shown, "accuracy") == exact, "{shown:#}");
    assert_eq!(shown["part"], "test");
    assert!(scratch.ok(&late).stdout.contains("with asynchrony: "));
    scratch.refused_with(&["simulate", "run", "--delay-us=-1"], &["delay", "-1"]);
    let table = scratch.ok(&["asynchrony", "run", "--limit", "2", "--service-us", "", "--queue", ""]);
    assert!(table.stdout.contains("momentum") && !table.stdout.contains("service"), "{table:#?}");
    assert!(
        scratch.read("run/asynchrony.png").starts_with(b"\x89PNG")
            && scratch.text("run/asynchrony.svg").contains("<svg")
    );
    scratch.refused_with(&["asynchrony", "run", "--delay-us", "soon"], &["--delay-us", "soon"]);
    scratch.refused_with(&["asynchrony", "run", "--queue", "2.5"], &["--queue", "2.5"]);
}

#[test]
fn a_refractory_period_is_trained_evaluated_simulated_and_exported() {
    let scratch = Scratch::small();
    let set = ["--set", "network.neuron.model=\"lif\"", "--set", "network.neuron.refractory={ steps = 0.5 }"];
    let train = |output: &str, set: &[&str]| {
        scratch.ok(&[&["train", "small.toml", "--output", output][..], set].concat());
    };
    train("run", &set);
    train("none", &set[..2]);
    // A period of half a step has no dead step at T ≤ T_max, so training gives the same bits.
    let tensors = |run: &str| {
        let file = Weights::load(&scratch.at(run).join("weights.safetensors")).unwrap();
        file.tensors.into_iter().map(|(name, array)| (name, array.data)).collect::<Vec<_>>()
    };
    assert_eq!(tensors("run"), tensors("none"));
    scratch.ok(&["eval", "run"]);
    let spikes = |run: &str, more: &[&str]| -> f64 {
        let shown = scratch.ok_json(&[&["simulate", run, "--limit", "5"], more].concat());
        number(&shown, "layers/0/spikes") + number(&shown, "layers/1/spikes")
    };
    let (half, none) = (spikes("run", &[]), spikes("none", &[]));
    assert!(0.0 < half && half < none, "{half} {none}");
    assert_eq!((spikes("none", &["--refractory", "0.5"]), spikes("run", &["--refractory", "none"])), (half, none));
    let said = "have no refractory period";
    assert!(scratch.ok(&["simulate", "none", "--limit", "2"]).stdout.contains(said));
    assert!(!scratch.ok(&["simulate", "run", "--limit", "2"]).stdout.contains(said));
    let parity = scratch.ok_json(&["parity", "run", "--limit", "2", "--events", "200"]);
    assert_eq!(parity["pairs"][0]["verdict"], "agree", "{parity:#}");
    let exported = scratch.ok(&["export", "run", "--to", "nir"]);
    assert!(format!("{}{}", exported.stdout, exported.stderr).contains("drops the refractory period"), "{exported:#?}");
    scratch.refused_with(&["simulate", "run", "--refractory", "0"], &["--refractory", "above 0"]);
    let multi = ["--set", "network.neuron.model=\"if\"", "--set", "network.neuron.refractory={ steps = 1 }"];
    let refused = [&["train", "small.toml", "--output", "multi"][..], &multi].concat();
    scratch.refused_with(&refused, &["multi-spike", "refractory"]);
    assert!(!scratch.at("multi").exists());
}

#[test]
fn a_period_or_a_limit_is_found_on_the_validation_part() {
    let scratch = Scratch::small();
    for (model, knob) in [("lif", "refractory"), ("if", "lower_limit")] {
        let set = format!("network.neuron.model=\"{model}\"");
        let train = ["train", "small.toml", "--output", model, "--set", &set];
        scratch.ok(&[&train[..], &["--set", "data.validation=0.2"]].concat());
        let shown = scratch.ok_json(&["simulate", model, "--tune", "--limit", "8"]);
        let tuned = &shown["tuned"];
        assert_eq!(tuned["knob"], knob, "{tuned:#}");
        let tried = tuned["tried"].as_array().unwrap();
        let accuracy = |k: usize| number(&tried[k], "accuracy");
        let best = number(tuned, "best") as usize;
        let held = |k: usize| tried[k]["eight_bit"] != false;
        assert!(held(best) && (0..tried.len()).all(|k| !held(k) || accuracy(k) <= accuracy(best)), "{tuned:#}");
        for t in tried {
            let unlimited = t["values"].as_array().unwrap().iter().any(serde_json::Value::is_null);
            match knob {
                "refractory" => assert!(t.get("eight_bit").is_none(), "a leak has no 8-bit form: {t:#}"),
                _ => assert!(!unlimited || t["eight_bit"] == false, "8 bit has a limit in each layer: {t:#}"),
            }
        }
        assert!(knob == "refractory" || tried.iter().any(|t| t["eight_bit"] == true), "{tuned:#}");
        let table = scratch.ok(&["simulate", model, "--tune", "--limit", "2"]).stdout;
        assert!(table.contains("validation recordings") && table.contains("layer `"), "{table}");
        assert!(!scratch.at(model).join("simulate.json").exists(), "a run keeps only what its own description gives");
    }
    scratch.ok(&["train", "small.toml", "--output", "all", "--set", "data.validation=0"]);
    scratch.refused_with(&["simulate", "all", "--tune"], &["no validation part", "`data.validation`"]);
}

#[test]
fn the_study_of_refractory_periods_pairs_runs_keeps_what_it_measured_and_draws_it() {
    let scratch = Scratch::small();
    let lif = ["--set", "network.neuron.model=\"lif\"", "--set", "data.validation=0.2"];
    for seed in ["1", "2"] {
        let set = format!("seed={seed}");
        scratch.ok(&[&["train", "small.toml", "--output", seed, "--set", &set][..], &lif].concat());
    }
    let study = ["study", "no-clock", "1", "2", "--values", "none,0.5", "--steps", "1,8", "--output", "study"];
    let shown = scratch.ok_json(&study);
    let group = &shown["groups"][0];
    assert_eq!((group["runs"].as_u64(), shown["groups"].as_array().unwrap().len()), (Some(2), 1), "{shown:#}");
    let (none, half) = (&group["values"][0], &group["values"][1]);
    assert_eq!((&none["value"], &half["value"]), (&"none".into(), &0.5.into()));
    // T_max and the two asked for, at both values, because they are the first and the last.
    let steps = |v: &serde_json::Value| -> Vec<u64> {
        v["clocked"].as_array().unwrap().iter().map(|c| c["steps"].as_u64().unwrap()).collect()
    };
    assert_eq!((steps(none), steps(half)), (vec![1, 4, 8], vec![1, 4, 8]));
    // At and below T_max a period of at most one step changes no clocked result.
    assert_eq!(none["clocked"][0], half["clocked"][0]);
    assert_eq!(none["clocked"][1], half["clocked"][1]);
    let lost = number(&none["clocked_at_t_max"], "mean") - number(&none["event_driven"], "mean");
    assert!((number(&none["lost"], "mean") - lost).abs() < 1e-9);
    assert!(number(half, "spikes") < number(none, "spikes"), "{group:#}");
    assert!(scratch.at("study/no-clock.svg").is_file() && scratch.at("study/no-clock.json").is_file());
    // The second time nothing is measured: the files of the runs stay as they are.
    let time = |run: &str| scratch.at(run).join("no-clock.json").metadata().unwrap().modified().unwrap();
    let before = (time("1"), time("2"));
    assert_eq!(scratch.ok_json(&study), shown);
    assert_eq!((time("1"), time("2")), before);
    let table = scratch.ok(&["study", "no-clock", "1", "2", "--values", "none,0.5", "--steps", "1"]).stdout;
    assert!(table.contains("chosen on the validation part"), "{table}");
    // The single-spike simulation of one run is the row without a period.
    let simulated = number(&scratch.ok_json(&["simulate", "1"]), "accuracy");
    let one = scratch.ok_json(&["study", "no-clock", "1", "--values", "none", "--steps", "1"]);
    assert_eq!(number(&one["groups"][0]["values"][0]["event_driven"], "mean"), simulated);
    scratch.refused_with(&["study", "no-clock", "1", "--values", "-3"], &["`-3`", "above 0"]);
    scratch.refused_with(&["study", "no-clock", "1", "--clocked", "7"], &["--clocked 7", "--values"]);
    scratch.refused_with(&["study", "no-clock", "1", "--steps", "0"], &["--steps 0"]);
    scratch.refused_with(&["study", "no-clock", "nowhere"], &["nowhere"]);
}

#[test]
fn every_neuron_model_is_trained_evaluated_and_simulated_by_its_word() {
    for model in ["cuba-lif", "adaptive-lif", "parametric-lif"] {
        let scratch = Scratch::small();
        let neuron = format!("network.neuron.model=\"{model}\"");
        scratch.ok(&["train", "small.toml", "--output", "run", "--set", &neuron]);
        let evaluated = scratch.ok_json(&["eval", "run"]);
        assert_eq!(evaluated["points"].as_array().unwrap().len(), 4, "two numbers of steps, two rules: {evaluated:#}");
        let simulated = scratch.ok_json(&["simulate", "run", "--limit", "5"]);
        assert!(number(&simulated, "layers/0/spikes") > 0.0, "{model}: {simulated:#}");
        scratch.ok(&["simulate", "run", "--limit", "2", "--delay-us", "100"]);
        let parity = scratch.ok_json(&["parity", "run", "--limit", "2", "--events", "200"]);
        let exported = scratch.run(&["export", "run", "--to", "nir"]);
        // A learned decay is a leak per step once training has ended. The other two models can fire
        // between events.
        if model == "parametric-lif" {
            assert_eq!(parity["pairs"][0]["verdict"], "agree", "{parity:#}");
            assert_eq!(exported.code, Some(0), "{exported:#?}");
        } else {
            assert!(parity["pairs"][0]["verdict"].to_string().contains("fires between events"), "{parity:#}");
            assert_eq!(parity["pairs"][1]["verdict"], "agree", "a session used again: {parity:#}");
            // NIR has a node for a synaptic current and none for an adaptive threshold.
            let refused = exported.code != Some(0) && exported.stderr.contains("an adaptive threshold");
            assert_eq!(refused, model == "adaptive-lif", "{exported:#?}");
        }
        let chip = scratch.run(&["export", "run", "--to", "speck"]);
        assert!(format!("{}{}", chip.stdout, chip.stderr).contains("its neurons leak"), "{chip:#?}");
    }
}
