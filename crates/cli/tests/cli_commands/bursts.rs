//! The recipe `shd` on recordings whose classes differ only in the order of bursts, with and without
//! its recurrent connections.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tickless::engine::{CompileOptions, Program, Session, Trace, spike_difference};
use tickless::events::datasets::{DataRequest, Sample, Split, open};
use tickless::net::{InputKind, Layer, Leak, LeakRule, Network, NetworkBuilder, Neuron, Period, Recurrent, Refractory};
use tickless::train::device::device;
use tickless::train::model::{Model, NormMode, Pass, Sequence};
use tickless::train::run::{Loaded, RunFolder};
use tickless_testing::command::{Scratch, number};
use tickless_testing::generate::Rng;
use tickless_testing::generate::bursts::shd_file;

/// Duration of a step of the finely clocked run in µs.
const STEP_US: u64 = 100;

/// The recipe's network without its recurrent connections.
const PLAIN: &str = r#"network={ name = "plain", neuron = { model = "lif", reset = "soft", refractory = { steps = 1.0 } }, layers = [
    { layer = "ttm" }, { layer = "linear", out = 128 }, { layer = "neuron" },
    { layer = "ttm" }, { layer = "linear", out = 20 } ] }"#;

/// A folder with 1000 recordings for training and 500 for the test.
fn recordings() -> Scratch {
    let scratch = Scratch::new();
    let mut r = Rng(1);
    scratch.write("shd/shd_train.h5", shd_file(&mut r, 1000));
    scratch.write("shd/shd_test.h5", shd_file(&mut r, 500));
    scratch
}

fn recipe() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/shd.toml")
}

/// Trains the recipe with these changes; returns % correct on the test recordings at T_max.
fn train(scratch: &Scratch, output: &str, changes: &[&str], t_max: usize) -> f64 {
    let recipe = recipe();
    let mut args = vec!["train", recipe.to_str().unwrap(), "--data", "shd", "--output", output];
    changes.iter().for_each(|c| args.extend(["--set", c]));
    scratch.ok(&args);
    let evaluated = scratch.ok_json(&["eval", output, "--steps", &t_max.to_string()]);
    assert_eq!(number(&evaluated, "points/0/samples"), 500.0);
    number(&evaluated, "points/0/accuracy")
}

#[test]
fn recordings_that_differ_only_in_order_are_told_apart() {
    let changes = ["train.epochs=20"];
    let (t_max, compared) = (20, 10);
    let scratch = recordings();
    let accuracy = train(&scratch, "run", &changes, t_max);
    // For comparison, without recurrent connections.
    let without = train(&scratch, "plain", &[&changes[..], &[PLAIN]].concat(), t_max);
    let simulated = number(&scratch.ok_json(&["simulate", "run"]), "accuracy");
    let [difference, sensitivity] = difference(&scratch, "run", compared);
    let [feed_forward, _] = self::difference(&scratch, "plain", compared);
    let told = format!(
        "T_max = {t_max}: {accuracy} % with recurrent connections, {without} % without, {simulated} % without a clock; \
         spike difference at 100 µs {difference}, without recurrent connections {feed_forward}; of the engine with weights \
         that differ by a millionth {sensitivity}"
    );
    println!("{told}");
    // The engine delivers spikes that arrive together one by one, time steps add them up.
    assert!(accuracy >= 90.0 && simulated >= 90.0 && difference <= 0.03, "{told}");
}

/// Two spike differences of the hidden layer, of the spikes of each neuron in each of the first
/// `count` test recordings: between time steps of 100 µs and the engine, and between the engine and
/// itself with weights that are larger by a millionth.
fn difference(scratch: &Scratch, run: &str, count: usize) -> [f64; 2] {
    let Loaded { network, weights, facts, .. } = RunFolder::open(&scratch.at(run)).unwrap().load().unwrap();
    let network = Arc::new(in_us(&network, facts.step_us.unwrap()));
    let program = |weights| Program::compile(&network, weights, &CompileOptions::default()).unwrap();
    let mut larger = weights.clone();
    larger.tensors.values_mut().for_each(|a| a.data.iter_mut().for_each(|w| *w *= 1.000_001));
    let programs = [program(&weights), program(&larger)];
    let device = device("cpu").unwrap();
    let model = Model::new(network.clone(), &weights, &device).unwrap();
    let data = open(&DataRequest::new("shd", Some(&scratch.at("shd")))).unwrap();
    let (mut clocked, mut engines) = (Vec::new(), [Vec::new(), Vec::new()]);
    for i in 0..count {
        let Sample::Events(recording) = data.sample(Split::Test, i).unwrap() else { panic!("no recording") };
        // Both runs end with the last event.
        let steps = (recording.t_last_us().unwrap() / STEP_US + 1) as usize;
        let mut frames = vec![0.0f32; steps * 700];
        for e in recording.iter() {
            frames[(e.t_us / STEP_US) as usize * 700 + usize::from(e.x)] += 1.0;
        }
        for (program, engine) in programs.iter().zip(&mut engines) {
            let (mut session, mut trace) = (Session::new(program), Trace::default());
            for e in recording.iter() {
                session.push_at(e.t_us, 0, 0, e.x.into(), &mut trace).unwrap();
            }
            let mut counts = vec![0.0; 128];
            trace.of(0).for_each(|s| counts[s.channel] += 1.0);
            engine.extend(counts);
        }
        let mut counts = vec![0.0; 128];
        let mut count = |node: usize, spikes: &Sequence| {
            if matches!(network.nodes()[node].layer, Layer::Neuron(_)) {
                let spikes = spikes.clone().materialise().tensor().into_data().iter::<f32>().collect::<Vec<_>>();
                spikes.iter().enumerate().for_each(|(k, s)| counts[k % 128] += f64::from(*s));
            }
        };
        let configuration = [steps; 2];
        let norm = NormMode::Running;
        let step_us = Some(STEP_US as f64);
        let pass = Pass { configuration: &configuration, norm, leak: LeakRule::Time, t_max: steps, step_us };
        let input = Sequence::from_values(frames, [steps, 1, 1, 1, 700], &device);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        model.forward(&model.constants(), input, &pass, &mut rng, Some(&mut count)).unwrap();
        clocked.extend(counts);
    }
    [spike_difference(&clocked, &engines[0]), spike_difference(&engines[0], &engines[1])]
}

/// The network with leak, period and delay in µs, so that a run knows the duration of its steps
/// alone.
fn in_us(network: &Network, step_us: f64) -> Network {
    let mut b = NetworkBuilder::new(network.name(), network.input().shape, InputKind::Events);
    for node in network.nodes() {
        let layer = match node.layer {
            Layer::Neuron(n) => Layer::Neuron(Neuron {
                leak: Leak::Time(n.tau_us(Some(step_us)).unwrap()),
                refractory: n
                    .refractory
                    .map(|r| Refractory { period: Period::Us(r.us(Some(step_us)).unwrap() as f64), ..r }),
                ..n
            }),
            layer => layer,
        };
        let id = b.add_copy(node, layer, &node.from);
        if let Some(r) = node.recurrent {
            b.recurrent(id, Recurrent { delay_us: Some(step_us), ..r });
        }
    }
    b.build().unwrap()
}
