//! An endless stream: the session uses no more memory after the first events.
//!
//! ```text
//! cargo test --release -p tickless-engine --test streaming -- --ignored --nocapture
//! ```
//!
//! runs 10⁸ events; the default test runs fewer. It needs Linux, which reports the memory of a
//! process.
#![cfg(target_os = "linux")]

use tickless_engine::{CompileOptions, Confidence, Event, Program, Session};
use tickless_events::rng::Rng;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::zoo::{ZooOptions, build};
use tickless_net::{Neuron, Shape};

/// Memory of this process in KiB: the resident memory, and the private memory (heap and stacks, in
/// RAM or swapped out). The resident memory also includes pages of the program's file, whose number
/// varies.
fn memory_kib() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let field = |name: &str| -> u64 {
        let line = text.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (field("Rss:"), field("Anonymous:") + field("Swap:"))
}

/// Pushes random events, asks for a decision every thousand events, and compares the memory after
/// `early` events with that after `all`.
fn stream(neuron: Neuron, early: u64, all: u64) {
    let options = ZooOptions { neuron: Some(neuron), ..ZooOptions::default() };
    let network = build("nmnist-small", &options).unwrap();
    assert_eq!(network.input().shape, Shape::new(2, 34, 34));
    let weights = initialise(&network, InitScheme::default_for(&network), 1);
    let options = CompileOptions { step_us: Some(30_000.0), ..CompileOptions::default() };
    let mut session = Session::new(&Program::compile(&network, &weights, &options).unwrap());
    let bytes = session.state_bytes();
    let mut rng = Rng::new(1, 0);
    let (mut before, mut classes) = (memory_kib(), 0);
    for k in 0..all {
        let (x, y) = (rng.below(34) as u16, rng.below(34) as u16);
        session.push(Event { t_us: 70 * k, x, y, on: rng.coin() }).unwrap();
        if k % 1000 == 0 {
            classes |= 1 << session.decision(&Confidence::default()).class;
        }
        if k + 1 == early {
            before = memory_kib();
        }
    }
    let after = memory_kib();
    println!(
        "{early} events: {} KiB of its own, {} in RAM; {all} events: {} and {}; state {bytes} bytes, classes {classes:b}",
        before.1, before.0, after.1, after.0
    );
    assert_eq!((session.events(), session.state_bytes()), (all, bytes));
    assert!(session.spikes()[0] > all / 1000, "{:?}", session.spikes());
    assert!(before.1 > 0 && after.1 <= before.1, "{before:?} KiB after {early} events, {after:?} KiB after {all}");
}

#[test]
fn a_million_events_take_no_more_memory_than_the_first_hundred_thousand() {
    stream(Neuron::if_multi(), 100_000, 1_000_000);
}

#[test]
#[ignore = "a minute; see the head of this file"]
fn a_hundred_million_events_take_no_more_memory_than_the_first_million() {
    stream(Neuron::if_multi(), 1_000_000, 100_000_000);
    stream(Neuron::lif(), 1_000_000, 20_000_000);
}
