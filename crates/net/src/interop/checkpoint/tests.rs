//! Tests of matching: names of every dialect, maps, orders, and what is said of the rest.

use super::{Checkpoint, Dialect, Fit, FitOptions, Map, fit, from_bytes, rename, torch};
use crate::init::{InitScheme, initialise};
use crate::layer::{Conv, Layer, Linear, Pool};
use crate::network::{InputKind, Network, NetworkBuilder, NodeId};
use crate::neuron::{Leak, Neuron};
use crate::shape::Shape;
use crate::weights::{Array, Weights};
use crate::zoo::{ZooOptions, build, entries};
use std::path::Path;

const FILE: &str = "net.pt";

fn torch_file(tensors: &[(String, &Array)]) -> Checkpoint {
    from_bytes(torch::to_bytes(tensors).unwrap(), Path::new(FILE), None).unwrap()
}

fn safetensors_file(tensors: &[(String, &Array)]) -> Checkpoint {
    let mut named = Weights::default();
    tensors.iter().for_each(|(name, array)| named.insert(name, Array::clone(array)));
    from_bytes(named.to_bytes(None).unwrap(), Path::new(FILE), None).unwrap()
}

fn fitted(checkpoint: &Checkpoint, network: &Network, options: &FitOptions) -> Fit {
    fit(checkpoint, network, Path::new(FILE), options).unwrap()
}

/// Weights whose values all differ, so that a swapped pair of layers is noticed.
fn weights_of(network: &Network) -> Weights {
    let mut weights = initialise(network, InitScheme::default_for(network), 5);
    let mut n = 0u32;
    for array in weights.tensors.values_mut() {
        for v in &mut array.data {
            n += 1;
            *v = f32::from_bits(0x3f00_0000 + n);
        }
    }
    weights
}

/// A chain of two convolutions with neurons, pooling and a linear layer.
fn chain(bias: bool) -> Network {
    let mut b = NetworkBuilder::new("chain", Shape::new(2, 8, 8), InputKind::Events);
    let conv = Conv { bias, ..Conv::c3(4) };
    let mut at = b.conv(NodeId::Input, conv);
    at = b.neuron(at, Neuron { leak: Leak::Step(0.9), threshold: 2.0, ..Neuron::lif() });
    at = b.pool(at, Pool::average(2));
    at = b.conv(at, conv);
    at = b.neuron(at, Neuron { leak: Leak::Step(0.8), ..Neuron::lif() });
    b.add("", Layer::Linear(Linear { out: 3, bias }), &[at]);
    b.build().unwrap()
}

fn named<'a>(weights: &'a Weights, pairs: &[(&str, &str)]) -> Vec<(String, &'a Array)> {
    pairs.iter().map(|(theirs, ours)| ((*theirs).to_owned(), weights.get(ours).unwrap())).collect()
}

#[test]
fn every_network_comes_back_with_the_same_bits_in_every_dialect_and_both_formats() {
    let mut seen = 0;
    for entry in entries() {
        let net = build(entry.name, &ZooOptions { width: Some(0.05), ..ZooOptions::default() }).unwrap();
        let weights = weights_of(&net);
        for dialect in Dialect::ALL {
            let Ok(named) = rename(&weights, &net, dialect) else { continue };
            seen += 1;
            for (checkpoint, format) in [(torch_file(&named), "torch"), (safetensors_file(&named), "safetensors")] {
                let options = FitOptions::new(Some(dialect), Map::default());
                let told = fitted(&checkpoint, &net, &options);
                assert!(told.is_complete() && told.unused.is_empty(), "{} {dialect} {format}: {told:?}", entry.name);
                assert_eq!(told.weights, weights, "{} {dialect} {format}", entry.name);
                let guessed = fitted(&checkpoint, &net, &FitOptions::default());
                assert_eq!(guessed.weights, weights, "{} {dialect} {format}, found", entry.name);
                assert!(!guessed.by_order && guessed.dialect.is_some());
            }
            let wrapped: Vec<(String, &Array)> = named.iter().map(|(n, a)| (format!("module.{n}"), *a)).collect();
            let unwrapped = fitted(&torch_file(&wrapped), &net, &FitOptions::default());
            assert_eq!((unwrapped.prefix.as_str(), unwrapped.weights), ("module.", weights.clone()), "{}", entry.name);
        }
    }
    assert!(seen > 2 * entries().len(), "{seen} pairs of network and dialect");
}

