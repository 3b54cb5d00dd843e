//! Tests that a pending time map does not change results: conv(up(x)) = up(conv(x)).

use burn::tensor::module::{avg_pool2d, conv2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions};
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use tickless_kernels::ttm::TimeMap;
use tickless_kernels::{NeuronOp, neuron, reference};
use tickless_net::init::{InitScheme, initialise};
use tickless_net::{Conv, InputKind, Layer, LeakRule, Network, NetworkBuilder, Neuron, Pool, Shape, TtmMode};
use tickless_testing::close::close;
use tickless_train::model::NormMode;
use tickless_train::model::Sequence;
use tickless_train::model::{Model, Pass};

/// Random multiples of 1/8 from −1 to 1; sums of their products are exact in f32 in any order.
fn dyadic(n: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-8i8..=8) as f32 / 8.0).collect()
}

fn tensor<const D: usize>(data: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(data, shape), device)
}

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec().expect("f32")
}

fn any_mode() -> impl Strategy<Value = TtmMode> {
    prop_oneof![Just(TtmMode::Even), Just(TtmMode::Soft), Just(TtmMode::Trim), Just(TtmMode::Random)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_convolution_commutes_with_what_is_pending(mode in any_mode(), a in 1usize..=6, b in 1usize..=6,
        batch in 1usize..=3, bias in any::<bool>(), stride in 1usize..=2, seed in any::<u64>()) {
        let device = Device::flex().autodiff();
        let run = |put_off: bool| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let x = tensor(dyadic(a * batch * 2 * 25, &mut rng), [a * batch, 2, 5, 5], &device).require_grad();
            let weight = tensor(dyadic(3 * 2 * 9, &mut rng), [3, 2, 3, 3], &device).require_grad();
            let shift = tensor(dyadic(3, &mut rng), [3], &device).require_grad();
            let map = TimeMap::ttm(mode, a, b, &mut rng);
            let conv = |x| {
                let options = ConvOptions::new([stride; 2], [1; 2], [1; 2], 1);
                conv2d(x, weight.clone(), bias.then(|| shift.clone()), options)
            };
            let sequence = Sequence::new(x.clone(), a).map_time(map);
            assert_eq!((sequence.steps(), sequence.batch()), (b, batch));
            let sequence = if put_off { sequence.linear(bias, conv) } else { sequence.materialise().each(conv) };
            assert_eq!((sequence.steps(), sequence.batch()), (b, batch));
            let y = sequence.tensor();
            let shape = y.dims();
            let g = tensor(dyadic(shape.iter().product(), &mut rng), shape, &device);
            let gradients = (y.clone() * g).sum().backward();
            let gw = values(weight.grad(&gradients).unwrap());
            let gb = if bias { values(shift.grad(&gradients).unwrap()) } else { Vec::new() };
            (values(y), values(x.grad(&gradients).unwrap()), gw, gb)
        };
        let (early, late) = (run(true), run(false));
        close("output", &early.0, &late.0, 1e-5);
        close("gradient of the input", &early.1, &late.1, 1e-5);
        close("gradient of the weight", &early.2, &late.2, 1e-5);
        close("gradient of the bias", &early.3, &late.3, 1e-5);
    }

    #[test]
    fn maps_in_a_row_are_applied_in_their_order(a in 1usize..=6, b in 1usize..=6, c in 1usize..=6,
        first in any_mode(), second in any_mode(), seed in any::<u64>()) {
        let device = Device::flex();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let x = tensor(dyadic(a * 2 * 4, &mut rng), [a * 2, 4, 1, 1], &device);
        let (one, two) = (TimeMap::ttm(first, a, b, &mut rng), TimeMap::ttm(second, b, c, &mut rng));
        let expected = reference::map_time(reference::map_time(x.clone(), &one), &two);
        let y = Sequence::new(x, a).map_time(one).map_time(two);
        prop_assert_eq!((y.steps(), y.batch()), (c, 2));
        close("output", &values(y.tensor()), &values(expected), 1e-6);
    }

    #[test]
    fn a_network_computes_what_its_layers_say_one_by_one(
        mode in prop_oneof![Just(TtmMode::Even), Just(TtmMode::Trim), Just(TtmMode::Random)],
        configuration in proptest::collection::vec(1usize..=5, 3), frames in 1usize..=5, batch in 1usize..=3,
        image in any::<bool>(), bias in any::<bool>(), seed in any::<u64>()) {
        let network = Arc::new(network(mode, image, bias));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = initialise(&network, InitScheme::Uniform { conv_gain: 1.0 }, 0);
        weights.tensors.values_mut().for_each(|a| a.data = dyadic(a.data.len(), &mut rng));
        let model = Model::new(network.clone(), &weights, &Device::flex()).unwrap();
        let steps = if image { 1 } else { frames };
        let x = dyadic(steps * batch * 2 * 36, &mut rng);
        let device = Device::flex().autodiff();
        let run = |explicit: bool| {
            let (leaves, x) = (model.leaves(), tensor(x.clone(), [steps * batch, 2, 6, 6], &device).require_grad());
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let logits = if explicit {
                one_by_one(&network, &leaves, x.clone(), steps, &configuration, &mut rng)
            } else {
                let pass = Pass { configuration: &configuration, norm: NormMode::Batch, leak: LeakRule::Step, t_max: 5, step_us: None };
                model.forward(&leaves, Sequence::new(x.clone(), steps), &pass, &mut rng, None).unwrap().logits
            };
            let gradients = (logits.clone() * logits.clone()).sum().backward();
            let all: Vec<Vec<f32>> = leaves.iter().map(|l| values(l.grad(&gradients).unwrap())).collect();
            (values(logits), values(x.grad(&gradients).unwrap()), all)
        };
        let (ours, expected) = (run(false), run(true));
        prop_assert_eq!(&ours.0, &expected.0, "logits: all sums are exact");
        close("gradient of the input", &ours.1, &expected.1, 1e-5);
        for (p, (a, b)) in model.parameters.iter().zip(ours.2.iter().zip(&expected.2)) {
            close(&p.name, a, b, 1e-5);
        }
    }
}

