//! Executors that must agree do agree, and each usual mistake between training and chip is named.

use std::sync::Arc;
use tickless::engine::{CompileOptions, Event, NeuronCounts, Program, Recording, Session};
use tickless::net::interop::nir;
use tickless::net::{During, Network, Neuron, Period, Refractory, Reset, SpikeMode};
use tickless::parity::{Executed, Options, Verdict, counts_text, parity, shapes};
use tickless::train::device::device;
use tickless::train::progress::Silent;
use tickless::train::run::{Loaded, RunFolder};
use tickless_testing::command::{Scratch, number};
use tickless_testing::recipes::RESIDUAL;

/// A network of multi-spike neurons with lower limits, and pooling between its layers.
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
    // Tripled weights cause bursts. Rounded to multiples of 1/16 they sometimes meet the threshold
    // exactly, so that firing at equality matters.
    for array in run.weights.tensors.values_mut() {
        array.data.iter_mut().for_each(|w| *w = (*w * 48.0).round() / 16.0);
    }
    (scratch, run)
}

/// The test recordings, cut to their first `events` events.
fn recordings(run: &Loaded, events: usize) -> Vec<Recording> {
    let some = |&id| {
        let r = run.source.recording(id).unwrap();
        let events: Vec<Event> = r.iter().take(events).collect();
        Recording::from_events(r.sensor(), &events).unwrap().0
    };
    run.parts.test.iter().map(some).collect()
}

/// Spike counts of another executor, which runs `network`, changes each event by `event`, and keeps
/// its state from one recording to the next if `kept`.
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
    counts_text(&run.network, &shapes(&run.network), &executed, &[])
}

fn options() -> Options {
    Options {
        events: 300,
        reader: nir::Reader::Sinabs,
        graph: None,
        dialect: None,
        dt: None,
        counts: None,
        within: None,
    }
}

#[test]
fn each_usual_mistake_is_named_as_the_cause() {
    let (scratch, run) = chip();
    let changed = |f: &dyn Fn(Neuron) -> Neuron| run.network.map_neurons(|_, n| f(n));
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
        ("reset mode: it resets to 0", counts(&run, &changed(&|n| Neuron { reset: Reset::Hard, ..n }), same, false)),
        (
            "multi-spike: it emits at most one",
            counts(&run, &changed(&|n| Neuron { spikes: SpikeMode::Single, ..n }), same, false),
        ),
        ("equality", counts(&run, &changed(&|n| Neuron { fire_at_threshold: false, ..n }), same, false)),
        ("lower limit: it has none", counts(&run, &changed(&|n| Neuron { v_min: None, ..n }), same, false)),
        ("a pooling of 2×2 is summed there", counts(&run, &scaled(4.0), same, false)),
        ("scale: the weights of layer `neuron2` are 0.1 times", counts(&run, &scaled(0.1), same, false)),
    ];
    for (cause, text) in cases {
        scratch.write("counts.csv", text);
        let options = Options { counts: Some(scratch.at("counts.csv")), ..options() };
        let (result, _) = parity(&run, &device("cpu").unwrap(), &run.parts.test, &options, &Silent).unwrap();
        let broken = result.broken().unwrap_or_else(|| panic!("{cause}: nothing differs"));
        assert!(broken.executor.contains("counts.csv"), "{cause}: {broken:#?}");
        let named = broken.cause.as_ref().unwrap().words.as_str();
        assert!(named.contains(cause) && named.contains("exactly"), "{cause}: {named}");
    }
}