#[test]
fn the_names_of_the_papers_code_match_the_residual_network() {
    let net = build("resnet18", &ZooOptions { width: Some(0.05), ..ZooOptions::default() }).unwrap();
    let weights = weights_of(&net);
    let mut named = rename(&weights, &net, Dialect::Paper).unwrap();
    let counter = Array::full(&[], 7.0);
    named.insert(5, ("conv.module.1.num_batches_tracked".into(), &counter));
    let all: Vec<(String, &Array)> = named.iter().map(|(n, a)| (format!("module.{n}"), *a)).collect();
    let found = fitted(&torch_file(&all), &net, &FitOptions::default());
    assert_eq!((found.dialect, found.prefix.as_str(), found.weights), (Some(Dialect::Paper), "module.", weights));
    assert_eq!(found.unused.len(), 1);
    assert!(found.unused[0].is_state && found.unused[0].name == "module.conv.module.1.num_batches_tracked");
}

#[test]
fn a_sequential_with_other_modules_between_is_matched_in_order() {
    let net = chain(false);
    let weights = weights_of(&net);
    let state = Array::full(&[1, 4, 8, 8], 0.25);
    // As the paper's event-driven networks: `net.<i>.weight`, and the membranes of sinabs.
    let mut all = named(&weights, &[("net.0.weight", "conv1.weight")]);
    all.push(("net.1.v_mem".into(), &state));
    all.extend(named(&weights, &[("net.4.weight", "conv2.weight"), ("net.12.weight", "linear1.weight")]));
    for checkpoint in [torch_file(&all), safetensors_file(&all)] {
        let found = fitted(&checkpoint, &net, &FitOptions::default());
        assert!(found.by_order && found.is_complete());
        assert_eq!(found.weights, weights);
        assert_eq!(
            found.unused.iter().map(|u| (u.name.as_str(), u.is_state)).collect::<Vec<_>>(),
            [("net.1.v_mem", true)]
        );
    }
}

#[test]
fn the_members_of_a_class_are_matched_in_the_order_of_the_file() {
    let net = chain(true);
    let weights = weights_of(&net);
    let pairs = [
        ("first.weight", "conv1.weight"),
        ("first.bias", "conv1.bias"),
        ("another.weight", "conv2.weight"),
        ("another.bias", "conv2.bias"),
        ("out.weight", "linear1.weight"),
        ("out.bias", "linear1.bias"),
    ];
    let found = fitted(&torch_file(&named(&weights, &pairs)), &net, &FitOptions::default());
    assert_eq!((found.by_order, found.weights), (true, weights.clone()));
    // A safetensors file sorts its names, so `another` would come before `first`.
    let found = fitted(&safetensors_file(&named(&weights, &pairs)), &net, &FitOptions::default());
    assert_eq!(found.matched.len(), 2, "the only linear layer");
    assert!(found.missing.iter().all(|m| m.why.contains("sorts")), "{:?}", found.missing);
}

