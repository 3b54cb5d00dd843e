//! Compares small networks with the golden files: passes, MTT iterations, calibration and folding.

mod common;

use burn::tensor::{Device, Tensor};
use common::{Compare, TimeMajor, batch_major, open, values};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tickless_kernels::KernelChoice;
use tickless_net::{
    Array, Attention, Conv, InputKind, Layer, LeakRule, Linear, Network, NetworkBuilder, Neuron, NodeId, Norm, Pool,
    PoolKind, Shape, TtmMode, Weights, fold,
};
use tickless_testing::golden::{Golden, count, counts, number, number_after, text};
use tickless_train::iteration::optimiser::{OptimiserSetting, OptimiserState};
use tickless_train::loss::LossSetting;
use tickless_train::model::NormMode;
use tickless_train::model::Sequence;
use tickless_train::model::{Model, Observer, Output, Pass, host};

/// Builds a network whose nodes have the names, and whose layers have the sizes, of the file's
/// tensors.
struct Builder<'a> {
    net: NetworkBuilder,
    weights: &'a Weights,
    norm: Norm,
    neuron: Neuron,
}

impl<'a> Builder<'a> {
    fn new(name: &str, shape: &[usize], kind: InputKind, weights: &'a Weights) -> Self {
        let shape = Shape::new(shape[0], shape[1], shape[2]);
        Self { net: NetworkBuilder::new(name, shape, kind), weights, norm: Norm::default(), neuron: Neuron::lif() }
    }

    fn shape(&self, name: &str) -> &[usize] {
        &self.weights.get(name).unwrap_or_else(|| panic!("no tensor `{name}`")).shape
    }

    /// A convolution padded to keep the size, except for its stride.
    fn conv(&mut self, name: &str, stride: usize, from: NodeId) -> NodeId {
        let &[out, _, kernel, _] = self.shape(&format!("{name}.weight")) else { panic!("`{name}` is no convolution") };
        let bias = self.weights.get(&format!("{name}.bias")).is_some();
        let conv = Conv { bias, ..Conv::square(out, kernel, stride, kernel / 2) };
        self.net.add(name, Layer::Conv(conv), &[from])
    }

    /// The convolution `<name>.module.0` and the norm `<name>.module.1`.
    fn conv_norm(&mut self, name: &str, stride: usize, from: NodeId) -> NodeId {
        let x = self.conv(&format!("{name}.module.0"), stride, from);
        self.net.add(&format!("{name}.module.1"), Layer::Norm(self.norm), &[x])
    }

    /// The convolution `<name>.conv`, the norm `<name>.norm`, and neurons.
    fn cell(&mut self, name: &str, from: NodeId) -> NodeId {
        let x = self.conv(&format!("{name}.conv"), 1, from);
        let x = self.net.add(&format!("{name}.norm"), Layer::Norm(self.norm), &[x]);
        self.fire(x)
    }

    fn fire(&mut self, from: NodeId) -> NodeId {
        self.net.neuron(from, self.neuron)
    }

    fn linear(&mut self, name: &str, from: NodeId) -> NodeId {
        let out = self.shape(&format!("{name}.weight"))[0];
        let bias = self.weights.get(&format!("{name}.bias")).is_some();
        self.net.add(name, Layer::Linear(Linear { out, bias }), &[from])
    }

    fn build(self) -> Arc<Network> {
        Arc::new(self.net.build().expect("the network of the golden file"))
    }
}

fn pass(configuration: &[usize], norm: NormMode) -> Pass<'_> {
    Pass { configuration, norm, leak: LeakRule::Step, t_max: configuration[0], step_us: None }
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

/// The results of one training pass.
struct Trained {
    output: Output,
    loss: Tensor<1>,
    gradients: Vec<Option<Tensor<1>>>,
    /// Output of the last spiking layer, `[B, T, …]`.
    last_spikes: Vec<f32>,
    input_gradient: Option<Tensor<4>>,
}

