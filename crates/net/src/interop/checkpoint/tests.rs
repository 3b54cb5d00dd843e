//! Tests of matching: names of every dialect, maps, orders, and what is said of the rest.

use super::{Checkpoint, Dialect, Effect, Fit, FitOptions, Map, NeuronFramework, Tensor, fit, from_bytes, torch};
use crate::error::{Error, Result};
use crate::init::{InitScheme, initialise};
use crate::layer::{Conv, Layer, Linear, Pool, Recurrent, RecurrentKind};
use crate::network::{InputKind, Network, NetworkBuilder, NodeId};
use crate::neuron::model::{learned_decay, learned_lambda};
use crate::neuron::{Leak, Neuron};
use crate::shape::Shape;
use crate::weights::{Array, Weights};
use crate::zoo::{ZooOptions, build, entries};
use std::borrow::Borrow;
use std::path::Path;

const FILE: &str = "net.pt";

/// The names of a network without learned decays.
fn rename(weights: &Weights, network: &Network, dialect: Dialect) -> Result<Vec<(String, Array)>> {
    super::rename(weights, network, dialect, None)
}

fn torch_file(tensors: &[(String, impl Borrow<Array>)]) -> Checkpoint {
    from_bytes(torch::to_bytes(tensors).unwrap(), Path::new(FILE), None).unwrap()
}

fn safetensors_file(tensors: &[(String, impl Borrow<Array>)]) -> Checkpoint {
    let mut named = Weights::default();
    tensors.iter().for_each(|(name, array)| named.insert(name, array.borrow().clone()));
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
            let wrapped: Vec<(String, &Array)> = named.iter().map(|(n, a)| (format!("module.{n}"), a)).collect();
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
    named.insert(5, ("conv.module.1.num_batches_tracked".into(), counter));
    let all: Vec<(String, &Array)> = named.iter().map(|(n, a)| (format!("module.{n}"), a)).collect();
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
    assert!(found.unused.iter().all(|u| u.effect == Effect::Certain));
    let mut zeros = weights;
    zeros.tensors.iter_mut().filter(|(n, _)| n.ends_with("bias")).for_each(|(_, a)| a.data.fill(0.0));
    let named = rename(&zeros, &with, Dialect::Sequential).unwrap();
    let found = fitted(&torch_file(&named), &without, &FitOptions::default());
    assert!(found.unused.len() == 3 && found.unused.iter().all(|u| u.effect == Effect::None));
}

#[test]
fn a_norm_that_the_recipe_leaves_out_is_said() {
    let net = chain(false);
    let weights = weights_of(&net);
    let four = Array::full(&[4], 1.5);
    let mut all =
        named(&weights, &[("0.weight", "conv1.weight"), ("4.weight", "conv2.weight"), ("8.weight", "linear1.weight")]);
    all.extend(["weight", "bias", "running_mean", "running_var"].map(|t| (format!("1.{t}"), &four)));
    let found = fitted(&torch_file(&all), &net, &FitOptions::default());
    assert!(found.is_complete() && found.unused.len() == 4);
    for u in &found.unused {
        assert!(u.effect == Effect::Certain && u.why.contains("`norm = true`"), "{u:?}");
    }
    // GroupNorm, LayerNorm and PReLU have no running statistics.
    let found = fitted(&torch_file(&all[..5]), &net, &FitOptions::default());
    assert!(found.unused.len() == 2 && found.unused.iter().all(|u| u.effect == Effect::Certain), "{:?}", found.unused);
    // A norm of another part of the file, and one whose layer has another name, are no parts of the network.
    let other = |all: &[(String, &Array)]| {
        let named: Vec<(String, Array)> = all.iter().map(|(n, a)| (n.clone(), (*a).clone())).collect();
        fitted(&torch_file(&named), &net, &FitOptions::default())
    };
    let below: Vec<(String, &Array)> = all
        .iter()
        .map(|(n, a)| (if n.starts_with('1') { format!("head.{n}") } else { format!("net.{n}") }, *a))
        .collect();
    assert!(other(&below).unused.iter().all(|u| u.effect == Effect::Unknown));
}