#[test]
fn an_order_that_does_not_say_which_layer_is_which_is_not_used() {
    let net = chain(false);
    let weights = weights_of(&net);
    // As a `Sequential` of other modules: 3 is the number of conv2 in ours, and here of another.
    let pairs = [("0.weight", "conv1.weight"), ("3.weight", "conv2.weight"), ("5.weight", "conv2.weight")];
    let found = fitted(&torch_file(&named(&weights, &pairs)), &net, &FitOptions::default());
    assert!(found.matched.is_empty(), "{:?}", found.matched);
    let why = &found.missing.iter().find(|m| m.tensor == "conv2.weight").unwrap().why;
    let expected = "the file has 3 convolutions, the network 2, so their order does not say which is which; \
                    nearest: `3.weight` [4, 4, 3, 3], `5.weight` [4, 4, 3, 3]";
    assert_eq!(why, expected);
    let contradicting = [("conv2.weight", "conv1.weight"), ("conv1.weight", "conv2.weight")];
    let map = Map::default();
    let found =
        fitted(&torch_file(&named(&weights, &contradicting)), &net, &FitOptions::new(Some(Dialect::Sequential), map));
    assert!(found.matched.is_empty() && found.missing[0].why.contains("contradict"), "{:?}", found.missing);
}

#[test]
fn what_does_not_match_is_said_with_both_shapes_and_the_nearest_names() {
    let net = chain(true);
    let weights = weights_of(&net);
    let wide = Array::full(&[3, 200], 1.0);
    let other = Array::full(&[9], 1.0);
    let mut all = named(&weights, &[("conv1.weight", "conv1.weight"), ("conv1.bias", "conv1.bias")]);
    all.extend(named(&weights, &[("conv2x.weight", "conv2.weight")]));
    all.push(("linear1.weight".into(), &wide));
    all.push(("extra.thing".into(), &other));
    let found = fitted(&torch_file(&all), &net, &FitOptions::new(Some(Dialect::Tickless), Map::default()));
    assert_eq!(found.matched.iter().map(|m| m.tensor.as_str()).collect::<Vec<_>>(), ["conv1.weight", "conv1.bias"]);
    let why = |tensor: &str| found.missing.iter().find(|m| m.tensor == tensor).unwrap().why.clone();
    assert_eq!(why("linear1.weight"), "`linear1.weight` has shape [3, 200] in the file, [3, 64] is needed");
    assert_eq!(why("conv2.weight"), "the file has no `conv2.weight`; nearest: `conv2x.weight` [4, 4, 3, 3]");
    assert_eq!(why("linear1.bias"), "the file has no `linear1.bias`");
    let unused = |name: &str| found.unused.iter().find(|u| u.name == name).unwrap().why.clone();
    assert_eq!(unused("linear1.weight"), "its shape is not that of its layer");
    assert_eq!(unused("conv2x.weight"), "no layer has this name; of its shape: `conv2.weight`");
    assert_eq!(unused("extra.thing"), "no layer has this name");
}

#[test]
fn a_bias_that_the_recipe_leaves_out_is_said() {
    let (with, without) = (chain(true), chain(false));
    let weights = weights_of(&with);
    let named = rename(&weights, &with, Dialect::Sequential).unwrap();
    let found = fitted(&torch_file(&named), &without, &FitOptions::default());
    assert!(found.is_complete());
    assert_eq!(found.unused.len(), 3);
    assert_eq!(found.unused[0].why, "layer `conv1` has no bias; set `bias = true` in the recipe to use it");
}

#[test]
fn a_map_assigns_modules_and_tensors_before_the_dialect() {
    let net = chain(true);
    let weights = weights_of(&net);
    let pairs = [
        ("stem.conv.weight", "conv1.weight"),
        ("stem.conv.bias", "conv1.bias"),
        ("conv2.weight", "conv2.weight"),
        ("conv2.bias", "conv2.bias"),
        ("head.w", "linear1.weight"),
        ("head.b", "linear1.bias"),
    ];
    let map = "stem.conv = \"conv1\"\n\"head.w\" = \"linear1.weight\"\nhead.b = \"linear1.bias\"";
    let map = Map::parse(map, Path::new("map.toml")).unwrap();
    let found = fitted(&torch_file(&named(&weights, &pairs)), &net, &FitOptions::new(None, map));
    assert_eq!((found.dialect, found.is_complete(), found.weights), (Some(Dialect::Tickless), true, weights.clone()));
    let cases = [
        ("stem.con = \"conv1\"", "neither a tensor nor a module `stem.con`"),
        ("stem.conv = \"conv9\"", "no layer `conv9`, did you mean `conv1`?"),
        ("head.w = \"linear1.wight\"", "no tensor `linear1.wight`, did you mean `linear1.weight`?"),
        ("head = \"linear1\"", "has no tensor of layer `linear1`"),
        ("head.w = \"linear1.weight\"\nstem.conv.weight = \"linear1.weight\"", "`linear1.weight` is assigned twice"),
    ];
    for (text, expected) in cases {
        let map = Map::parse(text, Path::new("map.toml")).unwrap();
        let checkpoint = torch_file(&named(&weights, &pairs));
        let e = fit(&checkpoint, &net, Path::new(FILE), &FitOptions::new(None, map)).unwrap_err().to_string();
        assert!(e.starts_with("map.toml: ") && e.contains(expected), "{e}");
    }
}

