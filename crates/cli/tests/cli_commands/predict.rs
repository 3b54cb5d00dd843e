//! `tickless predict`: a file gets the answer that the evaluation gives its sample, and a stream is
//! answered while it comes.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::atomic::AtomicBool;
use tickless::engine::{CompileOptions, Confidence, Program};
use tickless::events::formats::encode;
use tickless::events::{Columns, Event, Recording, Sample, Sensor};
use tickless::net::{Exit, LeakRule, Rule};
use tickless::train::device::device;
use tickless::train::evaluate::{Setting, over_time};
use tickless::train::model::readout::time_mean;
use tickless::train::model::{NormMode, Pass};
use tickless::train::progress::Silent;
use tickless::train::run::{Loaded, RunFolder};
use tickless_testing::command::{Scratch, number};

fn loaded(scratch: &Scratch) -> Loaded {
    RunFolder::open(&scratch.at("run")).unwrap().load().unwrap()
}

/// A run that has learnt enough to fire and to differ from class to class.
fn trained() -> Scratch {
    let scratch = Scratch::small();
    scratch.ok(&["train", "small.toml", "--epochs", "8", "--output", "run"]);
    scratch
}

/// The lines of JSON that the command prints.
fn lines(scratch: &Scratch, args: &[&str]) -> Vec<Value> {
    let ran = scratch.ok(&[args, &["--json"]].concat());
    ran.stdout.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

fn scores(line: &Value) -> Vec<f32> {
    line["scores"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

/// Writes each test recording into a file, in several formats, and returns their names.
fn files(scratch: &Scratch, run: &Loaded) -> Vec<String> {
    let write = |(k, id): (usize, &_)| {
        let recording = run.source.recording(*id).unwrap();
        let (format, extension) = [("evt3", "raw"), ("nmnist-bin", "bin"), ("npy", "npy"), ("es", "es")][k % 4];
        let bytes = encode(format, recording.columns(), Some(recording.sensor())).unwrap();
        let name = format!("{k}.{extension}");
        scratch.write(&name, bytes);
        name
    };
    run.parts.test.iter().enumerate().map(write).collect()
}

#[test]
fn every_test_file_gets_the_answer_of_eval_and_of_simulate() {
    let scratch = Scratch::small();
    scratch.ok(&["train", "small.toml", "--epochs", "8", "--output", "run", "--set", "data.validation=0.2"]);
    let run = loaded(&scratch);
    let files = files(&scratch, &run);
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let predict = |more: &[&str]| lines(&scratch, &[&["predict", "run"], &names[..], more].concat());
    let accuracy = |all: &[Value]| {
        let right = |(line, id): (&Value, &_)| line["label"] == run.source.label(*id);
        100.0 * all.iter().zip(&run.parts.test).filter(|l| right(*l)).count() as f64 / all.len() as f64
    };
    let model = run.model(&device("cpu").unwrap()).unwrap();

    // Clocked at 3 steps: the bits of a pass over the sample, and the accuracy of `eval`.
    let clocked = predict(&["--steps", "3", "--leak", "time"]);
    let stages = vec![3; run.network.stages()];
    for (line, id) in clocked.iter().zip(&run.parts.test) {
        let input = run.source.batch(&[*id], 3, None).unwrap().into_sequence(model.device()).0;
        let pass = Pass {
            configuration: &stages,
            norm: NormMode::Running,
            leak: LeakRule::Time,
            t_max: run.facts.t_max,
            step_us: run.facts.step_us,
        };
        let mut rng = tickless::train::seed::rng(0, "evaluation", 0);
        let logits = model.forward(&model.constants(), input, &pass, &mut rng, None).unwrap().logits;
        assert_eq!(scores(line), time_mean(logits), "{line}");
        assert_eq!((&line["steps"], &line["calibrated"]), (&serde_json::json!([3]), &true.into()));
    }
    let evaluated = scratch.ok_json(&["eval", "run", "--steps", "3", "--leak", "time"]);
    assert_eq!(accuracy(&clocked), number(&evaluated, "points/0/accuracy"));

    // With an exit: the step and the class of the full run cut there.
    let (t_max, step_us) = (run.facts.t_max, run.facts.step_us);
    let setting = Setting { source: &run.source, ids: &run.parts.test, t_max, step_us, batch: 1 };
    let all = over_time(&model, &setting, 4, LeakRule::Step, &Silent).unwrap();
    let exit_at = |alpha: &'static str| ["--steps", "4", "--leak", "step", "--exit", "margin", "--alpha", alpha];
    let evaluated = scratch.ok_json(&[&["eval", "run"][..], &exit_at("0")].concat());
    let gain = number(&evaluated, "gain");
    // The median of the margins after one step, so that some stop there and others do not.
    let margin = Exit { rule: Rule::Margin, alpha: 0.0, gain };
    let mut margins: Vec<f64> = (0..names.len()).map(|k| margin.quantity(all.mean(k, 0), 1.0)).collect();
    margins.sort_by(f64::total_cmp);
    let alpha: &'static str = format!("{:.3}", margins[margins.len() / 2]).leak();
    let exit = Exit { alpha: alpha.parse().unwrap(), ..margin };
    let exits = predict(&exit_at(alpha));
    let evaluated = scratch.ok_json(&[&["eval", "run"][..], &exit_at(alpha)].concat());
    for (k, line) in exits.iter().enumerate() {
        let (step, class) = all.exit_of(k, &exit);
        assert_eq!((&line["steps"][0], &line["label"]), (&(step + 1).into(), &class.into()), "{line}");
        assert_eq!(scores(line), all.mean(k, step));
    }
    assert!(exits.iter().any(|l| l["steps"][0] != 1) && exits.iter().any(|l| l["steps"][0] == 1), "{alpha}");
    assert_eq!(accuracy(&exits), number(&evaluated, "rows/0/accuracy"));

    // Event by event: the bits of the engine, and the accuracy of `simulate`.
    let events = predict(&["--event-driven"]);
    let options = CompileOptions { step_us: run.facts.step_us, ..CompileOptions::default() };
    let program = Program::compile(&run.network, &run.weights, &options).unwrap();
    let load = |k: usize| -> tickless::train::Result<_> { Ok((run.source.recording(run.parts.test[k])?, 0)) };
    let confidence = Confidence { gain: 1.0, t_max };
    let ran =
        tickless::engine::run(&program, &confidence, names.len(), load, &|_, _| {}, &AtomicBool::new(false)).unwrap();
    for (line, outcome) in events.iter().zip(&ran.outcomes) {
        assert_eq!(scores(line), outcome.logits);
        assert_eq!((&line["events"], &line["us"]), (&outcome.events.into(), &outcome.us.into()));
        assert_eq!(line["synaptic_operations"], outcome.synaptic_ops);
    }
    let simulated = scratch.ok_json(&["simulate", "run"]);
    assert_eq!(accuracy(&events), number(&simulated, "accuracy"));
    // An exit stops before the end for some, and no later than the end for all.
    let early = predict(&["--event-driven", "--exit", "confidence", "--alpha", "0.3"]);
    assert!(early.iter().zip(&events).all(|(e, whole)| e["events"].as_u64() <= whole["events"].as_u64()));
    assert!(early.iter().any(|l| l["stopped_early"] == true), "{early:#?}");

    // The second time no temperature is fitted, and the answers are the same.
    let again = scratch.ok(&[&["predict", "run"], &names[..], &["--steps", "3", "--leak", "time", "--json"]].concat());
    assert!(!again.stderr.contains("confidence"), "{again:#?}");
    let again: Vec<Value> = again.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(again, clocked);
    // A table says the same.
    let table = scratch.ok(&["predict", "run", names[0], "--steps", "3", "--leak", "time", "--top", "3"]).stdout;
    let confidence = format!("{:.1} %", 100.0 * number(&clocked[0], "confidence"));
    assert!(table.contains(&confidence) && table.contains("calibrated on 20 validation samples"), "{table}");
    let top = &predict(&["--steps", "3", "--leak", "time", "--top", "3"])[0]["top"];
    assert_eq!(top.as_array().unwrap().len(), 3);
    assert_eq!(top[0]["probability"], clocked[0]["confidence"]);
}

#[test]
fn a_stage_has_its_own_steps_and_equal_ones_are_one_t() {
    let scratch = trained();
    let run = loaded(&scratch);
    let recording = run.source.recording(run.parts.test[0]).unwrap();
    scratch.write("a.npy", encode("npy", recording.columns(), Some(recording.sensor())).unwrap());
    let same = lines(&scratch, &["predict", "run", "a.npy", "--mixed", "4,4,4"]);
    let plain = scratch.ok(&["predict", "run", "a.npy", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&plain.stdout).unwrap()["scores"], same[0]["scores"]);
    assert!(plain.stderr.contains("uncalibrated") && plain.stderr.contains("data.validation"), "{plain:#?}");
    let mixed = lines(&scratch, &["predict", "run", "a.npy", "--configuration", "4,2,1"]);
    assert_eq!((&mixed[0]["steps"], &mixed[0]["calibrated"]), (&serde_json::json!([4, 2, 1]), &false.into()));
    assert_ne!(mixed[0]["scores"], same[0]["scores"]);
    scratch.refused_with(&["predict", "run", "a.npy", "--configuration", "4,2"], &["3 stages", "has 2"]);
    scratch.refused_with(&["predict", "run", "a.npy", "--steps", "0"], &["T = 0"]);
    scratch.refused_with(&["predict", "run", "a.npy", "--exit", "margin", "--alpha", "2"], &["--alpha 2"]);
    scratch.refused_with(&["predict", "run", "gone.raw"], &["gone.raw"]);
    scratch.refused_with(&["predict", "run", "-", "-"], &["given 2 times"]);
    scratch.refused_with(&["predict", "run", "-", "--window-ms", "0"], &["--window-ms 0"]);
}

#[test]
fn a_recording_of_another_camera_is_refused_unless_it_is_scaled() {
    let scratch = trained();
    let run = loaded(&scratch);
    let recording = run.source.recording(run.parts.test[0]).unwrap();
    let Sensor { width, height } = recording.sensor();
    let twice = Sensor { width: 2 * width, height: 2 * height };
    let events: Columns = recording.iter().map(|e| Event { x: 2 * e.x, y: 2 * e.y, ..e }).collect();
    scratch.write("large.raw", encode("evt3", &events, Some(twice)).unwrap());
    scratch.write("own.raw", encode("evt3", recording.columns(), Some(recording.sensor())).unwrap());
    scratch.refused_with(&["predict", "run", "large.raw"], &["68x68", "34x34", "`--scale`", "`--sensor WIDTHxHEIGHT`"]);
    let predict = |more: &[&str]| lines(&scratch, &[&["predict", "run"], more].concat())[0]["scores"].clone();
    assert_eq!(predict(&["large.raw", "--scale"]), predict(&["own.raw"]));
    assert_eq!(predict(&["large.raw", "--scale", "--event-driven"]), predict(&["own.raw", "--event-driven"]));
    // Text without a unit of time is not guessed.
    scratch.write("a.txt", "x y t p\n1 2 0.5 1\n3 4 0.6 0\n");
    scratch.refused_with(&["predict", "run", "a.txt"], &["a.txt", "`--time-unit s`"]);
    predict(&["a.txt", "--time-unit", "s"]);
    scratch.refused_with(&["predict", "run", "own.raw", "--time-unit", "s"], &["`--time-unit UNIT`"]);
}

/// Runs the command on a stream; returns the lines that it prints.
fn stream(scratch: &Scratch, args: &[&str], bytes: &[u8]) -> Vec<Value> {
    let args = [&["predict", "run", "-", "--json"], args].concat();
    let mut child =
        scratch.command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let ran = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn a_stream_whose_bytes_tell_no_format_is_read_as_text_and_the_error_says_so() {
    let scratch = trained();
    std::fs::write(scratch.at("events.bin"), [7u8, 15, 0x82, 2, 0xB8, 19, 18, 0, 11, 0xEE].repeat(20)).unwrap();
    for (args, guess) in [(&[][..], true), (&["--steps", "2"], true), (&["--format", "text"], false)] {
        let stdin = std::fs::File::open(scratch.at("events.bin")).unwrap();
        let out = scratch.command(&[&["predict", "run", "-"], args].concat()).stdin(stdin).output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && said.contains("standard-input.txt: byte 0"), "{args:?}: {said}");
        let hint = said.contains("error: `-` is read as text") && said.contains("`--format nmnist-bin`");
        assert_eq!(hint, guess, "{args:?}: {said}");
    }
}

#[test]
fn an_input_without_events_is_answered_with_a_warning_and_a_folder_is_refused() {
    let scratch = trained();
    let ran = |args: &[&str]| {
        let args = [&["predict", "run", "-"], args].concat();
        let out = scratch.command(&args).stdin(Stdio::null()).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    // Without a clock nothing is answered before something comes.
    let (answers, said) = ran(&["--json"]);
    assert!(answers.is_empty() && said.contains("warning: `-`: held no events, so there is no answer"), "{said}");
    let (answers, said) = ran(&["--json", "--steps", "2"]);
    assert_eq!(answers.lines().count(), 1, "{answers}");
    assert!(said.contains("warning: `-`: holds no events, so the answer is that of the network at rest"), "{said}");
    std::fs::create_dir(scratch.at("recordings")).unwrap();
    scratch.refused_with(&["predict", "run", "recordings"], &["error: recordings: ", "give a file in it"]);
}

/// Recordings one after another, each `pause_us` after the end of the one before.
fn one_after_another(recordings: &[&Recording], pause_us: u64) -> Columns {
    let mut all = Columns::new();
    let mut begin = 0;
    for r in recordings {
        let first = r.t_first_us().unwrap();
        r.iter().for_each(|e| all.push(Event { t_us: e.t_us - first + begin, ..e }));
        begin += r.span_us() + pause_us;
    }
    all
}

#[test]
fn a_stream_is_answered_object_by_object_and_forgets() {
    let scratch = trained();
    let run = loaded(&scratch);
    let recordings: Vec<_> = (0..3).map(|k| run.source.recording(run.parts.test[k]).unwrap()).collect();
    let refs: Vec<&Recording> = recordings.iter().map(AsRef::as_ref).collect();
    let sensor = Some(refs[0].sensor());
    let bytes = encode("evt3", &one_after_another(&refs, 300_000), sensor).unwrap();
    let told = stream(&scratch, &["--forget", "never", "--silence-ms", "200"], &bytes);
    let ends: Vec<&Value> = told.iter().filter(|l| l["why"] == "silence" || l["why"] == "end").collect();
    assert_eq!(ends.len(), 3, "{told:#?}");
    for (k, (end, recording)) in ends.iter().zip(&refs).enumerate() {
        scratch.write("one.raw", encode("evt3", recording.columns(), sensor).unwrap());
        let alone = &lines(&scratch, &["predict", "run", "one.raw", "--event-driven"])[0];
        for key in ["scores", "class", "events", "us", "synaptic_operations"] {
            assert_eq!(end[key], alone[key], "object {k}, {key}");
        }
        assert_eq!((&end["object"], &end["forget"]["how"]), (&k.into(), &"never".into()));
    }
    assert_eq!((&ends[1]["why"], &ends[2]["why"]), (&"silence".into(), &"end".into()));
    // A window longer than the object forgets nothing, up to rounding; a short one does.
    let close = |a: &Value, b: &Value| scores(a).iter().zip(scores(b)).all(|(a, b)| (a - b).abs() < 1e-3);
    let long = stream(&scratch, &["--window-ms", "100000", "--silence-ms", "200"], &bytes);
    let long: Vec<&Value> = long.iter().filter(|l| l["why"] == "silence" || l["why"] == "end").collect();
    assert!(long.iter().zip(&ends).all(|(a, b)| close(a, b)), "{long:#?}");
    for forget in ["window", "leak"] {
        let short = stream(&scratch, &["--forget", forget, "--window-ms", "5", "--silence-ms", "200"], &bytes);
        assert!(!close(short.last().unwrap(), ends[2]), "{short:#?}");
    }
    // Regular answers, and an exit that every answer passes.
    let regular = stream(&scratch, &["--every-ms", "50", "--exit", "confidence", "--alpha", "0"], &bytes);
    assert!(regular.iter().filter(|l| l["why"] == "regular").count() > 3, "{regular:#?}");
    assert_eq!(regular[0]["why"], "sure");
    assert_eq!(regular[0]["events"], 1, "every confidence is above 0");
    // At time steps the stream is read to its end.
    let whole = encode("evt3", refs[0].columns(), sensor).unwrap();
    scratch.write("one.raw", &whole);
    let clocked = stream(&scratch, &["--steps", "2"], &whole);
    assert_eq!(clocked[0]["scores"], lines(&scratch, &["predict", "run", "one.raw", "--steps", "2"])[0]["scores"]);
}

#[test]
fn a_stream_that_has_not_ended_is_answered() {
    let scratch = trained();
    let run = loaded(&scratch);
    let recordings: Vec<_> = (0..40).map(|k| run.source.recording(run.parts.test[k]).unwrap()).collect();
    let refs: Vec<&Recording> = recordings.iter().map(AsRef::as_ref).collect();
    let bytes = encode("nmnist-bin", &one_after_another(&refs, 150_000), Some(refs[0].sensor())).unwrap();
    let args = ["predict", "run", "-", "--json", "--format", "nmnist-bin"];
    let mut child =
        scratch.command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    input.write_all(&bytes).unwrap();
    input.flush().unwrap();
    // The pipe stays open while the first answers are read.
    let first: Value = serde_json::from_str(&told.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["object"], 0, "{first:#}");
    drop(input);
    let last: Value = serde_json::from_str(&told.last().unwrap().unwrap()).unwrap();
    assert_eq!((&last["why"], &last["object"]), (&"end".into(), &39.into()));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_stream_is_answered_event_by_event_however_little_has_come() {
    let scratch = trained();
    let run = loaded(&scratch);
    let recording = run.source.recording(run.parts.test[0]).unwrap();
    for format in ["nmnist-bin", "text", "evt3", "es"] {
        let bytes = encode(format, recording.columns(), Some(recording.sensor())).unwrap();
        // Every confidence is above 0, so the first event is answered.
        let exit = ["--exit", "confidence", "--alpha", "0"];
        let args = [&["predict", "run", "-", "--json", "--format", format], &exit[..]].concat();
        let mut child =
            scratch.command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // Some hundred bytes, and no more until the answer has come: a pipe that stays open.
        for part in bytes[..bytes.len().min(400)].chunks(7) {
            input.write_all(part).unwrap();
            input.flush().unwrap();
        }
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&told.next().unwrap().unwrap()).unwrap();
        assert_eq!((&first["events"], &first["why"]), (&1.into(), &"sure".into()), "{format}: {first:#}");
        input.write_all(&bytes[bytes.len().min(400)..]).unwrap();
        drop(input);
        let last: Value = serde_json::from_str(&told.last().unwrap().unwrap()).unwrap();
        assert_eq!((&last["why"], &last["events"]), (&"end".into(), &recording.len().into()), "{format}");
        assert!(child.wait().unwrap().success());
    }
}

/// A colour picture as PNG.
fn png(pixels: &[u8], side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let plane = (side * side) as usize;
    let rows: Vec<u8> = (0..plane).flat_map(|i| [pixels[i], pixels[plane + i], pixels[2 * plane + i]]).collect();
    encoder.write_header().unwrap().write_image_data(&rows).unwrap();
    bytes
}

#[test]
fn an_image_gets_the_answer_of_its_sample() {
    let scratch = Scratch::new();
    let mut records = Vec::new();
    let mut rng = tickless_testing::generate::Rng(5);
    for i in 0..60u8 {
        records.push(i % 10);
        records.extend((0..3072).map(|_| rng.below(256) as u8));
    }
    scratch.write("cifar/data_batch_1.bin", &records);
    scratch.write("cifar/test_batch.bin", &records[..10 * 3073]);
    let recipe = "[data]\nset = \"cifar10\"\nvalidation = 0.2\n[network]\nname = \"resnet18\"\nwidth = 0.03125\n\
                  [train]\nstrategy = \"mtt\"\nt_max = 3\nepochs = 1\nbatch = 8\n[eval]\ncalibration_batches = 1\n";
    scratch.write("cifar.toml", recipe);
    scratch.ok(&["train", "cifar.toml", "--data", "cifar", "--output", "run"]);
    let run = loaded(&scratch);
    let mut right = 0;
    scratch.ok(&["eval", "run", "--steps", "3", "--samples", "a.csv"]);
    let (_, rows) = crate::one_temperature::csv(&scratch.text("a.csv"));
    for (k, id) in run.parts.test.iter().enumerate() {
        let Sample::Image(image) = run.source.dataset().sample(id.split, id.index).unwrap() else { panic!("no image") };
        scratch.write(&format!("{k}.png"), png(image.pixels(), 32));
        let line = &lines(&scratch, &["predict", "run", &format!("{k}.png")])[0];
        right += usize::from(line["label"] == run.source.label(*id));
        // Class and confidence of `eval`, up to the rounding of sums over another batch.
        assert_eq!(rows[k][7], line["label"].to_string(), "{line}");
        assert!((rows[k][9].parse::<f64>().unwrap() - number(line, "confidence")).abs() < 1e-6, "{line}");
        let name = &run.source.dataset().class_names()[line["label"].as_u64().unwrap() as usize];
        assert_eq!(line["class"], name.as_str());
    }
    let evaluated = scratch.ok_json(&["eval", "run", "--steps", "3"]);
    assert_eq!(right as f64, number(&evaluated, "points/0/correct"));
    let early = lines(&scratch, &["predict", "run", "0.png", "--exit", "confidence", "--alpha", "0"]);
    assert_eq!(early[0]["steps"], serde_json::json!([1]));
    scratch.write("large.png", png(&[7; 3 * 40 * 40], 40));
    scratch.refused_with(&["predict", "run", "large.png"], &["40x40", "32x32", "`--scale`"]);
    lines(&scratch, &["predict", "run", "large.png", "--scale"]);
    scratch.refused_with(&["predict", "run", "-"], &["trained on images"]);
    scratch.refused_with(&["predict", "run", "0.png", "--event-driven"], &["trained on images"]);
    for command in [&["predict", "run", "0.png"][..], &["eval", "run"]] {
        let args = [command, &["--leak", "time"]].concat();
        scratch.refused_with(&args, &["`--leak time`", "trained on images", "leave it out"]);
        scratch.ok(&[command, &["--leak", "step"]].concat());
    }
}
