//! Checks which networks fit onto a Speck-class chip, the reported reasons, and the configuration
//! of the cores.

use proptest::prelude::*;
use tickless_net::interop::speck::{Chip, Configuration, FitReport, configuration, fit};
use tickless_net::zoo::{ZooOptions, build};
use tickless_net::{
    Array, Attention, Conv, Error, InputKind, Layer, Network, NetworkBuilder, Neuron, NodeId, Norm, Pool, Reset, Shape,
    Weights, fold, init,
};
use tickless_testing::clocked;
use tickless_testing::generate::Rng;
use tickless_testing::generate::any::{steps, weights};

const IF: Neuron = Neuron::if_multi();

fn start(shape: Shape) -> NetworkBuilder {
    NetworkBuilder::new("chip test", shape, InputKind::Events)
}

fn deployable(name: &str) -> Network {
    let net = build(name, &ZooOptions { neuron: Some(IF), ..ZooOptions::default() }).unwrap();
    let w = init::initialise(&net, init::InitScheme::KaimingNormalFanOut, 1);
    fold::deployable(&net, &w).unwrap().0
}

fn problem(report: &FitReport, layer: &str, what: &str) {
    assert!(!report.fits());
    assert!(report.all_problems().any(|(l, p)| l == layer && p.contains(what)), "`{layer}`, {what}: {report}");
}

#[test]
fn the_networks_of_the_chip_experiment_fit() {
    for name in ["nmnist-small", "nmnist-wide", "3c1fc"] {
        let report = fit(&deployable(name), &Chip::speck2e());
        assert!(report.fits(), "{report}");
        let cores: std::collections::BTreeSet<_> = report.layers.iter().map(|l| l.core).collect();
        assert_eq!(cores.len(), report.layers.len(), "each layer has its own core: {report}");
    }
}

#[test]
fn vgg9_does_not_fit_and_says_where() {
    let report = fit(&deployable("vgg9"), &Chip::speck2e());
    problem(&report, "conv2", "needs 131072 kernel words, no core has more than 65536");
    assert_eq!(report.layers.iter().filter(|l| l.core.is_some()).count(), 2, "{report}");
}

#[test]
fn memory_follows_the_formulae() {
    let mut b = start(Shape::new(2, 34, 34));
    let c = b.conv(NodeId::Input, Conv::c3(5).with_stride(2));
    let n = b.neuron(c, IF);
    let p = b.pool(n, Pool::average(2));
    let l = b.linear(p, 10, false);
    b.neuron(l, IF);
    let report = fit(&b.build().unwrap(), &Chip::speck2e());
    // Sizes round up to powers of two: 17×17 maps to 32×32 words, 9 weights to 16, 5 channels to 8,
    // 10 to 16; a kernel of 8×8 has 64 weights.
    let words: Vec<_> = report.layers.iter().map(|l| (l.kernel_words, l.neuron_words)).collect();
    assert_eq!(words, [(2 * 16 * 8, 5 * 32 * 32), (5 * 64 * 16, 10)]);
    assert!(report.fits(), "{report}");
}

#[test]
fn layers_move_aside_so_that_all_have_a_core() {
    // The first layer fits every core; the others need more kernel memory than most cores have.
    let mut b = start(Shape::new(2, 8, 8));
    let mut at = b.conv(NodeId::Input, Conv::c3(32));
    at = b.neuron(at, IF);
    for out in [64, 64, 32, 32] {
        at = b.conv(at, Conv::c3(out));
        at = b.neuron(at, IF);
    }
    let report = fit(&b.build().unwrap(), &Chip::speck2e());
    let words: Vec<_> = report.layers.iter().map(|l| l.kernel_words / 1024).collect();
    assert_eq!(words, [1, 32, 64, 32, 16]);
    assert!(report.fits(), "{report}");
    let core = |i: usize| report.layers[i].core.unwrap();
    assert!([5, 6].contains(&core(2)) && [3, 4, 5, 6].contains(&core(1)) && [3, 4, 5, 6].contains(&core(3)));
}

