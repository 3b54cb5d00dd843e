//! Code that the kernel benchmarks share: the layers, their inputs, the peaks of the machine,
//! timing.

pub mod layers;
pub mod machine;

use std::time::Instant;

/// Median seconds per call, over at least five calls and as many as fit a third of a second.
pub fn median_seconds(call: &mut dyn FnMut()) -> f64 {
    call();
    let (start, mut all) = (Instant::now(), Vec::new());
    while all.len() < 5 || (start.elapsed().as_secs_f64() < 0.33 && all.len() < 1000) {
        let start = Instant::now();
        call();
        all.push(start.elapsed().as_secs_f64());
    }
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Whether `cargo bench` runs this program, rather than `cargo test`.
pub fn measuring() -> bool {
    std::env::args().any(|a| a == "--bench") && !std::env::args().any(|a| a == "--list" || a == "--test")
}
