//! Files whose content is not what was written.

use super::random;
use std::collections::HashMap;
use tickless::net::{Array, WeightFile, Weights};
use tickless::train::run::checkpoint::Checkpoint;
use tickless_testing::command::Scratch;
use tickless_testing::recipes::RECIPE;

/// A modification of a checkpoint.
type Change<'a> = &'a dyn Fn(&mut Checkpoint);

/// Number of bits that are flipped in each file, one at a time.
const FLIPS: usize = 200;

fn flipped(bytes: &[u8], bit: u64) -> Vec<u8> {
    let mut all = bytes.to_vec();
    all[(bit / 8) as usize] ^= 1 << (bit % 8);
    all
}

/// A training of several epochs that was stopped after the first.
fn stopped() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("long.toml", RECIPE.replace("epochs = 1", "epochs = 400"));
    let child = scratch.spawn(&["train", "long.toml", "--output", "run"]);
    super::wait_for(&scratch, "run/metrics.jsonl");
    super::signal(&child, "INT");
    assert_eq!(super::wait(child).code, Some(130));
    scratch
}

const RESUME: [&str; 5] = ["train", "long.toml", "--output", "run", "--resume"];

#[test]
fn flipped_bits_of_checkpoints_and_weights_are_noticed_or_without_effect() {
    let scratch = Scratch::trained();
    let checkpoint = scratch.read("run/checkpoint.safetensors");
    let whole = Checkpoint::from_bytes(&checkpoint, "c".as_ref()).expect("whole");
    for bit in random(1, 8 * checkpoint.len() as u64).take(FLIPS) {
        if let Ok(read) = Checkpoint::from_bytes(&flipped(&checkpoint, bit), "c".as_ref()) {
            assert!(read == whole, "bit {bit} of the checkpoint gives another one");
        }
    }
    let weights = scratch.read("run/weights.safetensors");
    let whole = Weights::from_bytes(&weights, "w".as_ref()).expect("whole");
    for bit in random(2, 8 * weights.len() as u64).take(FLIPS) {
        if let Ok(read) = Weights::from_bytes(&flipped(&weights, bit), "w".as_ref()) {
            assert!(read == whole, "bit {bit} of the weights gives others");
        }
    }
    // For the user: the error names the file, and its remedy works.
    let middle = 4 * weights.len() as u64;
    scratch.write("run/weights.safetensors", flipped(&weights, middle));
    for command in ["eval", "simulate", "report", "calibrate"] {
        scratch.refused_with(&[command, "run"], &["run/weights.safetensors", "checksum", "delete it", "--resume"]);
    }
    std::fs::remove_file(scratch.at("run/weights.safetensors")).unwrap();
    scratch.write("run/checkpoint.safetensors", flipped(&checkpoint, 4 * checkpoint.len() as u64));
    let resume = ["train", "small.toml", "--output", "run", "--resume"];
    scratch.refused_with(&resume, &["run/checkpoint.safetensors", "checksum", "delete it"]);
    std::fs::remove_file(scratch.at("run/checkpoint.safetensors")).unwrap();
    scratch.ok(&resume);
    assert!(scratch.read("run/weights.safetensors") == weights);
}

#[test]
fn a_checkpoint_that_is_not_of_this_training_is_refused_though_its_checksum_is_right() {
    let scratch = stopped();
    let file = scratch.at("run/checkpoint.safetensors");
    let whole = Checkpoint::read(&file).expect("a checkpoint");
    let first = |c: &Checkpoint| c.optimiser.tensors.keys().next().expect("state").clone();
    let changes: [(&str, Change); 13] = [
        ("missing", &|c| drop(c.optimiser.tensors.remove(&first(c)))),
        ("missing", &|c| c.optimiser.tensors.clear()),
        ("shape", &|c| drop(c.optimiser.tensors.insert(first(c), Array::full(&[1], 0.0)))),
        ("tensors of state", &|c| c.optimiser.insert("first.nothing", Array::full(&[1], 0.0))),
        ("linear1.weight", &|c| c.weights.insert("linear1.weight", Array::full(&[10, 3], 0.5))),
        ("linear1.weight", &|c| drop(c.weights.tensors.remove("linear1.weight"))),
        ("epoch", &|c| c.position.epoch = 401),
        ("batch", &|c| c.position.batch = 11),
        ("iteration", &|c| c.position.iteration += 1),
        ("steps of the optimiser", &|c| c.optimiser_steps = u64::MAX),
        ("history", &|c| c.position.history.clear()),
        ("best epoch", &|c| c.best = Some(c.weights.clone())),
        ("number", &|c| c.position.correct = c.position.predictions + 1),
    ];
    for (word, change) in changes {
        let mut other = whole.clone();
        change(&mut other);
        other.write(&file).expect("a file");
        let ran = scratch.run(&RESUME);
        let error = ran.stderr.lines().last().unwrap_or_default();
        assert!(ran.code == Some(2) && error.starts_with("error: run/checkpoint.safetensors: "), "{ran:#?}");
        assert!(error.contains(word) && error.contains("delete it"), "no `{word}` in {error}");
    }
    // Values that are not finite are neither written nor read.
    let mut other = whole.clone();
    other.optimiser.tensors.get_mut(&first(&whole)).unwrap().data[0] = f32::NAN;
    assert!(other.write(&file).unwrap_err().to_string().contains("value 0"));
    whole.write(&file).expect("a file");
    let WeightFile { mut weights, metadata, .. } = WeightFile::load(&file).expect("a checkpoint");
    weights.tensors.get_mut("now.linear1.weight").unwrap().data[0] = f32::NAN;
    std::fs::write(&file, weights.to_bytes(Some(metadata.into_iter().collect())).unwrap()).unwrap();
    scratch.refused_with(&RESUME, &["run/checkpoint.safetensors", "NaN", "delete it"]);
}

