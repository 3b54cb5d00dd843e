//! Compares the spike kernels with Burn's operators, for every kernel that can be forced.

use burn::tensor::module::{batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use tickless_kernels::KernelChoice;
use tickless_kernels::ttm::TimeMap;
use tickless_kernels::{Branch, BranchNorm};
use tickless_kernels::{NeuronOp, conv, fused, fused_pooled, map_time, reference, tile_pool_last};
use tickless_net::{Neuron, TtmMode};

const FORCED: [KernelChoice; 3] = [KernelChoice::Auto, KernelChoice::Sparse, KernelChoice::Dense];

fn tensor<const D: usize>(data: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(data, shape), device)
}

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec().expect("f32")
}

fn random<const D: usize>(shape: [usize; D], rng: &mut ChaCha8Rng, device: &Device) -> Tensor<D> {
    tensor((0..shape.iter().product()).map(|_| rng.random_range(-1.0f32..1.0)).collect(), shape, device)
}

/// Inputs of a layer: spikes (kind 0), counts as after a temporal sum (1), or real numbers, with
/// zeros in between.
fn active<const D: usize>(
    kind: u8,
    density: f32,
    shape: [usize; D],
    rng: &mut ChaCha8Rng,
    device: &Device,
) -> Tensor<D> {
    let mut value = || match (rng.random::<f32>() < density, kind) {
        (false, _) => 0.0,
        (true, 0) => 1.0,
        (true, 1) => rng.random_range(1u8..6).into(),
        (true, _) => rng.random_range(-2.0..2.0),
    };
    tensor((0..shape.iter().product()).map(|_| value()).collect(), shape, device)
}

fn close(what: &str, a: &[f32], b: &[f32], relative: f32) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        prop_assert!((x - y).abs() <= relative * largest, "{what}: value {i} is {x}, expected {y} (largest {largest})");
    }
    Ok(())
}

