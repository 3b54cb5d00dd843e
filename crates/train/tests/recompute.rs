//! Tests that recomputing the stages in the backward pass does not change a bit of the training.

use burn::tensor::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::sync::Arc;
use tickless_kernels::{KernelChoice, Precision};
use tickless_net::init::{InitScheme, initialise};
use tickless_net::recipe::Recipe;
use tickless_net::zoo::{self, ZooOptions};
use tickless_net::{Conv, InputKind, Layer, LeakRule, Network, NetworkBuilder, Neuron, NodeId, Pool, Shape, TtmMode};
use tickless_train::data::{Parts, Source};
use tickless_train::distributed::{Ranks, threads};
use tickless_train::iteration::{StepSetting, gradients};
use tickless_train::loss::LossSetting;
use tickless_train::model::Model;
use tickless_train::model::NormMode;
use tickless_train::model::Sequence;
use tickless_train::progress::Silent;
use tickless_train::run::checkpoint::Checkpoint;
use tickless_train::run::train_plan::initial_weights;
use tickless_train::run::trainer::{Hooks, Task, Trainer};
use tickless_train::{Error, Result};

const STEPS: usize = 5;
const BATCH: usize = 6;
const CLASSES: usize = 4;

/// Adds a convolution, a norm if `norm`, and neurons.
fn spiking(b: &mut NetworkBuilder, from: NodeId, conv: Conv, norm: bool) -> NodeId {
    let x = b.conv(from, conv);
    let x = if norm { b.norm(x) } else { x };
    b.neuron(x, Neuron::lif())
}

/// Begins a stage with a TTM.
fn stage(b: &mut NetworkBuilder, from: NodeId, mode: TtmMode) -> NodeId {
    b.add("", Layer::Ttm(mode), &[from])
}

/// Stem, a residual block with a projection, one without, and a pooled block: four stages, or five
/// if a TTM precedes the stem.
fn residual(kind: InputKind, mode: TtmMode) -> Network {
    let shape = Shape { channels: 2, height: 12, width: 12 };
    let mut b = NetworkBuilder::new("residual", shape, kind);
    let x = match kind {
        InputKind::Events => {
            let x = b.pool(b.input(), Pool::average(1));
            stage(&mut b, x, mode)
        }
        InputKind::Image => b.input(),
    };
    let x = spiking(&mut b, x, Conv::c3(8), true);
    let start = stage(&mut b, x, mode);
    let main = spiking(&mut b, start, Conv::c3(16).with_stride(2), true);
    let main = b.conv(main, Conv::c3(16));
    let main = b.norm(main);
    let aside = b.conv(start, Conv::square(16, 1, 2, 0));
    let aside = b.norm(aside);
    let sum = b.add("", Layer::Add, &[main, aside]);
    let x = b.neuron(sum, Neuron::lif());
    let start = stage(&mut b, x, mode);
    let main = b.conv(start, Conv::c3(16));
    let main = b.norm(main);
    let sum = b.add("", Layer::Add, &[main, start]);
    let x = b.neuron(sum, Neuron::lif());
    let x = b.pool(x, Pool::average(2));
    let x = stage(&mut b, x, mode);
    let x = spiking(&mut b, x, Conv { bias: true, ..Conv::c3(16) }, false);
    let x = b.add("", Layer::GlobalAverage, &[x]);
    b.linear(x, CLASSES, true);
    b.build().expect("fits")
}

/// A chain of three stages without norms; the second begins with a pool.
fn chain(mode: TtmMode) -> Network {
    let shape = Shape { channels: 2, height: 12, width: 12 };
    let mut b = NetworkBuilder::new("chain", shape, InputKind::Events);
    let x = stage(&mut b, NodeId::Input, mode);
    let x = spiking(&mut b, x, Conv::c3(8), false);
    let x = stage(&mut b, x, mode);
    let x = b.pool(x, Pool::average(2));
    let x = spiking(&mut b, x, Conv::c3(16), false);
    let x = stage(&mut b, x, mode);
    let x = b.linear(x, 20, false);
    let x = b.neuron(x, Neuron::lif());
    b.linear(x, CLASSES, false);
    b.build().expect("fits")
}

/// A spikformer of two stages for images.
fn spikformer(mode: TtmMode) -> Network {
    let input = Some((Shape { channels: 2, height: 8, width: 8 }, InputKind::Image));
    let options =
        ZooOptions { classes: CLASSES, width: Some(1.0 / 24.0), ttm: Some(mode), input, ..Default::default() };
    zoo::build("spikformer-2-384", &options).expect("a network of the zoo")
}

fn model(network: &Network, device: &Device) -> Model {
    let weights = initialise(network, InitScheme::Uniform { conv_gain: 2.0 }, 3);
    Model::new(Arc::new(network.clone()), &weights, device).expect("fits")
}

