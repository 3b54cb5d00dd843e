//! The training loop: epochs of iterations, checkpoints, validation, and stopping on request.

use super::conditions::Conditions;
use crate::data::{Batch, Parts, SampleId, Source, prefetch_each};
use crate::distributed::Ranks;
use crate::error::{Error, Result};
use crate::evaluate::calibrate::Calibration;
use crate::evaluate::{Setting, StepSweep, across_steps, activity};
use crate::iteration::gradients_of;
use crate::iteration::optimiser::OptimiserState;
use crate::model::NormMode;
use crate::model::{Model, Parameter};
use crate::progress::{Progress, Silent};
use crate::run::checkpoint::{Checkpoint, EpochMetrics, Position};
use crate::run::train_plan::TrainPlan;
use crate::seed;
use crate::strategy::{EventDrivenForward, EventDrivenRun, LayerSpikes};
use burn::tensor::Device;
use rand::seq::SliceRandom;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickless_net::recipe::{Recipe, Select};
use tickless_net::{Array, LeakRule, Network, Weights};

/// Longest time between two checkpoints within an epoch.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(60);

/// Callbacks of a training.
pub trait Hooks {
    /// Called after every epoch.
    ///
    /// # Errors
    /// An error stops the training.
    fn epoch(&mut self, _metrics: &EpochMetrics) -> Result<()> {
        Ok(())
    }

    /// Called with every checkpoint that is due.
    ///
    /// # Errors
    /// An error stops the training.
    fn checkpoint(&mut self, _checkpoint: &Checkpoint) -> Result<()> {
        Ok(())
    }
}

/// Ignores both calls.
impl Hooks for () {}

/// The network, samples, device and recipe of a training.
#[derive(Debug, Clone)]
pub struct Task<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The recipe's open data set.
    pub source: &'a Source,
    /// The parts of the data set.
    pub parts: &'a Parts,
    /// The network, built for the data set.
    pub network: Arc<Network>,
    /// Duration of one step at T_max in µs; `None` for images. It may be `None` for recordings if
    /// no leak or refractory period is in µs.
    pub step_us: Option<f64>,
    /// The device that computes.
    pub device: Device,
}

impl Task<'_> {
    /// Checks the recipe against network and data and returns the plan of the training.
    ///
    /// # Errors
    /// As [`TrainPlan::new`].
    pub fn plan(&self) -> Result<TrainPlan> {
        TrainPlan::new(self.recipe, &self.network, self.parts, self.step_us)
    }
}

/// The error for a recipe with an event-driven pass in a program that has no executor for it.
pub(super) fn no_executor() -> Error {
    let problem = "needs an event-driven executor, which this program does not have: remove it".into();
    Error::Recipe { key: "train.event_driven", problem }
}

/// A training in progress.
#[derive(Debug)]
pub struct Trainer<'a> {
    recipe: &'a Recipe,
    recipe_text: String,
    plan: TrainPlan,
    source: &'a Source,
    parts: &'a Parts,
    model: Model,
    optimiser: OptimiserState,
    position: Position,
    best: Option<Weights>,
    conditions: Conditions,
    changed: Vec<String>,
    event_driven: Option<&'a dyn EventDrivenForward>,
}

impl<'a> Trainer<'a> {
    /// Starts a training from these weights.
    ///
    /// # Errors
    /// If the weights do not fit the network, or the recipe does not fit network and data.
    pub fn new(task: Task<'a>, weights: &Weights) -> Result<Self> {
        let plan = task.plan()?;
        let recipe_text = task.recipe.to_toml()?;
        let Task { recipe, source, parts, network, device, .. } = task;
        let model = Model::new(network, weights, &device)?.with_recompute(recipe.train.recompute);
        model.precision().check_training()?;
        let optimiser = OptimiserState::new(plan.optimiser, model.parameters.len());
        Ok(Self {
            recipe,
            recipe_text,
            plan,
            source,
            parts,
            model,
            optimiser,
            position: Position::start(),
            best: None,
            conditions: Conditions::default(),
            changed: Vec::new(),
            event_driven: None,
        })
    }

    /// Resumes a training from a checkpoint.
    ///
    /// # Errors
    /// As [`new`](Self::new), or if [`Checkpoint::check`] refuses the checkpoint.
    pub fn resume(task: Task<'a>, checkpoint: Checkpoint) -> Result<Self> {
        let plan = task.plan()?;
        checkpoint.check(task.recipe, &task.network, &plan)?;
        let Checkpoint { weights, optimiser, optimiser_steps: steps, position, best, changed, .. } = checkpoint;
        let device = task.device.clone();
        let begun = Self::new(task, &weights)?;
        let is_shift = |p: &Parameter| plan.step.norm == NormMode::Running && begun.model.is_shift(p);
        let frozen = |p: &Parameter| is_shift(p) || plan.frozen.contains(&p.name);
        let parameters = &begun.model.parameters;
        let optimiser = OptimiserState::restore(plan.optimiser, parameters, &optimiser, steps, frozen, &device)?;
        Ok(Self { optimiser, position, best, changed, ..begun })
    }

