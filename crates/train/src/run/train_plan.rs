//! Turns the training part of a recipe into strategy, optimiser, schedule and loss.

use super::freeze::frozen_tensors;
use super::machine::Machine;
use crate::data::{BatchRequest, Parts};
use crate::error::{Error, Result};
use crate::footprint::Iteration;
use crate::iteration::optimiser::OptimiserSetting;
use crate::iteration::schedule::Schedule;
use crate::iteration::{StepSetting, TrainingPass};
use crate::loss::LossSetting;
use crate::model::NormMode;
use crate::strategy::extra_passes;
use crate::strategy::{self, EventDriven, ExtraPasses, Long, Steps, Strategy};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::recipe::{Augment, Recipe, Select};
use tickless_net::{InputKind, Layer, LeakRule, Network, Weights};
use tickless_neuron::step::Constants;

/// Everything that the training loop needs besides model and data.
#[derive(Debug)]
#[non_exhaustive]
pub struct TrainPlan {
    /// Chooses the temporal configurations of an iteration.
    pub strategy: Box<dyn Strategy>,
    /// Loss, norm mode, leak rule, T_max and duration of a step.
    pub step: StepSetting,
    /// Optimiser.
    pub optimiser: OptimiserSetting,
    /// Learning rate of each iteration.
    pub schedule: Schedule,
    /// Whether the backward pass runs stages again instead of saving their activations.
    pub recompute: bool,
    /// Names of the tensors that stay as they are.
    pub frozen: BTreeSet<String>,
    /// Samples per batch, over all workers.
    pub batch: usize,
    /// Iterations per epoch.
    pub per_epoch: usize,
    /// Whether samples are augmented.
    pub augments: bool,
    /// The additional pass at a multiple of T_max steps, if the recipe has one.
    pub long: Option<Long>,
    /// The additional pass with the spikes of the event-driven network, if the recipe has one.
    pub event_driven: Option<EventDriven>,
}

/// The passes of one iteration, in the order in which they run. The caller adds the inputs of the
/// additional passes.
#[derive(Debug, Clone)]
pub(crate) struct Passes {
    /// The additional pass at a multiple of T_max steps, if it runs in this iteration.
    pub(crate) long: Option<TrainingPass>,
    /// The passes of the strategy.
    pub(crate) own: Vec<TrainingPass>,
    /// The additional pass with the spikes of the event-driven network, if it runs in this
    /// iteration.
    pub(crate) event_driven: Option<TrainingPass>,
}

/// Checks that the network and the strategy can run the additional passes, and that times are
/// shifted only in recordings.
///
/// # Errors
/// If a key needs recordings and the data set holds images, if an event-driven pass is requested
/// for a network with a bias or a norm, or if the additional passes replace too many of the
/// strategy's.
fn check_extra_passes(recipe: &Recipe, network: &Network, strategy: &dyn Strategy) -> Result<()> {
    let (long, event_driven) = (recipe.train.long.map(Long::from), recipe.train.event_driven.map(EventDriven::from));
    let jitter = recipe.data.augment.jitter_steps > 0.0;
    let asked = [
        ("train.long", long.is_some()),
        ("train.event_driven", event_driven.is_some()),
        ("data.augment.jitter_steps", jitter),
    ];
    if let Some((key, _)) = asked.into_iter().find(|a| a.1 && network.input().kind != InputKind::Events) {
        let problem = "needs recordings, and this data set holds images: remove it".into();
        return Err(Error::Recipe { key, problem });
    }
    if event_driven.is_some() {
        network.check_event_driven()?;
    }
    let extra: Vec<ExtraPasses> = long.map(|l| l.extra).into_iter().chain(event_driven.map(|e| e.extra)).collect();
    let distills = long.is_some_and(|l| l.distill > 0.0);
    extra_passes::check(strategy, &extra, distills, if long.is_some() { "train.long" } else { "train.event_driven" })
}

