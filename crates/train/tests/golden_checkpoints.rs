//! Checkpoints of other programs give the spikes and logits that those programs gave.

use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tickless_net::interop::checkpoint::{self, Checkpoint, Dialect, FitOptions, torch};
use tickless_net::{
    Array, Conv, InputKind, Layer, Leak, LeakRule, Linear, Network, NetworkBuilder, Neuron, NodeId, Norm, Pool,
    PoolKind, Reset, Shape, Weights,
};
use tickless_testing::folders::models;
use tickless_testing::golden::{Golden, count, number};
use tickless_train::evaluate::CostCounter;
use tickless_train::model::{Model, NormMode, Observer, Pass, Sequence};

/// The values of a tensor of a file, of any type of number.
fn array(file: &Checkpoint, name: &str) -> Array {
    file.array(file.get(name).unwrap_or_else(|| panic!("no tensor `{name}`"))).expect("a small tensor")
}

/// The weights of a checkpoint for a network, all of which it must have.
fn weights(file: &Path, network: &Network) -> Weights {
    let read = checkpoint::read(file, None).expect("a checkpoint");
    let fit = checkpoint::fit(&read, network, file, &FitOptions::default()).expect("finite values");
    assert!(fit.is_complete() && fit.unused.iter().all(|u| u.is_state), "{fit:?}");
    assert!(fit.by_order, "no dialect numbers the modules so");
    fit.weights
}

/// What a network does with an input `[T, B, C, H, W]`.
struct Done {
    /// The output of the last layer, `[T·B × values]`.
    output: Vec<f32>,
    /// The sum over time of every node's output, `[B × values]`, by name; empty if not observed.
    counts: BTreeMap<String, Vec<f32>>,
    /// The output of the node before the last, `[T·B × values]`; empty if not observed.
    inputs: Vec<f32>,
}

/// Runs a network at as many steps as its input has.
fn run(network: &Arc<Network>, weights: &Weights, input: &Array, observed: bool) -> Done {
    run_at(network, weights, input, input.shape[0], observed)
}

fn run_at(network: &Arc<Network>, weights: &Weights, input: &Array, steps: usize, observed: bool) -> Done {
    let device = Device::flex();
    let model = Model::new(network.clone(), weights, &device).expect("the weights fit");
    let &[t, b, c, h, w] = &input.shape[..] else { panic!("an input [T, B, C, H, W]") };
    let data = TensorData::new(input.data.clone(), [t * b, c, h, w]);
    let input = Sequence::new(Tensor::from_data(data, &device), t);
    let configuration = vec![steps; network.stages()];
    let pass = Pass {
        configuration: &configuration,
        norm: NormMode::Running,
        leak: LeakRule::Step,
        t_max: steps,
        step_us: None,
    };
    let (mut counts, mut inputs) = (BTreeMap::new(), Vec::new());
    let mut observe = |i: usize, s: &Sequence| {
        let all: Vec<f32> = s.clone().tensor().into_data().try_into_vec().expect("f32");
        let mut sum = vec![0.0f32; all.len() / s.steps()];
        for step in all.chunks(sum.len()) {
            sum.iter_mut().zip(step).for_each(|(a, b)| *a += b);
        }
        counts.insert(network.nodes()[i].name.clone(), sum);
        if i + 2 == network.nodes().len() {
            inputs = all;
        }
    };
    let observer: Option<Observer<'_>> = if observed { Some(&mut observe) } else { None };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let output = model.forward(&model.constants(), input, &pass, &mut rng, observer).expect("the pass fits");
    Done { output: output.logits.into_data().try_into_vec().expect("f32"), counts, inputs }
}

