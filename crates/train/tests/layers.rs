//! Every layer against its definition: the plain maps of the testing crate, finite differences, and
//! a run with kernels beside one without, at mixed configurations.

#[path = "common/recomputed.rs"]
mod recomputed;
#[path = "common/tensors.rs"]
mod tensors;

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use recomputed::gradients_both_ways;
use std::sync::Arc;
use tensors::{pass, values};
use tickless_kernels::KernelChoice;
use tickless_net::spec::{LayerSpec, network_from_specs};
use tickless_net::{
    AdaptiveAverage, Array, Attention, Axis, Conv, Dropout, InputKind, Layer, Network, NetworkBuilder, Neuron, NodeId,
    Pool, PoolKind, Shape, Weights, Window,
};
use tickless_testing::clocked;
use tickless_testing::close::close;
use tickless_testing::generate::Rng;
use tickless_testing::generate::exact::{dyadic, dyadic_weights};
use tickless_testing::layers::Map;
use tickless_train::model::{Model, NormMode, Pass, Sequence};

fn axis(r: &mut Rng, len: usize) -> Axis {
    let any = Axis {
        kernel: 1 + r.below(4),
        stride: 1 + r.below(3),
        dilation: 1 + r.below(2),
        before: r.below(3),
        after: r.below(3),
    };
    let axis = if r.below(3) == 0 { Axis::same(any.kernel, any.dilation) } else { any };
    if axis.positions(len).is_some() { axis } else { Axis::same(axis.kernel, 1) }
}

/// A random layer without state for inputs of this shape.
fn layer(r: &mut Rng, s: Shape) -> Layer {
    match r.below(5) {
        0 | 1 => {
            let window = Window { rows: axis(r, s.height), columns: axis(r, s.width) };
            let groups = if s.channels.is_multiple_of(2) { r.pick(&[1, 2]) } else { 1 };
            Layer::Conv(Conv { out: 2 * (1 + r.below(2)), window, groups, bias: r.below(2) == 0 })
        }
        2 | 3 => {
            let one = |r: &mut Rng, len: usize| {
                let kernel = (1 + r.below(3)).min(len);
                let padding = kernel / 2;
                let pad = |r: &mut Rng| r.below(padding + 1);
                Axis { kernel, stride: 1 + r.below(3), dilation: 1, before: pad(r), after: pad(r) }
            };
            let kind = r.pick(&[PoolKind::Average, PoolKind::Sum, PoolKind::Max]);
            Layer::Pool(Pool { kind, window: Window { rows: one(r, s.height), columns: one(r, s.width) } })
        }
        _ => Layer::AdaptiveAverage(AdaptiveAverage { rows: 1 + r.below(s.height), columns: 1 + r.below(s.width) }),
    }
}

fn run(net: &Network, weights: &Weights, x: &[f32], kernel: KernelChoice) -> Vec<f32> {
    let model = Model::new(Arc::new(net.clone()), weights, &Device::flex()).unwrap().with_kernel(kernel);
    let s = net.input().shape;
    let x = Sequence::from_values(x.to_vec(), [1, 1, s.channels, s.height, s.width], &Device::flex());
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    values(model.forward(&model.constants(), x, &pass(&[1], 5), &mut rng, None).unwrap().logits)
}

fn one(layer: Layer, shape: Shape) -> Network {
    let mut b = NetworkBuilder::new("one", shape, InputKind::Image);
    b.add("layer", layer, &[b.input()]);
    b.build().unwrap()
}

/// A network of one random layer, or of attention over convolutions of its input. Its name says
/// which.
fn any_layer(r: &mut Rng, shape: Shape) -> Network {
    if r.below(3) > 0 {
        return one(layer(r, shape), shape);
    }
    let heads = 1 + r.below(3);
    let (of_keys, of_values) = (heads * (1 + r.below(3)), heads * (1 + r.below(3)));
    // The keys and the values may have fewer positions than the queries.
    let stride = 1 + r.below(2);
    let mut b = NetworkBuilder::new("attention", shape, InputKind::Image);
    let of = |out, stride| Conv { bias: true, ..Conv::square(out, 1, stride, 0) };
    let (q, k) = (b.conv(b.input(), of(of_keys, 1)), b.conv(b.input(), of(of_keys, stride)));
    let v = b.conv(b.input(), of(of_values, stride));
    b.add("", Layer::Attention(Attention { heads, scale: r.pick(&[0.125, 0.5, 1.0]) }), &[q, k, v]);
    b.build().unwrap()
}

