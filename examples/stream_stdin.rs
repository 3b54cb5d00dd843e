//! Classifies events from standard input as they arrive, in any format that Tickless reads.
//!
//! ```text
//! cat recording.raw | cargo run --release -p tickless --example stream_stdin -- runs/nmnist-mtt-seed1
//! ```
//!
//! The example prints a class as soon as the confidence passes 95 %, otherwise at the end of the
//! object. A pause of 100 ms ends an object and resets the session, so one endless stream can hold
//! many objects. Memory does not grow with the length of the stream.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use tickless::engine::{CompileOptions, Confidence, Program, Session};
use tickless::events::Columns;
use tickless::events::formats::EventReader;
use tickless::net::init::{InitScheme, initialise};
use tickless::net::zoo::{ZooOptions, build};
use tickless::train::run::RunFolder;

/// A pause longer than this (µs) ends an object.
const PAUSE_US: u64 = 100_000;
/// The confidence from which the example prints a class before the object ends.
const SURE: f64 = 0.95;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A trained run, or the demo network with random weights if no folder is given.
    let (program, confidence) = match std::env::args_os().nth(1) {
        Some(folder) => {
            let run = RunFolder::open(&PathBuf::from(folder))?.load()?;
            let options = CompileOptions { step_us: run.facts.step_us, ..CompileOptions::default() };
            // `tickless simulate` prints the gain g that fits the validation part; 1 is untuned.
            let confidence = Confidence { gain: 1.0, t_max: run.facts.t_max };
            (Program::compile(&run.network, &run.weights, &options)?, confidence)
        }
        None => {
            let network = build("demo", &ZooOptions::default())?;
            let weights = initialise(&network, InitScheme::Uniform { conv_gain: 4.0 }, 1);
            let options = CompileOptions { step_us: Some(30_000.0), ..CompileOptions::default() };
            (Program::compile(&network, &weights, &options)?, Confidence { gain: 1.0, t_max: 10 })
        }
    };
    let mut stdin = BufReader::new(std::io::stdin());
    if stdin.fill_buf()?.is_empty() {
        println!("no events on standard input");
        return Ok(());
    }
    // Text (`x y t p`) has no magic number, so the file name decides if no other format matches.
    let mut reader = EventReader::from_read(stdin, "stdin.txt")?;
    let mut session = Session::new(&program).lenient();
    let (mut chunk, mut answered) = (Columns::new(), false);
    while reader.next(&mut chunk)? {
        for event in chunk.iter() {
            if session.events() > 0 && event.t_us > session.now_us() + PAUSE_US {
                answer(&session, &confidence, answered);
                session.reset();
                answered = false;
            }
            session.push(event)?;
            let decision = session.decision(&confidence);
            if !answered && decision.confidence >= SURE {
                println!("class {} after {} events, {} µs", decision.class, decision.events, decision.us);
                answered = true;
            }
        }
    }
    answer(&session, &confidence, answered);
    Ok(())
}

/// Prints the class of an object at its end, unless it was printed before, and a count of dropped
/// events.
fn answer(session: &Session, confidence: &Confidence, answered: bool) {
    let d = session.decision(confidence);
    if !answered && d.events > 0 {
        println!("class {} at the end, {:.0} % sure, {} events", d.class, 100.0 * d.confidence, d.events);
    }
    if session.dropped() > 0 {
        eprintln!("{} events lay outside the sensor or came late, and were dropped", session.dropped());
    }
}
