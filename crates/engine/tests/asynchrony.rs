//! Properties of the asynchrony model.

use proptest::prelude::*;
use tickless_engine::{
    AsyncSession, Asynchrony, CompileOptions, Core, Error, Event, Order, Program, Recording, Session, Spike, Trace,
};
use tickless_events::Sensor;
use tickless_net::Neuron;
use tickless_testing::generate::Rng;
use tickless_testing::generate::exact::{Wish, events, network, weights};

const WISH: Wish = Wish {
    residual: true,
    negative: true,
    any_neuron: true,
    limit: true,
    leak: false,
    refractory: false,
    any_layer: false,
    blocks: 2,
};

const ORDERS: [Order; 3] = [Order::Exact, Order::Random, Order::Momentum];

/// Number of cores of a program.
fn cores(program: &Program) -> usize {
    program.layers().len() + usize::from(program.output_layer().is_none())
}

/// Random parameters of one core; `limit` says whether its queue may be limited.
fn core(rng: &mut Rng, limit: bool) -> Core {
    Core {
        delay_us: rng.below(200) as f64,
        delay_jitter_us: rng.pick(&[0.0, 40.0]),
        service_us: rng.below(30) as f64 / 7.0,
        queue: if limit { rng.pick(&[None, Some(0), Some(3)]) } else { None },
    }
}

/// A random program with one or two input channels and a recording for it.
fn sample(seed: u64, wish: Wish) -> (Program, Recording) {
    compiled(seed, wish, false)
}

fn compiled(seed: u64, wish: Wish, quantised: bool) -> (Program, Recording) {
    let mut rng = Rng(seed);
    let mut net = network(&mut rng, wish);
    if quantised {
        net = net.map_neurons(|_, n| Neuron { v_min: n.v_min.or(Some(-1.0)), ..n });
    }
    let weights = weights(&mut rng, &net, wish.negative);
    let input = net.input().shape;
    let sensor = Sensor { width: input.width as u16, height: input.height as u16 };
    let event = |[t, c, y, x]: [u64; 4]| Event { t_us: 5_000 + t, x: x as u16, y: y as u16, on: c == 1 };
    let events: Vec<Event> = events(&mut rng, &net, 30).into_iter().map(event).collect();
    let options = CompileOptions { quantised, ..CompileOptions::default() };
    let program = Program::compile(&net, &weights, &options).unwrap();
    (program, Recording::from_events(sensor, &events).unwrap().0)
}

