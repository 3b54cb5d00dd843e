//! Runs the passes of one iteration: one after another, or concurrently if they are small.
//!
//! In a small network a kernel ends before a second thread can take a share of it, so the threads
//! wait for each other at every kernel. Passes at different temporal configurations share only the
//! weights: if they run concurrently, each thread takes one pass, and rayon lets it help with the
//! kernels of the others when no pass is left. The results are combined in the order of the
//! configurations, so they have the same bits either way.

use super::recompute;
use super::setting::StepSetting;
use super::tap::tap;
use super::training_pass::TrainingPass;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::loss::SoftTarget;
use crate::model::norm::BatchStatistics;
use crate::model::readout::{largest, time_mean};
use crate::model::{Model, Pass, Sequence};
use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use tickless_net::{Layer, Network, TtmMode};

/// Largest sum in bytes of the layer outputs of all passes that may run concurrently. About half
/// of it is really allocated, because fused nodes have no output in memory.
const SMALL: usize = 512 << 20;

/// The result of one pass.
pub(crate) struct Done {
    /// Loss of the whole batch, over all workers.
    pub(crate) loss: f32,
    /// One entry per parameter; `None` if the loss does not depend on it.
    pub(crate) gradients: Vec<Option<Tensor<1>>>,
    /// Batch statistics of every norm, in graph order.
    pub(crate) statistics: Vec<BatchStatistics>,
    /// Number of correct predictions in this worker's part.
    pub(crate) correct: usize,
    /// Time-mean logits of this worker's part, `[B·classes]`, with the pass's gain.
    logits: Vec<f32>,
}

/// Runs a forward and a backward pass for every entry of `passes` and calls `then` with the results,
/// in the order of the passes.
///
/// # Errors
/// The first error of a pass; see [`super::gradients`].
pub(crate) fn each(
    model: &mut Model,
    input: &Sequence,
    labels: &[usize],
    passes: &[TrainingPass],
    setting: &StepSetting,
    rng: &mut ChaCha8Rng,
    mut then: impl FnMut(&mut Model, Done),
) -> Result<()> {
    // The loss is a mean over the batch, so this worker's part has the weight B_r/B.
    let mut samples = [labels.len() as f64];
    model.ranks().sum_f64(&mut samples)?;
    let weight = labels.len() as f64 / samples[0];
    let run_pass = |model: &Model, pass: &TrainingPass, soft_target: Option<&SoftTarget>, rng: &mut ChaCha8Rng| {
        let input = pass.input.as_ref().unwrap_or(input);
        run(model, input, (labels, weight), pass, setting, soft_target, rng)
    };
    let (mut passes, mut soft_target) = (passes, None);
    if let Some((teacher, students)) = passes.split_first().filter(|(_, s)| s.iter().any(|p| p.distill > 0.0)) {
        let done = run_pass(model, teacher, None, rng)?;
        soft_target = Some(SoftTarget::of_logits(&done.logits, model.network().output().len()));
        passes = students;
        then(model, done);
    }
    if !side_by_side(model, labels.len(), passes) {
        for pass in passes {
            let done = run_pass(model, pass, soft_target.as_ref(), rng)?;
            then(model, done);
        }
        return Ok(());
    }
    // None of the passes draws a random number, so each may have a copy of the generator.
    let pass_alone = |pass| run_pass(model, pass, soft_target.as_ref(), &mut rng.clone());
    let all: Vec<_> = passes.par_iter().with_max_len(1).map(pass_alone).collect();
    for done in all {
        then(model, done?);
    }
    Ok(())
}

/// Whether the passes may run concurrently: on the CPU with several threads and a single worker, if
/// no pass draws from the generator (a random TTM, a dropout) and all together need at most
/// [`SMALL`] bytes.
fn side_by_side(model: &Model, batch: usize, passes: &[TrainingPass]) -> bool {
    let network = model.network();
    let draws = network.nodes().iter().any(|n| matches!(n.layer, Layer::Ttm(TtmMode::Random) | Layer::Dropout(_)));
    let alone = model.ranks().is_alone() && *model.device() == Device::flex();
    let many = passes.len() > 1 && rayon::current_num_threads() > 1;
    let needed = || passes.iter().map(|p| bytes(network, batch, &p.configuration)).sum::<usize>();
    many && alone && !draws && needed() <= SMALL
}

/// Bytes of all layers' outputs in one pass.
fn bytes(network: &Network, batch: usize, configuration: &[usize]) -> usize {
    let steps = |stage: Option<usize>| configuration.get(stage.unwrap_or(0)).copied().unwrap_or(1);
    network.nodes().iter().map(|n| n.output.len() * steps(n.stage)).sum::<usize>() * batch * size_of::<f32>()
}

