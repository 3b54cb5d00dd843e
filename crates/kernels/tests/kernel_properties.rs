//! Compares the fused kernels with the plain ones and with the equations, for every kind of neuron.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use tickless_kernels::neuron::step::plain_step as step;
use tickless_kernels::ttm::TimeMap;
use tickless_kernels::{NeuronOp, map_time, neuron, reference};
use tickless_net::{Leak, Neuron, Reset, SpikeMode, Surrogate, TtmMode};

const SURROGATES: [Surrogate; 6] = [
    Surrogate::Triangle,
    Surrogate::SingleExponential { width: 0.5 },
    Surrogate::Arctangent { alpha: 2.0 },
    Surrogate::Sigmoid { alpha: 4.0 },
    Surrogate::Rectangle { width: 0.8 },
    Surrogate::Gaussian { sigma: 0.4 },
];

/// If a potential is closer than this to a discontinuity of spike, limit or surrogate, rounding in
/// the plain form may carry it across. Such neurons are left out of the comparison with the plain
/// form.
const TIE: f32 = 1e-3;

fn random(n: usize, seed: u64, low: f32, high: f32) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(low..high)).collect()
}

/// Multiples of 1/4, so that u = θ and v = v_min are frequent.
fn coarse(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-8i8..=12) as f32 / 4.0).collect()
}

fn tensor(data: &[f32], shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(data.to_vec(), shape), device)
}

fn values(t: Tensor<4>) -> Vec<f32> {
    t.into_data().try_into_vec().expect("f32")
}

/// Output of `f`, and the gradient of its input if `g` is the gradient of the output.
fn both_ways(x: &[f32], g: &[f32], shape: [usize; 4], f: impl FnOnce(Tensor<4>) -> Tensor<4>) -> (Vec<f32>, Vec<f32>) {
    let device = Device::flex().autodiff();
    let leaf = tensor(x, shape, &device).require_grad();
    let y = f(leaf.clone());
    let gradients = (y.clone() * tensor(g, y.dims(), &device)).sum().backward();
    (values(y), values(leaf.grad(&gradients).expect("a leaf")))
}

/// Evaluates the equations one neuron and step at a time: the spikes, and which neurons are close
/// to a tie.
fn by_hand(op: NeuronOp, x: &[f32]) -> (Vec<f32>, Vec<bool>) {
    let n = x.len() / op.steps;
    let (mut spikes, mut tie) = (vec![0.0; x.len()], vec![false; n]);
    let theta = op.neuron.threshold;
    for i in 0..n {
        let mut v = 0.0;
        for t in 0..op.steps {
            let (s, u, next) = step(&op.neuron, op.lambda, v, x[t * n + i]);
            let multiple = match op.neuron.spikes {
                SpikeMode::Single => theta,
                SpikeMode::Multi => theta * (u / theta).round().max(1.0),
            };
            let mut gap = (u - multiple).abs().min((u - theta).abs());
            if let Surrogate::Rectangle { width } = op.neuron.surrogate {
                gap = gap.min(((u - theta).abs() - width / 2.0).abs());
            }
            if let Some(limit) = op.neuron.v_min {
                let r = match op.neuron.reset {
                    Reset::Hard if s > 0.0 => 0.0,
                    Reset::Hard => u,
                    Reset::Soft => u - theta * s,
                    late => panic!("no fused kernel has the reset {late}"),
                };
                gap = gap.min((r - limit).abs());
            }
            tie[i] |= gap < TIE;
            (spikes[t * n + i], v) = (s, next);
        }
    }
    (spikes, tie)
}

