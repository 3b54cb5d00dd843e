//! Golden files of event-driven runs: input events, the spikes of every layer in order of emission,
//! membranes and counts.

use serde_json::Value;
use tickless_engine::{CompileOptions, Isa, NeuronCounts, Program, Session, Trace};
use tickless_net::{Neuron, Reset, SpikeMode};
use tickless_testing::clocked;
use tickless_testing::golden::{Golden, GoldenNetwork, network, neuron};
use tickless_testing::layers::Map;

/// Runs a case with every instruction set; returns network, session, trace and counts of the last
/// one.
fn check(name: &str, entry: &Value, tensors: &Golden) -> (GoldenNetwork, Session, Trace, NeuronCounts) {
    let mut forms: Vec<_> = Isa::available().iter().map(|&simd| check_form(name, entry, tensors, simd)).collect();
    forms.pop().expect("the scalar form is everywhere")
}

/// Checks everything that a golden case states, with one instruction set.
fn check_form(name: &str, entry: &Value, tensors: &Golden, simd: Isa) -> (GoldenNetwork, Session, Trace, NeuronCounts) {
    let golden = network(entry, tensors);
    let options = CompileOptions { simd: Some(simd), ..CompileOptions::default() };
    let program = Program::compile(&golden.network, &golden.weights, &options).unwrap();
    assert_eq!(program.simd(), simd);
    let (case_name, name) = (name, &format!("{name}, {simd:?}"));
    let mut session = Session::new(&program);
    let mut sinks = (Trace::default(), NeuronCounts::new(&program));
    let events = tensors.rows::<4>(&format!("{case_name}.in"));
    assert_eq!(events.len() as u64, entry["n_in"], "{name}: n_in");
    for [t, c, y, x] in events {
        session.push_at(t, c as usize, y as usize, x as usize, &mut sinks).unwrap();
    }
    let (trace, counts) = sinks;
    for (l, layer) in golden.spiking.iter().enumerate() {
        let expected = tensors.rows::<5>(layer["out"].as_str().unwrap());
        let got: Vec<[u64; 5]> =
            trace.of(l).map(|s| [s.t_us, s.cause, s.channel as u64, s.y as u64, s.x as u64]).collect();
        if let Some(i) = (0..expected.len().max(got.len())).find(|&i| expected.get(i) != got.get(i)) {
            panic!("{name}: layer {l}: spike {i}: {:?} instead of {:?}", got.get(i), expected.get(i));
        }
        assert_eq!(session.spikes()[l], layer["n_out"], "{name}: layer {l}: n_out");
        assert_eq!(counts.layer(l).iter().sum::<u64>(), session.spikes()[l]);

        let lif = layer["tau_us"].is_number();
        let membrane = tensors.values(layer[if lif { "v_end" } else { "v_final" }].as_str().unwrap()).1;
        let tolerance = if lif { 1e-5 } else { 0.0 };
        let got = session.membranes(l).unwrap();
        assert_eq!(got.len(), membrane.len(), "{name}: layer {l}: membranes");
        for (i, (v, e)) in got.iter().zip(&membrane).enumerate() {
            assert!((f64::from(*v) - e).abs() <= tolerance, "{name}: layer {l}: membrane {i}: {v} instead of {e}");
        }
    }
    assert_eq!(session.synaptic_ops(), entry["synaptic_ops"], "{name}: synaptic_ops");
    if let Some(total) = entry["async_out_total"].as_u64() {
        assert_eq!(session.counts().iter().sum::<u64>(), total, "{name}: async_out_total");
    }
    let last = golden.spiking.len() - 1;
    assert_eq!(session.counts(), counts.layer(last), "{name}: counts of the output");
    (golden, session, trace, counts)
}

#[test]
fn golden_async_lif_spikes_order_and_decayed_membranes() {
    let tensors = Golden::open("async_lif.safetensors");
    tensors.named_cases().for_each(|(name, c)| drop(check(name, c, &tensors)));
}

#[test]
fn golden_async_events_spikes_order_membranes_and_counts() {
    let tensors = Golden::open("async_events.safetensors");
    tensors.named_cases().for_each(|(name, c)| drop(check(name, c, &tensors)));
}

/// Compares with the clocked run of the same network: equal in the cases where theory demands it,
/// and different in some other case.
#[test]
fn golden_async_events_against_the_same_nets_time_stepped() {
    let tensors = Golden::open("async_events.safetensors");
    let mut gaps = 0;
    for (name, c) in tensors.named_cases() {
        let (golden, session, ..) = check(name, c, &tensors);
        let multi_soft = golden.spiking.iter().all(|l| {
            let n: Neuron = neuron(l);
            n.spikes == SpikeMode::Multi && n.reset == Reset::Soft
        });
        let multi = golden.spiking.iter().all(|l| l["spike"] == "multi");
        let non_negative = golden.weights.tensors.values().all(|a| a.data.iter().all(|&w| w >= 0.0));
        let counts: Vec<f64> = session.counts().iter().map(|&n| n as f64).collect();

        let prefix = format!("{name}.sync.T");
        for sync in tensors.names().filter(|n| n.starts_with(&prefix)) {
            let t = &sync[prefix.len()..];
            let (shape, data) = tensors.values(&format!("{name}.frames.T{t}"));
            let step = golden.network.input().shape;
            assert_eq!(shape[1..], [step.channels, step.height, step.width]);
            let frames: Vec<Map> =
                data.chunks_exact(step.len()).map(|f| Map { shape: step, data: f.to_vec() }).collect();
            let expected = &tensors.values(sync).1;
            let clocked = clocked::run(&golden.network, &golden.weights, &frames, None).output;
            assert_eq!(&clocked, expected, "{name}: the tests' clocked simulator at T = {t}");
            if non_negative && multi_soft {
                assert_eq!(&counts, expected, "{name}: non-negative weights, T = {t}");
            }
        }

        let one = format!("{name}.sync.one_event_per_step");
        let stepped = &tensors.values(&one).1;
        let events = tensors.rows::<4>(&format!("{name}.in"));
        let frames = clocked::frames(&golden.network, &events, events.len(), |k| k);
        let clocked = clocked::run(&golden.network, &golden.weights, &frames, None).output;
        assert_eq!(&clocked, stepped, "{name}: the tests' clocked simulator, one event per step");
        if (golden.spiking.len() == 1 && multi) || (non_negative && multi_soft) {
            assert_eq!(&counts, stepped, "{name}: one event per step");
        } else if !non_negative && golden.spiking.len() > 1 {
            gaps += usize::from(stepped.iter().sum::<f64>() != c["async_out_total"].as_f64().unwrap());
        }
    }
    assert!(gaps > 0, "mixed signs in a deep net must open a gap");
}
