//! The gradients of a model with and without recomputed stages, on the same random frames.

use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tickless_net::LeakRule;
use tickless_testing::generate::Rng;
use tickless_train::iteration::{StepSetting, gradients};
use tickless_train::loss::LossSetting;
use tickless_train::model::{Model, NormMode, Sequence};

/// Steps of the frames, and T_max.
const STEPS: usize = 5;

/// The gradient of each tensor, first without and then with recomputation, of a batch with these
/// labels.
pub fn gradients_both_ways(
    model: &Model,
    r: &mut Rng,
    configurations: &[Vec<usize>],
    labels: &[usize],
    norm: NormMode,
) -> [Vec<Option<Vec<f32>>>; 2] {
    let s = model.network().input().shape;
    let x = (0..STEPS * labels.len() * s.len()).map(|_| r.pick(&[0.0, 0.0, 1.0, 2.0])).collect();
    let x = Sequence::from_values(x, [STEPS, labels.len(), s.channels, s.height, s.width], &Device::flex());
    let setting = StepSetting { loss: LossSetting::default(), norm, leak: LeakRule::Step, t_max: STEPS, step_us: None };
    [false, true].map(|recompute| {
        let mut model = model.clone().with_recompute(recompute);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (all, _) = gradients(&mut model, &x, labels, configurations, &setting, &mut rng).expect("it trains");
        all.into_iter().map(|g| g.map(|g| g.into_data().try_into_vec().expect("f32"))).collect()
    })
}
