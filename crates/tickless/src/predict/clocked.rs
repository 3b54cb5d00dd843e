//! Answers at time steps: one pass over all steps, as the evaluation runs it, or step by step if
//! the run stops early.

use super::{Answer, Predictor, Spent};
use crate::Result;
use crate::operating_point::ExitAt;
use tickless_events::Sample;
use tickless_net::{Exit, InputKind, LeakRule};
use tickless_train::data::Batch;
use tickless_train::model::readout::time_mean;
use tickless_train::model::{Model, NormMode, Pass, Sequence, Stepper};
use tickless_train::run::Loaded;
use tickless_train::seed;

/// The mean over time of the logits of each sample of a batch, from one pass over all steps.
///
/// # Shapes
/// `input` `[T·B, C, H, W]`; the result has B rows, one value per class.
///
/// # Errors
/// As [`Model::forward`].
pub fn mean_logits(
    run: &Loaded,
    model: &Model,
    input: Sequence,
    configuration: &[usize],
    leak: LeakRule,
) -> tickless_train::Result<Vec<Vec<f32>>> {
    let (t_max, step_us) = (run.facts.t_max, run.facts.step_us);
    let image = model.network().input().kind == InputKind::Image;
    let leak = if image { LeakRule::Step } else { leak };
    let pass = Pass { configuration, norm: NormMode::Running, leak, t_max, step_us };
    // Only a random TTM draws.
    let mut rng = seed::rng(0, "evaluation", 0);
    let means = time_mean(model.forward(&model.constants(), input, &pass, &mut rng, None)?.logits);
    Ok(means.chunks(model.network().output().len().max(1)).map(<[f32]>::to_vec).collect())
}

pub(super) fn answer(
    p: &Predictor<'_>,
    (configuration, leak, exit): (&[usize], LeakRule, Option<ExitAt>),
    sample: &Sample,
) -> Result<Answer> {
    let frames = configuration.first().copied().unwrap_or(1);
    let batch = p.run.source.batch_of_samples(std::slice::from_ref(sample), frames)?;
    let gain = p.temperature.gain;
    let Some(ExitAt { rule, alpha }) = exit else {
        let (input, _) = batch.into_sequence(p.model.device());
        let scores = mean_logits(p.run, &p.model, input, configuration, leak)?.pop().unwrap_or_default();
        let same = configuration.iter().all(|t| *t == frames);
        let steps = if same { vec![frames] } else { configuration.to_vec() };
        return Ok(Answer::of(scores, gain, false, Spent::Steps { steps }));
    };
    let (scores, steps, stopped) = stepwise(p, batch, (frames, leak), &Exit { rule, alpha, gain })?;
    Ok(Answer::of(scores, gain, stopped, Spent::Steps { steps: vec![steps] }))
}

/// Runs one sample step by step until the exit's rule holds. Returns its mean logits, the number of
/// steps, and whether the rule held.
fn stepwise(
    p: &Predictor<'_>,
    batch: Batch,
    (steps, leak): (usize, LeakRule),
    exit: &Exit,
) -> Result<(Vec<f32>, usize, bool)> {
    let image = p.model.network().input().kind == InputKind::Image;
    let leak = if image { LeakRule::Step } else { leak };
    let mut stepper = Stepper::new(&p.model, steps, leak, p.run.facts.t_max, p.run.facts.step_us);
    let frames = batch.into_sequence(p.model.device()).0.tensor();
    let mut sums: Vec<f32> = Vec::new();
    for step in 0..steps {
        let frame = frames.clone().narrow(0, if image { 0 } else { step }, 1);
        let logits: Vec<f32> = time_mean(stepper.step(frame)?.unsqueeze());
        match sums.is_empty() {
            true => sums = logits,
            false => sums.iter_mut().zip(logits).for_each(|(sum, v)| *sum += v),
        }
        let means: Vec<f32> = sums.iter().map(|v| v / (step + 1) as f32).collect();
        let stops = exit.stops(&means);
        if stops || step + 1 == steps {
            return Ok((means, step + 1, stops));
        }
    }
    Ok((sums, 0, false))
}
