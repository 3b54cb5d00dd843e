//! Measures events and synaptic operations per second of the engine and of a plain loop in C.
//!
//! ```text
//! cargo run --release -p tickless-engine --example against_c -- ../shared/data/nmnist/Test.zip [SECTION…]
//! ```
//!
//! The sections; without arguments, all run:
//!
//! - `nmnist`: the recordings of an N-MNIST archive through nmnist-small (2→8→16 + fc) and
//!   nmnist-wide (8/16/32 + fc), with IF and LIF neurons and initial weights;
//! - `trained`: the same recordings through the trained network of the golden `async_nmnist`;
//! - `vgg9`: the first events of ten MNIST-DVS recordings (`mnist-dvs/mnist-dvs-100.zip` beside
//!   `nmnist/`) through VGG9 at 128×128 with IF neurons and initial weights times four;
//! - `cores`: one core against two over many recordings.
//!
//! In the first three sections, the engine and the C program run in alternating rounds, and in
//! float they must agree in operations and spikes. The example compiles the C programs,
//! `benches/event-loop/*.c`, with `cc -O3 -march=native`. The column `adds` is the share of the
//! time that the additions alone would take in a stream over arrays as large as the network and its
//! state. The column `ns` is the time per event or spike that the engine delivers.

mod c;
mod cores;
mod input;
mod limits;

use limits::Limits;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tickless_engine::{CompileOptions, Isa, Program, Recording, Session};
use tickless_net::init::{InitScheme, initialise};
use tickless_net::zoo::{ZooOptions, build};
use tickless_net::{Layer, Network, Neuron, Weights};

type Anything<T> = Result<T, Box<dyn std::error::Error>>;

const ROUNDS: usize = 7;
const STEP_US: f64 = 30_000.0;
/// Number of events from each MNIST-DVS recording.
const VGG_EVENTS: usize = 250;

