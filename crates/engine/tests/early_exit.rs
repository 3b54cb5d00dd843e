//! Early exit in event time: a run that stops is the full run cut after that event, whatever its
//! neurons, connections and precision are.

use proptest::prelude::*;
use tickless_engine::{CompileOptions, Error, Event, Isa, Program, Recording, Session, Stop, early_exits};
use tickless_events::Sensor;
use tickless_net::{
    Confidence, Conv, During, ExitPolicy, InputKind, Layer, Network, NetworkBuilder, Neuron, Period, Recurrent,
    RecurrentKind, Refractory, Reset, Rule, Shape, SpikeMode, Weights,
};
use tickless_testing::generate::Rng;
use tickless_testing::generate::exact::{self, Wish};

/// Duration of a step at T_max in µs.
const STEP_US: f64 = 1000.0;

/// The forms of a network that the engine runs by different code.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Any layers and neurons that change at events only.
    Plain,
    /// The same with refractory periods and leaks.
    Refractory,
    /// Neurons that fire between events.
    Timed,
    /// Spikes that return after a delay.
    Recurrent,
    /// Weights of 8 bits and potentials of 16.
    Quantised,
}

fn wish(r: &mut Rng, refractory: bool) -> Wish {
    let leak = refractory && r.below(2) == 0;
    let residual = r.below(2) == 0;
    Wish { residual, negative: true, any_neuron: true, limit: true, leak, refractory, any_layer: true, blocks: 2 }
}

/// Two layers of these neurons, with thresholds that few events reach, and a readout of three classes;
/// the second may have recurrent connections.
fn two_layers(first: Neuron, second: Neuron, recurrent: Option<Recurrent>) -> Network {
    let [first, second] = [first, second].map(|n| Neuron { threshold: 0.25, ..n });
    let mut b = NetworkBuilder::new("two", Shape::new(2, 5, 5), InputKind::Events);
    let at = b.conv(b.input(), Conv::c3(3));
    let at = b.neuron(at, first);
    let at = b.linear(at, 6, false);
    let at = b.add("second", Layer::Neuron(second), &[at]);
    if let Some(recurrent) = recurrent {
        b.recurrent(at, recurrent);
    }
    b.linear(at, 3, false);
    b.build().unwrap()
}

fn network(r: &mut Rng, form: Form) -> Network {
    match form {
        Form::Plain => {
            let wish = wish(r, false);
            exact::network(r, wish)
        }
        Form::Refractory => {
            let wish = wish(r, true);
            exact::network(r, wish)
        }
        Form::Timed => {
            let resting = |n: Neuron| Neuron { refractory: Some(Refractory::steps(0.5)), ..n };
            let all = [Neuron::cuba_lif(), Neuron::adaptive_lif(), resting(Neuron::cuba_lif())];
            two_layers(r.pick(&all), r.pick(&all), None)
        }
        Form::Recurrent => {
            let resting = Some(Refractory { period: Period::Us(40.0), during: During::Integrate });
            let second = Neuron { refractory: r.pick(&[None, resting]), ..Neuron::lif() };
            let kind = r.pick(&[RecurrentKind::Dense, RecurrentKind::OneToOne]);
            let delay_us = r.pick(&[Some(1.0), Some(130.0), Some(2500.0), None]);
            two_layers(Neuron::lif(), second, Some(Recurrent { kind, delay_us }))
        }
        Form::Quantised => {
            let period = |during| Some(Refractory { period: Period::Us(40.0), during });
            let refractory = r.pick(&[None, period(During::Integrate), period(During::Hold)]);
            let n = Neuron {
                spikes: if refractory.is_some() {
                    SpikeMode::Single
                } else {
                    r.pick(&[SpikeMode::Multi, SpikeMode::Single])
                },
                refractory,
                reset: r.pick(&[Reset::Soft, Reset::Hard]),
                v_min: Some(-1.0),
                ..Neuron::if_multi()
            };
            two_layers(n, n, None)
        }
    }
}

fn weights(r: &mut Rng, net: &Network) -> Weights {
    let mut all = exact::weights(r, net, true);
    // Weak, so that no spike keeps itself alive.
    for (name, array) in &mut all.tensors {
        if name.ends_with(".recurrent") {
            array.data.iter_mut().for_each(|w| *w = w.clamp(-0.25, 0.1));
        }
    }
    all
}

