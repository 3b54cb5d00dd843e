//! Seconds per training iteration, or per inference, of the networks that `benches/peers` compares.
//!
//! ```text
//! cargo run --release -p tickless-train --features mimalloc --example iteration -- --case A|B|C|D|E|F \
//!     [--iterations N] [--warm-up N] [--steps T] [--configurations FILE] [--precision P] \
//!     [--calibrate] [--recompute] [--workers N] [--json]
//! ```
//!
//! A: resnet18 on CIFAR shapes, batch 16; B: resnet18-dvs, batch 4; C: nmnist-wide with norm, batch
//! 64; D: inference of A's network; E: vgg14 and F: spikformer-4-384, both on CIFAR shapes, batch 16.
//! A training iteration is a forward pass, the loss and a backward
//! pass of every configuration, and one SGD step. The input is random: normal values for images,
//! sparse counts for recordings.
//!
//! `--steps T` runs every stage at T. `--configurations` reads a file
//! (`[[[t₁ … t_G], … s of them], … iterations]`) and runs its lists in turn, one per iteration.
//! `--precision` is f32, bf16 or (D only) int8. `--recompute` runs stages again in the backward
//! pass instead of saving their activations. `--workers N` divides the batch and the threads
//! between N workers, as `tickless train --workers` does. `--calibrate` first calibrates the norms
//! on the input, because with the initial statistics the deeper layers of an untrained network do
//! not fire, and the time of such an inference would mean nothing.

use burn::tensor::Device;
use rand::Rng;
use std::sync::Arc;
use std::time::Instant;
use tickless_kernels::Precision;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::zoo::{self, ZooOptions};
use tickless_net::{InputKind, LeakRule, Network, Neuron};
use tickless_train::distributed::{Ranks, threads};
use tickless_train::error::Result;
use tickless_train::iteration::optimiser::{OptimiserSetting, OptimiserState};
use tickless_train::iteration::{StepSetting, gradients};
use tickless_train::loss::LossSetting;
use tickless_train::model::NormMode;
use tickless_train::model::Sequence;
use tickless_train::model::{Model, Pass};
use tickless_train::seed;

// The allocator of the command-line program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Case {
    network: Arc<Network>,
    batch: usize,
    t_max: usize,
    training: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome<T> = std::result::Result<T, Failure>;

fn case(name: &str) -> Outcome<Case> {
    let (network, batch, t_max, training) = match name {
        "A" => ("resnet18", 16, 4, true),
        "B" => ("resnet18-dvs", 4, 10, true),
        "C" => ("nmnist-wide", 64, 10, true),
        "D" => ("resnet18", 16, 4, false),
        "E" => ("vgg14", 16, 4, true),
        "F" => ("spikformer-4-384", 16, 4, true),
        other => return Err(format!("unknown case `{other}`; known: A, B, C, D, E, F").into()),
    };
    let options = ZooOptions { norm: Some(true), neuron: Some(Neuron::lif()), ..ZooOptions::default() };
    Ok(Case { network: Arc::new(zoo::build(network, &options)?), batch, t_max, training })
}

/// The word after `name` on the command line.
fn option(name: &str) -> Option<String> {
    let mut args = std::env::args().skip_while(|a| a != name);
    args.next();
    args.next()
}

fn number(name: &str, default: usize) -> Outcome<usize> {
    let refusal = |v: &str| format!("`{name}` takes a count, got `{v}`").into();
    option(name).map_or(Ok(default), |v| v.parse().map_err(|_| refusal(&v)))
}

/// The configurations to run, `[iteration][pass][stage]`.
fn configurations(stages: usize, t: usize) -> Outcome<Vec<Vec<Vec<usize>>>> {
    match option("--configurations") {
        None => Ok(vec![vec![vec![t; stages]]]),
        Some(path) => {
            let refusal = |e: String| Failure::from(format!("{path}: {e}; expected lists [iteration][pass][stage]"));
            let text = std::fs::read_to_string(&path).map_err(|e| refusal(e.to_string()))?;
            let all: Vec<Vec<Vec<usize>>> = serde_json::from_str(&text).map_err(|e| refusal(e.to_string()))?;
            if all.is_empty() { Err(refusal("no iteration".into())) } else { Ok(all) }
        }
    }
}

fn input(case: &Case, batch: usize, steps: usize, device: &Device) -> Sequence {
    let (shape, kind) = (case.network.input().shape, case.network.input().kind);
    let steps = if kind == InputKind::Image { 1 } else { steps };
    let mut rng = seed::rng(1, "iteration", 0);
    let mut value = || match kind {
        // The sum of twelve uniform values minus its mean is close to a normal value.
        InputKind::Image => (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0,
        InputKind::Events => f32::from(rng.random_range(0u8..20).saturating_sub(17)),
    };
    let values = (0..steps * batch * shape.len()).map(|_| value()).collect();
    Sequence::from_values(values, [steps, batch, shape.channels, shape.height, shape.width], device)
}

/// Peak resident memory in bytes; `None` if the system does not report it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kb| kb * 1024)
}

