//! Batch-norm calibration: running statistics for inference from a few training batches.
//!
//! Mixed temporal configurations leave the running statistics corrupted. Before evaluation they
//! are reset and become the plain average, over k batches at T_max without gradient, of the
//! batch mean and of the unbiased batch variance. The method uses them at every other T too; for
//! recordings cut anew we measured that they do not fit far below T_max (benches/RESULTS.md).
//! Source: Du et al. (ICLR 2025), appendix; method.md section 5.

use crate::data::{SampleId, Source};
use crate::error::Result;
use crate::model::{Model, Pass};
use crate::norm::NormMode;
use crate::progress::Progress;
use crate::seed;
use crate::sequence::Sequence;
use rand::seq::SliceRandom;
use tickless_net::LeakRule;

/// Calibrates on sequences, one per batch.
///
/// # Errors
/// If a batch does not fit the network.
pub fn calibrate(
    model: &mut Model,
    batches: impl IntoIterator<Item = Result<Sequence>>,
    t_max: usize,
    step_us: Option<f64>,
) -> Result<()> {
    let configuration = vec![t_max; model.network().stages()];
    let pass = Pass { configuration: &configuration, norm: NormMode::Batch, leak: LeakRule::Step, t_max, step_us };
    let constants = model.constants();
    for (k, input) in batches.into_iter().enumerate() {
        let out = model.forward(&constants, input?, &pass, &mut seed::rng(0, "calibration", k as u64), None)?;
        for (running, batch) in model.running.iter_mut().zip(&out.statistics) {
            // The k-th of a cumulative average moves it by 1/k; the first replaces what was there.
            running.update(batch, 1.0 / (k + 1) as f64);
        }
    }
    Ok(())
}

/// Calibrates on `batches` batches of a seeded order of the training part.
///
/// # Errors
/// If a sample cannot be decoded.
#[expect(clippy::too_many_arguments, reason = "each is another thing that a calibration depends on")]
pub fn calibrate_on(
    model: &mut Model,
    source: &Source,
    train: &[SampleId],
    batches: usize,
    batch: usize,
    t_max: usize,
    step_us: Option<f64>,
    seed: u64,
    progress: &dyn Progress,
) -> Result<()> {
    if model.running.is_empty() {
        return Ok(());
    }
    let mut order = train.to_vec();
    order.shuffle(&mut seed::rng(seed, "calibration order", 0));
    let device = model.device().clone();
    progress.start("calibrate", batches as u64, "batch");
    let chunks = order.chunks(batch).take(batches).map(|ids| {
        let b = source.batch(ids, t_max, None)?;
        progress.advance(1, "");
        Ok(b.into_sequence(&device).0)
    });
    calibrate(model, chunks, t_max, step_us)?;
    progress.finish();
    Ok(())
}
