//! Recurrent connections: the engine beside a simulation event by event, and beside the clock at
//! fine steps.

use proptest::prelude::*;
use std::collections::VecDeque;
use tickless_engine::{CompileOptions, Error, Isa, Program, Session, Trace};
use tickless_net::{
    Array, Conv, InputKind, Layer, Leak, Network, NetworkBuilder, Neuron, Recurrent, RecurrentKind, Reset, Shape,
    SpikeMode, Weights,
};
use tickless_testing::generate::Rng;
use tickless_testing::{clocked, event_driven};

/// Neurons on the input itself, with recurrent connections, and their readout.
fn network(n: Neuron, recurrent: Recurrent, shape: Shape, thresholds: Option<Vec<f32>>) -> Network {
    let mut b = NetworkBuilder::new("recurrent", shape, InputKind::Events);
    let id = b.add("n", Layer::Neuron(n), &[b.input()]);
    b.recurrent(id, recurrent);
    if let Some(all) = thresholds {
        b.thresholds(id, all);
    }
    b.linear(id, 3, false);
    b.build().unwrap()
}

/// Weights that are multiples of 1/256, so that all sums are exact.
fn weights(r: &mut Rng, net: &Network, (low, high): (i64, i64)) -> Weights {
    let mut all = Weights::default();
    for (_, name, spec) in net.tensors() {
        let n = spec.shape.iter().product();
        let value = |r: &mut Rng| (r.below((high - low) as usize + 1) as i64 + low) as f32 / 256.0;
        all.insert(name, Array::new(spec.shape, (0..n).map(|_| value(r)).collect()));
    }
    all
}

/// Spikes (t, neuron in (c, y, x) order) event by event: before an input event, all spikes that
/// arrive until then, in the order in which they were fired.
fn by_hand(net: &Network, w: &Weights, events: &[[u64; 4]], delay_us: u64) -> Vec<(u64, usize)> {
    let node = &net.nodes()[0];
    let Layer::Neuron(n) = node.layer else { unreachable!() };
    let (s, array) = (node.output, w.get("n.recurrent").unwrap());
    let scale = node.input_scale().unwrap_or_else(|| vec![1.0; s.channels]);
    let positions = s.height * s.width;
    let mut v = vec![0.0; s.len()];
    let mut late: VecDeque<(u64, usize)> = VecDeque::new();
    let mut spikes = Vec::new();
    let mut hit = |t: u64, i: usize, weight: f64, v: &mut Vec<f64>, late: &mut VecDeque<(u64, usize)>| {
        v[i] += weight * f64::from(scale[i / positions]);
        let (count, after) = clocked::fire(&n, v[i]);
        v[i] = after;
        for _ in 0..count as usize {
            spikes.push((t, i));
            late.push_back((t + delay_us, i));
        }
    };
    for &[t, c, y, x] in events {
        while let Some((at, from)) = late.front().copied().filter(|l| l.0 <= t) {
            late.pop_front();
            let (channel, place) = (from / positions, from % positions);
            match array.shape.len() {
                1 => hit(at, from, array.data[channel].into(), &mut v, &mut late),
                _ => (0..s.channels).for_each(|to| {
                    let weight = array.data[to * s.channels + channel];
                    hit(at, to * positions + place, weight.into(), &mut v, &mut late);
                }),
            }
        }
        hit(t, (c as usize * s.height + y as usize) * s.width + x as usize, 1.0, &mut v, &mut late);
    }
    spikes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spikes_return_after_their_delay_in_order(seed: u64, dense: bool, own: bool, delay_us in 1u64..2000) {
        let mut r = Rng(seed);
        let shape = Shape::new(1 + r.below(5), 1 + r.below(3), 1 + r.below(3));
        let kind = if dense { RecurrentKind::Dense } else { RecurrentKind::OneToOne };
        let n = Neuron {
            threshold: r.pick(&[0.5, 1.0, 1.5]),
            v_min: r.pick(&[None, Some(-1.0)]),
            spikes: r.pick(&[SpikeMode::Single, SpikeMode::Multi]),
            reset: r.pick(&[Reset::Hard, Reset::Soft]),
            ..Neuron::if_multi()
        };
        let thresholds = own.then(|| (0..shape.channels).map(|_| n.threshold * r.pick(&[0.5, 1.0, 2.0])).collect());
        let net = network(n, Recurrent { kind, delay_us: Some(delay_us as f64) }, shape, thresholds);
        // The positive weights of a neuron add up to less than the lowest threshold, so no spike
        // causes more than one.
        let w = weights(&mut r, &net, (-100, 12));
        let mut t = 0;
        let events: Vec<[u64; 4]> = (0..60).map(|_| {
            t += r.pick(&[0, 0, 1, 9, 300, 2500]);
            [t, r.below(shape.channels) as u64, r.below(shape.height) as u64, r.below(shape.width) as u64]
        }).collect();
        let simd = Some(r.pick(&Isa::available()));
        let program = Program::compile(&net, &w, &CompileOptions { simd, ..CompileOptions::default() }).unwrap();
        let (mut session, mut trace) = (Session::new(&program), Trace::default());
        for round in 0..2 {
            for &[t, c, y, x] in &events {
                session.push_at(t, c as usize, y as usize, x as usize, &mut trace).unwrap();
            }
            let index = |c: usize, y: usize, x: usize| (c * shape.height + y) * shape.width + x;
            let ours: Vec<(u64, usize)> = trace.of(0).map(|s| (s.t_us, index(s.channel, s.y, s.x))).collect();
            let expected = by_hand(&net, &w, &events, delay_us);
            prop_assert_eq!(ours.len(), expected.len() * (round + 1));
            prop_assert_eq!(&ours[expected.len() * round..], &expected[..], "a reset forgets what is on its way");
            session.reset();
        }
    }
}

