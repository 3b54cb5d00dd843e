//! 8-bit programs: they equal float programs with the same integers, saturate, and refuse what has
//! no 8-bit form.

use proptest::prelude::*;
use tickless_engine::{CompileOptions, Event, Isa, Program, Session, Trace};
use tickless_net::quantise::{quantise_layer, quantise_readout};
use tickless_net::{
    Array, Conv, During, InputKind, Network, NetworkBuilder, Neuron, Period, Refractory, Reset, Shape, SpikeMode,
    Weights,
};
use tickless_testing::generate::Rng;

const INPUT: Shape = Shape { channels: 2, height: 9, width: 9 };

const PERIOD: Refractory = Refractory { period: Period::Us(7.0), during: During::Integrate };

fn network(r: &mut Rng) -> Network {
    // Events come every µs, so a period of 7 µs matters.
    let held = Refractory { during: During::Hold, ..PERIOD };
    let kinds = [
        (SpikeMode::Multi, None),
        (SpikeMode::Single, None),
        (SpikeMode::Single, Some(PERIOD)),
        (SpikeMode::Single, Some(held)),
    ];
    let mut neuron = |threshold: f32| {
        let (spikes, refractory) = r.pick(&kinds);
        Neuron {
            threshold,
            spikes,
            refractory,
            reset: r.pick(&[Reset::Soft, Reset::Hard]),
            fire_at_threshold: r.pick(&[true, false]),
            v_min: Some(r.pick(&[-1.0, -0.25])),
            ..Neuron::if_multi()
        }
    };
    let neurons = [neuron(1.0), neuron(0.7)];
    let mut b = NetworkBuilder::new("random", INPUT, InputKind::Events);
    let conv = b.conv(b.input(), Conv::c3(r.pick(&[3, 8])));
    let first = b.neuron(conv, neurons[0]);
    let conv = b.conv(first, Conv::c3(r.pick(&[5, 40])).with_stride(2));
    let second = b.neuron(conv, neurons[1]);
    b.linear(second, 4, false);
    b.build().unwrap()
}

fn weights(r: &mut Rng, net: &Network) -> Weights {
    let mut all = Weights::default();
    for (_, name, spec) in net.tensors() {
        let data = (0..spec.shape.iter().product()).map(|_| (r.below(1201) as f32 - 500.0) / 1000.0).collect();
        all.insert(name, Array::new(spec.shape, data));
    }
    all
}

fn events(r: &mut Rng, count: usize) -> Vec<Event> {
    let event = |k: usize| Event { t_us: k as u64, x: r.below(9) as u16, y: r.below(9) as u16, on: r.below(2) == 1 };
    (0..count).map(event).collect()
}