    /// Sets what the checkpoints record: the conditions, and the changes of conditions so far.
    pub fn with_conditions(self, conditions: Conditions, changed: Vec<String>) -> Self {
        Self { conditions, changed, ..self }
    }

    /// Sets the executor of the event-driven pass (`train.event_driven`).
    pub fn with_event_driven(self, executor: Option<&'a dyn EventDrivenForward>) -> Self {
        Self { event_driven: executor, ..self }
    }

    /// Makes this trainer one of several workers that share every batch of the recipe.
    ///
    /// # Errors
    /// If there are more workers than samples in a batch.
    pub fn with_ranks(self, ranks: Ranks) -> Result<Self> {
        let (batch, workers) = (self.plan.batch, ranks.size());
        if batch < workers {
            let problem =
                format!("= {batch} samples cannot be shared by {workers} workers: raise `train.batch`, or start fewer");
            return Err(Error::Recipe { key: "train.batch", problem });
        }
        Ok(Self { model: self.model.with_ranks(ranks), ..self })
    }

    /// The network that is trained.
    pub fn network(&self) -> &Network {
        self.model.network()
    }

    /// The position that the training has reached.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Trains to the end and returns the model of the last or the best epoch, with calibrated
    /// norms.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the user stops, [`Error::NotFinite`] if the loss and
    /// [`Error::Diverged`] if a tensor is not finite, and any error of the data or the hooks.
    pub fn run(mut self, hooks: &mut dyn Hooks, progress: &dyn Progress) -> Result<(Model, Position)> {
        let name = self.plan.strategy.name();
        let left = (self.recipe.train.epochs * self.plan.per_epoch).saturating_sub(self.position.iteration);
        progress.start(&format!("train {name}"), left as u64, "iteration");
        if self.position.iteration == 0 {
            self.keep(hooks)?;
        }
        while self.position.epoch < self.recipe.train.epochs {
            self.epoch(hooks, progress)?;
            let metrics = self.end_of_epoch(progress)?;
            hooks.epoch(&metrics)?;
            progress.line(&self.epoch_line(&metrics));
            let last = self.position.epoch == self.recipe.train.epochs;
            if last || self.position.epoch.is_multiple_of(self.recipe.train.checkpoint_every) {
                self.keep(hooks)?;
                progress.detail(&format!("checkpoint after iteration {}", self.position.iteration));
            }
        }
        progress.finish();
        let mut model = match (&self.recipe.train.select, &self.best) {
            (Select::Best, Some(best)) => Model::new(self.model.network().clone(), best, &self.model.device().clone())?
                .with_ranks(self.model.ranks().clone()),
            _ => self.model.clone(),
        };
        // A run that trains nothing keeps the statistics of its first weights, which are those of
        // another program if the weights were imported.
        if self.position.iteration > 0 {
            self.calibrate(&mut model, progress)?;
        }
        // Calibration runs batches that no iteration has checked, so its statistics are checked
        // here.
        match model.not_finite() {
            None => Ok((model, self.position)),
            Some(tensor) => {
                let (iteration, epoch) = (self.position.iteration, self.position.epoch);
                Err(Error::Diverged { tensor, iteration, epoch })
            }
        }
    }