/// Runs a forward and a backward pass with cross-entropy of the time-mean. If `last`, an observer
/// reads the last spikes, so that the fused kernels do not evaluate the norms.
fn train(
    model: &Model,
    input: &Tensor<4>,
    steps: usize,
    configuration: &[usize],
    labels: &[usize],
    last: bool,
) -> Trained {
    let leaves = model.leaves();
    let layer = *model.network().spiking().last().expect("spiking layers");
    let mut last_spikes = Vec::new();
    let mut observe = |i: usize, s: &Sequence| {
        if i == layer {
            last_spikes = batch_major(&s.clone().tensor(), s.steps());
        }
    };
    let observe: Option<Observer<'_>> = if last { Some(&mut observe) } else { None };
    let output = model
        .forward(
            &leaves,
            Sequence::new(input.clone(), steps),
            &pass(configuration, NormMode::Batch),
            &mut rng(),
            observe,
        )
        .expect("the configuration fits");
    let loss = LossSetting::default().forward(output.logits.clone(), labels);
    let gradients = loss.backward();
    let input_gradient = input.grad(&gradients);
    let gradients = leaves.iter().map(|l| l.grad(&gradients)).collect();
    Trained { output, loss, gradients, last_spikes, input_gradient }
}

/// Asserts that no value deviates by more than `tolerance` times the largest value of the tensor.
fn relative(compare: &mut Compare, kind: &str, case: &str, got: &[f32], want: &Array, tolerance: f32) {
    let largest = want.data.iter().fold(0.0f32, |m, v| m.max(v.abs())).max(f32::MIN_POSITIVE);
    let scaled = |v: &[f32]| v.iter().map(|v| v / largest).collect::<Vec<f32>>();
    let want = Array::new(want.shape.clone(), scaled(&want.data));
    compare.within(kind, case, &scaled(got), &want, tolerance, "of the largest value");
}

/// Compares gradients by name; both sides must have the same names.
fn same_gradients(compare: &mut Compare, case: &str, model: &Model, ours: &[Option<Tensor<1>>], theirs: &Weights) {
    let names: BTreeSet<&str> = model.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, theirs.tensors.keys().map(String::as_str).collect(), "{case}: trainable tensors");
    for (p, g) in model.parameters.iter().zip(ours) {
        let g = g.as_ref().unwrap_or_else(|| panic!("{case}: `{}` got no gradient", p.name));
        relative(
            compare,
            "gradient (of the largest)",
            &format!("{case}, `{}`", p.name),
            &host(g),
            &theirs.tensors[&p.name],
            1e-4,
        );
    }
}

/// Compares the tensors that the file has with the model's tensors of the same names.
fn same_weights(compare: &mut Compare, kind: &str, case: &str, model: &Model, theirs: &Weights, tolerance: f32) {
    let ours = model.weights();
    for (name, want) in &theirs.tensors {
        let got = ours.get(name).unwrap_or_else(|| panic!("{case}: no tensor `{name}`"));
        compare.abs(kind, &format!("{case}, `{name}`"), &got.data, want, tolerance);
    }
}

fn update_running(model: &mut Model, output: &Output) {
    assert_eq!(model.running.len(), output.statistics.len(), "one entry per norm");
    for (r, s) in model.running.iter_mut().zip(&output.statistics) {
        r.update(s, s.momentum);
    }
}

// ---- the residual network ----

fn tfsnn(golden: &Golden, weights: &Weights) -> Arc<Network> {
    let index = &golden.index;
    let mut b = Builder::new("tiny_tfsnn", &golden.get("image").shape[1..], InputKind::Image, weights);
    b.norm = Norm {
        eps: index["bn_eps"].as_f64().expect("bn_eps"),
        momentum: index["bn_momentum"].as_f64().expect("bn_momentum"),
    };
    b.neuron = Neuron {
        threshold: number(&index["vth"]),
        leak: tickless_net::Leak::Step(number(&index["decay"])),
        ..Neuron::lif()
    };
    let mut at = b.conv_norm("conv", 1, NodeId::Input);
    at = b.fire(at);
    for (i, block) in index["blocks"].as_array().expect("blocks").iter().enumerate() {
        let flag = |k: usize| block[k].as_bool().expect("a flag");
        let (down, ttm) = (flag(2), flag(3));
        if ttm {
            at = b.net.add("", Layer::Ttm(TtmMode::Even), &[at]);
        }
        let name = |part: &str| format!("feature_ext.{i}.{part}");
        let stride = if down { 2 } else { 1 };
        let x = b.conv_norm(&name("conv1"), stride, at);
        let x = b.fire(x);
        let x = b.conv_norm(&name("conv2"), 1, x);
        let aside =
            if down || count(&block[0]) != count(&block[1]) { b.conv_norm(&name("shortcut"), stride, at) } else { at };
        let sum = b.net.add("", Layer::Add, &[x, aside]);
        at = b.fire(sum);
    }
    let mean = b.net.add("", Layer::GlobalAverage, &[at]);
    b.linear("fc.module", mean);
    b.build()
}

