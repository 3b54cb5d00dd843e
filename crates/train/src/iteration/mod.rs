//! One iteration: a forward and a backward pass for every temporal configuration; their gradients
//! are summed.

mod concurrent;
pub mod optimiser;
pub(crate) mod recompute;
pub mod schedule;
mod setting;
mod tap;
mod training_pass;

pub use setting::{StepReport, StepSetting};
pub use training_pass::TrainingPass;

use crate::compute_thread::on_compute_thread;
use crate::distributed::sum_gradients;
use crate::error::Result;
use crate::model::{Model, NormMode, Sequence};
use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;
use tickless_kernels::accumulate;

/// Sums the gradients of the loss over `configurations` and updates the running statistics.
/// `input` is `[T, B, C, H, W]`; the gradients have one entry per parameter.
///
/// The passes run one after another, so the peak memory is that of one pass; if all together are
/// small, they run concurrently. If the model [recomputes](Model::with_recompute), a pass needs the
/// memory of one stage and of the inputs of the others.
///
/// If several workers share the batch (the model's [`ranks`](Model::ranks)), `input` and `labels`
/// are this worker's part; gradients and report are those of the whole batch.
///
/// # Errors
/// If a configuration does not fit the network, if the loss is not finite (the message has its
/// value), or if a worker has left.
pub fn gradients(
    model: &mut Model,
    input: &Sequence,
    labels: &[usize],
    configurations: &[Vec<usize>],
    setting: &StepSetting,
    rng: &mut ChaCha8Rng,
) -> Result<(Vec<Option<Tensor<1>>>, StepReport)> {
    let pass = |c: &Vec<usize>| TrainingPass::new(c.clone(), setting.leak);
    let passes: Vec<TrainingPass> = configurations.iter().map(pass).collect();
    gradients_of(model, input, labels, &passes, setting, rng)
}

/// As [`gradients`], for passes that may differ in more than their configuration.
///
/// If a pass learns from another ([`TrainingPass::distill`]), the first pass runs before the others
/// and is the teacher.
///
/// # Errors
/// As [`gradients`].
pub fn gradients_of(
    model: &mut Model,
    input: &Sequence,
    labels: &[usize],
    passes: &[TrainingPass],
    setting: &StepSetting,
    rng: &mut ChaCha8Rng,
) -> Result<(Vec<Option<Tensor<1>>>, StepReport)> {
    let device = model.device().clone();
    on_compute_thread(&device, || gradients_here(model, input, labels, passes, setting, rng))
}

/// As [`gradients_of`], on the calling thread.
fn gradients_here(
    model: &mut Model,
    input: &Sequence,
    labels: &[usize],
    passes: &[TrainingPass],
    setting: &StepSetting,
    rng: &mut ChaCha8Rng,
) -> Result<(Vec<Option<Tensor<1>>>, StepReport)> {
    let mut sum: Vec<Option<Tensor<1>>> = vec![None; model.parameters.len()];
    let mut report = StepReport::default();
    concurrent::each(model, input, labels, passes, setting, rng, |model, done| {
        report.loss += done.loss / passes.len() as f32;
        for (g, sum) in done.gradients.into_iter().zip(&mut sum) {
            if let Some(g) = g {
                *sum = Some(match sum.take() {
                    Some(s) => accumulate(s, g),
                    None => g,
                });
            }
        }
        if setting.norm == NormMode::Running {
            forget_shifts(model, &mut sum);
        }
        report.correct += done.correct;
        report.predictions += labels.len();
        for (running, batch) in model.running.iter_mut().zip(&done.statistics) {
            running.update(batch, batch.momentum);
        }
    })?;
    let ranks = model.ranks().clone();
    sum_gradients(&ranks, &mut sum)?;
    let mut counts = [report.correct as f64, report.predictions as f64];
    ranks.sum_f64(&mut counts)?;
    (report.correct, report.predictions) = (counts[0] as usize, counts[1] as usize);
    Ok((sum, report))
}

/// Drops the gradients of the norms' shifts: with frozen norms they are not trained, because a
/// network for chips has no shift.
fn forget_shifts(model: &Model, sum: &mut [Option<Tensor<1>>]) {
    for (p, g) in model.parameters.iter().zip(sum) {
        if model.is_shift(p) {
            *g = None;
        }
    }
}
