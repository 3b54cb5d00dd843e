//! Compares every forced kernel with the plain one in ResNet-18 on CIFAR shapes: spikes and
//! gradients of one iteration, and the losses of ten.
//!
//! An ordinary run ignores these tests, because the plain kernels take a minute here;
//! `.ci/extra kernels` runs them.

use burn::tensor::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use tickless_kernels::KernelChoice;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::zoo::{self, ZooOptions};
use tickless_net::{Layer, LeakRule, Network, Neuron, NodeId};
use tickless_train::iteration::optimiser::{OptimiserSetting, OptimiserState};
use tickless_train::iteration::{StepSetting, gradients};
use tickless_train::loss::LossSetting;
use tickless_train::model::NormMode;
use tickless_train::model::Sequence;
use tickless_train::model::{Model, Pass};

const FORCED: [KernelChoice; 3] = [KernelChoice::Auto, KernelChoice::Sparse, KernelChoice::Dense];

fn network() -> Arc<Network> {
    let options = ZooOptions { norm: Some(true), neuron: Some(Neuron::lif()), ..ZooOptions::default() };
    Arc::new(zoo::build("resnet18", &options).expect("a network of the zoo"))
}

fn model(network: &Arc<Network>, kernel: KernelChoice, seed: u64) -> Model {
    let weights = initialise(network, InitScheme::default_for(network), seed);
    Model::new(network.clone(), &weights, &Device::flex()).expect("fits").with_kernel(kernel)
}

/// Random images with the mean and deviation of normalised images.
fn images(batch: usize, seed: u64) -> Sequence {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values = (0..batch * 3 * 32 * 32).map(|_| rng.random_range(-1.7f32..1.7)).collect();
    Sequence::from_values(values, [1, batch, 3, 32, 32], &Device::flex())
}

fn setting(t_max: usize) -> StepSetting {
    StepSetting { loss: LossSetting::default(), norm: NormMode::Batch, leak: LeakRule::Step, t_max, step_us: None }
}

fn values<const D: usize>(t: &Tensor<D>) -> Vec<f32> {
    t.clone().into_data().try_into_vec().expect("f32")
}

/// Spikes and input current of one spiking layer, both `[T·B, C, H, W]`.
struct Fired {
    layer: String,
    steps: usize,
    spikes: Vec<f32>,
    current: Vec<f32>,
}

/// Spikes and current of every spiking layer of a pass, in graph order.
fn fired(model: &Model, x: &Sequence, configuration: &[usize]) -> Vec<Fired> {
    let t_max = configuration.iter().copied().max().expect("stages");
    let pass = Pass { configuration, norm: NormMode::Batch, leak: LeakRule::Step, t_max, step_us: None };
    let nodes = model.network().nodes();
    let mut seen: Vec<Option<Vec<f32>>> = vec![None; nodes.len()];
    let mut all = Vec::new();
    let mut observe = |i: usize, s: &Sequence| {
        let s = s.clone().channels_first().materialise();
        let here = values(&s.clone().tensor());
        if let (Layer::Neuron(_), NodeId::Node(from)) = (&nodes[i].layer, nodes[i].from[0]) {
            let current = seen[from].clone().expect("a neuron stands after what charges it");
            assert_eq!(current.len(), here.len(), "`{}`: one value charges one neuron at one step", nodes[i].name);
            all.push(Fired { layer: nodes[i].name.clone(), steps: s.steps(), spikes: here.clone(), current });
        }
        seen[i] = Some(here);
    };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    model.forward(&model.constants(), x.clone(), &pass, &mut rng, Some(&mut observe)).expect("fits");
    all
}

/// |u − θ| of every neuron at every step.
fn margins(f: &Fired) -> Vec<f32> {
    let (neuron, n) = (Neuron::lif(), f.current.len() / f.steps);
    // With the leak rule `Step`, λ does not depend on the number of steps.
    let lambda = neuron.lambda(LeakRule::Step, f.steps, f.steps, None).expect("a leak per step");
    let mut v = vec![0.0f32; n];
    let margin = |(k, current): (usize, &f32)| {
        let (_, u, next) = tickless_kernels::neuron::step::plain_step(&neuron, lambda, v[k % n], *current);
        v[k % n] = next;
        (u - neuron.threshold).abs()
    };
    f.current.iter().enumerate().map(margin).collect()
}

/// Number of spikes that differ in the first layer with a difference. All of them must be within
/// rounding of the threshold. Later layers are not compared, because their inputs differ.
fn flips(plain: &[Fired], fast: &[Fired], what: &str) -> usize {
    assert_eq!(plain.len(), fast.len());
    for (p, f) in plain.iter().zip(fast) {
        assert_eq!(p.spikes.len(), f.spikes.len(), "{what}, `{}`", p.layer);
        let margins = margins(p);
        let mut count = 0;
        for (i, (a, b)) in p.spikes.iter().zip(&f.spikes).enumerate().filter(|(_, (a, b))| a != b) {
            let margin = margins[i];
            assert!(margin < 1e-5, "{what}, `{}`: spike {i} is {b}, plain {a}, at a margin of {margin:e}", p.layer);
            count += 1;
        }
        if count > 0 {
            return count;
        }
    }
    0
}

