//! Prints the cost of the network of a recipe with the weights of a checkpoint, under the keys of
//! NeuroBench; `.ci/python/neurobench_cost.py` compares it with NeuroBench's own harness.
//!
//! ```text
//! neurobench_cost RECIPE CHECKPOINT INPUT
//! ```
//!
//! INPUT is a safetensors file with `input` `[T, B, C, H, W]`.

use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tickless_net::interop::checkpoint::{self, FitOptions};
use tickless_net::recipe::Recipe;
use tickless_net::{Array, InputKind, LeakRule, NodeId, Shape};
use tickless_train::evaluate::CostCounter;
use tickless_train::model::{Model, NormMode, Pass, Sequence};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [recipe, file, input] = &args[..] else { return Err("arguments: RECIPE CHECKPOINT INPUT".into()) };
    let input = checkpoint::read(Path::new(input), None)?;
    let Array { shape, data } = input.array(input.get("input").ok_or("no tensor `input`")?)?;
    let &[t, b, c, h, w] = &shape[..] else { return Err("`input` has the shape [T, B, C, H, W]".into()) };
    let recipe = Recipe::load(Path::new(recipe), &[])?;
    let network = Arc::new(recipe.network.build(Shape::new(c, h, w), InputKind::Events, 11)?);
    let file = Path::new(file);
    let fit = checkpoint::fit(&checkpoint::read(file, None)?, &network, file, &FitOptions::default())?;
    if !fit.is_complete() || !fit.differences.is_empty() {
        return Err(format!("{:?} {:?}", fit.missing, fit.differences).into());
    }
    let device = Device::flex();
    let model = Model::new(network.clone(), &fit.weights, &device)?;
    let x = Sequence::new(Tensor::from_data(TensorData::new(data, [t * b, c, h, w]), &device), t);
    let configuration = vec![t; network.stages()];
    let pass =
        Pass { configuration: &configuration, norm: NormMode::Running, leak: LeakRule::Step, t_max: t, step_us: None };
    let mut counter = CostCounter::new(&model, pass.clone());
    counter.observe(NodeId::Input, &x);
    let mut observe = |i: usize, s: &Sequence| counter.observe(NodeId::Node(i), s);
    model.forward(&model.constants(), x, &pass, &mut ChaCha8Rng::seed_from_u64(0), Some(&mut observe))?;
    let (_, cost) = counter.finish()?;
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string(&cost)?)?)
}