    fn epoch(&mut self, hooks: &mut dyn Hooks, progress: &dyn Progress) -> Result<()> {
        let seed = self.recipe.seed;
        let epoch = self.position.epoch as u64;
        let mut order: Vec<SampleId> = self.parts.train.clone();
        order.shuffle(&mut seed::rng(seed, "order", epoch));
        let done = self.position.batch * self.plan.batch;
        let mut last = Instant::now();
        let mut checkpointed = Instant::now();
        let (source, size) = (self.source, self.plan.batch);
        let augment = self.plan.augments.then_some((seed, epoch));
        let ranks = self.model.ranks().clone();
        let chunks = order[done.min(order.len())..].chunks_exact(size).map(|ids| &ids[ranks.share(size)]).collect();
        let first = self.position.iteration;
        let requests: Vec<_> = (0..self.plan.per_epoch).map(|j| self.plan.request(first + j, augment)).collect();
        prefetch_each(
            source,
            chunks,
            move |j| requests[j],
            |_, batch| {
                let report = self.iteration(batch)?;
                self.position.loss_sum += f64::from(report.loss);
                self.position.correct += report.correct;
                self.position.predictions += report.predictions;
                self.position.batch += 1;
                self.position.iteration += 1;
                self.position.seconds += last.elapsed().as_secs_f64();
                last = Instant::now();
                let p = &self.position;
                let accuracy = 100.0 * p.correct as f64 / p.predictions.max(1) as f64;
                let (e, of) = (p.epoch + 1, self.recipe.train.epochs);
                progress.advance(1, &format!("epoch {e}/{of}  loss {:.3}  acc {accuracy:.1} %", report.loss));
                // If one worker is asked to stop, all stop after the same iteration. Other workers
                // wait until rank 0 has written the checkpoint.
                let mut asked = [f64::from(progress.cancelled())];
                ranks.sum_f64(&mut asked)?;
                if asked[0] > 0.0 {
                    self.keep(hooks)?;
                    ranks.barrier()?;
                    return Err(Error::Stopped { epoch: e, iteration: self.position.iteration });
                }
                if checkpointed.elapsed() > CHECKPOINT_AFTER {
                    self.keep(hooks)?;
                    checkpointed = Instant::now();
                }
                Ok(())
            },
        )
    }

    fn iteration(&mut self, mut batch: Batch) -> Result<crate::iteration::StepReport> {
        let k = self.position.iteration;
        let device = self.model.device().clone();
        let mut rng = seed::rng(self.recipe.seed, "configuration", k as u64);
        let mut passes = self.plan.passes(self.model.network(), k, &mut rng);
        if let Some(long) = &mut passes.long {
            long.input = batch.take_finer(&device);
        }
        if let Some(pass) = &mut passes.event_driven {
            pass.spikes = Some(Arc::new(self.event_driven_spikes(&batch)?));
        }
        let (input, labels) = batch.into_sequence(&device);
        let passes: Vec<_> = passes.long.into_iter().chain(passes.own).chain(passes.event_driven).collect();
        let (mut gradients, report) =
            gradients_of(&mut self.model, &input, &labels, &passes, &self.plan.step, &mut rng).map_err(
                |e| match e {
                    Error::NotFinite { loss, .. } => {
                        Error::NotFinite { loss, iteration: k + 1, epoch: self.position.epoch + 1 }
                    }
                    other => other,
                },
            )?;
        for (p, gradient) in self.model.parameters.iter().zip(&mut gradients) {
            if self.plan.frozen.contains(&p.name) {
                *gradient = None;
            }
        }
        self.optimiser.step(&mut self.model.parameters, gradients, self.plan.schedule.at(k));
        match self.model.not_finite() {
            None => Ok(report),
            Some(tensor) => Err(Error::Diverged { tensor, iteration: k + 1, epoch: self.position.epoch + 1 }),
        }
    }

    /// Runs the batch's recordings without a clock, with the present weights.
    fn event_driven_spikes(&self, batch: &Batch) -> Result<LayerSpikes> {
        let executor = self.event_driven.ok_or_else(no_executor)?;
        let (weights, step) = (self.model.weights(), self.plan.step);
        let run = EventDrivenRun::new((self.model.network(), &weights), step.step_us, &batch.recordings, step.t_max);
        executor.spikes(&run).map_err(Error::EventDriven)
    }

    fn end_of_epoch(&mut self, progress: &dyn Progress) -> Result<EpochMetrics> {
        let validation_accuracy = match self.parts.validation.as_slice() {
            [] => None,
            ids => Some(self.validate(ids)?),
        };
        let p = &mut self.position;
        p.epoch += 1;
        let metrics = EpochMetrics {
            epoch: p.epoch,
            iteration: p.iteration,
            train_loss: p.loss_sum / p.batch.max(1) as f64,
            train_accuracy: 100.0 * p.correct as f64 / p.predictions.max(1) as f64,
            validation_accuracy,
            learning_rate: self.plan.schedule.at(p.iteration.saturating_sub(1)),
            seconds: p.seconds,
        };
        (p.batch, p.loss_sum, p.correct, p.predictions) = (0, 0.0, 0, 0);
        if let Some(accuracy) = validation_accuracy
            && p.best.is_none_or(|(best, _)| accuracy > best)
        {
            p.best = Some((accuracy, p.epoch));
            if self.recipe.train.select == Select::Best {
                self.best = Some(self.model.weights());
            }
        }
        p.history.push(metrics.clone());
        if p.epoch == 1 {
            self.warn_of_silence(progress)?;
        }
        Ok(metrics)
    }

