//! Tests the public interface: errors that name the place and the remedy, decisions, dataset runs.

use std::sync::atomic::{AtomicBool, Ordering};
use tickless_engine::{CompileOptions, Confidence, Error, Event, Program, Recording, Session, run};
use tickless_events::Sensor;
use tickless_net::{
    Array, Conv, InputKind, Layer, Leak, Network, NetworkBuilder, Neuron, NodeId, Pool, PoolKind, Shape, Weights,
};

const OPTIONS: CompileOptions = CompileOptions { step_us: None, simd: None, quantised: false };

/// A chain of these layers, with all weights equal.
fn chain(input: Shape, layers: &[Layer], weight: f32) -> (Network, Weights) {
    let mut b = NetworkBuilder::new("chain", input, InputKind::Events);
    layers.iter().fold(NodeId::Input, |at, &l| b.add("", l, &[at]));
    let net = b.build().unwrap();
    let mut weights = Weights::default();
    for (_, name, spec) in net.tensors() {
        weights.insert(name, Array::full(&spec.shape, weight));
    }
    (net, weights)
}

fn linear(out: usize) -> Layer {
    Layer::Linear(tickless_net::Linear { out, bias: false })
}

fn program(input: Shape, layers: &[Layer], weight: f32) -> Program {
    let (net, weights) = chain(input, layers, weight);
    Program::compile(&net, &weights, &OPTIONS).unwrap()
}

fn refusal(input: Shape, layers: &[Layer], weight: f32) -> String {
    let (net, weights) = chain(input, layers, weight);
    Program::compile(&net, &weights, &OPTIONS).unwrap_err().to_string()
}

fn event(t_us: u64, x: u16, y: u16, on: bool) -> Event {
    Event { t_us, x, y, on }
}

fn recording(events: &[Event]) -> Recording {
    Recording::from_events(Sensor { width: 64, height: 64 }, events).unwrap().0
}

#[test]
fn what_needs_a_clock_or_makes_no_neuron_is_refused_with_the_layer_and_the_remedy() {
    let s = Shape::new(2, 4, 4);
    let multi = Layer::Neuron(Neuron::if_multi());
    let neuron = |n: Neuron| [Layer::Conv(Conv::c3(1)), Layer::Neuron(n)];
    let max = Layer::Pool(Pool { kind: PoolKind::Max, ..Pool::sum(2) });
    let overlapping = Layer::Pool(Pool::square(PoolKind::Sum, 2, 1, 0));
    let biased = Layer::Conv(Conv { bias: true, ..Conv::c3(1) });
    for (layers, words) in [
        (vec![biased, multi], vec!["conv1", "a bias", "fold"]),
        (vec![Layer::Conv(Conv::c3(1)), Layer::Norm(Default::default()), multi], vec!["norm1", "batch norm", "fold"]),
        (vec![max, multi], vec!["pool1", "average"]),
        (vec![overlapping, multi], vec!["pool1", "stride = kernel"]),
        (vec![Layer::Conv(Conv::c3(1)), Layer::Conv(Conv::c3(1)), multi], vec!["conv2", "conv1", "put a `neuron`"]),
        (neuron(Neuron::lif()).to_vec(), vec!["neuron1", "step_us"]),
        (neuron(Neuron { threshold: 0.0, ..Neuron::if_multi() }).to_vec(), vec!["neuron1", "threshold"]),
        (neuron(Neuron { threshold: f32::NAN, ..Neuron::if_multi() }).to_vec(), vec!["neuron1", "threshold"]),
        (neuron(Neuron { v_min: Some(1.0), ..Neuron::if_multi() }).to_vec(), vec!["neuron1", "v_min"]),
        (neuron(Neuron { leak: Leak::Time(0.0), ..Neuron::lif() }).to_vec(), vec!["neuron1", "time constant"]),
    ] {
        let message = refusal(s, &layers, 0.5);
        assert!(
            words.iter().all(|w| message.contains(w)) && !message.contains('\n'),
            "{message} lacks one of {words:?}"
        );
    }
    assert!(refusal(s, &neuron(Neuron::if_multi()), f32::NAN).contains("conv1"));
    let (net, weights) = chain(s, &neuron(Neuron::if_multi()), 1e30);
    let error = Program::compile(&net, &weights, &OPTIONS).unwrap_err();
    assert!(matches!(&error, Error::Layer { layer, .. } if layer == "neuron1"), "{error}");
}