/// The output of a network without neurons, by the simulator.
fn defined(net: &Network, weights: &Weights, x: &[f32]) -> Vec<f64> {
    let map = Map { shape: net.input().shape, data: x.iter().map(|v| f64::from(*v)).collect() };
    clocked::run(net, weights, &[map], None).output
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_layer_computes_its_definition(seed: u64) {
        let mut r = Rng(seed);
        let shape = Shape::new(1 + r.below(4), 2 + r.below(6), 2 + r.below(6));
        let net = any_layer(&mut r, shape);
        let weights = dyadic_weights(&mut r, &net);
        let x = dyadic(&mut r, shape.len());
        let expected = defined(&net, &weights, &x);
        // The sums of products of three values are large, and rounding is relative to them.
        let largest = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
        for kernel in [KernelChoice::Auto, KernelChoice::Plain] {
            let ours = run(&net, &weights, &x, kernel);
            prop_assert_eq!(ours.len(), expected.len());
            for (a, b) in ours.iter().zip(&expected) {
                prop_assert!((f64::from(*a) - b).abs() < 1e-5 * largest, "{:?} of {}: {} and {}", net, shape, a, b);
            }
        }
    }

    /// The simulator computes in f64, so a difference quotient with a small step is exact up to the
    /// rounding of the gradients, if no maximum changes its place: the inputs are distinct, and the
    /// step is smaller than their distance.
    #[test]
    fn its_gradients_are_the_finite_differences(seed: u64) {
        let mut r = Rng(seed);
        let shape = Shape::new(2, 2 + r.below(4), 2 + r.below(4));
        let net = any_layer(&mut r, shape);
        let weights = dyadic_weights(&mut r, &net);
        let mut x: Vec<f32> = (0..shape.len()).map(|i| i as f32 / 16.0 - 1.0).collect();
        for i in (1..x.len()).rev() {
            x.swap(i, r.below(i + 1));
        }
        let g = dyadic(&mut r, net.output().len());
        let loss = |w: &Weights, x: &[f32]| -> f64 {
            defined(&net, w, x).iter().zip(&g).map(|(y, g)| y * f64::from(*g)).sum()
        };
        let model = Model::new(Arc::new(net.clone()), &weights, &Device::flex()).unwrap();
        let device = Device::flex().autodiff();
        let data = TensorData::new(x.clone(), [1, shape.channels, shape.height, shape.width]);
        let input = Tensor::<4>::from_data(data, &device).require_grad();
        let (leaves, mut rng) = (model.leaves(), ChaCha8Rng::seed_from_u64(0));
        let out = model.forward(&leaves, Sequence::new(input.clone(), 1), &pass(&[1], 5), &mut rng, None).unwrap();
        let weighting = Tensor::<3>::from_data(TensorData::new(g.clone(), [1, 1, g.len()]), &device);
        let gradients = (out.logits * weighting).sum().backward();
        let step = 1.0 / 4096.0;
        let quotient = |up: f64, down: f64| (up - down) / (2.0 * f64::from(step));
        // A maximum over padding or a value that no window reads has no gradient.
        let mut pairs = Vec::new();
        let ours = input.grad(&gradients).map_or(vec![0.0; x.len()], values);
        prop_assert_eq!(ours.len(), x.len());
        for (i, ours) in ours.iter().enumerate() {
            let moved = |by: f32| { let mut x = x.clone(); x[i] += by; loss(&weights, &x) };
            pairs.push((format!("input {i}"), *ours, quotient(moved(step), moved(-step))));
        }
        for (p, leaf) in model.parameters.iter().zip(&leaves) {
            let ours = values(leaf.grad(&gradients).unwrap());
            for (i, ours) in ours.iter().enumerate() {
                let moved = |by: f32| {
                    let mut w = weights.clone();
                    w.tensors.get_mut(&p.name).unwrap().data[i] += by;
                    loss(&w, &x)
                };
                pairs.push((format!("{} {i}", p.name), *ours, quotient(moved(step), moved(-step))));
            }
        }
        let largest = pairs.iter().fold(1.0f64, |m, (_, _, v)| m.max(v.abs()));
        for (what, ours, expected) in pairs {
            let apart = (f64::from(ours) - expected).abs();
            prop_assert!(apart < 1e-5 * largest, "{:?}, {}: {} and {}", net, what, ours, expected);
        }
    }
}

