//! Properties of folding, checked on networks that a plain interpreter evaluates.

use super::*;
use crate::init::{InitScheme, initialise};
use crate::layer::{Conv, Linear};
use crate::network::InputKind;
use crate::zoo::{ZooOptions, build};
use crate::{Neuron, Pool, Shape, Window};
use proptest::prelude::*;

/// An affine network: a residual block with a projected shortcut and a normed linear layer, without
/// neurons.
fn affine(groups: usize, bias: bool) -> Network {
    let conv = Conv { groups, bias, ..Conv::c3(4) };
    let mut b = NetworkBuilder::new("affine", Shape::new(2, 5, 5), InputKind::Events);
    let main = b.conv(NodeId::Input, conv.with_stride(2));
    let main = b.norm(main);
    let aside = b.add("shortcut.conv", Layer::Conv(conv.with_window(Window::square(1, 2, 0))), &[NodeId::Input]);
    let aside = b.add("shortcut.norm", Layer::Norm(Norm { eps: 1e-3, momentum: 0.1 }), &[aside]);
    let sum = b.add("merge", Layer::Add, &[main, aside]);
    let l = b.linear(sum, 3, bias);
    let n = b.norm(l);
    b.linear(n, 2, true);
    b.build().unwrap()
}

/// Random weights whose norms and biases all change the output.
fn lively(network: &Network, seed: u64) -> Weights {
    let mut w = initialise(network, InitScheme::KaimingNormalFanOut, seed);
    let noise = initialise(network, InitScheme::Uniform { conv_gain: 1.0 }, seed + 1);
    for (i, name, spec) in network.tensors() {
        let (n, node) = (spec.shape[0] as f32, &network.nodes()[i]);
        let wave = |c: usize| (seed as f32 * 1.7 + c as f32 * 2.3 + n).sin();
        if matches!(node.layer, Layer::Norm(_)) {
            let positive = spec.name == "running_var";
            let data = (0..spec.shape[0]).map(|c| if positive { wave(c).abs() + 0.1 } else { wave(c) }).collect();
            w.insert(name, Array::new(spec.shape, data));
        } else if spec.name == "bias" {
            w.insert(name.clone(), noise.get(&name).unwrap().clone());
        }
    }
    w
}

fn ones(network: &Network) -> Weights {
    let tensors = network.tensors().into_iter().map(|(_, name, spec)| (name, Array::full(&spec.shape, 1.0)));
    Weights { tensors: tensors.collect() }
}

fn run(network: &Network, w: &Weights, x: &[f64]) -> Vec<f64> {
    let mut values: Vec<Vec<f64>> = Vec::new();
    for node in network.nodes() {
        let output_of = |id: &NodeId| if let NodeId::Node(i) = id { values[*i].as_slice() } else { x };
        let input = output_of(&node.from[0]);
        let weight = |t: &str, i: usize| w.get(&format!("{}.{t}", node.name)).map_or(0.0, |a| f64::from(a.data[i]));
        let (s, o) = (node.input, node.output);
        let out = match node.layer {
            Layer::Conv(c) => {
                let mut out = Vec::new();
                let (per, per_out) = (s.channels / c.groups, c.out / c.groups);
                let Window { rows, columns } = c.window;
                for (oc, oy, ox) in
                    (0..o.channels).flat_map(|a| (0..o.height).flat_map(move |b| (0..o.width).map(move |d| (a, b, d))))
                {
                    let mut sum = weight("bias", oc);
                    for (ic, ky, kx) in (0..per)
                        .flat_map(|a| (0..rows.kernel).flat_map(move |b| (0..columns.kernel).map(move |d| (a, b, d))))
                    {
                        let (y, x) = (
                            (oy * rows.stride + ky * rows.dilation).wrapping_sub(rows.before),
                            (ox * columns.stride + kx * columns.dilation).wrapping_sub(columns.before),
                        );
                        if y < s.height && x < s.width {
                            let channel = oc / per_out * per + ic;
                            sum += input[(channel * s.height + y) * s.width + x]
                                * weight("weight", ((oc * per + ic) * rows.kernel + ky) * columns.kernel + kx);
                        }
                    }
                    out.push(sum);
                }
                out
            }
            Layer::Linear(l) => (0..l.out)
                .map(|o| {
                    weight("bias", o)
                        + input.iter().enumerate().map(|(i, v)| v * weight("weight", o * input.len() + i)).sum::<f64>()
                })
                .collect(),
            Layer::Norm(n) => {
                let norm = |(i, v): (usize, &f64)| {
                    let c = i / (s.height * s.width);
                    (v - weight("running_mean", c)) / (weight("running_var", c) + n.eps).sqrt() * weight("weight", c)
                        + weight("bias", c)
                };
                input.iter().enumerate().map(norm).collect()
            }
            Layer::Add => input.iter().zip(output_of(&node.from[1])).map(|(a, b)| a + b).collect(),
            other => unreachable!("{other:?}"),
        };
        values.push(out);
    }
    values.pop().unwrap()
}

