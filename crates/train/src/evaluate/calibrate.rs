//! Batch-norm calibration: running statistics for inference from a few training batches.
//!
//! Training on mixed temporal configurations corrupts the running statistics. Before evaluation,
//! calibration replaces them by the plain average, over k training batches without gradient, of
//! the batch mean and of the unbiased batch variance. Source: Du et al. (ICLR 2025), appendix.
//!
//! The method runs the batches at T_max and uses the statistics at every other T too. That fits
//! static images, which are shown T times. A recording cut into T frames has T_max/T times the
//! events in each frame, so far from T_max the inputs of the norms differ from those they were
//! calibrated on. [`Calibration::at`] can take the statistics at the T of the evaluation instead,
//! which corrects this (benches/RESULTS.md).

use crate::data::{SampleId, Source};
use crate::distributed::Ranks;
use crate::error::Result;
use crate::model::NormMode;
use crate::model::Sequence;
use crate::model::{Model, Pass};
use crate::progress::Progress;
use crate::seed;
use rand::seq::SliceRandom;
use tickless_net::{InputKind, LeakRule};

/// The batches that norms are calibrated on: the first ones of a seeded order of the training part.
#[derive(Debug, Clone, Copy)]
pub struct Calibration<'a> {
    /// The data set.
    pub source: &'a Source,
    /// Its training part.
    pub train: &'a [SampleId],
    /// Largest number of batches.
    pub batches: usize,
    /// Samples per batch.
    pub batch: usize,
    /// The number of steps T_max at which one step leaks by λ.
    pub t_max: usize,
    /// Duration of a step at T_max in µs.
    pub step_us: Option<f64>,
    /// Seed of the order.
    pub seed: u64,
}

impl Calibration<'_> {
    /// Calibrates a model for `steps` time steps; a model without norms stays as it is.
    ///
    /// # Errors
    /// As [`at_configuration`](Self::at_configuration).
    pub fn at(&self, model: &mut Model, steps: usize, leak: LeakRule, progress: &dyn Progress) -> Result<()> {
        self.at_configuration(model, &vec![steps; model.network().stages()], leak, progress)
    }

    /// Calibrates a model for one number of steps per stage; recordings are cut into as many frames as
    /// the first stage has steps. A model without norms stays as it is.
    ///
    /// If the model has several workers ([`ranks`](Model::ranks)), they share each batch and get
    /// the same statistics.
    ///
    /// # Errors
    /// If a sample cannot be decoded or does not fit the network, or a worker has left.
    pub fn at_configuration(
        &self,
        model: &mut Model,
        configuration: &[usize],
        leak: LeakRule,
        progress: &dyn Progress,
    ) -> Result<()> {
        if model.running.is_empty() {
            return Ok(());
        }
        let mut order = self.train.to_vec();
        order.shuffle(&mut seed::rng(self.seed, "calibration order", 0));
        let device = model.device().clone();
        let frames = configuration.first().copied().unwrap_or(1);
        progress.start("calibrate", self.batches.min(order.len().div_ceil(self.batch)) as u64, "batch");
        // If a batch has fewer samples than there are workers, each worker runs all batches alone.
        let ranks = model.ranks().clone();
        let shared = order.chunks(self.batch).take(self.batches).all(|ids| ids.len() >= ranks.size());
        let mut worker = model.clone().with_ranks(if shared { ranks.clone() } else { Ranks::alone() });
        let chunks = order.chunks(self.batch).take(self.batches).map(|ids| {
            let ids = if shared { &ids[ranks.share(ids.len())] } else { ids };
            let b = self.source.batch(ids, frames, None)?;
            progress.advance(1, "");
            Ok(b.into_sequence(&device).0)
        });
        let (t_max, step_us) = (self.t_max, self.step_us);
        // A static image has no duration, so its leak is always per step.
        let leak = if model.network().input().kind == InputKind::Image { LeakRule::Step } else { leak };
        let pass = Pass { configuration, norm: NormMode::Batch, leak, t_max, step_us };
        calibrate(&mut worker, chunks, &pass)?;
        model.running = worker.running;
        progress.finish();
        Ok(())
    }
}

/// Calibrates on these sequences, one per batch, each run as `pass` says.
///
/// # Errors
/// If a batch cannot be made or does not fit the network.
pub fn calibrate(
    model: &mut Model,
    batches: impl IntoIterator<Item = Result<Sequence>>,
    pass: &Pass<'_>,
) -> Result<()> {
    let constants = model.constants();
    for (k, input) in batches.into_iter().enumerate() {
        let out = model.forward(&constants, input?, pass, &mut seed::rng(0, "calibration", k as u64), None)?;
        for (running, batch) in model.running.iter_mut().zip(&out.statistics) {
            // Batch k (from 1) enters a cumulative average with weight 1/k; the first replaces the
            // old value.
            running.update(batch, 1.0 / (k + 1) as f64);
        }
    }
    Ok(())
}