/// Two layers with recurrent connections, with a merge around the first, or without.
fn deep(r: &mut Rng, shape: Shape) -> Network {
    let n = |r: &mut Rng| Neuron {
        threshold: r.pick(&[0.5, 1.0]),
        v_min: r.pick(&[None, Some(-1.0)]),
        spikes: r.pick(&[SpikeMode::Single, SpikeMode::Multi]),
        reset: r.pick(&[Reset::Hard, Reset::Soft]),
        ..Neuron::if_multi()
    };
    let kind = |r: &mut Rng| r.pick(&[RecurrentKind::Dense, RecurrentKind::OneToOne]);
    // Short delays, so that spikes of both layers return at the time of an event.
    let delay = |r: &mut Rng| Some(r.pick(&[1.0, 2.0, 3.0, 300.0]));
    let mut b = NetworkBuilder::new("deep", shape, InputKind::Events);
    let input = b.conv(b.input(), Conv::c3(shape.channels));
    let neuron = n(r);
    let first = b.add("first", Layer::Neuron(neuron), &[input]);
    b.recurrent(first, Recurrent { kind: kind(r), delay_us: delay(r) });
    let merged = match r.below(2) {
        0 => first,
        _ => {
            let beside = b.neuron(input, neuron);
            b.add("merge", Layer::Add, &[first, beside])
        }
    };
    let at = b.linear(merged, 4, false);
    let neuron = n(r);
    let second = b.add("second", Layer::Neuron(neuron), &[at]);
    b.recurrent(second, Recurrent { kind: kind(r), delay_us: delay(r) });
    b.linear(second, 2, false);
    b.build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The law of `laws.rs`, with spikes that return: spikes, their order and causes, membranes,
    /// logits and operations.
    #[test]
    fn layer_by_layer_equals_the_engine_with_recurrent_connections(seed: u64) {
        let mut r = Rng(seed);
        let shape = Shape::new(1 + r.below(2), 2 + r.below(2), 2 + r.below(3));
        let net = deep(&mut r, shape);
        let mut w = weights(&mut r, &net, (-128, 128));
        // As above, no spike causes more than one.
        for (name, a) in &mut w.tensors {
            if name.ends_with(".recurrent") {
                a.data.iter_mut().for_each(|v| *v = v.min(28.0 / 256.0));
            }
        }
        let (mut t, s) = (0, net.input().shape);
        let events: Vec<[u64; 4]> = (0..40).map(|_| {
            t += r.pick(&[0, 0, 1, 2, 300]);
            [t, r.below(s.channels) as u64, r.below(s.height) as u64, r.below(s.width) as u64]
        }).collect();
        let simd = Some(r.pick(&Isa::available()));
        let program = Program::compile(&net, &w, &CompileOptions { simd, ..CompileOptions::default() }).unwrap();
        let (mut session, mut trace) = (Session::new(&program), Trace::default());
        for &[t, c, y, x] in &events {
            // The engine refuses to go on if too many spikes are on their way.
            let pushed = session.push_at(t, c as usize, y as usize, x as usize, &mut trace);
            prop_assume!(!matches!(pushed, Err(Error::Flood { .. })));
            pushed.unwrap();
        }
        let law = event_driven::run(&net, &w, &events);
        for (l, expected) in law.spikes.iter().enumerate() {
            let expected: Vec<_> = expected.iter().map(|e| (e.t_us, e.cause, e.place)).collect();
            let ours: Vec<_> = trace.of(l).map(|s| (s.t_us, s.cause, (s.channel, s.y, s.x))).collect();
            prop_assert_eq!(ours, expected, "layer {} of {:#?}", l, &net);
            let membranes: Vec<f64> = session.membranes(l).unwrap().into_iter().map(f64::from).collect();
            prop_assert_eq!(membranes, &law.membranes[l].data[..]);
        }
        prop_assert_eq!(session.synaptic_ops(), law.ops);
        let logits: Vec<f64> = session.logits().into_iter().map(f64::from).collect();
        prop_assert_eq!(&logits, &law.logits);
    }
}

