//! Streams that real cameras and pipes give to `predict`: a clock that goes back, events that come late
//! or lie outside, an end in the middle of an event.

use serde_json::Value;
use std::io::Write;
use std::process::Stdio;
use tickless::events::formats::encode;
use tickless::events::{Columns, Event, Recording, Sensor};
use tickless::train::run::RunFolder;
use tickless_testing::command::Scratch;

/// What the command says about a stream: exit code, answers, and standard error.
struct Said {
    code: Option<i32>,
    lines: Vec<Value>,
    error: String,
}

impl Said {
    /// Why, and the number of events, of each answer.
    fn answers(&self) -> Vec<(String, u64)> {
        let answer = |l: &Value| (l["why"].as_str().unwrap().to_owned(), l["events"].as_u64().unwrap());
        self.lines.iter().map(answer).collect()
    }
}

fn said(scratch: &Scratch, args: &[&str], bytes: &[u8]) -> Said {
    // No confidence is above 1, so only the ends of objects are answered.
    let args = [&["predict", "run", "-", "--json", "-q", "--exit", "confidence", "--alpha", "1"], args].concat();
    let mut child =
        scratch.command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    // A command that stops early closes the pipe.
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let out = child.wait_with_output().unwrap();
    drop(writer.join().unwrap());
    let text = String::from_utf8(out.stdout).unwrap();
    let lines = text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect();
    Said { code: out.status.code(), lines, error: String::from_utf8(out.stderr).unwrap() }
}

/// Events every 200 µs, within a sensor of 34x34.
fn events(count: u64) -> Vec<Event> {
    let event =
        |k: u64| Event { t_us: 200 * k, x: (k * 7 % 30) as u16, y: (k * 11 % 30) as u16, on: !k.is_multiple_of(3) };
    (0..count).map(event).collect()
}

fn text(events: &[Event]) -> String {
    events.iter().map(|e| format!("{} {} {} {}\n", e.x, e.y, e.t_us, u8::from(e.on))).collect()
}

#[test]
fn if_the_clock_goes_back_another_object_begins_and_single_late_events_are_dropped() {
    let scratch = Scratch::trained();
    let all = events(1000);
    // 200 ms, and the camera begins again: of the second object the events that tell it are lost.
    let twice = said(&scratch, &[], (text(&all) + &text(&all)).as_bytes());
    assert_eq!(twice.answers(), [("clock_back".to_owned(), 1000), ("end".to_owned(), 985)], "{}", twice.error);
    assert!(twice.error.contains("15 of 2000 events were earlier"), "{}", twice.error);
    // One event with a time far in the future, and one of the past.
    let far = Event { t_us: 10_u64.pow(15), ..all[0] };
    let strange = [&all[..500], &[far], &all[500..700], &[all[0]], &all[700..]].concat();
    let strange = said(&scratch, &[], text(&strange).as_bytes());
    let expected = [("silence", 500), ("clock_back", 1), ("end", 485)].map(|(why, n)| (why.to_owned(), n));
    assert_eq!(strange.answers(), expected, "{}", strange.error);
    assert!(strange.error.contains("16 of 1002 events were earlier"), "{}", strange.error);
    // Times that go back by less than a pause are a jitter of the camera.
    let mut jitter = all.clone();
    jitter.swap(400, 500);
    let jitter = said(&scratch, &[], text(&jitter).as_bytes());
    assert_eq!(jitter.answers(), [("end".to_owned(), 900)], "{}", jitter.error);
}

#[test]
fn a_stream_that_breaks_off_is_answered_for_what_has_come_and_the_fault_is_named() {
    let scratch = Scratch::trained();
    let all = events(300);
    let columns: Columns = all.iter().copied().collect();
    let sensor = Sensor { width: 34, height: 34 };
    for format in ["text", "evt2", "evt3", "es", "nmnist-bin", "dat", "aedat2"] {
        let mut bytes = encode(format, &columns, Some(sensor)).unwrap();
        let whole = said(&scratch, &["--format", format, "--scale"], &bytes);
        assert_eq!((whole.code, whole.lines.len()), (Some(0), 1), "{format}: {}", whole.error);
        assert_eq!(whole.answers()[0], ("end".to_owned(), 300), "{format}");
        // The last word is cut.
        bytes.truncate(bytes.len() - if format == "text" { 4 } else { 1 });
        let cut = said(&scratch, &["--format", format, "--scale"], &bytes);
        assert_eq!((cut.code, cut.lines.len()), (Some(2), 1), "{format}: {}", cut.error);
        let (why, events) = &cut.answers()[0];
        assert!(why == "end" && (290..300).contains(events), "{format}: {events}");
        let error = cut.error.lines().last().unwrap();
        assert!(error.starts_with("error: ") && error.contains("byte"), "{format}: {}", cut.error);
    }
}

#[test]
fn a_stream_of_which_most_lies_outside_is_called_so_with_the_remedy() {
    let scratch = Scratch::trained();
    let wide: Vec<Event> = events(500).into_iter().map(|e| Event { x: 4 * e.x, y: 4 * e.y, ..e }).collect();
    let lost = said(&scratch, &[], text(&wide).as_bytes());
    assert!(lost.error.contains("warning: ") && lost.error.contains("--sensor WIDTHxHEIGHT"), "{}", lost.error);
    let scaled = said(&scratch, &["--sensor", "136x136", "--scale"], text(&wide).as_bytes());
    assert_eq!(scaled.answers(), [("end".to_owned(), 500)], "{}", scaled.error);
    let one = [&events(100)[..], &[Event { t_us: 20_000, x: 90, y: 3, on: true }]].concat();
    let one = said(&scratch, &[], text(&one).as_bytes());
    assert!(one.error.contains("1 of 101 events lay outside") && !one.error.contains("warning"), "{}", one.error);
    assert_eq!(one.answers(), [("end".to_owned(), 100)]);
}

#[test]
fn a_wrong_name_among_many_files_is_found_before_the_first_answer() {
    let scratch = Scratch::trained();
    let run = RunFolder::open(&scratch.at("run")).unwrap().load().unwrap();
    let recording: std::sync::Arc<Recording> = run.source.recording(run.parts.test[0]).unwrap();
    scratch.write("a.raw", encode("evt3", recording.columns(), Some(recording.sensor())).unwrap());
    let ran = scratch.run(&["predict", "run", "a.raw", "gone.raw", "a.raw", "--json", "-q"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:#?}");
    assert!(ran.stderr.contains("gone.raw") && ran.stderr.contains("check that the path exists"), "{ran:#?}");
    scratch.refused_with(&["predict", "run", "a.raw", "--top", "0"], &["--top 0"]);
    let top = scratch.ok(&["predict", "run", "a.raw", "--top", "99", "--json"]).stdout;
    let line: Value = serde_json::from_str(&top).unwrap();
    let probable = line["top"].as_array().unwrap();
    assert_eq!(probable.len(), 10);
    let sum: f64 = probable.iter().map(|p| p["probability"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9);
}