#[test]
fn a_refractory_period_is_run_layer_by_layer_and_its_absence_is_named_as_the_cause() {
    let (scratch, mut run) = chip();
    for during in [During::Integrate, During::Hold] {
        let refractory = Some(Refractory { period: Period::Us(20_000.0), during });
        let single = |n: Neuron| Neuron { spikes: SpikeMode::Single, refractory, ..n };
        run.network = Arc::new(run.network.map_neurons(|_, n| single(n)));
        let without = run.network.map_neurons(|_, n| n.without_refractory());
        scratch.write("counts.csv", counts(&run, &without, |e| e, false));
        let options = Options { counts: Some(scratch.at("counts.csv")), ..options() };
        let (result, _) = parity(&run, &device("cpu").unwrap(), &run.parts.test, &options, &Silent).unwrap();
        let clocked = result.pairs.iter().find(|p| p.executor.starts_with("clocked, layer by layer")).unwrap();
        assert!(matches!(clocked.verdict, Verdict::Agree | Verdict::AgreeButForRounding), "{clocked:#?}");
        let broken = result.broken().expect("the counts are those of another neuron");
        let named = broken.cause.as_ref().unwrap().words.as_str();
        assert!(named.contains("refractory period: it has none") && named.contains("exactly"), "{named}");
    }
}

