//! Golden cases of one neuron with two synapses, small enough to check by hand.

use serde_json::Value;
use tickless_engine::{CompileOptions, Isa, Program, Session, Trace};
use tickless_net::{Array, InputKind, NetworkBuilder, Shape, Weights};
use tickless_testing::golden::{Golden, neuron};

#[test]
fn golden_async_hand_every_spike_and_the_final_membrane() {
    let cases: Vec<Value> = serde_json::from_value(Golden::open("async_hand.json").json()).unwrap();
    assert!(!cases.is_empty());
    let rounds = Isa::available().len();
    for (i, case) in (0..rounds).flat_map(|r| cases.iter().map(move |c| (r, c))) {
        let w: Vec<f32> = case["weights"].as_array().unwrap().iter().map(|w| w.as_f64().unwrap() as f32).collect();
        let mut b = NetworkBuilder::new("hand", Shape::vector(w.len()), InputKind::Events);
        let l = b.linear(b.input(), 1, false);
        b.neuron(l, neuron(case));
        let mut weights = Weights::default();
        weights.insert("linear1.weight", Array::new(vec![1, w.len()], w));
        let net = b.build().unwrap();
        let form = Isa::available()[i];
        let options = CompileOptions { simd: Some(form), ..CompileOptions::default() };
        let program = Program::compile(&net, &weights, &options).unwrap();
        let (mut session, mut trace) = (Session::new(&program), Trace::default());
        for (t, c) in case["input_channels"].as_array().unwrap().iter().enumerate() {
            session.push_at(t as u64, c.as_u64().unwrap() as usize, 0, 0, &mut trace).unwrap();
        }
        let causes: Vec<u64> = trace.spikes.iter().map(|s| s.cause).collect();
        let expected: Vec<u64> =
            case["out_caused_by"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
        assert_eq!(causes, expected, "{form:?}: {case}");
        assert_eq!(f64::from(session.membranes(0).unwrap()[0]), case["v_final"].as_f64().unwrap(), "{form:?}: {case}");
    }
}
