//! At steps so fine that every event has its own, the clocked trainer and the engine compute the
//! same spikes: random chains with recurrent connections, delays, thresholds per channel,
//! refractory periods and every kind of leak.
//!
//! Two conditions make the spikes equal and not only nearly equal. No weight is negative and resets
//! are soft, so the order in which the engine delivers the inputs of one moment does not count. By
//! its refractory period of two fine steps or more, a neuron fires at most once at one moment, and a
//! clocked neuron without input does not fire.

use std::sync::Arc;
use tickless::engine::{CompileOptions, NeuronCounts, Program, Session};
use tickless::events::{Event, Recording, Sensor};
use tickless::net::{
    Array, Conv, During, InputKind, Leak, LeakRule, Network, NetworkBuilder, Neuron, NodeId, Period, Pool, PoolKind,
    Recurrent, RecurrentKind, Refractory, Reset, Shape, Weights,
};
use tickless::train::device::device;
use tickless::train::model::{Model, NormMode, Pass, Sequence};
use tickless_testing::generate::Rng;

/// Rows and columns of the sensor.
const SIDE: usize = 6;
/// Steps in training, and their duration in µs.
const T_MAX: usize = 10;
const STEP_US: u64 = 1000;
/// Duration of a fine step in µs, and the number of them.
const FINE_US: u64 = 100;
const FINE: usize = T_MAX * (STEP_US / FINE_US) as usize;

fn neuron(r: &mut Rng) -> Neuron {
    let period = r.pick(&[Period::Us(200.0), Period::Us(500.0), Period::Steps(0.3), Period::Steps(1.0)]);
    Neuron {
        reset: Reset::Soft,
        threshold: r.pick(&[0.7, 1.0, 1.6]),
        leak: r.pick(&[Leak::None, Leak::Step(0.6), Leak::Time(700.0), Leak::Time(5000.0)]),
        fire_at_threshold: r.pick(&[true, false]),
        refractory: Some(Refractory { period, during: During::Integrate }),
        v_min: r.pick(&[None, Some(-0.5)]),
        ..Neuron::lif()
    }
}

/// Neurons with or without thresholds per channel and recurrent connections.
fn neurons(r: &mut Rng, b: &mut NetworkBuilder, from: NodeId, channels: usize) -> NodeId {
    let n = neuron(r);
    let id = b.neuron(from, n);
    if r.below(2) == 0 {
        b.thresholds(id, (0..channels).map(|_| n.threshold * r.pick(&[0.6, 1.0, 1.5])).collect());
    }
    if r.below(3) > 0 {
        let kind = r.pick(&[RecurrentKind::Dense, RecurrentKind::OneToOne]);
        b.recurrent(id, Recurrent { kind, delay_us: r.pick(&[None, Some(100.0), Some(300.0), Some(2500.0)]) });
    }
    id
}

fn network(r: &mut Rng) -> Network {
    let mut b = NetworkBuilder::new("chain", Shape::new(2, SIDE, SIDE), InputKind::Events);
    let (first, second) = (2 * (1 + r.below(2)), 3 + r.below(3));
    let at = b.ttm(b.input());
    let at = b.conv(at, Conv { groups: r.pick(&[1, 2]), ..Conv::square(first, r.pick(&[2, 3]), r.pick(&[1, 2]), 1) });
    let at = neurons(r, &mut b, at, first);
    let at = b.pool(at, Pool::square(r.pick(&[PoolKind::Average, PoolKind::Sum]), 2, 2, 0));
    let at = b.ttm(at);
    let at = b.linear(at, second, false);
    let at = neurons(r, &mut b, at, second);
    b.linear(at, 3, false);
    b.build().unwrap()
}

/// Weights from 0 to `largest`; those of recurrent connections are smaller, so activity ends.
fn weights(r: &mut Rng, network: &Network) -> Weights {
    let mut all = Weights::default();
    for (_, name, spec) in network.tensors() {
        let largest = if spec.name == "recurrent" { 0.3 } else { 0.6 };
        let data = (0..spec.shape.iter().product()).map(|_| largest * r.unit().abs()).collect();
        all.insert(name, Array::new(spec.shape, data));
    }
    all
}