#[test]
fn attention_takes_the_cheaper_of_both_orders_and_both_are_its_definition() {
    let mut r = Rng(1);
    for (side, channels, keys_first) in [(2, 12, false), (6, 2, true)] {
        let shape = Shape::new(channels, side, side);
        let attention = Attention { heads: 2, scale: 0.25 };
        let mut b = NetworkBuilder::new("attention", shape, InputKind::Image);
        let [q, k, v] = [0; 3].map(|_| b.conv(NodeId::Input, Conv::c3(channels)));
        b.add("", Layer::Attention(attention), &[q, k, v]);
        let net = b.build().unwrap();
        assert_eq!(attention.keys_first(shape, shape, shape), keys_first);
        let weights = dyadic_weights(&mut r, &net);
        let x = dyadic(&mut r, shape.len());
        let expected: Vec<f32> = defined(&net, &weights, &x).iter().map(|v| *v as f32).collect();
        for kernel in [KernelChoice::Auto, KernelChoice::Plain] {
            close(&format!("{side}×{side}, {kernel:?}"), &run(&net, &weights, &x, kernel), &expected, 1e-4);
        }
    }
}

/// A network of four stages with every layer; `dropout` is its rate.
fn every_layer(dropout: f32, norm: bool) -> Network {
    let text = format!(
        r#"[
        {{ "layer": "ttm" }},
        {{ "layer": "conv", "out": 4, "kernel": [3, 2], "padding": "same" }},
        {norm}
        {{ "layer": "neuron", "thresholds": [0.5, 1, 2, 1], "name": "own" }},
        {{ "layer": "pool", "kernel": [1, 3], "stride": [1, 2], "padding": [0, 1], "kind": "max" }},
        {{ "layer": "ttm" }},
        {{ "layer": "conv", "out": 4, "kernel": 2, "dilation": [2, 1], "groups": 2, "name": "spread" }},
        {{ "layer": "dropout", "rate": {dropout} }},
        {{ "layer": "neuron", "name": "n" }},
        {{ "layer": "pool", "kernel": [2, 1], "kind": "sum" }},
        {{ "layer": "ttm", "name": "tokens" }},
        {{ "layer": "conv", "out": 4, "kernel": 1, "bias": true }},
        {norm}
        {{ "layer": "neuron", "name": "q" }},
        {{ "layer": "conv", "out": 4, "kernel": 1, "stride": [1, 2], "from": "tokens" }},
        {{ "layer": "neuron", "name": "k" }},
        {{ "layer": "conv", "out": 4, "kernel": 1, "stride": [1, 2], "from": "tokens" }},
        {{ "layer": "neuron", "name": "v" }},
        {{ "layer": "attention", "heads": 2, "scale": 0.5, "from": ["q", "k", "v"] }},
        {{ "layer": "neuron", "neuron": {{ "threshold": 0.5 }}, "name": "attended" }},
        {{ "layer": "add", "from": ["attended", "tokens"] }},
        {{ "layer": "conv", "out": 4, "kernel": [1, 3], "padding": [[0, 0], [0, 2]], "stride": [2, 1] }},
        {{ "layer": "neuron", "thresholds": [1, 1, 0.25, 1] }},
        {{ "layer": "adaptive_average", "size": [1, 2] }},
        {{ "layer": "ttm" }},
        {{ "layer": "flatten" }},
        {{ "layer": "linear", "out": 3 }}
    ]"#,
        norm = if norm { r#"{ "layer": "norm" },"# } else { "" }
    );
    let layers: Vec<LayerSpec> = serde_json::from_str(&text).unwrap();
    network_from_specs("every", Shape::new(2, 8, 7), InputKind::Events, &layers, Neuron::lif()).unwrap()
}

