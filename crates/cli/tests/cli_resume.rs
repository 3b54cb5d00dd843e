//! Resuming: whatever stops a run, `--resume` ends with the same bits as a run that was never
//! stopped.
#![cfg(unix)]

use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};
use tickless_testing::command::{Ran, Scratch};
use tickless_testing::recipes::RECIPE;

/// Number of runs that are killed at random moments.
const KILLS: usize = 20;

/// A recipe of several short epochs that uses all state that a checkpoint must restore: optimiser
/// state, schedule, the best epoch so far, norms, augmentation.
fn long() -> Scratch {
    let scratch = Scratch::new();
    let recipe = RECIPE
        .replace("epochs = 1", "epochs = 8\nselect = \"best\"\nwarmup_epochs = 1.5")
        .replace("train_limit = 100", "train_limit = 75\nvalidation = 0.2\naugment = { flip = true, roll = 2 }")
        .replace("name = \"demo\"", "name = \"demo\"\nnorm = true");
    scratch.write("long.toml", recipe);
    scratch
}

fn train<'a>(output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "long.toml", "--threads", "1", "--output", output], more].concat()
}

/// The lines of the metrics without their duration.
fn metrics(scratch: &Scratch, run: &str) -> Vec<String> {
    let line = |l: &str| {
        let (before, after) = l.split_once("\"seconds\":").expect("every line has its seconds");
        let (_, rest) = after.split_once([',', '}']).expect("the line goes on");
        format!("{before}{rest}")
    };
    scratch.text(&format!("{run}/metrics.jsonl")).lines().map(line).collect()
}

/// Asserts that the run has the same results as the one that was never stopped, and no leftover
/// files.
fn assert_same(scratch: &Scratch, run: &str, reference: &str, when: &str) {
    for name in ["weights.safetensors", "recipe.toml"] {
        let same = scratch.read(&format!("{run}/{name}")) == scratch.read(&format!("{reference}/{name}"));
        assert!(same, "{name} differs: {when}");
    }
    assert_eq!(metrics(scratch, run), metrics(scratch, reference), "{when}");
    let left = std::fs::read_dir(scratch.at(run)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|n| n.ends_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?} left: {when}");
}

/// Random numbers from 0 to 1, the same in every execution of the test.
fn random(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    })
}

fn interrupt(child: &Child) {
    signal(child, "INT");
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().expect("a shell");
    assert!(sent.success());
}

fn wait(child: Child, args: &[&str]) -> Ran {
    let out: Output = child.wait_with_output().expect("the program ends");
    Ran::of(args, out)
}

#[test]
fn a_run_killed_at_any_moment_resumes_to_the_same_weights() {
    let scratch = long();
    scratch.ok(&train("warm", &["--epochs", "1"]));
    let begun = Instant::now();
    scratch.ok(&train("whole", &[]));
    let whole = begun.elapsed();
    // Two at a time, so that the scheduler adds randomness of its own.
    let (scratch, killed) = (&scratch, std::sync::atomic::AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for half in 0..2 {
            let killed = &killed;
            scope.spawn(move || {
                let mut random = random(2026 + half as u64);
                for k in (half..KILLS).step_by(2) {
                    let name = format!("killed{k}");
                    let mut more: &[&str] = &[];
                    // Every second run is killed again while it resumes.
                    for _ in 0..1 + k / 2 % 2 {
                        let mut child = scratch.spawn(&train(&name, more));
                        std::thread::sleep(whole.mul_f64(random.next().unwrap()));
                        child.kill().unwrap();
                        let ran = wait(child, more);
                        killed.fetch_add(usize::from(ran.code.is_none()), std::sync::atomic::Ordering::Relaxed);
                        more = &["--resume"];
                    }
                    scratch.ok(&train(&name, more));
                    assert_same(scratch, &name, "whole", &format!("kill {k}"));
                    std::fs::remove_dir_all(scratch.at(&name)).unwrap();
                }
            });
        }
    });
    let killed = killed.into_inner();
    assert!(killed >= KILLS / 2, "only {killed} were still running when they were killed");
}

#[test]
fn half_written_files_of_a_killed_run_are_never_read() {
    let scratch = long();
    scratch.ok(&train("whole", &[]));
    scratch.ok(&train("run", &[]));
    std::fs::remove_file(scratch.at("run/weights.safetensors")).unwrap();
    for name in ["recipe.toml", "run.json", "metrics.jsonl", "checkpoint.safetensors", "weights.safetensors"] {
        scratch.write(&format!("run/{name}.tmp"), "half a file");
    }
    scratch.ok(&train("run", &["--resume"]));
    assert_same(&scratch, "run", "whole", "after junk");
}

