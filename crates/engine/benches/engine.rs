//! Measures events and synaptic operations per second of one session on one core: a synthetic
//! recording of 4,200 events, nmnist-small and nmnist-wide, IF and LIF neurons, initial weights.
//! LIF also runs with three refractory periods: one of a microsecond, which does the work of a
//! period but changes next to no spike, and a quarter of a step, with the membrane integrating (the
//! vector kernels) and held (one neuron at a time).

use divan::{Bencher, black_box, counter::ItemsCount};
use tickless_engine::{CompileOptions, Program, Session};
use tickless_events::{Event, Recording, Sensor, rng::Rng};
use tickless_net::init::{InitScheme, initialise};
use tickless_net::zoo::{ZooOptions, build};
use tickless_net::{During, Neuron, Refractory, Shape};

/// Duration of a step of T_max in µs.
const STEP_US: f64 = 30_000.0;

fn main() {
    divan::main();
}

fn recording() -> Recording {
    let mut rng = Rng::new(1, 0);
    let event = |k: u64| {
        let (x, y) = (rng.below(34) as u16, rng.below(34) as u16);
        Event { t_us: k * 73, x, y, on: rng.coin() }
    };
    let events: Vec<Event> = (0..4200).map(event).collect();
    let (recording, _) =
        Recording::from_events(Sensor { width: 34, height: 34 }, &events).expect("events inside the sensor");
    recording
}

fn session(name: &str, neuron: Neuron) -> Session {
    let options = ZooOptions { neuron: Some(neuron), ..ZooOptions::default() };
    let network = build(name, &options).expect("a built-in network");
    assert_eq!(network.input().shape, Shape::new(2, 34, 34));
    let weights = initialise(&network, InitScheme::default_for(&network), 1);
    let options = CompileOptions { step_us: Some(STEP_US), ..CompileOptions::default() };
    Session::new(&Program::compile(&network, &weights, &options).expect("no bias, no norm"))
}

fn run(bencher: Bencher<'_, '_>, name: &str, neuron: Neuron) {
    let recording = recording();
    let mut session = session(name, neuron);
    session.feed(&recording).expect("events inside the sensor");
    let operations = session.synaptic_ops();
    bencher.counter(ItemsCount::new(operations)).bench_local(|| {
        session.reset();
        session.feed(black_box(&recording)).expect("events inside the sensor");
        session.synaptic_ops()
    });
}

#[divan::bench(args = ["nmnist-small", "nmnist-wide"])]
fn integrate_and_fire(b: Bencher<'_, '_>, name: &str) {
    run(b, name, Neuron::if_multi());
}

#[divan::bench(args = ["nmnist-small", "nmnist-wide"])]
fn leaky(b: Bencher<'_, '_>, name: &str) {
    run(b, name, Neuron::lif());
}

fn resting(rho: f64, during: During) -> Neuron {
    Neuron { refractory: Some(Refractory { during, ..Refractory::steps(rho) }), ..Neuron::lif() }
}

#[divan::bench(args = ["nmnist-small", "nmnist-wide"])]
fn leaky_refractory_1_us(b: Bencher<'_, '_>, name: &str) {
    run(b, name, resting(1.0 / STEP_US, During::Integrate));
}

#[divan::bench(args = ["nmnist-small", "nmnist-wide"])]
fn leaky_refractory_quarter_step(b: Bencher<'_, '_>, name: &str) {
    run(b, name, resting(0.25, During::Integrate));
}

#[divan::bench(args = ["nmnist-small", "nmnist-wide"])]
fn leaky_refractory_quarter_step_held(b: Bencher<'_, '_>, name: &str) {
    run(b, name, resting(0.25, During::Hold));
}
