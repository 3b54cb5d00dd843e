//! Tests of networks at low precision: results close to f32 if a layer uses it, the bits of f32 if
//! no layer does, and an error if it cannot run.
//!
//! Forced dense kernels use the packed form on every machine, or its scalar form if the machine
//! lacks the instructions, so these tests check the same on all machines.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tickless_kernels::conv_at;
use tickless_kernels::{ComputeOptions, KernelChoice, Precision};
use tickless_net::init::{InitScheme, initialise};
use tickless_net::recipe::Recipe;
use tickless_net::zoo::{self, ZooOptions};
use tickless_net::{LeakRule, Network, Neuron};
use tickless_train::data::{Parts, Source};
use tickless_train::evaluate::{Setting, StepSweep, across_steps};
use tickless_train::iteration::optimiser::{OptimiserSetting, OptimiserState};
use tickless_train::iteration::{StepSetting, gradients};
use tickless_train::loss::LossSetting;
use tickless_train::model::NormMode;
use tickless_train::model::Sequence;
use tickless_train::model::{Model, Pass};
use tickless_train::progress::Silent;
use tickless_train::run::train_plan::initial_weights;
use tickless_train::run::trainer::{Task, Trainer};

const CHILD: &str = "TICKLESS_LOW_PRECISION_CHILD";

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec().expect("f32")
}

fn network(name: &str) -> Arc<Network> {
    let options = ZooOptions { norm: Some(true), neuron: Some(Neuron::lif()), ..ZooOptions::default() };
    Arc::new(zoo::build(name, &options).expect("a network of the zoo"))
}

fn model(network: &Arc<Network>) -> Model {
    let weights = initialise(network, InitScheme::Uniform { conv_gain: 1.5 }, 1000);
    Model::new(network.clone(), &weights, &Device::flex()).expect("the weights fit")
}

/// Random event counts: mostly 0, some 1 or 2.
fn input(network: &Network, t: usize, b: usize) -> Sequence {
    let (shape, mut rng) = (network.input().shape, ChaCha8Rng::seed_from_u64(7));
    let x = (0..t * b * shape.len()).map(|_| f32::from(rng.random_range(0u8..12).saturating_sub(9))).collect();
    Sequence::from_values(x, [t, b, shape.channels, shape.height, shape.width], &Device::flex())
}

fn logits(model: &Model, t: usize, b: usize) -> Vec<f32> {
    let configuration = vec![t; model.network().stages()];
    let pass =
        Pass { configuration: &configuration, norm: NormMode::Batch, leak: LeakRule::Step, t_max: t, step_us: None };
    let x = input(model.network(), t, b);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    values(model.forward(&model.constants(), x, &pass, &mut rng, None).expect("fits").logits)
}

#[test]
fn a_trained_network_keeps_its_accuracy_at_low_precision() {
    let text = r#"
        seed = 0
        [data]
        set = "digits-dvs"
        seed = 0
        train_limit = 400
        test_limit = 200
        [network]
        name = "demo"
        norm = true
        [train]
        strategy = "sdt"
        t_max = 10
        epochs = 4
        batch = 20
    "#;
    let recipe = Recipe::parse(text, Path::new("low_precision.toml"), &[]).expect("a recipe");
    let source = Source::open(&recipe.data, 0).expect("embedded");
    let parts = Parts::of(&source, &recipe.data, 0).expect("parts");
    let (shape, kind) = source.input();
    let network = Arc::new(recipe.network.build(shape, kind, 10).expect("a network"));
    let weights = initial_weights(&recipe, &network);
    let device = Device::flex();
    let task = Task { recipe: &recipe, source: &source, parts: &parts, network, step_us: None, device };
    let trainer = Trainer::new(task, &weights).expect("fits");
    let (trained, _) = trainer.run(&mut (), &Silent).expect("trains");
    let setting = Setting { source: &source, ids: &parts.test, t_max: 10, step_us: None, batch: 50 };
    let plan = StepSweep { steps: vec![10], leaks: vec![LeakRule::Step], calibration: None };
    let score = |kernel, precision| {
        let model = trained.clone().with_kernel(kernel).with_precision(precision);
        let p = across_steps(&model, &setting, &plan, &Silent).expect("evaluates").remove(0);
        (p.accuracy, p.loss)
    };
    let full = score(KernelChoice::Dense, Precision::F32);
    assert!(full.0 > 50.0, "the network has learnt: {full:?}");
    for precision in [Precision::Int8, Precision::Bf16] {
        let low = score(KernelChoice::Dense, precision);
        assert!((low.0 - full.0).abs() <= 3.0, "{precision}: {low:?} %, f32 {full:?} %");
        assert_ne!(low.1, full.1, "{precision} was used");
    }
}

