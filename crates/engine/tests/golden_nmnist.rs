//! Golden file of a trained network on real N-MNIST recordings, run event-driven.

use serde_json::json;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tickless_engine::{CompileOptions, Confidence, Event, Isa, NeuronCounts, Program, Recording, Session, Trace};
use tickless_events::Sensor;
use tickless_net::Shape;
use tickless_testing::clocked;
use tickless_testing::folders::data;
use tickless_testing::golden::{Golden, GoldenNetwork, network_of};

/// Reads the 5-byte events of a member of the archive.
fn recording(archive: &Path, member: &str) -> Recording {
    let file = std::fs::File::open(archive).unwrap();
    let mut bytes = Vec::new();
    zip::ZipArchive::new(file).unwrap().by_name(member).unwrap().read_to_end(&mut bytes).unwrap();
    let event = |b: &[u8]| Event {
        t_us: u64::from(b[2] & 0x7f) << 16 | u64::from(b[3]) << 8 | u64::from(b[4]),
        x: b[0].into(),
        y: b[1].into(),
        on: b[2] >> 7 == 1,
    };
    let events: Vec<Event> = bytes.chunks_exact(5).map(event).collect();
    let (recording, moved) = Recording::from_events(Sensor::NMNIST, &events).unwrap();
    assert_eq!(moved, 0);
    recording
}

/// The network that the golden file describes in words.
fn network(tensors: &Golden) -> GoldenNetwork {
    let iaf = json!({"type": "iaf", "threshold": 1.0, "min_v_mem": -1.0, "spike": "multi", "reset": "subtract"});
    let layers = [
        json!({"type": "conv", "weight": "w0", "stride": 2, "padding": 1}),
        iaf.clone(),
        json!({"type": "sumpool", "k": 2}),
        json!({"type": "conv", "weight": "w3", "stride": 1, "padding": 1}),
        iaf,
        json!({"type": "sumpool", "k": 2}),
        json!({"type": "linear", "weight": "w6"}),
    ];
    network_of(Shape::new(2, 34, 34), &layers, tensors)
}

#[test]
fn golden_async_nmnist_logits_counts_events_and_operations() {
    let Some(archive) = data("nmnist/Test.zip") else { return };
    let tensors = Golden::open("async_nmnist.safetensors");
    let golden = network(&tensors);
    let cases = tensors.cases();
    let forms = Isa::available();
    for (k, case, simd) in cases.iter().enumerate().flat_map(|(k, c)| forms.iter().map(move |&s| (k, c, s))) {
        let options = CompileOptions { simd: Some(simd), ..CompileOptions::default() };
        let program = Program::compile(&golden.network, &golden.weights, &options).unwrap();
        let mut session = Session::new(&program);
        let member = case["member"].as_str().unwrap();
        let recording = recording(&archive, member);
        assert_eq!(recording.len() as u64, case["n_in"], "{member}");
        session.reset();
        let mut sinks = (Trace::default(), NeuronCounts::new(&program));
        session.feed_into(&recording, &mut sinks).unwrap();
        let (trace, counts) = sinks;

        let logits: Vec<f64> = session.logits().into_iter().map(f64::from).collect();
        assert_eq!(logits, tensors.values(&format!("{k}.logits")).1, "{member}: logits");
        assert_eq!(session.decision(&Confidence::default()).class as u64, case["argmax"], "{member}: argmax");
        assert_eq!(session.synaptic_ops(), case["synaptic_ops"], "{member}: synaptic_ops");
        for l in 0..program.layers().len() {
            assert_eq!(session.spikes()[l], case[format!("spikes_layer{l}")], "{member}: layer {l}: spikes");
            let expected = &tensors.values(&format!("{k}.count{l}")).1;
            assert!(
                counts.layer(l).iter().map(|&n| n as f64).eq(expected.iter().copied()),
                "{member}: layer {l}: counts"
            );
            let prefix = format!("{k}.out{l}_first");
            for name in tensors.names().filter(|n| n.starts_with(&prefix)) {
                let rows = tensors.rows::<4>(name);
                let got: Vec<[u64; 4]> =
                    trace.of(l).take(rows.len()).map(|s| [s.cause, s.channel as u64, s.y as u64, s.x as u64]).collect();
                assert!(got == rows, "{member}: {name}");
            }
        }
    }
}

/// The tests' clocked simulator reproduces the stored logits of the clocked run.
#[test]
fn golden_async_nmnist_time_stepped_logits() {
    let Some(archive) = data("nmnist/Test.zip") else { return };
    let tensors = Golden::open("async_nmnist.safetensors");
    let golden = network(&tensors);
    for (k, case) in tensors.cases().iter().enumerate().take(3) {
        let recording = recording(&archive, case["member"].as_str().unwrap());
        let events: Vec<[u64; 4]> =
            recording.iter().map(|e| [e.t_us, e.channel() as u64, e.y.into(), e.x.into()]).collect();
        let (t0, span) = (recording.t_first_us().unwrap(), recording.span_us());
        let prefix = format!("{k}.sync_logits.T");
        for name in tensors.names().filter(|n| n.starts_with(&prefix)) {
            let t: usize = name[prefix.len()..].parse().unwrap();
            let bin = |i: usize| ((events[i][0] - t0) * t as u64 / span) as usize;
            let frames = clocked::frames(&golden.network, &events, t, bin);
            let sum = clocked::run(&golden.network, &golden.weights, &frames, None).output;
            for (a, b) in sum.iter().zip(&tensors.values(name).1) {
                assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{name}: {a} instead of {b}");
            }
        }
    }
}

#[test]
fn golden_async_nmnist_dataset_run_is_the_same_on_any_number_of_threads() {
    let Some(archive) = data("nmnist/Test.zip") else { return };
    let tensors = Golden::open("async_nmnist.safetensors");
    let golden = network(&tensors);
    let program = Program::compile(&golden.network, &golden.weights, &CompileOptions::default()).unwrap();
    let cases = tensors.cases();
    let load = |i: usize| -> Result<(Recording, usize), std::io::Error> {
        Ok((recording(&archive, cases[i]["member"].as_str().unwrap()), cases[i]["label"].as_u64().unwrap() as usize))
    };
    let run = |threads: usize| {
        let told = AtomicUsize::new(0);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let progress = |_: usize, _: usize| {
            told.fetch_add(1, Ordering::Relaxed);
        };
        let cancel = AtomicBool::new(false);
        let run = pool
            .install(|| tickless_engine::run(&program, &Confidence::default(), cases.len(), load, &progress, &cancel))
            .unwrap();
        assert_eq!(told.into_inner(), cases.len());
        run
    };
    let one = run(1);
    assert_eq!(one, run(3));
    let right = cases.iter().filter(|c| c["label"] == c["argmax"]).count();
    assert_eq!(one.summary.correct, right);
    assert!(one.summary.silent.is_empty());
    for (o, c) in one.outcomes.iter().zip(cases) {
        assert_eq!(
            (o.class as u64, o.events, o.synaptic_ops),
            (c["argmax"].as_u64().unwrap(), c["n_in"].as_u64().unwrap(), c["synaptic_ops"].as_u64().unwrap())
        );
    }
}