fn run(program: &Program, recording: &Recording, model: &Asynchrony) -> (AsyncSession, Trace) {
    let mut session = AsyncSession::new(program, model).unwrap();
    let mut trace = Trace::default();
    session.run(recording, 0, &mut trace).unwrap();
    (session, trace)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Without delay, service time and jitter the model emits exactly the engine's spikes.
    #[test]
    fn without_delays_the_exact_order_is_the_engine(
        seed: u64, residual: bool, leak: bool, quantised: bool, refractory: bool,
    ) {
        let wish = Wish { residual, leak: leak && !quantised, refractory: refractory && !quantised, ..WISH };
        let (program, recording) = compiled(seed, wish, quantised);
        let mut session = Session::new(&program);
        let mut expected = Trace::default();
        session.feed_into(&recording, &mut expected).unwrap();
        let (model, trace) = run(&program, &recording, &Asynchrony::default());
        for l in 0..program.layers().len() {
            prop_assert!(trace.of(l).eq(expected.of(l)), "layer {l}");
        }
        prop_assert_eq!(model.logits(), session.logits());
        prop_assert_eq!((model.spikes(), model.synaptic_ops()), (session.spikes(), session.synaptic_ops()));
        prop_assert_eq!(model.traffic().tail_us, 0.0);
    }

    /// In a network with one layer, a delay that is the same for all events keeps the order of the
    /// input.
    #[test]
    fn a_delay_keeps_the_order_of_simultaneous_input(seed: u64, delay in 1u32..500, refractory: bool) {
        let (program, recording) = sample(seed, Wish { residual: false, refractory, blocks: 1, ..WISH });
        prop_assume!(program.layers().len() == 1);
        let mut session = Session::new(&program);
        session.feed(&recording).unwrap();
        let (model, _) = run(&program, &recording, &Asynchrony { delay_us: delay.into(), ..Asynchrony::default() });
        prop_assert_eq!(model.spikes(), session.spikes());
        prop_assert_eq!(model.logits(), session.logits());
    }

    /// With non-negative weights, multi-spike neurons and soft reset, no asynchrony changes a spike
    /// count.
    #[test]
    fn without_inhibition_no_asynchrony_changes_a_count(seed: u64, jitter in 0u32..500, own: bool) {
        let wish = Wish { negative: false, any_neuron: false, limit: false, ..WISH };
        let (program, recording) = sample(seed, wish);
        let mut session = Session::new(&program);
        session.feed(&recording).unwrap();
        let mut rng = Rng(seed);
        for order in ORDERS {
            let Core { delay_us, delay_jitter_us, service_us, queue } = core(&mut rng, false);
            let base = Asynchrony { order, jitter_us: jitter.into(), seed, ..Asynchrony::default() };
            let mut model = Asynchrony { delay_us, delay_jitter_us, service_us, queue, ..base };
            for index in (0..cores(&program)).filter(|_| own) {
                model = model.with_core(index, core(&mut rng, false));
            }
            let (run, _) = run(&program, &recording, &model);
            prop_assert_eq!(run.spikes(), session.spikes());
            prop_assert_eq!(run.logits(), session.logits());
        }
    }

    /// A core with its own parameters that equal the common ones changes nothing.
    #[test]
    fn equal_cores_are_the_model_without_cores_of_their_own(seed: u64, jitter in 0u32..500) {
        let (program, recording) = sample(seed, WISH);
        let mut rng = Rng(seed);
        for order in ORDERS {
            let one = core(&mut rng, true);
            let Core { delay_us, delay_jitter_us, service_us, queue } = one;
            let base = Asynchrony { order, jitter_us: jitter.into(), seed, ..Asynchrony::default() };
            let all = Asynchrony { delay_us, delay_jitter_us, service_us, queue, ..base.clone() };
            let each = (0..cores(&program)).fold(base, |m, index| m.with_core(index, one));
            let ((a, heard), (b, told)) = (run(&program, &recording, &all), run(&program, &recording, &each));
            prop_assert_eq!(heard, told);
            prop_assert_eq!((a.logits(), a.traffic()), (b.logits(), b.traffic()));
        }
    }

    /// In a chain in which nothing else takes time, the delay of one core shifts its own spikes and
    /// those of later layers by that delay, and changes nothing else.
    #[test]
    fn a_delay_of_one_core_moves_what_follows_and_nothing_else(seed: u64, delay in 1u32..5000, leak: bool, at: usize) {
        let (program, recording) = sample(seed, Wish { residual: false, leak, ..WISH });
        let at = at % cores(&program);
        let (exact, expected) = run(&program, &recording, &Asynchrony::default());
        let late = Core { delay_us: delay.into(), ..Core::default() };
        let (moved, told) = run(&program, &recording, &Asynchrony::default().with_core(at, late));
        for l in 0..program.layers().len() {
            let shift = if l < at { 0 } else { u64::from(delay) };
            let expected: Vec<Spike> = expected.of(l).map(|s| Spike { t_us: s.t_us + shift, ..*s }).collect();
            prop_assert_eq!(told.of(l).copied().collect::<Vec<_>>(), expected, "layer {}", l);
        }
        prop_assert_eq!(moved.logits(), exact.logits());
    }

    /// A spike of the first layer is later than its cause by the delay and at most the delay
    /// jitter.
    #[test]
    fn a_delay_that_varies_keeps_within_its_bounds(seed: u64, delay in 0u32..500, jitter in 1u32..500) {
        let (program, recording) = sample(seed, WISH);
        let core = Core { delay_us: delay.into(), delay_jitter_us: jitter.into(), ..Core::default() };
        let (_, trace) = run(&program, &recording, &Asynchrony { seed, ..Asynchrony::default() }.with_core(0, core));
        let sent: Vec<u64> = recording.iter().map(|e| e.t_us).collect();
        for s in trace.of(0) {
            let late = s.t_us - sent[s.cause as usize];
            prop_assert!((u64::from(delay)..=u64::from(delay + jitter)).contains(&late), "{late} µs late");
        }
    }

    /// Equal seeds give equal results, also in a session that has run before.
    #[test]
    fn a_seed_fixes_a_run(seed: u64) {
        let (program, recording) = sample(seed, WISH);
        let base = Asynchrony { order: Order::Random, jitter_us: 300.0, seed, ..Asynchrony::default() };
        let model = Asynchrony { service_us: 2.0, queue: Some(3), delay_us: 9.0, delay_jitter_us: 5.0, ..base };
        let (mut used, first) = run(&program, &recording, &model);
        let mut again = Trace::default();
        used.run(&recording, 7, &mut Trace::default()).unwrap();
        used.run(&recording, 0, &mut again).unwrap();
        prop_assert_eq!(first, again);
    }
}

