//! Checks folding against the golden file `bn_fold.safetensors`. Its network is conv-BN-IAF-avgpool
//! twice, then flatten and fc.

use std::path::Path;
use tickless_net::{
    Array, Conv, InputKind, Layer, Network, NetworkBuilder, Neuron, NodeId, Norm, Pool, Shape, Weights, fold,
};
use tickless_testing::folders::golden;

/// (name in the file, our name) of each layer.
const LAYERS: [(&str, &str); 5] = [("0", "conv1"), ("1", "norm1"), ("4", "conv2"), ("5", "norm2"), ("9", "linear1")];

/// All tensors `<prefix>.<index>.<tensor>` of the file, under our names.
fn part(file: &Weights, prefix: &str) -> Weights {
    let mut part = Weights::default();
    for (name, array) in &file.tensors {
        let Some((index, tensor)) = name.strip_prefix(prefix).and_then(|n| n.strip_prefix('.')?.split_once('.')) else {
            continue;
        };
        let (_, ours) = LAYERS.iter().find(|l| l.0 == index).unwrap_or_else(|| panic!("unknown layer in `{name}`"));
        part.insert(format!("{ours}.{tensor}"), array.clone());
    }
    part
}

/// The network of the file; the shapes of the tensors give its sizes.
fn network(orig: &Weights, x: &[usize]) -> Network {
    let shape = |name: &str| orig.get(name).unwrap_or_else(|| panic!("`{name}` is missing")).shape.clone();
    let input = Shape::new(x[2], x[3], x[4]);
    let mut b = NetworkBuilder::new("bn_fold", input, InputKind::Events);
    let mut at = NodeId::Input;
    for layer in ["conv1", "conv2"] {
        let w = shape(&format!("{layer}.weight"));
        let bias = orig.get(&format!("{layer}.bias")).is_some();
        at = b.conv(at, Conv { bias, ..Conv::square(w[0], w[2], 1, w[2] / 2) });
        at = b.add("", Layer::Norm(Norm::default()), &[at]);
        at = b.neuron(at, Neuron::if_multi());
        at = b.pool(at, Pool::average(2));
    }
    b.linear(at, shape("linear1.weight")[0], orig.get("linear1.bias").is_some());
    b.build().expect("the net of the golden file")
}

fn close(what: &str, ours: &Weights, theirs: &Weights) {
    assert!(!theirs.tensors.is_empty(), "the file has no `{what}` tensors");
    for (name, expected) in &theirs.tensors {
        let got: &Array = ours.get(name).unwrap_or_else(|| panic!("{what}: `{name}` is missing"));
        assert_eq!(got.shape, expected.shape, "{what}: {name}");
        let worst = got.data.iter().zip(&expected.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 1e-6, "{what}: {name} differs by {worst}");
    }
}

#[test]
fn golden_bn_fold_weights() {
    let path = golden("bn_fold.safetensors");
    let file = Weights::load(&path).expect("the golden file");
    let orig = part(&file, "orig");
    let net = network(&orig, &file.get("x").expect("`x`").shape);
    orig.check(&net, &path).expect("the net has the tensors of the file");

    let (folded, weights) = fold::fold_norm(&net, &orig).expect("folds");
    close("fused", &weights, &part(&file, "fused"));
    weights.check(&folded, Path::new("folded")).expect("nothing missing, nothing left over");

    close("bias_removed", &fold::remove_bias(&net, &orig).expect("removes"), &part(&file, "bias_removed"));

    let merged = part(&file, "merged");
    let (kept, weights) = fold::keep_norm(&net, &orig).expect("merges");
    close("merged, norm kept", &weights, &merged);
    assert_eq!(kept.nodes().len(), net.nodes().len());

    let (dropped, weights) = fold::deployable(&net, &orig).expect("merges");
    dropped.check_event_driven().expect("deployable");
    let mut without_norm = merged;
    without_norm.tensors.retain(|name, _| !name.starts_with("norm"));
    close("merged, norm dropped", &weights, &without_norm);
    assert_eq!(weights.tensors.len(), without_norm.tensors.len());
}
