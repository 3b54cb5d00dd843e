//! The passes of one iteration: one after the other, or side by side where they are small.
//!
//! A kernel of a small network is over before a second thread has its share of it, so threads wait
//! for each other at every one. Passes at different temporal configurations have only the weights
//! in common: side by side, a thread takes a pass of its own and helps with another's kernels when
//! it has none left. What they give is put together in the order of the configurations, so that it
//! is the same to the bit.

use super::recompute;
use super::setting::StepSetting;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::norm::BatchStatistics;
use crate::model::readout::{largest, time_mean};
use crate::model::{Model, Pass, Sequence};
use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use tickless_net::{Layer, Network, TtmMode};

/// Bytes that the layers of all passes may have for these to run side by side. (What is fused is
/// never there, so that it is about half in truth.)
const SMALL: usize = 512 << 20;

/// What one pass gives.
pub(crate) struct Done {
    /// Loss of the whole batch.
    pub(crate) loss: f32,
    /// A gradient for each parameter that has one.
    pub(crate) gradients: Vec<Option<Tensor<1>>>,
    /// Statistics of the batch at every norm.
    pub(crate) statistics: Vec<BatchStatistics>,
    /// Predictions of this worker's part that were right.
    pub(crate) correct: usize,
}

/// Runs every configuration forward and backward, and gives what comes of it to `then`, in their
/// order.
///
/// # Errors
/// The first of a pass, as [`super::gradients`].
pub(crate) fn each(
    model: &mut Model,
    input: &Sequence,
    labels: &[usize],
    configurations: &[Vec<usize>],
    setting: &StepSetting,
    rng: &mut ChaCha8Rng,
    mut then: impl FnMut(&mut Model, Done),
) -> Result<()> {
    // The loss is a mean: a part weighs as many samples as it has.
    let mut samples = [labels.len() as f64];
    model.ranks().sum_f64(&mut samples)?;
    let weight = labels.len() as f64 / samples[0];
    let one = |model: &Model, configuration: &[usize], rng: &mut ChaCha8Rng| {
        let StepSetting { norm, leak, t_max, step_us, .. } = *setting;
        let pass = Pass { configuration, norm, leak, t_max, step_us };
        run(model, input, (labels, weight), &pass, setting, rng)
    };
    if !side_by_side(model, labels.len(), configurations) {
        for configuration in configurations {
            let done = one(model, configuration, rng)?;
            then(model, done);
        }
        return Ok(());
    }
    // None of them draws, so that a copy of the generator will do for each.
    let all: Vec<_> = configurations.par_iter().with_max_len(1).map(|c| one(model, c, &mut rng.clone())).collect();
    for done in all {
        then(model, done?);
    }
    Ok(())
}

/// Whether the passes may run at once: none of them draws from the generator or meets other
/// workers, and together they are small.
fn side_by_side(model: &Model, batch: usize, configurations: &[Vec<usize>]) -> bool {
    let network = model.network();
    let draws = network.nodes().iter().any(|n| n.layer == Layer::Ttm(TtmMode::Random));
    let alone = model.ranks().is_alone() && *model.device() == Device::flex();
    let many = configurations.len() > 1 && rayon::current_num_threads() > 1;
    many && alone && !draws && configurations.iter().map(|c| bytes(network, batch, c)).sum::<usize>() <= SMALL
}

/// Bytes of all layers' outputs in a pass.
fn bytes(network: &Network, batch: usize, configuration: &[usize]) -> usize {
    let steps = |stage: Option<usize>| configuration.get(stage.unwrap_or(0)).copied().unwrap_or(1);
    network.nodes().iter().map(|n| n.output.len() * steps(n.stage)).sum::<usize>() * batch * size_of::<f32>()
}

/// One pass, forward and at once backward; `labels` with their part of the batch.
fn run(
    model: &Model,
    input: &Sequence,
    (labels, weight): (&[usize], f64),
    pass: &Pass<'_>,
    setting: &StepSetting,
    rng: &mut ChaCha8Rng,
) -> Result<Done> {
    let ranks = model.ranks();
    let run = recompute::forward(model, input.clone(), pass, rng)?;
    let logits = run.output.logits.clone();
    let loss = setting.loss.forward(logits.clone(), labels);
    let loss = if ranks.is_alone() { loss } else { loss.mul_scalar(weight) };
    let mut value = [loss.clone().into_scalar::<f32>()];
    ranks.sum_f32(&mut value)?;
    let [value] = value;
    if !value.is_finite() {
        return Err(Error::NotFinite { loss: value, iteration: 0, epoch: 0 });
    }
    let (gradients, statistics) = run.backward(model, loss)?;
    let mean = time_mean(logits.inner());
    let classes = mean.len() / labels.len().max(1);
    let correct = mean.chunks(classes.max(1)).zip(labels).filter(|(row, y)| largest(row) == **y).count();
    Ok(Done { loss: value, gradients, statistics, correct })
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

    /// Bits of all gradients, losses, running statistics and weights of three iterations, and their
    /// predictions.
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
        let all = |name: &str, ttm: TtmMode, batch: usize, passes: usize| {
            let model = model(name, ttm);
            let configurations = vec![vec![4; model.network().stages()]; passes];
            side_by_side(&model, batch, &configurations)
        };
        on_threads(2, || {
            assert!(all("nmnist-small", TtmMode::Even, 8, 3));
            assert!(!all("nmnist-small", TtmMode::Random, 8, 3), "the order of draws is that of the passes");
            assert!(!all("nmnist-small", TtmMode::Even, 8, 1));
            assert!(!all("resnet18", TtmMode::Even, 16, 3), "memory is that of one pass");
        });
        on_threads(1, || assert!(!all("nmnist-small", TtmMode::Even, 8, 3)));
    }
}
