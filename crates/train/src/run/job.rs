//! Runs one training from recipe to weights in a folder; it can be stopped and resumed at any time.

use super::checkpoint::{Checkpoint, EpochMetrics};
use super::conditions::{Conditions, Differences};
use super::facts::{FORMAT, RunFacts};
use super::folder::RunFolder;
use super::lock::Lock;
use super::machine::Machine;
use super::made::Made;
use super::train_plan::initial_weights;
use super::trainer::{Hooks, Task, Trainer, no_executor};
use super::warnings::warnings;
use crate::data::{Kept, Parts, Source};
use crate::distributed::Ranks;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::strategy::{self, EventDrivenForward, Steps};
use burn::tensor::Device;
use std::sync::Arc;
use tickless_kernels::ComputeOptions;
use tickless_net::recipe::Recipe;
use tickless_net::{InputKind, Layer, Network, Weights};

/// A training, with the folder to write to.
#[derive(Debug)]
pub struct Job<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The recipe's open data set; the runs of one experiment share it.
    pub source: &'a Source,
    /// The parts of the data set.
    pub parts: &'a Parts,
    /// The folder of the run.
    pub folder: &'a RunFolder,
    /// Weights to start from (fine-tuning), which a resumed training needs again; if `None`, they
    /// are drawn.
    pub initial: Option<Weights>,
    /// A checkpoint to start from if the folder has none, with the job's recipe
    /// ([`Checkpoint::continued`]).
    pub continues: Option<Checkpoint>,
    /// The origin of those weights, or of that checkpoint.
    pub base: Option<Base>,
    /// The command that makes this run; the facts store it, so that the run can be repeated.
    pub command: Option<String>,
    /// The device that computes.
    pub device: &'a Device,
    /// Whether a stopped training may resume if its [`Conditions`] differ.
    pub allow_changed: bool,
    /// Runs the event-driven pass of a recipe with `train.event_driven`.
    pub event_driven: Option<&'a dyn EventDrivenForward>,
}

/// The origin of a run's first weights.
#[derive(Debug, Clone)]
pub struct Base {
    /// The run's folder, or the file of a graph.
    pub from: String,
    /// The strategy that trained them: SDT, NMT, MTT or [`RunFacts::IMPORTED`].
    pub strategy: String,
}

struct Files<'a> {
    folder: &'a RunFolder,
    history: Vec<EpochMetrics>,
}

impl Hooks for Files<'_> {
    fn epoch(&mut self, metrics: &EpochMetrics) -> Result<()> {
        // A resumed run may repeat an epoch whose metrics are already written.
        self.history.retain(|m| m.epoch < metrics.epoch);
        self.history.push(metrics.clone());
        self.folder.write_metrics(&self.history)
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.write(&self.folder.file("checkpoint.safetensors"))
    }
}

/// Trains and writes the weights; if the folder has a checkpoint, the training resumes from it.
///
/// # Errors
/// If recipe, data, weights and checkpoint do not fit, the conditions have changed
/// ([`Error::ConditionsChanged`]), the user stops, or a value is not finite. In the last two cases
/// the folder holds the last good checkpoint.
pub fn train(job: Job<'_>, progress: &dyn Progress) -> Result<RunFacts> {
    train_as(job, &Ranks::alone(), progress)
}

/// The log line about the memory of decoded recordings, before the first batch.
fn memory_line(kept: Kept, of: usize) -> String {
    let mb = |bytes: u64| bytes.div_ceil(1_000_000);
    let rest = if kept.recordings < of { "; the others are decoded anew in each epoch" } else { "" };
    let (n, taken, budget) = (kept.recordings, mb(kept.bytes), mb(kept.budget));
    format!("recordings in memory: {n}, {taken} MB of at most {budget} MB{rest}")
}

