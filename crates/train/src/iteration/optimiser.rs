//! SGD and AdamW, with their state as named tensors.
//!
//! ```text
//! SGD:    g ← ∇ + wd·w;  m ← µ·m + g (m ← g at the first step);  w ← w − lr·m
//! AdamW:  m ← β₁m + (1−β₁)∇;  v ← β₂v + (1−β₂)∇²;  w ← (1 − lr·wd)·w − lr·m̂/(√v̂ + ε)
//! ```
//!
//! Burn's optimisers keep their state private to a module's record. Here the state consists of
//! named tensors, so a checkpoint stores weights and state in one format and a resumed run is
//! bit-identical.

use crate::error::{Error, Result};
use crate::model::{Parameter, host};
use burn::tensor::{Device, Tensor, TensorData};
use tickless_kernels::{AdamWOp, SgdOp, adamw, sgd};
use tickless_net::recipe::{Optimiser, TrainRecipe};
use tickless_net::{Array, Weights};

/// An optimiser with its constants.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct OptimiserSetting {
    /// Which optimiser.
    pub optimiser: Optimiser,
    /// Momentum µ (SGD only); 0 for none.
    pub momentum: f64,
    /// β₁ and β₂ (AdamW only).
    pub betas: [f64; 2],
    /// ε (AdamW only).
    pub epsilon: f64,
    /// Weight decay: SGD adds it to the gradient, AdamW shrinks the weight by it.
    pub weight_decay: f64,
}

impl OptimiserSetting {
    /// Stochastic gradient descent.
    pub fn sgd(momentum: f64, weight_decay: f64) -> Self {
        Self { optimiser: Optimiser::Sgd, momentum, ..Self::adamw(weight_decay) }
    }

    /// AdamW with its usual constants β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
    pub fn adamw(weight_decay: f64) -> Self {
        Self { optimiser: Optimiser::AdamW, momentum: 0.0, betas: [0.9, 0.999], epsilon: 1e-8, weight_decay }
    }
}

impl From<&TrainRecipe> for OptimiserSetting {
    fn from(recipe: &TrainRecipe) -> Self {
        let usual = Self::adamw(recipe.weight_decay);
        Self { optimiser: recipe.optimiser, momentum: recipe.momentum, ..usual }
    }
}

/// The state of an optimiser: one entry per parameter.
#[derive(Debug, Clone)]
pub struct OptimiserState {
    setting: OptimiserSetting,
    steps: u64,
    first: Vec<Option<Tensor<1>>>,
    second: Vec<Option<Tensor<1>>>,
}

impl OptimiserState {
    /// The state before the first step, for `parameters` parameters.
    pub fn new(setting: OptimiserSetting, parameters: usize) -> Self {
        Self { setting, steps: 0, first: vec![None; parameters], second: vec![None; parameters] }
    }

