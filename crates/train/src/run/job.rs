//! One training from recipe to weights, in a folder, resumable at any moment.

use super::facts::{FORMAT, Machine, RunFacts};
use super::folder::RunFolder;
use super::lock::Lock;
use crate::checkpoint::{Checkpoint, EpochMetrics};
use crate::data::{Kept, Parts, Source};
use crate::error::{Error, Result};
use crate::parallel::Ranks;
use crate::plan::initial_weights;
use crate::progress::Progress;
use crate::strategy::{self, Steps};
use crate::trainer::{Hooks, Trainer};
use burn::tensor::Device;
use std::sync::Arc;
use tickless_net::recipe::Recipe;
use tickless_net::{InputKind, Layer, Weights};

/// What to train and where.
#[derive(Debug)]
pub struct Job<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// Its open data set (shared by the runs of one experiment).
    pub source: &'a Source,
    /// Its parts.
    pub parts: &'a Parts,
    /// The run's folder.
    pub folder: &'a RunFolder,
    /// Weights to start from, where they are not drawn (fine-tuning); to be given again to resume.
    pub initial: Option<Weights>,
    /// The run they come from.
    pub base: Option<String>,
    /// The device.
    pub device: &'a Device,
}

struct Files<'a> {
    folder: &'a RunFolder,
    history: Vec<EpochMetrics>,
}

impl Hooks for Files<'_> {
    fn epoch(&mut self, metrics: &EpochMetrics) -> Result<()> {
        // A resumed run may repeat an epoch that was already written.
        self.history.retain(|m| m.epoch < metrics.epoch);
        self.history.push(metrics.clone());
        self.folder.write_metrics(&self.history)
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.write(&self.folder.file("checkpoint.safetensors"))
    }
}

/// Trains, or goes on with a checkpoint if the folder has one, and writes the weights.
///
/// # Errors
/// If recipe, data, weights and checkpoint do not fit, training is stopped, or the loss is not
/// finite; the folder then holds the last good checkpoint.
pub fn train(job: Job<'_>, progress: &dyn Progress) -> Result<RunFacts> {
    train_as(job, &Ranks::alone(), progress)
}

/// What is said of the memory of decoded recordings before the first batch.
fn memory_line(kept: Kept, of: usize) -> String {
    let mb = |bytes: u64| bytes.div_ceil(1_000_000);
    let rest = if kept.recordings < of { "; the others are decoded anew in each epoch" } else { "" };
    let (n, taken, budget) = (kept.recordings, mb(kept.bytes), mb(kept.budget));
    format!("recordings in memory: {n}, {taken} MB of at most {budget} MB{rest}")
}

/// As [`train`], as one of several workers that all call this with the same recipe and data.
///
/// `train.batch` of the recipe is the whole batch, of which each worker takes its part, so that the result is
/// that of one worker with this recipe. Only the first reads and writes the folder.
///
/// # Errors
/// As [`train`], or if a worker has no sample of a batch, or one has left.
pub fn train_as(job: Job<'_>, ranks: &Ranks, progress: &dyn Progress) -> Result<RunFacts> {
    let Job { recipe, source, parts, folder, device, .. } = job;
    let (shape, kind) = source.input();
    let network = Arc::new(recipe.network.build(shape, kind, source.dataset().classes())?);
    // Whatever cannot be is refused before the first file is written: the folder stays free for the mended recipe.
    Trainer::plan(recipe, &network, parts, None)?.check_memory(&network, ranks.size())?;
    let _lock = ranks.is_first().then(|| Lock::take(folder.path())).transpose()?;
    let checkpoint = checkpoint_of_first(folder, ranks)?;
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
    let facts = RunFacts {
        strategy: strategy::by_name(&t.strategy, steps)?.name().into(),
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
        base: job.base,
        workers: ranks.size(),
        train_seconds: 0.0,
        iterations: 0,
        finished: false,
    };
    let weights = job.initial.unwrap_or_else(|| initial_weights(recipe, &network));
    let history = checkpoint.as_ref().map(|c| c.position.history.clone()).unwrap_or_default();
    let trainer = Trainer::new(recipe, source, parts, network, &weights, checkpoint, step_us, device)?
        .with_ranks(ranks.clone())?;
    if !ranks.is_first() {
        let (_, position) = trainer.run(&mut (), progress)?;
        return Ok(facts.finish(&position));
    }
    folder.sweep();
    folder.write_recipe(recipe)?;
    folder.write_json("run.json", &facts)?;
    let (model, position) = trainer.run(&mut Files { folder, history }, progress)?;
    folder.write_weights(&model.weights())?;
    folder.write_metrics(&position.history)?;
    let facts = facts.finish(&position);
    folder.write_json("run.json", &facts)?;
    Ok(facts)
}

/// The folder's checkpoint on every worker; other hosts need not see the folder.
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
