//! Properties of the event-driven engine on random networks, weights and events.

use proptest::prelude::*;
use tickless_engine::{CompileOptions, Event, Isa, Program, Recording, Session, Trace};
use tickless_events::Sensor;
use tickless_net::{Conv, During, InputKind, Network, NetworkBuilder, Neuron, Period, Refractory, Shape, Weights};
use tickless_testing::event_driven::Reference;
use tickless_testing::generate::Rng;
use tickless_testing::generate::exact::{Wish, events, network, weights};
use tickless_testing::{clocked, event_driven};

const CHAIN: Wish = Wish {
    residual: false,
    negative: true,
    any_neuron: false,
    limit: false,
    leak: false,
    refractory: false,
    any_layer: false,
    blocks: 2,
};

struct Sample {
    net: Network,
    weights: Weights,
    events: Vec<[u64; 4]>,
    rng: Rng,
}

fn sample(seed: u64, wish: Wish, count: usize) -> Sample {
    let mut rng = Rng(seed);
    let net = network(&mut rng, wish);
    let weights = weights(&mut rng, &net, wish.negative);
    let events = events(&mut rng, &net, count);
    Sample { net, weights, events, rng }
}

impl Sample {
    /// The program, compiled for a random one of the machine's instruction sets.
    fn program(&self) -> Program {
        let simd = Some(Rng(self.rng.0).pick(&Isa::available()));
        Program::compile(&self.net, &self.weights, &CompileOptions { simd, ..CompileOptions::default() }).unwrap()
    }

    fn engine(&self) -> (Session, Trace) {
        let (mut session, mut trace) = (Session::new(&self.program()), Trace::default());
        push(&mut session, &self.events, &mut trace);
        (session, trace)
    }
}

fn push(session: &mut Session, events: &[[u64; 4]], trace: &mut Trace) {
    for &[t, c, y, x] in events {
        session.push_at(t, c as usize, y as usize, x as usize, trace).unwrap();
    }
}

/// Checks that spikes, their order, logits and operations of the engine equal those of the
/// reference, which runs layer by layer.
fn same_as_layer_by_layer(s: &Sample) -> Result<Reference, TestCaseError> {
    let (session, trace) = s.engine();
    let law = event_driven::run(&s.net, &s.weights, &s.events);
    for (l, expected) in law.spikes.iter().enumerate() {
        let expected: Vec<_> = expected.iter().map(|e| (e.t_us, e.cause, e.place)).collect();
        let got: Vec<_> = trace.of(l).map(|s| (s.t_us, s.cause, (s.channel, s.y, s.x))).collect();
        prop_assert_eq!(got, expected, "layer {} of {:#?}", l, s.net);
    }
    prop_assert_eq!(session.synaptic_ops(), law.ops);
    if session.program().output_layer().is_none() {
        let logits: Vec<f64> = session.logits().into_iter().map(f64::from).collect();
        prop_assert_eq!(&logits, &law.logits);
    }
    Ok(law)
}