#[test]
fn ctrl_c_stops_between_two_steps_and_resumes_within_the_epoch() {
    let scratch = long();
    scratch.ok(&train("whole", &[]));
    let mut more: &[&str] = &[];
    let mut stopped = 0;
    let mut inside = 0;
    for k in 0..100 {
        let args = train("run", more);
        let child = scratch.spawn(&args);
        // Waits until the training has started, then longer each time, so that even a slow machine
        // finishes. The steps are shorter than a training, so that a busy machine does not skip
        // from the start to the end.
        wait_for(&scratch, "run/checkpoint.safetensors");
        std::thread::sleep(Duration::from_millis(20 + 10 * k));
        interrupt(&child);
        let ran = wait(child, &args);
        match ran.code {
            Some(0) => break,
            // The signal came before the program installed its handler and killed it.
            None => continue,
            Some(_) => {}
        }
        assert_eq!(ran.code, Some(130), "{ran:#?}");
        // While recordings are prepared no checkpoint exists, so the message says to give the
        // command again.
        assert!(ran.stderr.contains("--resume") || ran.stderr.contains("same command again"), "{ran:#?}");
        assert!(!ran.stderr.contains("error"), "{ran:#?}");
        if more.is_empty() || ran.stderr.contains("stopped at epoch") {
            stopped += 1;
            let position =
                tickless::train::run::checkpoint::Checkpoint::read(&scratch.at("run/checkpoint.safetensors"));
            inside += usize::from(position.unwrap().position.batch > 0);
        }
        more = &["--resume"];
    }
    scratch.ok(&train("run", &["--resume"]));
    assert!(stopped >= 2 && inside >= 1, "stopped {stopped} times, {inside} times within an epoch");
    assert_same(&scratch, "run", "whole", "Ctrl-C");
}

