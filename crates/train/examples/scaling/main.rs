//! Measures the seconds of a training iteration against steps, passes, batch and input density, and
//! fits a line to each series.
//!
//! ```text
//! cargo run --release -p tickless-train --features mimalloc --example scaling -- \
//!     [--network nmnist-wide] [--rounds 15] [--json] [--picture FILE.svg|FILE.png]
//! ```
//!
//! One iteration is a forward pass, the loss and a backward pass of s configurations, and one SGD
//! step. One quantity varies at a time; the others are T = 5, s = 1, batch 32 and 10 % of the input
//! values active, each 1. Every round measures all points in turn, so that a machine that slows
//! down for a while slows all points down. The result of a point is its median over the rounds.

mod fit;
mod picture;

use burn::tensor::Device;
use fit::Line;
use rand::Rng;
use std::sync::Arc;
use std::time::Instant;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::zoo::{self, ZooOptions};
use tickless_net::{LeakRule, Network, Neuron};
use tickless_train::error::Result;
use tickless_train::iteration::optimiser::{OptimiserSetting, OptimiserState};
use tickless_train::iteration::{StepSetting, gradients};
use tickless_train::loss::LossSetting;
use tickless_train::model::Model;
use tickless_train::model::NormMode;
use tickless_train::model::Sequence;
use tickless_train::seed;

// The allocator of the command-line program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The quantities that determine the work of an iteration.
#[derive(Debug, Clone, Copy)]
struct Point {
    steps: usize,
    passes: usize,
    batch: usize,
    density: f64,
}

const USUAL: Point = Point { steps: 5, passes: 1, batch: 32, density: 0.1 };

/// One varied quantity, its values and the measurements.
struct Series {
    name: &'static str,
    x: Vec<f64>,
    points: Vec<Point>,
    /// Seconds, `[point][round]`.
    seconds: Vec<Vec<f64>>,
}

impl Series {
    fn new(name: &'static str, x: impl IntoIterator<Item = f64>, at: impl Fn(f64) -> Point) -> Self {
        let x: Vec<f64> = x.into_iter().collect();
        let points: Vec<Point> = x.iter().map(|v| at(*v)).collect();
        Self { name, seconds: vec![Vec::new(); points.len()], x, points }
    }

    fn medians(&self) -> Vec<f64> {
        let median = |all: &Vec<f64>| {
            let mut all = all.clone();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
        };
        self.seconds.iter().map(median).collect()
    }

    fn line(&self) -> Line {
        Line::through(&self.x, &self.medians())
    }
}

fn series() -> Vec<Series> {
    vec![
        Series::new("steps T", (1..=10).map(f64::from), |v| Point { steps: v as usize, ..USUAL }),
        Series::new("passes s", (1..=4).map(f64::from), |v| Point { passes: v as usize, ..USUAL }),
        Series::new("batch", (1..=8).map(|k| f64::from(8 * k)), |v| Point { batch: v as usize, ..USUAL }),
        Series::new("active input, %", [2.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0], |v| Point {
            density: v / 100.0,
            ..USUAL
        }),
    ]
}

/// The word after `name` on the command line.
fn option(name: &str) -> Option<String> {
    let mut args = std::env::args().skip_while(|a| a != name);
    args.next();
    args.next()
}

/// A network in training. Each point has a new one, so that it does not depend on earlier points.
struct Run {
    model: Model,
    optimiser: OptimiserState,
    x: Sequence,
    labels: Vec<usize>,
    point: Point,
}

impl Run {
    fn new(network: &Arc<Network>, point: Point) -> Result<Self> {
        let weights = initialise(network, InitScheme::default_for(network), 1000);
        let model = Model::new(network.clone(), &weights, &Device::flex())?;
        let sgd = OptimiserSetting::sgd(0.9, 5e-4);
        let optimiser = OptimiserState::new(sgd, model.parameters.len());
        let (shape, mut rng) = (network.input().shape, seed::rng(1, "scaling", 0));
        let values = point.steps * point.batch * shape.len();
        let values = (0..values).map(|_| f32::from(u8::from(rng.random_bool(point.density)))).collect();
        let sizes = [point.steps, point.batch, shape.channels, shape.height, shape.width];
        let x = Sequence::from_values(values, sizes, model.device());
        let labels = (0..point.batch).map(|i| i % network.output().len()).collect();
        Ok(Self { model, optimiser, x, labels, point })
    }