/// A static image `[B, C, H, W]` as one step, on `device`.
fn image(golden: &Golden, name: &str, device: &Device) -> Tensor<4> {
    let a = golden.get(name);
    let shape: [usize; 4] = a.shape.as_slice().try_into().expect("[B, C, H, W]");
    Tensor::from_data(burn::tensor::TensorData::new(a.data.clone(), shape), device)
}

#[test]
fn golden_residual_network_in_one_configuration() {
    let golden = open("tiny_tfsnn.safetensors");
    let mut compare = Compare::new("tiny_tfsnn single");
    let device = Device::flex();
    let weights = golden.part("w0");
    let network = tfsnn(&golden, &weights);
    for case in golden.cases() {
        let (name, configuration) = (text(&case["case"]), counts(&case["time_res"]));
        let mut model = Model::new(network.clone(), &weights, &device).expect("the weights fit");
        let x = image(&golden, "image", &device.clone().autodiff());
        let get = |t: &str| golden.get(&format!("{name}.{t}"));
        let steps = *configuration.last().unwrap();
        let mut run_and_compare = |last| {
            let ours = train(&model, &x, 1, &configuration, &golden.labels("label"), last);
            compare.abs("logits", &name, &batch_major(&ours.output.logits, steps), get("logits"), 1e-5);
            compare.abs("loss", &name, &values(&ours.loss), get("loss"), 1e-5);
            same_gradients(&mut compare, &name, &model, &ours.gradients, &golden.part(&format!("{name}.grad")));
            if last {
                compare.exact("last spikes", &name, &ours.last_spikes, get("last_spikes"));
            }
            ours.output
        };
        run_and_compare(true);
        let output = run_and_compare(false);
        update_running(&mut model, &output);
        same_weights(
            &mut compare,
            "running statistics",
            &name,
            &model,
            &golden.part(&format!("{name}.bn_after")),
            1e-5,
        );
    }
}

#[test]
fn golden_residual_network_in_chained_mtt_iterations() {
    let golden = open("tiny_tfsnn.safetensors");
    let mut compare = Compare::new("tiny_tfsnn mtt");
    let device = Device::flex();
    let weights = golden.part("w0");
    let mut model = Model::new(tfsnn(&golden, &weights), &weights, &device).expect("the weights fit");
    let sentence = text(&golden.index["mtt.<it>"]);
    let (momentum, weight_decay) = (number_after(&sentence, "momentum"), number_after(&sentence, "weight_decay"));
    let mut optimiser = OptimiserState::new(OptimiserSetting::sgd(momentum, weight_decay), model.parameters.len());
    for (it, configurations) in golden.index["mtt_configs"].as_array().expect("mtt_configs").iter().enumerate() {
        let case = format!("mtt.{it}");
        let (mut sum, mut losses): (Vec<Option<Tensor<1>>>, _) = (vec![None; model.parameters.len()], Vec::new());
        for configuration in configurations.as_array().expect("a list of configurations") {
            let x = image(&golden, "image", &device.clone().autodiff());
            let ours = train(&model, &x, 1, &counts(configuration), &golden.labels("label"), false);
            losses.extend(values(&ours.loss));
            for (sum, g) in sum.iter_mut().zip(ours.gradients) {
                let g = g.expect("every parameter has a gradient");
                *sum = Some(sum.take().map_or(g.clone(), |s| s + g));
            }
            update_running(&mut model, &ours.output);
        }
        compare.abs("loss", &case, &losses, golden.get(&format!("{case}.losses")), 1e-5);
        same_gradients(&mut compare, &case, &model, &sum, &golden.part(&format!("{case}.grad")));
        optimiser.step(&mut model.parameters, sum, number_after(&sentence, "lr"));
        let after = golden.part(&format!("{case}.after"));
        assert_eq!(after.tensors.len(), model.weights().tensors.len(), "{case}: every tensor is compared");
        same_weights(&mut compare, "weights and statistics after", &case, &model, &after, 1e-5);
    }
}

