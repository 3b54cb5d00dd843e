//! A training that continues under changed conditions says so.

use super::{signal, wait, wait_for};
use tickless::events::Event;
use tickless::events::formats::nmnist_bin;
use tickless_testing::command::{Ran, Scratch};
use tickless_testing::recipes::RECIPE;

const LONG: &str = "epochs = 300";

/// Starts a training in `run` and stops it.
fn begun(scratch: &Scratch, args: &[&str]) {
    let child = scratch.spawn(args);
    wait_for(scratch, "run/metrics.jsonl");
    signal(&child, "INT");
    let ran = wait(child);
    assert_eq!(ran.code, Some(130), "{ran:#?}");
}

fn with(scratch: &Scratch, args: &[&str], variable: (&str, &str)) -> Ran {
    let out = scratch.command(args).env(variable.0, variable.1).output().expect("the program starts");
    Ran::of(args, out)
}

#[test]
fn other_kernels_precision_instructions_or_workers_are_refused_unless_allowed() {
    let scratch = Scratch::new();
    scratch.write("long.toml", RECIPE.replace("epochs = 1", LONG));
    let args = ["train", "long.toml", "--output", "run"];
    begun(&scratch, &args);
    let resume = [&args[..], &["--resume"]].concat();
    let before = scratch.read("run/checkpoint.safetensors");
    for (variable, differs) in [
        (("TICKLESS_PRECISION", "bf16"), "precision: f32 then, bf16 now"),
        (("TICKLESS_KERNEL", "plain"), "kernels: auto then, plain now"),
        (("TICKLESS_SIMD", "portable"), "instructions: "),
    ] {
        let portable = tickless_kernels::cpu::simd::Isa::available().len() == 1;
        if variable.0 == "TICKLESS_SIMD" && portable {
            continue;
        }
        let ran = with(&scratch, &resume, variable);
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(2), 1), "refused before anything slow: {ran:#?}");
        for word in ["error: run: ", "other conditions", differs, "--allow-changed"] {
            assert!(ran.stderr.contains(word), "no `{word}` in {ran:#?}");
        }
    }
    // Two workers with half the batch each have the same recipe.
    let two = [&resume[..], &["--workers", "2", "--set", "train.batch=5"]].concat();
    let ran = scratch.run(&two);
    let error = ran.stderr.lines().last().unwrap_or_default();
    assert!(ran.code == Some(2) && error.starts_with("error: run: "), "{ran:#?}");
    assert!(error.contains("workers: 1 then, 2 now") && error.contains("--allow-changed"), "{error}");
    assert!(scratch.read("run/checkpoint.safetensors") == before, "nothing was written");
    // The number of threads and unrelated variables are not conditions.
    let child = scratch.command(&resume).env("X", "1").arg("--threads").arg("1").spawn().expect("starts");
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(&child, "INT");
    assert_eq!(wait(child).code, Some(130));
    // With `--allow-changed` it continues, warns, and the run records the change.
    let short = ["train", "long.toml", "--output", "run", "--resume", "--allow-changed"];
    let child = scratch.command(&short).env("TICKLESS_KERNEL", "plain").stderr(std::process::Stdio::piped()).spawn();
    let child = child.expect("starts");
    let started = std::time::Instant::now();
    while !scratch.text("run/run.json").contains("changed") {
        assert!(started.elapsed() < tickless_testing::hang::HUNG_AFTER, "it never began");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    signal(&child, "INT");
    let ran = wait(child);
    assert_eq!(ran.code, Some(130), "{ran:#?}");
    assert!(ran.stderr.contains("warning: goes on under other conditions: kernels: auto then, plain now"), "{ran:#?}");
    assert_eq!(scratch.json("run/run.json")["changed"][0], "kernels: auto then, plain now");
    // From then on the run has the new conditions.
    scratch.refused_with(&resume, &["kernels: plain then, auto now"]);
}

/// A recording of a hundred events, `step` µs apart.
fn recording(step: u64) -> Vec<u8> {
    let event = |k: u16| Event { t_us: u64::from(k) * step, x: k % 34, y: (k * 7) % 34, on: k.is_multiple_of(2) };
    nmnist_bin::encode((0..100).map(event)).expect("the events fit the format")
}

/// A recipe of many epochs and its recordings in `data`.
fn with_recordings() -> Scratch {
    let scratch = Scratch::new();
    for (part, n) in [("Train", 4), ("Test", 1)] {
        for digit in 0..10 {
            for id in 0..n {
                scratch.write(&format!("data/{part}/{digit}/{:05}.bin", 10 * digit + id), recording(3000));
            }
        }
    }
    scratch.write("long.toml", RECIPE.replace("\"digits-dvs\"", "\"nmnist\"").replace("epochs = 1", LONG));
    scratch
}

/// Resumes the training in `run`, stops it after its next epoch, and returns its messages.
fn goes_on(scratch: &Scratch, args: &[&str]) -> String {
    let epochs = || scratch.text("run/metrics.jsonl").lines().count();
    let before = epochs();
    let child = scratch.command(args).stderr(std::process::Stdio::piped()).spawn().expect("starts");
    let started = std::time::Instant::now();
    while epochs() <= before {
        assert!(started.elapsed() < tickless_testing::hang::HUNG_AFTER, "it never trained an epoch");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    signal(&child, "INT");
    let ran = wait(child);
    assert_eq!(ran.code, Some(130), "{ran:#?}");
    ran.stderr
}

#[test]
fn recordings_that_were_copied_touched_or_moved_are_the_same() {
    let scratch = with_recordings();
    begun(&scratch, &["train", "long.toml", "--data", "data", "--output", "run"]);
    let resume = |data| ["train", "long.toml", "--data", data, "--output", "run", "--resume"];
    // Other times of change, as after an archive was unpacked again.
    scratch.write("data/Train/3/00031.bin", recording(3000));
    let said = goes_on(&scratch, &resume("data"));
    assert!(!said.contains("other conditions"), "{said}");
    // Another folder with the same content.
    std::fs::rename(scratch.at("data"), scratch.at("moved")).unwrap();
    let said = goes_on(&scratch, &resume("moved"));
    assert!(!said.contains("other conditions"), "{said}");
    let recipe = scratch.text("run/recipe.toml");
    assert!(recipe.lines().any(|l| l.starts_with("path = ") && l.contains("moved")), "{recipe}");
    // The same number of bytes with one other byte, at the same time.
    let file = scratch.at("moved/Test/3/00030.bin");
    let time = std::fs::metadata(&file).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[250] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    let words = ["run: ", "test part of the data set: names and sizes of the files are the same, but not their bytes"];
    scratch.refused_with(&resume("moved"), &words);
    scratch.refused_with(&resume("gone"), &["gone", "not found"]);
}

#[test]
fn recordings_that_were_replaced_or_deleted_are_refused_unless_allowed() {
    let scratch = with_recordings();
    let args = ["train", "long.toml", "--data", "data", "--output", "run"];
    begun(&scratch, &args);
    let resume = [&args[..], &["--resume"]].concat();
    let words = ["run: ", "training part of the data set", "then", "now", "--allow-changed"];
    // A recording with the same name and size but other events.
    scratch.write("data/Train/3/00031.bin", recording(2999));
    let line = scratch.refused_with(&resume, &words);
    assert!(line.contains("not their bytes"), "{line}");
    std::fs::remove_file(scratch.at("data/Train/3/00031.bin")).unwrap();
    let line = scratch.refused_with(&resume, &words);
    assert!(line.contains("40 files of 20000 bytes in all then, 39 files of 19500 bytes in all now"), "{line}");
}