fn counts(session: &Session) -> Vec<f64> {
    session.logits().into_iter().map(f64::from).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// On chains, the engine equals a run layer by layer with one input event per clock step, in
    /// which neurons that no event reaches do not change.
    #[test]
    fn layer_by_layer_equals_the_engine_on_chains(seed: u64, refractory: bool, blocks in 1usize..4) {
        let s = sample(seed, Wish { any_neuron: true, limit: true, refractory, blocks, ..CHAIN }, 40);
        let law = same_as_layer_by_layer(&s)?;
        for (l, m) in law.membranes.iter().enumerate() {
            let got: Vec<f64> = s.engine().0.membranes(l).unwrap().into_iter().map(f64::from).collect();
            prop_assert_eq!(&got, &m.data);
        }
    }

    /// The same holds on residual graphs, with contributions in the order that `deliver` documents.
    #[test]
    fn layer_by_layer_equals_the_engine_on_residual_graphs(seed: u64, refractory: bool, blocks in 1usize..4) {
        let s = sample(seed, Wish { residual: true, any_neuron: true, limit: true, refractory, blocks, ..CHAIN }, 25);
        let law = same_as_layer_by_layer(&s)?;
        for (l, m) in law.membranes.iter().enumerate() {
            let got: Vec<f64> = s.engine().0.membranes(l).unwrap().into_iter().map(f64::from).collect();
            prop_assert_eq!(&got, &m.data);
        }
    }

    /// The same holds for every layer that the engine takes: windows that differ between rows and
    /// columns, dilation, uneven padding, pooling to a fixed size, dropout, thresholds per channel.
    #[test]
    fn layer_by_layer_equals_the_engine_for_every_layer(seed: u64, residual: bool, refractory: bool, blocks in 1usize..4) {
        let wish = Wish { residual, any_neuron: true, limit: true, refractory, any_layer: true, blocks, ..CHAIN };
        same_as_layer_by_layer(&sample(seed, wish, 40))?;
    }

    /// The same holds with exact decay. Cases with a potential within 1e-4 of a threshold are
    /// skipped, because f32 could decide them differently.
    #[test]
    fn layer_by_layer_equals_the_engine_with_leaks(seed: u64, residual: bool, refractory: bool) {
        let s = sample(seed, Wish { residual, any_neuron: true, limit: true, leak: true, refractory, ..CHAIN }, 25);
        prop_assume!(event_driven::run(&s.net, &s.weights, &s.events).margin > 1e-4);
        same_as_layer_by_layer(&s)?;
    }

    /// With one event per step and all layers in the same step, a clocked network with one
    /// multi-spike layer equals the engine, for any reset and any signs.
    #[test]
    fn one_event_per_step_equals_the_engine_for_one_multi_spike_layer(seed: u64) {
        let mut s = sample(seed, Wish { any_neuron: true, limit: true, blocks: 1, ..CHAIN }, 30);
        s.net = s.net.map_neurons(|_, n| tickless_net::Neuron { spikes: tickless_net::SpikeMode::Multi, ..n });
        prop_assume!(s.net.spiking().len() == 1);
        let frames = clocked::frames(&s.net, &s.events, s.events.len(), |k| k);
        prop_assert_eq!(counts(&s.engine().0), clocked::run(&s.net, &s.weights, &frames, None).output);
    }

    /// The same holds for any depth and graph with non-negative weights, multi-spike and soft
    /// reset.
    #[test]
    fn one_event_per_step_equals_the_engine_for_non_negative_weights(seed: u64, residual: bool) {
        let s = sample(seed, Wish { residual, negative: false, ..CHAIN }, 12);
        let frames = clocked::frames(&s.net, &s.events, s.events.len(), |k| k);
        prop_assert_eq!(counts(&s.engine().0), clocked::run(&s.net, &s.weights, &frames, None).output);
    }

    /// With non-negative weights, multi-spike and soft reset, the clocked network has the engine's
    /// spike counts in every layer at every T.
    #[test]
    fn non_negative_weights_give_the_same_counts_at_every_t(seed: u64, residual: bool) {
        let s = sample(seed, Wish { residual, negative: false, limit: true, ..CHAIN }, 12);
        let (session, trace) = s.engine();
        for t in [1, 2, 3, 7] {
            let frames = clocked::frames(&s.net, &s.events, t, |k| k * t / s.events.len());
            let clocked = clocked::run(&s.net, &s.weights, &frames, None);
            prop_assert_eq!(counts(&session), clocked.output);
            for (l, expected) in clocked.counts.iter().enumerate() {
                let spikes = trace.of(l).count() as f64;
                prop_assert_eq!(spikes, expected.iter().sum::<f64>());
            }
        }
    }

    /// Conservation: spikes·θ + Σv = Σ input current if no potential is clipped or reset to zero.
    #[test]
    fn soft_reset_without_a_limit_conserves_current(seed: u64, residual: bool, single: bool) {
        let mut s = sample(seed, Wish { residual, ..CHAIN }, 30);
        if single {
            s.net = s.net.map_neurons(|_, n| tickless_net::Neuron { spikes: tickless_net::SpikeMode::Single, ..n });
        }
        let (session, trace) = s.engine();
        let law = event_driven::run(&s.net, &s.weights, &s.events);
        for (l, &node) in s.net.spiking().iter().enumerate() {
            let tickless_net::Layer::Neuron(n) = s.net.nodes()[node].layer else { unreachable!() };
            let left: f64 = session.membranes(l).unwrap().into_iter().map(f64::from).sum();
            let fired = trace.of(l).count() as f64 * f64::from(n.threshold);
            prop_assert_eq!(fired + left, law.current[l]);
        }
    }

    /// Feeding a whole recording (in a chain, many events layer by layer) equals pushing its events
    /// one by one, and every instruction set gives the same bits, in float and in 8 bit.
    #[test]
    fn a_recording_fed_whole_is_its_events_in_every_form(
        seed: u64, residual: bool, leak: bool, quantised: bool, refractory: bool,
    ) {
        let leak = leak && !quantised;
        let mut s = sample(seed, Wish { residual, any_neuron: true, limit: true, leak, refractory, ..CHAIN }, 400);
        if quantised {
            let during = During::Integrate;
            let refractory = |n: Neuron| n.refractory.map(|r| Refractory { during, ..r });
            s.net = s.net.map_neurons(|_, n| Neuron { v_min: n.v_min.or(Some(-1.0)), refractory: refractory(n), ..n });
        }
        let event = |&[t_us, c, y, x]: &[u64; 4]| Event { t_us, x: x as u16, y: y as u16, on: c == 1 };
        let events: Vec<Event> = s.events.iter().map(event).collect();
        let (recording, _) = Recording::from_events(Sensor { width: 9, height: 9 }, &events).unwrap();
        let form = |simd| {
            let options = CompileOptions { simd: Some(simd), quantised, ..CompileOptions::default() };
            Session::new(&Program::compile(&s.net, &s.weights, &options).unwrap())
        };
        let mut pushed = form(Isa::PORTABLE);
        events.iter().for_each(|&e| pushed.push(e).unwrap());
        for simd in Isa::available() {
            let mut fed = form(simd);
            fed.feed(&recording).unwrap();
            prop_assert_eq!(fed.logits(), pushed.logits(), "{:?}", simd);
            prop_assert_eq!((fed.spikes(), fed.synaptic_ops()), (pushed.spikes(), pushed.synaptic_ops()), "{:?}", simd);
            for l in 0..fed.program().layers().len() {
                prop_assert_eq!(fed.membranes(l), pushed.membranes(l), "{:?}, layer {}", simd, l);
            }
        }
    }

    /// Splitting a stream, a second session or an earlier reset does not change the result.
    #[test]
    fn splitting_neighbours_and_resets_change_nothing(seed: u64, leak: bool, refractory: bool) {
        let wish = Wish { residual: true, any_neuron: true, limit: true, leak, refractory, ..CHAIN };
        let mut s = sample(seed, wish, 30);
        let (whole, trace) = s.engine();
        let (mut a, mut b) = (Session::new(whole.program()), Session::new(whole.program()));
        let (mut ta, mut tb) = (Trace::default(), Trace::default());
        push(&mut a, &s.events[..9], &mut Trace::default());
        a.reset();
        prop_assert_eq!(format!("{a:?}"), format!("{b:?}"), "a reset session equals a new one");
        let mut rest = &s.events[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(1 + s.rng.below(rest.len()));
            push(&mut a, now, &mut ta);
            a.advance_to(later.first().map_or(now[now.len() - 1][0], |e| e[0])).unwrap();
            push(&mut b, &now[..now.len() / 2], &mut tb);
            rest = later;
        }
        prop_assert_eq!(ta, trace);
        prop_assert_eq!(a.logits(), whole.logits());
        prop_assert_eq!(a.synaptic_ops(), whole.synaptic_ops());
        for l in 0..a.program().layers().len() {
            prop_assert_eq!(a.membranes(l), whole.membranes(l));
        }
    }
}