    /// The log line of an epoch, at most 80 columns.
    fn epoch_line(&self, m: &EpochMetrics) -> String {
        let of = self.recipe.train.epochs;
        let mut line = format!("epoch {}/{of}  loss {:.3}  training {:.1} %", m.epoch, m.train_loss, m.train_accuracy);
        if let (Some(accuracy), Some((best, epoch))) = (m.validation_accuracy, self.position.best) {
            line += &format!("  validation {accuracy:.1} %");
            line += &match epoch == m.epoch {
                true => "  best so far".to_owned(),
                false => format!("  best {best:.1} % ({epoch})"),
            };
        }
        line
    }

    /// Percent of correct predictions at T_max on these samples, which the workers share. The norms
    /// of a copy of the model are calibrated for this.
    fn validate(&self, ids: &[SampleId]) -> Result<f64> {
        let mut model = self.model.clone();
        self.calibrate(&mut model, &Silent)?;
        let plan = StepSweep { steps: vec![self.plan.step.t_max], leaks: vec![LeakRule::Step], calibration: None };
        let ranks = self.model.ranks();
        let mine = &ids[ranks.share(ids.len())];
        let mut score = [0.0, 0.0];
        if !mine.is_empty() {
            let point = across_steps(&model, &self.setting(mine), &plan, &Silent)?.remove(0);
            score = [point.correct as f64, point.samples as f64];
        }
        ranks.sum_f64(&mut score)?;
        Ok(100.0 * score[0] / score[1].max(1.0))
    }

    fn calibrate(&self, model: &mut Model, progress: &dyn Progress) -> Result<()> {
        if self.recipe.train.freeze_norm || self.recipe.eval.calibration_batches == 0 {
            return Ok(());
        }
        let (t_max, step_us) = (self.plan.step.t_max, self.plan.step.step_us);
        let calibration = Calibration {
            source: self.source,
            train: &self.parts.train,
            batches: self.recipe.eval.calibration_batches,
            batch: self.plan.batch,
            t_max,
            step_us,
            seed: self.recipe.seed,
        };
        calibration.at(model, t_max, LeakRule::Step, progress)
    }

    fn setting<'b>(&'b self, ids: &'b [SampleId]) -> Setting<'b> {
        let (t_max, step_us) = (self.plan.step.t_max, self.plan.step.step_us);
        Setting { source: self.source, ids, t_max, step_us, batch: self.recipe.eval.batch }
    }

    /// Warns about layers that never fire, because such a layer passes no gradient and cannot
    /// recover.
    fn warn_of_silence(&self, progress: &dyn Progress) -> Result<()> {
        let some = &self.parts.train[..self.parts.train.len().min(self.plan.batch)];
        let mut model = self.model.clone();
        self.calibrate(&mut model, &Silent)?;
        if !self.model.ranks().is_first() {
            return Ok(());
        }
        let t_max = self.plan.step.t_max;
        for layer in
            activity(&model, &self.setting(some), t_max, LeakRule::Step, &Silent)?.iter().filter(|l| l.silent())
        {
            progress.warn(&format!(
                "layer `{}` did not fire once in {} samples after the first epoch: raise `train.init_gain` or lower the threshold",
                layer.layer,
                some.len()
            ));
        }
        Ok(())
    }

    /// Passes a checkpoint to the hooks, on rank 0 only, because all workers hold the same state.
    ///
    /// The optimiser's state is checked here and not after every step, because AdamW's is twice as
    /// large as the weights and an infinite second moment only stops its weight from moving.
    fn keep(&self, hooks: &mut dyn Hooks) -> Result<()> {
        if !self.model.ranks().is_first() {
            return Ok(());
        }
        let checkpoint = self.checkpoint();
        let not_finite = |(_, a): &(&String, &Array)| a.data.iter().any(|v| !v.is_finite());
        if let Some((name, _)) = checkpoint.optimiser.tensors.iter().find(not_finite) {
            let (tensor, iteration) = (format!("the optimiser's {name}"), self.position.iteration);
            return Err(Error::Diverged { tensor, iteration, epoch: self.position.epoch.max(1) });
        }
        hooks.checkpoint(&checkpoint)
    }

    fn checkpoint(&self) -> Checkpoint {
        let (optimiser, optimiser_steps) = self.optimiser.save(&self.model.parameters);
        Checkpoint {
            recipe: self.recipe_text.clone(),
            position: self.position.clone(),
            weights: self.model.weights(),
            optimiser,
            optimiser_steps,
            best: self.best.clone(),
            conditions: self.conditions.clone(),
            changed: self.changed.clone(),
        }
    }
}