#[test]
fn what_nobody_did_is_called_unknown() {
    let (scratch, run) = chip();
    let text = counts(&run, &run.network, |e| e, false);
    // One count in the file is changed, which no mistake in the network can cause.
    let line = text.lines().nth(40).unwrap();
    let (head, n) = line.rsplit_once(',').unwrap();
    let changed = format!("{head},{}", n.parse::<u32>().unwrap() + 3);
    scratch.write("counts.csv", text.replace(&format!("{line}\n"), &format!("{changed}\n")));
    let measured = Options { counts: Some(scratch.at("counts.csv")), ..options() };
    let exact = Options { within: Some(0.0), ..measured.clone() };
    let on = device("cpu").unwrap();
    // Without a limit, the difference is reported without a cause.
    let (result, _) = parity(&run, &on, &run.parts.test, &measured, &Silent).unwrap();
    assert!(result.broken().is_none(), "{:#?}", result.broken());
    let pair = result.pairs.iter().find(|p| p.executor.contains("counts.csv")).unwrap();
    assert_eq!((&pair.verdict, &pair.cause), (&Verdict::Measured, &None));
    let (result, _) = parity(&run, &on, &run.parts.test, &exact, &Silent).unwrap();
    let broken = result.broken().unwrap();
    assert!(broken.cause.as_ref().unwrap().words.as_str().starts_with("unknown"), "{broken:#?}");
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
    // The engine's own counts, read from a file, agree.
    scratch.write("counts.csv", counts_text(&run.network, &shapes(&run.network), &ours, &[]));
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
    // Read as a graph for Norse it is a different network, and the error says why.
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

/// A trained run, and the counts that the command writes for it.
fn written() -> (Scratch, String) {
    let scratch = Scratch::new();
    scratch.write("chip.toml", CHIP);
    let text = counts_of(&scratch);
    (scratch, text)
}

/// Trains the recipe `chip.toml`, and returns the spike counts of its engine.
fn counts_of(scratch: &Scratch) -> String {
    scratch.ok(&["train", "chip.toml", "--output", "run"]);
    scratch.ok(&["parity", "run", "--limit", "3", "--events", "100", "--write-counts", "ours.csv"]);
    scratch.text("ours.csv")
}

#[test]
fn counts_are_compared_where_they_are_and_absence_is_not_silence() {
    let (scratch, text) = written();
    let ask = |text: &str, more: &[&str]| {
        scratch.write("theirs.csv", text);
        let base = ["parity", "run", "--limit", "3", "--events", "100", "--counts", "theirs.csv"];
        scratch.ok_json(&[&base[..], more].concat())["pairs"]
            .as_array()
            .unwrap()
            .iter()
            .find(|p| p["executor"].as_str().unwrap().contains("theirs.csv"))
            .unwrap()
            .clone()
    };
    let whole = ask(&text, &[]);
    assert_eq!((&whole["verdict"], &whole["ordered"]), (&"agree".into(), &false.into()), "{whole:#}");
    // The file knows only one layer of one recording.
    let head = text.lines().next().unwrap();
    let some: Vec<&str> = text.lines().filter(|l| l.starts_with("1,neuron1,")).collect();
    assert!(some.len() > 3, "{text}");
    let part = ask(&format!("{head}\n{}\n", some.join("\n")), &[]);
    assert_eq!(part["verdict"], "agree", "{part:#}");
    assert_eq!((&part["absent_layers"], &part["recordings"]), (&serde_json::json!(["neuron2"]), &1.into()));
    assert_eq!(part["absent_recordings"], serde_json::json!(["0", "2"]));
    // A layer with a single line counts as silent elsewhere. The difference is reported without a
    // cause.
    let row = some[0];
    let zero = format!("{},0", row.rsplit_once(',').unwrap().0);
    let silent = ask(&format!("{head}\n{zero}\n"), &[]);
    assert_eq!((&silent["verdict"], &silent["cause"]), (&"measured".into(), &serde_json::Value::Null), "{silent:#}");
    assert_eq!(number(&silent["layers"][0], "spike_difference"), 1.0);
    assert!(silent["notes"].to_string().contains("silent in layer `neuron1`"), "{silent:#}");
}

#[test]
fn counts_of_the_output_decide_for_a_class_and_their_accuracy_is_told() {
    let scratch = Scratch::new();
    // Neurons follow the last linear layer, so the readout spikes.
    let (network, training) = CHIP.split_once("\n[train]").unwrap();
    scratch.write("chip.toml", format!("{network}\n[[network.layers]]\nlayer = \"neuron\"\n\n[train]{training}"));
    let text = counts_of(&scratch);
    let ask = |text: &str| {
        scratch.write("theirs.csv", text);
        let json = scratch.ok_json(&["parity", "run", "--limit", "3", "--events", "100", "--counts", "theirs.csv"]);
        let theirs = |p: &&serde_json::Value| p["executor"].as_str().unwrap().contains("theirs.csv");
        (json["accuracy"].clone(), json["pairs"].as_array().unwrap().iter().find(theirs).unwrap()["accuracy"].clone())
    };
    let (ours, theirs) = ask(&text);
    assert_eq!(theirs, ours, "the same counts decide for the same classes");
    // If the file lacks the output layer, no class is decided.
    let hidden: String = text.lines().filter(|l| !l.contains(",neuron3,")).map(|l| format!("{l}\n")).collect();
    assert_eq!(ask(&hidden).1, serde_json::Value::Null);
    // Every recording has one class. If the output is set to each class in turn, each recording is
    // therefore decided correctly exactly once.
    let right = |class: usize| {
        let lines: String = (0..3).map(|k| format!("{k},neuron3,{class},0,0,5\n")).collect();
        ask(&format!("{hidden}{lines}")).1.as_f64().unwrap()
    };
    let all: Vec<f64> = (0..10).map(right).collect();
    assert!((all.iter().sum::<f64>() - 100.0).abs() < 1e-9, "{all:?}");
}

#[test]
fn counts_that_say_two_things_of_one_neuron_are_refused() {
    let (scratch, text) = written();
    let refuse = |text: &str, words: &[&str]| {
        scratch.write("bad.csv", text);
        let ask = ["parity", "run", "--limit", "3", "--events", "100", "--counts", "bad.csv"];
        scratch.refused_with(&ask, words);
    };
    let row = text.lines().nth(1).unwrap();
    let last = text.lines().count();
    refuse(&format!("{text}{row}\n"), &[&format!("bad.csv line {}", last + 1), "in line 2 already"]);
    let head = text.lines().next().unwrap();
    refuse(&format!("{head}\n"), &["no line of counts"]);
    refuse(&format!("{head}\n0,neuron1,0,0,0,1\na.bin,neuron1,0,0,0,1\n"), &["line 3", "by file and by number"]);
    refuse(&format!("{head}\na.bin,neuron1,0,0,0,1\n"), &["line 2", "`a.bin`", "number them"]);
    scratch.refused_with(&["parity", "run", "--counts", "ours.csv", "--within=-1"], &["--within -1", "percentage"]);
}

#[test]
fn a_limit_for_counts_decides_the_exit_code() {
    let (scratch, text) = written();
    let row = text.lines().find(|l| !l.ends_with(",0") && l.contains(",neuron1,")).unwrap();
    let (place, n) = row.rsplit_once(',').unwrap();
    let more = format!("{place},{}", n.parse::<u32>().unwrap() + 1);
    scratch.write("near.csv", text.replace(&format!("{row}\n"), &format!("{more}\n")));
    let ask = ["parity", "run", "--limit", "3", "--events", "100", "--counts", "near.csv"];
    let told = scratch.ok(&ask).stdout;
    assert!(told.contains("measured  spike counts of near.csv") && !told.contains("cause"), "{told}");
    scratch.ok(&[&ask[..], &["--within", "50"]].concat());
    let ran = scratch.run(&[&ask[..], &["--within", "0"]].concat());
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains("spike counts of near.csv differs") && ran.stderr.contains("unknown"), "{ran:#?}");
    assert!(ran.stdout.contains("DIFFERS   spike counts of near.csv"), "{ran:#?}");
}