const LAST: [isize; 4] = [0, 2, 3, 1];
const FIRST: [isize; 4] = [0, 3, 1, 2];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_kernel_is_the_tensor_librarys_convolution_forward_and_back(
        n in 1usize..6, c in 1usize..40, h in 3usize..13, w in 3usize..13, out in 1usize..90,
        (kernel, padding) in (1usize..6).prop_flat_map(|k| (Just(k), 0..k)), stride in 1usize..4,
        kind in 0u8..3, density in 0.0f32..1.0, seed in any::<u64>()) {
        prop_assume!(kernel <= h + 2 * padding && kernel <= w + 2 * padding);
        let device = Device::flex().autodiff();
        let run = |forced: Option<KernelChoice>| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let x = active(kind, density, [n, c, h, w], &mut rng, &device).require_grad();
            let weight = random([out, c, kernel, kernel], &mut rng, &device).require_grad();
            let y = match forced {
                Some(k) => conv(x.clone().permute(LAST), weight.clone(), stride, padding, k).permute(FIRST),
                None => conv2d(x.clone(), weight.clone(), None, ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1)),
            };
            let g = random(y.dims(), &mut rng, &device);
            let gradients = (y.clone() * g).sum().backward();
            (values(y), values(x.grad(&gradients).unwrap()), values(weight.grad(&gradients).unwrap()))
        };
        let (y, gx, gw) = run(None);
        for kernel in FORCED {
            let ours = run(Some(kernel));
            close(&format!("{kernel}: output"), &ours.0, &y, 1e-5)?;
            close(&format!("{kernel}: gradient of the input"), &ours.1, &gx, 1e-5)?;
            close(&format!("{kernel}: gradient of the weight"), &ours.2, &gw, 1e-5)?;
        }
    }

    #[test]
    fn kernels_of_few_channels_are_the_tensor_librarys_convolution_forward_and_back(
        n in 1usize..20, c in prop_oneof![Just(2usize), Just(8), Just(16), Just(32), 1usize..40], h in 3usize..19,
        w in 3usize..19, out in prop_oneof![Just(8usize), Just(16), Just(32), Just(48), Just(64), Just(72)],
        (kernel, padding) in (2usize..5).prop_flat_map(|k| (Just(k), 0..k)), stride in 1usize..3, seed in any::<u64>()) {
        prop_assume!(kernel <= h + 2 * padding && kernel <= w + 2 * padding);
        let device = Device::flex().autodiff();
        let run = |fast: bool| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            // Half of the values are active, so that dense kernels run forward and backward.
            let x = active(1, 0.5, [n, c, h, w], &mut rng, &device).require_grad();
            // If there are 8 input channels, the input gradient has 8 outputs and takes the pairs
            // kernel.
            let weight = random([out, c, kernel, kernel], &mut rng, &device).require_grad();
            let y = match fast {
                true => conv(x.clone().permute(LAST), weight.clone(), stride, padding, KernelChoice::Auto).permute(FIRST),
                false => conv2d(x.clone(), weight.clone(), None, ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1)),
            };
            let g = random(y.dims(), &mut rng, &device);
            let gradients = (y.clone() * g.clone()).sum().backward();
            let (gx, gw) = (values(x.grad(&gradients).unwrap()), values(weight.grad(&gradients).unwrap()));
            // Minimal filtering sums other terms, and its rounding error is relative to them. The
            // bound is therefore relative to the gradient that results if no term cancels another.
            let apart = x.clone().detach().require_grad();
            let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
            let sum = (conv2d(apart.clone(), weight.detach().abs(), None, options) * g.abs()).sum().backward();
            let terms = values(apart.grad(&sum).unwrap());
            (values(y), gx, gw, terms.into_iter().fold(1e-3f32, f32::max))
        };
        let (ours, plain) = (run(true), run(false));
        close("output", &ours.0, &plain.0, 1e-5)?;
        let size = |gx: &[f32]| gx.iter().map(|v| v / plain.3).collect::<Vec<_>>();
        for (a, b) in size(&ours.1).iter().zip(size(&plain.1)) {
            prop_assert!((a - b).abs() <= 3e-6, "gradient of the input: {a}, expected {b}, in units of its terms' sum");
        }
        close("gradient of the weight", &ours.2, &plain.2, 1e-5)?;
    }

    #[test]
    fn a_fused_layer_is_its_norms_repeats_sum_and_neuron_one_after_the_other(
        batch in 1usize..4, c in 1usize..40, side in 1usize..7, steps in 1usize..6, (t1, t2) in (1usize..6, 1usize..6),
        kinds in (0u8..3, 0u8..4), multi in any::<bool>(), seed in any::<u64>()) {
        let device = Device::flex().autodiff();
        let (t1, t2) = (t1.min(steps), t2.min(steps));
        // A batch norm of two or three values cancels its own gradient, and the rest is rounding.
        let normed = |t: usize, kind: u8| kind != 2 || t * batch * side * side >= 8;
        prop_assume!(normed(t1, kinds.0) && normed(t2, kinds.1));
        // Gradients are compared only if no potential is near a discontinuity.
        let neuron = if multi { Neuron::if_multi() } else { Neuron::lif() };
        let op = NeuronOp { neuron, lambda: if multi { 1.0 } else { 0.5 }, steps };
        let run = |fast: bool| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut leaves = Vec::new();
            let mut branches = Vec::new();
            let mut sum: Option<Tensor<4>> = None;
            for (t, kind) in [(t1, kinds.0), (t2, kinds.1)] {
                if kind == 3 {
                    continue;
                }
                let x = random([t * batch, c, side, side], &mut rng, &device).mul_scalar(2.0).detach().require_grad();
                let (gain, shift) = (random([c], &mut rng, &device) + 1.2, random([c], &mut rng, &device) * 0.5);
                let (gain, shift) = (gain.detach().require_grad(), shift.detach().require_grad());
                leaves.push((x.clone(), gain.clone(), shift.clone(), kind));
                let map = Arc::new(TimeMap::ttm(TtmMode::Even, t, steps, &mut rng));
                if fast {
                    let norm = [BranchNorm::None, BranchNorm::Affine, BranchNorm::Batch(1e-5)][usize::from(kind)];
                    let parameters = (kind > 0).then_some((gain, shift));
                    let repeat = (t != steps).then_some(map);
                    branches.push((x.permute(LAST), parameters, Branch { norm, repeat }));
                } else {
                    let x = map_time(x, map);
                    let y = match kind {
                        0 => x,
                        1 => x * gain.reshape([1, c, 1, 1]) + shift.reshape([1, c, 1, 1]),
                        _ => batch_norm_train(x, gain, shift, 1e-5).output,
                    };
                    sum = Some(match sum { Some(s) => s + y, None => y });
                }
            }
            let current = sum.clone().map(values);
            let spikes = match sum {
                Some(current) => reference::neuron(current, op),
                None => fused(branches, op).0.permute(FIRST),
            };
            let g = random(spikes.dims(), &mut rng, &device);
            let gradients = (spikes.clone() * g).sum().backward();
            let mut all = Vec::new();
            for (x, gain, shift, kind) in leaves {
                all.push(values(x.grad(&gradients).unwrap()));
                if kind > 0 {
                    all.push(values(gain.grad(&gradients).unwrap()));
                    all.push(values(shift.grad(&gradients).unwrap()));
                }
            }
            (values(spikes), all, current)
        };
        // One value per channel has no variance, so the result of its norm is all rounding.
        prop_assume!(batch * side * side > 1);
        let (spikes, grads, current) = run(false);
        let (fast_spikes, fast_grads, _) = run(true);
        if near_a_tie(op, &current.unwrap_or_default()) {
            return Ok(());
        }
        prop_assert_eq!(spikes, fast_spikes);
        for (k, (a, b)) in fast_grads.iter().zip(&grads).enumerate() {
            close(&format!("gradient {k}"), a, b, 1e-4)?;
        }
    }
}