fn recording(r: &mut Rng, net: &Network, count: usize) -> Recording {
    let s = net.input().shape;
    let event = |[t_us, c, y, x]: [u64; 4]| Event { t_us: t_us + 17, x: x as u16, y: y as u16, on: c == 1 };
    let all: Vec<Event> = exact::events(r, net, count).into_iter().map(event).collect();
    Recording::from_events(Sensor { width: s.width as u16, height: s.height as u16 }, &all).unwrap().0
}

/// The first events of a recording.
fn cut(recording: &Recording, events: usize) -> Recording {
    let first: Vec<Event> = recording.iter().take(events).collect();
    Recording::from_events(recording.sensor(), &first).unwrap().0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_that_stops_is_the_full_run_cut_after_that_event(seed: u64) {
        let r = &mut Rng(seed);
        let form = r.pick(&[Form::Plain, Form::Refractory, Form::Timed, Form::Recurrent, Form::Quantised]);
        let net = network(r, form);
        let weights = weights(r, &net);
        let simd = Some(r.pick(&Isa::available()));
        let quantised = matches!(form, Form::Quantised);
        let options = CompileOptions { step_us: Some(STEP_US), simd, quantised };
        let program = Program::compile(&net, &weights, &options).unwrap();
        let recording = recording(r, &net, 40);
        let confidence = Confidence { gain: r.pick(&[0.5, 2.0, 20.0, 20.0]), t_max: 4 };
        let policy = ExitPolicy::new([0.1, 1.0, 0.5, 0.0, -1.0, 0.3, 0.0, 0.2], 5000.0);
        let mut exits = Vec::new();
        for rule in [Rule::Confidence, Rule::Margin, Rule::Entropy, Rule::Learned(policy)] {
            exits.extend([0.0, 0.35, 0.6, 0.9, 1.0].map(|alpha| confidence.exit(rule, alpha)));
        }
        let all = early_exits(&mut Session::new(&program), &recording, &exits, &confidence);
        // The engine refuses to go on if too many spikes are on their way.
        prop_assume!(!matches!(all, Err(Error::Flood { .. })));
        let all = all.unwrap();
        for (exit, stop) in exits.iter().zip(&all) {
            let mut alone = Session::new(&program);
            let reached = alone.feed_until(&recording, exit).unwrap();
            prop_assert_eq!(*stop, Stop::of(&alone, &confidence, reached), "{:?} {:?}", form, exit);
            let mut whole = Session::new(&program);
            whole.feed(&cut(&recording, stop.decision.events as usize)).unwrap();
            prop_assert_eq!(alone.logits(), whole.logits(), "{:?} {:?}", form, exit);
            prop_assert_eq!(*stop, Stop::of(&whole, &confidence, reached), "{:?} {:?}", form, exit);
            prop_assert_eq!(alone.spikes(), whole.spikes());
            for layer in 0..program.layers().len() {
                prop_assert_eq!(alone.membranes(layer), whole.membranes(layer));
            }
            // It is the first event at which the rule holds, and at the end only if none is.
            prop_assert_eq!(whole.stops(exit), reached);
            if !reached {
                prop_assert_eq!(stop.decision.events, recording.len() as u64);
            }
            let mut before = Session::new(&program);
            for event in recording.iter().take((stop.decision.events as usize).saturating_sub(1)) {
                before.push(event).unwrap();
                prop_assert!(!before.stops(exit), "{:?} {:?}", form, exit);
            }
        }
    }
}

/// The law above holds for runs that stop within the recording, in every form.
#[test]
fn runs_of_every_form_stop_within_the_recording() {
    for form in [Form::Plain, Form::Refractory, Form::Timed, Form::Recurrent, Form::Quantised] {
        let mut within = 0;
        for seed in 0..100 {
            let r = &mut Rng(seed);
            let net = network(r, form);
            let weights = weights(r, &net);
            let quantised = matches!(form, Form::Quantised);
            let options = CompileOptions { step_us: Some(STEP_US), quantised, ..CompileOptions::default() };
            let program = Program::compile(&net, &weights, &options).unwrap();
            let recording = recording(r, &net, 40);
            let confidence = Confidence { gain: 20.0, t_max: 4 };
            let exits = [0.02, 0.1, 0.3, 0.6, 0.9].map(|alpha| confidence.exit(Rule::Margin, alpha));
            let Ok(stops) = early_exits(&mut Session::new(&program), &recording, &exits, &confidence) else { continue };
            within += stops.iter().filter(|s| s.reached && (2..40).contains(&s.decision.events)).count();
        }
        assert!(within > 20, "{form:?}: {within}");
    }
}
