//! The readout of a run at time steps, as the evaluation computes it.

use tickless_net::{InputKind, LeakRule};
use tickless_train::data::SampleId;
use tickless_train::evaluate::Setting;
use tickless_train::model::readout::time_mean;
use tickless_train::model::{Model, NormMode, Pass, Sequence};
use tickless_train::run::Loaded;
use tickless_train::seed;

/// The setting of an evaluation of these samples, as the run's recipe says.
pub(crate) fn setting<'a>(run: &'a Loaded, ids: &'a [SampleId]) -> Setting<'a> {
    let (t_max, step_us, batch) = (run.facts.t_max, run.facts.step_us, run.recipe.eval.batch);
    Setting { source: &run.source, ids, t_max, step_us, batch }
}

/// The mean over time of the logits of each sample of a batch, from one pass over all steps.
///
/// # Shapes
/// `input` `[T·B, C, H, W]`; the result has B rows, one value per class.
///
/// # Errors
/// As [`Model::forward`].
pub(crate) fn mean_logits(
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