fn wait_for(scratch: &Scratch, name: &str) {
    let begun = Instant::now();
    while !scratch.at(name).exists() {
        assert!(begun.elapsed() < tickless_testing::hang::HUNG_AFTER, "{name} never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ctrl_c_while_the_data_are_prepared_leaves_nothing_half_done() {
    let scratch = Scratch::new();
    // All 1,297 training recordings are simulated before the first iteration.
    scratch.write("long.toml", RECIPE.replace("train_limit = 100", "train_limit = 0"));
    let args = train("run", &[]);
    let child = scratch.spawn(&args);
    wait_for(&scratch, "run");
    std::thread::sleep(Duration::from_millis(50));
    interrupt(&child);
    let ran = wait(child, &args);
    assert_eq!(ran.code, Some(130), "{ran:#?}");
    assert!(ran.stderr.contains("stopped") && ran.stderr.contains("again"), "{ran:#?}");
    assert!(!scratch.at("run/recipe.toml").exists(), "nothing has begun");
    // The same command starts the run, with or without `--resume`.
    scratch.write("long.toml", RECIPE);
    scratch.ok(&args);
}

#[test]
fn a_folder_has_one_training_at_a_time() {
    let scratch = long();
    let args = train("run", &[]);
    let child = scratch.spawn(&args);
    wait_for(&scratch, "run/checkpoint.safetensors");
    // The first process is paused, so that it cannot end before the second starts.
    signal(&child, "STOP");
    scratch.refused_with(&train("run", &["--resume"]), &["run: another process is training", "--output"]);
    signal(&child, "CONT");
    interrupt(&child);
    wait(child, &args);
    scratch.ok(&train("run", &["--resume"]));
}

#[test]
fn resume_begins_where_nothing_was_begun_and_is_done_where_all_is_done() {
    let scratch = Scratch::small();
    let args = ["train", "small.toml", "--output", "run", "--resume"];
    let first = scratch.ok(&args);
    assert!(first.stderr.contains("no run yet"), "{first:#?}");
    let weights = scratch.read("run/weights.safetensors");
    let again = scratch.ok(&args);
    assert!(again.stderr.contains("finished already"), "{again:#?}");
    assert_eq!(scratch.read("run/weights.safetensors"), weights);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let scratch = Scratch::small();
    for strategy in ["sdt", "mtt"] {
        for model in ["lif", "if"] {
            for norm in ["true", "false"] {
                let settings = [
                    format!("train.strategy={strategy}"),
                    format!("network.neuron.model={model}"),
                    format!("network.norm={norm}"),
                    "data.train_limit=60".to_owned(),
                ];
                let name = format!("{strategy}-{model}-{norm}");
                let mut all = Vec::new();
                for threads in ["1", "2"] {
                    let output = format!("{name}-{threads}");
                    let mut args = vec!["train", "small.toml", "--threads", threads, "--output", &output];
                    args.extend(settings.iter().flat_map(|s| ["--set", s]));
                    scratch.ok(&args);
                    all.push((scratch.read(&format!("{output}/weights.safetensors")), metrics(&scratch, &output)));
                }
                assert!(all[0] == all[1], "{name}: one thread and two give other weights");
            }
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_a_good_checkpoint() {
    let scratch = Scratch::new();
    // With a batch of 100 an epoch has one iteration, so a checkpoint is due after every step.
    for batch in ["10", "100"] {
        let recipe =
            RECIPE.replace("batch = 10", &format!("batch = {batch}\noptimiser = \"sgd\"\nlearning_rate = 1e30"));
        scratch.write("wild.toml", recipe.replace("epochs = 1", "epochs = 30"));
        let args = ["train", "wild.toml", "--output", batch];
        let ran = scratch.run(&args);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        let error = ran.stderr.lines().last().unwrap_or_default();
        assert!(error.starts_with("error: ") && error.contains("at iteration "), "{ran:#?}");
        let checkpoint = scratch.at(&format!("{batch}/checkpoint.safetensors"));
        let checkpoint = tickless::train::run::checkpoint::Checkpoint::read(&checkpoint).unwrap();
        let bad = checkpoint.weights.tensors.iter().find(|(_, a)| a.data.iter().any(|v| !v.is_finite()));
        assert!(bad.is_none(), "{} of the kept checkpoint is not finite", bad.unwrap().0);
        assert!(!scratch.at(&format!("{batch}/weights.safetensors")).exists(), "it has not finished");
        scratch.refused_with(&["eval", batch], &["no weights yet"]);
    }
}

#[test]
fn a_last_step_into_the_infinite_is_no_success() {
    let scratch = Scratch::new();
    let recipe = RECIPE.replace("batch = 10", "batch = 100\noptimiser = \"sgd\"\nlearning_rate = 1e300");
    scratch.write("wild.toml", recipe);
    let ran = scratch.run(&["train", "wild.toml", "--output", "run"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains("at iteration 1"), "{ran:#?}");
    assert!(!scratch.at("run/weights.safetensors").exists());
}

#[test]
fn another_recipe_is_not_resumed() {
    let scratch = Scratch::trained();
    std::fs::remove_file(scratch.at("run/weights.safetensors")).unwrap();
    let before = scratch.read("run/checkpoint.safetensors");
    for (change, key) in [
        ("--epochs=2", "`train.epochs`: 1 then, 2 now"),
        ("--set=seed=2", "`seed`: 1 then, 2 now"),
        ("--set=train.learning_rate=1e-3", "`train.learning_rate`: "),
    ] {
        let args = ["train", "small.toml", "--output", "run", "--resume", change];
        scratch.refused_with(&args, &["run: ", "another recipe", key, "--output"]);
    }
    assert_eq!(scratch.read("run/checkpoint.safetensors"), before);
    scratch.ok(&["train", "small.toml", "--output", "run", "--resume"]);
}

#[test]
fn a_silent_layer_is_reported() {
    let scratch = Scratch::small();
    let args = ["train", "small.toml", "--set", "network.neuron.threshold=1000", "--output", "run"];
    let ran = scratch.ok(&args);
    let warnings: Vec<&str> = ran.stderr.lines().filter(|l| l.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 2, "{ran:#?}");
    for (layer, line) in ["neuron1", "neuron2"].iter().zip(warnings) {
        assert!(line.contains(layer) && line.contains("did not fire") && line.contains("threshold"), "{line}");
    }
    assert!(scratch.ok(&["eval", "run"]).stdout.contains("SILENT"));
    assert!(scratch.ok(&["simulate", "run"]).stdout.contains("warning: layer `neuron1` never fired"));
    // A page made of stored results reports it too.
    scratch.ok(&["report", "run"]);
    assert!(scratch.text("run/report/report.html").contains("never fired"));
}

#[test]
fn a_fine_tuning_resumes_too() {
    let scratch = Scratch::new();
    scratch.write("base.toml", tickless_testing::recipes::RESIDUAL);
    scratch.ok(&["train", "base.toml", "--output", "base"]);
    for more in [&[][..], &["--keep-norm"]] {
        let tune = |output| [&["finetune", "base", "--epochs", "2", "--output", output][..], more].concat();
        scratch.ok(&tune("whole"));
        let args = tune("tuned");
        let child = scratch.spawn(&args);
        wait_for(&scratch, "tuned/checkpoint.safetensors");
        interrupt(&child);
        let ran = wait(child, &args);
        assert_eq!(ran.code, Some(130), "{ran:#?}");
        assert!(ran.stderr.contains("--resume"), "{ran:#?}");
        let resume = [&args[..], &["--resume"]].concat();
        scratch.ok(&resume);
        assert_same(&scratch, "tuned", "whole", "fine-tuning");
        // If the run was killed when only its recipe was written, it starts from the base's
        // weights, not from random ones.
        std::fs::remove_dir_all(scratch.at("tuned")).unwrap();
        let child = scratch.spawn(&args);
        wait_for(&scratch, "tuned/recipe.toml");
        let mut child = child;
        child.kill().unwrap();
        child.wait().unwrap();
        for name in ["checkpoint.safetensors", "initial.safetensors", "run.json"] {
            let _ = std::fs::remove_file(scratch.at("tuned").join(name));
        }
        scratch.ok(&resume);
        assert_same(&scratch, "tuned", "whole", "fine-tuning from its recipe alone");
        let again = scratch.ok(&resume);
        assert!(again.stderr.contains("finished already"), "{again:#?}");
        assert_same(&scratch, "tuned", "whole", "fine-tuning resumed when done");
        for name in ["whole", "tuned"] {
            std::fs::remove_dir_all(scratch.at(name)).unwrap();
        }
    }
}
