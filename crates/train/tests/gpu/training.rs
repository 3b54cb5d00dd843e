//! Compares whole iterations of mixed time-step training on the GPU and on the CPU.

use super::{gpu, near_a_tie, rng};
use burn::tensor::{Device, Tensor};
use rand::Rng;
use std::sync::Arc;
use tickless_kernels::KernelChoice;
use tickless_kernels::NeuronOp;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::{Conv, InputKind, Layer, LeakRule, Network, NetworkBuilder, Neuron, Pool, Shape};
use tickless_train::distributed::{Ranks, threads};
use tickless_train::iteration::optimiser::{OptimiserSetting, OptimiserState};
use tickless_train::iteration::{StepSetting, gradients};
use tickless_train::loss::LossSetting;
use tickless_train::model::NormMode;
use tickless_train::model::Sequence;
use tickless_train::model::{Model, Pass};

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
    let aside = b.conv(start, Conv::square(16, 1, 2, 0));
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

const STEPS: usize = 4;
const BATCH: usize = 4;

/// The setting of every iteration in this file.
fn setting() -> StepSetting {
    StepSetting {
        loss: LossSetting::default(),
        norm: NormMode::Batch,
        leak: LeakRule::Step,
        t_max: STEPS,
        step_us: None,
    }
}

fn model(seed: u64, device: &Device, kernel: KernelChoice) -> Model {
    let network = network();
    let weights = initialise(&network, InitScheme::KaimingNormalFanOut, seed);
    Model::new(network, &weights, device).expect("fits").with_kernel(kernel)
}

fn input(seed: u64, device: &Device) -> Sequence {
    let mut rng = rng(seed);
    let shape = network().input().shape;
    let values = (0..STEPS * BATCH * shape.len()).map(|_| f32::from(rng.random_range(0u8..12).saturating_sub(9)));
    Sequence::from_values(values.collect(), [STEPS, BATCH, shape.channels, shape.height, shape.width], device)
}

/// Whether, on the CPU, no neuron is so close to a discontinuity that rounding decides.
fn is_clear(seed: u64, configurations: &[Vec<usize>]) -> bool {
    let (device, network) = (Device::flex(), network());
    let model = model(seed, &device, KernelChoice::Plain);
    configurations.iter().all(|configuration| {
        let StepSetting { norm, leak, t_max, .. } = setting();
        let pass = Pass { configuration, norm, leak, t_max, step_us: None };
        let (mut clear, mut before) = (true, None);
        let mut observe = |i: usize, x: &Sequence| {
            if let (Layer::Neuron(neuron), Some(current)) = (network.nodes()[i].layer, before.take()) {
                let current: Vec<f32> = super::values(current);
                let op = NeuronOp { neuron, lambda: 0.5, steps: x.steps() };
                clear &= (0..current.len() / op.steps).all(|i| !near_a_tie(op, &current, i, 2e-5));
            }
            before = Some(x.clone().tensor());
        };
        let input = input(seed, &device);
        model.forward(&model.constants(), input, &pass, &mut rng(0), Some(&mut observe)).expect("fits");
        clear
    })
}