    fn iteration(&mut self) -> Result<f64> {
        let t = self.point.steps;
        let configurations = vec![vec![t; self.model.network().stages()]; self.point.passes];
        let setting = StepSetting {
            loss: LossSetting::default(),
            norm: NormMode::Batch,
            leak: LeakRule::Step,
            t_max: t,
            step_us: None,
        };
        let mut rng = seed::rng(1, "configuration", 0);
        let start = Instant::now();
        let (g, _) = gradients(&mut self.model, &self.x, &self.labels, &configurations, &setting, &mut rng)?;
        // The rate is so small that the spikes, and therefore the work, stay the same.
        self.optimiser.step(&mut self.model.parameters, g, 1e-6);
        Ok(start.elapsed().as_secs_f64())
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    tickless_kernels::allocator::keep_free_memory();
    let name = option("--network").unwrap_or_else(|| "nmnist-wide".into());
    let refusal = |v: &str| format!("`--rounds` takes a count from 1, got `{v}`");
    let rounds = option("--rounds").map_or(Ok(15), |v| v.parse().ok().filter(|n| *n > 0).ok_or_else(|| refusal(&v)))?;
    let options = ZooOptions { norm: Some(true), neuron: Some(Neuron::lif()), ..ZooOptions::default() };
    let network = Arc::new(zoo::build(&name, &options)?);
    let mut all = series();
    for _ in 0..rounds {
        for series in &mut all {
            for (point, seconds) in series.points.iter().zip(&mut series.seconds) {
                let mut run = Run::new(&network, *point)?;
                run.iteration()?;
                seconds.push(run.iteration()?);
            }
        }
    }
    let threads = rayon::current_num_threads();
    if std::env::args().any(|a| a == "--json") {
        let series_as_json = |s: &Series| {
            let line = s.line();
            serde_json::json!({
                "quantity": s.name, "x": s.x, "median_s": s.medians(), "seconds": s.seconds,
                "fixed_s": line.fixed, "slope_s": line.slope, "r2": line.r2, "largest_deviation": line.largest,
            })
        };
        let all: Vec<_> = all.iter().map(series_as_json).collect();
        println!("{}", serde_json::json!({ "network": name, "threads": threads, "rounds": rounds, "series": all }));
    } else {
        println!(
            "{name}, medians of {rounds} rounds, {threads} threads; elsewhere T = 5, s = 1, batch 32, 10 % active\n"
        );
        println!("| quantity | ms an iteration | line, ms | R² | largest deviation |\n|---|---|---|---|---|");
        for s in &all {
            let points = s.x.iter().zip(s.medians()).map(|(x, y)| format!("{x}: {:.1}", 1e3 * y));
            let (points, line) = (points.collect::<Vec<_>>().join(", "), s.line());
            let (fixed, slope) = (1e3 * line.fixed, 1e3 * line.slope);
            let largest = 100.0 * line.largest;
            println!("| {} | {points} | {fixed:.2} + {slope:.3}·x | {:.4} | {largest:.1} % |", s.name, line.r2);
        }
    }
    if let Some(path) = option("--picture") {
        let failed = |e: String| format!("{path}: {e}; give a file name ending in .svg or .png");
        let panels = all.iter().map(|s| (s.name, s.x.iter().copied().zip(s.medians()).collect(), s.line()));
        picture::draw(&path, &format!("{name}: ms per training iteration"), &panels.collect::<Vec<_>>())
            .map_err(|e| failed(e.to_string()))?;
    }
    Ok(())
}
