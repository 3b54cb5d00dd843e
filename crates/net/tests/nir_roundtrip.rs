//! Properties of NIR export and import, checked on random networks.
#![cfg(feature = "nir")]

use proptest::prelude::*;
use std::path::Path;
use tickless_net::interop::nir::{self, Deviation, Dialect, ExportOptions, ImportOptions, Node, Reader};
use tickless_net::{
    Array, Attention, Conv, During, InputKind, Layer, Leak, LeakRule, NetworkBuilder, Neuron, NodeId, Norm, Pool,
    Refractory, Reset, Shape, SpikeMode, Weights,
};
use tickless_testing::clocked;
use tickless_testing::folders::golden;
use tickless_testing::generate::Rng;
use tickless_testing::generate::any::{network, steps, weights};

const FILE: &str = "net.nir";

fn options(r: &mut Rng) -> ExportOptions {
    ExportOptions { reader: r.pick(&Reader::ALL), step_us: Some(500.0) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_network_comes_back_from_its_file_bit_for_bit(seed: u64) {
        let r = &mut Rng(seed);
        let net = network(r);
        let w = weights(r, &net);
        let file = Path::new(FILE);
        let graph = nir::export(&net, &w, &options(r)).unwrap().graph;
        let read = nir::from_bytes(&nir::to_bytes(&graph, file).unwrap(), file).unwrap();
        prop_assert_eq!(&read, &graph);
        let back = nir::import(&read, file, &ImportOptions::default()).unwrap();
        prop_assert_eq!(back.dialect, Dialect::Tickless);
        prop_assert_eq!(&back.network, &net);
        prop_assert_eq!(&back.weights, &w);
        prop_assert!(back.differences.is_empty());
    }

    #[test]
    fn without_the_description_the_graph_computes_the_same_where_its_reader_agrees(seed: u64) {
        let r = &mut Rng(seed);
        let reader = r.pick(&[Reader::Sinabs, Reader::SpikingJelly]);
        // Use the neuron that the reader runs; SpikingJelly's may leak.
        let net = network(r).map_neurons(|_, n| match reader {
            Reader::Sinabs => Neuron { threshold: n.threshold, v_min: Some(-n.threshold), ..Neuron::if_multi() },
            _ => Neuron {
                leak: if n.leaks() { Leak::Step(0.5) } else { Leak::None },
                fire_at_threshold: true,
                threshold: n.threshold,
                ..Neuron::if_single()
            },
        });
        // Multiples of 1/64, so sums are exact in every order.
        let mut w = weights(r, &net);
        w.tensors.values_mut().flat_map(|a| &mut a.data).for_each(|v| *v = (*v * 64.0).round() / 64.0);
        let exported = nir::export(&net, &w, &ExportOptions { reader, step_us: None }).unwrap();
        let is_lossy = |d: &nir::Difference| d.reader == Some(reader);
        let native = exported.differences.iter().any(|d| is_lossy(d) || d.what == Deviation::NoWeightsFollow);
        let mut graph = exported.graph;
        graph.metadata.clear();
        let options = ImportOptions { dialect: Some(Dialect::Of(reader)), ..ImportOptions::default() };
        let back = nir::import(&graph, Path::new(FILE), &options).unwrap();
        let x = steps(r, &net, 5);
        let (ours, theirs) = (clocked::run(&net, &w, &x, None).steps, clocked::run(&back.network, &back.weights, &x, None).steps);
        // Averages over 3×3 windows are not exact, so spikes may differ; compare only exact
        // networks.
        let exact = net.nodes().iter().all(|n| match n.layer {
            Layer::Pool(p) => p.window.kernel() == (2, 2),
            Layer::GlobalAverage => (n.input.height * n.input.width).is_power_of_two(),
            _ => true,
        });
        if exact {
            prop_assert_eq!(ours, theirs, "native: {}", native);
        }
    }

    #[test]
    fn truncated_files_are_errors_that_name_the_file(seed: u64, cut in 0.0f64..1.0) {
        let r = &mut Rng(seed);
        let net = network(r);
        let w = weights(r, &net);
        let graph = nir::export(&net, &w, &options(r)).unwrap().graph;
        let bytes = nir::to_bytes(&graph, Path::new(FILE)).unwrap();
        let n = (cut * bytes.len() as f64) as usize;
        let e = nir::from_bytes(&bytes[..n], Path::new(FILE)).unwrap_err();
        prop_assert!(e.to_string().starts_with(FILE), "{e}");
    }

    #[test]
    fn corrupt_files_are_errors_or_graphs_never_panics(seed: u64) {
        let r = &mut Rng(seed);
        let net = network(r);
        let w = weights(r, &net);
        let graph = nir::export(&net, &w, &options(r)).unwrap().graph;
        let mut bytes = nir::to_bytes(&graph, Path::new(FILE)).unwrap();
        for _ in 0..1 + r.below(8) {
            let at = r.below(bytes.len());
            bytes[at] = r.pick(&[0, 0xff, r.0 as u8, bytes[at] ^ 1, bytes[at] ^ 0x80]);
        }
        try_everything(&bytes);
    }

    #[test]
    fn random_bytes_are_errors(bytes in prop::collection::vec(any::<u8>(), 0..2000), signed: bool) {
        let mut all = if signed { b"\x89HDF\r\n\x1a\n".to_vec() } else { Vec::new() };
        all.extend(bytes);
        let e = nir::from_bytes(&all, Path::new(FILE)).unwrap_err();
        prop_assert!(e.to_string().starts_with(FILE), "{e}");
    }
}

/// Reads and imports `bytes` in every dialect; errors must name the file.
fn try_everything(bytes: &[u8]) {
    let file = Path::new(FILE);
    let named = |e: tickless_net::Error| assert!(e.to_string().starts_with(FILE), "{e}");
    let graph = match nir::from_bytes(bytes, file) {
        Ok(graph) => graph,
        Err(e) => return named(e),
    };
    let dialects = [None, Some(Dialect::Plain), Some(Dialect::Tickless)].into_iter();
    for dialect in dialects.chain(Reader::ALL.map(|r| Some(Dialect::Of(r)))) {
        let options = ImportOptions { dialect, ..ImportOptions::default() };
        if let Err(e) = nir::import(&graph, file, &options) {
            named(e);
        }
    }
}

#[test]
fn golden_files_cut_and_corrupted_never_panic() {
    for name in ["sinabs_conv_if", "snntorch_fc_lif", "spikingjelly_conv_lif"] {
        let path = golden(&format!("{name}.nir"));
        let bytes = std::fs::read(path).unwrap();
        (0..bytes.len()).step_by(509).for_each(|n| try_everything(&bytes[..n]));
        let r = &mut Rng(7);
        for _ in 0..500 {
            let mut bad = bytes.clone();
            for _ in 0..1 + r.below(16) {
                let at = r.below(bad.len());
                bad[at] = r.next() as u8;
            }
            try_everything(&bad);
        }
    }
}

/// A network conv → `then` → linear, with weights.
fn small(then: &[Layer]) -> (tickless_net::Network, Weights) {
    let mut b = NetworkBuilder::new("small", Shape::new(1, 6, 6), InputKind::Events);
    let mut at = b.conv(NodeId::Input, Conv::c3(2));
    for layer in then {
        at = b.add("", *layer, &[at]);
    }
    b.linear(at, 2, false);
    let net = b.build().unwrap();
    let w = weights(&mut Rng(3), &net);
    (net, w)
}

#[test]
fn average_pooling_becomes_sum_pooling_with_the_factor_in_the_weights() {
    let (net, w) = small(&[Layer::Neuron(Neuron::if_multi()), Layer::Pool(Pool::average(2))]);
    let graph = nir::export(&net, &w, &ExportOptions::default()).unwrap().graph;
    assert!(matches!(graph.nodes["pool1"], Node::SumPool2d(_)));
    let Node::Affine { weight, .. } = &graph.nodes["linear1"] else { panic!("no Affine") };
    let ours = &w.get("linear1.weight").unwrap().data;
    assert!(weight.data.iter().zip(ours).all(|(a, b)| *a == f64::from(*b) / 4.0));
}

#[test]
fn average_pooling_that_no_weights_follow_stays_and_is_reported() {
    let (net, w) = small(&[Layer::Pool(Pool::average(2)), Layer::Neuron(Neuron::if_multi())]);
    let exported = nir::export(&net, &w, &ExportOptions::default()).unwrap();
    assert!(matches!(exported.graph.nodes["pool1"], Node::AvgPool2d(_)));
    let assert_noted = |reader, what: Deviation| {
        let found = exported.differences.iter().any(|d| d.reader == reader && d.places == ["pool1"] && d.what == what);
        assert!(found, "{what}: {:?}", exported.differences);
    };
    assert_noted(None, Deviation::NoWeightsFollow);
    assert_noted(Some(Reader::Sinabs), Deviation::UnknownPooling { kind: "average" });
}

#[test]
fn what_a_reader_does_differently_is_said() {
    let neuron = Neuron {
        spikes: SpikeMode::Single,
        reset: Reset::Hard,
        fire_at_threshold: false,
        v_min: Some(-0.5),
        ..Neuron::if_multi()
    };
    let (net, w) = small(&[Layer::Neuron(neuron)]);
    let all = nir::export(&net, &w, &ExportOptions::default()).unwrap().differences;
    let notes = |r: Reader| all.iter().filter(move |d| d.reader == Some(r)).map(|d| &d.what).collect::<Vec<_>>();
    let sinabs = notes(Reader::Sinabs);
    for what in [
        Deviation::ManySpikes,
        Deviation::ResetByThreshold,
        Deviation::FiresAtThreshold,
        Deviation::LowerLimit { theirs: Some(-1.0), ours: Some(-0.5) },
    ] {
        assert!(sinabs.contains(&&what), "{what}: {sinabs:?}");
    }
    let leaks = |d: &&Deviation| matches!(d, Deviation::Leak { theirs, .. } if (theirs - 0.9).abs() < 1e-6);
    assert!(notes(Reader::SnnTorch).iter().any(leaks), "{:?}", notes(Reader::SnnTorch));
    let jelly = notes(Reader::SpikingJelly);
    assert!(jelly.iter().any(|d| d.to_string().contains(" r = 1;")), "{jelly:?}");
    let (net, w) = small(&[Layer::Neuron(Neuron::if_multi())]);
    let all = nir::export(&net, &w, &ExportOptions::default()).unwrap().differences;
    assert!(!all.iter().any(|d| d.reader == Some(Reader::Sinabs)), "sinabs agrees with its own neuron: {all:?}");
}

#[test]
fn a_refractory_period_is_kept_for_us_and_every_other_reader_is_said_to_drop_it() {
    let refractory = Refractory { during: During::Hold, ..Refractory::steps(0.5) };
    let neuron = Neuron { refractory: Some(refractory), ..Neuron::lif() };
    let (net, w) = small(&[Layer::Neuron(neuron)]);
    let written = nir::export(&net, &w, &ExportOptions::default()).unwrap();
    for reader in Reader::ALL {
        let dropped = Deviation::Refractory { ours: refractory };
        let is_dropped = |d: &nir::Difference| d.reader == Some(reader) && d.what == dropped;
        assert!(written.differences.iter().any(is_dropped), "{reader}: {:?}", written.differences);
        assert!(dropped.to_string().contains("0.5 steps"), "{dropped}");
    }
    let read = nir::import(&written.graph, Path::new(FILE), &ImportOptions::default()).unwrap();
    assert_eq!((read.dialect, &read.network), (Dialect::Tickless, &net));
}

#[test]
fn batch_norm_must_be_folded_first() {
    let (net, w) = small(&[Layer::Norm(Norm::default()), Layer::Neuron(Neuron::if_multi())]);
    let e = nir::export(&net, &w, &ExportOptions::default()).unwrap_err().to_string();
    assert!(e.contains("norm1") && e.contains("fold"), "{e}");
}

#[test]
fn attention_has_no_node_in_a_graph() {
    let mut b = NetworkBuilder::new("attention", Shape::new(2, 4, 4), InputKind::Events);
    let c = b.conv(NodeId::Input, Conv::c3(2));
    let x = b.neuron(c, Neuron::if_multi());
    let product = b.add("", Layer::Attention(Attention::default()), &[x, x, x]);
    b.linear(product, 2, false);
    let net = b.build().unwrap();
    let e = nir::export(&net, &weights(&mut Rng(3), &net), &ExportOptions::default()).unwrap_err().to_string();
    assert!(e.starts_with("layer `attention1`: "), "{e}");
}

#[test]
fn a_graph_changed_after_it_was_written_is_not_taken_for_what_it_was() {
    let (net, w) = small(&[Layer::Neuron(Neuron::if_multi())]);
    let mut graph = nir::export(&net, &w, &ExportOptions::default()).unwrap().graph;
    let Some(Node::If { threshold, .. }) = graph.nodes.get_mut("neuron1") else { panic!("no IF") };
    threshold.data.fill(2.0);
    let tickless = ImportOptions { dialect: Some(Dialect::Tickless), ..ImportOptions::default() };
    let e = nir::import(&graph, Path::new(FILE), &tickless).unwrap_err();
    let changed = Deviation::Changed.to_string();
    assert!(matches!(&e, tickless_net::Error::NirGraph { problem, .. } if problem.starts_with(&changed)), "{e}");
    let options = ImportOptions { dt: Some(1.0), ..ImportOptions::default() };
    let read = nir::import(&graph, Path::new(FILE), &options).unwrap();
    assert_eq!(read.dialect, Dialect::Plain);
    assert!(read.differences.iter().any(|d| d.what == Deviation::Changed), "{:?}", read.differences);
    let theta =
        read.network.nodes().iter().find_map(|n| if let Layer::Neuron(n) = n.layer { Some(n.threshold) } else { None });
    assert_eq!(theta, Some(2.0));
}

#[test]
fn weights_changed_after_writing_are_read_with_the_description() {
    let (net, w) = small(&[Layer::Neuron(Neuron::lif())]);
    let mut graph = nir::export(&net, &w, &ExportOptions::default()).unwrap().graph;
    let Some(Node::Conv2d(c)) = graph.nodes.get_mut("conv1") else { panic!("no Conv2d") };
    c.weight.data[0] = 0.25;
    let read = nir::import(&graph, Path::new(FILE), &ImportOptions::default()).unwrap();
    assert_eq!((read.dialect, &read.network), (Dialect::Tickless, &net));
    assert_eq!(read.weights.get("conv1.weight").unwrap().data[0], 0.25);
}

#[test]
fn thresholds_of_channels_and_gains_go_into_the_weights() {
    let (net, w) = small(&[Layer::Neuron(Neuron { v_min: None, ..Neuron::if_single() })]);
    let mut graph = nir::export(&net, &w, &ExportOptions::default()).unwrap().graph;
    graph.metadata.clear();
    let Some(Node::If { threshold, r, .. }) = graph.nodes.get_mut("neuron1") else { panic!("no IF") };
    threshold.data[36..].fill(0.5);
    r.data.fill(4.0);
    let options = ImportOptions { dialect: Some(Dialect::Plain), dt: Some(0.5), ..ImportOptions::default() };
    let read = nir::import(&graph, Path::new(FILE), &options).unwrap();
    let (ours, theirs) = (&w.get("conv1.weight").unwrap().data, &read.weights.get("conv1.weight").unwrap().data);
    assert!(ours[..9].iter().zip(theirs).all(|(a, b)| a * 2.0 == *b));
    assert!(ours[9..].iter().zip(&theirs[9..]).all(|(a, b)| a * 4.0 == *b));
}

#[test]
fn nodes_that_cannot_run_say_why_and_what_helps() {
    let (net, w) = small(&[Layer::Neuron(Neuron::lif())]);
    let graph = nir::export(&net, &w, &ExportOptions::default()).unwrap().graph;
    let t = nir::Tensor::full(&[2, 6, 6], 1.0);
    let cuba = Node::CubaLif {
        tau_syn: t.clone(),
        tau_mem: t.clone(),
        r: t.clone(),
        leak: nir::Tensor::full(&[2, 6, 6], 0.0),
        threshold: t.clone(),
        reset: t.clone(),
        w_in: t.clone(),
    };
    let li = Node::Li { tau: t.clone(), r: t.clone(), leak: t.clone() };
    let other = Node::Other { kind: "Sequence".into() };
    for (node, why) in [(cuba, "`v_reset` is 1"), (li, "`v_leak`"), (other, "`Sequence`")] {
        let mut graph = graph.clone();
        graph.nodes.insert("neuron1".into(), node);
        let e = nir::import(&graph, Path::new(FILE), &ImportOptions::default()).unwrap_err().to_string();
        assert!(e.starts_with("net.nir: NIR node `neuron1`") && e.contains(why), "{e}");
    }
}

#[test]
fn loops_are_named() {
    let (net, w) = small(&[Layer::Neuron(Neuron::lif())]);
    let mut graph = nir::export(&net, &w, &ExportOptions::default()).unwrap().graph;
    graph.metadata.clear();
    graph.edges.push(("neuron1".into(), "conv1".into()));
    let e = nir::import(&graph, Path::new(FILE), &ImportOptions::default()).unwrap_err().to_string();
    assert!(e.contains("loop") && e.contains("conv1"), "{e}");
}

#[test]
fn a_nested_graph_is_taken_apart() {
    let (net, w) = small(&[Layer::Neuron(Neuron::if_multi()), Layer::Pool(Pool::sum(2))]);
    let flat = nir::export(&net, &w, &ExportOptions::default()).unwrap().graph;
    let (mut outer, mut inner) = (flat.clone(), nir::Graph::default());
    outer.metadata.clear();
    for name in ["neuron1", "pool1"] {
        inner.nodes.insert(name.into(), outer.nodes.remove(name).unwrap());
    }
    inner.nodes.insert("in".into(), Node::Input { shape: vec![2, 6, 6] });
    inner.nodes.insert("out".into(), Node::Output { shape: vec![2, 3, 3] });
    let edge = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    inner.edges = vec![edge("in", "neuron1"), edge("neuron1", "pool1"), edge("pool1", "out")];
    outer.edges.retain(|(a, b)| !inner.nodes.contains_key(a) && !inner.nodes.contains_key(b));
    outer.edges.extend([edge("conv1", "block"), edge("block", "linear1_flatten")]);
    outer.nodes.insert("block".into(), Node::Graph(inner));
    let file = Path::new(FILE);
    let read = nir::from_bytes(&nir::to_bytes(&outer, file).unwrap(), file).unwrap();
    assert_eq!(read, outer);
    let options = ImportOptions { dialect: Some(Dialect::Of(Reader::Sinabs)), ..ImportOptions::default() };
    let back = nir::import(&read, file, &options).unwrap();
    assert_eq!(back.network.nodes()[1].name, "block.neuron1");
    let x = steps(&mut Rng(5), &net, 4);
    let ours = clocked::run(&net, &w, &x, None).steps;
    assert_eq!(clocked::run(&back.network, &back.weights, &x, None).steps, ours);
    outer.nodes.insert("block.pool1".into(), Node::Output { shape: vec![1] });
    let e = nir::import(&outer, file, &options).unwrap_err().to_string();
    assert!(e.contains("`block.pool1`") && e.contains("rename"), "{e}");
}

#[test]
fn a_dilated_kernel_stays_as_it_is_and_computes_what_one_with_zeros_does() {
    let (net, w) = small(&[Layer::Neuron(Neuron::if_multi())]);
    let mut graph = nir::export(&net, &w, &ExportOptions::default()).unwrap().graph;
    graph.metadata.clear();
    let Some(Node::Conv2d(c)) = graph.nodes.get_mut("conv1") else { panic!("no Conv2d") };
    (c.dilation, c.padding) = ((2, 2), nir::Padding::Same);
    let options = ImportOptions { dialect: Some(Dialect::Of(Reader::Sinabs)), ..ImportOptions::default() };
    let back = nir::import(&graph, Path::new(FILE), &options).unwrap();
    let Array { shape, data } = back.weights.get("conv1.weight").unwrap();
    assert_eq!((&shape[..], data), (&[2, 1, 3, 3][..], &w.get("conv1.weight").unwrap().data));
    // The same kernel with its zeros written out.
    let Some(Node::Conv2d(c)) = graph.nodes.get_mut("conv1") else { panic!("no Conv2d") };
    let mut spread = nir::Tensor::full(&[2, 1, 5, 5], 0.0);
    for (i, v) in c.weight.data.iter().enumerate() {
        spread.data[i / 9 * 25 + i / 3 % 3 * 10 + i % 3 * 2] = *v;
    }
    (c.weight, c.dilation) = (spread, (1, 1));
    let zeros = nir::import(&graph, Path::new(FILE), &options).unwrap();
    let x = steps(&mut Rng(3), &net, 4);
    let output = |i: &nir::Imported| clocked::run(&i.network, &i.weights, &x, None).steps;
    assert_eq!(output(&back), output(&zeros));
}

#[test]
fn a_scale_goes_into_the_weights_beside_it() {
    let (net, w) = small(&[Layer::Neuron(Neuron::if_multi())]);
    let graph = nir::export(&net, &w, &ExportOptions::default()).unwrap().graph;
    let scaled = |factors: Vec<f64>| {
        let mut graph = graph.clone();
        graph.metadata.clear();
        let scale = nir::Tensor { shape: vec![factors.len(), 1, 1], data: factors, double: false };
        graph.nodes.insert("scale".into(), Node::Scale { scale });
        let cut = graph.edges.iter().position(|e| e.1 == "neuron1").unwrap();
        graph.edges[cut].1 = "scale".into();
        graph.edges.push(("scale".into(), "neuron1".into()));
        let options = ImportOptions { dialect: Some(Dialect::Of(Reader::Sinabs)), ..ImportOptions::default() };
        nir::import(&graph, Path::new(FILE), &options).unwrap()
    };
    for factors in [vec![2.0, 2.0], vec![2.0, 0.5]] {
        let read = scaled(factors.clone());
        assert!(read.network.nodes().iter().all(|n| n.name != "scale"), "no layer of its own");
        let mut by_hand = w.clone();
        let conv = by_hand.tensors.get_mut("conv1.weight").unwrap();
        conv.data.chunks_mut(9).zip(&factors).for_each(|(c, f)| c.iter_mut().for_each(|v| *v *= *f as f32));
        let x = steps(&mut Rng(11), &net, 4);
        assert_eq!(
            clocked::run(&read.network, &read.weights, &x, None).steps,
            clocked::run(&net, &by_hand, &x, None).steps
        );
    }
}

#[test]
fn every_reader_agrees_with_a_neuron_of_its_own() {
    let lif = Neuron { leak: Leak::Step(0.75), ..Neuron::lif() };
    let fires_at_threshold = |n: Neuron| Neuron { fire_at_threshold: true, ..n };
    let cases = [
        (Reader::Sinabs, Neuron::if_multi()),
        (Reader::Sinabs, Neuron { leak: Leak::Step(0.75), v_min: None, ..Neuron::if_multi() }),
        (Reader::SnnTorch, lif),
        (Reader::SpikingJelly, fires_at_threshold(lif)),
        (Reader::SpikingJelly, fires_at_threshold(Neuron::if_single())),
        (Reader::Norse, Neuron::if_single()),
        (Reader::Norse, lif),
    ];
    for (reader, neuron) in cases {
        let mut b = NetworkBuilder::new("own", Shape::vector(4), InputKind::Events);
        let l = b.linear(NodeId::Input, 3, false);
        b.neuron(l, neuron);
        let net = b.build().unwrap();
        let w = weights(&mut Rng(1), &net);
        let all = nir::export(&net, &w, &ExportOptions { reader, step_us: None }).unwrap().differences;
        assert!(!all.iter().any(|d| d.reader == Some(reader)), "{neuron:?}: {all:?}");
    }
}

/// A graph whose nodes form a chain between an input and an output.
fn chain(input: &[usize], nodes: Vec<(&str, Node)>, output: &[usize]) -> nir::Graph {
    let mut graph = nir::Graph::default();
    graph.nodes.insert("input".into(), Node::Input { shape: input.to_vec() });
    let mut before = "input".to_owned();
    for (name, node) in nodes {
        graph.nodes.insert(name.into(), node);
        graph.edges.push((std::mem::replace(&mut before, name.to_owned()), name.to_owned()));
    }
    graph.nodes.insert("output".into(), Node::Output { shape: output.to_vec() });
    graph.edges.push((before, "output".into()));
    graph
}

fn full(n: usize, v: f64) -> nir::Tensor {
    nir::Tensor::full(&[n], v)
}

fn lif(n: usize, tau: f64, leak: f64, threshold: f64, reset: f64) -> Node {
    Node::Lif {
        tau: full(n, tau),
        r: full(n, 1.0),
        leak: full(n, leak),
        threshold: full(n, threshold),
        reset: full(n, reset),
    }
}

fn weight(out: usize, input: usize, v: f64) -> Node {
    Node::Linear { weight: nir::Tensor::full(&[out, input], v) }
}

fn import(graph: &nir::Graph, dialect: Dialect) -> tickless_net::Result<nir::Imported> {
    nir::import(
        graph,
        Path::new(FILE),
        &ImportOptions { dialect: Some(dialect), dt: Some(1e-3), ..ImportOptions::default() },
    )
}

fn neuron_of(imported: &nir::Imported) -> Neuron {
    let neuron = imported.network.nodes().iter().rev().find_map(|n| match n.layer {
        Layer::Neuron(n) => Some(n),
        _ => None,
    });
    neuron.expect("the network has a neuron")
}

#[test]
fn an_edge_that_is_written_twice_is_one_edge() {
    let mut graph = chain(&[2], vec![("fc", weight(1, 2, 0.5)), ("lif", lif(1, 0.02, 0.0, 1.0, 0.0))], &[1]);
    let once = import(&graph, Dialect::Plain).unwrap();
    for k in 0..graph.edges.len() {
        graph.edges.push(graph.edges[k].clone());
    }
    assert_eq!(import(&graph, Dialect::Plain).unwrap(), once);
    // The same holds if one of the two edges names the input or output of a nested graph.
    let (mut outer, mut inner) = (graph.clone(), nir::Graph::default());
    inner.nodes.insert("input".into(), Node::Input { shape: vec![1] });
    inner.nodes.insert("cell".into(), outer.nodes.remove("lif").unwrap());
    inner.nodes.insert("output".into(), Node::Output { shape: vec![1] });
    let edge = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    inner.edges = vec![edge("input", "cell"), edge("cell", "output"), edge("input", "cell")];
    outer.nodes.insert("sub".into(), Node::Graph(inner));
    outer.edges = vec![
        edge("input", "fc"),
        edge("fc", "sub"),
        edge("fc", "sub.input"),
        edge("sub", "output"),
        edge("sub.output", "output"),
    ];
    let nested = import(&outer, Dialect::Plain).unwrap();
    assert_eq!((nested.network.nodes().len(), &nested.weights), (once.network.nodes().len(), &once.weights));
}

#[test]
fn an_input_that_is_added_to_itself_survives_as_a_set_of_edges() {
    let mut b = NetworkBuilder::new("twice", Shape::vector(2), InputKind::Events);
    let a = b.linear(NodeId::Input, 2, false);
    let n = b.neuron(a, Neuron::if_multi());
    let sum = b.add("", Layer::Add, &[n, n]);
    b.linear(sum, 1, false);
    let net = b.build().unwrap();
    let w = weights(&mut Rng(4), &net);
    let mut graph = nir::export(&net, &w, &ExportOptions::default()).unwrap().graph;
    let edges: std::collections::BTreeSet<_> = graph.edges.iter().collect();
    assert_eq!(edges.len(), graph.edges.len(), "{:?}", graph.edges);
    graph.metadata.clear();
    let options = ImportOptions { dialect: Some(Dialect::Of(Reader::Sinabs)), ..ImportOptions::default() };
    let back = nir::import(&graph, Path::new(FILE), &options).unwrap();
    let x = steps(&mut Rng(5), &net, 6);
    let ours = clocked::run(&net, &w, &x, None).steps;
    assert_eq!(clocked::run(&back.network, &back.weights, &x, None).steps, ours);
}

#[test]
fn a_time_constant_in_seconds_is_kept_whatever_the_step() {
    let graph = chain(&[1], vec![("fc", weight(1, 1, 1.0)), ("lif", lif(1, 0.02, 0.0, 0.1, 0.0))], &[1]);
    for reader in [Dialect::Plain, Dialect::Of(Reader::SnnTorch), Dialect::Of(Reader::Norse)] {
        for dt in [1e-4, 1e-3, 5e-3] {
            let options =
                ImportOptions { dialect: Some(reader), dt: Some(dt), leak: LeakRule::Time, ..ImportOptions::default() };
            let made = nir::import(&graph, Path::new(FILE), &options).unwrap();
            let Leak::Time(tau) = neuron_of(&made).leak else { panic!("{reader:?}: {:?}", neuron_of(&made)) };
            assert!((tau / 20_000.0 - 1.0).abs() < 1e-12, "{reader:?} at {dt} s: τ = {tau} µs");
        }
    }
    // sinabs counts τ in steps, so τ is in seconds only if the caller gives the duration of a step.
    let graph = chain(&[1], vec![("fc", weight(1, 1, 1.0)), ("lif", lif(1, 20.0, 0.0, 1.0, 0.0))], &[1]);
    let mut options =
        ImportOptions { dialect: Some(Dialect::Of(Reader::Sinabs)), leak: LeakRule::Time, ..ImportOptions::default() };
    let made = nir::import(&graph, Path::new(FILE), &options).unwrap();
    assert_eq!(neuron_of(&made).leak, Leak::Step((-1.0f64 / 20.0).exp() as f32));
    let in_steps = |d: &nir::Difference| d.what == Deviation::StepsOfRun { tau: 20.0 };
    assert!(made.differences.iter().any(in_steps), "{:?}", made.differences);
    options.dt = Some(1e-3);
    let made = nir::import(&graph, Path::new(FILE), &options).unwrap();
    let Leak::Time(tau) = neuron_of(&made).leak else { panic!("{:?}", neuron_of(&made)) };
    assert!((tau / 20_000.0 - 1.0).abs() < 1e-12, "{tau}");
}

#[test]
fn long_time_constants_that_differ_are_not_taken_for_one() {
    let mut node = lif(2, 1.0, 0.0, 1.0, 0.0);
    if let Node::Lif { tau, .. } = &mut node {
        tau.data[1] = 1.001;
    }
    let graph = chain(&[2], vec![("fc", weight(2, 2, 1.0)), ("lif", node)], &[2]);
    let e = import(&graph, Dialect::Plain).unwrap_err();
    let tickless_net::Error::NirNode { node, problem, .. } = &e else { panic!("{e}") };
    assert!(node == "lif" && problem.contains("`tau`") && problem.contains("1.001"), "{e}");
}

#[test]
fn numbers_beyond_f32_name_the_node_and_the_tensor() {
    let refuse = |graph: &nir::Graph, words: [&str; 2]| {
        let e = import(graph, Dialect::Plain).unwrap_err().to_string();
        assert!(words.iter().all(|w| e.contains(w)), "{e}");
    };
    let graph = chain(&[1], vec![("fc", weight(1, 1, 1e300)), ("lif", lif(1, 0.02, 0.0, 1.0, 0.0))], &[1]);
    refuse(&graph, ["NIR node `fc`", "`weight`"]);
    let graph = chain(&[1], vec![("fc", weight(1, 1, 1.0)), ("lif", lif(1, 0.02, 0.0, 1e39, 0.0))], &[1]);
    refuse(&graph, ["NIR node `lif`", "`v_threshold`"]);
    let bias = Node::Affine { weight: nir::Tensor::full(&[1, 1], 1.0), bias: full(1, -1e40) };
    let graph = chain(&[1], vec![("fc", bias), ("lif", lif(1, 0.02, 0.0, 1.0, 0.0))], &[1]);
    refuse(&graph, ["NIR node `fc`", "`bias`"]);
    // Each number fits into f32, but their product does not.
    let scale = Node::Scale { scale: full(1, 1e30) };
    let graph = chain(&[1], vec![("fc", weight(1, 1, 1e30)), ("s", scale), ("lif", lif(1, 0.02, 0.0, 1.0, 0.0))], &[1]);
    refuse(&graph, ["NIR node `fc`", "`weight`"]);
    // No weights precede it, so the importer divides the threshold by the factor, which overflows.
    let tiny = Node::Scale { scale: full(1, 1e-30) };
    let graph = chain(&[1], vec![("s", tiny), ("lif", lif(1, 0.02, 0.0, 1e30, 0.0))], &[1]);
    refuse(&graph, ["NIR node `lif`", "`v_threshold`"]);
}

#[test]
fn a_scale_that_turns_the_sign_is_blamed_itself_or_taken_up_by_weights() {
    let scale = |v: f64| ("s", Node::Scale { scale: full(1, v) });
    let cell = || ("lif", lif(1, 0.02, 0.0, 1.0, 0.0));
    for v in [0.0, -2.0] {
        let graph = chain(&[1], vec![scale(v), cell()], &[1]);
        let e = import(&graph, Dialect::Plain).unwrap_err().to_string();
        assert!(e.contains("NIR node `s`") && e.contains("factor"), "{v}: {e}");
    }
    let scaled_weight = |v: f64| {
        let graph = chain(&[1], vec![("fc", weight(1, 1, 1.0)), scale(v), cell()], &[1]);
        import(&graph, Dialect::Plain).unwrap().weights.get("fc.weight").unwrap().data[0]
    };
    assert_eq!(scaled_weight(-2.0), -scaled_weight(2.0));
    let graph = chain(&[1], vec![("fc", weight(1, 1, 1.0)), scale(0.0), cell()], &[1]);
    assert!(import(&graph, Dialect::Plain).unwrap_err().to_string().contains("NIR node `s`"));
}

#[test]
fn one_of_several_outputs_is_chosen_by_its_name() {
    let mut graph = chain(&[2], vec![("fc", weight(3, 2, 0.5)), ("lif", lif(3, 0.02, 0.0, 1.0, 0.0))], &[3]);
    let whole = import(&graph, Dialect::Plain).unwrap();
    graph.nodes.insert("probe".into(), weight(1, 3, 1.0));
    graph.nodes.insert("second".into(), Node::Output { shape: vec![1] });
    let edge = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    graph.edges.extend([edge("lif", "probe"), edge("probe", "second")]);
    let e = import(&graph, Dialect::Plain).unwrap_err();
    let tickless_net::Error::NirDoors { doors: outputs, .. } = &e else { panic!("{e:?}") };
    assert_eq!(outputs, &["output", "second"]);
    let choose = |name: &str| {
        let options = ImportOptions {
            dialect: Some(Dialect::Plain),
            dt: Some(1e-3),
            output: Some(name.to_owned()),
            ..ImportOptions::default()
        };
        nir::import(&graph, Path::new(FILE), &options)
    };
    assert_eq!(choose("output").unwrap(), whole);
    assert_eq!(choose("second").unwrap().network.output(), Shape::vector(1));
    let e = choose("third").unwrap_err();
    assert!(matches!(e, tickless_net::Error::NirGraph { .. }) && e.to_string().contains("`third`"), "{e}");
}

#[test]
fn a_nested_graph_with_two_outputs_must_be_named_with_the_output() {
    let mut inner = nir::Graph::default();
    let edge = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    inner.nodes.insert("input".into(), Node::Input { shape: vec![1] });
    inner.nodes.insert("a".into(), Node::Output { shape: vec![1] });
    inner.nodes.insert("b".into(), Node::Output { shape: vec![1] });
    inner.nodes.insert("lif".into(), lif(1, 0.02, 0.0, 1.0, 0.0));
    inner.edges = vec![edge("input", "lif"), edge("lif", "a"), edge("lif", "b")];
    let mut graph = chain(&[1], vec![("fc", weight(1, 1, 1.0)), ("sub", Node::Graph(inner))], &[1]);
    let e = import(&graph, Dialect::Plain).unwrap_err().to_string();
    assert!(e.contains("NIR node `sub`") && e.contains("2 outputs (a, b)"), "{e}");
    graph.edges.last_mut().unwrap().0 = "sub.b".into();
    import(&graph, Dialect::Plain).unwrap();
}

#[test]
fn a_membrane_that_rests_and_resets_elsewhere_is_shifted_or_refused_with_its_values() {
    let make = |leak: f64, threshold: f64, reset: f64| {
        chain(&[1], vec![("fc", weight(1, 1, 1.0)), ("lif", lif(1, 0.02, leak, threshold, reset))], &[1])
    };
    let shifted = import(&make(-0.5, 0.75, -0.5), Dialect::Plain).unwrap();
    let plain = import(&make(0.0, 1.25, 0.0), Dialect::Plain).unwrap();
    assert_eq!((&shifted.network, &shifted.weights), (&plain.network, &plain.weights));
    assert!(shifted.differences.iter().any(|d| d.what.to_string().contains("-0.5")), "{:?}", shifted.differences);
    let integrator = |threshold: f64, reset: f64| {
        let node = Node::If { r: full(1, 1000.0), threshold: full(1, threshold), reset: full(1, reset) };
        chain(&[1], vec![("fc", weight(1, 1, 1.0)), ("lif", node)], &[1])
    };
    let ours = |g: &nir::Graph| import(g, Dialect::Plain).unwrap().network;
    assert_eq!(ours(&integrator(0.5, -0.5)), ours(&integrator(1.0, 0.0)));
    let refuse = |graph: &nir::Graph, dialect: Dialect, words: &[&str]| {
        let e = import(graph, dialect).unwrap_err().to_string();
        assert!(words.iter().all(|w| e.contains(w)) && e.contains("NIR node `lif`"), "{e}");
    };
    refuse(&make(0.3, 1.0, 0.0), Dialect::Plain, &["`v_leak` is 0.3", "`v_reset` is 0"]);
    refuse(&make(1.2, 1.0, 1.2), Dialect::Plain, &["`v_leak` is 1.2", "`v_threshold` 1", "without input"]);
    refuse(&make(0.3, 1.0, 0.3), Dialect::Of(Reader::Norse), &["0.3", "Norse"]);
}

#[test]
fn flatten_may_count_the_batch_where_the_framework_does() {
    let weight = nir::Tensor::full(&[2, 12], 0.5);
    let graph = |start: i64, end: i64| {
        let flatten = Node::Flatten { start, end, input: Some(vec![3, 2, 2]) };
        let nodes = vec![
            ("flat", flatten),
            ("fc", Node::Linear { weight: weight.clone() }),
            ("lif", lif(2, 0.02, 0.0, 1.0, 0.0)),
        ];
        chain(&[3, 2, 2], nodes, &[2])
    };
    let norse = |start, end| import(&graph(start, end), Dialect::Of(Reader::Norse));
    let want = norse(0, -1).unwrap();
    assert_eq!(norse(1, -1).unwrap(), want);
    assert_eq!(norse(1, 3).unwrap(), want);
    assert!(norse(1, 2).unwrap_err().to_string().contains("`flat`"));
    let e = import(&graph(1, -1), Dialect::Plain).unwrap_err().to_string();
    assert!(e.contains("`flat`") && e.contains("norse"), "{e}");
}

#[test]
fn the_error_of_a_loop_names_nodes_of_the_loop_not_those_behind_it() {
    let nodes = vec![
        ("fc", weight(1, 1, 1.0)),
        ("lif", lif(1, 0.02, 0.0, 1.0, 0.0)),
        ("a_behind", weight(1, 1, 1.0)),
        ("b_behind", lif(1, 0.02, 0.0, 1.0, 0.0)),
    ];
    let mut graph = chain(&[1], nodes, &[1]);
    graph.nodes.insert("w_rec".into(), weight(1, 1, 0.5));
    graph.nodes.insert("w_too".into(), weight(1, 1, 0.5));
    let edge = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    graph.edges.extend([edge("lif", "w_rec"), edge("w_rec", "w_too"), edge("w_too", "lif")]);
    let e = import(&graph, Dialect::Plain).unwrap_err();
    let tickless_net::Error::NirNode { node, problem, .. } = &e else { panic!("{e:?}") };
    assert_eq!(node, "lif");
    assert!(problem.contains("(lif, w_rec, w_too)"), "{e}");
}