#[test]
fn a_tenth_layer_has_no_core() {
    let mut b = start(Shape::new(2, 4, 4));
    let mut at = NodeId::Input;
    for _ in 0..10 {
        at = b.conv(at, Conv::c3(2));
        at = b.neuron(at, IF);
    }
    let report = fit(&b.build().unwrap(), &Chip::speck2e());
    assert_eq!(report.layers.iter().filter(|l| l.core.is_some()).count(), 9);
    let without: Vec<&str> = report.layers.iter().filter(|l| l.core.is_none()).map(|l| &l.layer[..]).collect();
    let named: Vec<&str> = report.all_problems().map(|(layer, _)| layer).collect();
    assert_eq!(named, without, "{report}");
    assert!(report.all_problems().any(|(_, p)| p.contains(" 9:")), "it says how many cores the chip has: {report}");
}

#[test]
fn every_limit_is_named_with_its_layer() {
    let chip = Chip::speck2e();
    let network = |shape: Shape, layers: &[Layer]| {
        let mut b = start(shape);
        let mut at = NodeId::Input;
        for l in layers {
            at = b.add("", *l, &[at]);
        }
        fit(&b.build().unwrap(), &chip)
    };
    let (conv, neuron, s) = (Conv::c3(4), Layer::Neuron(IF), Shape::new(2, 32, 32));
    let lif = Layer::Neuron(Neuron { v_min: Some(-1.0), ..Neuron::lif() });
    let free = Layer::Neuron(Neuron { v_min: None, ..IF });
    let layer = Layer::Conv;
    problem(&network(Shape::new(2, 200, 30), &[layer(conv.with_stride(4)), neuron]), "input", "crop or pool");
    problem(
        &network(Shape::new(2, 100, 30), &[layer(conv), neuron]),
        "conv1",
        "the side of its output 100 is more than 64",
    );
    problem(&network(s, &[layer(conv.with_stride(3)), neuron]), "conv1", "stride 3 is not one of 1, 2, 4, 8");
    problem(&network(s, &[layer(Conv::square(4, 17, 1, 8)), neuron]), "conv1", "side of its kernel 17");
    problem(&network(s, &[layer(Conv::square(4, 16, 1, 8)), neuron]), "conv1", "its padding 8");
    problem(&network(s, &[layer(Conv { bias: true, ..conv }), neuron]), "conv1", "has a bias");
    problem(&network(s, &[layer(conv), lif]), "conv1", "its neurons leak");
    problem(&network(s, &[layer(conv), free]), "conv1", "set `v_min`");
    problem(&network(s, &[layer(conv), Layer::Norm(Norm::default()), neuron]), "norm1", "batch norm");
    problem(&network(s, &[layer(conv), Layer::Pool(Pool::sum(2)), neuron]), "neuron1", "pool after the neurons");
    problem(&network(s, &[layer(conv), neuron, neuron]), "neuron2", "put a convolution between");
    problem(
        &network(s, &[layer(conv), neuron, Layer::Pool(Pool::sum(8)), layer(conv), neuron]),
        "conv2",
        "pooling 8×8",
    );
    problem(&network(s, &[layer(conv), layer(conv), neuron]), "conv2", "put a `neuron` between");
    let wide = Layer::Linear(tickless_net::Linear { out: 10, bias: false });
    problem(&network(s, &[layer(conv), neuron, wide]), "linear1", "pool before it");
    problem(
        &network(Shape::new(2, 64, 64), &[layer(Conv::c3(32)), neuron]),
        "conv1",
        "neuron words, no core has more than",
    );
}