/// A network of three stages; the first begins with a TTM if the input is a recording.
fn network(mode: TtmMode, image: bool, bias: bool) -> Network {
    let kind = if image { InputKind::Image } else { InputKind::Events };
    let mut b = NetworkBuilder::new("chain", Shape::new(2, 6, 6), kind);
    let mut at = b.input();
    if !image {
        at = b.add("", Layer::Ttm(mode), &[at]);
    }
    at = b.conv(at, Conv { bias, ..Conv::c3(3) });
    at = b.neuron(at, Neuron::lif());
    at = b.add("", Layer::Ttm(mode), &[at]);
    at = b.pool(at, Pool::average(2));
    at = b.conv(at, Conv { bias, ..Conv::c3(4) });
    at = b.neuron(at, Neuron::if_multi());
    at = b.add("", Layer::Ttm(mode), &[at]);
    b.linear(at, 3, bias);
    b.build().unwrap()
}

/// Runs the network with the plain form, and applies every time map where it stands.
fn one_by_one(
    network: &Network,
    leaves: &[Tensor<1>],
    mut x: Tensor<4>,
    mut steps: usize,
    configuration: &[usize],
    rng: &mut ChaCha8Rng,
) -> Tensor<3> {
    let batch = x.dims()[0] / steps;
    let mut leaf = leaves.iter().cloned();
    let mut next_leaf = || leaf.next().expect("a leaf for each tensor");
    if network.input().kind == InputKind::Image {
        x = reference::map_time(x, &TimeMap::show(configuration[0]));
        steps = configuration[0];
    }
    for node in network.nodes() {
        x = match node.layer {
            Layer::Ttm(mode) => {
                let t = configuration[node.stage.unwrap()];
                let y = reference::map_time(x, &TimeMap::ttm(mode, steps, t, rng));
                steps = t;
                y
            }
            Layer::Conv(c) => {
                let (kernel, stride, padding) = c.window.as_square().expect("the chain has squares");
                let weight = next_leaf().reshape([c.out, node.input.channels, kernel, kernel]);
                let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
                conv2d(x, weight, c.bias.then(&mut next_leaf), options)
            }
            Layer::Neuron(n) => {
                let lambda = n.lambda(LeakRule::Step, 5, steps, None).unwrap();
                neuron(x, NeuronOp { neuron: n, lambda, steps })
            }
            Layer::Pool(p) => {
                let mut options = AvgPoolOptions::new([p.window.rows.kernel; 2]);
                options.stride = [p.window.rows.stride; 2];
                avg_pool2d(x, options)
            }
            Layer::Linear(l) => {
                let weight = next_leaf().reshape([l.out, node.input.len()]);
                let y = x.reshape([steps * batch, node.input.len()]).matmul(weight.transpose());
                let y = if l.bias { y + next_leaf().reshape([1, l.out]) } else { y };
                y.reshape([steps * batch, l.out, 1, 1])
            }
            other => unreachable!("the chain has no {other:?}"),
        };
    }
    x.reshape([steps, batch, network.output().len()])
}

