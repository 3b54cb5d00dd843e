//! Runs the network of a recipe with the weights of a checkpoint; `.ci/python/checkpoints.py` runs
//! the Python side.
//!
//! ```text
//! checkpoint_forward RECIPE CHECKPOINT INPUT OUTPUT DIALECT BACK NEURONS DECAY_INPUT
//! ```
//!
//! INPUT is a safetensors file with `input` `[T, B, C, H, W]`; OUTPUT gets `output` `[T, B, values]`,
//! and BACK (`.pt` or `.safetensors`) the same weights with the names of DIALECT and, if decays are
//! learned, of the neurons of NEURONS (`-`: those of the dialect). DECAY_INPUT (`true`, `false` or `-`)
//! says whether the input of the file's neurons decays too.

use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use tickless_net::interop::checkpoint::{self, Dialect, FitOptions, NeuronFramework, rename, torch};
use tickless_net::recipe::Recipe;
use tickless_net::{Array, InputKind, LeakRule, Shape, Weights};
use tickless_train::model::{Model, NormMode, Pass, Sequence};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [recipe, file, input, output, dialect, back, neurons, decay_input] = &args[..] else {
        return Err("arguments: RECIPE CHECKPOINT INPUT OUTPUT DIALECT BACK NEURONS DECAY_INPUT".into());
    };
    let input = checkpoint::read(Path::new(input), None)?;
    let Array { shape, data } = input.array(input.get("input").ok_or("no tensor `input`")?)?;
    let &[t, b, c, h, w] = &shape[..] else { return Err("`input` has the shape [T, B, C, H, W]".into()) };
    let recipe = Recipe::load(Path::new(recipe), &[])?;
    let network = Arc::new(recipe.network.build(Shape::new(c, h, w), InputKind::Events, 10)?);
    let file = Path::new(file);
    let options = FitOptions::default().with_decay_input(decay_input.parse().ok());
    let fit = checkpoint::fit(&checkpoint::read(file, None)?, &network, file, &options)?;
    // What the caller asked for, and a bias of recurrent connections that goes to the layer before.
    let asked = |d: &str| options.decay_input == Some(true) && d.contains("decays too") || d.contains("is added to");
    let said = |d: &&String| !asked(d);
    if !fit.is_complete() || fit.differences.iter().any(|d| said(&d)) {
        return Err(format!("{:?} {:?}", fit.missing, fit.differences).into());
    }
    let device = Device::flex();
    let model = Model::new(network.clone(), &fit.weights, &device)?;
    let x = Sequence::new(Tensor::from_data(TensorData::new(data, [t * b, c, h, w]), &device), t);
    let configuration = vec![t; network.stages()];
    let pass =
        Pass { configuration: &configuration, norm: NormMode::Running, leak: LeakRule::Step, t_max: t, step_us: None };
    let done = model.forward(&model.constants(), x, &pass, &mut ChaCha8Rng::seed_from_u64(0), None)?;
    let [t, b, values] = done.logits.dims();
    let logits = done.logits.into_data().try_into_vec().map_err(|e| format!("{e:?}"))?;
    let mut answer = Weights::default();
    answer.insert("output", Array::new(vec![t, b, values], logits));
    std::fs::write(output, answer.to_bytes(None)?)?;
    let named = Dialect::of_framework(dialect).ok_or("no such dialect")?;
    let framework = neurons.parse().ok().or_else(|| NeuronFramework::of_dialect(dialect));
    let named = rename(&fit.weights, &network, named, framework)?;
    let bytes = if back.ends_with(".pt") {
        torch::to_bytes(&named)?
    } else {
        let mut weights = Weights::default();
        named.iter().for_each(|(name, array)| weights.insert(name, array.clone()));
        weights.to_bytes(None)?
    };
    Ok(std::fs::write(back, bytes)?)
}
