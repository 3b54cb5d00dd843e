//! Classify events from standard input as they come, in any format that Tickless reads.
//!
//! ```text
//! cat recording.raw | cargo run --release -p tickless --example stream_stdin -- runs/nmnist-mtt-seed1
//! ```
//!
//! The session decides at any moment: it exits early once its confidence passes a threshold, and is
//! reset by a pause, so that one endless stream holds many objects. Memory stays the same for ever.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use tickless::engine::{CompileOptions, Confidence, Program, Session};
use tickless::events::Columns;
use tickless::events::formats::EventReader;
use tickless::net::init::{InitScheme, initialise};
use tickless::net::zoo::{ZooOptions, build};
use tickless::train::run::RunFolder;

/// A pause of this many µs ends an object.
const PAUSE_US: u64 = 100_000;
/// Confidence at which the answer is given before the end.
const SURE: f32 = 0.95;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A trained run, or (to try it) the demo network with drawn weights.
    let (program, confidence) = match std::env::args_os().nth(1) {
        Some(folder) => {
            let run = RunFolder::open(&PathBuf::from(folder))?.load()?;
            let options = CompileOptions { step_us: run.facts.step_us, ..CompileOptions::default() };
            // `tickless simulate` prints the temperature that fits the validation part.
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
    // Text (`x y t p`) has no magic number: the name says what it is if nothing else fits.
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

/// What the whole object was, if nothing was said before.
fn answer(session: &Session, confidence: &Confidence, answered: bool) {
    let d = session.decision(confidence);
    if !answered && d.events > 0 {
        println!("class {} at the end, {:.0} % sure, {} events", d.class, 100.0 * d.confidence, d.events);
    }
    if session.dropped() > 0 {
        eprintln!("{} events lay outside the sensor or came late, and were dropped", session.dropped());
    }
}