/// A linear layer, neurons with recurrent connections, and a linear layer.
fn recurrent(kind: RecurrentKind, bias: bool) -> Network {
    let mut b = NetworkBuilder::new("recurrent", Shape::vector(5), InputKind::Events);
    let at = b.linear(NodeId::Input, 4, bias);
    let at = b.neuron(at, Neuron::lif());
    b.recurrent(at, Recurrent { kind, delay_us: None });
    b.linear(at, 3, false);
    b.build().unwrap()
}

#[test]
fn the_bias_of_recurrent_connections_is_that_of_the_layer_before() {
    let net = recurrent(RecurrentKind::Dense, true);
    let weights = weights_of(&net);
    let (back, zeros) = (Array::full(&[4], 0.25), Array::full(&[4], 0.0));
    let file = |own: bool, back: &Array| {
        let mut all = named(
            &weights,
            &[
                ("0.weight", "linear1.weight"),
                ("1.recurrent.weight", "neuron1.recurrent"),
                ("2.weight", "linear2.weight"),
            ],
        );
        if own {
            all.extend(named(&weights, &[("0.bias", "linear1.bias")]));
        }
        all.push(("1.recurrent.bias".to_owned(), back));
        torch_file(&all)
    };
    let own = weights.get("linear1.bias").unwrap();
    let found = fitted(&file(true, &back), &net, &FitOptions::default());
    let sum: Vec<f32> = own.data.iter().map(|v| v + 0.25).collect();
    assert_eq!(found.weights.get("linear1.bias").unwrap().data, sum);
    assert!(found.is_complete() && found.unused.is_empty(), "{:?}", found.unused);
    assert!(found.differences.iter().any(|d| d.contains("`1.recurrent.bias`") && d.contains("`linear1.bias`")));
    // The layer before has no bias of its own in the file.
    let found = fitted(&file(false, &back), &net, &FitOptions::default());
    assert!(found.is_complete() && found.weights.get("linear1.bias").unwrap() == &back);
    let found = fitted(&file(true, &zeros), &net, &FitOptions::default());
    assert_eq!(
        (found.weights.get("linear1.bias").unwrap(), found.unused.iter().any(|u| u.effect == Effect::Certain)),
        (own, false)
    );
    // Nothing can take it up.
    let found = fitted(&file(false, &back), &recurrent(RecurrentKind::Dense, false), &FitOptions::default());
    let unused = found.unused.iter().find(|u| u.name == "1.recurrent.bias").unwrap();
    assert!(
        unused.effect == Effect::Certain && unused.why.contains("`bias = true`") && unused.why.contains("`linear1`"),
        "{unused:?}"
    );
}

#[test]
fn recurrent_connections_have_the_names_of_snntorch_and_come_back() {
    for (kind, names) in [
        (RecurrentKind::Dense, ["1.recurrent.weight", "1.recurrent.bias"]),
        (RecurrentKind::OneToOne, ["1.recurrent.V", "1.V"]),
    ] {
        let net = recurrent(kind, true);
        let weights = weights_of(&net);
        let named = rename(&weights, &net, Dialect::Sequential).unwrap();
        for name in names {
            assert!(named.iter().any(|(n, _)| n == name), "{name}: {named:?}");
        }
        let found = fitted(&torch_file(&named), &net, &FitOptions::default());
        assert_eq!((found.dialect, &found.weights), (Some(Dialect::Sequential), &weights));
        assert!(found.unused.iter().all(|u| u.effect == Effect::None), "{:?}", found.unused);
        assert!(rename(&weights, &net, Dialect::Paper).is_err());
    }
}

