//! Plays a recording in real time, as a camera would send it, and decides while it plays.
//!
//! ```text
//! cargo run --release -p tickless --example stream_live -- recording.aedat4 runs/nmnist-mtt-seed1
//! ```
//!
//! The example wakes every millisecond and pushes the events of that millisecond. It prints when
//! the confidence first passed 95 %, how far it fell behind real time at worst, and the memory of
//! the session. Without arguments it plays a simulated recording of digits-dvs to the demo network
//! with random weights.

use std::path::PathBuf;
use std::time::{Duration, Instant};
use tickless::engine::{CompileOptions, Confidence, Program, Session};
use tickless::events::{DataRequest, Recording, Sample, Split, datasets, formats};
use tickless::net::init::{InitScheme, initialise};
use tickless::net::zoo::{ZooOptions, build};
use tickless::train::run::RunFolder;

/// The period at which events are pushed, like the buffer of a camera.
const TICK: Duration = Duration::from_millis(1);
/// The confidence from which the example prints a class before the recording ends.
const SURE: f64 = 0.95;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let recording: Recording = match args.first() {
        Some(file) => {
            let (recording, moved) = formats::read(file)?.into_recording(None)?;
            if moved > 0 {
                eprintln!("{moved} events were out of order and have been sorted");
            }
            recording
        }
        None => match datasets::open(&DataRequest::new("digits-dvs", None))?.sample(Split::Test, 0)? {
            Sample::Events(recording) => recording,
            Sample::Image(_) => return Err("digits-dvs holds recordings".into()),
        },
    };
    let (program, t_max) = match args.get(1) {
        Some(folder) => {
            let run = RunFolder::open(folder)?.load()?;
            let options = CompileOptions { step_us: run.facts.step_us, ..CompileOptions::default() };
            (Program::compile(&run.network, &run.weights, &options)?, run.facts.t_max)
        }
        None => {
            let network = build("demo", &ZooOptions::default())?;
            let weights = initialise(&network, InitScheme::Uniform { conv_gain: 4.0 }, 1);
            let options = CompileOptions { step_us: Some(30_000.0), ..CompileOptions::default() };
            (Program::compile(&network, &weights, &options)?, 10)
        }
    };
    let confidence = Confidence { gain: 1.0, t_max };
    let mut session = Session::new(&program);
    let start = recording.t_first_us().unwrap_or(0);
    let begun = Instant::now();
    let (mut sure, mut behind) = (None, Duration::ZERO);
    let mut events = recording.iter().peekable();
    while let Some(next) = events.peek() {
        // Sleep until the end of the tick that contains the next event.
        let ticks = (next.t_us - start) / TICK.as_micros() as u64 + 1;
        let due = TICK * ticks as u32;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        while let Some(event) = events.next_if(|e| e.t_us - start < due.as_micros() as u64) {
            session.push(event)?;
        }
        behind = behind.max(begun.elapsed().saturating_sub(due));
        let decision = session.decision(&confidence);
        if sure.is_none() && decision.confidence >= SURE {
            println!("after {} ms: class {}, {} events seen", decision.us / 1000, decision.class, decision.events);
            sure = Some(decision);
        }
    }
    let last = session.decision(&confidence);
    println!("at the end: class {}, {:.0} % sure, {} events", last.class, 100.0 * last.confidence, last.events);
    println!(
        "played in {:.0} ms; at worst {:.2} ms behind real time; the session holds {} kB",
        begun.elapsed().as_secs_f64() * 1e3,
        behind.as_secs_f64() * 1e3,
        session.state_bytes() / 1000
    );
    Ok(())
}