/// sinabs' network for DVS-Gesture: convolutions, average pooling and multi-spike IF neurons, also
/// at the output.
fn sinabs_network() -> Arc<Network> {
    let mut b = NetworkBuilder::new("sinabs-dvs-gesture", Shape::new(2, 128, 128), InputKind::Events);
    let conv = |out| Layer::Conv(Conv::c3(out));
    let pool = || Layer::Pool(Pool::average(2));
    let linear = |out| Layer::Linear(Linear { out, bias: false });
    // Each is followed by neurons with sinabs' number of the module; pooling follows those.
    let layers = [
        (Layer::Conv(Conv::square(16, 2, 2, 0)), "1", false),
        (conv(16), "3", true),
        (conv(32), "6", true),
        (conv(32), "9", true),
        (conv(64), "12", true),
        (conv(64), "15", true),
        (Layer::Conv(Conv::square(256, 2, 1, 0)), "19", false),
        (linear(128), "23", false),
        (linear(11), "spike_output", false),
    ];
    let mut at = NodeId::Input;
    for (layer, name, pooled) in layers {
        at = b.add("", layer, &[at]);
        at = b.add(name, Layer::Neuron(Neuron::if_multi()), &[at]);
        if pooled {
            at = b.add("", pool(), &[at]);
        }
    }
    Arc::new(b.build().expect("a network"))
}

#[test]
fn a_published_network_of_sinabs_spikes_as_it_does_there() {
    let Some(folder) = models("dvs-gesture") else { return };
    let shown = checkpoint::read(&folder.join("sinabs_dvs_gesture.shown.safetensors"), None).expect("golden values");
    let network = sinabs_network();
    let weights = weights(&folder.join("sinabs_dvs_gesture.pt"), &network);
    let input = array(&shown, "input");
    let done = run(&network, &weights, &input, true);
    let mut layers = 0;
    for (name, _) in shown.tensors().iter().filter(|(n, _)| n.starts_with("count.")) {
        layers += 1;
        let (want, got) = (array(&shown, name).data, &done.counts[&name["count.".len()..]]);
        let differ = want.iter().zip(got).filter(|(a, b)| a != b).count();
        assert_eq!((want.len(), differ), (got.len(), 0), "{name}: {differ} of {} counts differ", want.len());
        assert!(want.iter().any(|n| *n > 0.0), "{name} has no spike");
    }
    assert_eq!(layers, 9);
    let spikes = array(&shown, "spikes").data;
    assert_eq!(done.output, spikes);
    assert_eq!(run(&network, &weights, &input, false).output, spikes, "with fused kernels");
}

/// snnTorch's network for DVS-Gesture: convolutions with bias, max pooling, and neurons whose reset
/// subtracts the threshold one step late. The constants of each neuron are in the file.
fn snntorch_network(file: &Checkpoint) -> Arc<Network> {
    let mut b = NetworkBuilder::new("snntorch-dvs-gesture", Shape::new(2, 32, 32), InputKind::Events);
    let mut at = NodeId::Input;
    for (name, out) in [("lif1", 16), ("lif2", 32), ("lif3", 64), ("lif4", 11)] {
        if name == "lif4" {
            at = b.add("", Layer::Linear(Linear { out, bias: true }), &[at]);
        } else {
            at = b.conv(at, Conv { bias: true, ..Conv::square(out, 5, 1, 2) });
            at = b.pool(at, Pool::square(PoolKind::Max, 2, 2, 0));
        }
        let constant = |which: &str| array(file, &format!("{name}.{which}")).data[0];
        let leak = Leak::Step(constant("beta"));
        let neuron = Neuron { threshold: constant("threshold"), leak, reset: Reset::SoftDelayed, ..Neuron::lif() };
        at = b.add(name, Layer::Neuron(neuron), &[at]);
    }
    Arc::new(b.build().expect("a network"))
}

