//! Commands that run networks without a clock.

use super::common::{Scratch, number};

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
            assert!(
                exported.code != Some(0) && exported.stderr.contains("this exporter cannot write"),
                "{exported:#?}"
            );
        }
        let chip = scratch.run(&["export", "run", "--to", "speck"]);
        assert!(format!("{}{}", chip.stdout, chip.stderr).contains("its neurons leak"), "{chip:#?}");
    }
}
