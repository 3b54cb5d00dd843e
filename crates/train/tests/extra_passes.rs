//! Tests of the additions of a recipe to the passes of a strategy: the penalty on rates, the pass
//! at a multiple of T_max steps with its distillation, and the pass with the spikes of an
//! event-driven run.

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
use std::sync::atomic::{AtomicUsize, Ordering};
use tickless_events::Framing;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::recipe::Recipe;
use tickless_net::zoo::{self, ZooOptions};
use tickless_net::{LeakRule, Neuron, Refractory, Weights};
use tickless_train::Error;
use tickless_train::data::{BatchRequest, Parts, Source};
use tickless_train::device::Device;
use tickless_train::distributed::{Ranks, threads};
use tickless_train::evaluate::{Setting, activity};
use tickless_train::iteration::{StepReport, StepSetting, TrainingPass, gradients_of};
use tickless_train::loss::{LossSetting, RatePenalty};
use tickless_train::model::{Model, NormMode, Sequence};
use tickless_train::progress::Silent;
use tickless_train::run::checkpoint::Checkpoint;
use tickless_train::run::train_plan::initial_weights;
use tickless_train::run::trainer::{Task, Trainer};
use tickless_train::strategy::{EventDrivenForward, EventDrivenRun, LayerSpikes};
use training::{StopAfter, difference};

const T_MAX: usize = 4;
const BATCH: usize = 6;

/// The penalty alone, the long pass alone and as a teacher, the event-driven pass, and all
/// together.
const VARIANTS: [&[&str]; 6] = [
    &["train.rate_penalty={ weight = 2.0, share = 0.3 }"],
    &["train.long={ times = 3, every = 2, replaces = 1 }"],
    &["train.long={ times = 2, distill = 0.5 }"],
    &["train.event_driven={ every = 2, replaces = 2 }"],
    &["data.augment.jitter_steps=0.5"],
    &[
        "train.rate_penalty={ weight = 2.0, share = 0.3 }",
        "train.long={ times = 2, every = 3, replaces = 1, distill = 0.5 }",
        "train.event_driven={ every = 2, replaces = 1 }",
        "data.augment.jitter_steps=0.5",
        "train.samples=3",
    ],
];

fn recipe(set: &[&str]) -> Recipe {
    let text = r#"
        seed = 4
        [data]
        set = "digits-dvs"
        seed = 0
        train_limit = 80
        test_limit = 20
        augment = { flip = true, roll = 2 }
        [network]
        name = "demo"
        neuron = { refractory = { steps = 0.5 } }
        [train]
        strategy = "mtt"
        t_max = 4
        samples = 2
        epochs = 2
        batch = 20
        init_gain = 1.5
        "#;
    let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
    Recipe::parse(text, Path::new("extra.toml"), &set).expect("a recipe")
}

/// A stand-in for the engine. Its counts depend only on recordings and weights, and most neurons
/// are silent.
#[derive(Debug, Default)]
struct Hashed(AtomicUsize);

impl EventDrivenForward for Hashed {
    fn spikes(&self, run: &EventDrivenRun<'_>) -> Result<LayerSpikes, Box<dyn std::error::Error + Send + Sync>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let first = run.weights.tensors.values().next().expect("weights").data[0];
        let (steps, batch) = (run.steps, run.recordings.len());
        let layer = |i: &usize| {
            let n = run.network.nodes()[*i].output.len();
            let mut all = vec![0.0; steps * batch * n];
            for (b, recording) in run.recordings.iter().enumerate() {
                let seed = recording.iter().map(|e| u64::from(e.x) + 31 * u64::from(e.y)).sum::<u64>();
                let mut rng = ChaCha8Rng::seed_from_u64(seed + u64::from(first.to_bits()));
                for t in 0..steps {
                    let row = &mut all[(t * batch + b) * n..][..n];
                    row.iter_mut().for_each(|c| *c = f32::from(rng.random_range(0u8..9).saturating_sub(6)));
                }
            }
            all
        };
        Ok(LayerSpikes { steps, batch, layers: run.network.spiking().iter().map(layer).collect() })
    }
}

struct Job {
    recipe: Recipe,
    source: Source,
    parts: Parts,
    executor: Hashed,
}