#[test]
fn a_published_network_of_snntorch_spikes_as_it_does_there() {
    let Some(folder) = models("dvs-gesture") else { return };
    let shown =
        checkpoint::read(&folder.join("neurobench_dvs_gesture.shown.safetensors"), None).expect("golden values");
    let file = folder.join("neurobench_dvs_gesture.pt");
    let read = checkpoint::read(&file, None).expect("a checkpoint");
    let network = snntorch_network(&read);
    let fit = checkpoint::fit(&read, &network, &file, &FitOptions::default()).expect("finite values");
    assert!(fit.is_complete() && fit.differences.is_empty() && fit.unused.iter().all(|u| u.is_state), "{fit:?}");
    let done = run(&network, &fit.weights, &array(&shown, "input"), true);
    for name in ["lif1", "lif2", "lif3"] {
        let (want, got) = (array(&shown, &format!("count.{name}")).data, &done.counts[name]);
        let differ = want.iter().zip(got).filter(|(a, b)| a != b).count();
        assert_eq!((want.len(), differ), (got.len(), 0), "{name}: {differ} of {} counts differ", want.len());
    }
    let spikes = array(&shown, "spikes").data;
    assert_eq!(done.output, spikes);
    assert_eq!(run(&network, &fit.weights, &array(&shown, "input"), false).output, spikes, "with fused kernels");
    // The membrane of the last layer follows from its input: u = β·u + x − θ·s of the step before.
    let (beta, theta) = (array(&read, "lif4.beta").data[0], array(&read, "lif4.threshold").data[0]);
    let want = array(&shown, "membrane");
    let neurons = want.data.len() / want.shape[0];
    let mut u = vec![0.0f32; neurons];
    let steps = done.inputs.chunks(neurons).zip(spikes.chunks(neurons)).zip(want.data.chunks(neurons));
    for (t, ((x, s), want)) in steps.enumerate() {
        for i in 0..neurons {
            let before = if u[i] > theta { theta } else { 0.0 };
            u[i] = beta * u[i] + x[i] - before;
            assert!((u[i] - want[i]).abs() <= 1e-4, "step {t}, neuron {i}: {} and {}", u[i], want[i]);
            assert_eq!(s[i] > 0.0, u[i] > theta, "step {t}, neuron {i}");
        }
    }
}

#[test]
fn the_cost_of_a_published_network_is_what_neurobench_reports() {
    let Some(folder) = models("dvs-gesture") else { return };
    let shown =
        checkpoint::read(&folder.join("neurobench_dvs_gesture.shown.safetensors"), None).expect("golden values");
    let text = std::fs::read_to_string(folder.join("neurobench_dvs_gesture.shown.json")).expect("golden numbers");
    let want: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let file = folder.join("neurobench_dvs_gesture.pt");
    let read = checkpoint::read(&file, None).expect("a checkpoint");
    let network = snntorch_network(&read);
    let fit = checkpoint::fit(&read, &network, &file, &FitOptions::default()).expect("finite values");
    let model = Model::new(network.clone(), &fit.weights, &Device::flex()).expect("the weights fit");
    let input = array(&shown, "input");
    let &[t, b, c, h, w] = &input.shape[..] else { panic!("an input [T, B, C, H, W]") };
    let data = TensorData::new(input.data.clone(), [t * b, c, h, w]);
    let input = Sequence::new(Tensor::from_data(data, &Device::flex()), t);
    let configuration = vec![t; network.stages()];
    let pass =
        Pass { configuration: &configuration, norm: NormMode::Running, leak: LeakRule::Step, t_max: t, step_us: None };
    let mut counter = CostCounter::new(&model, pass.clone());
    counter.observe(NodeId::Input, &input);
    let mut observe = |i: usize, s: &Sequence| counter.observe(NodeId::Node(i), s);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    model.forward(&model.constants(), input, &pass, &mut rng, Some(&mut observe)).expect("the pass fits");
    let (_, cost) = counter.finish().expect("counted");
    let got = serde_json::to_value(&cost).expect("JSON");
    for key in [
        "Footprint",
        "ConnectionSparsity",
        "ParameterCount",
        "ActivationSparsity",
        "ActivationSparsityByLayer",
        "SynapticOperations",
        "MembraneUpdates",
    ] {
        let (want, got) = (&want[key], &got[key]);
        let numbers = |v: &serde_json::Value| -> Vec<f64> {
            let each = |v: &serde_json::Value| v.as_f64().expect("a number");
            v.as_object().map_or_else(|| vec![each(v)], |all| all.values().map(each).collect())
        };
        assert_eq!(numbers(got), numbers(want), "{key}: {got} and {want}");
    }
    // Each neuron is a `Leaky`, of whose updates NeuroBench counts 4 operations.
    assert_eq!(got["NeuronOperations"]["Effective Neuron Ops"], 4.0 * cost.membrane_updates);
    let neurons: usize = network.spiking().iter().map(|i| network.nodes()[*i].output.len()).sum();
    assert_eq!(got["NeuronOperations"]["Neuron Dense Ops"], (4 * neurons * t) as f64);
    // The published count is that of T = 150.
    assert_eq!(cost.synaptic_operations.dense / t as f64 * 150.0, 891_206_400.0);
    assert_eq!(cost.footprint, 304_828);
}

