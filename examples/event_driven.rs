//! Run a network with no time steps: events in, spikes and a decision out, at any moment.
//!
//! ```text
//! cargo run --release -p tickless --example event_driven
//! ```

use tickless::engine::{CompileOptions, Confidence, Program, Session};
use tickless::events::{DataRequest, Sample, Split, datasets};
use tickless::net::init::{InitScheme, initialise};
use tickless::net::zoo::{ZooOptions, build};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A network without bias and norm, and weights (yours come from a run's weights.safetensors).
    let network = build("demo", &ZooOptions::default())?;
    let weights = initialise(&network, InitScheme::Uniform { conv_gain: 4.0 }, 1);

    // λ = 0.5 per step of 30 ms becomes the time constant τ = 43 ms between events.
    let program =
        Program::compile(&network, &weights, &CompileOptions { step_us: Some(30_000.0), ..CompileOptions::default() })?;
    let mut session = Session::new(&program);

    // A recording, as if it came from a camera: one event after the other.
    let digits = datasets::open(&DataRequest::new("digits-dvs", None))?;
    let Sample::Events(recording) = digits.sample(Split::Test, 0)? else {
        return Err("digits-dvs holds recordings".into());
    };
    let confidence = Confidence { gain: 1.0, t_max: 10 };
    for (k, event) in recording.iter().enumerate() {
        session.push(event)?;
        if k % 500 == 499 {
            // A decision can be asked for after any event.
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