    /// Takes one step with one gradient per parameter; a parameter without gradient stays as it is.
    pub fn step(&mut self, parameters: &mut [Parameter], gradients: Vec<Option<Tensor<1>>>, lr: f64) {
        self.steps += 1;
        let OptimiserSetting { optimiser, momentum, betas, epsilon, weight_decay } = self.setting;
        for (i, (p, g)) in parameters.iter_mut().zip(gradients).enumerate() {
            let Some(g) = g else { continue };
            // If the parameter has a state, one fused kernel updates it; the first step makes the
            // state.
            if optimiser == Optimiser::Sgd
                && let Some(m) = self.first[i].take()
            {
                let op = SgdOp { rate: lr as f32, momentum: momentum as f32, decay: weight_decay as f32 };
                let nothing = Tensor::zeros([1], &p.value.device());
                let (w, m) = sgd(std::mem::replace(&mut p.value, nothing), m, g, op);
                (p.value, self.first[i]) = (w, Some(m));
                continue;
            }
            if optimiser == Optimiser::AdamW
                && let (Some(m), Some(v)) = (self.first[i].take(), self.second[i].take())
            {
                let op = AdamWOp::new(lr, betas, epsilon, weight_decay, self.steps as i32);
                let nothing = Tensor::zeros([1], &p.value.device());
                let (w, m, v) = adamw(std::mem::replace(&mut p.value, nothing), m, v, g, op);
                (p.value, self.first[i], self.second[i]) = (w, Some(m), Some(v));
                continue;
            }
            let w = p.value.clone();
            p.value = match optimiser {
                Optimiser::Sgd => {
                    let g = if weight_decay == 0.0 { g } else { g + w.clone().mul_scalar(weight_decay) };
                    if momentum != 0.0 {
                        self.first[i] = Some(g.clone());
                    }
                    w - g.mul_scalar(lr)
                }
                Optimiser::AdamW => {
                    let [beta1, beta2] = betas;
                    let m = g.clone().mul_scalar(1.0 - beta1);
                    let v = (g.clone() * g).mul_scalar(1.0 - beta2);
                    let t = self.steps as i32;
                    let (c1, c2) = (1.0 - beta1.powi(t), 1.0 - beta2.powi(t));
                    let root = v.clone().div_scalar(c2).sqrt() + epsilon;
                    let step = m.clone().mul_scalar(lr / c1) / root;
                    self.first[i] = Some(m);
                    self.second[i] = Some(v);
                    w.mul_scalar(1.0 - lr * weight_decay) - step
                }
            };
        }
    }

    /// The state as named tensors (`first.<parameter>`, `second.<parameter>`), and the step count.
    pub fn save(&self, parameters: &[Parameter]) -> (Weights, u64) {
        let mut out = Weights::default();
        for (prefix, all) in [("first", &self.first), ("second", &self.second)] {
            for (p, s) in parameters.iter().zip(all) {
                if let Some(s) = s {
                    out.insert(format!("{prefix}.{}", p.name), Array::new(p.shape.clone(), host(s)));
                }
            }
        }
        (out, self.steps)
    }

    /// Restores the state that [`save`](Self::save) returned.
    ///
    /// # Errors
    /// If a tensor has another shape than its parameter, belongs to no parameter, or is missing.
    /// After the first step every parameter must have its state unless `frozen` says that it is not
    /// trained.
    pub fn restore(
        setting: OptimiserSetting,
        parameters: &[Parameter],
        saved: &Weights,
        steps: u64,
        frozen: impl Fn(&Parameter) -> bool,
        device: &Device,
    ) -> Result<Self> {
        let kept: &[&str] = match setting.optimiser {
            _ if steps == 0 => &[],
            Optimiser::Sgd if setting.momentum == 0.0 => &[],
            Optimiser::Sgd => &["first"],
            Optimiser::AdamW => &["first", "second"],
        };
        let mut taken = 0;
        let mut restored = |prefix: &'static str| -> Result<Vec<Option<Tensor<1>>>> {
            let mut all = Vec::with_capacity(parameters.len());
            for p in parameters {
                let name = format!("{prefix}.{}", p.name);
                let wanted = kept.contains(&prefix) && !frozen(p);
                let state = match saved.get(&name) {
                    None if wanted => {
                        return Err(Error::Checkpoint(format!("the optimiser's state `{name}` is missing")));
                    }
                    Some(a) if a.shape != p.shape => {
                        return Err(Error::Checkpoint(format!(
                            "the optimiser's state `{name}` has shape {:?}, its parameter {:?}",
                            a.shape, p.shape
                        )));
                    }
                    Some(a) if wanted => {
                        taken += 1;
                        Some(Tensor::from_data(TensorData::new(a.data.clone(), [a.data.len()]), device))
                    }
                    _ => None,
                };
                all.push(state);
            }
            Ok(all)
        };
        let (first, second) = (restored("first")?, restored("second")?);
        if taken != saved.tensors.len() {
            return Err(Error::Checkpoint(format!(
                "the optimiser has {} tensors of state, its parameters have {taken}",
                saved.tensors.len()
            )));
        }
        Ok(Self { setting, steps, first, second })
    }
}
