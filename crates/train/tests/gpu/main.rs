//! Compares the GPU kernels with those of the CPU and with the plain form.
//!
//! The tests use any `wgpu` device (`.ci/extra gpu` installs a software one). Without a device they
//! print one line and pass; with TICKLESS_REQUIRE_GPU=1 they fail.
#![cfg(feature = "wgpu")]

mod layers;
mod neurons;
mod training;

use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::Write;
use std::sync::OnceLock;
use tickless_kernels::neuron::step::plain_step as step;
use tickless_kernels::{ComputeOptions, NeuronOp};
use tickless_net::{Leak, Neuron, Reset, SpikeMode, Surrogate};
use tickless_testing::close::close;
use tickless_train::device;

/// The device under test; `None` if there is no device.
fn gpu() -> Option<Device> {
    static FOUND: OnceLock<Option<Device>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let options = ComputeOptions::from_variables(|name| std::env::var(name).ok());
        options.and_then(ComputeOptions::install).unwrap_or_else(|e| panic!("{e}"));
        let found = device::device("wgpu");
        let line = match &found {
            Ok(d) => format!("GPU kernels run on: {}", device::name(d)),
            Err(e) => format!("skipped: {e}"),
        };
        // Written directly to standard error, which the test harness does not capture.
        let _ = writeln!(std::io::stderr(), "{line}");
        let required = std::env::var_os("TICKLESS_REQUIRE_GPU").is_some_and(|v| v == "1");
        assert!(!required || found.is_ok(), "a device is required (TICKLESS_REQUIRE_GPU=1): {line}");
        found.ok()
    });
    found.clone()
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn random(n: usize, seed: u64, low: f32, high: f32) -> Vec<f32> {
    let mut rng = rng(seed);
    (0..n).map(|_| rng.random_range(low..high)).collect()
}

fn tensor<const D: usize>(data: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(data.to_vec(), shape), device)
}

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec().expect("f32")
}

/// Values of `f` and gradients of its inputs on a device; the gradient of the output is random, but
/// the same on every device.
fn both_ways<const D: usize>(
    device: &Device,
    inputs: &[(Vec<f32>, [usize; D])],
    f: impl Fn(&[Tensor<D>]) -> Tensor<D>,
) -> (Vec<f32>, Vec<Vec<f32>>) {
    let device = device.clone().autodiff();
    let leaves: Vec<Tensor<D>> = inputs.iter().map(|(x, shape)| tensor(x, *shape, &device).require_grad()).collect();
    let y = f(&leaves);
    let g = tensor(&random(y.dims().iter().product(), 99, -1.0, 1.0), y.dims(), &device);
    let gradients = (y.clone() * g).sum().backward();
    let gradient = |x: &Tensor<D>| values(x.grad(&gradients).expect("a leaf"));
    (values(y), leaves.iter().map(gradient).collect())
}

/// Whether neuron `i` comes closer than `margin` to a discontinuity of its spike, limit or
/// surrogate.
fn near_a_tie(op: NeuronOp, current: &[f32], i: usize, margin: f32) -> bool {
    let (n, theta, mut v) = (current.len() / op.steps, op.neuron.threshold, 0.0);
    (0..op.steps).any(|t| {
        let (s, u, next) = step(&op.neuron, op.lambda, v, current[t * n + i]);
        v = next;
        let multiple = match op.neuron.spikes {
            SpikeMode::Single => theta,
            SpikeMode::Multi => theta * (u / theta).round().max(1.0),
        };
        let edge = match op.neuron.surrogate {
            Surrogate::Rectangle { width } => ((u - theta).abs() - width / 2.0).abs(),
            _ => f32::INFINITY,
        };
        let r = match op.neuron.reset {
            Reset::Hard if s > 0.0 => 0.0,
            Reset::Hard => u,
            Reset::Soft => u - theta * s,
            // They have no GPU form, so they run through the tensor library on every device.
            Reset::SoftDelayed | Reset::SoftRepeated => unreachable!("not among the neurons of this test"),
        };
        let limit = op.neuron.v_min.map_or(f32::INFINITY, |limit| (r - limit).abs());
        (u - multiple).abs().min(edge).min(limit) < margin
    })
}

/// Every combination of the neuron's properties.
fn every_neuron() -> Vec<Neuron> {
    let surrogates = [
        Surrogate::Triangle,
        Surrogate::SingleExponential { width: 0.5 },
        Surrogate::Arctangent { alpha: 2.0 },
        Surrogate::Sigmoid { alpha: 4.0 },
        Surrogate::Rectangle { width: 0.8 },
        Surrogate::Gaussian { sigma: 0.4 },
    ];
    let mut all = Vec::new();
    for bits in 0..32 {
        let bit = |k: u32| bits >> k & 1 == 1;
        for surrogate in surrogates {
            all.push(Neuron {
                threshold: if bit(4) { 1.0 } else { 0.8 },
                leak: Leak::Step(0.9),
                spikes: if bit(0) { SpikeMode::Multi } else { SpikeMode::Single },
                reset: if bit(1) { Reset::Soft } else { Reset::Hard },
                v_min: bit(4).then_some(-0.3),
                fire_at_threshold: bit(2),
                detach_reset: bit(3),
                surrogate,
                ..Neuron::lif()
            });
        }
    }
    all
}
