//! Compares whole networks with the spike kernels and with the tensor library's operators.

use burn::tensor::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use tickless_kernels::KernelChoice;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::zoo::{self, ZooOptions};
use tickless_net::{LeakRule, Neuron};
use tickless_train::iteration::optimiser::{OptimiserSetting, OptimiserState};
use tickless_train::iteration::{StepSetting, gradients};
use tickless_train::loss::LossSetting;
use tickless_train::model::{Model, NormMode, Pass, Sequence};

const FORCED: [KernelChoice; 3] = [KernelChoice::Auto, KernelChoice::Sparse, KernelChoice::Dense];

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec().expect("f32")
}

/// Losses of ten iterations of a small network. The batch is large, so that one spike that rounding
/// carries over the threshold has little effect.
fn losses(kernel: KernelChoice, neuron: Neuron, configurations: &[Vec<usize>]) -> Vec<f32> {
    let options = ZooOptions { norm: Some(true), neuron: Some(neuron), ..ZooOptions::default() };
    let network = Arc::new(zoo::build("nmnist-wide", &options).expect("a network of the zoo"));
    let weights = initialise(&network, InitScheme::Uniform { conv_gain: 1.5 }, 1000);
    let mut model = Model::new(network.clone(), &weights, &Device::flex()).expect("fits").with_kernel(kernel);
    let mut optimiser = OptimiserState::new(OptimiserSetting::sgd(0.9, 5e-4), model.parameters.len());
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (t, b, shape) = (5, 64, network.input().shape);
    let x = (0..t * b * shape.len()).map(|_| f32::from(rng.random_range(0u8..12).saturating_sub(9))).collect();
    let x = Sequence::from_values(x, [t, b, shape.channels, shape.height, shape.width], &Device::flex());
    let labels: Vec<usize> = (0..b).map(|i| i % network.output().len()).collect();
    let setting = StepSetting {
        loss: LossSetting::default(),
        norm: NormMode::Batch,
        leak: LeakRule::Step,
        t_max: t,
        step_us: None,
    };
    let loss_of_step = |_| {
        let (g, report) = gradients(&mut model, &x, &labels, configurations, &setting, &mut rng).expect("fits");
        optimiser.step(&mut model.parameters, g, 0.003);
        report.loss
    };
    (0..10).map(loss_of_step).collect()
}

#[test]
fn the_losses_of_ten_iterations_are_those_of_the_plain_kernels() {
    for (neuron, configurations) in [
        (Neuron::lif(), vec![vec![5, 5, 5]]),
        (Neuron::lif(), vec![vec![2, 5, 1], vec![4, 1, 3]]),
        (Neuron::if_multi(), vec![vec![3, 5, 2]]),
    ] {
        let plain = losses(KernelChoice::Plain, neuron, &configurations);
        assert!(plain.iter().all(|l| l.is_finite()) && plain[9] < plain[0], "{plain:?}");
        for kernel in FORCED {
            let fast = losses(kernel, neuron, &configurations);
            for (k, (a, b)) in fast.iter().zip(&plain).enumerate() {
                assert!((a - b).abs() < 1e-3, "{kernel}, iteration {k}: {a}, plain {b} ({configurations:?})");
            }
        }
    }
}

/// Logits and batch statistics (all means and variances) of a pass of the network.
fn logits(network: &str, kernel: KernelChoice, configuration: &[usize], norm: NormMode) -> (Vec<f32>, Vec<f32>) {
    let options = ZooOptions { norm: Some(true), neuron: Some(Neuron::lif()), ..ZooOptions::default() };
    let network = Arc::new(zoo::build(network, &options).expect("a network of the zoo"));
    let weights = initialise(&network, InitScheme::Uniform { conv_gain: 1.5 }, 1000);
    let model = Model::new(network.clone(), &weights, &Device::flex()).expect("fits").with_kernel(kernel);
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (t, b, shape) = (4, 3, network.input().shape);
    let x = (0..t * b * shape.len()).map(|_| f32::from(rng.random_range(0u8..12).saturating_sub(9))).collect();
    let x = Sequence::from_values(x, [t, b, shape.channels, shape.height, shape.width], &Device::flex());
    let pass = Pass { configuration, norm, leak: LeakRule::Step, t_max: t, step_us: None };
    let out = model.forward(&model.constants(), x, &pass, &mut rng, None).expect("fits");
    let means =
        out.statistics.iter().flat_map(|s| values(s.mean.clone()).into_iter().chain(values(s.variance.clone())));
    (values(out.logits), means.collect())
}

#[test]
fn a_networks_first_layer_gives_what_the_plain_kernels_give_at_any_steps_and_norm() {
    for network in ["nmnist-wide", "resnet18-dvs"] {
        let stages = if network == "nmnist-wide" { 3 } else { 8 };
        for t in [2, 4, 7] {
            for norm in [NormMode::Batch, NormMode::Running] {
                let configuration = vec![t; stages];
                let (plain, seen) = logits(network, KernelChoice::Plain, &configuration, norm);
                let (ours, ours_seen) = logits(network, KernelChoice::Auto, &configuration, norm);
                // The first norm comes before all neurons, so no spike can differ there.
                assert_eq!(ours_seen.len(), seen.len());
                let first = if network == "nmnist-wide" { 16 } else { 128 };
                for (a, b) in ours_seen.iter().zip(&seen).take(first) {
                    assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{network} {t} {norm:?}: {a}, plain {b}");
                }
                if network == "nmnist-wide" {
                    let largest = plain.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
                    let worst = plain.iter().zip(&ours).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
                    assert!(worst <= 0.05 * largest, "{network} {t} {norm:?}: {worst} of {largest}");
                }
            }
        }
    }
}
