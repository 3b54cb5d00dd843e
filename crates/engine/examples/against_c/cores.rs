//! Compares two cores with one over many recordings.

use crate::{Anything, STEP_US};
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use tickless_engine::{CompileOptions, Confidence, Error, Program, Recording, run};
use tickless_net::{Network, Weights};

/// Number of passes over the recordings in one measurement, so that threads have enough work.
const REPEAT: usize = 10;

/// Prints the event rates with one and with two threads, each the best of alternating rounds.
pub fn compare(name: &str, net: &Network, weights: &Weights, all: &[Recording], rounds: usize) -> Anything<()> {
    for quantised in [false, true] {
        let options = CompileOptions { step_us: Some(STEP_US), quantised, ..CompileOptions::default() };
        let program = Program::compile(net, weights, &options)?;
        let pools = [1, 2].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build());
        let mut best = [f64::INFINITY; 2];
        let load = |i: usize| Ok::<_, Error>((&all[i % all.len()], 0));
        let (confidence, go_on) = (Confidence::default(), AtomicBool::new(false));
        for _ in 0..rounds {
            for (pool, best) in pools.iter().zip(&mut best) {
                let pool = pool.as_ref().map_err(|e| e.to_string())?;
                let begun = Instant::now();
                pool.install(|| run(&program, &confidence, REPEAT * all.len(), load, &(), &go_on))?;
                *best = best.min(begun.elapsed().as_secs_f64());
            }
        }
        let events = (REPEAT * all.iter().map(Recording::len).sum::<usize>()) as f64;
        let form = if quantised { "8-bit" } else { "float" };
        let [one, two] = best;
        println!(
            "{name:<14} {form}: {:.3e} events/s on one core, {:.3e} on two: {:.2}×",
            events / one,
            events / two,
            one / two
        );
    }
    Ok(())
}