#[test]
fn precision_that_is_not_used_changes_no_bit() {
    let model = model(&network("nmnist-wide")).with_kernel(KernelChoice::Sparse);
    let full = logits(&model, 2, 2);
    for precision in [Precision::Int8, Precision::Bf16] {
        assert_eq!(logits(&model.clone().with_precision(precision), 2, 2), full, "{precision}");
    }
}

#[test]
fn packed_weights_are_those_of_the_model_that_runs() {
    let network = network("nmnist-wide");
    let model = |seed| {
        let weights = initialise(&network, InitScheme::Uniform { conv_gain: 1.5 }, seed);
        let model = Model::new(network.clone(), &weights, &Device::flex()).expect("the weights fit");
        model.with_kernel(KernelChoice::Dense).with_precision(Precision::Int8)
    };
    let mut changed = model(1);
    let (one, other) = (logits(&changed, 2, 2), logits(&model(2), 2, 2));
    assert_ne!(one, other);
    assert_eq!(logits(&changed, 2, 2), one, "the second time from packed weights");
    // If weights change in place, they must be packed again.
    for (p, new) in changed.parameters.iter_mut().zip(model(2).parameters) {
        let (old, new) = (std::mem::replace(&mut p.value, Tensor::zeros([1], &Device::flex())), values(new.value));
        let new = Tensor::<1>::from_data(TensorData::new(new, old.dims()), &Device::flex());
        p.value = old.mul_scalar(0.0).add(new);
    }
    assert_eq!(logits(&changed, 2, 2), other);
}

fn setting() -> StepSetting {
    StepSetting { loss: LossSetting::default(), norm: NormMode::Batch, leak: LeakRule::Step, t_max: 5, step_us: None }
}

#[test]
fn training_at_8_bits_and_low_precision_without_kernels_are_refused() {
    let network = network("nmnist-wide");
    let mut int8 = model(&network).with_precision(Precision::Int8);
    let (x, mut rng) = (input(&network, 5, 2), ChaCha8Rng::seed_from_u64(0));
    let configuration = vec![5; network.stages()];
    let e = gradients(&mut int8, &x, &[0, 1], std::slice::from_ref(&configuration), &setting(), &mut rng)
        .unwrap_err()
        .to_string();
    assert_eq!(e, "precision `int8` is for inference; train at f32 or bf16");
    for precision in [Precision::Int8, Precision::Bf16] {
        let plain = model(&network).with_kernel(KernelChoice::Plain).with_precision(precision);
        let pass = Pass {
            configuration: &configuration,
            norm: NormMode::Running,
            leak: LeakRule::Step,
            t_max: 5,
            step_us: None,
        };
        let e = plain.forward(&plain.constants(), x.clone(), &pass, &mut rng, None).unwrap_err().to_string();
        assert!(e.contains("plain") && e.contains(&precision.to_string()), "{e}");
    }
}

#[test]
fn losses_in_bf16_follow_those_in_f32() {
    let network = network("nmnist-wide");
    let losses = |precision| -> Vec<f32> {
        let mut model = model(&network).with_kernel(KernelChoice::Dense).with_precision(precision);
        let mut optimiser = OptimiserState::new(OptimiserSetting::sgd(0.9, 5e-4), model.parameters.len());
        let (x, mut rng) = (input(&network, 5, 32), ChaCha8Rng::seed_from_u64(0));
        let labels: Vec<usize> = (0..32).map(|i| i % 10).collect();
        let loss_of_step = |_| {
            let configurations = [vec![5; network.stages()]];
            let (g, report) = gradients(&mut model, &x, &labels, &configurations, &setting(), &mut rng).expect("fits");
            optimiser.step(&mut model.parameters, g, 0.003);
            report.loss
        };
        (0..10).map(loss_of_step).collect()
    };
    let (full, low) = (losses(Precision::F32), losses(Precision::Bf16));
    assert!(full[9] < full[0] && low != full, "{full:?}, {low:?}");
    for (k, (a, b)) in low.iter().zip(&full).enumerate() {
        assert!((a - b).abs() < 0.02 * b, "iteration {k}: {a} in bf16, {b} in f32");
    }
}