#[test]
fn recurrent_connections_of_sinabs_come_and_go_without_a_bias() {
    let net = recurrent(RecurrentKind::Dense, true);
    let weights = weights_of(&net);
    let sinabs = Some(NeuronFramework::Sinabs);
    let mut named = super::rename(&weights, &net, Dialect::Sequential, sinabs).unwrap();
    assert!(
        named.iter().any(|(n, _)| n == "1.rec_connect.weight") && !named.iter().any(|(n, _)| n.contains("recurrent"))
    );
    named.push(("1.rec_connect.bias".into(), Array::full(&[4], 0.0)));
    assert_eq!(fitted(&torch_file(&named), &net, &FitOptions::default()).weights, weights);
    named.last_mut().unwrap().1.data[3] = 0.5;
    let found = fitted(&torch_file(&named), &net, &FitOptions::default());
    let unused = found.unused.iter().find(|u| u.name == "1.rec_connect.bias").unwrap();
    assert!(unused.effect == Effect::Certain && unused.why.contains("`bias=False`"), "{unused:?}");
    let one_to_one = recurrent(RecurrentKind::OneToOne, true);
    let e = super::rename(&weights_of(&one_to_one), &one_to_one, Dialect::Sequential, sinabs).unwrap_err();
    assert!(e.to_string().contains("sinabs"), "{e}");
}

#[test]
fn a_weight_that_is_stored_in_parts_is_named_with_the_remedy() {
    let net = chain(false);
    let weights = weights_of(&net);
    for part in ["weight_orig", "weight_g", "parametrizations.weight.original0"] {
        let mut all = named(&weights, &[("4.weight", "conv2.weight"), ("8.weight", "linear1.weight")]);
        all.insert(0, (format!("0.{part}"), weights.get("conv1.weight").unwrap()));
        let found = fitted(&torch_file(&all), &net, &FitOptions::default());
        let why = &found.missing.iter().find(|m| m.tensor == "conv1.weight").unwrap().why;
        assert!(why.contains(&format!("`0.{part}`")) && why.contains("prune.remove"), "{why}");
    }
}