fn input(network: &Network, batch: usize, device: &Device) -> Sequence {
    let (mut rng, shape) = (ChaCha8Rng::seed_from_u64(5), network.input().shape);
    let steps = if network.input().kind == InputKind::Image { 1 } else { STEPS };
    let values = (0..steps * batch * shape.len()).map(|_| f32::from(rng.random_range(0u8..12).saturating_sub(8)));
    Sequence::from_values(values.collect(), [steps, batch, shape.channels, shape.height, shape.width], device)
}

fn bits<const D: usize>(t: &Tensor<D>) -> Vec<u32> {
    let values: Vec<f32> = t.clone().into_data().try_into_vec().expect("f32");
    values.into_iter().map(f32::to_bits).collect()
}

/// All results of an iteration, by name, as bits.
#[derive(Debug, PartialEq)]
struct Trace(Vec<(String, Vec<u32>)>);

/// Runs one iteration over these configurations and records gradients, loss, running statistics
/// and the next draw of the generator.
fn iteration(model: Model, x: &Sequence, labels: &[usize], configurations: &[Vec<usize>]) -> Result<Trace> {
    iteration_by(NormMode::Batch, model, x, labels, configurations)
}

fn iteration_by(
    norm: NormMode,
    mut model: Model,
    x: &Sequence,
    labels: &[usize],
    configurations: &[Vec<usize>],
) -> Result<Trace> {
    let setting = StepSetting { loss: LossSetting::default(), norm, leak: LeakRule::Step, t_max: STEPS, step_us: None };
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (all, report) = gradients(&mut model, x, labels, configurations, &setting, &mut rng)?;
    let mut trace = vec![
        ("loss".to_owned(), vec![report.loss.to_bits()]),
        ("correct".to_owned(), vec![report.correct as u32]),
        ("next draw".to_owned(), vec![rng.random()]),
    ];
    for (p, g) in model.parameters.iter().zip(&all) {
        // Frozen norms do not train their shift.
        assert!(g.is_some() || norm == NormMode::Running, "`{}` has no gradient", p.name);
        trace.push((p.name.clone(), g.as_ref().map(bits).unwrap_or_default()));
    }
    for r in &model.running {
        trace.push((format!("{} mean", r.name), bits(&r.mean)));
        trace.push((format!("{} variance", r.name), bits(&r.variance)));
    }
    Ok(Trace(trace))
}

/// Configurations of SDT, NMT and MTT, so that the TTMs both repeat and sum steps.
fn configurations(stages: usize) -> Vec<Vec<Vec<usize>>> {
    let mixed = |seed: u64| -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..stages).map(|_| rng.random_range(1..=STEPS)).collect()
    };
    vec![vec![vec![STEPS; stages]], vec![vec![2; stages], vec![4; stages]], (0..3).map(mixed).collect()]
}

fn labels(batch: usize) -> Vec<usize> {
    (0..batch).map(|i| i % CLASSES).collect()
}

fn networks() -> Vec<Network> {
    let modes = [TtmMode::Even, TtmMode::Soft, TtmMode::Random, TtmMode::Trim];
    let networks = |mode| {
        let attention = spikformer(mode);
        [residual(InputKind::Events, mode), residual(InputKind::Image, mode), chain(mode), attention]
    };
    modes.into_iter().flat_map(networks).collect()
}

/// Checks that the network fires, because gradients that are all zero would always be equal.
fn assert_alive(trace: &Trace, what: &str) {
    let dead = |values: &[u32]| values.iter().all(|b| f32::from_bits(*b) == 0.0);
    let alive = trace.0.iter().filter(|(name, v)| name.contains("conv") && name.ends_with("weight") && !dead(v));
    assert!(alive.count() >= 2, "{what}: the network is silent, so nothing is tested");
}

/// Checks that two traces have the same bits; names the results that differ.
fn assert_same(kept: &Trace, again: &Trace, what: &str) {
    assert_eq!(kept.0.len(), again.0.len(), "{what}");
    let pairs = kept.0.iter().zip(&again.0);
    let differ: Vec<&str> = pairs.filter(|(a, b)| a != b).map(|(a, _)| a.0.as_str()).collect();
    assert!(differ.is_empty(), "{what}: not the same bits: {}", differ.join(", "));
}

#[test]
fn an_iteration_is_the_same_to_the_bit_in_every_network_strategy_and_ttm() {
    let device = Device::flex();
    for network in networks() {
        for configurations in configurations(network.stages()) {
            let what = format!("{} {:?}, {configurations:?}", network.name(), network.nodes()[1].layer);
            let (x, labels) = (input(&network, BATCH, &device), labels(BATCH));
            let run = |recompute| {
                let model = model(&network, &device).with_recompute(recompute);
                iteration(model, &x, &labels, &configurations).expect("trains")
            };
            let (kept, again) = (run(false), run(true));
            assert_alive(&kept, &what);
            assert_same(&kept, &again, &what);
        }
    }
}