/// Two layers of neurons with only a pooling between them.
const POOLED: &str = r#"
[[network.layers]]
layer = "neuron"
[[network.layers]]
layer = "pool"
kernel = 2
[[network.layers]]
layer = "neuron"
[[network.layers]]
layer = "linear"
out = 10
"#;

#[test]
fn neurons_that_only_pooling_joins_are_compared_too() {
    let scratch = Scratch::new();
    let (head, rest) = CHIP.split_at(CHIP.find("[[network.layers]]\nlayer = \"neuron\"").unwrap());
    let train = &rest[rest.find("[train]").unwrap()..];
    scratch.write("pooled.toml", format!("{head}{POOLED}\n{train}"));
    scratch.ok(&["train", "pooled.toml", "--output", "run"]);
    let result = scratch.ok_json(&["parity", "run", "--limit", "2", "--events", "200"]);
    assert_eq!(result["pairs"][0]["verdict"], "agree", "{result:#}");
    assert_eq!(result["pairs"][0]["reference"], "engine");
}

#[test]
fn layers_that_have_numbers_for_names_are_not_counted_by_place() {
    let scratch = Scratch::new();
    let named = CHIP.replacen("layer = \"neuron\"", "layer = \"neuron\"\nname = \"7\"", 1);
    scratch.write("named.toml", named);
    scratch.ok(&["train", "named.toml", "--output", "run"]);
    let ask = ["parity", "run", "--limit", "1", "--events", "50", "--counts", "n.csv"];
    let head = "recording,layer,channel,y,x,spikes\n";
    scratch.write("n.csv", format!("{head}0,1,0,0,0,1\n"));
    scratch.refused_with(&ask, &["n.csv line 2", "no spiking layer `1`", "7, neuron"]);
}

#[test]
fn one_spike_difference_of_clocked_and_engine_in_every_command() {
    let scratch = Scratch::new();
    scratch.write("chip.toml", CHIP);
    scratch.ok(&["train", "chip.toml", "--output", "run"]);
    let simulated = scratch.ok_json(&["simulate", "run"]);
    assert_eq!(simulated["spike_difference_reference"], "clocked at T = 4");
    let parity = scratch.ok_json(&["parity", "run", "--limit", "0"]);
    let pairs = parity["pairs"].as_array().unwrap();
    let pair = pairs.iter().find(|p| p["executor"] == "clocked at T = 4").unwrap();
    assert_eq!(pair["reference"], pair["executor"]);
    let layers = pair["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    for (ours, other) in layers.iter().zip(simulated["spike_difference"].as_array().unwrap()) {
        assert_eq!((&ours["layer"], number(ours, "spike_difference")), (&other[0], number(other, "1")));
        // If all neurons of a layer differ in one direction, the two sums give the difference; else
        // a lower bound.
        let (s0, s) = (number(ours, "reference"), number(ours, "other"));
        assert!(number(ours, "spike_difference") >= (s0 - s).abs() / s0 - 1e-12, "{ours}");
    }
}
