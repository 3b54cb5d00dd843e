//! Early exit at time steps: a run step by step is the run of all steps, and a run that stops is
//! that run cut where the rule holds.

use burn::tensor::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::sync::Arc;
use tickless_kernels::KernelChoice;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::recipe::Recipe;
use tickless_net::zoo::{self, ZooOptions};
use tickless_net::{
    Exit, InputKind, LeakRule, Network, NetworkBuilder, Neuron, Recurrent, RecurrentKind, Refractory, Rule, Shape,
};
use tickless_testing::golden::Golden;
use tickless_train::data::{Parts, Source};
use tickless_train::evaluate::{
    OverTime, Setting, activity_and_cost, answers_at, early_exit, over_time, over_time_with_operations,
    synaptic_operations,
};
use tickless_train::model::{Model, NormMode, Pass, Sequence, Stepper};
use tickless_train::progress::Silent;

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec().expect("f32")
}

/// Weights that are multiples of 2⁻⁸, so that sums of them have no rounding error in any order.
fn model(network: Network, kernel: KernelChoice) -> Model {
    let network = Arc::new(network);
    let mut weights = initialise(&network, InitScheme::Uniform { conv_gain: 5.0 }, 3);
    for (name, array) in &mut weights.tensors {
        if name.starts_with("conv") || name.starts_with("linear") {
            array.data.iter_mut().for_each(|w| *w = (*w * 256.0).round() / 256.0);
        }
    }
    Model::new(network, &weights, &Device::flex()).expect("fits").with_kernel(kernel)
}

/// Random small counts `[T, B, C, H, W]`.
fn frames(shape: Shape, steps: usize, batch: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    (0..steps * batch * shape.len()).map(|_| f32::from(rng.random_range(0u8..12).saturating_sub(8))).collect()
}

#[test]
fn steps_one_by_one_give_the_logits_of_the_whole_pass() {
    const T: usize = 5;
    const B: usize = 4;
    let small = Some((Shape::new(3, 8, 8), InputKind::Image));
    let resting = Neuron { refractory: Some(Refractory::steps(2.0)), ..Neuron::lif() };
    let learned = Neuron { leak: tickless_net::Leak::Learned(0.7), ..Neuron::lif() };
    let neurons = [Neuron::lif(), Neuron::if_multi(), Neuron::cuba_lif(), Neuron::adaptive_lif(), resting, learned];
    let of_events =
        neurons.map(|n| ("demo", ZooOptions { norm: Some(true), neuron: Some(n), ..ZooOptions::default() }));
    let images = [
        ("resnet18", ZooOptions { width: Some(0.125), input: small, ..ZooOptions::default() }),
        ("spikformer-2-384", ZooOptions { width: Some(0.0625), input: small, ..ZooOptions::default() }),
        ("vgg9", ZooOptions { width: Some(0.125), ..ZooOptions::default() }),
        ("shd", ZooOptions { width: Some(0.25), ..ZooOptions::default() }),
    ];
    for (name, options) in of_events.into_iter().chain(images) {
        let network = zoo::build(name, &options).expect("a network of the zoo");
        let (shape, kind) = (network.input().shape, network.input().kind);
        for kernel in [KernelChoice::Auto, KernelChoice::Plain] {
            let model = model(network.clone(), kernel);
            let given = if kind == InputKind::Image { 1 } else { T };
            let x = frames(shape, given, B);
            let input = |x: Vec<f32>, steps| {
                let [c, h, w] = [shape.channels, shape.height, shape.width];
                Sequence::from_values(x, [steps, B, c, h, w], &Device::flex())
            };
            let configuration = vec![T; network.stages()];
            let pass = Pass {
                configuration: &configuration,
                norm: NormMode::Running,
                leak: LeakRule::Step,
                t_max: T,
                step_us: None,
            };
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let whole =
                model.forward(&model.constants(), input(x.clone(), given), &pass, &mut rng, None).expect("runs");
            let whole = values(whole.logits);
            let mut stepper = Stepper::new(&model, T, LeakRule::Step, T, None);
            let mut steps = Vec::new();
            for t in 0..T {
                let frame = x.chunks(B * shape.len()).nth(t.min(given - 1)).expect("a frame").to_vec();
                steps.extend(values(stepper.step(input(frame, 1).tensor()).expect("runs")));
            }
            let (first, last) = (&whole[..whole.len() / T], &whole[whole.len() - whole.len() / T..]);
            assert!(first != last, "{name}: no state matters");
            assert_eq!(whole, steps, "{name}, {kernel:?}");
        }
    }
}

