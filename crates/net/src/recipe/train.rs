//! `[train]` of a recipe: strategy, steps, optimiser, schedule and loss.

use super::evaluate::LARGEST_STEPS;
use crate::neuron::LeakRule;
use serde::{Deserialize, Serialize};
use tickless_words::words;

/// The `[train]` part of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainRecipe {
    /// Training strategy: `sdt`, `nmt` or `mtt`.
    pub strategy: String,
    /// Smallest number of time steps that NMT and MTT draw.
    pub t_min: usize,
    /// Largest number of time steps; SDT always trains at this number.
    pub t_max: usize,
    /// Number of temporal configurations per iteration, s (NMT, MTT).
    pub samples: usize,
    /// Number of blocks per stage, g (MTT).
    pub group: usize,
    /// Passes over the training part.
    pub epochs: usize,
    /// Samples per batch; an incomplete last batch is dropped.
    pub batch: usize,
    /// Optimiser.
    pub optimiser: Optimiser,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Momentum (SGD).
    pub momentum: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Learning-rate schedule.
    pub schedule: Decay,
    /// Epochs of linear warm-up.
    pub warmup_epochs: f64,
    /// Loss.
    pub loss: Loss,
    /// ε of label smoothing.
    pub label_smoothing: f32,
    /// λ of the TET loss.
    pub tet_lambda: f32,
    /// φ of the TET loss.
    pub tet_target: f32,
    /// Leak rule during training.
    pub leak: LeakRule,
    /// Gain on the uniform range of convolutions in the initial weights; 0 selects the default of
    /// the network.
    pub init_gain: f32,
    /// Whether norms use their running statistics and have no shift (second fold of `finetune`).
    pub freeze_norm: bool,
    /// Whether the trainer stores only the inputs of stages and computes each stage again in the
    /// backward pass, which takes less memory and more time and gives the same weights. Serialised
    /// only if `true`, so that versions that do not know this key can resume a checkpoint.
    #[serde(alias = "checkpoint", skip_serializing_if = "std::ops::Not::not")]
    pub recompute: bool,
    /// Layers whose weights stay as they are: names, or starts of names with a `*`. Serialised only if
    /// there are some, for the same reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// The epoch whose weights the run keeps.
    pub select: Select,
    /// Number of epochs between checkpoints.
    pub checkpoint_every: usize,
    /// Penalty on neurons whose rate is close to one spike per step. This key and those below are
    /// serialised only if they are given, so that versions that do not know them can resume a
    /// checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_penalty: Option<RatePenaltyRecipe>,
    /// An additional pass at a multiple of T_max steps; only for recordings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long: Option<LongRecipe>,
    /// An additional pass with the spikes of the event-driven network; only for recordings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_driven: Option<EventDrivenRecipe>,
}

/// `rate_penalty` of `[train]`: a penalty on high rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RatePenaltyRecipe {
    /// Weight of the penalty in the loss.
    pub weight: f32,
    /// Rate in spikes per step above which a neuron adds to the penalty; above 0 and below 1.
    #[serde(default = "half")]
    pub share: f32,
}

/// `long` of `[train]`: an additional pass at m·T_max steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LongRecipe {
    /// m, the number of steps into which the pass divides one step at T_max; at least 2.
    pub times: usize,
    /// The pass runs in the first of each `every` iterations.
    #[serde(default = "one")]
    pub every: usize,
    /// Number of the strategy's passes that it replaces in those iterations.
    #[serde(default)]
    pub replaces: usize,
    /// Weight of the distillation loss, by which the strategy's passes learn from this pass; 0 for
    /// none.
    #[serde(default)]
    pub distill: f32,
}

/// `event_driven` of `[train]`: an additional pass whose spikes an event-driven run determines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EventDrivenRecipe {
    /// The pass runs in the first of each `every` iterations.
    #[serde(default = "one")]
    pub every: usize,
    /// Number of the strategy's passes that it replaces in those iterations.
    #[serde(default)]
    pub replaces: usize,
}

fn half() -> f32 {
    0.5
}

fn one() -> usize {
    1
}

impl LongRecipe {
    fn check(self, t_max: usize) -> Result<(), String> {
        let Self { times, every, distill, .. } = self;
        let most = LARGEST_STEPS / t_max;
        if !(2..=most).contains(&times) {
            return Err(format!(
                "`train.long.times` = {times}: give 2 to {most} times `train.t_max` = {t_max} (at most {LARGEST_STEPS} \
                 time steps)"
            ));
        }
        check_every("long", every)?;
        if !distill.is_finite() || distill < 0.0 {
            return Err(format!("`train.long.distill` = {distill}: give a number that is not negative"));
        }
        Ok(())
    }
}

fn check_every(key: &str, every: usize) -> Result<(), String> {
    match every {
        0 => Err(format!("`train.{key}.every` = 0: it is at least 1")),
        _ => Ok(()),
    }
}