proptest! {
    // The reference is dense and slow, so use fewer cases.
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// The engine equals a run layer by layer if rows of targets are longer than vectors and blocks
    /// and not a multiple of either.
    #[test]
    fn layer_by_layer_equals_the_engine_on_wide_layers(seed: u64, leak: bool, refractory: bool) {
        let mut rng = Rng(seed);
        let wish = Wish { any_neuron: true, limit: true, leak, refractory, ..CHAIN };
        let mut b = NetworkBuilder::new("wide", Shape::new(2, 4, 4), InputKind::Events);
        let mut at = b.input();
        for channels in [[3, 8, 24, 64], [21, 40, 72, 130]] {
            let conv = Conv { groups: rng.pick(&[1, 1, 1, 2]), ..Conv::c3(rng.pick(&channels)) };
            let groups = if conv.out.is_multiple_of(2) && at == b.input() { conv.groups } else { 1 };
            at = b.conv(at, Conv { groups, ..conv }.with_stride(rng.pick(&[1, 2])));
            at = b.neuron(at, tickless_testing::generate::exact::neuron(&mut rng, wish));
        }
        b.linear(at, 3, false);
        let net = b.build().unwrap();
        let weights = weights(&mut rng, &net, true);
        let events = events(&mut rng, &net, 8);
        let s = Sample { net, weights, events, rng };
        prop_assume!(!leak || event_driven::run(&s.net, &s.weights, &s.events).margin > 1e-4);
        let law = same_as_layer_by_layer(&s)?;
        for (l, m) in law.membranes.iter().enumerate().filter(|_| !leak) {
            let got: Vec<f64> = s.engine().0.membranes(l).unwrap().into_iter().map(f64::from).collect();
            prop_assert_eq!(&got, &m.data);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two spikes of a neuron are never closer than its refractory period, with every instruction
    /// set, in float and in 8 bit.
    #[test]
    fn no_two_spikes_are_closer_than_the_refractory_period(
        seed: u64, residual: bool, leak: bool, us in 1u64..3000, during in during(), quantised: bool,
    ) {
        let mut s = sample(seed, Wish { residual, any_neuron: true, leak: leak && !quantised, ..CHAIN }, 300);
        let refractory = Some(Refractory { period: Period::Us(us as f64), during });
        let spikes = tickless_net::SpikeMode::Single;
        s.net = s.net.map_neurons(|_, n| Neuron { spikes, refractory, v_min: Some(-1.0), ..n });
        for simd in Isa::available() {
            let options = CompileOptions { simd: Some(simd), quantised, ..CompileOptions::default() };
            let program = Program::compile(&s.net, &s.weights, &options).unwrap();
            let (mut session, mut trace) = (Session::new(&program), Trace::default());
            push(&mut session, &s.events, &mut trace);
            for l in 0..program.layers().len() {
                let mut last = std::collections::HashMap::new();
                for spike in trace.of(l) {
                    let before = last.insert((spike.channel, spike.y, spike.x), spike.t_us);
                    prop_assert!(before.is_none_or(|b| spike.t_us - b >= us), "{:?}, layer {}: {:?}", simd, l, spike);
                }
            }
        }
    }

    /// If steps are shorter than the refractory period and have at most one event, and no weight
    /// is 0, a clocked network with one layer has the engine's counts. A weight of 0 is an input
    /// of the event-driven neuron only, which may then fire.
    #[test]
    fn one_clocked_layer_with_a_refractory_period_is_the_engine_at_fine_steps(
        seed: u64, us in STEP_US + 1..3000, during in during(),
    ) {
        let mut s = sample(seed, Wish { any_neuron: true, limit: true, blocks: 1, ..CHAIN }, 40);
        prop_assume!(s.net.spiking().len() == 1);
        let refractory = Some(Refractory { period: Period::Us(us as f64), during });
        let spikes = tickless_net::SpikeMode::Single;
        s.net = s.net.map_neurons(|_, n| Neuron { spikes, refractory, ..n });
        for w in s.weights.tensors.values_mut().flat_map(|w| &mut w.data).filter(|w| **w == 0.0) {
            *w = 1.0 / 256.0;
        }
        let mut t = 0;
        for e in &mut s.events {
            t += STEP_US * (1 + s.rng.below(8) as u64);
            e[0] = t;
        }
        let at: Vec<usize> = s.events.iter().map(|e| (e[0] / STEP_US) as usize).collect();
        let frames = clocked::frames(&s.net, &s.events, at[at.len() - 1] + 1, |k| at[k]);
        let clocked = clocked::run(&s.net, &s.weights, &frames, Some(STEP_US as f64));
        prop_assert_eq!(counts(&s.engine().0), clocked.output);
    }
}

/// Duration of a fine step in µs.
const STEP_US: u64 = 50;

fn during() -> impl Strategy<Value = During> {
    prop_oneof![Just(During::Integrate), Just(During::Hold)]
}

/// A refractory period does not change the spikes if none are closer than the period.
#[test]
fn a_refractory_period_changes_something_only_where_spikes_are_closer() {
    let mut changed = 0;
    for seed in 0..60 {
        let s = sample(seed, Wish { any_neuron: true, limit: true, ..CHAIN }, 60);
        let with = |us: Option<f64>| {
            let refractory = us.map(|us| Refractory { period: Period::Us(us), during: During::Integrate });
            let spikes = tickless_net::SpikeMode::Single;
            let net = s.net.map_neurons(|_, n| Neuron { spikes, refractory, ..n });
            let program = Program::compile(&net, &s.weights, &CompileOptions::default()).unwrap();
            let mut trace = Trace::default();
            push(&mut Session::new(&program), &s.events, &mut trace);
            trace
        };
        let (none, long) = (with(None), with(Some(1e7)));
        let mut last = std::collections::HashMap::new();
        let layers = s.net.spiking().len();
        let of = (0..layers).flat_map(|l| none.of(l).map(move |s| (l, s)));
        let closest = of.filter_map(|(l, s)| Some(s.t_us - last.insert((l, s.channel, s.y, s.x), s.t_us)?)).min();
        match closest {
            None => assert_eq!(none, long),
            Some(0) => assert_ne!(none, long),
            Some(us) => {
                assert_eq!(none, with(Some(us as f64)));
                changed += u64::from(none != long);
            }
        }
    }
    assert!(changed > 5, "{changed}");
}

/// Counter-example: with mixed signs, a deep clocked network with one event per step differs from
/// the engine.
#[test]
fn one_event_per_step_differs_from_the_engine_for_mixed_signs_in_some_deep_network() {
    let differs = (0..40).filter(|&seed| {
        let s = sample(seed, Wish { limit: true, blocks: 3, ..CHAIN }, 60);
        let frames = clocked::frames(&s.net, &s.events, s.events.len(), |k| k);
        counts(&s.engine().0) != clocked::run(&s.net, &s.weights, &frames, None).output
    });
    assert!(differs.count() > 0);
}

/// Checks that the random networks fire enough to test anything, in several modes.
#[test]
fn the_random_networks_are_alive_and_cover_the_modes() {
    let (mut spikes, mut bursts, mut silent) = (0, 0, 0);
    for seed in 0..100 {
        let s = sample(seed, Wish { residual: true, any_neuron: true, limit: true, ..CHAIN }, 25);
        let (session, trace) = s.engine();
        let last = *session.spikes().last().unwrap();
        spikes += last;
        silent += u64::from(last == 0);
        bursts += trace.spikes.windows(2).filter(|w| w[0] == w[1]).count();
    }
    assert!(spikes > 1_000 && bursts > 100 && silent < 60, "{spikes} spikes, {bursts} bursts, {silent} silent");
}