/// Checks that a network of images has no leak or refractory period in µs, because the steps of an
/// image have no duration.
///
/// # Errors
/// [`Error::NoStepDuration`], which names the layer.
fn check_times(network: &Network) -> Result<()> {
    if network.input().kind == InputKind::Events {
        return Ok(());
    }
    let needs_duration = network.nodes().iter().find(|node| match node.layer {
        Layer::Neuron(n) => Constants::at(&n, LeakRule::Step, 1, 1, None).is_none(),
        _ => false,
    });
    needs_duration.map_or(Ok(()), |node| Err(Error::NoStepDuration { layer: node.name.clone() }))
}

impl TrainPlan {
    /// The plan of a recipe, for this network and these parts of the data set. It reads and writes
    /// no file, so a job can refuse a recipe before it does anything.
    ///
    /// # Errors
    /// If the strategy is unknown, [`Steps::check`] refuses its steps, `train.group` exceeds the
    /// number of stages, `train.freeze` names no layer or all, the best epoch is to be selected
    /// without a validation part, or the network or the strategy cannot run an extra pass.
    pub fn new(recipe: &Recipe, network: &Network, parts: &Parts, step_us: Option<f64>) -> Result<Self> {
        let train_samples = parts.train.len();
        if recipe.train.select == Select::Best && parts.validation.is_empty() {
            let problem = "= \"best\" chooses on the validation part: set `data.validation` (e.g. 0.1)".into();
            return Err(Error::Recipe { key: "train.select", problem });
        }
        check_times(network)?;
        let t = &recipe.train;
        let steps = Steps { t_min: t.t_min, t_max: t.t_max, samples: t.samples, group: t.group };
        if t.group > network.stages() {
            return Err(Error::Recipe {
                key: "train.group",
                problem: format!(
                    "= {} blocks per stage, but network `{}` has {} blocks; give at most that many (all of them make MTT \
                     into NMT)",
                    t.group,
                    network.name(),
                    network.stages()
                ),
            });
        }
        let per_epoch = (train_samples / t.batch).max(1);
        let warmup = (t.warmup_epochs * per_epoch as f64).round() as usize;
        let schedule =
            Schedule { peak: t.learning_rate, decay: t.schedule, warmup, per_epoch, total: t.epochs * per_epoch };
        let a = recipe.data.augment;
        let strategy = strategy::by_name(&t.strategy, steps)?;
        check_extra_passes(recipe, network, strategy.as_ref())?;
        Ok(Self {
            strategy,
            step: StepSetting {
                loss: LossSetting::from(t),
                norm: if t.freeze_norm { NormMode::Running } else { NormMode::Batch },
                leak: t.leak,
                t_max: t.t_max,
                step_us,
            },
            optimiser: OptimiserSetting::from(t),
            schedule,
            recompute: t.recompute,
            frozen: frozen_tensors(&t.freeze, network)?,
            batch: t.batch.min(train_samples.max(1)),
            per_epoch,
            augments: a != Augment::default(),
            long: t.long.map(Long::from),
            event_driven: t.event_driven.map(EventDriven::from),
        })
    }

    /// Refuses a batch, shared by `workers`, if its training exceeds this machine's memory.
    ///
    /// # Errors
    /// [`Error::Memory`], which names the largest layer.
    pub fn check_memory(&self, network: &Network, workers: usize) -> Result<()> {
        let iteration = Iteration {
            batch: self.batch.div_ceil(workers),
            steps: self.step.t_max * self.long.map_or(1, |l| l.times),
            passes: self.strategy.passes(),
            optimiser: self.optimiser,
            recompute: self.recompute,
        };
        iteration.check(network, Machine::here().memory_gb)
    }

    /// The expected number of time steps of an iteration: the sum over its passes of the steps that
    /// a stage runs, averaged over all iterations.
    pub fn mean_steps(&self) -> f64 {
        let t_max = self.step.t_max as f64;
        let extra = [self.long.map(|l| (l.extra, l.times as f64 * t_max)), self.event_driven.map(|e| (e.extra, t_max))];
        let replaced: f64 = extra.iter().flatten().map(|(extra, _)| extra.mean_replaced()).sum();
        let added: f64 = extra.iter().flatten().map(|(extra, steps)| steps / extra.every as f64).sum();
        (self.strategy.passes() as f64 - replaced) * self.strategy.mean_steps() + added
    }

