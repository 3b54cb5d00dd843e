//! Tests that workers that share every batch end with the weights of one worker with whole batches.
//!
//! The workers add in another order, which changes the weights by rounding only, provided that no
//! spike is so close to the threshold that rounding decides; the seeds are chosen accordingly.

#[path = "common/last.rs"]
mod last;
#[path = "common/training.rs"]
mod training;

use burn::tensor::Tensor;
use last::Last;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tickless_kernels::KernelChoice;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::recipe::Recipe;
use tickless_net::zoo::{self, ZooOptions};
use tickless_net::{LeakRule, Network, Neuron, Weights};
use tickless_testing::recipes::residual_layers;
use tickless_train::data::{Parts, Source};
use tickless_train::device::Device;
use tickless_train::distributed::{Group, Ranks, threads};
use tickless_train::iteration::{StepReport, StepSetting, gradients};
use tickless_train::loss::LossSetting;
use tickless_train::model::Model;
use tickless_train::model::Sequence;
use tickless_train::model::{NormMode, Pass};
use tickless_train::progress::Silent;
use tickless_train::run::checkpoint::{Checkpoint, Position};
use tickless_train::run::train_plan::initial_weights;
use tickless_train::run::trainer::{Task, Trainer};
use tickless_train::{Error, Result};
use training::{StopAfter, difference};

/// A residual network; its second neuron layer sums two branches, and one of them is normalised.
/// Its convolutions have no bias.
fn residual() -> String {
    format!("name = \"residual\"\n{}", residual_layers().replace("stride = 2\nbias = true", "stride = 2"))
}

/// A spikformer of 24 channels.
const SPIKFORMER: &str = "name = \"spikformer-2-384\"\nwidth = 0.0625";

/// A recipe of five iterations of SGD on the embedded recordings, with validation.
fn recipe(network: &str, strategy: &str, seed: u64) -> Recipe {
    let text = format!(
        r#"
        seed = {seed}
        [data]
        set = "digits-dvs"
        seed = 0
        train_limit = 125
        validation = 0.2
        test_limit = 20
        augment = {{ flip = true, roll = 2 }}
        [network]
        {network}
        [train]
        strategy = "{strategy}"
        t_max = 4
        samples = 2
        epochs = 1
        batch = 20
        optimiser = "sgd"
        learning_rate = 0.05
        init_gain = 1.5
        "#
    );
    Recipe::parse(&text, Path::new("parallel.toml"), &[]).expect("a recipe")
}

struct Job {
    recipe: Recipe,
    source: Source,
    parts: Parts,
    network: Arc<Network>,
}

impl Job {
    fn new(recipe: Recipe) -> Self {
        let source = Source::open(&recipe.data, recipe.seed).expect("embedded");
        let parts = Parts::of(&source, &recipe.data, recipe.seed).expect("parts");
        let (shape, kind) = source.input();
        let network = Arc::new(recipe.network.build(shape, kind, 10).expect("a network"));
        Self { recipe, source, parts, network }
    }

    fn trainer(&self, ranks: Ranks, from: Option<Checkpoint>) -> Result<Trainer<'_>> {
        let Job { recipe, source, parts, network } = self;
        let task = Task { recipe, source, parts, network: network.clone(), step_us: None, device: Device::flex() };
        let trainer = match from {
            Some(checkpoint) => Trainer::resume(task, checkpoint),
            None => Trainer::new(task, &initial_weights(recipe, network)),
        };
        trainer?.with_ranks(ranks)
    }

    fn train(&self, ranks: Ranks) -> Result<(Weights, Position)> {
        let (model, position) = self.trainer(ranks, None)?.run(&mut (), &Silent)?;
        Ok((model.weights(), position))
    }
}

#[test]
fn several_workers_train_the_weights_of_one_with_the_whole_batch() {
    for (network, seed) in [("name = \"demo\"\nnorm = true", 1), (&residual(), 1), (SPIKFORMER, 1)] {
        for strategy in ["sdt", "mtt"] {
            let job = Job::new(recipe(network, strategy, seed));
            let (one, position) = job.train(Ranks::alone()).expect("trains");
            let start = initial_weights(&job.recipe, &job.network);
            assert!(difference(&start, &one) > 1e-2, "{strategy}: nothing was learnt");
            assert_eq!(position.iteration, 5);
            // With three workers, the parts have 6, 7 and 7 samples.
            for workers in [2, 3] {
                let all = threads::run(workers, 1, |ranks| job.train(ranks)).expect("trains");
                let d = difference(&one, &all[0].0);
                assert!(d < 1e-5, "{strategy}, {workers} workers: weights differ by {d:e} of the largest");
                assert!(all.iter().all(|w| w.0 == all[0].0), "{strategy}: workers end with different weights");
                let (a, b) = (&position.history[0], &all[1].1.history[0]);
                assert!((a.train_loss - b.train_loss).abs() < 1e-5, "{} and {}", a.train_loss, b.train_loss);
                assert_eq!(a.train_accuracy, b.train_accuracy);
                assert_eq!(a.validation_accuracy, b.validation_accuracy);
            }
        }
    }
}