#[test]
fn samples_that_stay_do_not_depend_on_those_that_leave() {
    const T: usize = 4;
    let small = Some((Shape::new(3, 8, 8), InputKind::Image));
    for options in [
        ("demo", ZooOptions { norm: Some(true), ..ZooOptions::default() }),
        ("demo", ZooOptions { neuron: Some(Neuron::cuba_lif()), ..ZooOptions::default() }),
        ("shd", ZooOptions { width: Some(0.25), ..ZooOptions::default() }),
        ("resnet18", ZooOptions { width: Some(0.125), input: small, ..ZooOptions::default() }),
    ] {
        let network = zoo::build(options.0, &options.1).expect("a network of the zoo");
        let shape = network.input().shape;
        let model = model(network, KernelChoice::Auto);
        let x = frames(shape, T, 6);
        let frame = |t: usize, samples: &[usize]| {
            let step = &x[t * 6 * shape.len()..][..6 * shape.len()];
            let rows: Vec<f32> = samples.iter().flat_map(|s| step[s * shape.len()..][..shape.len()].to_vec()).collect();
            let [c, h, w] = [shape.channels, shape.height, shape.width];
            Sequence::from_values(rows, [1, samples.len(), c, h, w], &Device::flex()).tensor()
        };
        let new = || Stepper::new(&model, T, LeakRule::Step, T, None);
        let (mut all, mut few) = (new(), new());
        let mut left: Vec<usize> = (0..6).collect();
        for (t, kept) in [vec![0, 1, 2, 3, 4, 5], vec![0, 2, 3, 5], vec![1, 2], vec![1]].into_iter().enumerate() {
            if t > 0 {
                few.keep(&kept);
                left = kept.iter().map(|&row| left[row]).collect();
            }
            let whole = values(all.step(frame(t, &[0, 1, 2, 3, 4, 5])).expect("runs"));
            let part = values(few.step(frame(t, &left)).expect("runs"));
            assert_eq!(few.samples(), left.len());
            let classes = whole.len() / 6;
            let expected: Vec<f32> = left.iter().flat_map(|s| whole[s * classes..][..classes].to_vec()).collect();
            assert_eq!(part, expected, "{} at step {t}", options.0);
        }
    }
}

#[test]
fn a_run_that_stops_is_the_full_run_cut_at_that_step() {
    let text = r#"
        [data]
        set = "digits-dvs"
        seed = 0
        test_limit = 90
        [network]
        name = "demo"
        norm = true
    "#;
    let recipe = Recipe::parse(text, Path::new("exit.toml"), &[]).expect("a recipe");
    let source = Source::open(&recipe.data, 0).expect("embedded");
    let parts = Parts::of(&source, &recipe.data, 0).expect("parts");
    let (shape, kind) = source.input();
    let model = model(recipe.network.build(shape, kind, 10).expect("a network"), KernelChoice::Auto);
    let setting = |batch| Setting { source: &source, ids: &parts.test, t_max: 10, step_us: None, batch };
    const T: usize = 6;
    let full = over_time(&model, &setting(64), T, LeakRule::Time, &Silent).expect("runs");
    assert_eq!(full, over_time(&model, &setting(7), T, LeakRule::Time, &Silent).expect("runs"));
    let mut stopped_between = 0;
    let learned = Rule::Learned(full.policy(3.0));
    for rule in [Rule::Confidence, Rule::Margin, Rule::Entropy, learned] {
        for (alpha, gain) in [(0.2, 3.0), (0.6, 1.0), (0.6, 10.0), (0.9, 0.3)] {
            let exit = Exit { rule, alpha, gain };
            let expected = full.exits(&exit);
            // Of 90 samples, batches of 89 leave one, and so does a batch whose other samples are done.
            for batch in [1, 32, 89] {
                let (got, _) = early_exit(&model, &setting(batch), T, LeakRule::Time, &exit, &Silent).expect("runs");
                assert_eq!(got, expected, "{rule:?} {alpha}");
            }
            stopped_between += expected.stopped[1..T - 1].iter().sum::<usize>();
            assert_eq!(expected.stopped.iter().sum::<usize>(), parts.test.len());
        }
    }
    let last = |k: usize| full.mean(k, T - 1);
    assert!(stopped_between > 30, "{stopped_between}: {:?} {:?} {:?}", last(0), last(1), last(2));
}

