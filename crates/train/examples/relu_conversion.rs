//! Balances the network of a recipe with the weights of a checkpoint whose network has rectifiers,
//! and runs it; `.ci/python/relu_conversion.py` runs the Python side.
//!
//! ```text
//! relu_conversion RECIPE CHECKPOINT INPUT PERCENTILE STEPS OUTPUT
//! ```
//!
//! INPUT is a safetensors file with `input` `[B, C, H, W]`, on which the network is balanced and which
//! it sees at each of STEPS steps. OUTPUT gets `lambda` `[layers]`, `spikes.<k>` `[T, B, neurons]` of
//! each spiking layer k, and `output` `[T, B, values]`.

use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use tickless_net::balance::{balance, prepare};
use tickless_net::interop::checkpoint::{self, FitOptions};
use tickless_net::recipe::Recipe;
use tickless_net::{Array, InputKind, LeakRule, Shape, Weights};
use tickless_train::evaluate::rectified_activations;
use tickless_train::model::{Model, NormMode, Pass, Sequence};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [recipe, file, input, percentile, steps, output] = &args[..] else {
        return Err("arguments: RECIPE CHECKPOINT INPUT PERCENTILE STEPS OUTPUT".into());
    };
    let input = checkpoint::read(Path::new(input), None)?;
    let Array { shape, data } = input.array(input.get("input").ok_or("no tensor `input`")?)?;
    let &[b, c, h, w] = &shape[..] else { return Err("`input` has the shape [B, C, H, W]".into()) };
    let device = Device::flex();
    let x = || Sequence::from_values(data.clone(), [1, b, c, h, w], &device);
    let recipe = Recipe::load(Path::new(recipe), &[])?;
    let network = recipe.network.build(Shape::new(c, h, w), InputKind::Image, 10)?;
    let file = Path::new(file);
    let fit = checkpoint::fit(&checkpoint::read(file, None)?, &network, file, &FitOptions::default())?;
    if !fit.is_complete() {
        return Err(format!("{:?}", fit.missing).into());
    }
    let (folded, plain) = prepare(&network, &fit.weights)?;
    let model = Model::new(Arc::new(folded.clone()), &plain, &device)?;
    let found = rectified_activations(&model, [Ok(x())], b, percentile.parse()?)?;
    let lambda: Vec<f64> = found.iter().map(|a| a.percentile).collect();
    let made = balance(&folded, &plain, &lambda)?;
    let steps: usize = steps.parse()?;
    let model = Model::new(Arc::new(made.network.clone()), &made.weights, &device)?;
    let configuration = vec![steps; made.network.stages()];
    let pass = Pass {
        configuration: &configuration,
        norm: NormMode::Running,
        leak: LeakRule::Step,
        t_max: steps,
        step_us: None,
    };
    let mut answer = Weights::default();
    let spiking = made.network.spiking();
    let mut observe = |i: usize, s: &Sequence| {
        let Some(k) = spiking.iter().position(|j| *j == i) else { return };
        let values: Vec<f32> = s.clone().tensor().into_data().try_into_vec().expect("f32");
        let neurons = values.len() / (s.steps() * s.batch());
        answer.insert(format!("spikes.{k}"), Array::new(vec![s.steps(), s.batch(), neurons], values));
    };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let done = model.forward(&model.constants(), x(), &pass, &mut rng, Some(&mut observe))?;
    let dims = done.logits.dims();
    let logits = done.logits.into_data().try_into_vec().map_err(|e| format!("{e:?}"))?;
    answer.insert("output", Array::new(dims.to_vec(), logits));
    answer.insert("lambda", Array::new(vec![lambda.len()], lambda.iter().map(|v| *v as f32).collect()));
    Ok(std::fs::write(output, answer.to_bytes(None)?)?)
}