impl Job {
    fn new(set: &[&str]) -> Self {
        let recipe = recipe(set);
        let source = Source::open(&recipe.data, recipe.seed).expect("embedded");
        let parts = Parts::of(&source, &recipe.data, recipe.seed).expect("parts");
        Self { recipe, source, parts, executor: Hashed::default() }
    }

    fn task(&self) -> Task<'_> {
        let Self { recipe, source, parts, .. } = self;
        let (shape, kind) = source.input();
        let network = Arc::new(recipe.network.build(shape, kind, 10).expect("a network"));
        Task { recipe, source, parts, network, step_us: Some(1e4), device: Device::flex() }
    }

    fn trainer(&self, ranks: Ranks, from: Option<Checkpoint>) -> Trainer<'_> {
        let task = self.task();
        let weights = initial_weights(&self.recipe, &task.network);
        let trainer = match from {
            Some(checkpoint) => Trainer::resume(task, checkpoint),
            None => Trainer::new(task, &weights),
        };
        trainer.expect("fits").with_event_driven(Some(&self.executor)).with_ranks(ranks).expect("enough samples")
    }

    fn train(&self) -> Weights {
        self.trainer(Ranks::alone(), None).run(&mut (), &Silent).expect("trains").0.weights()
    }
}

fn on_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("threads").install(work)
}

#[test]
fn each_variant_trains_other_weights_and_the_same_ones_again_on_any_number_of_threads() {
    let plain = Job::new(&[]).train();
    for set in VARIANTS {
        let one = on_threads(1, || Job::new(set).train());
        assert!(one != plain, "{set:?}: changes nothing");
        assert!(one == on_threads(3, || Job::new(set).train()), "{set:?}: depends on threads");
    }
}

#[test]
fn finer_frames_and_recordings_of_a_batch_are_augmented_as_its_frames_are() {
    let job = Job::new(&["data.augment={ flip = true, roll = 3, drop = 0.1, jitter_steps = 0.5, polarity = 0.5 }"]);
    let (ids, n) = (&job.parts.train[..8], job.source.input().0.len());
    for augment in [None, Some((4, 0)), Some((4, 7))] {
        let frames = BatchRequest::frames(T_MAX, augment);
        let mut request = frames;
        (request.finer, request.recordings) = (Some(3), true);
        let batch = job.source.batch_of(ids, request).expect("decodes");
        assert!(batch.values == job.source.batch_of(ids, frames).expect("decodes").values);
        let finer = batch.finer.expect("asked for");
        let step = |t: usize| &finer[t * 8 * n..(t + 1) * 8 * n];
        let summed = |t: usize| (0..8 * n).map(move |i| (0..3).map(|k| step(3 * t + k)[i]).sum::<f32>());
        let coarse: Vec<f32> = (0..T_MAX).flat_map(summed).collect();
        assert!(coarse == batch.values, "{augment:?}: the finer frames are of other events");
        for (b, recording) in batch.recordings.iter().enumerate() {
            let own = Framing::slices(T_MAX).frames::<f32>(recording).expect("frames").data;
            let same = |t: usize| own[t * n..(t + 1) * n] == batch.values[(t * 8 + b) * n..][..n];
            assert!((0..T_MAX).all(same), "{augment:?}: recording {b} has other frames");
        }
    }
}

#[test]
fn each_variant_that_was_stopped_within_an_epoch_ends_as_if_it_never_was() {
    for set in VARIANTS {
        let job = Job::new(set);
        let whole = job.train();
        for iterations in [1, 3, 6] {
            let mut last = Last::default();
            let stop = StopAfter::new(iterations);
            let end = job.trainer(Ranks::alone(), None).run(&mut last, &stop);
            assert!(matches!(end, Err(Error::Stopped { .. })), "{end:?}");
            let (model, _) = job.trainer(Ranks::alone(), last.0).run(&mut (), &Silent).expect("trains");
            assert!(model.weights() == whole, "{set:?}, stopped after {iterations}");
        }
    }
}

#[test]
fn each_variant_trains_the_same_weights_if_the_stages_run_again() {
    for set in VARIANTS {
        let again = [set, &["train.recompute=true"]].concat();
        assert!(Job::new(set).train() == Job::new(&again).train(), "{set:?}");
    }
}