/// As [`train`], for one of several workers; all of them call this with the same recipe and data.
///
/// `train.batch` is the size of the whole batch, of which each worker takes its part, so the result
/// is that of one worker with this recipe. Only rank 0 reads and writes the folder.
///
/// # Errors
/// As [`train`], or if a batch has fewer samples than there are workers, or a worker has left.
pub fn train_as(job: Job<'_>, ranks: &Ranks, progress: &dyn Progress) -> Result<RunFacts> {
    let Job { recipe, source, parts, folder, device, .. } = job;
    let (shape, kind) = source.input();
    let network = Arc::new(recipe.network.build(shape, kind, source.dataset().classes())?);
    // These checks run before the first write, so a refused recipe leaves the folder free.
    let task = Task { recipe, source, parts, network: network.clone(), step_us: None, device: device.clone() };
    let plan = task.plan()?;
    plan.check_memory(&network, ranks.size())?;
    if plan.event_driven.is_some() && job.event_driven.is_none() {
        return Err(no_executor());
    }
    let made = ranks.is_first().then(|| Made::at(folder.path())).transpose()?;
    let _lock = ranks.is_first().then(|| Lock::take(folder.path())).transpose()?;
    let checkpoint = checkpoint_of_first(folder, ranks)?.or_else(|| job.continues.clone());
    // Before anything slow, and before the checkpoint is checked in detail: if files of the data
    // set have changed, this message is clearer than that the checkpoint does not fit.
    let (now, changed) = match ranks.is_first() {
        true => conditions(&job, checkpoint.as_ref(), ranks.size(), progress)?,
        false => Default::default(),
    };
    if let Some(c) = &checkpoint {
        c.check(recipe, &network, &task.plan()?).map_err(|e| of_file(e, folder))?;
    }
    let t = &recipe.train;
    let steps = Steps { t_min: t.t_min, t_max: t.t_max, samples: t.samples, group: t.group };
    let (step_us, mean_events) = match kind {
        InputKind::Image => (None, None),
        InputKind::Events => {
            let means = ranks.from_first(|| {
                let (span, events) = source.mean_span_us(&parts.train, progress)?;
                progress.line(&memory_line(source.kept(), parts.train.len()));
                Ok([span.to_le_bytes(), events.to_le_bytes()].concat())
            })?;
            let mean = |k: usize| f64::from_le_bytes(std::array::from_fn(|i| means[8 * k + i]));
            (Some(mean(0) / t.t_max as f64), Some(mean(1)))
        }
    };
    let neuron = network.nodes().iter().find_map(|n| match n.layer {
        Layer::Neuron(n) => Some(n),
        _ => None,
    });
    let description = source.dataset().describe();
    let own = strategy::by_name(&t.strategy, steps)?.name().to_owned();
    let (base, base_strategy) = job.base.clone().map(|b| (b.from, b.strategy)).unzip();
    let facts = RunFacts {
        // A run without epochs leaves the weights as the base's strategy trained them.
        strategy: base_strategy.clone().filter(|_| t.epochs == 0).unwrap_or(own),
        seed: recipe.seed,
        version: env!("CARGO_PKG_VERSION").into(),
        format: FORMAT,
        machine: Machine::here(),
        dataset: format!("{}: {}", description.name, description.source),
        simulated_camera: description.simulated,
        samples: [parts.train.len(), parts.validation.len(), parts.test.len()],
        network: network.name().into(),
        stages: network.stages(),
        trainable_values: network.trainable_values(),
        t_max: t.t_max,
        step_us,
        tau_us: neuron.and_then(|n| n.tau_us(step_us)).filter(|t| t.is_finite()),
        mean_events,
        base,
        base_strategy,
        command: job.command.clone(),
        workers: ranks.size(),
        train_seconds: 0.0,
        iterations: 0,
        finished: false,
        changed: changed.clone(),
        checksum: None,
    };
    let history = checkpoint.as_ref().map(|c| c.position.history.clone()).unwrap_or_default();
    let task = Task { step_us, ..task };
    let trainer = match checkpoint {
        Some(checkpoint) => Trainer::resume(task, checkpoint),
        None => Trainer::new(task, &job.initial.unwrap_or_else(|| initial_weights(recipe, &network))),
    };
    let trainer = trainer.map_err(|e| of_file(e, folder))?.with_ranks(ranks.clone())?.with_conditions(now, changed);
    let trainer = trainer.with_event_driven(job.event_driven);
    if !ranks.is_first() {
        let (_, position) = trainer.run(&mut (), progress)?;
        return Ok(facts.finish(&position));
    }
    if let Some(made) = made {
        made.keep();
    }
    tell(recipe, trainer.network(), &facts, plan.mean_steps(), progress);
    folder.sweep();
    folder.write_recipe(recipe)?;
    folder.write_facts(&facts, recipe)?;
    let (model, position) = trainer.run(&mut Files { folder, history }, progress)?;
    folder.write_weights(&model.weights())?;
    folder.write_metrics(&position.history)?;
    let facts = facts.finish(&position);
    folder.write_facts(&facts, recipe)?;
    Ok(facts)
}

