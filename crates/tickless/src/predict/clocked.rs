//! Answers at time steps: one pass over all steps, as the evaluation runs it, or step by step if
//! the run stops early.

use super::{Answer, Predictor, Spent};
use crate::Result;
use crate::readout::mean_logits;
use tickless_events::Sample;
use tickless_net::{Exit, InputKind, LeakRule};
use tickless_train::data::Batch;
use tickless_train::model::Stepper;
use tickless_train::model::readout::time_mean;

pub(super) fn answer(
    p: &Predictor<'_>,
    (configuration, leak): (&[usize], LeakRule),
    sample: &Sample,
) -> Result<Answer> {
    let frames = configuration.first().copied().unwrap_or(1);
    let batch = p.run.source.batch_of_samples(std::slice::from_ref(sample), frames)?;
    let gain = p.temperature.gain;
    let Some(exit) = &p.exit else {
        let (input, _) = batch.into_sequence(p.model.device());
        let scores = mean_logits(p.run, &p.model, input, configuration, leak)?.pop().unwrap_or_default();
        let same = configuration.iter().all(|t| *t == frames);
        let steps = if same { vec![frames] } else { configuration.to_vec() };
        return Ok(Answer::of(scores, gain, false, Spent::Steps { steps }));
    };
    let (scores, steps, stopped) = stepwise(p, batch, (frames, leak), exit)?;
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
        let stops = exit.stops(&means, (step + 1) as f64);
        if stops || step + 1 == steps {
            return Ok((means, step + 1, stops));
        }
    }
    Ok((sums, 0, false))
}