#[test]
#[ignore = "half a minute to a minute; `.ci/extra kernels` runs it"]
fn one_iteration_of_resnet18_has_the_spikes_and_gradients_of_the_plain_kernels() {
    let (network, steps, batch) = (network(), 2, 2);
    let configuration = vec![steps; network.stages()];
    let (mut compared, mut spikes) = ([0; FORCED.len()], 0);
    for seed in 0..6 {
        let x = images(batch, seed);
        let run = |kernel| {
            let mut model = model(&network, kernel, 1000 + seed);
            let fired = fired(&model, &x, &configuration);
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let configurations = [configuration.clone()];
            let (g, report) =
                gradients(&mut model, &x, &[3, 7], &configurations, &setting(steps), &mut rng).expect("fits");
            let named = model.parameters.iter().zip(g);
            let named = named.map(|(p, g)| (p.name.clone(), values(&g.expect("every parameter has a gradient"))));
            (fired, named.collect::<Vec<_>>(), report.loss)
        };
        let (plain, plain_gradients, plain_loss) = run(KernelChoice::Plain);
        spikes += plain.iter().map(|f| f.spikes.iter().filter(|s| **s != 0.0).count()).sum::<usize>();
        for (kernel, compared) in FORCED.into_iter().zip(&mut compared) {
            let (fast, fast_gradients, loss) = run(kernel);
            let flips = flips(&plain, &fast, &format!("{kernel}, seed {seed}"));
            let mut worst = (0.0f32, String::new());
            for ((name, a), (_, b)) in plain_gradients.iter().zip(&fast_gradients) {
                let largest = a.iter().fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
                let off = a.iter().zip(b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / largest;
                if off > worst.0 {
                    worst = (off, name.clone());
                }
            }
            println!(
                "{kernel}, seed {seed}: {flips} spikes differ, loss {loss} (plain {plain_loss}), gradients {worst:?}"
            );
            // If a spike differs, the gradients belong to different networks and are not compared.
            if flips == 0 {
                assert!(worst.0 < 1e-4, "{kernel}, seed {seed}: a gradient is off by {worst:?} of its largest");
                assert!((loss - plain_loss).abs() < 1e-5, "{kernel}, seed {seed}: {loss}, plain {plain_loss}");
                *compared += 1;
            }
        }
    }
    assert!(spikes > 100_000, "only {spikes} spikes in all");
    assert!(compared.iter().all(|n| *n >= 2), "seeds without a flip, per kernel: {compared:?}");
}

/// Trains ten iterations of SGD with the plain kernels; in each, the other kernels compute the loss
/// from the same weights.
///
/// The other kernels do not train on their own weights: in so deep a network with so few samples,
/// one spike at the threshold changes later losses by hundredths, and so does one rounding of the
/// weights with the plain kernels.
#[test]
#[ignore = "half a minute to a minute; `.ci/extra kernels` runs it"]
fn the_losses_of_ten_iterations_of_resnet18_are_those_of_the_plain_kernels() {
    let (network, batch) = (network(), 2);
    let sgd = OptimiserSetting::sgd(0.9, 5e-4);
    for configuration in [vec![2; 8], vec![2, 1, 1, 2, 2, 1, 2, 1]] {
        let mut plain = model(&network, KernelChoice::Plain, 1000);
        let mut optimiser = OptimiserState::new(sgd, plain.parameters.len());
        let (mut equal, mut losses) = ([0; FORCED.len()], Vec::new());
        for k in 0..10 {
            let x = images(batch, 100 + k);
            let gradients_of = |model: &mut Model| {
                let (mut rng, configurations) = (ChaCha8Rng::seed_from_u64(k), [configuration.clone()]);
                gradients(model, &x, &[1, 4], &configurations, &setting(2), &mut rng).expect("fits")
            };
            let plain_fired = fired(&plain, &x, &configuration);
            let before = plain.clone();
            let (g, report) = gradients_of(&mut plain);
            for (kernel, equal) in FORCED.into_iter().zip(&mut equal) {
                let mut fast = before.clone().with_kernel(kernel);
                let flips = flips(&plain_fired, &fired(&fast, &x, &configuration), &format!("{kernel}, iteration {k}"));
                let loss = gradients_of(&mut fast).1.loss;
                println!("{kernel}, iteration {k}: {flips} spikes differ, loss {loss}, plain {}", report.loss);
                if flips == 0 {
                    assert!(
                        (loss - report.loss).abs() < 1e-3,
                        "{kernel}, iteration {k}: {loss}, plain {}",
                        report.loss
                    );
                    *equal += 1;
                }
            }
            optimiser.step(&mut plain.parameters, g, 0.01);
            losses.push(report.loss);
        }
        assert!(losses.iter().all(|l| l.is_finite()), "{losses:?}");
        assert!(equal.iter().all(|n| *n >= 7), "iterations without a flip, per kernel: {equal:?}");
    }
}