#[test]
fn workers_that_share_a_batch_train_the_weights_of_one() {
    for set in VARIANTS {
        let job = Job::new(&[set, &["train.epochs=1"]].concat());
        let one = job.train();
        let all = threads::run(3, 1, |ranks| Ok(job.trainer(ranks, None).run(&mut (), &Silent)?.0.weights()));
        let all = all.expect("trains");
        assert!(all.iter().all(|w| *w == all[0]), "{set:?}: workers end with different weights");
        let d = difference(&one, &all[0]);
        assert!(d < 1e-4, "{set:?}: weights differ by {d:e} of the largest");
    }
}

#[test]
fn the_event_driven_pass_runs_in_its_turns_alone() {
    for (every, expected) in [(1, 8), (3, 3), (100, 1)] {
        let job = Job::new(&[&format!("train.event_driven.every={every}")]);
        job.train();
        assert_eq!(job.executor.0.load(Ordering::Relaxed), expected, "of 8 iterations, one in {every}");
    }
    let job = Job::new(&[]);
    job.train();
    assert_eq!(job.executor.0.load(Ordering::Relaxed), 0);
}

#[test]
fn a_recipe_with_an_event_driven_pass_needs_an_executor_and_a_network_without_norms() {
    let job = Job::new(&["train.event_driven={}"]);
    let trainer = Trainer::new(job.task(), &initial_weights(&job.recipe, &job.task().network)).expect("fits");
    let e = trainer.run(&mut (), &Silent).expect_err("there is no executor").to_string();
    assert!(e.contains("`train.event_driven`"), "{e}");
    let job = Job::new(&["train.event_driven={}", "network.norm=true"]);
    let e = job.task().plan().expect_err("norms need a clock").to_string();
    assert!(e.contains("norm"), "{e}");
}

#[test]
fn an_iteration_costs_the_steps_of_its_passes() {
    for (set, expected) in [
        (&[][..], 5.0),
        (&["train.strategy=sdt"], 4.0),
        (&["train.long={ times = 3, replaces = 2 }"], 12.0),
        (&["train.long={ times = 3, every = 4, replaces = 1 }"], 5.0 - 2.5 / 4.0 + 3.0),
        (&["train.event_driven={ every = 2, replaces = 1 }"], 5.0 - 1.25 + 2.0),
        (&["train.rate_penalty.weight=1.0"], 5.0),
    ] {
        let job = Job::new(set);
        let plan = job.task().plan().expect("a plan");
        assert!((plan.mean_steps() - expected).abs() < 1e-12, "{set:?}: {}", plan.mean_steps());
    }
}

#[test]
fn distillation_needs_a_pass_that_learns_and_images_have_no_extra_pass() {
    let job = Job::new(&["train.long={ times = 2, replaces = 2, distill = 1.0 }"]);
    let e = job.task().plan().expect_err("no pass is left").to_string();
    assert!(e.contains("`train.long` `distill`"), "{e}");
    for (key, set) in [
        ("train.long", "train.long.times=2"),
        ("train.event_driven", "train.event_driven={}"),
        ("data.augment.jitter_steps", "data.augment.jitter_steps=0.5"),
    ] {
        let job = Job::new(&[set]);
        let network = zoo::build("resnet18", &ZooOptions::default()).expect("a network of images");
        let e = Task { network: Arc::new(network), ..job.task() }.plan().expect_err("images").to_string();
        assert!(e.contains(&format!("`{key}`")), "{e}");
    }
}

#[test]
fn a_penalty_of_weight_zero_trains_the_weights_of_none() {
    assert!(Job::new(&["train.rate_penalty.weight=0.0"]).train() == Job::new(&[]).train());
}

#[test]
fn a_penalty_lowers_the_rates() {
    let spikes = |set: &[&str]| {
        let job = Job::new(&[set, &["train.epochs=6", "data.augment={}"]].concat());
        let (model, _) = job.trainer(Ranks::alone(), None).run(&mut (), &Silent).expect("trains");
        let ids = &job.parts.test;
        let setting = Setting { source: &job.source, ids, t_max: T_MAX, step_us: Some(1e4), batch: 20 };
        let layers = activity(&model, &setting, T_MAX, LeakRule::Step, &Silent).expect("runs");
        layers.iter().map(|l| l.spikes).sum::<f64>()
    };
    let (free, paid) = (spikes(&[]), spikes(&["train.rate_penalty={ weight = 30.0, share = 0.3 }"]));
    assert!(paid < 0.8 * free && paid > 0.0, "{paid} spikes with a penalty, {free} without");
}