fn close(a: &[f64], b: &[f64]) {
    assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5 * (1.0 + a.abs())), "{a:?}\n{b:?}");
}

proptest! {
    #[test]
    fn folding_keeps_the_outputs(seed in 0u64..1000, groups in 1usize..3, bias: bool, x in prop::collection::vec(-2.0..2.0, 50)) {
        let net = affine(groups, bias);
        let w = lively(&net, seed);
        let (folded, fw) = fold_norm(&net, &w).unwrap();
        fw.check(&folded, Path::new("x")).unwrap();
        close(&run(&net, &w, &x), &run(&folded, &fw, &x));
    }

    #[test]
    fn what_is_deployable_computes_what_bias_removal_left(seed in 0u64..1000, bias: bool, x in prop::collection::vec(-2.0..2.0, 50)) {
        let net = affine(1, bias);
        let w = lively(&net, seed);
        let removed = run(&net, &remove_bias(&net, &w).unwrap(), &x);
        let (dropped, dw) = deployable(&net, &w).unwrap();
        dropped.check_event_driven().unwrap();
        close(&removed, &run(&dropped, &dw, &x));
        let (kept, kw) = keep_norm(&net, &w).unwrap();
        let (again, aw) = deployable(&kept, &kw).unwrap();
        prop_assert_eq!(&again, &dropped);
        close(&run(&kept, &kw, &x), &run(&again, &aw, &x));
    }
}

#[test]
fn every_zoo_network_becomes_the_one_that_is_built_without_norm_and_bias() {
    for name in ["demo", "nmnist-wide", "gesture", "vgg9", "resnet18-dvs"] {
        let with = |norm, bias| {
            build(name, &ZooOptions { norm: Some(norm), classifier_bias: Some(bias), ..Default::default() }).unwrap()
        };
        let net = with(true, true);
        let (merged, w) = deployable(&net, &ones(&net)).unwrap();
        assert_eq!(merged, with(false, false));
        w.check(&merged, Path::new("x")).unwrap();
    }
}

#[test]
fn a_network_that_is_deployable_already_stays_what_it_is() {
    let net = build("nmnist-small", &ZooOptions::default()).unwrap();
    let w = initialise(&net, InitScheme::default_for(&net), 1);
    assert_eq!(deployable(&net, &w).unwrap(), (net.clone(), w.clone()));
    assert_eq!(fold_norm(&net, &w).unwrap(), (net, w));
}

#[test]
fn a_norm_that_cannot_be_folded_is_named_with_the_reason() {
    let fails = |net: Network, expected: &str| {
        let w = initialise(&net, InitScheme::KaimingNormalFanOut, 1);
        for result in [fold_norm(&net, &w), deployable(&net, &w), keep_norm(&net, &w)] {
            let e = result.unwrap_err().to_string();
            assert!(e.starts_with("layer `norm1`") && e.contains(expected), "{e}");
        }
    };
    let builder = || NetworkBuilder::new("n", Shape::new(2, 4, 4), InputKind::Events);
    let mut b = builder();
    let n = b.norm(NodeId::Input);
    b.conv(n, Conv::c3(2));
    fails(b.build().unwrap(), "reads the input");
    let mut b = builder();
    let at = b.conv(NodeId::Input, Conv::c3(2));
    let at = b.neuron(at, Neuron::lif());
    b.norm(at);
    fails(b.build().unwrap(), "behind `neuron1`, a `neuron` layer");
    let mut b = builder();
    let c = b.conv(NodeId::Input, Conv::c3(2));
    let n = b.norm(c);
    b.add("", Layer::Add, &[n, c]);
    fails(b.build().unwrap(), "`conv1` before it is read by other layers");
}

#[test]
fn max_pooling_is_not_deployable() {
    let mut b = NetworkBuilder::new("n", Shape::new(2, 4, 4), InputKind::Events);
    let at = b.conv(NodeId::Input, Conv::c3(2));
    let at = b.pool(at, Pool { kind: crate::PoolKind::Max, ..Pool::average(2) });
    b.add("", Layer::Linear(Linear { out: 2, bias: true }), &[at]);
    let net = b.build().unwrap();
    let e = deployable(&net, &initialise(&net, InitScheme::KaimingNormalFanOut, 1)).unwrap_err().to_string();
    assert!(e.contains("pool1") && e.contains("average"), "{e}");
}

#[test]
fn weights_of_another_network_are_an_error_and_no_panic() {
    let net = affine(1, true);
    let mut w = lively(&net, 1);
    w.insert("norm1.weight", Array::full(&[3], 1.0));
    assert!(fold_norm(&net, &w).is_err() && remove_bias(&net, &w).is_err() && keep_norm(&net, &w).is_err());
    let mut w = lively(&net, 1);
    w.insert("norm1.running_var", Array::full(&[4], -1.0));
    let e = deployable(&net, &w).unwrap_err().to_string();
    assert!(e.starts_with("layer `norm1`") && e.contains("variance -1"), "{e}");
}