#[test]
fn attention_is_named_and_so_are_the_neurons_that_read_it_and_the_layer_after_them() {
    let mut b = start(Shape::new(2, 8, 8));
    let c = b.conv(NodeId::Input, Conv::c3(4));
    let x = b.neuron(c, IF);
    let product = b.add("", Layer::Attention(Attention { heads: 2, scale: 0.5 }), &[x, x, x]);
    let y = b.neuron(product, IF);
    let c = b.conv(y, Conv::c3(4));
    b.neuron(c, IF);
    let report = fit(&b.build().unwrap(), &Chip::speck2e());
    problem(&report, "attention1", "a product of spikes, which a core cannot");
    problem(&report, "neuron2", "attention has no kernel; put a convolution before the neurons");
    let mut b = start(Shape::new(2, 8, 8));
    let c = b.conv(NodeId::Input, Conv::c3(4));
    let x = b.neuron(c, IF);
    let product = b.add("", Layer::Attention(Attention { heads: 2, scale: 0.5 }), &[x, x, x]);
    b.linear(product, 3, false);
    problem(&fit(&b.build().unwrap(), &Chip::speck2e()), "linear1", "reads `attention1`, which is not on the chip");
}

#[test]
fn a_merge_of_currents_cannot_be_and_one_of_spikes_can() {
    let block = |spikes: bool| {
        let mut b = start(Shape::new(2, 16, 16));
        let c = b.conv(NodeId::Input, Conv::c3(4));
        let x = b.neuron(c, IF);
        let inner = b.conv(x, Conv::c3(4));
        let end = if spikes {
            let n = b.neuron(inner, IF);
            b.add("merge", Layer::Add, &[n, x])
        } else {
            let sum = b.add("merge", Layer::Add, &[inner, x]);
            b.neuron(sum, IF)
        };
        let p = b.pool(end, Pool::average(2));
        b.linear(p, 3, false);
        b.build().unwrap()
    };
    problem(&fit(&block(false), &Chip::speck2e()), "neuron2", "put `neuron` before the `add`");
    let report = fit(&block(true), &Chip::speck2e());
    assert!(report.fits(), "{report}");
}

#[test]
fn three_destinations_are_one_too_many() {
    let mut b = start(Shape::new(2, 8, 8));
    let c = b.conv(NodeId::Input, Conv::c3(4));
    let x = b.neuron(c, IF);
    let branches: Vec<NodeId> = (0..3)
        .map(|_| {
            let c = b.conv(x, Conv::c3(4));
            b.neuron(c, IF)
        })
        .collect();
    let sum = b.add("", Layer::Add, &branches);
    b.linear(sum, 3, false);
    problem(&fit(&b.build().unwrap(), &Chip::speck2e()), "conv1", "sends its events to 3 layers");
}

/// The configured cores as a network whose weights are the quantised integers.
fn as_network(config: &Configuration) -> (Network, Weights) {
    let mut b = NetworkBuilder::new("cores", config.input.shape, InputKind::Events);
    let mut w = Weights::default();
    let mut at: Vec<NodeId> = Vec::new();
    for core in &config.cores {
        let senders = std::iter::once((NodeId::Input, &config.input.destinations))
            .chain(at.iter().zip(&config.cores).map(|(id, c)| (*id, &c.destinations)));
        let sources: Vec<(NodeId, usize)> = senders
            .flat_map(|(id, to)| to.iter().filter(|d| d.core == core.core).map(move |d| (id, d.pooling)))
            .collect();
        let pooled: Vec<NodeId> =
            sources.iter().map(|&(id, k)| if k > 1 { b.pool(id, Pool::sum(k)) } else { id }).collect();
        let from = if pooled.len() > 1 { b.add("", Layer::Add, &pooled) } else { pooled[0] };
        let name = format!("core{}", core.core);
        let (out, kernel) = (core.output.channels, core.kernel.0);
        assert_eq!(core.kernel.0, core.kernel.1);
        let c = Conv::square(out, kernel, core.stride, core.padding);
        let id = b.add(&name, Layer::Conv(c), &[from]);
        let shape = vec![out, core.input.channels, kernel, kernel];
        w.insert(format!("{name}.weight"), Array::new(shape, core.weights.iter().map(|&v| f32::from(v)).collect()));
        let (threshold, v_min) = (f32::from(core.threshold), Some(f32::from(core.v_min)));
        at.push(b.neuron(id, Neuron { threshold, v_min, reset: core.reset, ..IF }));
    }
    (b.build().unwrap(), w)
}