#[test]
fn modules_that_a_network_holds_twice_are_matched_once() {
    // Members of a class, and a `Sequential` of them: PyTorch saves each tensor once, under two names.
    let net = chain(true);
    let weights = weights_of(&net);
    let members = named(
        &weights,
        &[
            ("stem.weight", "conv1.weight"),
            ("stem.bias", "conv1.bias"),
            ("middle.weight", "conv2.weight"),
            ("middle.bias", "conv2.bias"),
            ("out.weight", "linear1.weight"),
            ("out.bias", "linear1.bias"),
        ],
    );
    let mut tensors: Vec<(String, Tensor)> = torch_file(&members).tensors().to_vec();
    let again: Vec<(String, Tensor)> = tensors
        .iter()
        .map(|(n, t)| (n.replace("stem", "all.0").replace("middle", "all.3").replace("out", "all.7"), t.clone()))
        .collect();
    let bytes = torch::to_bytes(&members).unwrap();
    tensors.extend(again);
    let file = Checkpoint::new(bytes, tensors, None, true);
    let found = fitted(&file, &net, &FitOptions::default());
    assert_eq!(&found.weights, &weights);
    assert!(found.unused.iter().all(|u| u.is_state && u.why.starts_with("another ")), "{:?}", found.unused);
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
    let below = |weights: &'static str, all: &[(String, Array)]| -> Vec<(String, Array)> {
        all.iter().map(|(n, a)| (format!("{weights}.{n}"), a.clone())).collect()
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

/// A chain of two convolutions whose neurons learn their decay.
fn learning() -> Network {
    chain(false).map_neurons(|_, n| Neuron { leak: Leak::Learned(0.5), ..n })
}

/// Weights with the names of `sequential` and, after each convolution, the constants of its neurons.
fn with_constants(constants: [&[(&str, Array)]; 2]) -> Vec<(String, Array)> {
    let net = chain(false);
    let mut all = rename(&weights_of(&net), &net, Dialect::Sequential).unwrap();
    // conv1 is module 0, its neurons 1, the pool 2, conv2 3, its neurons 4.
    for (module, constants) in [1, 4].into_iter().zip(constants) {
        let at = 1 + all.iter().position(|(n, _)| *n == format!("{}.weight", module - 1)).unwrap();
        let named = constants.iter().map(|(n, a)| (format!("{module}.{n}"), a.clone()));
        all.splice(at..at, named.collect::<Vec<_>>());
    }
    all
}

fn scalar(v: f32) -> Array {
    Array::full(&[], v)
}

fn decays(fit: &Fit) -> [f32; 2] {
    ["neuron1.decay", "neuron2.decay"].map(|n| learned_lambda(fit.weights.get(n).unwrap().data[0]))
}

#[test]
fn a_learned_decay_is_that_of_the_file_in_each_framework_and_both_formats() {
    let net = learning();
    let sigmoid = |w: f32| 1.0 / (1.0 + (-w).exp());
    let cases: [(&str, [f32; 2], [f32; 2]); 4] = [
        ("w", [0.4, -1.5], [1.0 - sigmoid(0.4), 1.0 - sigmoid(-1.5)]),
        ("beta", [0.8, 0.3], [0.8, 0.3]),
        ("tau_mem", [20.0, 2.0], [(-1.0f32 / 20.0).exp(), (-0.5f32).exp()]),
        ("alpha_mem", [0.9, 0.2], [0.9, 0.2]),
    ];
    for (constant, stored, lambdas) in cases {
        for shape in [&[][..], &[1], &[4]] {
            if constant == "w" && shape == [4] {
                continue;
            }
            let [one, two] = stored.map(|v| [(constant, Array::full(shape, v))]);
            let all = with_constants([&one, &two]);
            for checkpoint in [torch_file(&all), safetensors_file(&all)] {
                let options = FitOptions::default().with_decay_input(Some(false));
                let found = fitted(&checkpoint, &net, &options);
                assert!(found.is_complete() && found.differences.is_empty(), "{found:?}");
                assert_eq!((found.dialect, found.unused.len()), (Some(Dialect::Sequential), 0), "{constant}");
                for (got, want) in decays(&found).iter().zip(lambdas) {
                    assert!((got - want).abs() < 1e-6, "{constant} {shape:?}: {got} for {want}");
                }
                assert!(found.matched.iter().any(|m| m.tensor == "neuron2.decay" && m.name == format!("4.{constant}")));
            }
        }
    }
    // Exactly the trained value, because the parametrisations differ in the sign alone.
    let all = with_constants([&[("w", scalar(0.4))], &[("w", scalar(-1.5))]]);
    let found = fitted(&torch_file(&all), &net, &FitOptions::default().with_decay_input(Some(false)));
    assert_eq!(found.weights.get("neuron2.decay").unwrap().data, [1.5]);
}

#[test]
fn an_input_that_decays_too_is_a_factor_of_the_weights_before_and_needs_a_word() {
    let net = learning();
    let plain = weights_of(&net);
    for constant in ["w", "alpha_mem", "tau_mem"] {
        let value = if constant == "tau_mem" { 2.0 } else { 0.25 };
        let all = with_constants([&[(constant, scalar(value))], &[(constant, scalar(value))]]);
        let checkpoint = torch_file(&all);
        let e = fit(&checkpoint, &net, Path::new(FILE), &FitOptions::default()).unwrap_err();
        assert!(matches!(&e, Error::DecayInput { name, .. } if *name == format!("1.{constant}")), "{e}");
        let found = fitted(&checkpoint, &net, &FitOptions::default().with_decay_input(Some(true)));
        let [lambda, _] = decays(&found);
        for layer in ["conv1.weight", "conv2.weight"] {
            let (got, was) = (found.weights.get(layer).unwrap().data[3], plain.get(layer).unwrap().data[3]);
            assert!((got - was * (1.0 - lambda)).abs() < 1e-6, "{constant}: {got} of {was}");
        }
        assert_eq!(found.weights.get("linear1.weight"), plain.get("linear1.weight"));
        assert!(found.differences.len() == 2 && found.differences[0].contains("`neuron1`"), "{found:?}");
    }
    // A neuron without a leak (sinabs' IAF has τ = ∞) has no such factor, and snnTorch none at all.
    let fixed = chain(false).map_neurons(|_, n| Neuron { leak: Leak::None, threshold: 1.0, ..n });
    let iaf = [("tau_mem", scalar(f32::INFINITY)), ("spike_threshold", scalar(1.0))];
    let found = fitted(&torch_file(&with_constants([&iaf, &iaf])), &fixed, &FitOptions::default());
    assert!(found.is_complete() && found.differences.is_empty(), "{found:?}");
}

#[test]
fn a_decay_that_no_layer_can_take_is_refused_or_missing_with_the_reason() {
    let options = FitOptions::default().with_decay_input(Some(false));
    let missing = |constants: [&[(&str, Array)]; 2]| {
        let found = fitted(&torch_file(&with_constants(constants)), &learning(), &options);
        found.missing.iter().find(|m| m.tensor == "neuron2.decay").unwrap_or_else(|| panic!("{found:?}")).why.clone()
    };
    let good = [("beta", scalar(0.5))];
    let several = [("beta", Array::new(vec![4], vec![0.5, 0.5, 0.25, 0.5]))];
    let why = missing([&good, &several]);
    assert!(["`4.beta`", "4 values", "0.25", "0.5"].iter().all(|w| why.contains(w)), "{why}");
    for value in [0.0, 1.0, 1.5, -0.5, f32::NAN] {
        let why = missing([&good, &[("beta", scalar(value))]]);
        assert!(why.contains("`4.beta`") && why.contains("`leak = \"none\"`"), "{value}: {why}");
    }
    assert!(missing([&good, &[("threshold", scalar(1.0))]]).contains("`tau_mem`"));
    assert!(missing([&good, &[]]) != missing([&[], &[]]));
    // A learned decay that a fixed leak would drop.
    let all = with_constants([&[("w", scalar(0.4))], &[("w", scalar(0.4))]]);
    let e = fit(&torch_file(&all), &chain(false), Path::new(FILE), &options).unwrap_err().to_string();
    assert!(e.contains("`1.w` is λ = 0.401") && e.contains("`neuron1` has 0.9") && e.contains("parametric-lif"), "{e}");
}

#[test]
fn constants_that_change_the_meaning_are_said_for_every_framework() {
    let net = chain(false).map_neurons(|_, n| Neuron { leak: Leak::Step(0.5), threshold: 1.0, ..n });
    let same: Vec<(&str, Array)> = vec![
        ("threshold", scalar(1.0)),
        ("beta", scalar(0.5)),
        ("graded_spikes_factor", scalar(1.0)),
        ("reset_mechanism_val", scalar(1.0)),
    ];
    let said = |net: &Network, constants: &[(&str, Array)], words: &[&str]| {
        for checkpoint in [torch_file, safetensors_file].map(|f| f(&with_constants([constants, &same]))) {
            let found = fitted(&checkpoint, net, &FitOptions::default().with_decay_input(Some(false)));
            assert!(found.is_complete() && found.unused.iter().all(|u| u.is_state), "{found:?}");
            assert_eq!(found.differences.len(), usize::from(!words.is_empty()), "{:?}", found.differences);
            assert!(words.iter().all(|w| found.differences[0].contains(w)), "{:?}", found.differences);
        }
    };
    said(&net, &same, &[]);
    let wide = |v: f32| Array::full(&[4], v);
    said(&net, &[("threshold", wide(1.0)), ("beta", wide(0.5))], &[]);
    for (constant, value, words) in [
        ("threshold", scalar(2.0), ["`1.threshold` is 2", "`neuron1` has 1"]),
        ("threshold", Array::new(vec![4], vec![1.0, 1.0, 1.0, 3.0]), ["4 values from 1 to 3", "`neuron1` has 1"]),
        ("beta", Array::new(vec![4], vec![0.5, 0.5, 0.75, 0.5]), ["4 values from 0.5 to 0.75", "`neuron1` has 0.5"]),
        ("spike_threshold", scalar(0.5), ["`1.spike_threshold` is 0.5", "`neuron1` has 1"]),
        ("v_threshold", scalar(0.5), ["`1.v_threshold` is 0.5", "`neuron1` has 1"]),
        ("tau_mem", scalar(20.0), ["`1.tau_mem` is λ = 0.951", "`neuron1` has 0.5"]),
        ("alpha_mem", scalar(0.25), ["`1.alpha_mem` is 0.25", "`neuron1` has 0.5"]),
        ("min_v_mem", scalar(-1.0), ["`1.min_v_mem` is -1", "`neuron1` has none"]),
    ] {
        said(&net, &[(constant, value)], &words);
    }
    for (constant, value, words) in [
        ("graded_spikes_factor", 2.0, ["`1.graded_spikes_factor` is 2", "spikes of size 1"]),
        ("reset_mechanism_val", 0.0, ["`1.reset_mechanism_val` subtracts", "the reset `hard`"]),
        ("reset_mechanism_val", 2.0, ["`1.reset_mechanism_val` resets nothing", "`neuron1`"]),
        ("alpha", 0.75, ["`1.alpha` is 0.75", "no synaptic current"]),
        ("v_offset", 0.5, ["`1.v_offset` is 0.5", "no offset"]),
        ("R", 5.0, ["`1.R` is 5", "Lapicque"]),
        ("tau_adapt", 5.0, ["`1.tau_adapt` is 5", "a constant threshold"]),
    ] {
        said(&net, &[("threshold", scalar(1.0)), (constant, scalar(value))], &words);
    }
    // sinabs without a lower limit, and a recipe with one.
    let limited = net.map_neurons(|_, n| Neuron { v_min: Some(-1.0), ..n });
    said(&limited, &[("spike_threshold", scalar(1.0))], &["`1` has no lower limit", "`neuron1` has -1"]);
    // Modules that cannot be assigned are not passed over in silence.
    let mut all = with_constants([&same, &same]);
    all.push(("9.threshold".into(), scalar(1.0)));
    let renamed: Vec<(String, Array)> = all.into_iter().map(|(n, a)| (format!("x{n}"), a)).collect();
    let found = fitted(&torch_file(&renamed), &net, &FitOptions::default());
    assert!(found.differences.len() == 1 && found.differences[0].contains("`x1.threshold`"), "{found:?}");
}

#[test]
fn a_map_names_the_neurons_of_a_layer() {
    let net = learning();
    let (weights, beta) = (weights_of(&net), [scalar(0.8), scalar(0.3)]);
    let mut all =
        named(&weights, &[("a.weight", "conv1.weight"), ("b.weight", "conv2.weight"), ("c.weight", "linear1.weight")]);
    // In the wrong order, which only the map says.
    all.extend([("z.beta".to_owned(), &beta[1]), ("y.beta".to_owned(), &beta[0])]);
    for map in ["y = \"neuron1\"\nz = \"neuron2\"", "y.beta = \"neuron1.decay\"\nz.beta = \"neuron2.decay\""] {
        let map = Map::parse(map, Path::new("map.toml")).unwrap();
        let found = fitted(&torch_file(&all), &net, &FitOptions::new(None, map));
        assert!(found.is_complete(), "{found:?}");
        let [one, two] = decays(&found);
        assert!((one - 0.8).abs() < 1e-6 && (two - 0.3).abs() < 1e-6, "{one} {two}");
    }
}

#[test]
fn a_learned_decay_is_exported_in_the_words_of_each_framework_and_comes_back() {
    let mut nets = vec![(learning(), Dialect::Sequential, "1")];
    for (name, module) in [("resnet18", "sn1"), ("vgg9", "features.2")] {
        let net = build(name, &ZooOptions { width: Some(0.05), ..ZooOptions::default() }).unwrap();
        nets.push((net.map_neurons(|_, n| Neuron { leak: Leak::Learned(0.5), ..n }), Dialect::Torchvision, module));
    }
    for (net, dialect, first) in &nets {
        let mut weights = initialise(net, InitScheme::default_for(net), 5);
        let learned: Vec<String> = net.tensors().into_iter().map(|t| t.1).filter(|n| n.ends_with(".decay")).collect();
        for (k, name) in learned.iter().enumerate() {
            weights.insert(name, Array::full(&[1], learned_decay(0.2 + 0.7 * k as f32 / learned.len() as f32)));
        }
        for (framework, tensor) in [
            (NeuronFramework::SpikingJelly, "w"),
            (NeuronFramework::SnnTorch, "beta"),
            (NeuronFramework::Sinabs, "tau_mem"),
        ] {
            let named = super::rename(&weights, net, *dialect, Some(framework)).unwrap();
            let neurons: Vec<&(String, Array)> =
                named.iter().filter(|(n, _)| n.ends_with(&format!(".{tensor}"))).collect();
            assert_eq!(neurons.len(), learned.len());
            assert!(neurons.iter().all(|(_, a)| a.shape.is_empty()));
            assert!(neurons[0].0.starts_with(&first[..1]), "{}", neurons[0].0);
            for checkpoint in [torch_file(&named), safetensors_file(&named)] {
                let found = fitted(&checkpoint, net, &FitOptions::default().with_decay_input(Some(false)));
                assert!(found.is_complete() && found.unused.is_empty(), "{} {framework}: {found:?}", net.name());
                for (name, array) in &weights.tensors {
                    let (got, want) = (&found.weights.get(name).unwrap().data, &array.data);
                    let near = |a: &f32, b: &f32| a == b || name.ends_with(".decay") && (a - b).abs() < 1e-4;
                    assert!(got.iter().zip(want).all(|(a, b)| near(a, b)), "{name}");
                }
            }
        }
        let e = rename(&weights, net, *dialect).unwrap_err().to_string();
        assert!(e.contains("`neuron1`") || e.contains("layer `"), "{e}");
        let e = super::rename(&weights, net, Dialect::Paper, Some(NeuronFramework::SnnTorch));
        assert!(e.is_err(), "the paper's names have none for neurons");
    }
    let resnet = super::rename(
        &initialise(&nets[1].0, InitScheme::default_for(&nets[1].0), 1),
        &nets[1].0,
        Dialect::Torchvision,
        Some(NeuronFramework::SpikingJelly),
    );
    let names: Vec<String> = resnet.unwrap().into_iter().map(|p| p.0).filter(|n| n.ends_with(".w")).collect();
    assert_eq!(names[..4], ["sn1.w", "layer1.0.sn1.w", "layer1.0.sn2.w", "layer1.1.sn1.w"]);
}

#[test]
fn a_damaged_safetensors_file_and_a_pointer_of_git_lfs_are_named_as_such() {
    let named = [("w".to_owned(), Array::full(&[2], 1.0))];
    let mut weights = Weights::default();
    named.iter().for_each(|(name, array)| weights.insert(name, array.clone()));
    let whole = weights.to_bytes(None).unwrap();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    for (bytes, words) in [(&whole[..whole.len() - 1], "a damaged safetensors file"), (&pointer[..], "git lfs pull")] {
        let e = from_bytes(bytes.to_vec(), Path::new(FILE), None).unwrap_err().to_string();
        assert!(e.starts_with("net.pt: is ") && e.contains(words), "{e}");
    }
}
