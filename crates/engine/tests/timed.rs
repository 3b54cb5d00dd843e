//! Neurons that fire by themselves, with a synaptic current or an adaptive threshold, with and
//! without a refractory period.

use proptest::prelude::*;
use tickless_engine::{
    AsyncSession, Asynchrony, CompileOptions, Event, NeuronCounts, Program, Recording, Session, Trace,
};
use tickless_events::Sensor;
use tickless_net::{
    Adaptation, Array, Conv, During, InputKind, Layer, Leak, LeakRule, Network, NetworkBuilder, Neuron, NodeId, Period,
    Refractory, Reset, Shape, Weights,
};
use tickless_testing::clocked;
use tickless_testing::generate::Rng;
use tickless_testing::layers::{Map, linear};

/// Duration of a step at T_max in µs.
const STEP_US: f64 = 1000.0;

fn neurons() -> Vec<Neuron> {
    let slow = Some(Leak::Step(0.9));
    let fast = Some(Adaptation { increment: 0.5, leak: Leak::Step(0.3) });
    let half = Refractory::steps(0.5);
    let held = Some(Refractory { during: During::Hold, ..half });
    vec![
        Neuron::cuba_lif(),
        Neuron { synapse: slow, reset: Reset::Soft, leak: Leak::None, ..Neuron::cuba_lif() },
        Neuron { synapse: Some(Leak::Time(700.0)), leak: Leak::Time(2500.0), ..Neuron::cuba_lif() },
        Neuron::adaptive_lif(),
        Neuron { adaptation: fast, leak: Leak::Step(0.9), ..Neuron::adaptive_lif() },
        Neuron { adaptation: fast, ..Neuron::cuba_lif() },
        Neuron { refractory: Some(half), ..Neuron::cuba_lif() },
        Neuron { refractory: held, synapse: slow, reset: Reset::Soft, ..Neuron::cuba_lif() },
        Neuron { refractory: Some(half), adaptation: fast, ..Neuron::adaptive_lif() },
    ]
}

/// A network of two layers with these neurons and a readout.
fn network(first: Neuron, second: Neuron) -> Network {
    let mut b = NetworkBuilder::new("timed", Shape::new(2, 4, 4), InputKind::Events);
    let conv = b.conv(b.input(), Conv::c3(2));
    let at = b.neuron(conv, first);
    let at = b.linear(at, 3, false);
    let at = b.neuron(at, second);
    b.linear(at, 2, false);
    b.build().unwrap()
}

/// A residual network with these neurons, in which the second layer reads the sum of two branches.
fn residual(first: Neuron, second: Neuron) -> Network {
    let mut b = NetworkBuilder::new("timed", Shape::new(2, 4, 4), InputKind::Events);
    let conv = b.conv(b.input(), Conv::c3(2));
    let at = b.neuron(conv, first);
    let branch = b.conv(at, Conv::c3(2));
    let sum = b.add("", Layer::Add, &[branch, at]);
    let at = b.neuron(sum, second);
    b.linear(at, 2, false);
    b.build().unwrap()
}

fn weights(rng: &mut Rng, net: &Network) -> Weights {
    let mut all = Weights::default();
    for (_, name, spec) in net.tensors() {
        let data = (0..spec.shape.iter().product()).map(|_| rng.below(1000) as f32 / 1300.0 - 0.2).collect();
        all.insert(name, Array::new(spec.shape, data));
    }
    all
}

fn events(rng: &mut Rng, count: usize) -> Vec<[u64; 4]> {
    let mut t = 0;
    let mut event = || {
        t += rng.pick(&[0, 1, 40, 300, 900, 2500]);
        [t, rng.below(2) as u64, rng.below(4) as u64, rng.below(4) as u64]
    };
    (0..count).map(|_| event()).collect()
}