#[test]
fn a_group_of_one_gives_the_bits_of_no_group() {
    let job = Job::new(recipe("name = \"demo\"\nnorm = true", "mtt", 3));
    let (one, _) = job.train(Ranks::alone()).expect("trains");
    let all = threads::run(1, 2, |ranks| job.train(ranks)).expect("trains");
    assert_eq!(one, all[0].0);
}

struct Iteration {
    gradients: Vec<Option<Vec<f32>>>,
    report: StepReport,
    running: Vec<Vec<f32>>,
}

/// Runs one iteration of a network with norms in this mode on one worker's part of the batch.
fn iteration(ranks: &Ranks, kernel: KernelChoice, norm: NormMode, batch: usize) -> Result<Iteration> {
    let options = ZooOptions { norm: Some(true), neuron: Some(Neuron::lif()), ..ZooOptions::default() };
    let network = Arc::new(zoo::build("nmnist-small", &options).expect("a network of the zoo"));
    let weights = initialise(&network, InitScheme::Uniform { conv_gain: 1.5 }, 1000);
    let model = Model::new(network.clone(), &weights, &Device::flex())?;
    let mut model = model.with_kernel(kernel).with_ranks(ranks.clone());
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (t, shape) = (4, network.input().shape);
    let values: Vec<f32> =
        (0..t * batch * shape.len()).map(|_| f32::from(rng.random_range(0u8..12).saturating_sub(9))).collect();
    let mine = ranks.share(batch);
    let step = |s: usize| &values[(s * batch + mine.start) * shape.len()..(s * batch + mine.end) * shape.len()];
    let values = (0..t).flat_map(step).copied().collect();
    let shape = [t, mine.len(), shape.channels, shape.height, shape.width];
    let input = Sequence::from_values(values, shape, &Device::flex());
    let labels: Vec<usize> = mine.map(|i| i % 10).collect();
    let setting = StepSetting { loss: LossSetting::default(), norm, leak: LeakRule::Step, t_max: t, step_us: None };
    let configurations = [vec![4, 2, 3], vec![1, 4, 2]];
    let (g, report) = gradients(&mut model, &input, &labels, &configurations, &setting, &mut rng)?;
    let values = |t: &Tensor<1>| t.clone().into_data().try_into_vec::<f32>().expect("f32");
    let gradients = g.iter().map(|g| g.as_ref().map(&values)).collect();
    let running = model.running.iter().flat_map(|r| [values(&r.mean), values(&r.variance)]).collect();
    Ok(Iteration { gradients, report, running })
}

fn close(what: &str, a: &[f32], b: &[f32]) {
    let largest = a.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 2e-5 * largest, "{what}: {a} and {b}, the largest is {largest}");
    }
}

#[test]
fn gradients_and_statistics_of_unequal_parts_are_those_of_the_whole_by_every_kernel() {
    for kernel in [KernelChoice::Auto, KernelChoice::Plain] {
        for norm in [NormMode::Batch, NormMode::Running] {
            let one = iteration(&Ranks::alone(), kernel, norm, 7).expect("fits");
            for workers in [2, 3] {
                let all = threads::run(workers, 1, |ranks| iteration(&ranks, kernel, norm, 7)).expect("fits");
                for other in &all {
                    let what = format!("{kernel}, {norm:?}, {workers} workers");
                    assert!((one.report.loss - other.report.loss).abs() < 1e-6, "{what}: loss");
                    assert_eq!(one.report.correct, other.report.correct, "{what}");
                    assert_eq!(one.report.predictions, other.report.predictions, "{what}");
                    assert_eq!(one.gradients.len(), other.gradients.len());
                    for (k, (a, b)) in one.gradients.iter().zip(&other.gradients).enumerate() {
                        assert_eq!(a.is_some(), b.is_some());
                        close(
                            &format!("{what}: gradient {k}"),
                            a.as_deref().unwrap_or_default(),
                            b.as_deref().unwrap_or_default(),
                        );
                    }
                    for (k, (a, b)) in one.running.iter().zip(&other.running).enumerate() {
                        close(&format!("{what}: running statistics {k}"), a, b);
                    }
                }
            }
        }
    }
}