fn model(neuron: Neuron) -> Model {
    let options = ZooOptions { neuron: Some(neuron), ..ZooOptions::default() };
    let network = zoo::build("nmnist-small", &options).expect("a network of the zoo");
    let weights = initialise(&network, InitScheme::Uniform { conv_gain: 3.0 }, 3);
    Model::new(Arc::new(network), &weights, &Device::flex()).expect("the weights fit")
}

fn input(steps: usize) -> Sequence {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let values = (0..steps * BATCH * 2 * 34 * 34).map(|_| f32::from(rng.random_range(0u8..12).saturating_sub(9)));
    Sequence::from_values(values.collect(), [steps, BATCH, 2, 34, 34], &Device::flex())
}

type Iteration = (Vec<Option<Tensor<1>>>, StepReport);

fn iteration(model: &mut Model, passes: &[TrainingPass], loss: LossSetting) -> Iteration {
    let setting = StepSetting { loss, norm: NormMode::Batch, leak: LeakRule::Step, t_max: T_MAX, step_us: None };
    let labels: Vec<usize> = (0..BATCH).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    gradients_of(model, &input(T_MAX), &labels, passes, &setting, &mut rng).expect("fits")
}

fn bits(iteration: &Iteration) -> Vec<u32> {
    let values = |t: &Tensor<1>| t.clone().into_data().try_into_vec::<f32>().expect("f32");
    let gradients = iteration.0.iter().flatten().flat_map(values);
    gradients.chain([iteration.1.loss]).map(f32::to_bits).collect()
}

/// The clocked spikes of each layer at T_max.
fn clocked(model: &Model) -> LayerSpikes {
    use tickless_train::model::Pass;
    let network = model.network().clone();
    let (spiking, mut layers) = (network.spiking(), Vec::new());
    let mut see = |i: usize, s: &Sequence| {
        if spiking.contains(&i) {
            layers.push(s.clone().tensor().into_data().try_into_vec::<f32>().expect("f32"));
        }
    };
    let configuration = vec![T_MAX; network.stages()];
    let (norm, leak) = (NormMode::Running, LeakRule::Step);
    let pass = Pass { configuration: &configuration, norm, leak, t_max: T_MAX, step_us: None };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    model.forward(&model.constants(), input(T_MAX), &pass, &mut rng, Some(&mut see)).expect("fits");
    LayerSpikes { steps: T_MAX, batch: BATCH, layers }
}

fn at_t_max(model: &Model) -> TrainingPass {
    TrainingPass::new(vec![T_MAX; model.network().stages()], LeakRule::Step)
}

#[test]
fn spikes_that_are_the_clocked_ones_give_the_gradients_of_the_clocked_pass() {
    let mut model = model(Neuron::lif());
    let mut pass = at_t_max(&model);
    let own = iteration(&mut model, &[pass.clone()], LossSetting::default());
    let spikes = clocked(&model);
    assert!(spikes.layers.iter().all(|l| l.iter().sum::<f32>() > 100.0), "the network is silent");
    pass.spikes = Some(Arc::new(spikes));
    assert!(bits(&own) == bits(&iteration(&mut model, &[pass], LossSetting::default())));
}

#[test]
fn given_spikes_decide_the_loss_and_the_next_weights_gradient() {
    let mut model = model(Neuron::lif());
    let mut pass = at_t_max(&model);
    let mut spikes = clocked(&model);
    // The classifier reads only the last layer, so a silent one makes all logits zero.
    spikes.layers.last_mut().expect("layers").fill(0.0);
    pass.spikes = Some(Arc::new(spikes));
    let (gradients, report) = iteration(&mut model, &[pass], LossSetting::default());
    assert!((report.loss - 10f32.ln()).abs() < 1e-6, "{}", report.loss);
    let size = |g: &Option<Tensor<1>>| g.as_ref().map_or(0.0, |g| g.clone().abs().sum().into_scalar::<f32>());
    let sizes: Vec<f32> = gradients.iter().map(size).collect();
    assert_eq!(sizes.last(), Some(&0.0), "the classifier has no input");
    assert!(sizes[..sizes.len() - 1].iter().all(|s| *s > 0.0), "the surrogate carries the gradient: {sizes:?}");
}