fn recording(events: &[[u64; 4]]) -> Recording {
    let event = |&[t_us, c, y, x]: &[u64; 4]| Event { t_us, x: x as u16, y: y as u16, on: c == 1 };
    let all: Vec<Event> = events.iter().map(event).collect();
    Recording::from_events(Sensor { width: 4, height: 4 }, &all).unwrap().0
}

fn compile(net: &Network, weights: &Weights) -> Program {
    let options = CompileOptions { step_us: Some(STEP_US), ..CompileOptions::default() };
    Program::compile(net, weights, &options).unwrap()
}

/// Spike counts of every neuron in both layers.
fn counts(net: &Network, weights: &Weights, events: &[[u64; 4]], end: u64) -> Vec<Vec<f64>> {
    let program = compile(net, weights);
    let (mut session, mut counts) = (Session::new(&program), NeuronCounts::new(&program));
    session.feed_into(&recording(events), &mut counts).unwrap();
    session.advance_into(end, &mut counts).unwrap();
    (0..2).map(|l| counts.layer(l).iter().map(|&n| n as f64).collect()).collect()
}

/// The counts of a clocked run of a chain, with all layers in the same step. Implements the
/// equations of the neuron's description directly, for single spikes and leak per time.
#[allow(clippy::needless_range_loop, reason = "five maps are indexed by one neuron")]
fn clocked_counts(net: &Network, weights: &Weights, frames: &[Map], t_max: usize) -> Vec<Vec<f64>> {
    let nodes = net.nodes();
    let zeros = || -> Vec<Map> { nodes.iter().map(|n| Map::zeros(n.output)).collect() };
    let (mut v, mut i, mut a, mut counts) = (zeros(), zeros(), zeros(), zeros());
    // Remaining dead steps of each neuron.
    let mut dead = zeros();
    for frame in frames {
        let mut map = frame.clone();
        for (l, node) in nodes.iter().enumerate() {
            assert!(matches!(node.from[..], [NodeId::Input]) == (l == 0), "a chain");
            let Layer::Neuron(n) = node.layer else {
                map = linear(net, weights, l, &map);
                continue;
            };
            let decay =
                |leak: Leak, steps: usize| f64::from(leak.lambda(LeakRule::Time, t_max, steps, Some(STEP_US)).unwrap());
            let lambda = decay(n.leak, frames.len());
            let (of_current, charge) = n.synapse.map_or((0.0, 1.0), |leak| {
                let (now, trained) = (decay(leak, frames.len()), decay(leak, t_max));
                (now, (1.0 - now) / (1.0 - trained))
            });
            let (of_threshold, beta) =
                n.adaptation.map_or((0.0, 0.0), |a| (decay(a.leak, frames.len()), f64::from(a.increment)));
            let (apart, held) = n.refractory.map_or((1.0, false), |r| {
                let Period::Steps(rho) = r.period else { unreachable!("periods of this file are in steps") };
                ((rho * frames.len() as f64 / t_max as f64).ceil(), r.during == During::Hold)
            });
            for k in 0..map.data.len() {
                i[l].data[k] = of_current * i[l].data[k] + map.data[k];
                let rests = dead[l].data[k] > 0.0;
                let u = match rests && held {
                    true => v[l].data[k],
                    false => lambda * v[l].data[k] + charge * i[l].data[k],
                };
                let theta = f64::from(n.threshold) + of_threshold * a[l].data[k];
                let s = f64::from(u8::from(u > theta && !rests));
                dead[l].data[k] = if s > 0.0 { apart - 1.0 } else { (dead[l].data[k] - 1.0).max(0.0) };
                v[l].data[k] = if n.reset == Reset::Hard { u * (1.0 - s) } else { u - theta * s };
                a[l].data[k] = of_threshold * a[l].data[k] + beta * s;
                counts[l].data[k] += s;
                map.data[k] = s;
            }
        }
    }
    net.spiking().into_iter().map(|l| counts[l].data.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// A clocked run at steps of 2 µs, with all layers in the same step, gives every neuron the
    /// engine's number of spikes, except in cases where moving every threshold by 1 % changes a
    /// count. Inputs of one step act together, so the events have different steps. Several spikes
    /// can reach the second layer in one step, so its neurons have a synapse, for which the order
    /// within a step does not matter.
    #[test]
    fn a_clocked_run_at_fine_steps_gives_the_engines_counts(seed: u64) {
        let mut rng = Rng(seed);
        let all = neurons();
        let behind: Vec<Neuron> = all.iter().copied().filter(|n| n.synapse.is_some()).collect();
        let net = network(rng.pick(&all), rng.pick(&behind));
        let weights = weights(&mut rng, &net);
        let apart = |(k, e): (usize, &[u64; 4])| [e[0] + 4 * k as u64, e[1], e[2], e[3]];
        let events: Vec<_> = events(&mut rng, 16).iter().enumerate().map(apart).filter(|e| e[0] < 19_000).collect();
        let end = 20_000;
        let moved = |f: f32| net.map_neurons(|_, n| Neuron { threshold: n.threshold * f, ..n });
        let exact = counts(&net, &weights, &events, end);
        let sure = |f: f32| counts(&moved(f), &weights, &events, end) == exact;
        prop_assume!(sure(0.99) && sure(1.01));
        let frames = clocked::frames(&net, &events, end as usize / 2, |k| events[k][0] as usize / 2);
        let t_max = (end as f64 / STEP_US) as usize;
        let fine = clocked_counts(&net, &weights, &frames, t_max);
        prop_assert_eq!(&exact[..], &fine[..], "{:#?}", net);
    }

    /// Splitting a stream into pushes and letting time pass between them does not change the
    /// result.
    #[test]
    fn time_that_passes_between_events_changes_nothing(seed: u64, chain: bool) {
        let mut rng = Rng(seed);
        let all = neurons();
        let net = if chain { network } else { residual }(rng.pick(&all), rng.pick(&all));
        let weights = weights(&mut rng, &net);
        let events = events(&mut rng, 30);
        let program = compile(&net, &weights);
        let (mut whole, mut parts) = (Session::new(&program), Session::new(&program));
        let (mut told, mut again) = (Trace::default(), Trace::default());
        whole.feed_into(&recording(&events), &mut told).unwrap();
        let bytes = parts.state_bytes();
        for &[t, c, y, x] in &events {
            let now = parts.now_us();
            parts.advance_into(now + (t - now) / 2, &mut again).unwrap();
            parts.advance_into(t, &mut again).unwrap();
            parts.push_at(t, c as usize, y as usize, x as usize, &mut again).unwrap();
        }
        prop_assert_eq!(parts.state_bytes(), bytes, "a session's memory does not grow");
        prop_assert_eq!(&told, &again);
        prop_assert_eq!(whole.logits(), parts.logits());
        let mut silent = Session::new(&program);
        silent.feed(&recording(&events)).unwrap();
        prop_assert_eq!(silent.logits(), whole.logits());
        whole.reset();
        whole.feed(&recording(&events)).unwrap();
        prop_assert_eq!(silent.spikes(), whole.spikes());
        prop_assert!(told.spikes.windows(2).all(|s| chain || s[0].t_us <= s[1].t_us));
    }

    /// Without delays the model of asynchrony equals the engine.
    #[test]
    fn asynchrony_without_delays_is_the_engine(seed: u64, chain: bool) {
        let mut rng = Rng(seed);
        let all = neurons();
        let net = if chain { network } else { residual }(rng.pick(&all), rng.pick(&all));
        let weights = weights(&mut rng, &net);
        let events = events(&mut rng, 30);
        let program = compile(&net, &weights);
        let mut session = Session::new(&program);
        // The model counts times from the first event, so the recording starts at 0.
        let first = events[0][0];
        let events: Vec<_> = events.iter().map(|e| [e[0] - first, e[1], e[2], e[3]]).collect();
        session.feed(&recording(&events)).unwrap();
        let mut model = AsyncSession::new(&program, &Asynchrony::default()).unwrap();
        model.run(&recording(&events), 0, &mut ()).unwrap();
        prop_assert_eq!(model.spikes(), session.spikes());
        prop_assert_eq!(model.logits(), session.logits());
        prop_assert_eq!(model.synaptic_ops(), session.synaptic_ops());
    }
}

/// A network of one neuron that reads one pixel with weight 0.8.
fn one(neuron: Neuron) -> (Network, Weights) {
    let mut b = NetworkBuilder::new("one", Shape::new(1, 1, 1), InputKind::Events);
    let at = b.linear(b.input(), 1, false);
    b.neuron(at, neuron);
    let net = b.build().unwrap();
    let mut weights = Weights::default();
    weights.insert("linear1.weight", Array::full(&[1, 1], 0.8));
    (net, weights)
}

#[test]
fn a_neuron_with_a_current_fires_when_time_passes_and_at_its_own_moment() {
    let neuron = Neuron { leak: Leak::None, ..Neuron::cuba_lif() };
    let (net, weights) = one(neuron);
    let (mut session, mut trace) = (Session::new(&compile(&net, &weights)), Trace::default());
    session.push_at(500, 0, 0, 0, &mut trace).unwrap();
    // The charge is 1.6; 1 of it has arrived after τ_s·ln(1.6/0.6), τ_s = 1000/ln 2.
    let due = 500 + (1000.0 / 2f64.ln() * (1.6f64 / 0.6).ln()).ceil() as u64;
    session.advance_into(due - 1, &mut trace).unwrap();
    assert!(trace.spikes.is_empty());
    let before = session.membranes(0).unwrap()[0];
    assert!(before < 1.0 && before > 0.999, "{before}");
    session.advance_into(due, &mut trace).unwrap();
    assert_eq!((trace.spikes[0].t_us, trace.spikes[0].cause, session.counts()), (due, 0, &[1][..]));
    assert_eq!(session.membranes(0).unwrap(), [0.0]);
}

#[test]
fn what_an_event_driven_run_lacks_is_named() {
    for (neuron, quantised, step_us, expected) in [
        (Neuron::cuba_lif(), false, None, "step_us"),
        (
            Neuron { leak: Leak::None, synapse: Some(Leak::Time(500.0)), ..Neuron::cuba_lif() },
            false,
            None,
            "synaptic current",
        ),
        (Neuron { v_min: Some(-1.0), ..Neuron::cuba_lif() }, false, Some(STEP_US), "no lower limit"),
        (Neuron { leak: Leak::None, ..Neuron::adaptive_lif() }, true, Some(STEP_US), "8-bit"),
        (
            Neuron { refractory: Some(Refractory::steps(1.0)), leak: Leak::None, ..Neuron::lif() },
            false,
            None,
            "`step_us`",
        ),
    ] {
        let (net, weights) = one(neuron);
        let options = CompileOptions { step_us, quantised, ..CompileOptions::default() };
        let e = Program::compile(&net, &weights, &options).unwrap_err().to_string();
        assert!(e.contains("neuron1") && e.contains(expected), "{e}");
    }
}

#[test]
fn a_learned_decay_is_the_leak_that_training_found() {
    let (net, mut weights) = one(Neuron::parametric_lif());
    let decay = tickless_net::neuron::model::learned_decay(0.75);
    weights.insert("neuron1.decay", Array::full(&[1], decay));
    let lambda = tickless_net::neuron::model::learned_lambda(decay);
    let (fixed, plain) = one(Neuron { leak: Leak::Step(lambda), ..Neuron::lif() });
    let run = |net: &Network, weights: &Weights| {
        let mut session = Session::new(&compile(net, weights));
        for t in [0, 300, 2000, 2100] {
            session.push_at(t, 0, 0, 0, &mut ()).unwrap();
        }
        (session.counts().to_vec(), session.membranes(0).unwrap())
    };
    assert_eq!(run(&net, &weights), run(&fixed, &plain));
}