#[test]
fn a_full_queue_loses_events_and_counts_them() {
    let mut lost = 0;
    for seed in 0..40 {
        let (program, recording) = sample(seed, WISH);
        // If only one core has a limit, only that core loses events.
        let slow = Core { service_us: 1000.0, queue: Some(0), ..Core::default() };
        let (one, _) = run(&program, &recording, &Asynchrony::default().with_core(0, slow));
        assert!(one.traffic().lost[0] > 0 && one.traffic().lost[1..].iter().all(|&l| l == 0), "{:?}", one.traffic());
        let model = Asynchrony { service_us: 1000.0, queue: Some(0), ..Asynchrony::default() };
        let (run, _) = run(&program, &recording, &model);
        assert!(run.traffic().longest.iter().all(|&l| l <= 1), "nobody waits: {:?}", run.traffic());
        lost += run.traffic().lost.iter().sum::<u64>();
        let free = Asynchrony { queue: None, ..model };
        let mut unlimited = AsyncSession::new(&program, &free).unwrap();
        unlimited.run(&recording, 0, &mut ()).unwrap();
        assert_eq!(unlimited.traffic().lost.iter().sum::<u64>(), 0);
        assert!(unlimited.traffic().tail_us > 0.0 || unlimited.synaptic_ops() == 0);
    }
    assert!(lost > 100, "{lost}");
}

#[test]
fn orders_and_delays_matter_where_signs_are_mixed() {
    let models = [
        Asynchrony { order: Order::Random, ..Asynchrony::default() },
        Asynchrony { order: Order::Momentum, ..Asynchrony::default() },
        Asynchrony { delay_us: 120.0, ..Asynchrony::default() },
        Asynchrony { jitter_us: 900.0, ..Asynchrony::default() },
        Asynchrony { delay_jitter_us: 900.0, ..Asynchrony::default() },
        Asynchrony::default().with_core(1, Core { delay_jitter_us: 900.0, ..Core::default() }),
        Asynchrony { service_us: 40.0, ..Asynchrony::default() },
    ];
    for model in &models {
        let differs = (0..200).map(|seed| sample(seed, WISH)).filter(|(program, recording)| {
            let mut session = Session::new(program);
            session.feed(recording).unwrap();
            run(program, recording, model).0.spikes() != session.spikes()
        });
        assert!(differs.count() > 0, "{model:?}");
    }
}

#[test]
fn a_time_that_cannot_be_and_a_core_that_is_not_are_refused() {
    let (program, _) = sample(0, WISH);
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let error = AsyncSession::new(&program, &Asynchrony { delay_us: bad, ..Asynchrony::default() }).unwrap_err();
        assert!(matches!(error, Error::AsynchronyTime { quantity: "delay", core: None, .. }), "{error}");
        let one = Asynchrony::default().with_core(0, Core { service_us: bad, ..Core::default() });
        let error = AsyncSession::new(&program, &one).unwrap_err();
        assert!(matches!(error, Error::AsynchronyTime { quantity: "service time", core: Some(0), .. }), "{error}");
    }
    let beyond = Asynchrony::default().with_core(9, Core::default());
    let error = AsyncSession::new(&program, &beyond).unwrap_err();
    assert!(matches!(error, Error::NoCore { index: 9, .. }), "{error}");
}