    /// The content that the batch of iteration `k`, counted from 0, must have.
    pub fn request(&self, k: usize, augment: Option<(u64, u64)>) -> BatchRequest {
        let mut request = BatchRequest::frames(self.step.t_max, augment);
        request.finer = self.long.filter(|l| l.extra.is_due(k)).map(|l| l.times);
        request.recordings = self.event_driven.is_some_and(|e| e.extra.is_due(k));
        request
    }

    /// Draws the passes of iteration `k`, counted from 0. An additional pass draws no random
    /// number, so it does not change the configurations of the strategy's passes.
    pub(crate) fn passes(&self, network: &Network, k: usize, rng: &mut ChaCha8Rng) -> Passes {
        let StepSetting { leak, t_max, .. } = self.step;
        let stages = network.stages();
        let mut own: Vec<_> =
            self.configurations(network, rng).into_iter().map(|c| TrainingPass::new(c, leak)).collect();
        let mut replace_passes = |extra: ExtraPasses| {
            let due = extra.is_due(k);
            if due {
                own.truncate(own.len().saturating_sub(extra.replaces));
            }
            due
        };
        let long = self.long.filter(|l| replace_passes(l.extra));
        let event_driven = self.event_driven.filter(|e| replace_passes(e.extra));
        if let Some(long) = long {
            own.iter_mut().for_each(|pass| pass.distill = long.distill);
        }
        let long = long.map(|l| TrainingPass {
            gain: l.times as f32,
            ..TrainingPass::new(vec![l.times * t_max; stages], LeakRule::Time)
        });
        let event_driven = event_driven.map(|_| TrainingPass::new(vec![t_max; stages], leak));
        Passes { long, own, event_driven }
    }

    /// Draws the configurations of one iteration. If a network of recordings has no TTM at its
    /// input, its first stage always runs at T_max, the number of frames of the recording.
    pub fn configurations(&self, network: &Network, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let mut all = self.strategy.configurations(network.stages(), rng);
        if network.input().kind == InputKind::Events && !network.has_input_ttm() {
            all.iter_mut().for_each(|c| c[0] = self.step.t_max);
        }
        all
    }
}

/// Draws the initial weights of a recipe's network.
pub fn initial_weights(recipe: &Recipe, network: &Network) -> Weights {
    let scheme = match recipe.train.init_gain {
        0.0 => InitScheme::default_for(network),
        conv_gain => InitScheme::Uniform { conv_gain },
    };
    initialise(network, scheme, recipe.seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickless_net::{Conv, Leak, NetworkBuilder, Neuron, Period, Refractory, Shape};

    #[test]
    fn a_time_in_microseconds_is_refused_for_static_images_and_taken_for_recordings() {
        let us = Refractory { period: Period::Us(1e4), ..Refractory::steps(1.0) };
        let with = |refractory| Neuron { refractory: Some(refractory), ..Neuron::lif() };
        for (neuron, in_us) in [
            (Neuron::lif(), false),
            (with(Refractory::steps(0.5)), false),
            (with(us), true),
            (Neuron { leak: Leak::Time(1e4), ..Neuron::lif() }, true),
            (Neuron { synapse: Some(Leak::Time(1e4)), ..Neuron::cuba_lif() }, true),
        ] {
            for kind in [InputKind::Events, InputKind::Image] {
                let mut b = NetworkBuilder::new("small", Shape::new(2, 4, 4), kind);
                let at = b.conv(b.input(), Conv::c3(2));
                let at = b.neuron(at, neuron);
                b.linear(at, 2, false);
                let checked = check_times(&b.build().unwrap());
                assert_eq!(checked.is_err(), in_us && kind == InputKind::Image, "{neuron:?}, {kind:?}");
            }
        }
    }
}
