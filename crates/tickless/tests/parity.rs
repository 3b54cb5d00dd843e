//! Executors that must agree do, and each usual mistake between training and chip is named.

mod common;

use common::{RESIDUAL, Scratch, number};
use tickless::engine::{CompileOptions, Event, NeuronCounts, Program, Recording, Session};
use tickless::net::interop::nir;
use tickless::net::{Network, Neuron, Reset, SpikeMode};
use tickless::parity::{Executed, Options, Verdict, counts_text, parity, shapes};
use tickless::train::device::device;
use tickless::train::progress::Silent;
use tickless::train::run::{Loaded, RunFolder};

/// A net with pooling between its layers of multi-spike neurons, limits included.
const CHIP: &str = r#"
seed = 1

[data]
set = "digits-dvs"
seed = 0
train_limit = 100
test_limit = 10

[network]
name = "chip"
neuron = { model = "if" }

[[network.layers]]
layer = "conv"
out = 6
stride = 2
[[network.layers]]
layer = "neuron"
[[network.layers]]
layer = "pool"
kernel = 2
[[network.layers]]
layer = "conv"
out = 6
[[network.layers]]
layer = "neuron"
[[network.layers]]
layer = "linear"
out = 10

[train]
strategy = "sdt"
t_max = 4
epochs = 1
batch = 10
init_gain = 3.0

[eval]
steps = [1, 4]
"#;

fn chip() -> (Scratch, Loaded) {
    let scratch = Scratch::new();
    scratch.write("chip.toml", CHIP);
    scratch.ok(&["train", "chip.toml", "--output", "run"]);
    let mut run = RunFolder::open(&scratch.at("run")).unwrap().load().unwrap();
    // Three times the weights make bursts; multiples of 1/16 meet the threshold exactly now and then, so that equality is a choice.
    for array in run.weights.tensors.values_mut() {
        array.data.iter_mut().for_each(|w| *w = (*w * 48.0).round() / 16.0);
    }
    (scratch, run)
}

/// The first events of the test recordings.
fn recordings(run: &Loaded, events: usize) -> Vec<Recording> {
    let some = |&id| {
        let r = run.source.recording(id).unwrap();
        let events: Vec<Event> = r.iter().take(events).collect();
        Recording::from_events(r.sensor(), &events).unwrap().0
    };
    run.parts.test.iter().map(some).collect()
}

/// Counts of another executor: a network, what becomes of an event, and whether state is kept.
fn counts(run: &Loaded, network: &Network, event: fn(Event) -> Event, kept: bool) -> String {
    let program = Program::compile(network, &run.weights, &CompileOptions::default()).unwrap();
    let (mut session, mut late) = (Session::new(&program), 0);
    let mut executed = Executed::default();
    for r in recordings(run, 300) {
        let mut counts = NeuronCounts::new(&program);
        if !kept {
            session.reset();
        }
        for e in r.iter().map(event) {
            session.push_into(Event { t_us: e.t_us + late, ..e }, &mut counts).unwrap();
        }
        late = if kept { session.now_us() } else { 0 };
        let layers = 0..program.layers().len();
        executed.counts.push(layers.map(|l| counts.layer(l).iter().map(|&c| c as u32).collect()).collect());
    }
    counts_text(&run.network, &shapes(&run.network), &executed)
}

fn options() -> Options {
    Options { events: 300, reader: nir::Reader::Sinabs, graph: None, dialect: None, counts: None }
}

#[test]
fn each_usual_mistake_is_named_as_the_cause() {
    let (scratch, run) = chip();
    let all = |f: &dyn Fn(Neuron) -> Neuron| run.network.map_neurons(|_, n| f(n));
    let scaled = |factor: f32| {
        run.network.map_neurons(|name, n| {
            let factor = if name == "neuron2" { factor } else { 1.0 };
            Neuron { threshold: n.threshold / factor, v_min: n.v_min.map(|v| v / factor), ..n }
        })
    };
    let same: fn(Event) -> Event = |e| e;
    let cases: Vec<(&str, String)> = vec![
        ("state not reset", counts(&run, &run.network, same, true)),
        ("polarities exchanged", counts(&run, &run.network, |e| Event { on: !e.on, ..e }, false)),
        ("reset mode: it resets to 0", counts(&run, &all(&|n| Neuron { reset: Reset::Hard, ..n }), same, false)),
        (
            "multi-spike: it emits at most one",
            counts(&run, &all(&|n| Neuron { spikes: SpikeMode::Single, ..n }), same, false),
        ),
        ("equality", counts(&run, &all(&|n| Neuron { fire_at_threshold: false, ..n }), same, false)),
        ("lower limit: it has none", counts(&run, &all(&|n| Neuron { v_min: None, ..n }), same, false)),
        ("a pooling of 2×2 is summed there", counts(&run, &scaled(4.0), same, false)),
        ("scale: the weights of layer `neuron2` are 0.1 times", counts(&run, &scaled(0.1), same, false)),
    ];
    for (cause, text) in cases {
        scratch.write("counts.csv", text);
        let options = Options { counts: Some(scratch.at("counts.csv")), ..options() };
        let (result, _) = parity(&run, &device("cpu").unwrap(), &run.parts.test, &options, &Silent).unwrap();
        let broken = result.broken().unwrap_or_else(|| panic!("{cause}: nothing differs"));
        assert!(broken.executor.contains("counts.csv"), "{cause}: {broken:#?}");
        let named = broken.cause.as_deref().unwrap();
        assert!(named.contains(cause) && named.contains("exactly"), "{cause}: {named}");
    }
}

