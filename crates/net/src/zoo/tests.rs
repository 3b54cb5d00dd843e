//! Checks the built-in networks against known numbers of weights and stages.

use super::*;
use crate::layer::Layer;
use crate::network::{Node, NodeId};

fn with(name: &str, classes: usize, norm: Option<bool>) -> Network {
    build(name, &ZooOptions { classes, norm, ..Default::default() }).unwrap()
}

#[test]
fn trainable_counts_are_those_of_the_sources() {
    for (name, classes, norm, weights) in [
        ("demo", 0, None, 3_856),
        ("nmnist-small", 0, None, 3_856),
        ("nmnist-wide", 0, None, 11_024),
        ("nmnist-wide", 0, Some(true), 11_024 + 2 * (8 + 16 + 32)),
        ("3c1fc", 0, None, 6_160),
        ("gesture", 0, Some(false), 48_592),
        ("gesture", 0, None, 48_592 + 2 * (8 + 16 + 32 + 32)),
        ("vgg9", 0, Some(false), 9_237_632),
        ("shd", 0, None, 700 * 128 + 128 * 128 + 128 * 20),
        ("vgg9", 0, None, 9_237_632 + 2 * (64 + 128 + 2 * 256 + 4 * 512)),
        ("resnet18", 10, None, 11_173_962),
        ("resnet18", 100, None, 11_220_132),
        ("resnet18-dvs", 10, None, 11_173_386),
        ("resnet19", 10, None, 12_569_226),
        ("resnet19", 100, None, 12_615_396),
        ("resnet34", 10, None, 21_282_122),
        ("resnet34-imagenet", 0, None, 21_797_672),
        // As torchvision's resnet18.
        ("resnet18-imagenet", 0, None, 11_689_512),
        ("resnet19-imagenet", 0, None, 13_092_456),
        ("vgg14", 10, None, 14_724_042),
        ("vgg14", 100, None, 14_770_212),
        ("vggsnn", 10, None, 9_268_746),
        ("spikformer-4-384", 10, None, 9_324_730),
        // Patches, two blocks and the classifier, counted by hand.
        ("spikformer-2-384", 10, None, 2_201_520 + 2 * 1_779_840 + 3_850),
    ] {
        assert_eq!(with(name, classes, norm).trainable_values(), weights, "{name}, {classes} classes, norm {norm:?}");
    }
}

#[test]
fn stage_counts_are_those_of_the_specification() {
    for (name, stages, input_ttm) in [
        ("demo", 3, true),
        ("nmnist-small", 3, true),
        ("nmnist-wide", 3, true),
        ("3c1fc", 3, true),
        ("gesture", 3, true),
        ("vgg9", 4, true),
        ("shd", 2, true),
        ("vgg14", 13, false),
        ("vggsnn", 8, true),
        ("resnet18", 8, false),
        ("resnet18-dvs", 8, true),
        ("resnet19", 8, false),
        ("resnet34", 16, false),
        ("spikformer-4-384", 4, false),
        ("spikformer-2-384", 2, false),
        ("resnet34-imagenet", 16, false),
        ("resnet18-imagenet", 8, false),
        ("resnet19-imagenet", 8, false),
    ] {
        let net = with(name, 0, None);
        assert_eq!((net.stages(), net.has_input_ttm()), (stages, input_ttm), "{name}");
    }
}

#[test]
fn every_entry_builds_under_its_name_with_its_classes_and_its_neuron_everywhere() {
    for e in entries() {
        let net = with(e.name, 0, None);
        assert_eq!((net.name(), net.input(), net.output()), (e.name, e.input, Shape::vector(e.classes)));
        let neurons = net.spiking().len();
        // The neurons after attention have half the threshold.
        let half = Neuron { threshold: 0.5 * e.neuron.threshold, ..e.neuron };
        let after_attention =
            |n: &Node| matches!(n.from[0], NodeId::Node(i) if matches!(net.nodes()[i].layer, Layer::Attention(_)));
        let expected = |n: &Node| Layer::Neuron(if after_attention(n) { half } else { e.neuron });
        let same = net.nodes().iter().filter(|n| n.layer == expected(n)).count();
        assert!(neurons > 0 && neurons == same, "{}", e.name);
        assert!(
            matches!(net.nodes().last().unwrap().layer, Layer::Linear(_)),
            "{}: the readout does not spike",
            e.name
        );
    }
}

#[test]
fn networks_without_norm_and_bias_are_deployable() {
    for name in ["demo", "nmnist-small", "nmnist-wide", "3c1fc", "gesture", "vgg9", "shd"] {
        with(name, 0, Some(false)).check_event_driven().unwrap();
    }
    for name in ["gesture", "vgg9", "resnet18"] {
        assert!(with(name, 0, None).check_event_driven().is_err(), "{name} has norms by default");
    }
}

#[test]
fn removing_the_norms_renames_nothing() {
    for e in entries() {
        let norm = with(e.name, 0, Some(true));
        let kept = norm.nodes().iter().filter(|n| !matches!(n.layer, Layer::Norm(_))).map(|n| &n.name);
        assert!(kept.eq(with(e.name, 0, Some(false)).nodes().iter().map(|n| &n.name)), "{}", e.name);
    }
}