#[test]
fn a_step_that_overflows_the_optimisers_memory_is_noticed() {
    let scratch = stopped();
    let file = scratch.at("run/checkpoint.safetensors");
    let mut large = Checkpoint::read(&file).expect("a checkpoint");
    // The gradients of earlier layers become as large, and their squares overflow f32; the weights
    // stay finite.
    large.weights.tensors.get_mut("linear1.weight").unwrap().data.iter_mut().for_each(|v| *v *= 1e24);
    large.write(&file).expect("a file");
    let ran = scratch.run(&RESUME);
    let error = ran.stderr.lines().last().unwrap_or_default();
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(error.contains("the optimiser's second.") && error.contains("at iteration "), "{error}");
    Checkpoint::read(&file).unwrap().optimiser.check_values("kept".as_ref()).expect("the kept one is finite");
}

#[test]
fn facts_of_a_run_that_cannot_be_are_refused_with_their_file() {
    let scratch = Scratch::trained();
    let whole = scratch.text("run/run.json");
    for (from, to, word) in [
        ("\"format\": 1", "\"format\": 99", "`format` is 99"),
        ("\"t_max\": 4", "\"t_max\": 0", "`t_max` is 0"),
        ("\"t_max\": 4", "\"t_max\": 1000000000000", "`t_max` is 1000000000000"),
        ("\"t_max\": 4", "\"t_max\": 5", "recipe.toml has 4"),
        ("\"t_max\": 4", "\"t_max\": -4", "damaged"),
        ("\"seed\": 1", "\"seed\": 2", "`seed`"),
        ("\"workers\": 1", "\"workers\": 0", "`workers`"),
        ("\"train_seconds\": ", "\"train_seconds\": -", "`train_seconds`"),
        ("\"step_us\": ", "\"step_us\": -", "`step_us`"),
        ("    40\n", "    41\n", "test samples"),
    ] {
        assert!(whole.contains(from), "{from} in {whole}");
        scratch.write("run/run.json", whole.replacen(from, to, 1));
        for command in ["eval", "report", "simulate"] {
            scratch.refused_with(&[command, "run"], &["run/run.json", word]);
        }
        if word.contains("format") {
            scratch.refused_with(&["train", "small.toml", "--output", "run", "--resume"], &["run/run.json", word]);
        }
    }
    scratch.write("run/run.json", &whole);
    scratch.ok(&["eval", "run"]);
}

#[test]
fn metrics_that_cannot_be_are_refused_with_their_line() {
    let scratch = Scratch::trained();
    let whole = scratch.text("run/metrics.jsonl");
    let (before, after) = whole.split_once("\"train_accuracy\":").unwrap();
    let changed = format!("{before}\"train_accuracy\":250.0{}", &after[after.find(',').unwrap()..]);
    scratch.write("run/metrics.jsonl", changed);
    scratch.refused_with(&["report", "run"], &["run/metrics.jsonl", "line 1"]);
}

#[test]
fn weights_without_a_checksum_are_read_with_a_warning() {
    let scratch = Scratch::trained();
    let with = scratch.ok(&["eval", "run"]);
    assert!(!with.stderr.contains("checksum"), "{with:#?}");
    let bytes = scratch.read("run/weights.safetensors");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let at = text.find("\"checksum\"").expect("in the header");
    // Replaces the name of the entry by another of the same length, as if another program had
    // written the file.
    let mut without = bytes.clone();
    without[at + 1..at + 9].copy_from_slice(b"comments");
    assert!(!WeightFile::from_bytes(&without, "w".as_ref()).unwrap().has_checksum);
    scratch.write("run/weights.safetensors", without);
    for command in ["eval", "simulate", "report"] {
        let ran = scratch.ok(&[command, "run"]);
        let warnings: Vec<&str> = ran.stderr.lines().filter(|l| l.contains("has no checksum")).collect();
        assert!(warnings.len() == 1 && warnings[0].starts_with("warning: run/weights.safetensors"), "{ran:#?}");
    }
}

#[test]
fn a_checkpoint_of_an_earlier_version_goes_on_only_when_asked() {
    let scratch = stopped();
    let file = scratch.at("run/checkpoint.safetensors");
    let now = WeightFile::load(&file).expect("a checkpoint");
    let mut texts: HashMap<String, String> = now.metadata.into_iter().collect();
    texts.insert("version".into(), "1".into());
    texts.retain(|key, _| key != "conditions" && key != "changed");
    std::fs::write(&file, now.weights.to_bytes(Some(texts)).unwrap()).unwrap();
    scratch.refused_with(&RESUME, &["run: ", "earlier version", "--allow-changed"]);
}