#[test]
fn a_long_pass_over_repeated_frames_without_a_leak_has_the_logits_of_the_engine_s_scale() {
    // Every frame is followed by m − 1 empty ones: neurons without a leak that fire at an input
    // alone then fire as at T_max.
    let neuron = Neuron { leak: tickless_net::Leak::None, ..Neuron::lif() };
    let mut model = model(neuron);
    let pass = at_t_max(&model);
    let short = iteration(&mut model, &[pass], LossSetting::default());
    let (m, frames) = (3, input(T_MAX).tensor());
    let step = |t: usize| frames.clone().narrow(0, t * BATCH, BATCH);
    let spaced = (0..m * T_MAX).map(|t| if t % m == 0 { step(t / m) } else { step(0).zeros_like() });
    let mut long = TrainingPass::new(vec![m * T_MAX; model.network().stages()], LeakRule::Time);
    long.input = Some(Sequence::new(Tensor::cat(spaced.collect(), 0), m * T_MAX));
    long.gain = m as f32;
    let long = iteration(&mut model, &[long], LossSetting::default());
    assert!((short.1.loss - long.1.loss).abs() < 1e-5, "{} and {}", short.1.loss, long.1.loss);
    assert_eq!(short.1.correct, long.1.correct);
}

#[test]
fn distillation_adds_its_gradient_to_the_other_passes_and_none_to_the_teacher() {
    let mut model = model(Neuron { refractory: Some(Refractory::steps(0.5)), ..Neuron::lif() });
    let teacher = at_t_max(&model);
    let student = TrainingPass::new(vec![2; model.network().stages()], LeakRule::Step);
    let learning = |distill| {
        let mut student = student.clone();
        student.distill = distill;
        student
    };
    let of = |model: &mut Model, passes: &[TrainingPass]| {
        let (gradients, report) = iteration(model, passes, LossSetting::default());
        let values = |t: &Tensor<1>| t.clone().into_data().try_into_vec::<f32>().expect("f32");
        (gradients.iter().flatten().flat_map(values).collect::<Vec<f32>>(), report.loss)
    };
    let none = of(&mut model, &[teacher.clone(), learning(0.0)]);
    let (one, two) = (of(&mut model, &[teacher.clone(), learning(1.0)]), of(&mut model, &[teacher, learning(2.0)]));
    assert!(one.1 > none.1 + 1e-4 && ((two.1 - none.1) - 2.0 * (one.1 - none.1)).abs() < 1e-5);
    let largest = none.0.iter().fold(0.0f32, |m, g| m.max(g.abs()));
    let mut moved = 0.0f32;
    for ((g0, g1), g2) in none.0.iter().zip(&one.0).zip(&two.0) {
        assert!(((g2 - g0) - 2.0 * (g1 - g0)).abs() < 1e-5 * largest, "{g0}, {g1}, {g2}");
        moved = moved.max((g1 - g0).abs());
    }
    assert!(moved > 1e-3 * largest);
}

#[test]
fn the_penalty_of_a_pass_is_that_of_its_layers_and_counts_given_spikes() {
    let mut model = model(Neuron::lif());
    let penalty = RatePenalty::new(5.0, 0.3);
    let own = clocked(&model);
    let of = |spikes: &LayerSpikes| {
        let each = spikes.layers.iter().map(|layer| {
            let n = layer.len() / T_MAX;
            let rate = |i: usize| (0..T_MAX).map(|t| layer[t * n + i]).sum::<f32>() / T_MAX as f32;
            let above = (0..n).map(|i| f64::from((rate(i) - 0.3).max(0.0)).powi(2));
            5.0 * above.sum::<f64>() / n as f64
        });
        each.sum::<f64>() as f32
    };
    let mut pass = at_t_max(&model);
    let mut doubled = own.clone();
    doubled.layers.iter_mut().flatten().for_each(|c| *c *= 2.0);
    for (given, expected) in [(None, of(&own)), (Some(Arc::new(doubled.clone())), of(&doubled))] {
        pass.spikes = given;
        let free = iteration(&mut model, &[pass.clone()], LossSetting::default()).1.loss;
        let paid = iteration(&mut model, &[pass.clone()], LossSetting::default().with_rate_penalty(penalty)).1.loss;
        assert!((paid - free - expected).abs() < 1e-4 * expected && expected > 1e-3, "{paid}, {free}, {expected}");
    }
}