/// A case with the options of the command line.
struct Job {
    case: Case,
    t: usize,
    warm_up: usize,
    iterations: usize,
    precision: Option<Precision>,
    recompute: bool,
    calibrate: bool,
}

/// The measurements of one worker.
#[derive(Default)]
struct Seen {
    seconds: Vec<f64>,
    losses: Vec<f32>,
}

/// Sets the running statistics of the norms to those of the input.
fn calibrate(model: &mut Model, x: &Sequence, job: &Job) -> Result<()> {
    let configuration = vec![job.t; model.network().stages()];
    let (norm, leak, t_max) = (NormMode::Batch, LeakRule::Step, job.case.t_max);
    let pass = Pass { configuration: &configuration, norm, leak, t_max, step_us: None };
    let mut rng = seed::rng(1, "calibration", 0);
    let full = model.clone().with_precision(Precision::F32);
    let seen = full.forward(&full.constants(), x.clone(), &pass, &mut rng, None)?.statistics;
    model.running.iter_mut().zip(&seen).for_each(|(running, batch)| running.update(batch, 1.0));
    Ok(())
}

/// Runs all iterations on one worker with its part of the batch.
fn run(job: &Job, all: &[Vec<Vec<usize>>], ranks: &Ranks) -> Result<Seen> {
    let (case, t) = (&job.case, job.t);
    let weights = initialise(&case.network, InitScheme::default_for(&case.network), 1000);
    let mut model = Model::new(case.network.clone(), &weights, &Device::flex())?
        .with_recompute(job.recompute)
        .with_ranks(ranks.clone());
    if let Some(precision) = job.precision {
        model = model.with_precision(precision);
    }
    let sgd = OptimiserSetting::sgd(0.9, 5e-4);
    let mut optimiser = OptimiserState::new(sgd, model.parameters.len());
    let mine = ranks.share(case.batch);
    let x = input(case, mine.len(), if case.training { case.t_max.max(t) } else { t }, model.device());
    let labels: Vec<usize> = mine.map(|i| i % case.network.output().len()).collect();
    let (norm, leak, t_max) = (NormMode::Batch, LeakRule::Step, case.t_max);
    let setting = StepSetting { loss: LossSetting::default(), norm, leak, t_max, step_us: None };
    if job.calibrate {
        calibrate(&mut model, &x, job)?;
    }
    let mut seen = Seen::default();
    for k in 0..job.warm_up + job.iterations {
        let configurations = &all[k % all.len()];
        let mut rng = seed::rng(1, "configuration", k as u64);
        let start = Instant::now();
        if case.training {
            let (grads, report) = gradients(&mut model, &x, &labels, configurations, &setting, &mut rng)?;
            optimiser.step(&mut model.parameters, grads, 0.1);
            seen.losses.push(report.loss);
        } else {
            for configuration in configurations {
                let pass = Pass { configuration, norm: NormMode::Running, leak, t_max, step_us: None };
                let out = model.forward(&model.constants(), x.clone(), &pass, &mut rng, None)?;
                std::hint::black_box(out.logits.into_data());
            }
        }
        if k >= job.warm_up {
            seen.seconds.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(seen)
}

fn main() -> Outcome<()> {
    tickless_kernels::allocator::keep_free_memory();
    let name = option("--case").unwrap_or_else(|| "A".into());
    let case = case(&name)?;
    let is_given = |word: &str| std::env::args().any(|a| a == word);
    let job = Job {
        t: number("--steps", case.t_max)?,
        warm_up: number("--warm-up", 2)?,
        iterations: number("--iterations", 10)?,
        precision: option("--precision").map(|p| p.parse()).transpose()?,
        recompute: is_given("--recompute"),
        calibrate: is_given("--calibrate"),
        case,
    };
    let all = configurations(job.case.network.stages(), job.t)?;
    let (workers, threads) = (number("--workers", 1)?.max(1), rayon::current_num_threads());
    let Seen { seconds, losses } = match workers {
        1 => run(&job, &all, &Ranks::alone())?,
        n => threads::run(n, (threads / n).max(1), |ranks| run(&job, &all, &ranks))?.swap_remove(0),
    };
    let mut sorted = seconds.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    let peak = peak_memory();
    if is_given("--json") {
        let facts = serde_json::json!({
            "case": name, "median_s": median, "seconds": seconds, "threads": threads, "workers": workers,
            "peak_bytes": peak, "losses": losses,
        });
        println!("{facts}");
    } else {
        let peak = peak.map_or_else(|| "unknown".into(), |b| format!("{:.2} GB", b as f64 / 1e9));
        let of = if workers > 1 { format!(" of {workers} workers") } else { String::new() };
        println!("case {name}: {median:.4} s (median of {}), {threads} threads{of}, peak {peak}", job.iterations);
    }
    Ok(())
}
