//! Events and synaptic operations per second on one core, beside a plain loop in C, in one run.
//!
//! ```text
//! cargo run --release -p tickless-engine --example against_c -- ../shared/data/nmnist/Test.zip
//! ```
//!
//! The recordings of an N-MNIST archive go through nmnist-small (2→8→16 + fc) and nmnist-wide
//! (8/16/32 + fc), with IF and LIF neurons and initial weights, through both programs in turn; they
//! must agree in operations and spikes. The C program is `benches/event-loop/loop.c`, compiled here
//! with `cc -O3 -march=native`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tickless_engine::{CompileOptions, Event, Program, Recording, Session, Simd};
use tickless_events::Sensor;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::zoo::{ZooOptions, build};
use tickless_net::{Layer, Network, Neuron, Weights};

type Anything<T> = Result<T, Box<dyn std::error::Error>>;

const ROUNDS: usize = 7;
const STEP_US: f64 = 30_000.0;

fn main() -> Anything<()> {
    let archive = std::env::args().nth(1).ok_or("which archive? give ../shared/data/nmnist/Test.zip or your own")?;
    let recordings = recordings(Path::new(&archive))?;
    let folder = std::env::temp_dir().join(format!("tickless-loop-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let program = compile_c(&folder)?;
    println!("{} recordings, one core; best of {ROUNDS} rounds each, in turn", recordings.len());
    println!("{:<14} {:<4} {:>14} {:>12} {:>12} {:>9}", "network", "", "form", "events/s", "syn. ops/s", "against C");
    for name in ["nmnist-small", "nmnist-wide"] {
        for neuron in [Neuron::if_multi(), Neuron::lif()] {
            let net = build(name, &ZooOptions { neuron: Some(neuron), ..ZooOptions::default() })?;
            let weights = initialise(&net, InitScheme::default_for(&net), 1);
            let file = folder.join("net.bin");
            std::fs::write(&file, describe(&net, &weights, &recordings)?)?;
            compare(name, &net, &weights, &recordings, &program, &file)?;
        }
    }
    Ok(std::fs::remove_dir_all(&folder)?)
}

fn compare(name: &str, net: &Network, weights: &Weights, all: &[Recording], c: &Path, file: &Path) -> Anything<()> {
    let leaks = net.nodes().iter().any(|n| matches!(n.layer, Layer::Neuron(n) if n.leaks()));
    let neuron = if leaks { "LIF" } else { "IF" };
    let mut forms = Vec::new();
    for quantised in [false, true] {
        for simd in Simd::available() {
            let options = CompileOptions { step_us: Some(STEP_US), simd: Some(simd), quantised };
            if quantised && leaks {
                continue;
            }
            let form = format!("{simd:?}{}", if quantised { ", 8-bit" } else { "" });
            forms.push((form, Session::new(&Program::compile(net, weights, &options)?), f64::INFINITY, [0; 3]));
        }
    }
    let (mut best_c, mut said) = (f64::INFINITY, Vec::new());
    for _ in 0..ROUNDS {
        let out = String::from_utf8(Command::new(c).arg(file).arg("1").output()?.stdout)?;
        said = out.split_whitespace().map(str::to_owned).collect();
        best_c = best_c.min(said.first().ok_or("the C program said nothing")?.parse()?);
        for (_, session, best, counts) in &mut forms {
            let (mut events, mut ops, mut spikes) = (0, 0, 0);
            let begun = Instant::now();
            for r in all {
                session.reset();
                session.feed(r)?;
                events += session.events();
                ops += session.synaptic_ops();
                spikes += session.spikes().iter().sum::<u64>();
            }
            *best = best.min(begun.elapsed().as_secs_f64());
            *counts = [events, ops, spikes];
        }
    }
    let line = |form: &str, seconds: f64, [events, ops, _]: [u64; 3]| {
        let (e, o) = (events as f64 / seconds, ops as f64 / seconds);
        println!("{name:<14} {neuron:<4} {form:>14} {e:>12.3e} {o:>12.3e} {:>8.2}×", best_c * o / c_ops(&said));
    };
    let c_counts = [1, 2, 3].map(|k| said[k].parse().unwrap_or(0));
    line("C", best_c, c_counts);
    for (form, _, best, counts) in &forms {
        // 8-bit weights are other weights, so their counts differ a little.
        if !form.contains("8-bit") && *counts != c_counts {
            return Err(format!("{name}, {neuron}: the engine counts {counts:?}, the C loop {c_counts:?}").into());
        }
        line(form, *best, *counts);
    }
    println!("{name:<14} {neuron:<4} events, operations, spikes: {c_counts:?}");
    Ok(())
}

fn c_ops(said: &[String]) -> f64 {
    said[2].parse().unwrap_or(f64::NAN)
}

/// Network, weights and recordings in the form that the C program reads.
fn describe(net: &Network, weights: &Weights, recordings: &[Recording]) -> Anything<Vec<u8>> {
    let mut layers: Vec<([i32; 12], f32, Vec<f32>)> = Vec::new();
    let mut pool = 1;
    for (i, node) in net.nodes().iter().enumerate() {
        let (kernel, stride, pad) = match node.layer {
            Layer::Pool(p) => {
                pool = p.kernel;
                continue;
            }
            Layer::Conv(c) => ((c.kernel, c.kernel), c.stride, c.padding),
            Layer::Linear(_) => ((node.input.height, node.input.width), 1, 0),
            _ => continue,
        };
        let (cin, cout, (kh, kw)) = (node.input.channels, node.output.channels, kernel);
        let array = weights.require(&node.name, "weight")?;
        let mut w = vec![0.0; kh * kw * cin * cout];
        for (k, value) in array.data.iter().enumerate() {
            let (o, c, y, x) = (k / (cin * kh * kw), k / (kh * kw) % cin, k / kw % kh, k % kw);
            w[((y * kw + x) * cin + c) * cout + o] = value / (pool * pool) as f32;
        }
        let tau = net.nodes()[i..].iter().find_map(|n| match n.layer {
            Layer::Neuron(n) => Some(if n.leaks() { n.tau_us(Some(STEP_US)).unwrap_or(0.0) } else { 0.0 }),
            _ => None,
        });
        let (hin, win, out) = (node.input.height, node.input.width, node.output);
        let readout = usize::from(tau.is_none());
        let numbers = [cin, hin, win, pool, kh, kw, stride, pad, cout, out.height, out.width, readout];
        layers.push((numbers.map(|n| n as i32), tau.unwrap_or(0.0) as f32, w));
        pool = 1;
    }
    let mut out = (layers.len() as i32).to_le_bytes().to_vec();
    for (numbers, tau, w) in layers {
        numbers.iter().for_each(|n| out.extend(n.to_le_bytes()));
        out.extend(tau.to_le_bytes());
        w.iter().for_each(|v| out.extend(v.to_le_bytes()));
    }
    out.extend((recordings.len() as i32).to_le_bytes());
    recordings.iter().for_each(|r| out.extend((r.len() as i32).to_le_bytes()));
    for e in recordings.iter().flat_map(Recording::iter) {
        [e.t_us as u32, u32::from(e.on), e.y.into(), e.x.into()].iter().for_each(|v| out.extend(v.to_le_bytes()));
    }
    Ok(out)
}

fn compile_c(folder: &Path) -> Anything<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/event-loop/loop.c");
    let program = folder.join("loop");
    let status =
        Command::new("cc").args(["-O3", "-march=native", "-o"]).arg(&program).arg(source).arg("-lm").status()?;
    if status.success() { Ok(program) } else { Err("cc cannot compile the C loop".into()) }
}

/// The first hundred recordings of an archive: 5 bytes an event.
fn recordings(archive: &Path) -> Anything<Vec<Recording>> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(archive)?)?;
    let mut names = zip.file_names().map(|n| n.map(|n| n.into_owned())).collect::<Result<Vec<String>, _>>()?;
    names.retain(|n| n.ends_with(".bin"));
    names.sort();
    let mut all = Vec::new();
    for name in names.iter().take(100) {
        let mut bytes = Vec::new();
        zip.by_name(name)?.read_to_end(&mut bytes)?;
        let event = |b: &[u8]| Event {
            t_us: u64::from(b[2] & 0x7f) << 16 | u64::from(b[3]) << 8 | u64::from(b[4]),
            x: b[0].into(),
            y: b[1].into(),
            on: b[2] >> 7 == 1,
        };
        let events: Vec<Event> = bytes.chunks_exact(5).map(event).collect();
        all.push(Recording::from_events(Sensor::NMNIST, &events)?.0);
    }
    Ok(all)
}