#[test]
fn one_worker_asked_to_stop_stops_all_and_what_they_go_on_with_ends_as_if_never_stopped() {
    let job = Job::new(recipe("name = \"demo\"\nnorm = true", "mtt", 5));
    let whole = threads::run(2, 1, |ranks| job.train(ranks)).expect("trains");
    let stopped = threads::run(2, 1, |ranks| {
        let mut last = Last::default();
        let stop = StopAfter::new(if ranks.is_first() { usize::MAX } else { 3 });
        let end = job.trainer(ranks, None)?.run(&mut last, &stop);
        assert!(matches!(end, Err(Error::Stopped { iteration: 3, .. })), "{end:?}");
        Ok(last.0)
    });
    let stopped = stopped.expect("each worker ends by itself");
    assert!(stopped[1].is_none(), "only the first worker keeps checkpoints");
    let resumed = threads::run(2, 1, |ranks| {
        let (model, _) = job.trainer(ranks, stopped[0].clone())?.run(&mut (), &Silent)?;
        Ok(model.weights())
    });
    assert_eq!(resumed.expect("trains")[0], whole[0].0);
}

#[test]
fn more_workers_than_samples_of_a_batch_are_refused() {
    let job = Job::new(recipe("name = \"demo\"", "sdt", 1));
    let refused = threads::run(21, 1, |ranks| job.train(ranks).map(drop)).expect_err("20 samples");
    assert!(refused.to_string().contains("raise `train.batch`"), "{refused}");
}

/// A worker whose group may lose its other member. Until then, the other member adds nothing.
#[derive(Debug, Default)]
struct Leaving {
    has_left: AtomicBool,
}

impl Leaving {
    fn answer(&self) -> Result<()> {
        if self.has_left.load(Ordering::Relaxed) { Err(Error::WorkerLeft { rank: 1 }) } else { Ok(()) }
    }
}

impl Group for Leaving {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        2
    }

    fn sum_f64(&self, _: &mut [f64]) -> Result<()> {
        self.answer()
    }

    fn sum_f32(&self, _: &mut [f32]) -> Result<()> {
        self.answer()
    }

    fn broadcast(&self, _: &mut Vec<u8>) -> Result<()> {
        self.answer()
    }

    fn barrier(&self) -> Result<()> {
        self.answer()
    }
}

#[test]
fn who_runs_a_pass_learns_of_a_worker_that_left_during_the_backward_pass() {
    let options = ZooOptions { norm: Some(true), ..ZooOptions::default() };
    let network = Arc::new(zoo::build("nmnist-small", &options).expect("a network"));
    let weights = initialise(&network, InitScheme::Uniform { conv_gain: 1.5 }, 1);
    for kernel in [KernelChoice::Auto, KernelChoice::Plain] {
        let group = Arc::new(Leaving::default());
        let model = Model::new(network.clone(), &weights, &Device::flex()).expect("the weights fit");
        let model = model.with_kernel(kernel).with_ranks(Ranks::of(group.clone()));
        for leaves_early in [false, true] {
            group.has_left.store(false, Ordering::Relaxed);
            let shape = network.input().shape;
            let values = vec![1.0; 8 * shape.len()];
            let shape = [4, 2, shape.channels, shape.height, shape.width];
            let frames = Sequence::from_values(values, shape, &Device::flex().autodiff());
            let configuration = vec![4; network.stages()];
            let pass = Pass {
                configuration: &configuration,
                norm: NormMode::Batch,
                leak: LeakRule::Step,
                t_max: 4,
                step_us: None,
            };
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let output = model.forward(&model.leaves(), frames, &pass, &mut rng, None).expect("runs");
            group.has_left.store(leaves_early, Ordering::Relaxed);
            let _ = output.logits.clone().sum().backward();
            match output.check_backward() {
                Ok(()) => assert!(!leaves_early, "{kernel}: the gradients are wrong, and nobody says so"),
                Err(error) => assert!(leaves_early && matches!(error, Error::WorkerLeft { rank: 1 }), "{error}"),
            }
        }
    }
}