/// Compares the fused kernel with the equations (exactly) and with the plain form (except at ties).
fn check(op: NeuronOp, shape: [usize; 4], seed: u64) -> Result<(), TestCaseError> {
    let len = shape.iter().product();
    let (x, g) = (random(len, seed, -1.5, 2.5), random(len, seed ^ 0xabcd, -1.0, 1.0));
    let (s, gx) = both_ways(&x, &g, shape, |x| neuron(x, op));
    let (expected, tie) = by_hand(op, &x);
    let n = tie.len();
    prop_assert_eq!(&s, &expected, "{:?}: spikes are those of the equations", op);
    let untracked = values(neuron(tensor(&x, shape, &Device::flex()), op));
    prop_assert_eq!(&untracked, &s, "{:?}: the same without autodiff", op);

    let (plain_s, plain_gx) = both_ways(&x, &g, shape, |x| reference::neuron(x, op));
    let largest = plain_gx.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    let kept = tie.iter().filter(|t| !**t).count();
    prop_assert!(kept * 10 >= n * 8 || n < 50, "only {kept} of {n} neurons are compared");
    for i in (0..len).filter(|i| !tie[i % n]) {
        let at = format!("{op:?}: step {}, neuron {} of {n}", i / n, i % n);
        prop_assert!((s[i] - plain_s[i]).abs() <= 1e-5, "{at}: {} spikes, plain {}", s[i], plain_s[i]);
        let d = (gx[i] - plain_gx[i]).abs();
        prop_assert!(
            d <= 1e-5 * largest,
            "{at}: gradient {}, plain {} (off {d:e}, largest {largest})",
            gx[i],
            plain_gx[i]
        );
    }
    Ok(())
}

fn every_neuron(lambda: f32, threshold: f32) -> Vec<Neuron> {
    let mut all = Vec::new();
    for spikes in [SpikeMode::Single, SpikeMode::Multi] {
        for reset in [Reset::Hard, Reset::Soft] {
            for (detach_reset, fire_at_threshold) in [(false, false), (false, true), (true, false), (true, true)] {
                for v_min in [None, Some(-1.0), Some(-0.3)] {
                    for surrogate in SURROGATES {
                        let leak = Leak::Step(lambda);
                        all.push(Neuron {
                            threshold,
                            leak,
                            spikes,
                            reset,
                            v_min,
                            fire_at_threshold,
                            detach_reset,
                            surrogate,
                            ..Neuron::lif()
                        });
                    }
                }
            }
        }
    }
    all
}

#[test]
fn every_combination_agrees_with_the_equations_and_the_plain_form() {
    for (k, neuron) in every_neuron(0.9, 1.0).into_iter().enumerate() {
        let op = NeuronOp { neuron, lambda: 0.9, steps: 5 };
        check(op, [5 * 2, 3, 2, 5], k as u64).unwrap_or_else(|e| panic!("{e}"));
    }
}

prop_compose! {
    fn any_neuron()(k in 0usize..288, lambda in prop_oneof![Just(1.0f32), Just(0.5), 0.1f32..0.99],
        threshold in prop_oneof![Just(1.0f32), 0.3f32..2.0]) -> (Neuron, f32) {
        (every_neuron(lambda, threshold)[k], lambda)
    }
}