#[test]
fn golden_residual_network_calibrated_and_evaluated_at_several_t() {
    let golden = open("tiny_tfsnn.safetensors");
    let mut compare = Compare::new("tiny_tfsnn calib");
    let device = Device::flex();
    let last = golden.index["mtt_configs"].as_array().expect("mtt_configs").len() - 1;
    let weights = golden.part(&format!("mtt.{last}.after"));
    let network = tfsnn(&golden, &weights);
    let images: Vec<String> = (0..).map(|k| format!("calib.image{k}")).take_while(|n| golden.has(n)).collect();
    assert!(!images.is_empty());
    let all: BTreeSet<usize> =
        golden.names().filter_map(|n| n.strip_prefix("calib.T")?.strip_suffix(".logits")?.parse().ok()).collect();
    assert!(!all.is_empty());
    for t in all {
        let case = format!("calib.T{t}");
        let mut model = Model::new(network.clone(), &weights, &device).expect("the weights fit");
        let configuration = vec![t; network.stages()];
        let constants = model.constants();
        for (k, name) in images.iter().enumerate() {
            let x = Sequence::new(image(&golden, name, &device), 1);
            let out = model.forward(&constants, x, &pass(&configuration, NormMode::Batch), &mut rng(), None).unwrap();
            for (r, s) in model.running.iter_mut().zip(&out.statistics) {
                r.update(s, 1.0 / (k + 1) as f64);
            }
        }
        same_weights(&mut compare, "statistics", &case, &model, &golden.part(&format!("{case}.bn")), 1e-5);
        let x = Sequence::new(image(&golden, "calib.test_image", &device), 1);
        let out = model.forward(&constants, x, &pass(&configuration, NormMode::Running), &mut rng(), None).unwrap();
        assert!(out.statistics.is_empty(), "evaluation collects no statistics");
        compare.abs("logits", &case, &batch_major(&out.logits, t), golden.get(&format!("{case}.logits")), 1e-5);
    }
}

// ---- attention ----

/// The network of the file: patches, a position and two blocks of attention.
fn spikformer(golden: &Golden, weights: &Weights) -> Arc<Network> {
    let index = &golden.index;
    let of = |key: &str| number(&index[key]);
    let mut b = Builder::new("tiny_spikformer", &golden.get("image").shape[1..], InputKind::Image, weights);
    b.neuron = Neuron { threshold: of("vth"), leak: tickless_net::Leak::Step(of("decay")), ..Neuron::lif() };
    let attention = Attention { heads: count(&index["heads"]), scale: of("scale") };
    let after = Neuron { threshold: of("vth_attention"), ..b.neuron };
    let x = b.cell("patch1", NodeId::Input);
    let x = b.cell("patch2", x);
    let x = b.net.pool(x, Pool::square(PoolKind::Max, 2, 2, 0));
    let position = b.cell("position", x);
    let mut x = b.net.add("", Layer::Add, &[position, x]);
    for block in 1..=count(&index["stages"]) {
        if block > 1 {
            x = b.net.add("", Layer::Ttm(TtmMode::Even), &[x]);
        }
        let [q, k, v] = ["q", "k", "v"].map(|part| b.cell(&format!("block{block}.{part}"), x));
        let y = b.net.add("", Layer::Attention(attention), &[q, k, v]);
        let y = b.net.neuron(y, after);
        let y = b.cell(&format!("block{block}.projection"), y);
        x = b.net.add("", Layer::Add, &[y, x]);
        let y = b.cell(&format!("block{block}.mlp1"), x);
        let y = b.cell(&format!("block{block}.mlp2"), y);
        x = b.net.add(&format!("block{block}"), Layer::Add, &[y, x]);
    }
    let mean = b.net.add("", Layer::GlobalAverage, &[x]);
    b.linear("classifier", mean);
    b.build()
}

