//! One step of an optimiser.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};

/// The constants of one step of SGD: g ← ∇ + decay·w; m ← µ·m + g; w ← w − rate·m.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdOp {
    /// Learning rate.
    pub rate: f32,
    /// Momentum µ.
    pub momentum: f32,
    /// Weight decay.
    pub decay: f32,
}

/// The constants of one step of AdamW (Loshchilov & Hutter, "Decoupled Weight Decay
/// Regularization", 2019) with c₁ = 1 − β₁ᵗ and c₂ = 1 − β₂ᵗ:
/// m ← β₁·m + (1 − β₁)·∇; v ← β₂·v + (1 − β₂)·∇²; w ← (1 − lr·wd)·w − lr/c₁·m/(√(v/c₂) + ε).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOp {
    /// β₁ and 1 − β₁.
    pub first: [f32; 2],
    /// β₂ and 1 − β₂.
    pub second: [f32; 2],
    /// lr/c₁.
    pub rate: f32,
    /// c₂.
    pub correction: f32,
    /// ε.
    pub epsilon: f32,
    /// 1 − lr·wd.
    pub keep: f32,
}

impl AdamWOp {
    /// The constants of step `t`, counted from 1. They are computed in f64 and rounded once.
    pub fn new(rate: f64, [beta1, beta2]: [f64; 2], epsilon: f64, weight_decay: f64, t: i32) -> Self {
        Self {
            first: [beta1 as f32, (1.0 - beta1) as f32],
            second: [beta2 as f32, (1.0 - beta2) as f32],
            rate: (rate / (1.0 - beta1.powi(t))) as f32,
            correction: (1.0 - beta2.powi(t)) as f32,
            epsilon: epsilon as f32,
            keep: (1.0 - rate * weight_decay) as f32,
        }
    }
}

/// Weight and momentum, `[n]`.
#[derive(Debug, Clone, ExtensionType)]
pub struct SgdTensors<B: Backend> {
    /// Weight.
    pub weight: FloatTensor<B>,
    /// Momentum.
    pub momentum: FloatTensor<B>,
}

/// Weight, first and second moment, `[n]`.
#[derive(Debug, Clone, ExtensionType)]
pub struct AdamWTensors<B: Backend> {
    /// Weight.
    pub weight: FloatTensor<B>,
    /// Moving average of the gradient.
    pub first: FloatTensor<B>,
    /// Moving average of the squared gradient.
    pub second: FloatTensor<B>,
}
