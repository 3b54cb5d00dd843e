//! The temperature of the confidence, fitted on samples with known labels.

use super::{Setting, leak_of};
use crate::error::Result;
use crate::model::Model;
use crate::progress::Progress;
use tickless_net::{Confidence, LeakRule};

/// The temperature g of p = softmax(g·mean logits) at this number of steps of each stage, fitted on
/// the setting's samples ([`Confidence::fitted`]); 1 without samples. The samples must not be those
/// whose results are reported.
///
/// # Errors
/// As [`across_steps`](super::across_steps).
pub fn fitted_gain(
    model: &Model,
    setting: &Setting<'_>,
    configuration: &[usize],
    leak: LeakRule,
    progress: &dyn Progress,
) -> Result<f64> {
    if setting.ids.is_empty() {
        return Ok(1.0);
    }
    let mut readouts: Vec<(Vec<f32>, usize)> = Vec::new();
    let mut keep = |logits: &[f32], labels: &[usize]| {
        let classes = logits.len() / labels.len().max(1);
        readouts.extend(logits.chunks(classes.max(1)).zip(labels).map(|(values, label)| (values.to_vec(), *label)));
    };
    let frames = configuration.first().copied().unwrap_or(1);
    progress.start("fit the confidence", setting.ids.len() as u64, "sample");
    setting.run_each(model, (frames, configuration, leak_of(model, leak)), progress, None, &mut keep)?;
    progress.finish();
    Ok(Confidence::fitted(1, &readouts).gain.into())
}