#[test]
fn what_nobody_did_is_called_unknown() {
    let (scratch, run) = chip();
    let text = counts(&run, &run.network, |e| e, false);
    // One count of the file is changed: no mistake in the network does that.
    let line = text.lines().nth(40).unwrap();
    let (head, n) = line.rsplit_once(',').unwrap();
    let changed = format!("{head},{}", n.parse::<u32>().unwrap() + 3);
    scratch.write("counts.csv", text.replace(&format!("{line}\n"), &format!("{changed}\n")));
    let options = Options { counts: Some(scratch.at("counts.csv")), ..options() };
    let (result, _) = parity(&run, &device("cpu").unwrap(), &run.parts.test, &options, &Silent).unwrap();
    let broken = result.broken().unwrap();
    assert!(broken.cause.as_deref().unwrap().starts_with("unknown"), "{broken:#?}");
    let first = broken.first.as_ref().unwrap();
    let [c, y, x] = first.neuron;
    assert_eq!(format!("{},{},{c},{y},{x},{}", first.recording, first.layer, first.other), changed);
}

#[test]
fn executors_of_one_description_agree() {
    let (scratch, run) = chip();
    let (result, ours) = parity(&run, &device("cpu").unwrap(), &run.parts.test, &options(), &Silent).unwrap();
    assert!(result.spikes.iter().all(|(_, n)| *n > 100), "there is something to compare: {:?}", result.spikes);
    let verdicts: Vec<(&str, &Verdict)> = result.pairs.iter().map(|p| (p.executor.as_str(), &p.verdict)).collect();
    let agreeing = verdicts.iter().filter(|(_, v)| **v == Verdict::Agree).count();
    assert_eq!(agreeing, 4, "clocked layers, reset, the graph read back and as sinabs runs it: {verdicts:?}");
    assert_eq!(verdicts.iter().filter(|(_, v)| **v == Verdict::Measured).count(), 2, "{verdicts:?}");
    // Our own counts in a file agree with us.
    scratch.write("counts.csv", counts_text(&run.network, &shapes(&run.network), &ours));
    let options = Options { counts: Some(scratch.at("counts.csv")), ..options() };
    let (result, _) = parity(&run, &device("cpu").unwrap(), &run.parts.test, &options, &Silent).unwrap();
    assert!(result.broken().is_none(), "{:#?}", result.broken());
}

#[test]
fn a_residual_network_agrees_layer_by_layer() {
    let scratch = Scratch::new();
    scratch.write("residual.toml", RESIDUAL);
    scratch.ok(&["train", "residual.toml", "--output", "base"]);
    scratch.refused_with(&["parity", "base"], &["has a bias", "tickless finetune"]);
    scratch.ok(&["finetune", "base", "--epochs", "0", "--output", "run"]);
    let result = scratch.ok_json(&["parity", "run", "--limit", "5", "--events", "400"]);
    assert_eq!(number(&result, "events"), 2000.0);
    assert_eq!(result["pairs"][0]["verdict"], "agree", "{result:#}");
    let spikes: f64 = result["spikes"].as_array().unwrap().iter().map(|l| number(l, "1")).sum();
    assert!(spikes > 0.0, "{result:#}");
}

#[test]
fn files_of_others_are_compared_and_refused_with_their_place() {
    let scratch = Scratch::new();
    scratch.write("chip.toml", CHIP);
    scratch.ok(&["train", "chip.toml", "--output", "run"]);
    let short = ["parity", "run", "--limit", "3", "--events", "100"];
    scratch.ok(&[&short[..], &["--write-counts", "ours.csv"]].concat());
    let table = scratch.ok(&[&short[..], &["--counts", "ours.csv"]].concat()).stdout;
    assert!(
        table.contains("agrees    spike counts of ours.csv") && table.contains("measured  engine in 8 bit"),
        "{table}"
    );
    scratch.ok(&["export", "run", "--to", "nir", "--output", "net.nir"]);
    scratch.ok(&[&short[..], &["--graph", "net.nir"]].concat());
    // Read as Norse runs it, the graph is another network, and this is an error that says why.
    let ran = scratch.run(&[&short[..], &["--graph", "net.nir", "--dialect", "norse"]].concat());
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("differs from the engine from layer `neuron1`"), "{ran:#?}");
    assert!(ran.stdout.contains("DIFFERS   graph net.nir"), "{ran:#?}");

    let refuse = |text: &str, words: &[&str]| {
        scratch.write("bad.csv", text);
        scratch.refused_with(&[&short[..], &["--counts", "bad.csv"]].concat(), words);
    };
    let head = "recording,layer,channel,y,x,spikes\n";
    refuse("", &["bad.csv", "first line"]);
    refuse(&format!("{head}0,neuron1,0,0\n"), &["bad.csv line 2", "not six values"]);
    refuse(&format!("{head}0,nothing,0,0,0,1\n"), &["line 2", "nothing", "neuron1, neuron2"]);
    refuse(&format!("{head}3,neuron1,0,0,0,1\n"), &["recording 3", "--limit"]);
    refuse(&format!("{head}0,neuron1,0,99,0,1\n"), &["outside"]);
    refuse(&format!("{head}0,neuron1,0,0,0,-1\n"), &["`-1` is not a whole number"]);
    scratch.refused_with(&["parity", "run", "--reader", "brain"], &["--reader brain", "sinabs"]);
    scratch.refused_with(&[&short[..], &["--graph", "no.nir"]].concat(), &["no.nir"]);
}