impl RatePenaltyRecipe {
    fn check(self) -> Result<(), String> {
        let Self { weight, share } = self;
        if !weight.is_finite() || weight < 0.0 {
            return Err(format!("`train.rate_penalty.weight` = {weight}: give a number that is not negative"));
        }
        if !(share > 0.0 && share < 1.0) {
            return Err(format!("`train.rate_penalty.share` = {share}: give a share above 0 and below 1"));
        }
        Ok(())
    }
}

/// The optimiser of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimiser {
    /// Stochastic gradient descent.
    Sgd,
    /// Adam with decoupled weight decay.
    AdamW,
}

words!(serde Optimiser, "optimiser", { Sgd = "sgd", AdamW = "adamw" });

/// The course of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decay {
    /// Falls to zero by a cosine, with a new value in every iteration.
    Cosine,
    /// Falls to zero by a cosine, with a new value in every epoch.
    CosinePerEpoch,
    /// Stays constant.
    Constant,
}

words!(serde Decay, "schedule", {
    Cosine = "cosine",
    CosinePerEpoch = "cosine_per_epoch",
    Constant = "constant",
});

/// The loss that training minimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loss {
    /// Cross-entropy of the mean of the logits over time.
    #[default]
    CrossEntropy,
    /// Temporal efficient training (TET).
    Tet,
}

words!(serde Loss, "loss", { CrossEntropy = "cross_entropy", Tet = "tet" });

/// The epoch whose weights a run keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// The last epoch.
    Last,
    /// The epoch with the best result on the validation part, which must not be empty.
    Best,
}

words!(serde Select, "choice of an epoch", { Last = "last", Best = "best" });

impl Default for TrainRecipe {
    fn default() -> Self {
        Self {
            strategy: "mtt".into(),
            t_min: 1,
            t_max: 10,
            samples: 3,
            group: 1,
            epochs: 40,
            batch: 50,
            optimiser: Optimiser::AdamW,
            learning_rate: 3e-3,
            momentum: 0.9,
            weight_decay: 0.02,
            schedule: Decay::Cosine,
            warmup_epochs: 0.0,
            loss: Loss::CrossEntropy,
            label_smoothing: 0.0,
            tet_lambda: 1e-3,
            tet_target: 1.0,
            leak: LeakRule::Step,
            init_gain: 0.0,
            freeze_norm: false,
            recompute: false,
            freeze: Vec::new(),
            select: Select::Last,
            checkpoint_every: 1,
            rate_penalty: None,
            long: None,
            event_driven: None,
        }
    }
}

/// Limits on the values of a recipe: far above those of any training, but low enough that no value
/// makes the program exhaust memory or time.
const LARGEST_BATCH: usize = 100_000;
const LARGEST_SAMPLES: usize = 1_000;
const LARGEST_EPOCHS: usize = 1_000_000;

impl TrainRecipe {
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, value, most) in [
            ("t_min", self.t_min, LARGEST_STEPS),
            ("t_max", self.t_max, LARGEST_STEPS),
            ("samples", self.samples, LARGEST_SAMPLES),
            ("group", self.group, usize::MAX),
            ("batch", self.batch, LARGEST_BATCH),
            ("checkpoint_every", self.checkpoint_every, usize::MAX),
        ] {
            if value == 0 {
                return Err(format!("`train.{name}` = 0: it is at least 1"));
            }
            if value > most {
                return Err(format!("`train.{name}` = {value}: it is at most {most}"));
            }
        }
        if self.epochs > LARGEST_EPOCHS {
            return Err(format!("`train.epochs` = {}: it is at most {LARGEST_EPOCHS}", self.epochs));
        }
        if self.t_min > self.t_max {
            return Err(format!(
                "`train.t_min` = {} is greater than `train.t_max` = {}; swap them",
                self.t_min, self.t_max
            ));
        }
        for (name, value) in [
            ("learning_rate", self.learning_rate),
            ("weight_decay", self.weight_decay),
            ("momentum", self.momentum),
            ("warmup_epochs", self.warmup_epochs),
            ("init_gain", f64::from(self.init_gain)),
        ] {
            if !value.is_finite() || value < 0.0 {
                return Err(format!("`train.{name}` = {value}: give a number that is not negative"));
            }
        }
        if self.warmup_epochs > LARGEST_EPOCHS as f64 {
            return Err(format!("`train.warmup_epochs` = {}: it is at most {LARGEST_EPOCHS}", self.warmup_epochs));
        }
        if !(0.0..=1.0).contains(&self.tet_lambda) {
            return Err(format!("`train.tet_lambda` = {}: give a share from 0 to 1", self.tet_lambda));
        }
        if !self.tet_target.is_finite() {
            return Err(format!("`train.tet_target` = {}: give a number", self.tet_target));
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(format!("`train.label_smoothing` = {}: give a share from 0 to below 1", self.label_smoothing));
        }
        self.rate_penalty.map_or(Ok(()), RatePenaltyRecipe::check)?;
        self.long.map_or(Ok(()), |long| long.check(self.t_max))?;
        self.event_driven.map_or(Ok(()), |e| check_every("event_driven", e.every))
    }
}