fn main() -> Anything<()> {
    let mut arguments = std::env::args().skip(1);
    let archive = PathBuf::from(arguments.next().ok_or("which archive? give ../shared/data/nmnist/Test.zip")?);
    let sections: Vec<String> = arguments.collect();
    let wanted = |name: &str| sections.is_empty() || sections.iter().any(|s| s == name);
    let recordings = input::nmnist(&archive)?;
    let folder = std::env::temp_dir().join(format!("tickless-loop-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let limits = Limits::measure(&folder)?;
    limits.print();
    let bench = Bench { program: c::compile(&folder, "loop")?, file: folder.join("net.bin"), limits };
    println!("{} recordings, one core; best of {ROUNDS} rounds each, in turn", recordings.len());
    println!(
        "{:<14} {:<4} {:>14} {:>11} {:>11} {:>9} {:>8} {:>6} {:>5}",
        "network", "", "form", "events/s", "syn. ops/s", "against C", "ops", "ns", "adds"
    );
    if wanted("nmnist") {
        for (name, neuron) in
            ["nmnist-small", "nmnist-wide"].into_iter().flat_map(|n| [(n, Neuron::if_multi()), (n, Neuron::lif())])
        {
            let (net, weights) = initial(name, neuron, 1.0)?;
            bench.compare(name, &net, &weights, &recordings, ROUNDS)?;
        }
    }
    let golden = std::env::var_os("TICKLESS_GOLDEN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden"), PathBuf::from);
    let trained = golden.join("async_nmnist.safetensors");
    if wanted("trained") && !trained.exists() {
        println!("skipped trained: no {} (set TICKLESS_GOLDEN)", trained.display());
    } else if wanted("trained") {
        let (net, weights) = input::async_nmnist(&trained)?;
        bench.compare("async_nmnist", &net, &weights, &recordings, ROUNDS)?;
    }
    let dvs = archive.parent().and_then(Path::parent).map(|p| p.join("mnist-dvs/mnist-dvs-100.zip"));
    match dvs.filter(|p| p.exists()) {
        Some(dvs) if wanted("vgg9") => {
            let (net, weights) = initial("vgg9", Neuron::if_multi(), 4.0)?;
            bench.compare("vgg9", &net, &weights, &input::mnist_dvs(&dvs, VGG_EVENTS)?, 3)?;
        }
        None if wanted("vgg9") => println!("skipped vgg9: no mnist-dvs/mnist-dvs-100.zip beside the archive's folder"),
        _ => {}
    }
    if wanted("cores") {
        for name in ["nmnist-small", "nmnist-wide"] {
            let (net, weights) = initial(name, Neuron::if_multi(), 1.0)?;
            cores::compare(name, &net, &weights, &recordings, ROUNDS)?;
        }
    }
    Ok(std::fs::remove_dir_all(&folder)?)
}

/// A built-in network without norms, and its initial weights multiplied by `gain`.
fn initial(name: &str, neuron: Neuron, gain: f32) -> Anything<(Network, Weights)> {
    let net = build(name, &ZooOptions { neuron: Some(neuron), norm: Some(false), ..ZooOptions::default() })?;
    let mut weights = initialise(&net, InitScheme::default_for(&net), 1);
    weights.tensors.values_mut().flat_map(|a| &mut a.data).for_each(|w| *w *= gain);
    Ok((net, weights))
}

struct Bench {
    program: PathBuf,
    file: PathBuf,
    limits: Limits,
}

/// One form of the engine (instruction set, float or 8-bit), its best time, and its counts of
/// events, operations and spikes.
struct Form {
    name: String,
    session: Session,
    best: f64,
    counts: [u64; 3],
}

impl Bench {
    fn compare(&self, name: &str, net: &Network, weights: &Weights, all: &[Recording], rounds: usize) -> Anything<()> {
        std::fs::write(&self.file, c::describe(net, weights, all, STEP_US)?)?;
        let leaks = net.nodes().iter().any(|n| matches!(n.layer, Layer::Neuron(n) if n.leaks()));
        let neuron = if leaks { "LIF" } else { "IF" };
        let mut forms = Vec::new();
        for quantised in [false, true].into_iter().filter(|q| !q || !leaks) {
            for simd in Isa::available() {
                let options = CompileOptions { step_us: Some(STEP_US), simd: Some(simd), quantised };
                let name = format!("{simd:?}{}", if quantised { ", 8-bit" } else { "" });
                let session = Session::new(&Program::compile(net, weights, &options)?);
                forms.push(Form { name, session, best: f64::INFINITY, counts: [0; 3] });
            }
        }
        let (mut best_c, mut c_counts) = (f64::INFINITY, [0; 3]);
        let file = self.file.to_str().ok_or("the temporary folder is no text")?;
        for _ in 0..rounds {
            let said = c::said(&self.program, &[file, "1"])?;
            best_c = best_c.min(said.first().ok_or("the C program said nothing")?.parse()?);
            c_counts = [1, 2, 3].map(|k| said[k].parse().unwrap_or(0));
            for form in &mut forms {
                form.round(all)?;
            }
        }
        let rate = |[_, ops, _]: [u64; 3], seconds: f64| ops as f64 / seconds;
        let line = |form: &str, seconds: f64, counts: [u64; 3]| {
            let [events, ops, spikes] = counts.map(|n| n as f64);
            let (e, o) = (events / seconds, rate(counts, seconds));
            let (each, ns) = (ops / (events + spikes), 1e9 * seconds / (events + spikes));
            let times = o / rate(c_counts, best_c);
            print!("{name:<14} {neuron:<4} {form:>14} {e:>11.3e} {o:>11.3e} {times:>8.2}× {each:>8.0} {ns:>6.1}");
        };
        line("C", best_c, c_counts);
        println!();
        for form in &forms {
            let small = form.session.program().quantised();
            // 8-bit weights are rounded, so their counts differ slightly and are not compared.
            if !small && form.counts != c_counts {
                return Err(
                    format!("{name}, {neuron}: the engine counts {:?}, the C loop {c_counts:?}", form.counts).into()
                );
            }
            line(&form.name, form.best, form.counts);
            let bytes = form.session.state_bytes() + form.session.program().weights() * if small { 1 } else { 4 };
            let (level, limit) = self.limits.of(bytes, small);
            println!(" {:>4.0}% of {level}", 100.0 * rate(form.counts, form.best) / limit);
        }
        println!("{name:<14} {neuron:<4} events, operations, spikes: {c_counts:?}");
        Ok(())
    }
}

impl Form {
    /// Runs all recordings once and keeps the best time.
    fn round(&mut self, all: &[Recording]) -> Anything<()> {
        let mut counts = [0; 3];
        let begun = Instant::now();
        for r in all {
            self.session.reset();
            self.session.feed(r)?;
            let spikes = self.session.spikes().iter().sum::<u64>();
            for (sum, n) in counts.iter_mut().zip([self.session.events(), self.session.synaptic_ops(), spikes]) {
                *sum += n;
            }
        }
        self.best = self.best.min(begun.elapsed().as_secs_f64());
        self.counts = counts;
        Ok(())
    }
}