/// Sizes of a sample: small ones, and sizes around the boundary of the kernel's chunks.
fn any_size() -> impl Strategy<Value = [usize; 3]> {
    prop_oneof![
        3 => (1usize..4, 1usize..5, 1usize..6).prop_map(|(c, h, w)| [c, h, w]),
        1 => Just([1, 23, 89]), // 2047
        1 => Just([2, 32, 32]), // 2048
        1 => Just([3, 1, 683]), // 2049
        1 => Just([5, 29, 31]), // 4495
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_neuron_agrees_at_any_size((neuron, lambda) in any_neuron(), steps in 1usize..=8, batch in 1usize..=3,
        [c, h, w] in any_size(), seed in any::<u64>()) {
        check(NeuronOp { neuron, lambda, steps }, [steps * batch, c, h, w], seed)?;
    }

    #[test]
    fn spikes_at_exact_ties_are_those_of_the_equations((neuron, _) in any_neuron(), steps in 1usize..=8,
        n in 1usize..100, lambda in prop_oneof![Just(1.0f32), Just(0.5)], seed in any::<u64>()) {
        let neuron = Neuron { threshold: 1.0, leak: Leak::Step(lambda), ..neuron };
        let op = NeuronOp { neuron, lambda, steps };
        let (x, g) = (coarse(steps * n, seed), vec![1.0; steps * n]);
        let (s, gx) = both_ways(&x, &g, [steps, n, 1, 1], |x| tickless_kernels::neuron(x, op));
        prop_assert_eq!(s, by_hand(op, &x).0);
        prop_assert!(gx.iter().all(|g| g.is_finite()));
    }

    #[test]
    fn the_layout_in_memory_does_not_matter((neuron, lambda) in any_neuron(), steps in 1usize..=5, batch in 1usize..=2,
        [c, h, w] in any_size(), seed in any::<u64>()) {
        let op = NeuronOp { neuron, lambda, steps };
        let shape = [steps * batch, c, h, w];
        let len = shape.iter().product();
        let (x, g) = (random(len, seed, -1.5, 2.5), random(len, seed ^ 1, -1.0, 1.0));
        let plain = both_ways(&x, &g, shape, |x| tickless_kernels::neuron(x, op));
        let turned = |f: &dyn Fn(Tensor<4>) -> Tensor<4>, x: Tensor<4>| f(x.swap_dims(1, 3)).swap_dims(1, 3);
        let other = both_ways(&x, &g, shape, |x| turned(&|x| tickless_kernels::neuron(x, op), x));
        prop_assert_eq!(plain, other);
    }

    #[test]
    fn a_gradient_that_is_one_everywhere_is_no_special_case((neuron, lambda) in any_neuron(), steps in 1usize..=5,
        [c, h, w] in any_size(), seed in any::<u64>()) {
        // The gradient of `sum` is a broadcast tensor without storage of its own.
        let op = NeuronOp { neuron, lambda, steps };
        let shape = [steps, c, h, w];
        let x = random(shape.iter().product(), seed, -1.5, 2.5);
        let (_, expected) = both_ways(&x, &vec![1.0; x.len()], shape, |x| tickless_kernels::neuron(x, op));
        let leaf = tensor(&x, shape, &Device::flex().autodiff()).require_grad();
        let gradients = tickless_kernels::neuron(leaf.clone(), op).sum().backward();
        prop_assert_eq!(values(leaf.grad(&gradients).unwrap()), expected);
    }

    #[test]
    fn the_time_map_is_its_matrix_and_its_gradient_the_transpose(
        mode in prop_oneof![Just(TtmMode::Even), Just(TtmMode::Soft), Just(TtmMode::Trim), Just(TtmMode::Random)],
        a in 1usize..=12, b in 1usize..=12, n in 1usize..40, batch in 1usize..=3, seed in any::<u64>()) {
        let map = TimeMap::ttm(mode, a, b, &mut ChaCha8Rng::seed_from_u64(seed));
        let n = n * batch;
        let (x, g) = (random(a * n, seed, -2.0, 2.0), random(b * n, seed ^ 1, -2.0, 2.0));
        let mut matrix = vec![vec![0.0f32; a]; b];
        for (j, row) in map.rows().iter().enumerate() {
            row.iter().for_each(|&(i, w)| matrix[j][i] += w);
        }
        let shape = [a * batch, 1, n / batch, 1];
        let (y, gx) = both_ways(&x, &g, shape, |x| map_time(x, Arc::new(map.clone())));
        let (plain_y, plain_gx) = both_ways(&x, &g, shape, |x| reference::map_time(x, &map));
        for k in 0..n {
            for j in 0..b {
                let want: f32 = (0..a).map(|i| matrix[j][i] * x[i * n + k]).sum();
                prop_assert!((y[j * n + k] - want).abs() <= 1e-5, "{:?} {} → {}: output step {}", mode, a, b, j);
                prop_assert!((y[j * n + k] - plain_y[j * n + k]).abs() <= 1e-5);
            }
            for i in 0..a {
                let want: f32 = (0..b).map(|j| matrix[j][i] * g[j * n + k]).sum();
                prop_assert!((gx[i * n + k] - want).abs() <= 1e-5, "{:?} {} → {}: gradient of step {}", mode, a, b, i);
                prop_assert!((gx[i * n + k] - plain_gx[i * n + k]).abs() <= 1e-5);
            }
        }
    }
}
