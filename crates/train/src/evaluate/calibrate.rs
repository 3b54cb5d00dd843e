//! Batch-norm calibration: running statistics for inference from a few training batches.
//!
//! Mixed temporal configurations leave the running statistics corrupted. Before evaluation they
//! are reset and become the plain average, over k batches without gradient, of the batch mean and
//! of the unbiased batch variance. Source: Du et al. (ICLR 2025), appendix.
//!
//! The method takes the batches at T_max and uses the statistics at every other T too. That fits
//! static images, shown T times. A recording cut into T frames has T_max/T times the events in
//! each, so far from T_max the norms meet other values than they were calibrated for; statistics
//! taken at the T of the evaluation ([`Calibration::at`]) mend that (benches/RESULTS.md).

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

/// On what norms are calibrated: some batches of a seeded order of the training part.
#[derive(Debug, Clone, Copy)]
pub struct Calibration<'a> {
    /// The data set.
    pub source: &'a Source,
    /// Its training part.
    pub train: &'a [SampleId],
    /// Batches at most.
    pub batches: usize,
    /// Samples per batch.
    pub batch: usize,
    /// Steps at which λ is the leak of one step.
    pub t_max: usize,
    /// Duration of such a step in µs.
    pub step_us: Option<f64>,
    /// Seed of the order.
    pub seed: u64,
}

impl Calibration<'_> {
    /// Calibrates a model for `steps` time steps; one without norms stays as it is.
    ///
    /// Several workers (the model's [`ranks`](Model::ranks)) share each batch, and all get the same statistics.
    ///
    /// # Errors
    /// If a sample cannot be decoded or does not fit the network.
    pub fn at(&self, model: &mut Model, steps: usize, leak: LeakRule, progress: &dyn Progress) -> Result<()> {
        if model.running.is_empty() {
            return Ok(());
        }
        let mut order = self.train.to_vec();
        order.shuffle(&mut seed::rng(self.seed, "calibration order", 0));
        let device = model.device().clone();
        progress.start("calibrate", self.batches.min(order.len().div_ceil(self.batch)) as u64, "batch");
        // A last batch may have fewer samples than there are workers: then each does all of the work.
        let ranks = model.ranks().clone();
        let shared = order.chunks(self.batch).take(self.batches).all(|ids| ids.len() >= ranks.size());
        let mut worker = model.clone().with_ranks(if shared { ranks.clone() } else { Ranks::alone() });
        let chunks = order.chunks(self.batch).take(self.batches).map(|ids| {
            let ids = if shared { &ids[ranks.share(ids.len())] } else { ids };
            let b = self.source.batch(ids, steps, None)?;
            progress.advance(1, "");
            Ok(b.into_sequence(&device).0)
        });
        let configuration = vec![steps; model.network().stages()];
        let (t_max, step_us) = (self.t_max, self.step_us);
        // A static image has no duration, so its leak always belongs to the step.
        let leak = if model.network().input().kind == InputKind::Image { LeakRule::Step } else { leak };
        let pass = Pass { configuration: &configuration, norm: NormMode::Batch, leak, t_max, step_us };
        calibrate(&mut worker, chunks, &pass)?;
        model.running = worker.running;
        progress.finish();
        Ok(())
    }
}

/// Calibrates on sequences, one per batch, run as `pass` says.
///
/// # Errors
/// If a batch does not fit the network.
pub fn calibrate(
    model: &mut Model,
    batches: impl IntoIterator<Item = Result<Sequence>>,
    pass: &Pass<'_>,
) -> Result<()> {
    let constants = model.constants();
    for (k, input) in batches.into_iter().enumerate() {
        let out = model.forward(&constants, input?, pass, &mut seed::rng(0, "calibration", k as u64), None)?;
        for (running, batch) in model.running.iter_mut().zip(&out.statistics) {
            // The k-th of a cumulative average moves it by 1/k; the first replaces what was there.
            running.update(batch, 1.0 / (k + 1) as f64);
        }
    }
    Ok(())
}
