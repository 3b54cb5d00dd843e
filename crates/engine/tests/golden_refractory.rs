//! Golden cases of one neuron with a refractory period, driven event by event.

use serde_json::Value;
use tickless_engine::{CompileOptions, Isa, Program, Session, Trace};
use tickless_net::{Array, InputKind, NetworkBuilder, Shape, Weights};
use tickless_testing::golden::{Golden, list, neuron, number, refractory};

#[test]
fn golden_refractory_every_spike_and_the_final_membrane_in_every_form() {
    let all = Golden::open("refractory.json").json();
    let cases = all["events"].as_array().unwrap();
    assert!(cases.len() >= 32);
    for (case, simd) in cases.iter().flat_map(|c| Isa::available().into_iter().map(move |s| (c, s))) {
        let w: Vec<f32> = list(&case["weights"]).iter().map(|w| *w as f32).collect();
        let mut b = NetworkBuilder::new("one", Shape::vector(w.len()), InputKind::Events);
        let l = b.linear(b.input(), 1, false);
        b.neuron(l, refractory(neuron(case), case));
        let mut weights = Weights::default();
        weights.insert("linear1.weight", Array::new(vec![1, w.len()], w));
        let options = CompileOptions { simd: Some(simd), ..CompileOptions::default() };
        let program = Program::compile(&b.build().unwrap(), &weights, &options).unwrap();
        let (mut session, mut trace) = (Session::new(&program), Trace::default());
        for (t, c) in list(&case["times_us"]).iter().zip(list(&case["input_channels"])) {
            session.push_at(*t as u64, c as usize, 0, 0, &mut trace).unwrap();
        }
        let times: Vec<Value> = trace.spikes.iter().map(|s| s.t_us.into()).collect();
        assert_eq!(Value::Array(times), case["spike_times_us"], "{simd:?}: {case}");
        let v = session.membranes(0).unwrap()[0];
        assert!((v - number(&case["v_final"])).abs() < 1e-5, "{simd:?}: {v}, {case}");
    }
}