#[test]
fn gesture_trims_at_its_input_unless_told_otherwise() {
    let modes = |ttm| {
        let net = build("gesture", &ZooOptions { ttm, ..Default::default() }).unwrap();
        net.nodes().iter().filter_map(|n| if let Layer::Ttm(m) = n.layer { Some(m) } else { None }).collect::<Vec<_>>()
    };
    assert_eq!(modes(None), [TtmMode::Trim, TtmMode::Even, TtmMode::Even]);
    assert_eq!(modes(Some(TtmMode::Soft)), [TtmMode::Soft; 3]);
}

#[test]
fn names_are_readable_and_stable() {
    let names = |name| with(name, 0, None).nodes().iter().map(|n| n.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        names("nmnist-small"),
        ["ttm1", "conv1", "neuron1", "pool1", "ttm2", "conv2", "neuron2", "pool2", "ttm3", "linear1"]
    );
    let net = names("resnet18");
    assert_eq!(net[..4], ["conv1", "norm1", "neuron1", "block1.conv1"]);
    let block3: Vec<_> = net.iter().filter_map(|n| n.strip_prefix("block3.")).collect();
    assert_eq!(
        block3,
        ["ttm", "conv1", "norm1", "neuron1", "conv2", "norm2", "shortcut.conv", "shortcut.norm", "add", "neuron2"]
    );
    let net = names("spikformer-4-384");
    assert_eq!(net[14..18], ["conv5", "norm5", "neuron5", "add1"]);
    let block2: Vec<_> =
        net.iter().filter_map(|n| n.strip_prefix("block2.")).filter(|n| !n.ends_with("norm")).collect();
    assert_eq!(
        block2,
        [
            "ttm",
            "q.conv",
            "q.neuron",
            "k.conv",
            "k.neuron",
            "v.conv",
            "v.neuron",
            "attention1",
            "neuron1",
            "projection.conv",
            "projection.neuron",
            "add1",
            "mlp1.conv",
            "mlp1.neuron",
            "mlp2.conv",
            "mlp2.neuron",
            "add2"
        ]
    );
}

#[test]
fn the_heads_of_a_spikformer_follow_its_width_and_divide_its_channels() {
    for (width, channels, heads) in [(1.0, 384, 12), (0.25, 96, 3), (0.5, 192, 6), (0.3, 115, 1), (0.02, 8, 1)] {
        let net = build("spikformer-2-384", &ZooOptions { width: Some(width), ..Default::default() }).unwrap();
        let attention = net.nodes().iter().find(|n| matches!(n.layer, Layer::Attention(_))).unwrap();
        assert_eq!(attention.layer, Layer::Attention(crate::Attention { heads, scale: 0.125 }), "width {width}");
        assert_eq!(attention.output.channels, channels);
    }
}

#[test]
fn options_change_what_they_name_and_nothing_else() {
    let input = (Shape::new(1, 28, 28), InputKind::Image);
    let options = ZooOptions {
        classes: 4,
        neuron: Some(Neuron::if_single()),
        input: Some(input),
        classifier_bias: Some(true),
        ..Default::default()
    };
    let net = build("nmnist-small", &options).unwrap();
    assert_eq!(net.output(), Shape::vector(4));
    assert_eq!((net.input().shape, net.input().kind), input);
    assert_eq!(net.trainable_values(), 72 + 8 * 16 * 9 + 16 * 3 * 3 * 4 + 4);
}

#[test]
fn a_width_scales_the_channels_of_every_hidden_layer_and_no_others() {
    for e in entries() {
        let network = |width| build(e.name, &ZooOptions { width, ..Default::default() }).unwrap();
        let (whole, quarter) = (network(None), network(Some(0.25)));
        assert_eq!(network(Some(1.0)), whole);
        assert_eq!(whole.nodes().len(), quarter.nodes().len());
        let last = whole.nodes().len() - 1;
        for (i, (a, b)) in whole.nodes().iter().zip(quarter.nodes()).enumerate() {
            let expected = match a.layer {
                Layer::Conv(c) => c.out / 4,
                Layer::Linear(l) if i < last => l.out / 4,
                Layer::Linear(l) => l.out,
                _ => continue,
            };
            assert_eq!(b.output.channels, expected, "{}, layer {}", e.name, a.name);
        }
    }
    // resnet18 at a quarter of its width: conv weights a sixteenth, apart from the stem's input.
    let quarter = build("resnet18", &ZooOptions { width: Some(0.25), ..Default::default() }).unwrap();
    assert_eq!(quarter.trainable_values(), 701_466);
    for width in [0.0, -1.0, f64::NAN, 17.0] {
        let e = build("vgg9", &ZooOptions { width: Some(width), ..Default::default() }).unwrap_err().to_string();
        assert!(e.contains("`vgg9`") && e.contains("e.g. 0.25"), "{e}");
    }
    // Rounding leaves at least one channel.
    let thin = build("nmnist-small", &ZooOptions { width: Some(0.01), ..Default::default() }).unwrap();
    assert!(thin.nodes().iter().all(|n| n.output.channels > 0));
}

#[test]
fn an_unknown_name_is_an_error_with_the_nearest_one() {
    let e = build("resnet81", &ZooOptions::default()).unwrap_err();
    let Error::UnknownNetwork { name, hint, known } = &e else { panic!("{e}") };
    assert_eq!(name, "resnet81");
    assert!(hint.contains("`resnet18`") && known.contains("vggsnn"), "{e}");
}

#[test]
fn an_input_that_is_too_small_names_the_layer() {
    let options = ZooOptions { input: Some((Shape::new(2, 4, 4), InputKind::Events)), ..Default::default() };
    let e = build("nmnist-small", &options).unwrap_err().to_string();
    assert!(e.starts_with("layer `pool2`"), "{e}");
}
