//! Numbers that are not finite are refused where they arise and never stored.

use tickless::net::Weights;
use tickless::train::run::RunFolder;
use tickless::train::run::checkpoint::Checkpoint;
use tickless_testing::command::Scratch;
use tickless_testing::recipes::RECIPE;

/// Changes the weights of a run and writes them with a valid checksum.
fn change(scratch: &Scratch, run: &str, f: impl Fn(&mut Weights)) {
    let file = scratch.at(&format!("{run}/weights.safetensors"));
    let mut weights = Weights::load(&file).expect("weights");
    f(&mut weights);
    std::fs::write(&file, weights.to_bytes(None).expect("bytes")).expect("a file");
}

#[test]
fn a_training_whose_statistics_overflow_ends_with_their_name() {
    let scratch = Scratch::new();
    let recipe = RECIPE
        .replace("name = \"demo\"", "name = \"demo\"\nnorm = true")
        .replace("batch = 10", "batch = 10\nlearning_rate = 1e3")
        .replace("epochs = 1", "epochs = 3");
    scratch.write("wild.toml", recipe);
    let ran = scratch.run(&["train", "wild.toml", "--output", "run"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    let error = ran.stderr.lines().last().unwrap_or_default();
    assert!(error.starts_with("error: `") && error.contains(".running_") && error.contains("at iteration "), "{error}");
    assert!(!scratch.at("run/weights.safetensors").exists(), "it has not finished");
    let checkpoint = Checkpoint::read(&scratch.at("run/checkpoint.safetensors")).expect("a checkpoint");
    checkpoint.weights.check_values("kept".as_ref()).expect("the kept checkpoint is finite");
}

#[test]
fn weights_that_are_no_numbers_are_refused_by_every_command_that_reads_them() {
    let scratch = Scratch::small();
    scratch.ok(&["train", "small.toml", "--set", "network.norm=true", "--output", "norm"]);
    scratch.ok(&["train", "small.toml", "--output", "run"]);
    let commands: [&[&str]; 8] = [
        &["eval", "run"],
        &["simulate", "run"],
        &["report", "run"],
        &["export", "run", "--to", "nir"],
        &["export", "run", "--to", "speck"],
        &["finetune", "run", "--epochs", "0"],
        &["asynchrony", "run"],
        &["parity", "run"],
    ];
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        change(&scratch, "run", |w| w.tensors.get_mut("linear1.weight").unwrap().data[5] = value);
        for command in commands {
            let words = ["run/weights.safetensors", "layer `linear1`", "value 5", &value.to_string()];
            scratch.refused_with(command, &words);
        }
    }
    for value in [f32::NAN, f32::INFINITY, -1.0] {
        change(&scratch, "norm", |w| w.tensors.get_mut("norm1.running_var").unwrap().data[0] = value);
        for command in ["eval", "calibrate", "finetune", "report"] {
            scratch.refused_with(&[command, "norm"], &["norm/weights.safetensors", "`norm1.running_var`"]);
        }
    }
}

#[test]
fn results_that_are_not_finite_are_refused_each_time_and_kept_never() {
    let scratch = Scratch::trained();
    scratch.ok(&["eval", "run"]);
    let kept = scratch.read("run/eval.json");
    change(&scratch, "run", |w| {
        // Now many neurons fire, and two of their spikes overflow f32.
        w.tensors.get_mut("conv2.weight").unwrap().data.iter_mut().for_each(|v| *v *= 50.0);
        w.tensors.get_mut("linear1.weight").unwrap().data.fill(3e38);
    });
    for _ in 0..2 {
        scratch.refused_with(&["eval", "run"], &["logit at T = ", "not a finite number"]);
        assert_eq!(scratch.read("run/eval.json"), kept, "the file is as it was");
    }
    for args in [&["simulate", "run"][..], &["asynchrony", "run", "--limit", "2"], &["export", "run", "--to", "nir"]] {
        let ran = scratch.run(args);
        assert!(matches!(ran.code, Some(0 | 2)) && !ran.stderr.contains("panicked"), "{ran:#?}");
    }
    std::fs::remove_file(scratch.at("run/eval.json")).unwrap();
    scratch.refused_with(&["eval", "run"], &["not a finite number"]);
    assert!(!scratch.at("run/eval.json").exists());
    scratch.ok(&["report", "run"]);
}

#[test]
fn an_evaluation_with_holes_for_numbers_is_named_and_made_again() {
    let scratch = Scratch::trained();
    scratch.ok(&["eval", "run"]);
    let text = scratch.text("run/eval.json");
    let (before, after) = text.split_once("\"loss\": ").unwrap();
    let holed = format!("{before}\"loss\": null{}", &after[after.find(',').unwrap()..]);
    scratch.write("run/eval.json", &holed);
    let ran = scratch.ok(&["report", "run"]);
    assert!(ran.stderr.contains("run/eval.json") && ran.stderr.contains("tickless eval run"), "{ran:#?}");
    scratch.ok(&["eval", "run"]);
    assert_eq!(scratch.text("run/eval.json"), text);
    assert!(!scratch.ok(&["report", "run"]).stderr.contains("eval.json"));
}

#[test]
fn a_stored_result_that_was_changed_is_left_out_with_one_warning_and_measured_again() {
    let scratch = Scratch::trained();
    scratch.ok(&["eval", "run", "--steps", "1,4"]);
    scratch.ok(&["simulate", "run"]);
    for (name, command, changes) in [
        (
            "run/eval.json",
            "tickless eval run",
            &[("\"loss\": ", "\"loss\": 1"), ("\"loss\"", "\"lost\""), ("\"activity\"", "\"activities\"")][..],
        ),
        (
            "run/simulate.json",
            "tickless simulate run",
            &[("\"seconds\": ", "\"seconds\": 1"), ("\"silent\"", "\"quiet\"")],
        ),
    ] {
        let text = scratch.text(name);
        for (from, to) in changes {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            scratch.write(name, &changed);
            let ran = scratch.ok(&["report", "run"]);
            let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.contains(name)).collect();
            let [warning] = warnings[..] else { panic!("{name}, {from}: {ran:#?}") };
            assert!(warning.contains("checksum") && warning.contains(command), "{warning}");
        }
        // Without a checksum, as an earlier version wrote the file, the value is accepted.
        scratch.write(name, &text);
        let value = scratch.result(name);
        scratch.write(name, value.to_string());
        let ran = scratch.ok(&["report", "run"]);
        assert!(ran.stderr.contains("has no checksum") && ran.stderr.contains(command), "{ran:#?}");
        // The command that the warning names measures the result again.
        scratch.write(name, text.replacen(changes[0].0, changes[0].1, 1));
        scratch.ok(&command.split(' ').skip(1).collect::<Vec<_>>());
        assert!(!scratch.ok(&["report", "run"]).stderr.contains(name));
    }
}

#[test]
fn no_file_of_a_run_gets_a_value_that_it_cannot_hold() {
    let scratch = Scratch::new();
    let folder = RunFolder::at(scratch.path());
    for value in [f64::NAN, f64::INFINITY] {
        let e = folder.write_json("some.json", &vec![1.0, value]).unwrap_err().to_string();
        assert!(e.contains("some.json") && e.contains("not a number"), "{e}");
        assert!(!scratch.at("some.json").exists());
    }
    folder.write_json("some.json", &vec![0.1, f64::MIN_POSITIVE]).unwrap();
}