#[test]
fn golden_spikformer_in_every_configuration_and_with_frozen_norms() {
    let golden = open("tiny_spikformer.safetensors");
    let mut compare = Compare::new("tiny_spikformer");
    let weights = golden.part("w0");
    let network = spikformer(&golden, &weights);
    for kernel in [KernelChoice::Auto, KernelChoice::Plain] {
        for case in golden.cases() {
            let (name, configuration) = (text(&case["case"]), counts(&case["time_res"]));
            let norm = if text(&case["norm"]) == "batch" { NormMode::Batch } else { NormMode::Running };
            let model = Model::new(network.clone(), &weights, &Device::flex()).expect("fits").with_kernel(kernel);
            let x = Sequence::new(image(&golden, "image", &Device::flex().autodiff()), 1);
            let leaves = model.leaves();
            let out = model.forward(&leaves, x, &pass(&configuration, norm), &mut rng(), None).expect("fits");
            let loss = LossSetting::default().forward(out.logits.clone(), &golden.labels("label"));
            let gradients = loss.backward();
            let get = |t: &str| golden.get(&format!("{name}.{t}"));
            compare.abs("logits", &name, &batch_major(&out.logits, configuration[1]), get("logits"), 1e-5);
            compare.abs("loss", &name, &values(&loss), get("loss"), 1e-5);
            let theirs = golden.part(&format!("{name}.grad"));
            assert_eq!(theirs.tensors.len(), model.parameters.len(), "{name}: every gradient is compared");
            for (p, leaf) in model.parameters.iter().zip(&leaves) {
                let (ours, want) = (host(&leaf.grad(&gradients).expect("a gradient")), &theirs.tensors[&p.name]);
                let case = format!("{name}, `{}`", p.name);
                if norm == NormMode::Batch && p.name.ends_with("conv.bias") {
                    // The norm of a batch removes the bias, so its gradient is 0 up to rounding.
                    compare.abs("gradient of a bias that a norm removes", &case, &ours, want, 1e-6);
                } else {
                    relative(&mut compare, "gradient (of the largest)", &case, &ours, want, 1e-4);
                }
            }
            let mut after = model.clone();
            if norm == NormMode::Batch {
                update_running(&mut after, &out);
            }
            let statistics = golden.part(&format!("{name}.bn_after"));
            same_weights(&mut compare, "running statistics", &name, &after, &statistics, 1e-5);
        }
    }
}

#[test]
fn golden_spikformer_calibrated_and_evaluated_at_every_t() {
    let golden = open("tiny_spikformer.safetensors");
    let mut compare = Compare::new("tiny_spikformer calib");
    let weights = golden.part("w0");
    let network = spikformer(&golden, &weights);
    let all = counts(&golden.index["calibrated"]);
    assert_eq!(all, [1, 2, 3, 4, 5]);
    for t in all {
        let case = format!("calib.T{t}");
        let mut model = Model::new(network.clone(), &weights, &Device::flex()).expect("the weights fit");
        let (configuration, constants) = (vec![t; network.stages()], model.constants());
        let run = |model: &Model, name, norm| {
            let x = Sequence::new(image(&golden, name, &Device::flex()), 1);
            model.forward(&constants, x, &pass(&configuration, norm), &mut rng(), None).unwrap()
        };
        let out = run(&model, "image", NormMode::Batch);
        model.running.iter_mut().zip(&out.statistics).for_each(|(r, s)| r.update(s, 1.0));
        same_weights(&mut compare, "statistics", &case, &model, &golden.part(&format!("{case}.bn")), 1e-5);
        let out = run(&model, "calib.test_image", NormMode::Running);
        compare.abs("logits", &case, &batch_major(&out.logits, t), golden.get(&format!("{case}.logits")), 1e-5);
    }
}

// ---- the chain on event frames ----

fn convnet(golden: &Golden, weights: &Weights) -> Arc<Network> {
    let index = &golden.index;
    let mut b = Builder::new("tiny_dvs_convnet", &golden.get("x").shape[2..], InputKind::Events, weights);
    if let (Some(vth), Some(decay)) = (index.get("vth"), index.get("decay")) {
        b.neuron = Neuron { threshold: number(vth), leak: tickless_net::Leak::Step(number(decay)), ..Neuron::lif() };
    }
    let mut at = NodeId::Input;
    for i in (0..).take_while(|i| weights.get(&format!("feature_ext.{i}.conv.module.0.weight")).is_some()) {
        at = b.net.add("", Layer::Ttm(TtmMode::Even), &[at]);
        at = b.conv_norm(&format!("feature_ext.{i}.conv"), 1, at);
        at = b.fire(at);
        at = b.net.pool(at, Pool::average(2));
    }
    b.linear("fc.module", at);
    b.build()
}