#[test]
fn weights_of_another_network_are_refused() {
    let (net, mut weights) = chain(Shape::new(2, 4, 4), &[Layer::Conv(Conv::c3(1))], 0.5);
    weights.insert("norm1.weight", Array::full(&[1], 1.0));
    let message = Program::compile(&net, &weights, &OPTIONS).unwrap_err().to_string();
    assert!(message.contains("norm1.weight"), "{message}");
    let message = Program::compile(&net, &Weights::default(), &OPTIONS).unwrap_err().to_string();
    assert!(message.contains("conv1.weight"), "{message}");
}

#[test]
fn a_refused_event_names_its_place_and_leaves_the_session_as_it_was() {
    let program = program(Shape::new(2, 4, 4), &[Layer::Conv(Conv::c3(1)), Layer::Neuron(Neuron::if_multi())], 0.5);
    let mut session = Session::new(&program);
    session.push(event(10, 1, 1, true)).unwrap();
    let before = format!("{session:?}");
    for bad in [event(20, 4, 0, true), event(20, 0, 4, true), event(9, 0, 0, true)] {
        let message = session.push(bad).unwrap_err().to_string();
        assert!(message.starts_with("event 1: "), "{message}");
    }
    assert!(session.push_at(20, 2, 0, 0, &mut ()).is_err());
    assert!(session.advance_to(9).is_err());
    assert_eq!(format!("{session:?}"), before);
}

#[test]
fn one_input_channel_takes_both_polarities_and_two_tell_them_apart() {
    for channels in [1, 2] {
        let program = program(Shape::new(channels, 1, 1), &[Layer::GlobalAverage], 0.0);
        let mut session = Session::new(&program);
        session.push(event(0, 0, 0, true)).unwrap();
        session.push(event(0, 0, 0, false)).unwrap();
        session.push(event(0, 0, 0, true)).unwrap();
        assert_eq!(session.logits(), if channels == 1 { vec![3.0] } else { vec![1.0, 2.0] });
    }
    let three = program(Shape::new(3, 1, 1), &[Layer::GlobalAverage], 0.0);
    assert!(Session::new(&three).push(event(0, 0, 0, true)).unwrap_err().to_string().contains("push_at"));
}

#[test]
fn stacked_average_pools_at_the_input_divide_the_weights_once_for_each() {
    // Sizes 12 → 6 → 1; rows from 8 on fill no window of the second pool. The weights are divided
    // by 2²·4².
    let layers = [Layer::Pool(Pool::average(2)), Layer::Pool(Pool::average(4)), linear(1)];
    let program = program(Shape::new(2, 12, 12), &layers, 64.0);
    let mut session = Session::new(&program);
    session.push(event(0, 7, 7, true)).unwrap();
    assert_eq!((session.logits(), session.synaptic_ops()), (vec![1.0], 1));
    session.push(event(0, 8, 0, true)).unwrap();
    assert_eq!((session.logits(), session.synaptic_ops()), (vec![1.0], 1));
}

#[test]
fn a_leak_per_step_becomes_the_time_constant_of_the_step() {
    let (net, weights) = chain(Shape::new(1, 1, 1), &[linear(1), Layer::Neuron(Neuron::lif())], 0.5);
    let program =
        Program::compile(&net, &weights, &CompileOptions { step_us: Some(1000.0), ..CompileOptions::default() })
            .unwrap();
    let mut session = Session::new(&program);
    session.push(event(5000, 0, 0, true)).unwrap();
    assert_eq!(session.membranes(0).unwrap(), [0.5]);
    assert_eq!(session.membranes_at(0, 6000).unwrap(), [0.25]);
    session.advance_to(7000).unwrap();
    assert_eq!(session.membranes(0).unwrap(), [0.125]);
    session.push(event(8000, 0, 0, true)).unwrap();
    assert_eq!(session.membranes(0).unwrap(), [0.5625]);
    assert_eq!(session.membranes(1), None);
}

#[test]
fn a_merge_passes_on_each_branch_as_an_event_of_its_own() {
    // The first neuron fires twice for an event. The merge receives both spikes and then the event
    // itself.
    let mut b = NetworkBuilder::new("merge", Shape::new(1, 1, 1), InputKind::Events);
    let input = b.ttm(NodeId::Input);
    let l = b.linear(input, 1, false);
    let first = b.neuron(l, Neuron::if_multi());
    let sum = b.add("sum", Layer::Add, &[first, input]);
    b.neuron(sum, Neuron { threshold: 2.0, ..Neuron::if_single() });
    let net = b.build().unwrap();
    let mut weights = Weights::default();
    weights.insert("linear1.weight", Array::full(&[1, 1], 2.0));
    let program = Program::compile(&net, &weights, &OPTIONS).unwrap();
    let mut session = Session::new(&program);
    session.push(event(0, 0, 0, true)).unwrap();
    // Three events of weight 1 reach the last neuron: 1, 2 (not above 2), then 3 fires and resets
    // to 0.
    assert_eq!((session.spikes(), session.counts(), session.synaptic_ops()), (&[2, 1][..], &[1][..], 4));
    assert_eq!(session.membranes(1).unwrap(), [0.0]);
}