#[test]
fn an_iteration_of_mixed_time_step_training_is_that_of_the_cpu() {
    let Some(device) = gpu() else { return };
    let configurations = [vec![4, 2, 3], vec![1, 4, 1], vec![2, 2, 4]];
    let seed = (0..200).find(|&seed| is_clear(seed, &configurations)).expect("most small batches are clear");
    let run = |device: &Device, kernel: KernelChoice, recompute: bool| {
        let mut model = model(seed, device, kernel).with_recompute(recompute);
        let labels: Vec<usize> = (0..BATCH).collect();
        let (g, report) =
            gradients(&mut model, &input(seed, device), &labels, &configurations, &setting(), &mut rng(0))
                .expect("fits");
        let host: Vec<Vec<f32>> = g.iter().flatten().map(|g| super::values(g.clone())).collect();
        let mut optimiser = OptimiserState::new(OptimiserSetting::sgd(0.9, 5e-4), model.parameters.len());
        for _ in 0..2 {
            optimiser.step(&mut model.parameters, g.clone(), 0.1);
        }
        (report.loss, host, model.weights())
    };
    let (loss, g, weights) = run(&Device::flex(), KernelChoice::Plain, false);
    assert!(g.iter().all(|g| g.iter().any(|v| *v != 0.0)), "every parameter learns");
    for (kernel, recompute) in [(KernelChoice::Auto, false), (KernelChoice::Plain, false), (KernelChoice::Auto, true)] {
        let (there, g_there, weights_there) = run(&device, kernel, recompute);
        eprintln!("seed {seed}, {kernel}, recompute {recompute}: loss {there} on the device, {loss} on the CPU");
        assert!((there - loss).abs() < 1e-4, "{kernel}: {there}, on the CPU {loss}");
        for (k, (a, b)) in g_there.iter().zip(&g).enumerate() {
            super::close(&format!("{kernel}: gradient {k}"), a, b, 1e-4);
        }
        for (name, b) in &weights.tensors {
            super::close(
                &format!("{kernel}: `{name}` after two steps"),
                &weights_there.tensors[name].data,
                &b.data,
                1e-4,
            );
        }
    }
}

#[test]
fn two_workers_of_a_device_have_the_gradients_of_one_with_the_whole_batch() {
    let Some(device) = gpu() else { return };
    let configurations = [vec![4, 2, 3], vec![1, 4, 1]];
    let seed = (0..200).find(|&seed| is_clear(seed, &configurations)).expect("most small batches are clear");
    let labels: Vec<usize> = (0..BATCH).collect();
    let run = |ranks: Ranks| {
        let mine = ranks.share(BATCH);
        let all = input(seed, &device).tensor();
        let step = |t: usize| all.clone().narrow(0, t * BATCH + mine.start, mine.len());
        let x = Sequence::new(Tensor::cat((0..STEPS).map(step).collect(), 0), STEPS);
        let mut model = model(seed, &device, KernelChoice::Auto).with_ranks(ranks);
        let (g, report) = gradients(&mut model, &x, &labels[mine], &configurations, &setting(), &mut rng(0))?;
        let host: Vec<Vec<f32>> = g.iter().flatten().map(|g| super::values(g.clone())).collect();
        Ok((report.loss, host))
    };
    let (loss, whole) = run(Ranks::alone()).expect("fits");
    let both = threads::run(2, 1, run).expect("fits");
    assert_eq!(both[0], both[1], "all workers have the same gradients");
    assert!((both[0].0 - loss).abs() < 1e-4, "{} and {loss}", both[0].0);
    for (k, (a, b)) in both[0].1.iter().zip(&whole).enumerate() {
        super::close(&format!("gradient {k}"), a, b, 1e-4);
    }
}

#[test]
fn inference_by_running_statistics_is_that_of_the_cpu() {
    let Some(device) = gpu() else { return };
    let configurations = [vec![3, 4, 2]];
    let seed = (0..200).find(|&seed| is_clear(seed, &configurations)).expect("most small batches are clear");
    let logits = |device: &Device| {
        let mut model = model(seed, device, KernelChoice::Auto);
        // The running statistics are set to the batch's, so that a clear seed is clear here too.
        let pass =
            |norm| Pass { configuration: &configurations[0], norm, leak: LeakRule::Step, t_max: 4, step_us: None };
        let forward = |model: &Model, norm| {
            model.forward(&model.constants(), input(seed, device), &pass(norm), &mut rng(0), None).expect("fits")
        };
        for (running, batch) in forward(&model, NormMode::Batch).statistics.iter().enumerate() {
            model.running[running].update(batch, 1.0);
        }
        super::values(forward(&model, NormMode::Running).logits)
    };
    super::close("logits", &logits(&device), &logits(&Device::flex()), 1e-5);
}