#[test]
fn golden_network_on_event_frames_with_input_gradient() {
    let golden = open("tiny_dvs_convnet.safetensors");
    let mut compare = Compare::new("tiny_dvs_convnet");
    let device = Device::flex();
    let weights = golden.part("w0");
    let network = convnet(&golden, &weights);
    let x = TimeMajor::of(golden.get("x"));
    let model = Model::new(network, &weights, &device).expect("the weights fit");
    for (k, configuration) in golden.index["configs"].as_array().expect("configs").iter().enumerate() {
        let (case, configuration) = (k.to_string(), counts(configuration));
        let leaf = x.tensor(&device.clone().autodiff()).require_grad();
        let ours = train(&model, &leaf, x.steps, &configuration, &golden.labels("label"), false);
        let get = |t: &str| golden.get(&format!("{case}.{t}"));
        let steps = *configuration.last().unwrap();
        compare.abs("logits", &case, &batch_major(&ours.output.logits, steps), get("logits"), 1e-5);
        compare.abs("loss", &case, &values(&ours.loss), get("loss"), 1e-5);
        same_gradients(&mut compare, &case, &model, &ours.gradients, &golden.part(&format!("{case}.grad")));
        let gx = batch_major(&ours.input_gradient.expect("the input is a leaf"), x.steps);
        relative(&mut compare, "input gradient (of the largest)", &case, &gx, get("gx"), 1e-4);
    }
}

// ---- folding ----

#[test]
fn golden_folded_networks_give_the_golden_outputs() {
    let golden = open("bn_fold.safetensors");
    let mut compare = Compare::new("bn_fold");
    let device = Device::flex();
    let mut weights = golden.part("orig");
    weights.tensors.remove("out").expect("`orig.out`");
    let x = TimeMajor::of(golden.get("x"));
    // The file numbers the layers: a norm follows its convolution, and the linear layer is last.
    let mut numbers: Vec<usize> =
        weights.tensors.keys().filter_map(|n| n.strip_suffix(".weight")?.parse().ok()).collect();
    numbers.sort_unstable();
    let mut b = Builder::new("bn_fold", &x.rest, InputKind::Events, &weights);
    b.neuron = Neuron::if_multi();
    let mut at = NodeId::Input;
    for n in numbers {
        let name = n.to_string();
        at = match b.shape(&format!("{n}.weight")).len() {
            4 => b.conv(&name, 1, at),
            1 => {
                let norm = b.net.add(&name, Layer::Norm(b.norm), &[at]);
                let spikes = b.fire(norm);
                b.net.pool(spikes, Pool::average(2))
            }
            _ => b.linear(&name, at),
        };
    }
    let network = b.build();
    let mut check = |case: &str, network: &Network, weights: &Weights, want: &Array| {
        let model = Model::new(Arc::new(network.clone()), weights, &device).expect("the weights fit");
        let sequence = Sequence::new(x.tensor(&device), x.steps);
        let configuration = vec![x.steps; network.stages()];
        let pass = pass(&configuration, NormMode::Running);
        let out = model.forward(&model.constants(), sequence, &pass, &mut rng(), None).unwrap();
        compare.abs("output", case, &batch_major(&out.logits, x.steps), want, 1e-5);
    };
    check("orig", &network, &weights, golden.get("orig.out"));
    let (folded, w) = fold::fold_norm(&network, &weights).unwrap();
    w.check(&folded, Path::new("folded")).unwrap();
    check("fused", &folded, &w, golden.get("orig.out"));
    check("bias_removed", &network, &fold::remove_bias(&network, &weights).unwrap(), golden.get("bias_removed.out"));
    let (kept, w) = fold::keep_norm(&network, &weights).unwrap();
    check("merged, norm kept", &kept, &w, golden.get("merged.out_bn_kept"));
    let (dropped, w) = fold::deployable(&network, &weights).unwrap();
    check("merged, norm dropped", &dropped, &w, golden.get("merged.out_bn_dropped"));
}