/// A random network that fits: a chain with merges of spikes and sum, average and global pooling.
fn random(r: &mut Rng) -> Network {
    let mut b = start(Shape::new(2, 16, 16));
    let neuron = Neuron { reset: r.pick(&[Reset::Soft, Reset::Hard]), ..IF };
    let mut at = b.ttm(NodeId::Input);
    if r.below(2) == 0 {
        at = b.pool(at, r.pick(&[Pool::average(2), Pool::sum(2)]));
    }
    let c = b.conv(at, Conv::c3(4).with_stride(1 + r.below(2)));
    at = b.neuron(c, neuron);
    if r.below(2) == 0 {
        let c = b.conv(at, Conv { groups: r.pick(&[1, 2]), ..Conv::c3(4) });
        let n = b.neuron(c, neuron);
        at = b.add("", Layer::Add, &[n, at]);
    }
    at = b.pool(at, r.pick(&[Pool::average(2), Pool::sum(2)]));
    let c = b.conv(at, Conv { groups: r.pick(&[1, 2]), ..Conv::c3(6) });
    at = b.neuron(c, neuron);
    if r.below(2) == 0 {
        at = b.add("", Layer::GlobalAverage, &[at]);
    }
    let l = b.linear(at, 3, false);
    b.neuron(l, neuron);
    b.build().unwrap()
}

/// Weights that 8 bits represent exactly: multiples of 1/64 with the largest 127/64.
fn exact(r: &mut Rng, net: &Network) -> Weights {
    let mut w = weights(r, net);
    for a in w.tensors.values_mut() {
        a.data.iter_mut().for_each(|v| *v = (*v * 24.0 + 12.0).round() / 64.0);
        a.data[0] = 127.0 / 64.0;
    }
    w
}

proptest! {
    #[test]
    fn the_cores_spike_as_the_network_where_8_bits_hold_its_weights(seed: u64) {
        let r = &mut Rng(seed);
        let net = random(r);
        let w = exact(r, &net);
        let config = configuration(&net, &w, &Chip::speck2e()).unwrap();
        let (cores, cw) = as_network(&config);
        let x = steps(r, &net, 6);
        let spikes = clocked::run(&net, &w, &x, None).steps;
        prop_assert!(spikes.iter().flatten().sum::<f64>() > 0.0, "silent");
        prop_assert_eq!(clocked::run(&cores, &cw, &x, None).steps, spikes);
    }
}

#[test]
fn a_configuration_is_json_with_every_core() {
    let net = deployable("nmnist-small");
    let w = init::initialise(&net, init::InitScheme::Uniform { conv_gain: 1.5 }, 1);
    let config = configuration(&net, &w, &Chip::speck2e()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
    assert_eq!(json["cores"].as_array().unwrap().len(), config.cores.len());
    assert_eq!(json["cores"][0]["reset"], "soft");
    assert_eq!(json["readout"], config.readout);
    assert!(config.cores.last().unwrap().destinations.is_empty());
    let readout = &net.nodes().last().unwrap().name;
    assert!(config.notes.iter().any(|(layer, _)| layer == readout), "{:?}", config.notes);
}

#[test]
fn what_does_not_fit_is_not_configured() {
    let net = deployable("vgg9");
    let w = init::initialise(&net, init::InitScheme::Uniform { conv_gain: 1.5 }, 1);
    let e = configuration(&net, &w, &Chip::speck2e()).unwrap_err();
    assert!(matches!(&e, Error::Layer { layer, .. } if layer == "conv2"), "{e}");
}