#[test]
fn an_image_that_stops_is_the_full_run_cut_at_that_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut records: Vec<u8> = Vec::new();
    for i in 0..21u8 {
        records.push(i % 10);
        records.extend((0..3072).map(|_| rng.random::<u8>()));
    }
    std::fs::write(folder.path().join("data_batch_1.bin"), &records).expect("written");
    std::fs::write(folder.path().join("test_batch.bin"), &records).expect("written");
    let path = serde_json::Value::from(folder.path().to_str().expect("UTF-8"));
    let text = format!("[data]\nset = \"cifar10\"\npath = {path}\n[network]\nname = \"resnet18\"\nwidth = 0.0625\n");
    let recipe = Recipe::parse(&text, Path::new("images.toml"), &[]).expect("a recipe");
    let source = Source::open(&recipe.data, 0).expect("images");
    let parts = Parts::of(&source, &recipe.data, 0).expect("parts");
    let (shape, kind) = source.input();
    let network = recipe.network.build(shape, kind, 10).expect("a network");
    let stages = network.stages();
    let model = model(network, KernelChoice::Auto);
    let setting = |batch| Setting { source: &source, ids: &parts.test, t_max: 4, step_us: None, batch };
    const T: usize = 5;
    let full = over_time(&model, &setting(21), T, LeakRule::Step, &Silent).expect("runs");
    // The mean over all steps is that of the pass over all steps at once.
    let whole = answers_at(&model, &setting(8), (&vec![T; stages], LeakRule::Step), 1.0, &Silent).expect("runs");
    let last: Vec<usize> = (0..21).map(|k| full.exit_of(k, &NEVER).1).collect();
    assert_eq!(last, whole.answers.predicted.iter().map(|c| *c as usize).collect::<Vec<_>>());
    let margins = |step: usize| {
        let exit = Exit { rule: Rule::Margin, ..NEVER };
        let mut all: Vec<f64> = (0..21).map(|k| exit.quantity(full.mean(k, step), 1.0)).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    // Thresholds between the margins, so that samples stop one after another.
    let mut stopped_between = 0;
    for alpha in [margins(0)[7], margins(1)[11], margins(2)[18]] {
        let exit = Exit { rule: Rule::Margin, alpha, gain: 1.0 };
        let expected = full.exits(&exit);
        // Batches of 20, 10, 5 and 4 leave one image.
        for batch in [1, 4, 5, 10, 20, 21, 64] {
            let (got, _) = early_exit(&model, &setting(batch), T, LeakRule::Step, &exit, &Silent).expect("runs");
            assert_eq!(got, expected, "{alpha}, batch {batch}");
        }
        stopped_between += expected.stopped[..T - 1].iter().sum::<usize>();
    }
    assert!(stopped_between > 10, "{stopped_between}");
}

/// No confidence is above 1.
const NEVER: Exit = Exit { rule: Rule::Confidence, alpha: 1.0, gain: 1.0 };

#[test]
fn operations_counted_per_step_and_per_pass_are_the_same() {
    let text = "[data]\nset = \"digits-dvs\"\nseed = 0\ntest_limit = 20\n[network]\nname = \"demo\"\n";
    let recipe = Recipe::parse(text, Path::new("operations.toml"), &[]).expect("a recipe");
    let source = Source::open(&recipe.data, 0).expect("embedded");
    let parts = Parts::of(&source, &recipe.data, 0).expect("parts");
    let (shape, kind) = source.input();
    let demo = recipe.network.build(shape, kind, 10).expect("a network");
    let mut b = NetworkBuilder::new("returns", shape, kind);
    let at = b.linear(b.input(), 20, false);
    let at = b.neuron(at, Neuron::lif());
    // Two steps of 1 ms.
    b.recurrent(at, Recurrent { kind: RecurrentKind::Dense, delay_us: Some(2000.0) });
    b.linear(at, 10, false);
    let returns = b.build().expect("a network");
    const T: usize = 5;
    let mut accumulates = 0.0;
    for network in [demo, returns] {
        let name = network.name().to_owned();
        let stages = network.stages();
        let model = model(network, KernelChoice::Auto);
        let setting = Setting { source: &source, ids: &parts.test, t_max: T, step_us: Some(1000.0), batch: 8 };
        let steps = over_time_with_operations(&model, &setting, T, LeakRule::Step, &Silent).expect("runs");
        let never = Exit { rule: Rule::Confidence, alpha: 1.0, gain: 1.0 };
        let by_step = steps.exits(&never).operations.expect("counted");
        let whole = vec![T; stages];
        let pass = synaptic_operations(&model, &setting, &whole, LeakRule::Step, &Silent).expect("runs");
        let (_, cost) = activity_and_cost(&model, &setting, T, LeakRule::Step, &Silent).expect("runs");
        assert_eq!(cost.synaptic_operations, pass, "{name}");
        assert!((by_step.accumulates - pass.effective_acs).abs() < 1e-6, "{name}: {by_step:?} {pass:?}");
        assert!((by_step.multiplies - pass.effective_macs).abs() < 1e-6, "{name}: {by_step:?} {pass:?}");
        assert!(by_step.total() > 0.0 && pass.dense > by_step.total(), "{name}: {pass:?}");
        accumulates += by_step.accumulates;
    }
    // Frames hold counts, so only the spikes that return are accumulated.
    assert!(accumulates > 0.0, "no spike returned");
}