/// Returns the present conditions and all changes of conditions: those that the checkpoint records,
/// then the differences between its conditions and the present ones.
///
/// # Errors
/// If there are differences that change the result, and the job does not allow them.
fn conditions(
    job: &Job<'_>,
    checkpoint: Option<&Checkpoint>,
    workers: usize,
    progress: &dyn Progress,
) -> Result<(Conditions, Vec<String>)> {
    let ComputeOptions { kernel, precision, .. } = ComputeOptions::installed();
    let now = Conditions::here(kernel, precision, job.device, job.source, workers, progress)?;
    let Some(checkpoint) = checkpoint else { return Ok((now, Vec::new())) };
    let Differences { decisive, harmless } = checkpoint.conditions.differences(&now);
    if !decisive.is_empty() && !job.allow_changed {
        return Err(Error::ConditionsChanged { path: job.folder.path().to_owned(), differences: decisive });
    }
    let differences = [decisive, harmless].concat();
    differences.iter().for_each(|d| progress.warn(&format!("goes on under other conditions: {d}")));
    Ok((now, [checkpoint.changed.clone(), differences].concat()))
}

/// Adds the checkpoint's file and the remedy to an error of [`Checkpoint::check`].
fn of_file(e: Error, folder: &RunFolder) -> Error {
    match e {
        Error::Checkpoint(problem) => Error::RunFile {
            path: folder.file("checkpoint.safetensors"),
            problem: format!("is not of this training ({problem}); delete it to train from the beginning"),
        },
        other => other,
    }
}

/// Reports what will be trained, and warnings about probable mistakes.
fn tell(recipe: &Recipe, network: &Network, facts: &RunFacts, mean_steps: f64, progress: &dyn Progress) {
    let [training, validation, test] = facts.samples;
    progress
        .detail(&format!("data: {}; {training} training, {validation} validation, {test} test samples", facts.dataset));
    let (name, values, stages) = (&facts.network, facts.trainable_values, facts.stages);
    progress.detail(&format!("network: {name}, {values} trainable values, {stages} stages, T_max = {}", facts.t_max));
    if let (Some(step), Some(events)) = (facts.step_us, facts.mean_events) {
        progress.detail(&format!("a step is {step:.1} µs; a recording has {events:.1} events on average"));
    }
    progress.detail(&format!("an iteration runs {mean_steps:.1} time steps on average"));
    progress.detail(&format!("{} threads on {}", facts.machine.threads, facts.machine.cpu));
    warnings(recipe, network).iter().for_each(|w| progress.warn(&w.to_string()));
}

/// Sends the folder's checkpoint to every worker, because other hosts may not see the folder.
fn checkpoint_of_first(folder: &RunFolder, ranks: &Ranks) -> Result<Option<Checkpoint>> {
    if ranks.is_alone() {
        return folder.checkpoint();
    }
    let file = folder.file("checkpoint.safetensors");
    let bytes = ranks.from_first(|| match file.is_file() {
        true => std::fs::read(&file).map_err(|e| Error::io(&file, e)),
        false => Ok(Vec::new()),
    })?;
    if bytes.is_empty() { Ok(None) } else { Checkpoint::from_bytes(&bytes, &file).map(Some) }
}