#[test]
fn constants_of_neurons_that_differ_are_said() {
    let net = chain(false);
    let weights = weights_of(&net);
    let scalar = |v: f32| Array::full(&[], v);
    let (t1, t2, b1, b2) = (scalar(2.0), scalar(1.5), scalar(0.9), scalar(0.7));
    let mut all = named(&weights, &[("conv1.weight", "conv1.weight")]);
    all.extend([("lif1.threshold".to_owned(), &t1), ("lif1.beta".to_owned(), &b1)]);
    all.extend(named(&weights, &[("conv2.weight", "conv2.weight")]));
    all.extend([("lif2.threshold".to_owned(), &t2), ("lif2.beta".to_owned(), &b2)]);
    all.extend(named(&weights, &[("fc1.weight", "linear1.weight")]));
    let found = fitted(&torch_file(&all), &net, &FitOptions::default());
    assert!(found.is_complete());
    let expected = [
        "`lif2.threshold` is 1.5 in the file, layer `neuron2` has 1",
        "`lif2.beta` is 0.7 in the file, layer `neuron2` has 0.8",
    ];
    assert_eq!(found.differences, expected);
}

#[test]
fn a_value_that_is_not_finite_is_refused() {
    let net = chain(false);
    let mut weights = weights_of(&net);
    weights.tensors.get_mut("conv2.weight").unwrap().data[7] = f32::NAN;
    let named = rename(&weights, &net, Dialect::Tickless).unwrap();
    let e = fit(&torch_file(&named), &net, Path::new(FILE), &FitOptions::default()).unwrap_err().to_string();
    assert!(e.contains("value 7 of `conv2.weight` is NaN"), "{e}");
}

#[test]
fn published_files_are_read() {
    let Some(folder) = tickless_testing::folders::models("dvs-gesture") else { return };
    let file = super::read(&folder.join("sinabs_dvs_gesture.pt"), None).unwrap();
    let found: Vec<(&str, &[usize])> = file.tensors().iter().map(|(n, t)| (n.as_str(), t.shape())).collect();
    let expected: [(&str, &[usize]); 9] = [
        ("0.weight", &[16, 2, 2, 2]),
        ("2.weight", &[16, 16, 3, 3]),
        ("5.weight", &[32, 16, 3, 3]),
        ("8.weight", &[32, 32, 3, 3]),
        ("11.weight", &[64, 32, 3, 3]),
        ("14.weight", &[64, 64, 3, 3]),
        ("18.weight", &[256, 64, 2, 2]),
        ("22.weight", &[128, 256]),
        ("24.weight", &[11, 128]),
    ];
    assert_eq!(found, expected);
    let file = super::read(&folder.join("neurobench_dvs_gesture.pt"), None).unwrap();
    assert_eq!(file.tensors().len(), 24);
    let beta = file.array(file.get("lif2.beta").unwrap()).unwrap();
    assert_eq!((beta.shape, beta.data), (vec![], vec![0.729_111_8]));
}