/// Logits, and the gradients of a loss, of frames with small counts.
fn trained(net: &Network, kernel: KernelChoice, configuration: &[usize], norm: NormMode, seed: u64) -> Trained {
    let mut r = Rng(seed);
    let weights = dyadic_weights(&mut r, net);
    let model = Model::new(Arc::new(net.clone()), &weights, &Device::flex()).unwrap().with_kernel(kernel);
    let (frames, batch, s) = (5, 3, net.input().shape);
    let x = (0..frames * batch * s.len()).map(|_| r.pick(&[0.0, 0.0, 1.0, 2.0])).collect();
    let shape = [frames, batch, s.channels, s.height, s.width];
    let x = Sequence::from_values(x, shape, &Device::flex().autodiff());
    let (leaves, mut rng) = (model.leaves(), ChaCha8Rng::seed_from_u64(seed));
    let pass = Pass { norm, ..pass(configuration, 5) };
    let logits = model.forward(&leaves, x, &pass, &mut rng, None).unwrap().logits;
    let gradients = (logits.clone() * logits.clone()).sum().backward();
    let all = leaves.iter().map(|l| values(l.grad(&gradients).unwrap())).collect();
    Trained { logits: values(logits), gradients: all }
}

struct Trained {
    logits: Vec<f32>,
    gradients: Vec<Vec<f32>>,
}

#[test]
fn with_and_without_kernels_a_network_of_every_layer_trains_alike_at_any_configuration() {
    let net = every_layer(0.5, false);
    let mut fired = 0;
    for (k, configuration) in
        [[1, 1, 1, 1], [2, 2, 2, 2], [5, 5, 5, 5], [1, 5, 2, 4], [4, 1, 3, 1], [3, 2, 5, 3]].iter().enumerate()
    {
        let of = |kernel| trained(&net, kernel, configuration, NormMode::Running, k as u64);
        let (ours, plain) = (of(KernelChoice::Auto), of(KernelChoice::Plain));
        close(&format!("logits at {configuration:?}"), &ours.logits, &plain.logits, 1e-4);
        for (i, (a, b)) in ours.gradients.iter().zip(&plain.gradients).enumerate() {
            close(&format!("gradient {i} at {configuration:?}"), a, b, 1e-4);
        }
        fired += usize::from(plain.logits.iter().any(|l| *l != 0.0));
    }
    assert!(fired >= 4, "the network is silent");
}

#[test]
fn a_network_of_every_layer_runs_as_the_simulator_step_by_step() {
    let net = every_layer(0.5, false);
    let mut spikes = 0.0;
    for t in 1..=5 {
        let mut r = Rng(t as u64);
        let weights = dyadic_weights(&mut r, &net);
        let s = net.input().shape;
        let frames: Vec<Map> = (0..t)
            .map(|_| Map { shape: s, data: (0..s.len()).map(|_| r.pick(&[0.0, 0.0, 1.0, 2.0])).collect() })
            .collect();
        let expected = clocked::run(&net, &weights, &frames, None);
        spikes += expected.counts.iter().flatten().sum::<f64>();
        let x = frames.iter().flat_map(|m| m.data.iter().map(|v| *v as f32)).collect();
        for kernel in [KernelChoice::Auto, KernelChoice::Plain] {
            let model = Model::new(Arc::new(net.clone()), &weights, &Device::flex()).unwrap().with_kernel(kernel);
            let x: Vec<f32> = Vec::clone(&x);
            let x = Sequence::from_values(x, [t, 1, s.channels, s.height, s.width], &Device::flex());
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let configuration = [t; 4];
            let pass = pass(&configuration, t);
            let ours = values(model.forward(&model.constants(), x, &pass, &mut rng, None).unwrap().logits);
            let expected: Vec<f32> = expected.steps.iter().flatten().map(|v| *v as f32).collect();
            close(&format!("T = {t}, {kernel:?}"), &ours, &expected, 1e-4);
        }
    }
    assert!(spikes > 100.0, "the network is silent: {spikes} spikes");
}

#[test]
fn a_channel_with_a_threshold_of_its_own_is_a_neuron_with_that_threshold() {
    let neuron = |threshold| Neuron { threshold, ..Neuron::lif() };
    let of = |thresholds: Option<Vec<f32>>, n: Neuron| {
        let mut b = NetworkBuilder::new("own", Shape::new(2, 3, 3), InputKind::Events);
        let id = b.neuron(b.input(), n);
        if let Some(all) = thresholds {
            b.thresholds(id, all);
        }
        b.build().unwrap()
    };
    let mut r = Rng(7);
    let x: Vec<f32> = (0..5 * 18).map(|_| r.below(9) as f32 / 4.0 - 0.5).collect();
    let spikes = |net: &Network| {
        let model = Model::new(Arc::new(net.clone()), &Weights::default(), &Device::flex()).unwrap();
        let x = Sequence::from_values(x.clone(), [5, 1, 2, 3, 3], &Device::flex());
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        values(model.forward(&[], x, &pass(&[5], 5), &mut rng, None).unwrap().logits)
    };
    let own = spikes(&of(Some(vec![0.5, 2.0]), neuron(1.0)));
    let (low, high) = (spikes(&of(None, neuron(0.5))), spikes(&of(None, neuron(2.0))));
    assert_ne!(low, high);
    for (i, s) in own.iter().enumerate() {
        assert_eq!(*s, if i % 18 < 9 { low[i] } else { high[i] }, "value {i}");
    }
}

