//! Checks that every built-in network runs event-driven after `fold::deployable`.

use tickless_engine::{CompileOptions, Program, Session};
use tickless_net::fold::deployable;
use tickless_net::zoo::{self, ZooOptions};
use tickless_net::{Array, Layer, PoolKind, Weights};

#[test]
fn every_deployable_built_in_network_compiles_and_takes_events() {
    for entry in zoo::entries() {
        let net = zoo::build(entry.name, &ZooOptions::default()).unwrap();
        let mut weights = Weights::default();
        for (_, name, spec) in net.tensors() {
            let fan_in: usize = spec.shape.iter().skip(1).product();
            // Large enough for one event to reach the readout, but small enough not to flood the
            // network.
            let value = if spec.shape.len() > 1 { 0.4 / (fan_in as f32).sqrt() } else { 1.0 };
            weights.insert(name, Array::full(&spec.shape, value));
        }
        let max_pool = net.nodes().iter().any(|n| matches!(n.layer, Layer::Pool(p) if p.kind == PoolKind::Max));
        let (net, weights) = match deployable(&net, &weights) {
            Ok(pair) => pair,
            Err(e) => {
                assert!(max_pool, "{}: {e}", entry.name);
                continue;
            }
        };
        let program =
            Program::compile(&net, &weights, &CompileOptions { step_us: Some(1000.0), ..CompileOptions::default() })
                .unwrap_or_else(|e| panic!("{}: {e}", entry.name));
        assert_eq!(program.layers().len(), net.spiking().len(), "{}", entry.name);
        assert_eq!(program.output().len(), entry.classes, "{}", entry.name);
        let mut session = Session::new(&program);
        // Deep networks are slow without optimisation, so they get one event and small ones a
        // burst.
        let burst = if program.weights() < 100_000 { 200 } else { 1 };
        // A signal such as that of SHD has one row.
        let (row, column) = (net.input().shape.height.min(10) - 1, net.input().shape.width.min(10) - 1);
        for i in 0..burst {
            let row = if row > 0 { row + i as usize % 3 } else { row };
            session.push_at(5 + i, 0, row, column, &mut ()).unwrap();
        }
        assert!(session.synaptic_ops() > 0, "{}", entry.name);
        assert!(burst == 1 || session.spikes()[0] > 0, "{}: {:?}", entry.name, session.spikes());
    }
}

#[test]
fn a_session_of_vgg9_keeps_less_than_4_mb_and_never_grows() {
    let neuron = Some(tickless_net::Neuron::if_multi());
    let net = zoo::build("vgg9", &ZooOptions { neuron, norm: Some(false), ..ZooOptions::default() }).unwrap();
    let mut weights = tickless_net::init::initialise(&net, tickless_net::init::InitScheme::default_for(&net), 1);
    // Large enough for the deep layers to fire within a few hundred events.
    weights.tensors.values_mut().flat_map(|a| &mut a.data).for_each(|w| *w *= 3.0);
    for quantised in [false, true] {
        let options = CompileOptions { quantised, ..CompileOptions::default() };
        let program = Program::compile(&net, &weights, &options).unwrap();
        let mut session = Session::new(&program);
        let bytes = session.state_bytes();
        assert!(bytes < 4_000_000, "{bytes} bytes");
        for t in 0..500 {
            session.push_at(t, t as usize % 2, 9 + t as usize % 7, 11 + t as usize % 5, &mut ()).unwrap();
        }
        assert!(session.spikes().iter().take(3).all(|&s| s > 0), "{:?}", session.spikes());
        assert_eq!(session.state_bytes(), bytes, "a session allocates nothing after its start");
        println!("quantised {quantised}: {bytes} bytes of state, {} weights", program.weights());
    }
}