#[test]
fn it_is_so_with_every_kernel_at_every_precision_of_training_and_with_frozen_norms() {
    let device = Device::flex();
    let network = residual(InputKind::Events, TtmMode::Random);
    let (x, labels) = (input(&network, BATCH, &device), labels(BATCH));
    let kernels = [KernelChoice::Auto, KernelChoice::Sparse, KernelChoice::Dense, KernelChoice::Plain]
        .map(|k| (k, Precision::F32));
    for (kernel, precision) in
        kernels.into_iter().chain([(KernelChoice::Auto, Precision::Bf16), (KernelChoice::Dense, Precision::Bf16)])
    {
        let run = |recompute| {
            let model = model(&network, &device).with_kernel(kernel).with_precision(precision);
            iteration(model.with_recompute(recompute), &x, &labels, &configurations(network.stages())[2])
                .expect("trains")
        };
        assert_eq!(run(false), run(true), "{kernel} {precision}");
    }
    let run = |recompute| {
        let model = model(&network, &device).with_recompute(recompute);
        iteration_by(NormMode::Running, model, &x, &labels, &configurations(network.stages())[2]).expect("trains")
    };
    assert_eq!(run(false), run(true), "frozen norms");
}

#[test]
fn workers_that_share_a_batch_meet_in_the_stages_that_run_again() {
    let device = Device::flex();
    for kernel in [KernelChoice::Auto, KernelChoice::Plain] {
        for network in [residual(InputKind::Events, TtmMode::Random), spikformer(TtmMode::Even)] {
            let run = |recompute| {
                threads::run(3, 1, |ranks: Ranks| {
                    // The three workers have one, two and three samples.
                    let all = input(&network, BATCH, &device);
                    let (frames, all) = (all.steps(), all.tensor());
                    let (from, to) = [(0, 1), (1, 3), (3, BATCH)][ranks.rank()];
                    let rows = (0..frames).map(|t| all.clone().narrow(0, t * BATCH + from, to - from)).collect();
                    let x = Sequence::new(Tensor::cat(rows, 0), frames);
                    let model = model(&network, &device).with_kernel(kernel).with_ranks(ranks);
                    let model = model.with_recompute(recompute);
                    iteration(model, &x, &labels(BATCH)[from..to], &configurations(network.stages())[2])
                })
                .expect("trains")
            };
            let (kept, again) = (run(false), run(true));
            assert_alive(&kept[0], "workers");
            for (kept, again) in kept.iter().zip(&again) {
                assert_same(kept, again, &format!("{kernel}, {}", network.name()));
            }
        }
    }
}

/// Stores the last checkpoint and stops the training after `left` checkpoints.
struct StopAfter {
    left: usize,
    last: Option<Checkpoint>,
}

impl Hooks for StopAfter {
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.last = Some(checkpoint.clone());
        self.left -= 1;
        if self.left == 0 { Err(Error::Stopped { epoch: 0, iteration: 0 }) } else { Ok(()) }
    }
}

fn recipe(key: &str) -> Recipe {
    let text = r#"
        seed = 4
        [data]
        set = "digits-dvs"
        seed = 0
        train_limit = 100
        validation = 0.2
        test_limit = 20
        augment = { flip = true, roll = 2 }
        [network]
        name = "demo"
        norm = true
        ttm = "random"
        [train]
        strategy = "mtt"
        t_max = 4
        samples = 2
        epochs = 3
        batch = 20
        optimiser = "adamw"
        init_gain = 1.5
        "#;
    Recipe::parse(text, Path::new("recompute.toml"), &[key.to_owned()]).expect("a recipe")
}

#[test]
fn a_training_ends_with_the_same_weights_also_where_it_was_stopped_and_resumed() {
    let train = |recipe: &Recipe, stop: bool| {
        let source = Source::open(&recipe.data, recipe.seed).expect("embedded");
        let parts = Parts::of(&source, &recipe.data, recipe.seed).expect("parts");
        let (shape, kind) = source.input();
        let network = Arc::new(recipe.network.build(shape, kind, 10).expect("a network"));
        let weights = initial_weights(recipe, &network);
        let trainer = |from| {
            let (network, step_us, device) = (network.clone(), Some(1e4), Device::flex());
            let task = Task { recipe, source: &source, parts: &parts, network, step_us, device };
            let trainer = match from {
                Some(checkpoint) => Trainer::resume(task, checkpoint),
                None => Trainer::new(task, &weights),
            };
            trainer.expect("fits")
        };
        let from = stop.then(|| {
            let mut hooks = StopAfter { left: 2, last: None };
            trainer(None).run(&mut hooks, &Silent).map(drop).expect_err("is stopped");
            hooks.last.expect("a checkpoint")
        });
        let (model, position) = trainer(from).run(&mut (), &Silent).expect("trains");
        assert!(position.history.iter().all(|m| m.train_loss.is_finite()));
        model.weights()
    };
    let kept = train(&recipe("train.recompute=false"), false);
    let again = recipe("train.recompute=true");
    assert!(again.train.recompute);
    assert_eq!(kept, train(&again, false));
    assert_eq!(kept, train(&again, true));
    assert_eq!(recipe("train.checkpoint=true"), again);
}