/// Runs one forward and backward pass; `weight` is the share B_r/B of the batch that has `labels`.
fn run(
    model: &Model,
    input: &Sequence,
    (labels, weight): (&[usize], f64),
    training: &TrainingPass,
    setting: &StepSetting,
    soft_target: Option<&SoftTarget>,
    rng: &mut ChaCha8Rng,
) -> Result<Done> {
    let ranks = model.ranks();
    let StepSetting { norm, t_max, step_us, .. } = *setting;
    let pass = Pass { configuration: &training.configuration, norm, leak: training.leak, t_max, step_us };
    let tap = tap(model.network(), &setting.loss, training, weight);
    let run = recompute::forward(model, input.clone(), &pass, tap, rng)?;
    let logits = match training.gain {
        1.0 => run.output.logits.clone(),
        gain => run.output.logits.clone().mul_scalar(gain),
    };
    let loss = setting.loss.forward(logits.clone(), labels);
    let loss = match soft_target.filter(|_| training.distill > 0.0) {
        Some(soft_target) => loss + soft_target.loss(logits.clone()).mul_scalar(training.distill),
        None => loss,
    };
    let loss = if ranks.is_alone() { loss } else { loss.mul_scalar(weight) };
    let loss = run.output.terms.iter().fold(loss, |loss, terms| loss + terms.clone());
    let mut value = [loss.clone().into_scalar::<f32>()];
    ranks.sum_f32(&mut value)?;
    let [value] = value;
    if !value.is_finite() {
        return Err(Error::NotFinite { loss: value, iteration: 0, epoch: 0 });
    }
    let (gradients, statistics) = run.backward(model, loss)?;
    let logits = time_mean(logits.inner());
    let classes = logits.len() / labels.len().max(1);
    let correct = logits.chunks(classes.max(1)).zip(labels).filter(|(row, y)| largest(row) == **y).count();
    Ok(Done { loss: value, gradients, statistics, correct, logits })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iteration::gradients;
    use crate::iteration::optimiser::{OptimiserSetting, OptimiserState};
    use crate::loss::LossSetting;
    use crate::model::NormMode;
    use rand::{Rng, SeedableRng};
    use std::sync::Arc;
    use tickless_net::init::{InitScheme, initialise};
    use tickless_net::zoo::{self, ZooOptions};
    use tickless_net::{LeakRule, Neuron};

    fn model(name: &str, ttm: TtmMode) -> Model {
        let options =
            ZooOptions { norm: Some(true), neuron: Some(Neuron::lif()), ttm: Some(ttm), ..ZooOptions::default() };
        let network = zoo::build(name, &options).expect("a network of the zoo");
        let weights = initialise(&network, InitScheme::Uniform { conv_gain: 1.5 }, 3);
        Model::new(Arc::new(network), &weights, &Device::flex()).expect("the weights fit")
    }

    fn on_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("threads").install(work)
    }

    const CONFIGURATIONS: [[usize; 3]; 3] = [[4, 1, 3], [2, 5, 2], [1, 3, 4]];

    /// The bits of all gradients, losses, running statistics and weights of three iterations, and
    /// the number of their predictions.
    fn trained(ttm: TtmMode) -> (Vec<u32>, usize) {
        let mut model = model("nmnist-small", ttm);
        let stages = model.network().stages();
        let configurations: Vec<Vec<usize>> = CONFIGURATIONS.iter().map(|c| c[..stages].to_vec()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let x = (0..4 * 6 * 2 * 34 * 34).map(|_| f32::from(rng.random_range(0u8..12).saturating_sub(9))).collect();
        let x = Sequence::from_values(x, [4, 6, 2, 34, 34], &Device::flex());
        let setting = StepSetting {
            loss: LossSetting::default(),
            norm: NormMode::Batch,
            leak: LeakRule::Step,
            t_max: 4,
            step_us: None,
        };
        let mut optimiser = OptimiserState::new(OptimiserSetting::sgd(0.9, 0.0), model.parameters.len());
        let (mut bits, mut predictions) = (Vec::new(), 0);
        let mut keep = |t: &Tensor<1>| bits.extend(crate::model::host(t).iter().map(|v| v.to_bits()));
        for _ in 0..3 {
            let (g, report) =
                gradients(&mut model, &x, &[0, 1, 2, 3, 4, 5], &configurations, &setting, &mut rng).expect("fits");
            g.iter().flatten().for_each(&mut keep);
            keep(&Tensor::from_floats([report.loss, report.correct as f32], &Device::flex()));
            predictions += report.predictions;
            optimiser.step(&mut model.parameters, g, 0.1);
        }
        model.parameters.iter().for_each(|p| keep(&p.value));
        model.running.iter().for_each(|r| [&r.mean, &r.variance].into_iter().for_each(&mut keep));
        (bits, predictions)
    }

    #[test]
    fn passes_side_by_side_give_what_passes_one_after_the_other_give_to_the_bit() {
        for ttm in [TtmMode::Even, TtmMode::Soft, TtmMode::Random] {
            let (one, predictions) = on_threads(1, || trained(ttm));
            assert!(predictions == 54 && one.iter().any(|v| *v != 0), "{ttm:?}: all passes are counted");
            assert!(one == on_threads(4, || trained(ttm)).0, "{ttm:?}");
        }
    }

    #[test]
    fn passes_run_side_by_side_if_they_are_small_draw_nothing_and_there_are_threads() {
        let runs_side_by_side = |name: &str, ttm: TtmMode, batch: usize, passes: usize| {
            let model = model(name, ttm);
            let pass = TrainingPass::new(vec![4; model.network().stages()], LeakRule::Step);
            side_by_side(&model, batch, &vec![pass; passes])
        };
        on_threads(2, || {
            assert!(runs_side_by_side("nmnist-small", TtmMode::Even, 8, 3));
            assert!(
                !runs_side_by_side("nmnist-small", TtmMode::Random, 8, 3),
                "the order of draws is that of the passes"
            );
            assert!(!runs_side_by_side("nmnist-small", TtmMode::Even, 8, 1));
            assert!(!runs_side_by_side("resnet18", TtmMode::Even, 16, 3), "memory is that of one pass");
        });
        on_threads(1, || assert!(!runs_side_by_side("nmnist-small", TtmMode::Even, 8, 3)));
    }
}
