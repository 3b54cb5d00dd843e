//! Runs a network without time steps: it pushes events one at a time, prints a decision after every
//! 500 events, and counts spikes and synaptic operations.
//!
//! ```text
//! cargo run --release -p tickless --example event_driven
//! ```

use tickless::engine::{CompileOptions, Confidence, Program, Session};
use tickless::events::{DataRequest, Sample, Split, datasets};
use tickless::net::init::{InitScheme, initialise};
use tickless::net::zoo::{ZooOptions, build};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The demo network has no bias and no norm, so the engine can compile it. The weights here are
    // random; a trained run stores its own in `weights.safetensors`.
    let network = build("demo", &ZooOptions::default())?;
    let weights = initialise(&network, InitScheme::Uniform { conv_gain: 4.0 }, 1);

    // λ = 0.5 per step of 30 ms becomes a decay between events with the time constant τ = 43 ms.
    let program =
        Program::compile(&network, &weights, &CompileOptions { step_us: Some(30_000.0), ..CompileOptions::default() })?;
    let mut session = Session::new(&program);

    // The events of one recording, pushed in time order as a camera would deliver them.
    let digits = datasets::open(&DataRequest::new("digits-dvs", None))?;
    let Sample::Events(recording) = digits.sample(Split::Test, 0)? else {
        return Err("digits-dvs holds recordings".into());
    };
    let confidence = Confidence { gain: 1.0, t_max: 10 };
    for (k, event) in recording.iter().enumerate() {
        session.push(event)?;
        if k % 500 == 499 {
            // The session can decide after any event.
            let d = session.decision(&confidence);
            println!(
                "after {:>4} events, {:>3} ms: class {} ({:.0} %)",
                d.events,
                d.us / 1000,
                d.class,
                100.0 * d.confidence
            );
        }
    }
    for (layer, spikes) in program.layers().iter().zip(session.spikes()) {
        println!("{}: {spikes} spikes of {} neurons", layer.name, layer.shape.len());
    }
    println!("{} synaptic operations for {} events", session.synaptic_ops(), session.events());
    Ok(())
}