#[test]
fn a_session_without_events_decides_for_the_lowest_class_with_even_confidence() {
    let session = Session::new(&program(Shape::new(2, 4, 4), &[linear(4)], 1.0));
    let d = session.decision(&Confidence::default());
    assert_eq!((d.class, d.confidence, d.events, d.us), (0, 0.25, 0, 0));
}

#[test]
fn a_dataset_run_counts_in_order_and_names_silent_layers() {
    let layers = [Layer::Conv(Conv::c3(2)), Layer::Neuron(Neuron::if_multi()), linear(3)];
    let silent = program(Shape::new(2, 4, 4), &layers, 1.0 / 1024.0);
    let load = |i: usize| Ok::<_, Error>((recording(&vec![event(7, 1, 2, true); i + 1]), i % 2));
    let r = run(&silent, &Confidence::default(), 6, load, &(), &AtomicBool::new(false)).unwrap();
    assert_eq!(r.outcomes.iter().map(|o| o.events).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!((r.summary.recordings, r.summary.correct, r.summary.accuracy), (6, 3, 0.5));
    assert_eq!((r.summary.events, &r.summary.spikes[..], r.summary.synaptic_ops), (3.5, &[0.0][..], 3.5 * 18.0));
    assert_eq!(r.summary.silent, ["neuron1"]);

    let loud = program(Shape::new(2, 4, 4), &layers, 1.0);
    let r = run(&loud, &Confidence::default(), 6, load, &(), &AtomicBool::new(false)).unwrap();
    assert!(r.summary.silent.is_empty());
    let none = run(&loud, &Confidence::default(), 0, load, &(), &AtomicBool::new(false)).unwrap();
    assert_eq!((none.summary.accuracy, none.summary.silent.len()), (0.0, 0));
}

#[test]
fn a_dataset_run_reports_the_first_failure_by_index_and_stops_when_asked() {
    let program = program(Shape::new(2, 4, 4), &[linear(3)], 1.0);
    for _ in 0..20 {
        let load = |i: usize| Ok::<_, Error>((recording(&[event(0, if i >= 5 { 9 } else { 0 }, 0, true)]), 0));
        let e = run(&program, &Confidence::default(), 64, load, &(), &AtomicBool::new(false)).unwrap_err();
        assert!(e.to_string().starts_with("recording 5: event 0: "), "{e}");
    }
    let cancel = AtomicBool::new(false);
    let load = |_: usize| {
        cancel.store(true, Ordering::Relaxed);
        Ok::<_, Error>((recording(&[]), 0))
    };
    match run(&program, &Confidence::default(), 64, load, &(), &cancel) {
        Err(Error::Cancelled { finished, total: 64 }) => assert!((1..64).contains(&finished)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lenient_session_drops_what_a_strict_one_refuses_and_counts_it() {
    let program = program(Shape::new(2, 4, 4), &[linear(2)], 1.0);
    let mut session = Session::new(&program).lenient();
    for e in [event(5, 0, 0, true), event(4, 0, 0, true), event(6, 9, 0, true), event(6, 1, 1, false)] {
        session.push(e).unwrap();
    }
    assert_eq!((session.events(), session.dropped()), (2, 2));
    assert_eq!(session.logits(), [2.0, 2.0]);
    session.reset();
    assert_eq!(session.dropped(), 0);
}

#[test]
fn a_session_stops_at_the_first_event_that_makes_it_confident() {
    let mut b = tickless_net::NetworkBuilder::new("sure", Shape::new(1, 1, 2), tickless_net::InputKind::Events);
    b.linear(b.input(), 2, false);
    let net = b.build().unwrap();
    let mut weights = Weights::default();
    weights.insert("linear1.weight", tickless_net::Array::new(vec![2, 2], vec![1.0, 0.0, 0.0, 1.0]));
    let mut session = Session::new(&Program::compile(&net, &weights, &OPTIONS).unwrap());
    let confidence = Confidence { gain: 1.0, t_max: 1 };
    let events = (0..10).map(|t| event(t, 1, 0, true));
    // The softmax of (0, n) for class 1 exceeds 0.9 at n = 3.
    let decision = session.decide(events.clone(), &confidence, 0.9).unwrap();
    assert_eq!((decision.class, decision.events, decision.us), (1, 3, 2));
    session.reset();
    assert_eq!(session.decide(events, &confidence, 1.5).unwrap().events, 10);
}