/// Events at multiples of the fine step.
fn events(r: &mut Rng) -> Vec<Event> {
    let mut steps: Vec<u64> = (0..80).map(|_| r.below(FINE) as u64).collect();
    steps.sort_unstable();
    let at = |r: &mut Rng| (r.below(SIDE) as u16, r.below(SIDE) as u16, r.below(2) == 0);
    steps
        .into_iter()
        .map(|step| {
            let (x, y, on) = at(r);
            Event { t_us: step * FINE_US, x, y, on }
        })
        .collect()
}

/// The readout after the whole recording, from the trainer.
fn clocked(network: &Network, weights: &Weights, events: &[Event]) -> Vec<f64> {
    let device = device("cpu").unwrap();
    let model = Model::new(Arc::new(network.clone()), weights, &device).unwrap();
    let mut frames = vec![0.0f32; FINE * 2 * SIDE * SIDE];
    for e in events {
        let step = (e.t_us / FINE_US) as usize;
        frames[((step * 2 + usize::from(e.on)) * SIDE + usize::from(e.y)) * SIDE + usize::from(e.x)] += 1.0;
    }
    let input = Sequence::from_values(frames, [FINE, 1, 2, SIDE, SIDE], &device);
    let configuration = vec![FINE; network.stages()];
    let pass = Pass {
        configuration: &configuration,
        norm: NormMode::Running,
        leak: LeakRule::Time,
        t_max: T_MAX,
        step_us: Some(STEP_US as f64),
    };
    let mut rng = tickless::train::seed::rng(0, "test", 0);
    let logits = model.forward(&model.constants(), input, &pass, &mut rng, None).unwrap().logits;
    let logits: Vec<f32> = logits.into_data().try_into_vec().unwrap();
    let mut sums = vec![0.0; network.output().len()];
    logits.chunks(sums.len()).for_each(|step| sums.iter_mut().zip(step).for_each(|(s, v)| *s += f64::from(*v)));
    sums
}

/// The readout from the engine, and the number of spikes of each layer.
fn event_driven(network: &Network, weights: &Weights, events: &[Event]) -> (Vec<f64>, Vec<u64>) {
    let options = CompileOptions { step_us: Some(STEP_US as f64), ..CompileOptions::default() };
    let program = Program::compile(network, weights, &options).unwrap();
    let sensor = Sensor { width: SIDE as u16, height: SIDE as u16 };
    let recording = Recording::from_events(sensor, events).unwrap().0;
    let (mut session, mut counts) = (Session::new(&program), NeuronCounts::new(&program));
    session.feed_into(&recording, &mut counts).unwrap();
    // The moment of the last step.
    session.advance_into((FINE as u64 - 1) * FINE_US, &mut counts).unwrap();
    let mut sums = Vec::new();
    session.copy_readout(&mut sums);
    (sums, session.spikes().to_vec())
}

#[test]
fn the_trainer_at_fine_steps_and_the_engine_have_the_same_readout() {
    let (mut recurrent, mut spikes) = (0, 0);
    for seed in 0..60 {
        let mut r = Rng(seed);
        let network = network(&mut r);
        let weights = weights(&mut r, &network);
        let events = events(&mut r);
        let (engine, fired) = event_driven(&network, &weights, &events);
        let trainer = clocked(&network, &weights, &events);
        let largest = engine.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        for (a, b) in engine.iter().zip(&trainer) {
            assert!((a - b).abs() <= 1e-4 * (1.0 + largest), "seed {seed}: {engine:?} and {trainer:?}\n{network:#?}");
        }
        recurrent += network.nodes().iter().filter(|n| n.recurrent.is_some()).count();
        spikes += fired.iter().sum::<u64>();
    }
    assert!(recurrent > 40 && spikes > 3000, "{recurrent} recurrent layers, {spikes} spikes");
}
