//! Every kind of node of nir 1.0.8, read, imported and compared with its definition; and what of it
//! is refused.
#![cfg(feature = "nir")]

use proptest::prelude::*;
use std::path::Path;
use tickless_net::interop::nir::{
    self, Conv1d, Conv2d, Deviation, Dialect, ExportOptions, Graph, ImportOptions, Imported, Node, Padding, Reader,
    Tensor, Window,
};
use tickless_net::zoo::{ZooOptions, build};
use tickless_net::{
    Axis, Conv, Error, InputKind, Layer, Leak, LeakRule, Network, NetworkBuilder, Neuron, NodeId, Recurrent,
    RecurrentKind, Shape, Weights,
};
use tickless_testing::clocked;
use tickless_testing::generate::Rng;
use tickless_testing::generate::any::{steps, weights};
use tickless_testing::generate::graph::graph;
use tickless_testing::layers::Map;

const FILE: &str = "net.nir";
const DT: f64 = 1e-3;

fn edge(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

/// A graph whose nodes form a chain between an input and an output.
fn chain(input: &[usize], nodes: Vec<(&str, Node)>, output: &[usize]) -> Graph {
    let mut graph = Graph::default();
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

fn full(shape: &[usize], v: f64) -> Tensor {
    Tensor::full(shape, v)
}

/// Values that differ: multiples of 1/64 between −1 and 1.
fn mixed(shape: &[usize], seed: u64) -> Tensor {
    let r = &mut Rng(seed);
    let data = (0..shape.iter().product()).map(|_| f64::from((r.unit() * 64.0).round() / 64.0)).collect();
    Tensor { shape: shape.to_vec(), data, double: false }
}

fn lif(shape: &[usize], tau: f64) -> Node {
    let (r, leak, threshold, reset) = (full(shape, tau / DT), full(shape, 0.0), full(shape, 1.0), full(shape, 0.0));
    Node::Lif { tau: full(shape, tau), r, leak, threshold, reset }
}

fn cuba(shape: &[usize], tau_syn: f64, tau_mem: f64) -> Node {
    Node::CubaLif {
        tau_syn: full(shape, tau_syn),
        tau_mem: full(shape, tau_mem),
        r: full(shape, tau_mem / DT),
        leak: full(shape, 0.0),
        threshold: full(shape, 1.0),
        reset: full(shape, 0.0),
        w_in: full(shape, tau_syn / DT),
    }
}

fn linear(out: usize, input: usize, seed: u64) -> Node {
    Node::Linear { weight: mixed(&[out, input], seed) }
}

fn options(dialect: Dialect) -> ImportOptions {
    ImportOptions { dialect: Some(dialect), dt: Some(DT), ..ImportOptions::default() }
}

fn import_with(graph: &Graph, options: &ImportOptions) -> Result<Imported, Error> {
    nir::import(graph, Path::new(FILE), options)
}

fn import(graph: &Graph) -> Result<Imported, Error> {
    import_with(graph, &options(Dialect::Plain))
}

/// Random frames.
fn frames(net: &Network, count: usize) -> Vec<Map> {
    steps(&mut Rng(11), net, count)
}

fn run(i: &Imported, x: &[Map]) -> Vec<Vec<f64>> {
    clocked::run(&i.network, &i.weights, x, Some(DT * 1e6)).steps
}

fn recurrent_of(i: &Imported) -> Option<Recurrent> {
    i.network.nodes().iter().find_map(|n| n.recurrent)
}

#[test]
fn every_kind_of_node_survives_its_file() {
    let t = || mixed(&[2, 3, 3], 1);
    let window = Window { kernel: (2, 3), stride: (1, 2), padding: (0, 1) };
    let (weight, bias) = (mixed(&[2, 2, 3, 1], 2), mixed(&[2], 3));
    let nodes = vec![
        Node::Affine { weight: mixed(&[2, 3], 4), bias: bias.clone() },
        linear(2, 3, 5),
        Node::Conv1d(Conv1d {
            weight: mixed(&[2, 1, 3], 6),
            bias: bias.clone(),
            stride: 2,
            padding: Padding::Zeros(1),
            dilation: 3,
            groups: 2,
            input: Some(9),
        }),
        Node::Conv1d(Conv1d {
            weight: mixed(&[2, 1, 3], 6),
            bias: bias.clone(),
            stride: 1,
            padding: Padding::Same,
            dilation: 1,
            groups: 1,
            input: None,
        }),
        Node::Conv2d(Conv2d {
            weight,
            bias,
            stride: (1, 2),
            padding: Padding::Zeros((1, 0)),
            dilation: (2, 1),
            groups: 1,
            input: Some((3, 3)),
        }),
        Node::AvgPool2d(window),
        Node::SumPool2d(window),
        Node::Flatten { start: 0, end: -1, input: Some(vec![2, 3, 3]) },
        Node::Identity,
        Node::Scale { scale: t() },
        Node::Delay { delay: t() },
        Node::Threshold { threshold: t() },
        Node::I { r: t() },
        Node::If { r: t(), threshold: t(), reset: t() },
        Node::Li { tau: t(), r: t(), leak: t() },
        Node::Lif { tau: t(), r: t(), leak: t(), threshold: t(), reset: t() },
        Node::CubaLi { tau_syn: t(), tau_mem: t(), r: t(), leak: t(), w_in: t() },
        Node::CubaLif { tau_syn: t(), tau_mem: t(), r: t(), leak: t(), threshold: t(), reset: t(), w_in: t() },
        Node::Graph(chain(&[2], vec![("inner", linear(2, 2, 7))], &[2])),
    ];
    let mut graph = Graph { version: "1.0.8".into(), ..Graph::default() };
    for (k, node) in nodes.into_iter().enumerate() {
        graph.nodes.insert(format!("n{k}"), node);
    }
    let bytes = nir::to_bytes(&graph, Path::new(FILE)).unwrap();
    assert_eq!(nir::from_bytes(&bytes, Path::new(FILE)).unwrap(), graph);
}

#[test]
fn a_convolution_along_a_line_computes_what_one_of_a_map_with_one_row_does() {
    for (groups, padding, dilation, stride) in [
        (1, Padding::Zeros(1), 1, 1),
        (2, Padding::Zeros(2), 2, 2),
        (1, Padding::Same, 2, 1),
        (2, Padding::Valid, 1, 3),
    ] {
        let (weight, bias) = (mixed(&[4, 4 / groups, 3], 1), mixed(&[4], 2));
        let line =
            Conv1d { weight: weight.clone(), bias: bias.clone(), stride, padding, dilation, groups, input: None };
        let padding = match padding {
            Padding::Zeros(n) => Padding::Zeros((0, n)),
            Padding::Same => Padding::Same,
            Padding::Valid => Padding::Valid,
        };
        let weight = Tensor { shape: vec![4, 4 / groups, 1, 3], ..weight };
        let (stride, dilation) = ((1, stride), (1, dilation));
        let map = Conv2d { weight, bias, stride, padding, dilation, groups, input: None };
        let flat = Node::Flatten { start: 0, end: -1, input: None };
        let line = chain(&[4, 9], vec![("c", Node::Conv1d(line)), ("flat", flat.clone())], &[1]);
        let map = chain(&[4, 1, 9], vec![("c", Node::Conv2d(map)), ("flat", flat)], &[1]);
        let (a, b) = (import(&line).unwrap(), import(&map).unwrap());
        assert_eq!(a, b);
        let x = frames(&a.network, 2);
        assert_eq!(run(&a, &x), run(&b, &x));
    }
}

/// A CubaLIF layer with a dense loop, by NIR's equations and Euler's rule in f64.
fn euler(input: &[Vec<f64>], weight: &Tensor, back: &Tensor, tau_syn: f64, tau_mem: f64) -> Vec<Vec<f64>> {
    let (n, from) = (back.shape[0], weight.shape[1]);
    let (mut i, mut v, mut spikes) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut out = Vec::new();
    for x in input {
        let before = spikes.clone();
        for k in 0..n {
            let forward: f64 = (0..from).map(|j| weight.data[k * from + j] * x[j]).sum();
            let returned: f64 = (0..n).map(|j| back.data[k * n + j] * before[j]).sum();
            i[k] += DT / tau_syn * (-i[k] + tau_syn / DT * (forward + returned));
            v[k] += DT / tau_mem * (-v[k] + tau_mem / DT * i[k]);
            spikes[k] = f64::from(u8::from(v[k] > 1.0));
            v[k] *= 1.0 - spikes[k];
        }
        out.push(spikes.clone());
    }
    out
}

#[test]
fn a_recurrent_layer_with_synaptic_currents_fires_as_its_equations_say() {
    let (weight, back) = (mixed(&[5, 3], 1), mixed(&[5, 5], 2));
    let flat = {
        let nodes = vec![("fc", Node::Linear { weight: weight.clone() }), ("lif", cuba(&[5], 4e-3, 8e-3))];
        let mut g = chain(&[3], nodes, &[5]);
        g.nodes.insert("w_rec".into(), Node::Affine { weight: back.clone(), bias: full(&[5], 0.0) });
        g.edges.extend([edge("lif", "w_rec"), edge("w_rec", "lif")]);
        g
    };
    // The same layer as snnTorch writes it.
    let nested = {
        let mut inner = chain(&[5], vec![("lif", cuba(&[5], 4e-3, 8e-3))], &[5]);
        inner.nodes.insert("w_rec".into(), Node::Linear { weight: back.clone() });
        inner.edges.extend([edge("lif", "w_rec"), edge("w_rec", "lif")]);
        chain(&[3], vec![("fc", Node::Linear { weight: weight.clone() }), ("layer", Node::Graph(inner))], &[5])
    };
    for graph in [flat, nested] {
        let imported = import(&graph).unwrap();
        let expected = Recurrent { kind: RecurrentKind::Dense, delay_us: None };
        assert_eq!(recurrent_of(&imported), Some(expected));
        let x = frames(&imported.network, 60);
        let input: Vec<Vec<f64>> = x.iter().map(|m| m.data.clone()).collect();
        let wanted = euler(&input, &weight, &back, 4e-3, 8e-3);
        assert!(wanted.iter().flatten().sum::<f64>() > 20.0, "the layer is silent");
        assert_eq!(run(&imported, &x), wanted);
        // In time the delay is that of the framework's step.
        let time = ImportOptions { leak: LeakRule::Time, step_us: Some(1000.0), ..options(Dialect::Plain) };
        let imported = import_with(&graph, &time).unwrap();
        assert_eq!(recurrent_of(&imported).and_then(|r| r.delay_us), Some(1000.0));
    }
}

#[test]
fn a_synaptic_current_in_time_brings_the_charge_of_the_framework_at_every_step_of_the_run() {
    let graph = chain(&[1], vec![("fc", linear(1, 1, 3)), ("lif", cuba(&[1], 4e-3, 8e-3))], &[1]);
    let weight = |step_us: f64| {
        let options = ImportOptions { leak: LeakRule::Time, step_us: Some(step_us), ..options(Dialect::Plain) };
        let i = import_with(&graph, &options).unwrap();
        let n = i.network.nodes().last().unwrap().layer;
        let Layer::Neuron(n) = n else { panic!("{n:?}") };
        assert_eq!((n.synapse, n.leak), (Some(Leak::Time(4000.0)), Leak::Time(8000.0)));
        let w = i.weights.get("fc.weight").map(|w| w.data[0]).unwrap();
        // The charge of one spike over all time: w·κ, κ = 1/(1 − λ_s).
        f64::from(w) / (1.0 - (-step_us / 4000.0).exp())
    };
    let Node::Linear { weight: own } = linear(1, 1, 3) else { unreachable!() };
    // Euler's steps: Σ_k (1 − Δt/τ)^k = τ/Δt.
    let wanted = own.data[0] * 4e-3 / DT;
    for step_us in [100.0, 1000.0, 30_000.0] {
        assert!((weight(step_us) / wanted - 1.0).abs() < 1e-6, "{step_us}: {} {wanted}", weight(step_us));
    }
    let missing = ImportOptions { leak: LeakRule::Time, ..options(Dialect::Plain) };
    assert!(import_with(&graph, &missing).unwrap_err().to_string().contains("`step_us`"));
}

#[test]
fn a_loop_through_factors_is_one_weight_for_each_neuron() {
    let mut graph = chain(&[3], vec![("fc", linear(4, 3, 1)), ("lif", lif(&[4], 8e-3))], &[4]);
    graph.nodes.insert("back".into(), Node::Scale { scale: mixed(&[4], 2) });
    graph.edges.extend([edge("lif", "back"), edge("back", "lif"), edge("lif", "lif")]);
    let imported = import(&graph).unwrap();
    assert_eq!(recurrent_of(&imported).map(|r| r.kind), Some(RecurrentKind::OneToOne));
    let own = &imported.weights.get("lif.recurrent").unwrap().data;
    let wanted: Vec<f32> = mixed(&[4], 2).data.iter().map(|v| (v + 1.0) as f32).collect();
    assert_eq!(own, &wanted, "the loop's factor and the direct edge add up");
}

#[test]
fn the_factor_of_the_neurons_is_that_of_their_recurrent_input_too() {
    // r is twice as large as needed in one graph, and all weights in the other.
    let graph = |r: f64, w: f64, scale: f64| {
        let double = |t: Tensor| Tensor { data: t.data.iter().map(|v| v * w).collect(), ..t };
        let Node::Lif { tau, leak, threshold, reset, .. } = lif(&[4], 8e-3) else { unreachable!() };
        let node = Node::Lif { tau, r: full(&[4], r * 8e-3 / DT), leak, threshold, reset };
        let mut g = chain(&[3], vec![("fc", Node::Linear { weight: double(mixed(&[4, 3], 1)) }), ("lif", node)], &[4]);
        g.nodes.insert("back".into(), Node::Linear { weight: double(mixed(&[4, 4], 2)) });
        g.edges.extend([edge("lif", "back"), edge("back", "lif")]);
        if scale != 1.0 {
            g.nodes.insert("scale".into(), Node::Scale { scale: full(&[4], scale) });
            g.edges.retain(|e| *e != edge("fc", "lif"));
            g.edges.extend([edge("fc", "scale"), edge("scale", "lif")]);
        }
        import(&g).unwrap()
    };
    let (a, b) = (graph(2.0, 1.0, 1.0), graph(1.0, 2.0, 1.0));
    assert_eq!((&a.network, &a.weights), (&b.network, &b.weights));
    // A factor before the neurons is not one of their recurrent input.
    let scaled = graph(1.0, 1.0, 2.0);
    assert_eq!(scaled.weights.get("lif.recurrent"), graph(1.0, 1.0, 1.0).weights.get("lif.recurrent"));
    assert_eq!(scaled.weights.get("fc.weight"), b.weights.get("fc.weight"));
}

#[test]
fn a_bias_in_a_loop_goes_to_the_layer_before_the_neurons_or_is_refused() {
    let bias = mixed(&[4], 5);
    let graph = |first: Node, back: Node| {
        let mut g = chain(&[3], vec![("fc", first), ("lif", lif(&[4], 8e-3))], &[4]);
        g.nodes.insert("back".into(), back);
        g.edges.extend([edge("lif", "back"), edge("back", "lif")]);
        g
    };
    let (forward, back) = (mixed(&[4, 3], 1), mixed(&[4, 4], 2));
    let zero = full(&[4], 0.0);
    let a = graph(Node::Linear { weight: forward.clone() }, Node::Affine { weight: back.clone(), bias: bias.clone() });
    let b = graph(
        Node::Affine { weight: forward.clone(), bias: bias.clone() },
        Node::Affine { weight: back.clone(), bias: zero },
    );
    assert_eq!(import(&a).unwrap(), import(&b).unwrap());
    let mut none = a.clone();
    none.edges.push(edge("fc", "output"));
    let e = import(&none).unwrap_err().to_string();
    assert!(e.contains("NIR node `back`") && e.contains("bias"), "{e}");
}

#[test]
fn loops_that_are_no_recurrent_layer_are_refused_with_their_nodes() {
    let base = || chain(&[4], vec![("fc", linear(4, 4, 1)), ("a", lif(&[4], 8e-3)), ("b", lif(&[4], 8e-3))], &[4]);
    let with = |nodes: Vec<(&str, Node)>, edges: &[(&str, &str)]| {
        let mut g = base();
        nodes.into_iter().for_each(|(name, node)| drop(g.nodes.insert(name.into(), node)));
        g.edges.extend(edges.iter().map(|(a, b)| edge(a, b)));
        let e = import(&g).unwrap_err();
        let Error::NirNode { file, node, problem } = e else { panic!("{e}") };
        assert_eq!(file, Path::new(FILE));
        (node, problem)
    };
    let (node, problem) = with(Vec::new(), &[("b", "a")]);
    assert!(node == "a" && problem.contains("(a, b)") && problem.contains("layers"), "{problem}");
    let (node, problem) = with(vec![("w", linear(4, 4, 2))], &[("fc", "w"), ("w", "fc")]);
    assert!(["fc", "w"].contains(&&node[..]) && problem.contains("spiking"), "{node} {problem}");
    let li = Node::Li { tau: full(&[4], 0.01), r: full(&[4], 1.0), leak: full(&[4], 0.0) };
    let (node, problem) = with(vec![("li", li)], &[("a", "li"), ("li", "a")]);
    assert!(node == "li" && problem.contains("is a `LI`"), "{problem}");
    let (node, problem) = with(vec![("w", linear(4, 4, 2))], &[("a", "w"), ("w", "a"), ("w", "b")]);
    assert!(node == "w" && problem.contains("joined"), "{problem}");
    let two = vec![("w", linear(4, 4, 2)), ("u", linear(4, 4, 3))];
    let (node, problem) = with(two, &[("a", "w"), ("w", "u"), ("u", "a")]);
    assert!(node == "a" && problem.contains("matrices"), "{problem}");
    let (node, problem) = with(vec![("w", linear(3, 4, 2))], &[("a", "w"), ("w", "a")]);
    assert!(node == "a" && problem.contains("[3, 4]"), "{problem}");
}

#[test]
fn a_delay_in_a_loop_is_the_time_after_which_spikes_return() {
    let graph = |delay: f64| {
        let mut g = chain(&[3], vec![("fc", linear(4, 3, 1)), ("lif", lif(&[4], 8e-3))], &[4]);
        g.nodes.insert("w".into(), linear(4, 4, 2));
        g.nodes.insert("d".into(), Node::Delay { delay: full(&[4], delay) });
        g.edges.extend([edge("lif", "w"), edge("w", "d"), edge("d", "lif")]);
        g
    };
    let time = ImportOptions { leak: LeakRule::Time, ..options(Dialect::Plain) };
    for (delay, us) in [(0.0, 1000.0), (1e-3, 1000.0), (5e-3, 5000.0)] {
        let i = import_with(&graph(delay), &time).unwrap();
        assert_eq!(recurrent_of(&i).and_then(|r| r.delay_us), Some(us));
    }
    assert!(import(&graph(1e-3)).is_ok(), "one step");
    let e = import(&graph(5e-3)).unwrap_err().to_string();
    assert!(e.contains("NIR node `lif`") && e.contains("after 5 steps"), "{e}");
}

#[test]
fn a_delay_of_everything_is_said_and_one_of_a_part_is_refused() {
    let delayed = |t: Tensor| {
        chain(&[4], vec![("d", Node::Delay { delay: t }), ("fc", linear(2, 4, 1)), ("lif", lif(&[2], 8e-3))], &[2])
    };
    let plain = import(&chain(&[4], vec![("fc", linear(2, 4, 1)), ("lif", lif(&[2], 8e-3))], &[2])).unwrap();
    let i = import(&delayed(full(&[4], 0.002))).unwrap();
    assert_eq!((&i.network, &i.weights), (&plain.network, &plain.weights));
    let said = nir::Difference { reader: None, places: vec!["d".into()], what: Deviation::Later { us: 2000.0 } };
    assert!(i.differences.contains(&said), "{:?}", i.differences);
    assert_eq!(import(&delayed(full(&[4], 0.0))).unwrap(), plain);
    let e = import(&delayed(mixed(&[4], 1))).unwrap_err().to_string();
    assert!(e.starts_with("net.nir: NIR node `d`") && e.contains("differ"), "{e}");
    // Two ways to the same neurons, one of them delayed.
    let mut g = delayed(full(&[4], 0.002));
    g.edges.push(edge("input", "fc"));
    let e = import(&g).unwrap_err().to_string();
    assert!(e.contains("NIR node `fc`") && e.contains("0.002 s"), "{e}");
}

#[test]
fn a_threshold_fires_by_the_input_of_one_step_alone() {
    let node = Node::Threshold { threshold: Tensor { shape: vec![2], data: vec![0.75, 1.5], double: false } };
    let weight = Tensor { shape: vec![2, 1], data: vec![0.5, 0.5], double: false };
    let graph = chain(&[1], vec![("fc", Node::Linear { weight }), ("t", node)], &[2]);
    let frames: Vec<Map> =
        [1.0, 1.0, 2.0, 1.0, 4.0, 0.0].iter().map(|&v| Map { shape: Shape::vector(1), data: vec![v] }).collect();
    let wanted = [[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]];
    for leak in [LeakRule::Step, LeakRule::Time] {
        let i = import_with(&graph, &ImportOptions { leak, ..options(Dialect::Plain) }).unwrap();
        assert_eq!(run(&i, &frames), wanted, "{leak}");
    }
    let never = chain(&[1], vec![("t", Node::Threshold { threshold: full(&[1], 0.0) })], &[1]);
    assert!(import(&never).unwrap_err().to_string().contains("`threshold` is 0"));
}

#[test]
fn an_integrator_at_the_output_is_the_sum_of_its_input() {
    let shape = [3];
    let (r, leak) = (mixed(&shape, 4), full(&shape, 0.0));
    let tau = full(&shape, 0.02);
    let readouts = [
        (Node::I { r: r.clone() }, DT, false),
        (Node::Li { tau: tau.clone(), r: r.clone(), leak: leak.clone() }, 1.0, true),
        (Node::CubaLi { tau_syn: tau.clone(), tau_mem: tau, r: r.clone(), leak, w_in: full(&shape, 2.0) }, 2.0, true),
    ];
    for (node, factor, leaks) in readouts {
        let kind = node.kind().to_owned();
        let graph = chain(&[2], vec![("fc", linear(3, 2, 1)), ("out", node)], &[3]);
        let i = import(&graph).unwrap();
        assert_eq!(i.network.nodes().len(), 1, "{kind}: the integrator is no layer");
        let Node::Linear { weight } = linear(3, 2, 1) else { unreachable!() };
        let wanted: Vec<f32> =
            weight.data.iter().enumerate().map(|(k, w)| (w * r.data[k / 2] * factor) as f32).collect();
        assert_eq!(i.weights.get("fc.weight").unwrap().data, wanted, "{kind}");
        assert_eq!(i.differences.iter().any(|d| d.what == Deviation::LeakyReadout), leaks, "{kind}");
    }
}

#[test]
fn the_integral_of_a_leaky_readout_over_time_is_the_sum_of_its_input() {
    let (tau, r, input) = (0.013, 1.7, [1.0, 0.0, 3.0, -2.0, 0.5]);
    let (mut v, mut integral) = (0.0, 0.0);
    for k in 0..20_000 {
        let x = input.get(k).copied().unwrap_or(0.0);
        v += DT / tau * (-v + r * x);
        integral += v;
    }
    assert!((integral - r * input.iter().sum::<f64>()).abs() < 1e-9, "{integral}");
}

#[test]
fn a_leaky_integrator_before_neurons_is_their_synaptic_current() {
    let shape = [4];
    let li = Node::Li { tau: full(&shape, 4e-3), r: full(&shape, 4e-3 / DT), leak: full(&shape, 0.0) };
    let split = chain(&[3], vec![("fc", linear(4, 3, 1)), ("li", li.clone()), ("lif", lif(&shape, 8e-3))], &[4]);
    let joined = chain(&[3], vec![("fc", linear(4, 3, 1)), ("lif", cuba(&shape, 4e-3, 8e-3))], &[4]);
    let (a, b) = (import(&split).unwrap(), import(&joined).unwrap());
    assert_eq!(a.network, b.network);
    let x = frames(&a.network, 40);
    assert_eq!(run(&a, &x), run(&b, &x));
    // Linear layers between the two change nothing.
    let li3 = Node::Li { tau: full(&[3], 4e-3), r: full(&[3], 4e-3 / DT), leak: full(&[3], 0.0) };
    let before = chain(&[3], vec![("li", li3), ("fc", linear(4, 3, 1)), ("lif", lif(&shape, 8e-3))], &[4]);
    let c = import(&before).unwrap();
    assert_eq!(run(&c, &x), run(&b, &x));
}

#[test]
fn one_of_several_inputs_is_chosen_by_its_name_and_the_others_are_silent() {
    let mut graph = chain(&[2], vec![("fc", linear(3, 2, 1)), ("lif", lif(&[3], 8e-3))], &[3]);
    let whole = import(&graph).unwrap();
    graph.nodes.insert("second".into(), Node::Input { shape: vec![5] });
    graph.nodes.insert("fc2".into(), linear(3, 5, 2));
    graph.edges.extend([edge("second", "fc2"), edge("fc2", "lif")]);
    let e = import(&graph).unwrap_err();
    let Error::NirDoors { kind: "input", doors, .. } = &e else { panic!("{e:?}") };
    assert_eq!(doors, &["input", "second"]);
    let choose =
        |name: &str| import_with(&graph, &ImportOptions { input: Some(name.into()), ..options(Dialect::Plain) });
    assert_eq!(choose("input").unwrap(), whole);
    assert_eq!(choose("second").unwrap().network.input().shape, Shape::vector(5));
    assert!(choose("third").unwrap_err().to_string().contains("`third`"));
    // An input that leads to the other output only.
    graph.edges.retain(|e| *e != edge("fc2", "lif"));
    graph.nodes.insert("other".into(), Node::Output { shape: vec![3] });
    graph.edges.push(edge("fc2", "other"));
    let both = ImportOptions { input: Some("second".into()), output: Some("output".into()), ..options(Dialect::Plain) };
    assert!(import_with(&graph, &both).unwrap_err().to_string().contains("`second`"));
    let output = ImportOptions { output: Some("output".into()), ..options(Dialect::Plain) };
    assert_eq!(import_with(&graph, &output).unwrap(), whole, "only one input leads to this output");
}

#[test]
fn an_input_that_is_left_out_is_silent_so_what_acts_behind_it_is_refused() {
    let mut graph = chain(&[2], vec![("fc", linear(3, 2, 1)), ("lif", lif(&[3], 8e-3))], &[3]);
    let affine = |bias: f64| Node::Affine { weight: mixed(&[3, 5], 2), bias: full(&[3], bias) };
    let conv = |bias: f64| {
        let (weight, bias) = (mixed(&[3, 3, 1], 4), full(&[3], bias));
        Node::Conv1d(Conv1d { weight, bias, stride: 1, padding: Padding::Valid, dilation: 1, groups: 1, input: None })
    };
    let li = |leak: f64| Node::Li { tau: full(&[3], 4e-3), r: full(&[3], 1.0), leak: full(&[3], leak) };
    let threshold = |theta: f64| Node::Threshold { threshold: full(&[3], theta) };
    graph.nodes.insert("second".into(), Node::Input { shape: vec![5] });
    graph.nodes.insert("fc2".into(), affine(0.0));
    graph.nodes.insert("then".into(), Node::Identity);
    graph.edges.extend([edge("second", "fc2"), edge("fc2", "then"), edge("then", "lif")]);
    let choose = |graph: &Graph, name: &str| {
        import_with(graph, &ImportOptions { input: Some(name.into()), ..options(Dialect::Plain) })
    };
    assert!(choose(&graph, "input").is_ok());
    let rests = |at: f64| {
        let (tau, r, rest) = (full(&[3], 8e-3), full(&[3], 8.0), full(&[3], at));
        Node::Lif { tau, r, leak: rest.clone(), threshold: full(&[3], 1.0), reset: rest }
    };
    let mut quiet = graph.clone();
    quiet.nodes.insert("then".into(), rests(0.5));
    assert!(choose(&quiet, "input").is_ok());
    for (node, of, tensor) in [
        ("fc2", affine(0.5), "`bias`"),
        ("then", conv(0.5), "`bias`"),
        ("then", li(-0.25), "`v_leak`"),
        ("then", rests(1.5), "`v_leak`"),
        ("then", threshold(-1.0), "`threshold`"),
    ] {
        let mut graph = graph.clone();
        graph.nodes.insert(node.into(), of);
        let e = choose(&graph, "input").unwrap_err();
        let Error::NirNode { node: named, problem, .. } = &e else { panic!("{e}") };
        assert!(named == node && problem.contains(tensor), "{e}");
    }
}

#[test]
fn sums_of_the_same_layers_keep_their_own_integrators_and_delays() {
    // Two sums of the layer `a` with itself: `first` as it is, `second` after an integrator or a delay.
    let branches = |after: Node| {
        let neurons = || lif(&[3], 8e-3);
        let mut graph = chain(&[2], vec![("a", linear(3, 2, 1)), ("first", neurons()), ("fc", linear(2, 3, 3))], &[2]);
        let more = [("then", after), ("second", neurons()), ("fc2", linear(2, 3, 4))];
        let equal = ["i1", "i2", "i3"].map(|name| (name, Node::Identity));
        graph.nodes.extend(more.into_iter().chain(equal).map(|(name, node)| (name.to_owned(), node)));
        graph.edges.extend([
            edge("a", "i1"),
            edge("i1", "first"),
            edge("a", "then"),
            edge("then", "i2"),
            edge("then", "i3"),
            edge("i2", "second"),
            edge("i3", "second"),
            edge("second", "fc2"),
            edge("fc2", "output"),
        ]);
        graph
    };
    // r = 1, so that the integrator leaves no factor and therefore no layer.
    let li = Node::Li { tau: full(&[3], 4e-3), r: full(&[3], 1.0), leak: full(&[3], 0.0) };
    let i = import(&branches(li)).unwrap();
    let synapse = |name: &str| match i.network.nodes()[i.network.find(name).unwrap()].layer {
        Layer::Neuron(n) => n.synapse,
        _ => None,
    };
    assert_eq!((synapse("first"), synapse("second").is_some()), (None, true));
    let e = import(&branches(Node::Delay { delay: full(&[3], 5.0 * DT) })).unwrap_err();
    let Error::NirNode { node, problem, .. } = &e else { panic!("{e}") };
    assert!(node == "output" && problem.contains("delays"), "{e}");
}

#[test]
fn a_vector_and_a_map_of_as_many_values_are_not_summed() {
    let node = || Node::If { r: full(&[], 1.0 / DT), threshold: full(&[], 1.0), reset: full(&[], 0.0) };
    let flatten = Node::Flatten { start: 0, end: -1, input: None };
    let mut graph = chain(&[3, 1, 1], vec![("flat", flatten), ("fc", linear(3, 3, 1)), ("n", node())], &[3]);
    graph.nodes.insert("m".into(), node());
    graph.edges.extend([edge("input", "m"), edge("m", "n")]);
    let e = import(&graph).unwrap_err();
    let Error::NirNode { node, problem, .. } = &e else { panic!("{e}") };
    assert!(node == "n" && problem.contains("`Flatten`"), "{e}");
}

#[test]
fn the_batch_that_norse_writes_is_no_dimension() {
    let vector = |door: &[usize]| chain(door, vec![("fc", linear(3, 2, 1)), ("lif", lif(&[3], 8e-3))], &[3]);
    let c = Conv2d {
        weight: mixed(&[3, 2, 3, 3], 1),
        bias: full(&[3], 0.0),
        stride: (1, 1),
        padding: Padding::Same,
        dilation: (1, 1),
        groups: 1,
        input: None,
    };
    let map = |door: &[usize]| chain(door, vec![("c", Node::Conv2d(c.clone())), ("lif", lif(&[1], 8e-3))], &[3, 4, 5]);
    let norse = |graph: &Graph| import_with(graph, &options(Dialect::Of(Reader::Norse)));
    assert_eq!(norse(&vector(&[1, 2])).unwrap(), norse(&vector(&[2])).unwrap());
    assert_eq!(norse(&map(&[1, 2, 4, 5])).unwrap(), norse(&map(&[2, 4, 5])).unwrap());
    // Other frameworks leave the batch out, and a batch of several samples is not one.
    assert!(import(&vector(&[1, 2])).is_err() && norse(&map(&[2, 2, 4, 5])).is_err());
}

#[test]
fn a_bias_of_one_value_is_that_of_every_output() {
    let affine = |shape: &[usize], v: f64| Node::Affine { weight: mixed(&[3, 2], 1), bias: full(shape, v) };
    let net =
        |shape: &[usize], v: f64| import(&chain(&[2], vec![("fc", affine(shape, v)), ("lif", lif(&[3], 8e-3))], &[3]));
    assert_eq!(net(&[], 0.5).unwrap(), net(&[3], 0.5).unwrap());
    assert_eq!(net(&[1], 0.0).unwrap(), net(&[3], 0.0).unwrap());
    assert!(net(&[2], 0.5).unwrap_err().to_string().contains("2 values"));
}

#[test]
fn sinabs_reads_a_leaky_integrator_with_r_1_alone() {
    let li = |r: f64| Node::Li { tau: full(&[3], 7.0), r: full(&[3], r), leak: full(&[3], 0.0) };
    let graph = |r: f64| chain(&[2], vec![("fc", linear(3, 2, 1)), ("li", li(r))], &[3]);
    let of_sinabs = options(Dialect::Of(Reader::Sinabs));
    assert!(import_with(&graph(1.0), &of_sinabs).is_ok());
    let e = import_with(&graph(2.0), &of_sinabs).unwrap_err().to_string();
    assert!(e.contains("`li`") && e.contains("r = 1"), "{e}");
}

#[test]
fn arrays_of_neurons_are_broadcast_as_their_dimensions_say() {
    let node = |threshold: Tensor| Node::If { r: full(&[], 1.0 / DT), threshold, reset: full(&[1], 0.0) };
    let graph = |threshold: Tensor, r: bool| {
        let c = Conv2d {
            weight: mixed(&[2, 1, 1, 1], 1),
            bias: full(&[2], 0.0),
            stride: (1, 1),
            padding: Padding::Valid,
            dilation: (1, 1),
            groups: 1,
            input: None,
        };
        let nodes = if r { vec![("c", Node::Conv2d(c)), ("n", node(threshold))] } else { vec![("n", node(threshold))] };
        import(&chain(&[if r { 1 } else { 2 }, 2, 3], nodes, &[2, 2, 3]))
    };
    let each = |shape: &[usize], data: Vec<f64>| Tensor { shape: shape.to_vec(), data, double: false };
    let a = graph(each(&[2, 1, 1], vec![1.0, 2.0]), true).unwrap();
    let b = graph(each(&[2, 2, 3], [vec![1.0; 6], vec![2.0; 6]].concat()), true).unwrap();
    assert_eq!(a, b);
    let e = graph(each(&[1, 2, 1], vec![1.0, 2.0]), true).unwrap_err().to_string();
    assert!(e.contains("NIR node `n`") && e.contains("inputs"), "{e}");
    let e = graph(each(&[3], vec![1.0; 3]), true).unwrap_err().to_string();
    assert!(e.contains("`v_threshold`") && e.contains("[3]"), "{e}");
}

#[test]
fn what_has_no_counterpart_is_refused_with_its_name_and_a_remedy() {
    let shape = [4];
    let li = |leak: f64| Node::Li { tau: full(&shape, 0.01), r: full(&shape, 1.0), leak: full(&shape, leak) };
    let cubali = || Node::CubaLi {
        tau_syn: full(&shape, 0.01),
        tau_mem: full(&shape, 0.02),
        r: full(&shape, 1.0),
        leak: full(&shape, 0.0),
        w_in: full(&shape, 1.0),
    };
    let affine = Node::Affine { weight: mixed(&[4, 4], 1), bias: mixed(&[4], 2) };
    let threshold = Node::Threshold { threshold: full(&shape, 1.0) };
    for (nodes, name, words) in [
        (vec![("x", Node::Other { kind: "Sequence".into() })], "x", "`Sequence`"),
        (vec![("x", li(0.5))], "x", "`v_leak`"),
        (vec![("x", cubali()), ("lif", lif(&shape, 8e-3))], "lif", "`CubaLI`"),
        (vec![("x", Node::I { r: full(&shape, 1.0) }), ("lif", lif(&shape, 8e-3))], "lif", "`I`"),
        (vec![("x", li(0.0)), ("y", li(0.0))], "y", "another integrator"),
        (vec![("x", li(0.0)), ("y", affine)], "y", "a bias"),
        (vec![("x", li(0.0)), ("t", threshold)], "t", "`Threshold`"),
        (vec![("x", li(0.0)), ("lif", cuba(&shape, 4e-3, 8e-3))], "lif", "their current"),
        (vec![("x", Node::Delay { delay: full(&shape, -1.0) })], "x", "at least 0"),
        (vec![("x", cuba(&shape, 1e-3, 8e-3))], "x", "`tau_syn`"),
    ] {
        let e = import(&chain(&shape, nodes, &shape)).unwrap_err();
        let Error::NirNode { node, problem, .. } = &e else { panic!("{e}") };
        assert!(node == name && problem.contains(words), "{e}");
    }
    let mut inconsistent = chain(&shape, vec![("fc", linear(4, 4, 1))], &shape);
    let Some(Node::Linear { weight }) = inconsistent.nodes.get_mut("fc") else { unreachable!() };
    weight.data.pop();
    assert!(import(&inconsistent).unwrap_err().to_string().contains("15 values"));
}

#[test]
fn a_framework_takes_only_the_synaptic_currents_that_it_reads() {
    let graph = |w_in: f64| {
        let Node::CubaLif { tau_syn, tau_mem, r, leak, threshold, reset, .. } = cuba(&[2], 4e-3, 8e-3) else {
            unreachable!()
        };
        let node = Node::CubaLif { tau_syn, tau_mem, r, leak, threshold, reset, w_in: full(&[2], w_in) };
        chain(&[2], vec![("fc", linear(2, 2, 1)), ("lif", node)], &[2])
    };
    let of = |reader: Reader, w_in: f64| import_with(&graph(w_in), &options(Dialect::Of(reader)));
    for reader in [Reader::SnnTorch, Reader::SpikingJelly, Reader::Norse] {
        assert!(of(reader, 4.0).is_ok(), "{reader}");
    }
    assert!(of(Reader::SpikingJelly, 1.0).unwrap_err().to_string().contains("w_in = 1"));
    assert!(of(Reader::Sinabs, 4.0).unwrap_err().to_string().contains("`CubaLIF`"));
    let neuron = |i: Imported| i.network.nodes().last().map(|n| n.layer);
    let Some(Layer::Neuron(n)) = neuron(of(Reader::SpikingJelly, 4.0).unwrap()) else { panic!() };
    assert!(n.fire_at_threshold);
}

/// Networks with recurrent layers, synaptic currents and layers along a line.
fn networks() -> Vec<Network> {
    let shd = ZooOptions { input: Some((Shape::vector(12), InputKind::Events)), classes: 4, ..ZooOptions::default() };
    let mut all = vec![build("shd", &shd).unwrap()];
    for (neuron, kind) in [(Neuron::lif(), RecurrentKind::OneToOne), (Neuron::cuba_lif(), RecurrentKind::Dense)] {
        let mut b = NetworkBuilder::new("own", Shape::vector(6), InputKind::Events);
        let fc = b.linear(NodeId::Input, 5, true);
        let n = b.neuron(fc, neuron);
        b.recurrent(n, Recurrent { kind, delay_us: None });
        b.linear(n, 3, false);
        all.push(b.build().unwrap());
        let mut b = NetworkBuilder::new("line", Shape::new(2, 1, 11), InputKind::Events);
        let columns = Axis { dilation: 2, ..Axis::new(3, 1, 1) };
        let window = tickless_net::Window { rows: Axis::new(1, 1, 0), columns };
        let c = b.conv(NodeId::Input, Conv { groups: 2, bias: true, ..Conv::c3(4).with_window(window) });
        let n = b.neuron(c, neuron);
        b.recurrent(n, Recurrent { kind, delay_us: None });
        b.linear(n, 3, false);
        all.push(b.build().unwrap());
    }
    all
}

fn made(net: &Network) -> Weights {
    let mut w = weights(&mut Rng(9), net);
    w.tensors.values_mut().flat_map(|a| &mut a.data).for_each(|v| *v = (*v * 64.0).round() / 64.0);
    w
}

#[test]
fn recurrent_layers_and_lines_come_back_from_their_files() {
    let file = Path::new(FILE);
    for net in networks() {
        let w = made(&net);
        for reader in Reader::ALL {
            let options = ExportOptions { reader, step_us: Some(1000.0) };
            let graph = nir::export(&net, &w, &options).unwrap().graph;
            let read = nir::from_bytes(&nir::to_bytes(&graph, file).unwrap(), file).unwrap();
            assert_eq!(read, graph);
            let back = nir::import(&read, file, &ImportOptions::default()).unwrap();
            assert_eq!((back.dialect, &back.network, &back.weights), (Dialect::Tickless, &net, &w), "{reader}");
        }
    }
}

#[test]
fn recurrent_layers_and_lines_fire_alike_where_the_reader_agrees() {
    let mut spikes = 0.0;
    for net in networks() {
        let w = made(&net);
        for reader in [Reader::SnnTorch, Reader::SpikingJelly, Reader::Norse] {
            let fires_at = reader == Reader::SpikingJelly;
            let net = net.map_neurons(|_, n| Neuron { fire_at_threshold: fires_at, ..n });
            let exported = nir::export(&net, &w, &ExportOptions { reader, step_us: Some(1000.0) }).unwrap();
            let mut graph = exported.graph;
            graph.metadata.clear();
            let options = ImportOptions { dialect: Some(Dialect::Of(reader)), ..ImportOptions::default() };
            let back = nir::import(&graph, Path::new(FILE), &options).unwrap();
            let x = frames(&net, 12);
            let ours = clocked::run(&net, &w, &x, Some(1000.0));
            let theirs = clocked::run(&back.network, &back.weights, &x, Some(1000.0));
            assert_eq!(ours.counts, theirs.counts, "{} for {reader}", net.name());
            spikes += ours.counts.iter().flatten().sum::<f64>();
        }
    }
    assert!(spikes > 100.0, "{spikes}");
}

#[test]
fn a_line_is_written_for_the_reader_of_lines_and_as_a_map_for_the_others() {
    let net = networks().into_iter().find(|n| n.name() == "line").unwrap();
    for reader in Reader::ALL {
        let graph = nir::export(&net, &made(&net), &ExportOptions { reader, step_us: Some(1000.0) }).unwrap().graph;
        let line = graph.nodes.values().filter(|n| matches!(n, Node::Conv1d(_))).count();
        let map = graph.nodes.values().filter(|n| matches!(n, Node::Conv2d(_))).count();
        assert_eq!((line, map), if reader == Reader::SpikingJelly { (2, 0) } else { (0, 2) }, "{reader}");
        let groups = |n: &Node| match n {
            Node::Conv1d(c) => c.groups,
            Node::Conv2d(c) => c.groups,
            _ => 1,
        };
        assert!(graph.nodes.values().all(|n| groups(n) == 1), "nir 1.0.8 refuses groups");
    }
}

#[test]
fn a_layer_of_snntorch_with_a_loop_is_a_graph_of_its_own() {
    let net = networks().remove(0);
    let options = ExportOptions { reader: Reader::SnnTorch, step_us: Some(1000.0) };
    let graph = nir::export(&net, &made(&net), &options).unwrap().graph;
    let nested: Vec<&Graph> =
        graph.nodes.values().filter_map(|n| if let Node::Graph(g) = n { Some(g) } else { None }).collect();
    assert_eq!(nested.len(), 1);
    assert!(nested[0].nodes.keys().eq(["input", "lif", "output", "w_rec"]));
    let mut graph = graph;
    graph.metadata.clear();
    assert_eq!(nir::written_by(&graph).map(|w| w.dialect), Some(Dialect::Of(Reader::SnnTorch)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_graph_of_any_nodes_is_a_network_or_an_error_that_names_the_file(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (graph, file) = (graph(&bytes), Path::new(FILE));
        for (_, dialect) in Dialect::WORDS {
            for leak in [LeakRule::Step, LeakRule::Time] {
                let options = ImportOptions { dialect: Some(dialect), leak, step_us: Some(1000.0), ..ImportOptions::default() };
                match nir::import(&graph, file, &options) {
                    Ok(i) => {
                        let finite = i.weights.tensors.values().all(|a| a.data.iter().all(|v| v.is_finite()));
                        prop_assert!(finite);
                        i.weights.check(&i.network, file).unwrap();
                    }
                    Err(e) => prop_assert!(e.to_string().starts_with(FILE), "{}", e),
                }
            }
        }
    }
}

#[test]
fn many_generated_graphs_are_networks_so_the_property_is_not_empty() {
    let r = &mut Rng(1);
    let imports = |r: &mut Rng| {
        let bytes: Vec<u8> = (0..200).map(|_| r.next() as u8).collect();
        import(&graph(&bytes)).is_ok()
    };
    let count = (0..3000).filter(|_| imports(r)).count();
    assert!(count >= 30, "{count} of 3000");
}
