//! Training shared by several workers or processes, started as a user starts it.

use std::path::Path;
use tickless::net::Weights;
use tickless_testing::command::{Ran, Scratch, number};
use tickless_testing::recipes::RECIPE;

/// A recipe of five iterations of SGD with a batch of 20 and norms.
fn five() -> Scratch {
    let scratch = Scratch::new();
    let recipe = RECIPE
        .replace("name = \"demo\"", "name = \"demo\"\nnorm = true")
        .replace("batch = 10", "batch = 20\noptimiser = \"sgd\"\nlearning_rate = 0.05");
    scratch.write("five.toml", recipe);
    scratch
}

/// The largest difference of two values in any tensor, relative to the tensor's largest value.
fn difference(a: &Path, b: &Path) -> f32 {
    let load = |p: &Path| Weights::load(&p.join("weights.safetensors")).expect("weights");
    let (a, b) = (load(a), load(b));
    assert!(!a.tensors.is_empty() && a.tensors.keys().eq(b.tensors.keys()));
    let each = a.tensors.iter().map(|(name, x)| {
        let largest = x.data.iter().fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
        x.data.iter().zip(&b.tensors[name].data).fold(0.0f32, |m, (x, y)| m.max((x - y).abs())) / largest
    });
    each.fold(0.0, f32::max)
}

#[test]
fn two_workers_make_the_run_of_one_with_the_doubled_batch() {
    let scratch = five();
    scratch.ok(&["train", "five.toml", "--output", "one"]);
    let two = ["train", "five.toml", "--workers", "2", "--set", "train.batch=10", "--output", "two"];
    let ran = scratch.ok(&two);
    assert!(ran.stderr.contains("2 workers of 10 samples each: batches of 20"), "{ran:#?}");
    assert_eq!(scratch.text("one/recipe.toml"), scratch.text("two/recipe.toml"));
    assert_eq!(number(&scratch.json("one/run.json"), "workers"), 1.0);
    assert_eq!(number(&scratch.json("two/run.json"), "workers"), 2.0);
    assert_eq!(number(&scratch.json("two/run.json"), "iterations"), 5.0);
    let d = difference(&scratch.at("one"), &scratch.at("two"));
    assert!(d < 1e-5, "weights differ by {d:e} of the largest");
    let again = scratch.ok(&[&two[..], &["--resume"]].concat());
    assert!(again.stderr.contains("has finished already"), "{again:#?}");
}

#[test]
fn numbers_of_workers_that_cannot_be_are_refused_before_anything_is_written() {
    let scratch = five();
    let train = |workers: &str, words: &[&str]| {
        scratch.refused_with(&["train", "five.toml", "--workers", workers, "--output", "run"], words);
        assert!(!scratch.at("run").exists());
    };
    train("0", &["`--workers` = 0"]);
    train("100000", &["`--workers` = 100000"]);
}

#[test]
fn lists_of_devices_that_cannot_be_are_refused_before_anything_is_written() {
    let scratch = five();
    let train = |devices: &str, more: &[&str], words: &[&str]| {
        let args = [&["train", "five.toml", "--device", devices, "--output", "run"], more].concat();
        scratch.refused_with(&args, words);
        assert!(!scratch.at("run").exists());
    };
    train("cuda:0,cuda:0", &[], &["`cuda:0` stands there twice"]);
    train("cuda:0,cuda:1", &["--workers", "3"], &["for 3 workers", "one device for each"]);
    train("cuda:0,wgpu:0", &[], &["devices of one kind"]);
    train("cuda:a", &[], &["device `cuda:a`", "cuda:0"]);
    train("cpu:1", &[], &["the CPU is one device", "--threads"]);
    #[cfg(not(feature = "cuda"))]
    train("cuda", &["--workers", "2"], &["device `cuda:0` is not in this build", "--features cuda"]);
    scratch.refused_with(&["eval", "run", "--device", "cuda:0,cuda:1"], &[]);
}

/// Runs a command with the environment that `mpirun -n 2` sets.
fn as_one_of_two(scratch: &Scratch, args: &[&str]) -> Ran {
    Ran::of(args, scratch.command(args).env("OMPI_COMM_WORLD_SIZE", "2").output().expect("the program starts"))
}

#[test]
#[cfg(not(feature = "mpi"))]
fn a_build_without_mpi_that_mpirun_starts_says_so_and_writes_nothing() {
    let scratch = five();
    let ran = as_one_of_two(&scratch, &["train", "five.toml", "--output", "run"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.starts_with("error: started as 2 processes"), "{ran:#?}");
    assert!(ran.stderr.contains("--features mpi") && ran.stderr.lines().count() == 1, "{ran:#?}");
    assert!(!scratch.at("run").exists());
}

#[test]
fn a_command_that_shares_no_work_is_not_started_several_times() {
    let scratch = five();
    let ran = as_one_of_two(&scratch, &["demo", "--output", "run"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.starts_with("error: started as 2 processes: only `tickless train`"), "{ran:#?}");
    assert!(!scratch.at("run").exists());
}