#[test]
fn a_learned_policy_stops_later_the_higher_its_threshold_and_never_before_the_first_step() {
    const STEPS: usize = 5;
    const SAMPLES: usize = 200;
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (mut means, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        let label = rng.random_range(0..3usize);
        let hard: f32 = rng.random_range(0.0..1.5);
        labels.push(label);
        for step in 1..=STEPS {
            // The noise of a mean falls with the number of steps.
            let noise = hard / (step as f32).sqrt();
            means.extend((0..3).map(|k| f32::from(u8::from(k == label)) + rng.random_range(-noise..=noise)));
        }
    }
    let all = OverTime::new(STEPS, 3, means, labels);
    let policy = all.policy(4.0);
    assert_eq!(policy, all.policy(4.0), "nothing is drawn");
    let at = |alpha: f64| all.exits(&Exit { rule: Rule::Learned(policy), alpha, gain: 4.0 });
    let (first, whole) = (at(0.0), at(1.0));
    assert_eq!((first.mean_steps(), whole.mean_steps()), (1.0, STEPS as f64));
    let sweep: Vec<_> = (0..=100).map(|k| at(f64::from(k) / 100.0)).collect();
    assert!(sweep.windows(2).all(|w| w[0].mean_steps() <= w[1].mean_steps()));
    // It loses at most about the share of right answers that the threshold allows, and saves steps.
    let careful = at(0.97);
    assert!(careful.accuracy() >= whole.accuracy() - 3.0, "{careful:?} {whole:?}");
    assert!(careful.mean_steps() < 0.7 * STEPS as f64, "{}", careful.mean_steps());
    // One step leaves nothing to decide.
    let one = OverTime::new(1, 2, vec![1.0, 0.0], vec![0]);
    let exit = Exit { rule: Rule::Learned(one.policy(1.0)), alpha: 0.9, gain: 1.0 };
    assert_eq!(one.exits(&exit).stopped, [1]);
}

#[test]
fn exits_of_the_golden_logits_are_the_golden_ones() {
    let golden = Golden::open("early_exit.safetensors");
    for case in golden.cases() {
        let case = &case["case"];
        let logits = golden.get(&format!("{case}.logits"));
        let [steps, samples, classes] = logits.shape[..] else { panic!("{:?}", logits.shape) };
        let mut means = vec![0.0f32; logits.data.len()];
        for sample in 0..samples {
            let mut sum = vec![0.0f32; classes];
            for step in 0..steps {
                sum.iter_mut().zip(&logits.data[(step * samples + sample) * classes..]).for_each(|(s, v)| *s += v);
                let row = &mut means[(sample * steps + step) * classes..][..classes];
                row.iter_mut().zip(&sum).for_each(|(m, s)| *m = s / (step + 1) as f32);
            }
        }
        let all = OverTime::new(steps, classes, means, vec![0; samples]);
        let confidence = golden.get(&format!("{case}.confidence"));
        let rule = |alpha| Exit { rule: Rule::Confidence, alpha, gain: 1.0 };
        for (i, expected) in confidence.data.iter().enumerate() {
            let got = rule(0.0).quantity(all.mean(i % samples, i / samples), 0.0);
            assert!((got - f64::from(*expected)).abs() < 1e-6, "case {case}, value {i}: {got} {expected}");
        }
        let start = format!("{case}.exit_step.thr");
        let names: Vec<&str> = golden.names().filter(|n| n.starts_with(&start)).collect();
        assert!(!names.is_empty(), "case {case} has no thresholds");
        for name in names {
            let threshold = &name[start.len()..];
            let exit = rule(threshold.parse().expect("a threshold"));
            let classes = golden.labels(&format!("{case}.pred.thr{threshold}"));
            for (sample, (step, class)) in golden.labels(name).into_iter().zip(classes).enumerate() {
                assert_eq!(all.exit_of(sample, &exit), (step - 1, class), "{name}, sample {sample}");
            }
        }
    }
}