#[test]
fn damage_to_a_file_with_a_checksum_is_noticed() {
    let net = chain(false);
    let mut bytes = weights_of(&net).to_bytes(None).unwrap();
    assert!(super::recognises(&bytes));
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    let e = from_bytes(bytes, Path::new(FILE), None).unwrap_err().to_string();
    assert!(e.contains("checksum"), "{e}");
}

#[test]
fn a_line_break_in_a_name_does_not_break_the_message() {
    let e = super::error::refused(Path::new(FILE), "tensor `a\nb`\u{1b}").to_string();
    assert_eq!(e, "net.pt: tensor `a\\nb`\\u{1b}");
}

#[test]
fn one_part_of_a_file_is_matched_and_two_equal_parts_are_refused() {
    let net = chain(true);
    let (weights, other) = (weights_of(&net), Array::full(&[3, 3], 0.5));
    let mut before = weights.clone();
    before.tensors.values_mut().flat_map(|a| &mut a.data).for_each(|v| *v += 1.0);
    let below = |weights: &'static str, all: &[(String, &Array)]| -> Vec<(String, Array)> {
        all.iter().map(|(n, a)| (format!("{weights}.{n}"), Array::clone(a))).collect()
    };
    let file = |all: &[(String, Array)]| torch_file(&all.iter().map(|(n, a)| (n.clone(), a)).collect::<Vec<_>>());
    for dialect in [Dialect::Tickless, Dialect::Sequential] {
        let (now, then) = (rename(&weights, &net, dialect).unwrap(), rename(&before, &net, dialect).unwrap());
        // A network beside another module.
        let mut all = below("encoder", &now);
        all.push(("projector.weight".into(), other.clone()));
        let found = fitted(&file(&all), &net, &FitOptions::default());
        assert_eq!((found.prefix.as_str(), &found.weights), ("encoder.", &weights), "{dialect}");
        assert_eq!(found.unused.len(), 1);
        // sinabs saves the network before and after its conversion.
        let all = [below("analog_model", &then), below("spiking_model", &now)].concat();
        let found = fitted(&file(&all), &net, &FitOptions::default());
        assert_eq!((found.prefix.as_str(), &found.weights), ("spiking_model.", &weights), "{dialect}");
        // Nothing says which of two networks is meant.
        let all = [below("teacher", &then), below("student", &now)].concat();
        let e = fit(&file(&all), &net, Path::new(FILE), &FitOptions::default()).unwrap_err().to_string();
        assert!(e.contains("`teacher.`") && e.contains("`student.`"), "{e}");
    }
}

#[test]
fn modules_of_one_part_are_matched_in_order() {
    let net = chain(false);
    let weights = weights_of(&net);
    let other = Array::full(&[4, 4, 3, 3], 0.5);
    let mut all = named(
        &weights,
        &[("net.0.weight", "conv1.weight"), ("net.5.weight", "conv2.weight"), ("net.9.weight", "linear1.weight")],
    );
    all.push(("decoder.0.weight".into(), &other));
    let found = fitted(&torch_file(&all), &net, &FitOptions::default());
    assert_eq!((found.by_order, found.prefix.as_str(), &found.weights), (true, "net.", &weights));
    assert_eq!(found.unused.len(), 1);
}

#[test]
fn a_huge_name_is_not_compared_with_others() {
    let net = chain(false);
    let weights = weights_of(&net);
    let name = "c".repeat(4 << 20);
    let named = [(name.clone(), weights.get("conv1.weight").unwrap())];
    let found = fitted(&torch_file(&named), &net, &FitOptions::new(Some(Dialect::Tickless), Map::default()));
    assert_eq!(found.missing[0].why, "the file has no `conv1.weight`");
    let map = Map::parse("convv = \"conv1\"", Path::new("map.toml")).unwrap();
    let e = fit(&torch_file(&named), &net, Path::new(FILE), &FitOptions::new(None, map)).unwrap_err().to_string();
    assert!(e.len() < 200, "{} bytes", e.len());
}