#[test]
fn at_fine_steps_the_clock_fires_as_the_engine() {
    [100.0, 1000.0, 30_000.0].into_iter().for_each(at_fine_steps);
}

fn at_fine_steps(delay_us: f64) {
    let mut r = Rng(5);
    let n = Neuron { leak: Leak::Time(60_000.0), spikes: SpikeMode::Multi, reset: Reset::Soft, ..Neuron::if_multi() };
    let shape = Shape::vector(40);
    let delay = Recurrent { kind: RecurrentKind::Dense, delay_us: Some(delay_us) };
    let net = network(Neuron { threshold: 2.0, ..n }, delay, shape, None);
    // The scale of initial weights, 1/√40.
    let w = weights(&mut r, &net, (-40, 40));
    let (mut engine, mut clock, mut apart) = (0.0, 0.0, 0.0);
    for _ in 0..5 {
        let mut t = 0;
        let events: Vec<[u64; 4]> = (0..4000)
            .map(|_| {
                // About one event in two steps.
                t += 1 + r.below(400) as u64;
                [t, r.below(40) as u64, 0, 0]
            })
            .collect();
        let program = Program::compile(&net, &w, &CompileOptions::default()).unwrap();
        let (mut session, mut trace) = (Session::new(&program), Trace::default());
        for &[t, c, y, x] in &events {
            session.push_at(t, c as usize, y as usize, x as usize, &mut trace).unwrap();
        }
        let steps = (t / 100 + 1) as usize;
        let frames = clocked::frames(&net, &events, steps, |k| (events[k][0] / 100) as usize);
        let counts = &clocked::run(&net, &w, &frames, Some(100.0)).counts[0];
        let mut ours = vec![0.0; 40];
        trace.of(0).for_each(|s| ours[s.channel] += 1.0);
        engine += ours.iter().sum::<f64>();
        clock += counts.iter().sum::<f64>();
        apart += counts.iter().zip(&ours).map(|(a, b)| (a - b).abs()).sum::<f64>();
    }
    assert!(engine > 1000.0, "{engine} spikes");
    assert!(apart / clock <= 0.01, "{apart} of {clock} spikes differ at a delay of {delay_us} µs");
    // Without the connections the network fires differently, so they matter here.
    let mut off = w.clone();
    off.tensors.get_mut("n.recurrent").unwrap().data.fill(0.0);
    let spikes = |w: &Weights| {
        let program = Program::compile(&net, w, &CompileOptions::default()).unwrap();
        let mut session = Session::new(&program);
        (0..2000u64).for_each(|k| session.push_at(k * 60, (k * 7 % 40) as usize, 0, 0, &mut ()).unwrap());
        session.spikes()[0]
    };
    assert_ne!(spikes(&w), spikes(&off));
}

#[test]
fn without_a_delay_it_is_one_step_and_without_either_the_layer_is_named() {
    let recurrent = Recurrent { kind: RecurrentKind::OneToOne, delay_us: None };
    let net = network(Neuron::if_multi(), recurrent, Shape::vector(2), None);
    let w = weights(&mut Rng(1), &net, (-50, 50));
    let e = Program::compile(&net, &w, &CompileOptions::default()).unwrap_err().to_string();
    assert!(e.contains("`n`") && e.contains("recurrent") && e.contains("`delay_us`"), "{e}");
    let options = CompileOptions { step_us: Some(700.0), ..CompileOptions::default() };
    let mut strong = w;
    strong.tensors.get_mut("n.recurrent").unwrap().data.fill(1.0);
    let program = Program::compile(&net, &strong, &options).unwrap();
    let (mut session, mut trace) = (Session::new(&program), Trace::default());
    session.push_at(10, 0, 0, 0, &mut trace).unwrap();
    session.advance_into(10 + 3 * 700, &mut trace).unwrap();
    assert_eq!(trace.of(0).map(|s| s.t_us).collect::<Vec<_>>(), [10, 710, 1410, 2110]);
}

#[test]
fn connections_that_excite_their_neurons_without_end_are_an_error_and_not_an_endless_run() {
    let recurrent = Recurrent { kind: RecurrentKind::Dense, delay_us: Some(1.0) };
    let net = network(Neuron::if_multi(), recurrent, Shape::vector(8), None);
    let mut w = weights(&mut Rng(1), &net, (0, 10));
    w.tensors.get_mut("n.recurrent").unwrap().data.fill(1.0);
    let program = Program::compile(&net, &w, &CompileOptions::default()).unwrap();
    let mut session = Session::new(&program);
    session.push_at(0, 0, 0, 0, &mut ()).unwrap();
    let e = session.push_at(1_000_000, 0, 0, 0, &mut ()).unwrap_err();
    assert!(matches!(&e, Error::Flood { layer, .. } if layer == "n"), "{e}");
    session.reset();
    session.push_at(0, 0, 0, 0, &mut ()).unwrap();
}