#[test]
fn a_convolution_in_bf16_differentiates_within_its_roundings() {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut random = |shape: [usize; 4], spikes: bool| {
        let mut value = || match spikes {
            true => f32::from(u8::from(rng.random::<f32>() < 0.3)),
            false => rng.random_range(-1.0f32..1.0),
        };
        Tensor::<4>::from_data(TensorData::new((0..shape.iter().product()).map(|_| value()).collect(), shape), &device)
    };
    let (x, w) = (random([3, 9, 8, 20], true).require_grad(), random([40, 20, 3, 3], false).require_grad());
    let g = random([3, 5, 4, 40], false);
    let run = |x: &Tensor<4>, w: &Tensor<4>, g: &Tensor<4>, precision| {
        let y = conv_at(x.clone(), w.clone(), 2, 1, KernelChoice::Dense, precision);
        let gradients = (y.clone() * g.clone()).sum().backward();
        (values(y), values(x.grad(&gradients).expect("asked for")), values(w.grad(&gradients).expect("asked for")))
    };
    let (full, low) = (run(&x, &w, &g, Precision::F32), run(&x, &w, &g, Precision::Bf16));
    let leaf = |t: &Tensor<4>| {
        let (shape, magnitudes) = (t.dims(), values(t.clone()).iter().map(|v| v.abs()).collect());
        Tensor::<4>::from_data(TensorData::new::<f32, _>(magnitudes, shape), &device).require_grad()
    };
    let all = run(&leaf(&x), &leaf(&w), &leaf(&g), Precision::F32);
    let within = |what, a: &[f32], b: &[f32], bound: &[f32], part: f32| {
        for (i, ((a, b), bound)) in a.iter().zip(b).zip(bound).enumerate() {
            assert!((a - b).abs() <= bound * part, "{what} {i}: {a} in bf16, {b} in f32");
        }
    };
    within("output", &low.0, &full.0, &all.0, 1.0 / 256.0 + 1e-5);
    within("gradient of the input", &low.1, &full.1, &all.1, 1.0 / 128.0 + 1.0 / 65536.0 + 1e-5);
    assert_ne!(low.0, full.0);
    assert_ne!(low.1, full.1);
    assert_eq!(low.2, full.2, "the weight gradient is f32");
}

/// Runs this binary's child test with these variables; returns its standard output and standard
/// error.
fn run_child(variables: &[(&str, &str)]) -> (String, String) {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    for name in ["TICKLESS_PRECISION", "TICKLESS_KERNEL", "TICKLESS_SIMD", "TICKLESS_KERNEL_REPORT"] {
        command.env_remove(name);
    }
    let out = command.envs(variables.iter().copied()).output().expect("starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let result = text(&out.stdout).lines().find(|l| l.contains("RESULT")).expect("a result").to_owned();
    (result[result.find("RESULT").expect("found")..].to_owned(), text(&out.stderr))
}

#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let options = ComputeOptions::from_variables(|name| std::env::var(name).ok());
    if let Err(e) = options.and_then(ComputeOptions::install) {
        return println!("\nRESULT {e}");
    }
    let network = network("nmnist-wide");
    let weights = initialise(&network, InitScheme::Uniform { conv_gain: 1.5 }, 1000);
    match Model::new(network, &weights, &Device::flex()) {
        Ok(model) => println!("\nRESULT {:?}", logits(&model, 2, 1)),
        Err(e) => println!("\nRESULT {e}"),
    }
}

#[test]
fn a_machine_without_the_instructions_runs_in_f32_and_says_so() {
    let full = run_child(&[("TICKLESS_SIMD", "portable")]);
    for (precision, name) in [("int8", "AVX-512 VNNI or AVX2"), ("bf16", "AVX-512 BF16")] {
        let low = run_child(&[("TICKLESS_SIMD", "portable"), ("TICKLESS_PRECISION", precision)]);
        assert_eq!(low.0, full.0, "{precision}");
        let names = |line: &&str| line.contains(precision) && line.contains(name) && line.contains("f32");
        assert_eq!(low.1.lines().filter(names).count(), 1, "{}", low.1);
    }
}

#[test]
fn an_unknown_precision_is_refused_and_the_report_says_what_each_layer_took() {
    let refused = run_child(&[("TICKLESS_PRECISION", "fp8")]).0;
    assert!(refused.starts_with("RESULT TICKLESS_PRECISION: ") && refused.contains("`fp8`"), "{refused}");
    assert!(refused.ends_with("f32, bf16, int8"), "{refused}");
    let all = [("TICKLESS_PRECISION", "int8"), ("TICKLESS_KERNEL", "dense"), ("TICKLESS_KERNEL_REPORT", "1")];
    let report = run_child(&all).1;
    assert!(report.contains("forward: int8"), "{report}");
    let sparse = [("TICKLESS_PRECISION", "int8"), ("TICKLESS_KERNEL", "sparse"), ("TICKLESS_KERNEL_REPORT", "1")];
    let report = run_child(&sparse).1;
    assert!(report.contains("forward: f32, ") && report.contains("`sparse`"), "{report}");
}
