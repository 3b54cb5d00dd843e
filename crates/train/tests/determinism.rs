//! Tests that a training pass gives the same bits in every run and for any number of threads.
//!
//! The work runs in child processes of this test binary, because the number of threads of a
//! process is fixed at its start (`RAYON_NUM_THREADS`).

use burn::tensor::module::{batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::zoo::{self, ZooOptions};
use tickless_net::{InputKind, LeakRule, Network, Neuron, Shape};
use tickless_train::loss::LossSetting;
use tickless_train::model::NormMode;
use tickless_train::model::Sequence;
use tickless_train::model::{Model, Pass};

const CHILD: &str = "TICKLESS_DETERMINISM_CHILD";

/// FNV-1a hash of the values' bits.
fn hash<const D: usize>(t: &Tensor<D>) -> u64 {
    let values: Vec<f32> = t.clone().into_data().try_into_vec().expect("f32");
    let bytes = values.iter().flat_map(|v| v.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

fn say<const D: usize>(name: &str, t: &Tensor<D>) {
    println!("\nHASH {name}={:016x}", hash(t));
}

fn random<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let data = (0..shape.iter().product()).map(|_| rng.random_range(-1.0f32..1.0)).collect();
    Tensor::from_data(TensorData::new::<f32, _>(data, shape), device)
}

/// Runs a forward and a backward pass of a small network for recordings: batch 50, T = 10, 34×34.
fn one_pass(what: &str, network: &str, norm: bool, neuron: Neuron, configuration: &[usize]) {
    let options = ZooOptions { norm: Some(norm), neuron: Some(neuron), ..ZooOptions::default() };
    pass_of(what, zoo::build(network, &options).expect("a network of the zoo"), configuration);
}

/// A spikformer of two heads on images of 16×16 pixels.
fn spikformer() -> Network {
    let input = Some((Shape::new(3, 16, 16), InputKind::Image));
    let options = ZooOptions { width: Some(0.125), input, ..ZooOptions::default() };
    zoo::build("spikformer-2-384", &options).expect("a network of the zoo")
}

/// Runs a forward and a backward pass of a network: batch 50, T = 10.
fn pass_of(what: &str, network: Network, configuration: &[usize]) {
    let network = Arc::new(network);
    let weights = initialise(&network, InitScheme::Uniform { conv_gain: 1.5 }, 1000);
    let model = Model::new(network.clone(), &weights, &Device::flex()).expect("the weights fit");
    let (t, b, shape) = (10, 50, network.input().shape);
    let frames = if network.input().kind == InputKind::Image { 1 } else { t };
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    // Event counts: mostly 0, some 1 or 2.
    let x = (0..frames * b * shape.len()).map(|_| f32::from(rng.random_range(0u8..12).saturating_sub(9))).collect();
    let device = Device::flex().autodiff();
    let x = Sequence::from_values(x, [frames, b, shape.channels, shape.height, shape.width], &device);
    let configuration: Vec<usize> = (0..network.stages()).map(|k| configuration[k % configuration.len()]).collect();
    let pass =
        Pass { configuration: &configuration, norm: NormMode::Batch, leak: LeakRule::Step, t_max: t, step_us: None };
    let leaves = model.leaves();
    let out = model.forward(&leaves, x, &pass, &mut rng, None).expect("fits");
    let labels: Vec<usize> = (0..b).map(|i| i % network.output().len()).collect();
    let loss = LossSetting::default().forward(out.logits.clone(), &labels);
    let gradients = loss.backward();
    say(&format!("{what}: logits"), &out.logits);
    say(&format!("{what}: loss"), &loss);
    let mut largest = 0.0f32;
    for (p, leaf) in model.parameters.iter().zip(&leaves) {
        let g = leaf.grad(&gradients).expect("every parameter has a gradient");
        largest = largest.max(g.clone().abs().max().into_scalar::<f32>());
        say(&format!("{what}: gradient of {}", p.name), &g);
    }
    assert!(largest > 0.0, "{what}: the network is silent, so nothing is tested");
    for (r, s) in model.running.iter().zip(&out.statistics) {
        say(&format!("{what}: mean at {}", r.name), &s.mean);
        say(&format!("{what}: variance at {}", r.name), &s.variance);
    }
}

/// Runs each of Burn's operators that training uses, at the sizes of small and large networks.
fn operators() {
    let device = Device::flex().autodiff();
    // [N, C, side, out, kernel, stride, padding]
    let convolutions = [
        [500, 2, 34, 8, 3, 2, 1],
        [500, 8, 8, 16, 3, 1, 1],
        [500, 8, 17, 16, 3, 1, 1],
        [50, 64, 16, 128, 3, 1, 1],
        [60, 64, 16, 128, 1, 2, 0],
        [6, 128, 32, 128, 3, 1, 1],
        [300, 256, 4, 512, 3, 1, 1],
        [1, 16, 32, 32, 3, 1, 1],
    ];
    for [n, c, side, out, k, s, p] in convolutions {
        let what = format!("conv {n}×{c}×{side}² → {out}, {k}×{k}/{s}");
        let x = random([n, c, side, side], 1, &device).require_grad();
        let w = random([out, c, k, k], 2, &device).require_grad();
        let b = random([out], 3, &device).require_grad();
        let y = conv2d(x.clone(), w.clone(), Some(b.clone()), ConvOptions::new([s; 2], [p; 2], [1; 2], 1));
        let gradients = (y.clone() * random(y.dims(), 4, &device)).sum().backward();
        say(&format!("{what}: output"), &y);
        say(&format!("{what}: gradient of the input"), &x.grad(&gradients).unwrap());
        say(&format!("{what}: gradient of the weight"), &w.grad(&gradients).unwrap());
        say(&format!("{what}: gradient of the bias"), &b.grad(&gradients).unwrap());
    }
    for [m, k, n] in [[500, 256, 10], [50, 512, 10], [1, 512, 10], [500, 512, 512], [2000, 800, 110], [3, 4096, 4096]] {
        let what = format!("matmul {m}×{k}×{n}");
        let a = random([m, k], 1, &device).require_grad();
        let w = random([n, k], 2, &device).require_grad();
        let y = a.clone().matmul(w.clone().transpose());
        let gradients = (y.clone() * random([m, n], 3, &device)).sum().backward();
        say(&format!("{what}: output"), &y);
        say(&format!("{what}: gradient left"), &a.grad(&gradients).unwrap());
        say(&format!("{what}: gradient right"), &w.grad(&gradients).unwrap());
    }
    for shape in [[500, 8, 17, 17], [100, 64, 16, 16], [80, 64, 32, 32]] {
        let what = format!("batch norm {shape:?}");
        let x = random(shape, 1, &device).require_grad();
        let gain = random([shape[1]], 2, &device).require_grad();
        let shift = random([shape[1]], 3, &device).require_grad();
        let out = batch_norm_train(x.clone(), gain.clone(), shift.clone(), 1e-5);
        let gradients = (out.output.clone() * random(shape, 4, &device)).sum().backward();
        say(&format!("{what}: output"), &out.output);
        say(&format!("{what}: mean"), &out.mean);
        say(&format!("{what}: variance"), &out.variance);
        say(&format!("{what}: gradient of the input"), &x.grad(&gradients).unwrap());
        say(&format!("{what}: gradient of the gain"), &gain.grad(&gradients).unwrap());
        say(&format!("{what}: gradient of the shift"), &shift.grad(&gradients).unwrap());
    }
    // From 4 Mi values on, Burn sums a whole tensor in an order that rayon chooses at run time
    // (0.22.1, flex `sum_f32_parallel`), so training must not use such a sum. Sums along axes are
    // safe.
    for n in [100_000, 4_000_000] {
        let x = random([n], 5, &device);
        say(&format!("sum of {n}"), &x.clone().sum());
        say(&format!("mean of {n}"), &x.mean());
    }
    let x = random([100, 64, 32, 32], 6, &device);
    say("mean over height and width", &x.clone().mean_dim(2).mean_dim(3));
    say("sum over the batch", &x.clone().sum_dim(0));
    say("sum over time, batch, height and width", &x.sum_dim(0).sum_dim(2).sum_dim(3));
}

/// The work of a child process; if it runs as an ordinary test, it does nothing.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    one_pass("small LIF", "nmnist-small", false, Neuron::lif(), &[10]);
    one_pass("small IF", "nmnist-small", false, Neuron::if_multi(), &[10]);
    one_pass("small LIF with norm", "nmnist-small", true, Neuron::lif(), &[10]);
    one_pass("small LIF with norm, mixed", "nmnist-small", true, Neuron::lif(), &[3, 10, 7]);
    one_pass("wide IF with norm, mixed", "nmnist-wide", true, Neuron::if_multi(), &[4, 10, 2]);
    pass_of("spikformer, mixed", spikformer(), &[3, 10]);
    operators();
}

fn run(threads: usize) -> BTreeMap<String, String> {
    let out = Command::new(std::env::current_exe().expect("the test binary"))
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env("RAYON_NUM_THREADS", threads.to_string())
        .output()
        .expect("the child starts");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{threads} threads: {text}{}", String::from_utf8_lossy(&out.stderr));
    let pairs = text.lines().filter_map(|l| l.strip_prefix("HASH ")?.rsplit_once('='));
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

#[test]
fn a_pass_gives_the_same_bits_for_any_number_of_threads_and_every_time() {
    let one = run(1);
    assert!(one.len() > 50, "only {} results", one.len());
    let mut wrong = BTreeMap::<String, Vec<String>>::new();
    for (i, threads) in [1, 2, 2, 3, 8].into_iter().enumerate() {
        let other = run(threads);
        assert_eq!(one.len(), other.len());
        for (name, hash) in &one {
            if other[name] != *hash {
                wrong.entry(name.clone()).or_default().push(format!("run {i} with {threads} threads"));
            }
        }
    }
    assert!(wrong.is_empty(), "not the bits of one thread: {wrong:#?}");
}
