//! The laws of the asynchrony model.

mod common;

use common::random::{Rng, Wish, events, network, weights};
use proptest::prelude::*;
use tickless_engine::{AsyncSession, Asynchrony, CompileOptions, Event, Order, Program, Recording, Session, Trace};
use tickless_events::Sensor;

const WISH: Wish = Wish { residual: true, negative: true, any_neuron: true, limit: true, leak: false, blocks: 2 };

/// A random program with one or two input channels and a recording for it.
fn sample(seed: u64, wish: Wish) -> Option<(Program, Recording)> {
    let mut rng = Rng(seed);
    let net = network(&mut rng, wish);
    let weights = weights(&mut rng, &net, wish.negative);
    let input = net.input().shape;
    if input.channels > 2 {
        return None;
    }
    let sensor = Sensor { width: input.width as u16, height: input.height as u16 };
    let event = |[t, c, y, x]: [u64; 4]| Event { t_us: 5_000 + t, x: x as u16, y: y as u16, on: c == 1 };
    let events: Vec<Event> = events(&mut rng, &net, 30).into_iter().map(event).collect();
    let program = Program::compile(&net, &weights, &CompileOptions::default()).unwrap();
    Some((program, Recording::from_events(sensor, &events).unwrap().0))
}

fn run(program: &Program, recording: &Recording, model: &Asynchrony) -> (AsyncSession, Trace) {
    let mut session = AsyncSession::new(program, model).unwrap();
    let mut trace = Trace::default();
    session.run(recording, 0, &mut trace).unwrap();
    (session, trace)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Law: with no delay, service time and jitter the model is the engine, spike for spike.
    #[test]
    fn without_delays_the_exact_order_is_the_engine(seed: u64, residual: bool, leak: bool) {
        let Some((program, recording)) = sample(seed, Wish { residual, leak, ..WISH }) else { return Ok(()) };
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

    /// Law: a delay that is the same for all keeps the order of the input where there is one layer.
    #[test]
    fn a_delay_keeps_the_order_of_simultaneous_input(seed: u64, delay in 1u32..500) {
        let Some((program, recording)) = sample(seed, Wish { residual: false, blocks: 1, ..WISH }) else { return Ok(()) };
        prop_assume!(program.layers().len() == 1);
        let mut session = Session::new(&program);
        session.feed(&recording).unwrap();
        let (model, _) = run(&program, &recording, &Asynchrony { delay_us: delay.into(), ..Asynchrony::default() });
        prop_assert_eq!(model.spikes(), session.spikes());
        prop_assert_eq!(model.logits(), session.logits());
    }

    /// Law: with non-negative weights, multi-spike and soft reset no order changes a count.
    #[test]
    fn without_inhibition_no_asynchrony_changes_a_count(seed: u64, delay in 0u32..200, service in 0u32..30, jitter in 0u32..500) {
        let wish = Wish { negative: false, any_neuron: false, limit: false, ..WISH };
        let Some((program, recording)) = sample(seed, wish) else { return Ok(()) };
        let mut session = Session::new(&program);
        session.feed(&recording).unwrap();
        for order in [Order::Exact, Order::Random, Order::Momentum] {
            let model = Asynchrony {
                order,
                delay_us: delay.into(),
                service_us: f64::from(service) / 7.0,
                jitter_us: jitter.into(),
                seed,
                queue: None,
            };
            let (run, _) = run(&program, &recording, &model);
            prop_assert_eq!(run.spikes(), session.spikes());
            prop_assert_eq!(run.logits(), session.logits());
        }
    }

    /// Law: one seed, one result; a session used before gives the same as a new one.
    #[test]
    fn a_seed_fixes_a_run(seed: u64) {
        let Some((program, recording)) = sample(seed, WISH) else { return Ok(()) };
        let model = Asynchrony { order: Order::Random, jitter_us: 300.0, service_us: 2.0, queue: Some(3), seed, delay_us: 9.0 };
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
        let Some((program, recording)) = sample(seed, WISH) else { continue };
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
        Asynchrony { service_us: 40.0, ..Asynchrony::default() },
    ];
    for model in &models {
        let differs = (0..200).filter_map(|seed| sample(seed, WISH)).filter(|(program, recording)| {
            let mut session = Session::new(program);
            session.feed(recording).unwrap();
            run(program, recording, model).0.spikes() != session.spikes()
        });
        assert!(differs.count() > 0, "{model:?}");
    }
}

#[test]
fn a_time_that_cannot_be_is_refused() {
    let (program, _) = (0..).find_map(|seed| sample(seed, WISH)).unwrap();
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let error = AsyncSession::new(&program, &Asynchrony { delay_us: bad, ..Asynchrony::default() }).unwrap_err();
        assert!(error.to_string().contains("the delay is"), "{error}");
    }
}