/// The residual network of the paper's code, with names of our own.
fn tfsnn(golden: &Golden, weights: &Weights) -> Arc<Network> {
    let index = &golden.index;
    let shape = &golden.get("calib.test_image").shape;
    let mut b = NetworkBuilder::new("tiny", Shape::new(shape[1], shape[2], shape[3]), InputKind::Image);
    let norm = Layer::Norm(Norm {
        eps: index["bn_eps"].as_f64().expect("bn_eps"),
        momentum: index["bn_momentum"].as_f64().expect("bn_momentum"),
    });
    let leak = Leak::Step(number(&index["decay"]));
    let neuron = Neuron { threshold: number(&index["vth"]), leak, ..Neuron::lif() };
    let unit = |b: &mut NetworkBuilder, conv: Conv, from| {
        let x = b.conv(from, conv);
        b.add("", norm, &[x])
    };
    let stem = weights.get("conv.module.0.weight").expect("a stem").shape[0];
    let mut at = unit(&mut b, Conv::c3(stem), NodeId::Input);
    at = b.neuron(at, neuron);
    for block in index["blocks"].as_array().expect("blocks") {
        let (channels, out) = (count(&block[0]), count(&block[1]));
        let (down, ttm) = (block[2].as_bool().expect("a flag"), block[3].as_bool().expect("a flag"));
        if ttm {
            at = b.ttm(at);
        }
        let stride = if down { 2 } else { 1 };
        let x = unit(&mut b, Conv::c3(out).with_stride(stride), at);
        let x = b.neuron(x, neuron);
        let x = unit(&mut b, Conv::c3(out), x);
        let aside = if down || channels != out { unit(&mut b, Conv::square(out, 1, stride, 0), at) } else { at };
        let sum = b.add("", Layer::Add, &[x, aside]);
        at = b.neuron(sum, neuron);
    }
    let mean = b.add("", Layer::GlobalAverage, &[at]);
    b.linear(mean, weights.get("fc.module.bias").expect("a classifier").shape[0], true);
    Arc::new(b.build().expect("a network"))
}

#[test]
fn a_checkpoint_of_the_papers_code_gives_its_logits() {
    let golden = Golden::open("tiny_tfsnn.safetensors");
    let last = golden.index["mtt_configs"].as_array().expect("configurations").len() - 1;
    let theirs = golden.part(&format!("mtt.{last}.after"));
    let network = tfsnn(&golden, &theirs);
    // As the code saves it from several GPUs.
    let named: Vec<(String, &Array)> = theirs.tensors.iter().map(|(n, a)| (format!("module.{n}"), a)).collect();
    let file = Path::new("best.pth");
    let read = checkpoint::from_bytes(torch::to_bytes(&named).expect("bytes"), file, None).expect("a checkpoint");
    let fit = checkpoint::fit(&read, &network, file, &FitOptions::default()).expect("finite values");
    assert!(fit.is_complete() && fit.unused.is_empty(), "{fit:?}");
    assert_eq!((fit.dialect, fit.prefix.as_str(), fit.by_order), (Some(Dialect::Paper), "module.", false));
    let mut weights = fit.weights;
    for t in [1, 3, 8] {
        // The logits are those after a calibration, whose statistics are in the file too.
        for m in &fit.matched {
            let name = m.name.trim_start_matches("module.");
            let calibrated = format!("calib.T{t}.bn.{name}");
            if golden.has(&calibrated) {
                weights.insert(&m.tensor, golden.get(&calibrated).clone());
            }
        }
        let (want, input) = (golden.get(&format!("calib.T{t}.logits")), golden.get("calib.test_image"));
        let input = Array::new([&[1], &input.shape[..]].concat(), input.data.clone());
        let got = run_at(&network, &weights, &input, t, false).output;
        let &[b, steps, classes] = &want.shape[..] else { panic!("logits [B, T, classes]") };
        assert_eq!(steps, t);
        for (at, value) in got.iter().enumerate() {
            let (step, sample, class) = (at / (b * classes), at / classes % b, at % classes);
            let expected = want.data[(sample * t + step) * classes + class];
            assert!((value - expected).abs() <= 1e-5, "T = {t}, {at}: {value} and {expected}");
        }
    }
}