fn run(program: &Program, events: &[Event]) -> (Session, Trace) {
    let (mut session, mut trace) = (Session::new(program), Trace::default());
    events.iter().for_each(|&e| session.push_into(e, &mut trace).unwrap());
    (session, trace)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// An 8-bit program equals the float program with the same integers, as long as nothing
    /// saturates.
    #[test]
    fn an_8_bit_program_is_the_float_program_of_its_integers(seed: u64) {
        let r = &mut Rng(seed);
        let net = network(r);
        let all = weights(r, &net);
        let simd = Some(r.pick(&Isa::available()));
        let small = CompileOptions { quantised: true, simd, ..CompileOptions::default() };
        let small = Program::compile(&net, &all, &small).unwrap();

        let mut integers = Weights::default();
        let mut neurons = Vec::new();
        for (layer, &at) in ["conv1", "conv2"].iter().zip(&net.spiking()) {
            let tickless_net::Layer::Neuron(n) = net.nodes()[at].layer else { unreachable!() };
            let array = all.require(layer, "weight").unwrap();
            let q = quantise_layer(layer, &array.data, n.threshold, n.v_min).unwrap();
            let data = q.weights.iter().map(|&w| w.into()).collect();
            integers.insert(format!("{layer}.weight"), Array::new(array.shape.clone(), data));
            neurons.push((n, q.threshold, q.v_min, q.scale));
        }
        let array = all.require("linear1", "weight").unwrap();
        let (readout, scale) = quantise_readout("linear1", &array.data).unwrap();
        let data = readout.iter().map(|&w| w.into()).collect();
        integers.insert("linear1.weight", Array::new(array.shape.clone(), data));
        let net = net.map_neurons(|name, n| {
            let (_, threshold, v_min, _) = neurons[usize::from(name == "neuron2")];
            Neuron { threshold: threshold.into(), v_min: Some(v_min.into()), ..n }
        });
        let float = Program::compile(&net, &integers, &CompileOptions::default()).unwrap();

        let events = events(r, 60);
        let ((small, told), (float, expected)) = (run(&small, &events), run(&float, &events));
        prop_assert_eq!(told, expected);
        prop_assert_eq!(small.synaptic_ops(), float.synaptic_ops());
        for (l, neuron) in neurons.iter().enumerate() {
            let integers = float.membranes(l).unwrap();
            let got = small.membranes(l).unwrap();
            prop_assert!(got.iter().zip(&integers).all(|(v, i)| *v == i / neuron.3));
        }
        let logits: Vec<f32> = float.logits().iter().map(|v| (f64::from(*v) / f64::from(scale)) as f32).collect();
        prop_assert_eq!(small.logits(), logits);
    }
}

fn one_neuron(neuron: Neuron, weight: f32) -> tickless_engine::Result<Program> {
    let mut b = NetworkBuilder::new("one", Shape::new(1, 1, 1), InputKind::Events);
    let conv = b.conv(b.input(), Conv::square(1, 1, 1, 0));
    b.neuron(conv, neuron);
    let net = b.build().unwrap();
    let mut weights = Weights::default();
    weights.insert("conv1.weight", Array::full(&[1, 1, 1, 1], weight));
    Program::compile(&net, &weights, &CompileOptions { quantised: true, ..CompileOptions::default() })
}

#[test]
fn what_has_no_8_bit_form_is_refused_with_the_layer_and_the_remedy() {
    let unset = one_neuron(Neuron { v_min: None, ..Neuron::if_multi() }, 0.5).unwrap_err().to_string();
    assert!(unset.contains("neuron1") && unset.contains("set `v_min`"), "{unset}");
    let leak = one_neuron(Neuron { leak: tickless_net::Leak::Time(100.0), ..Neuron::if_multi() }, 0.5).unwrap_err();
    assert!(leak.to_string().contains("neuron1") && leak.to_string().contains("leak"), "{leak}");
    let single = Neuron { spikes: SpikeMode::Single, ..Neuron::if_multi() };
    for during in [During::Integrate, During::Hold] {
        let refractory = Some(Refractory { during, ..PERIOD });
        assert!(one_neuron(Neuron { refractory, ..single }, 0.5).is_ok());
    }
    let steps = one_neuron(Neuron { refractory: Some(Refractory::steps(0.5)), ..single }, 0.5).unwrap_err();
    assert!(steps.to_string().contains("give `step_us`"), "{steps}");
}

#[test]
fn a_membrane_saturates_at_16_bits_and_does_not_wrap() {
    // 200·w = 127 units per event. The threshold of 250 would be 31,750 units, and single spikes
    // cannot keep up with the input.
    let neuron = Neuron { threshold: 250.0, spikes: SpikeMode::Single, v_min: Some(-1.0), ..Neuron::if_multi() };
    let program = one_neuron(neuron, 0.9).unwrap();
    let mut session = Session::new(&program);
    for t in 0..600 {
        session.push(Event { t_us: t, x: 0, y: 0, on: true }).unwrap();
    }
    assert_eq!(session.spikes(), [2]);
    assert!(!session.program().quantised() || session.membranes(0).unwrap()[0] > 0.0);
}