/// A network of one dropout; the outputs of a training pass over ones.
fn dropped(rate: f32, last: bool, seed: u64, trains: bool) -> Vec<f32> {
    let mut b = NetworkBuilder::new("dropout", Shape::new(2, 4, 4), InputKind::Events);
    // The convolution's kernel leaves its output channels last.
    let from = if last { b.conv(b.input(), Conv::square(2, 1, 1, 0)) } else { b.input() };
    b.add("", Layer::Dropout(Dropout { rate }), &[from]);
    let net = Arc::new(b.build().unwrap());
    let mut weights = Weights::default();
    if last {
        weights.insert("conv1.weight".to_owned(), Array::new(vec![2, 2, 1, 1], vec![1.0, 0.0, 0.0, 1.0]));
    } else {
        return dropped_without_weights(&net, seed);
    }
    let model = Model::new(net, &weights, &Device::flex()).unwrap();
    let (device, leaves) = match trains {
        true => (Device::flex().autodiff(), model.leaves()),
        false => (Device::flex(), model.constants()),
    };
    let x = Sequence::from_values(vec![1.0; 4 * 50 * 32], [4, 50, 2, 4, 4], &device);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    values(model.forward(&leaves, x, &pass(&[4], 5), &mut rng, None).unwrap().logits)
}

/// Without parameters no pass is differentiated, so the layer has no effect.
fn dropped_without_weights(net: &Arc<Network>, seed: u64) -> Vec<f32> {
    let model = Model::new(net.clone(), &Weights::default(), &Device::flex()).unwrap();
    let x = Sequence::from_values(vec![1.0; 4 * 50 * 32], [4, 50, 2, 4, 4], &Device::flex());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    values(model.forward(&[], x, &pass(&[4], 5), &mut rng, None).unwrap().logits)
}

#[test]
fn dropout_zeroes_its_share_in_training_alike_at_all_steps_and_nothing_in_inference() {
    let y = dropped(0.25, true, 3, true);
    assert!(y.iter().all(|v| *v == 0.0 || (*v - 4.0 / 3.0).abs() < 1e-6));
    let zeros = y.iter().filter(|v| **v == 0.0).count() as f64 / y.len() as f64;
    // Four standard errors of 1,600 draws.
    assert!((zeros - 0.25).abs() < 4.0 * (0.25 * 0.75 / 1600.0f64).sqrt(), "{zeros}");
    let steps: Vec<&[f32]> = y.chunks(50 * 32).collect();
    assert!(steps.iter().all(|s| *s == steps[0]), "a sample has one mask");
    assert_ne!(steps[0][..32], steps[0][32..64], "samples have their own masks");
    assert_eq!(y, dropped(0.25, true, 3, true), "the seed decides");
    assert_ne!(y, dropped(0.25, true, 4, true));
    assert!(dropped(0.25, true, 3, false).iter().chain(&dropped(0.25, false, 3, false)).all(|v| *v == 1.0));
}

#[test]
fn a_network_of_every_layer_has_the_same_gradients_with_recomputation() {
    let net = Arc::new(every_layer(0.5, true));
    let mut r = Rng(1);
    let mut weights = dyadic_weights(&mut r, &net);
    let norm = weights.tensors.get_mut("norm1.running_var").unwrap();
    norm.data.iter_mut().for_each(|v| *v = 1.0);
    let model = Model::new(net, &weights, &Device::flex()).unwrap();
    let configurations = [vec![2, 5, 3, 1], vec![4, 1, 1, 3]];
    let [kept, recomputed] = gradients_both_ways(&model, &mut r, &configurations, &[0, 1, 2, 0], NormMode::Batch);
    assert_eq!(kept, recomputed);
}