/// Pooled spikes and gradients of a layer, from one operator or from two.
fn pooled(one: bool, [batch, c, height, width]: [usize; 4], k: usize, t: usize, seed: u64) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let op = NeuronOp { neuron: Neuron::lif(), lambda: 0.5, steps: 4 };
    let x = random([t * batch, height, width, c], &mut rng, &device).mul_scalar(2.0).detach().require_grad();
    let (gain, shift) = (random([c], &mut rng, &device) + 1.2, random([c], &mut rng, &device) * 0.5);
    let (gain, shift) = (gain.detach().require_grad(), shift.detach().require_grad());
    let map = Arc::new(TimeMap::ttm(TtmMode::Even, t, 4, &mut rng));
    let branch = Branch { norm: BranchNorm::Batch(1e-5), repeat: (t != 4).then_some(map) };
    let branches = vec![(x.clone(), Some((gain.clone(), shift.clone())), branch)];
    let scale = 1.0 / (k * k) as f32;
    let y = if one {
        fused_pooled(branches, op, Some((k, scale))).0
    } else {
        tile_pool_last(fused(branches, op).0, k, scale)
    };
    let g = random(y.dims(), &mut rng, &device);
    let gradients = (y.clone() * g).sum().backward();
    let gradient = |t: Option<Vec<f32>>| t.expect("a leaf");
    vec![
        values(y),
        gradient(x.grad(&gradients).map(values)),
        gradient(gain.grad(&gradients).map(values)),
        gradient(shift.grad(&gradients).map(values)),
    ]
}

#[test]
fn a_fused_layer_with_its_pooling_is_the_two_one_after_the_other() {
    for (shape, k) in
        [([3, 8, 17, 17], 2), ([2, 5, 7, 9], 3), ([1, 32, 4, 4], 4), ([2, 2, 5, 3], 1), ([40, 1, 2, 5], 2)]
    {
        for t in [1, 3, 4] {
            let (one, two) = (pooled(true, shape, k, t, 7), pooled(false, shape, k, t, 7));
            assert_eq!(one[0], two[0], "{shape:?} {k} {t}: sums of spikes");
            for (what, (a, b)) in ["x", "gain", "shift"].iter().zip(one.iter().zip(&two).skip(1)) {
                close(&format!("{shape:?} {k} {t}: gradient of {what}"), a, b, 1e-5)
                    .expect("equal but for the order of sums");
            }
        }
    }
}

/// Whether a potential is so close to a discontinuity that rounding may carry it across.
fn near_a_tie(op: NeuronOp, current: &[f32]) -> bool {
    let n = current.len() / op.steps;
    (0..n).any(|i| {
        let mut v = 0.0;
        (0..op.steps).any(|t| {
            let (s, u, next) = tickless_kernels::neuron::step::plain_step(&op.neuron, op.lambda, v, current[t * n + i]);
            v = next;
            let limit = op.neuron.v_min.is_some_and(|m| (u - s * op.neuron.threshold - m).abs() < 1e-5);
            limit || (u - u.round()).abs() < 1e-5
        })
    })
}
