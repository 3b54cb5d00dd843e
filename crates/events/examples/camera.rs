//! Counts the events that the simulated camera makes, and measures its speed.
//!
//! `cargo run --release -p tickless-events --features datasets --example camera`

use std::time::Instant;

use tickless_events::datasets::{DataRequest, Sample, Split, open};

fn main() -> tickless_events::Result<()> {
    let data = open(&DataRequest::new("digits-dvs", None))?;
    println!("{}", data.describe());
    let start = Instant::now();
    let (mut recordings, mut events, mut on) = (0u32, 0, 0);
    for split in [Split::Train, Split::Test] {
        for index in 0..data.len(split) {
            if let Sample::Events(recording) = data.sample(split, index)? {
                recordings += 1;
                events += recording.len();
                on += recording.on_count();
            }
        }
    }
    let mean = events as f64 / f64::from(recordings);
    println!("{mean:.0} events a recording, {:.1} % ON", 100.0 * on as f64 / events as f64);
    println!("{:?} a recording, one thread", start.elapsed() / recordings.max(1));
    Ok(())
}