#[test]
fn a_static_image_is_shown_at_every_step() {
    let mut b = NetworkBuilder::new("shown", Shape::new(1, 4, 4), InputKind::Image);
    let at = b.conv(b.input(), Conv::c3(2));
    b.linear(at, 2, false);
    let network = Arc::new(b.build().unwrap());
    let weights = initialise(&network, InitScheme::Uniform { conv_gain: 1.0 }, 1);
    let model = Model::new(network, &weights, &Device::flex()).unwrap();
    let x = Sequence::from_values(vec![1.0; 16], [1, 1, 1, 4, 4], &Device::flex());
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let pass = Pass { configuration: &[7], norm: NormMode::Running, leak: LeakRule::Step, t_max: 7, step_us: None };
    let logits = model.forward(&model.constants(), x, &pass, &mut rng, None).unwrap().logits;
    assert_eq!(logits.dims(), [7, 1, 2]);
    let v = values(logits);
    assert!(v.chunks(2).all(|step| step == &v[..2]), "every step shows the same image");
}

/// The readout at `steps` steps of a network that gets an image through a TTM of this mode, after a
/// pool if `pooled`; the second stage runs at 3 steps.
fn shown(mode: TtmMode, pooled: bool, steps: usize) -> Vec<f32> {
    let mut b = NetworkBuilder::new("images", Shape::new(1, 4, 4), InputKind::Image);
    let mut at = b.input();
    if pooled {
        at = b.pool(at, Pool::average(2));
    }
    at = b.add("", Layer::Ttm(mode), &[at]);
    at = b.conv(at, Conv::c3(3));
    at = b.neuron(at, Neuron { threshold: 0.25, ..Neuron::lif() });
    at = b.ttm(at);
    b.linear(at, 2, false);
    let network = Arc::new(b.build().unwrap());
    let weights = initialise(&network, InitScheme::default_for(&network), 3);
    let device = Device::flex();
    let model = Model::new(network, &weights, &device).unwrap();
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    let image = Sequence::from_values(dyadic(2 * 16, rng), [1, 2, 1, 4, 4], &device);
    let configuration = [steps, 3];
    let pass =
        Pass { configuration: &configuration, norm: NormMode::Running, leak: LeakRule::Step, t_max: 6, step_us: None };
    // A random TTM would draw from this generator, but for an image no TTM draws.
    let rng = &mut ChaCha8Rng::seed_from_u64(7);
    values(model.forward(&model.constants(), image, &pass, rng, None).unwrap().logits)
}

#[test]
fn an_image_is_the_same_at_every_step_whatever_the_mode_of_the_ttm_at_the_input() {
    for pooled in [false, true] {
        for steps in 1..=6 {
            let even = shown(TtmMode::Even, pooled, steps);
            assert!(even.iter().any(|v| *v != 0.0), "something passes at T = {steps}");
            for mode in [TtmMode::Soft, TtmMode::Trim, TtmMode::Random] {
                assert_eq!(shown(mode, pooled, steps), even, "{mode:?} at T = {steps}, pooled: {pooled}");
            }
        }
    }
}
