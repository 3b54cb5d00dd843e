//! Whole iterations of mixed time-step training on the device and on the CPU.

use super::{gpu, rng};
use burn::tensor::Device;
use rand::Rng;
use std::sync::Arc;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::{Conv, InputKind, Layer, LeakRule, Network, NetworkBuilder, Neuron, Pool, Shape};
use tickless_train::kernels::conv::Kernel;
use tickless_train::loss::Loss;
use tickless_train::model::{Model, Pass};
use tickless_train::norm::NormMode;
use tickless_train::optimiser::{Optimiser, OptimiserState};
use tickless_train::sequence::Sequence;
use tickless_train::step::{StepSetting, gradients};

/// Stem, a residual block with a projection, a pooled block; three stages.
fn network() -> Arc<Network> {
    let shape = Shape { channels: 2, height: 12, width: 12 };
    let mut b = NetworkBuilder::new("small", shape, InputKind::Events);
    let spiking = |b: &mut NetworkBuilder, from, conv| {
        let x = b.conv(from, conv);
        let x = b.norm(x);
        b.neuron(x, Neuron::lif())
    };
    let x = b.ttm(b.input());
    let x = spiking(&mut b, x, Conv::c3(8));
    let start = b.ttm(x);
    let main = spiking(&mut b, start, Conv::c3(16).with_stride(2));
    let main = b.conv(main, Conv::c3(16));
    let main = b.norm(main);
    let aside = b.conv(start, Conv { kernel: 1, stride: 2, padding: 0, ..Conv::c3(16) });
    let aside = b.norm(aside);
    let sum = b.add("", Layer::Add, &[main, aside]);
    let x = b.neuron(sum, Neuron::lif());
    let x = b.pool(x, Pool::average(2));
    let x = b.ttm(x);
    let x = spiking(&mut b, x, Conv::c3(16));
    let x = b.add("", Layer::GlobalAverage, &[x]);
    b.linear(x, 4, true);
    Arc::new(b.build().expect("fits"))
}

/// Losses of some iterations, and the weights after them.
fn train(device: &Device, kernel: Kernel, configurations: &[Vec<usize>]) -> (Vec<f32>, Model) {
    let network = network();
    let weights = initialise(&network, InitScheme::KaimingNormalFanOut, 1000);
    let mut model = Model::new(network.clone(), &weights, device).expect("fits").with_kernel(kernel);
    let optimiser = Optimiser::Sgd { momentum: 0.9, weight_decay: 5e-4 };
    let mut optimiser = OptimiserState::new(optimiser, model.parameters.len());
    let mut rng = rng(7);
    let (t, b, shape) = (4, 16, network.input().shape);
    let x = (0..t * b * shape.len()).map(|_| f32::from(rng.random_range(0u8..12).saturating_sub(9))).collect();
    let x = Sequence::from_values(x, [t, b, shape.channels, shape.height, shape.width], device);
    let labels: Vec<usize> = (0..b).map(|i| i % network.output().len()).collect();
    let setting =
        StepSetting { loss: Loss::default(), norm: NormMode::Batch, leak: LeakRule::Step, t_max: t, step_us: None };
    let mut one = || {
        let (g, report) = gradients(&mut model, &x, &labels, configurations, &setting, &mut rng).expect("fits");
        optimiser.step(&mut model.parameters, g, 0.01);
        report.loss
    };
    ((0..4).map(|_| one()).collect(), model)
}

#[test]
fn iterations_of_mixed_time_step_training_lose_what_they_lose_on_the_cpu() {
    let Some(device) = gpu() else { return };
    let configurations = [vec![4, 2, 3], vec![1, 4, 1], vec![2, 2, 4]];
    let (cpu, _) = train(&Device::flex(), Kernel::Plain, &configurations);
    assert!(cpu.iter().all(|l| l.is_finite()) && cpu[3] < cpu[0], "{cpu:?}");
    for kernel in [Kernel::Auto, Kernel::Plain] {
        let (losses, _) = train(&device, kernel, &configurations);
        eprintln!("losses on the device, {kernel}: {losses:?}; on the CPU: {cpu:?}");
        for (k, (a, b)) in losses.iter().zip(&cpu).enumerate() {
            assert!((a - b).abs() < 1e-4, "{kernel}, iteration {k}: {a}, on the CPU {b}");
        }
    }
}

#[test]
fn a_trained_network_answers_on_the_device_as_on_the_cpu() {
    let Some(device) = gpu() else { return };
    let (_, model) = train(&device, Kernel::Auto, &[vec![2, 3, 2]]);
    let weights = model.weights();
    let mut rng = rng(3);
    let values: Vec<f32> = (0..4 * 3 * 288).map(|_| f32::from(rng.random_range(0u8..10) / 8)).collect();
    let mut logits = |device: &Device| {
        let model = Model::new(network(), &weights, device).expect("fits");
        let pass =
            Pass { configuration: &[3, 4, 2], norm: NormMode::Running, leak: LeakRule::Step, t_max: 4, step_us: None };
        let input = Sequence::from_values(values.clone(), [4, 3, 2, 12, 12], device);
        let out = model.forward(&model.constants(), input, &pass, &mut rng, None).expect("fits");
        super::values(out.logits)
    };
    let (there, here) = (logits(&device), logits(&Device::flex()));
    super::close("logits", &there, &here, 1e-5);
}
