//! Evaluates a model on samples that a caller changes, and measures the gradients of its loss.

use super::{Score, Setting, leak_of};
use crate::compute_thread::on_compute_thread;
use crate::data::{Batch, BatchRequest, SampleId, prefetch_each};
use crate::error::{Error, Result};
use crate::loss::LossSetting;
use crate::model::readout::time_mean;
use crate::model::{Model, NormMode, Pass, Sequence, host};
use crate::progress::Progress;
use crate::seed;
use burn::tensor::Tensor;
use tickless_net::LeakRule;

/// Called with the samples of a batch and the batch, before the model runs it.
pub type Change<'a> = &'a mut dyn FnMut(&[SampleId], &mut Batch) -> Result<()>;

/// The score at as many steps as `request` has frames, with the leak per step, on the batches that
/// `change` returns.
///
/// # Errors
/// As [`across_steps`](super::across_steps), and those of `change`.
pub fn changed_score(
    model: &Model,
    setting: &Setting<'_>,
    request: BatchRequest,
    change: Change<'_>,
    progress: &dyn Progress,
) -> Result<Score> {
    let steps = request.steps;
    let configuration = vec![steps; model.network().stages()];
    let leak = leak_of(model, LeakRule::Step);
    let (t_max, step_us) = (setting.t_max, setting.step_us);
    let pass = Pass { configuration: &configuration, norm: NormMode::Running, leak, t_max, step_us };
    let constants = model.constants();
    let (mut score, mut done) = (Score::default(), 0);
    let chunks: Vec<&[SampleId]> = setting.ids.chunks(setting.batch_at(steps)).collect();
    prefetch_each(
        setting.source,
        chunks,
        |_| request,
        |k, mut batch| {
            let ids = &setting.ids[done..done + batch.labels.len()];
            done += ids.len();
            change(ids, &mut batch)?;
            let (input, labels) = batch.into_sequence(model.device());
            let mut rng = seed::rng(0, "evaluation", k as u64);
            let logits = time_mean(model.forward(&constants, input, &pass, &mut rng, None)?.logits);
            if let Some(&value) = logits.iter().find(|v| !v.is_finite()) {
                return Err(Error::ResultNotFinite {
                    what: format!("a logit at T = {steps} of a changed sample"),
                    value,
                });
            }
            score.add(&logits, &labels);
            progress.advance(labels.len() as u64, &format!("{:.1} %", score.accuracy()));
            if progress.cancelled() {
                return Err(Error::Cancelled { task: "the evaluation" });
            }
            Ok(())
        },
    )?;
    Ok(score)
}

/// The sizes of the gradients of the cross-entropy at T_max.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct GradientNorms {
    /// ‖∂L/∂w‖₂ over all trainable values; L: mean over the samples.
    pub weights: f64,
    /// Mean over the samples of ‖∂L_i/∂x_i‖₂; L_i: the loss of one sample.
    pub inputs: f64,
}

/// The gradient norms on the setting's samples, with the norms of layers in evaluation mode; 0 without
/// samples. The surrogates of the neurons stand for the derivatives of spikes.
///
/// # Errors
/// As [`across_steps`](super::across_steps).
pub fn gradient_norms(model: &Model, setting: &Setting<'_>, progress: &dyn Progress) -> Result<GradientNorms> {
    let steps = setting.t_max;
    let configuration = vec![steps; model.network().stages()];
    let leak = leak_of(model, LeakRule::Step);
    let (t_max, step_us) = (setting.t_max, setting.step_us);
    let pass = Pass { configuration: &configuration, norm: NormMode::Running, leak, t_max, step_us };
    let device = model.device().clone().autodiff();
    let mut sums: Vec<Vec<f64>> = model.parameters.iter().map(|p| vec![0.0; p.value.dims()[0]]).collect();
    let (mut inputs, mut samples) = (0.0f64, 0usize);
    let chunks: Vec<&[SampleId]> = setting.ids.chunks(setting.batch_at(steps)).collect();
    progress.start("gradients", setting.ids.len() as u64, "sample");
    prefetch_each(
        setting.source,
        chunks,
        |_| BatchRequest::frames(steps, None),
        |k, batch| {
            let (input, labels) = batch.into_sequence(&device);
            let (frames, count) = (input.steps(), labels.len());
            let leaf: Tensor<4> = input.tensor().require_grad();
            let leaves = model.leaves();
            let mut rng = seed::rng(0, "evaluation", k as u64);
            let norms = on_compute_thread(model.device(), || -> Result<f64> {
                let sequence = Sequence::new(leaf.clone(), frames);
                let output = model.forward(&leaves, sequence, &pass, &mut rng, None)?;
                let gradients = LossSetting::default().forward(output.logits.clone(), &labels).backward();
                output.check_backward()?;
                for (sum, leaf) in sums.iter_mut().zip(&leaves) {
                    if let Some(g) = leaf.grad(&gradients) {
                        sum.iter_mut().zip(host(&g)).for_each(|(s, g)| *s += f64::from(g) * count as f64);
                    }
                }
                let Some(g) = leaf.grad(&gradients) else { return Ok(0.0) };
                let g: Vec<f32> = g.into_data().try_into_vec().expect("every tensor of this crate is f32");
                let values = g.len() / (frames * count).max(1);
                let of_sample = |b: usize| {
                    let frame = |t: usize| g[(t * count + b) * values..][..values].iter();
                    // The loss is the mean over the batch.
                    (0..frames).flat_map(frame).map(|v| (f64::from(*v) * count as f64).powi(2)).sum::<f64>().sqrt()
                };
                Ok((0..count).map(of_sample).sum())
            })?;
            inputs += norms;
            samples += count;
            progress.advance(count as u64, "");
            if progress.cancelled() {
                return Err(Error::Cancelled { task: "the gradients" });
            }
            Ok(())
        },
    )?;
    progress.finish();
    let n = samples.max(1) as f64;
    let weights = sums.iter().flatten().map(|s| (s / n).powi(2)).sum::<f64>().sqrt();
    Ok(GradientNorms { weights, inputs: inputs / n })
}
