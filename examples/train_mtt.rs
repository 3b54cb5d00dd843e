//! Trains one set of weights by mixed time-step training and evaluates it at several numbers of
//! steps.
//!
//! ```text
//! cargo run --release -p tickless --example train_mtt
//! ```

use std::path::Path;
use std::sync::Arc;
use tickless::net::LeakRule;
use tickless::net::recipe::Recipe;
use tickless::train::data::{Parts, Source};
use tickless::train::device::device;
use tickless::train::evaluate::{Setting, StepSweep, across_steps};
use tickless::train::progress::Silent;
use tickless::train::run::train_plan::initial_weights;
use tickless::train::run::trainer::{Task, Trainer};

const RECIPE: &str = r#"
[data]
set = "digits-dvs"      # real 8x8 digits before a simulated event camera
train_limit = 300
test_limit = 100

[network]
name = "demo"

[train]
strategy = "mtt"
t_max = 6
epochs = 4
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 1. What to train on what data: `tickless train` reads the same recipe.
    let recipe = Recipe::parse(RECIPE, Path::new("example"), &[])?;
    let source = Source::open(&recipe.data, recipe.seed)?;
    let parts = Parts::of(&source, &recipe.data, recipe.seed)?;

    // 2. The network and its initial weights.
    let (shape, kind) = source.input();
    let network = Arc::new(recipe.network.build(shape, kind, source.dataset().classes())?);
    let weights = initial_weights(&recipe, &network);
    println!("{}: {} stages, {} weights", network.name(), network.stages(), network.trainable_values());

    // 3. Training. One step at T_max lasts the mean length of a recording divided by T_max.
    let (span_us, events) = source.mean_span_us(&parts.train, &Silent)?;
    let step_us = Some(span_us / recipe.train.t_max as f64);
    println!("{} recordings of {events:.0} events and {:.0} ms", parts.train.len(), span_us / 1e3);
    let device = device("cpu")?;
    let task = Task { recipe: &recipe, source: &source, parts: &parts, network, step_us, device: device.clone() };
    let trainer = Trainer::new(task, &weights)?;
    let (model, position) = trainer.run(&mut (), &Silent)?;
    println!("{} iterations in {:.1} s", position.iteration, position.seconds);

    // 4. The same weights, evaluated at every number of steps in the plan.
    let setting = Setting { source: &source, ids: &parts.test, t_max: recipe.train.t_max, step_us, batch: 50 };
    let plan = StepSweep { steps: vec![1, 2, 6, 20], leaks: vec![LeakRule::Time], calibration: None };
    for p in across_steps(&model, &setting, &plan, &Silent)? {
        println!("T = {:>2}: {:.1} % of {}", p.configuration[0], p.accuracy, p.samples);
    }
    Ok(())
}
