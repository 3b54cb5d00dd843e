//! `[finetune]` of a recipe: the phases after the training, which make a network without biases and
//! norms.

use serde::{Deserialize, Serialize};

/// The `[finetune]` part of a recipe. The network that `[train]` has trained is converted to one
/// without biases and norms, as a chip without a clock needs it, and trained on with SGD without
/// momentum; data, steps and batch are those of the training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct FinetuneRecipe {
    /// Strategies: `sdt`, `nmt`, `mtt`. Each one makes a run of its own from the trained network.
    pub strategies: Vec<String>,
    /// Passes over the training part; 0 only converts.
    pub epochs: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Whether the norms stay in evaluation mode with their gains trainable, and are folded at the
    /// end.
    pub keep_norm: bool,
}

impl Default for FinetuneRecipe {
    fn default() -> Self {
        Self { strategies: vec!["mtt".to_owned()], epochs: 20, learning_rate: 1e-3, keep_norm: false }
    }
}

impl FinetuneRecipe {
    pub(super) fn check(&self) -> Result<(), String> {
        let all = &self.strategies;
        if all.is_empty() {
            return Err("`finetune.strategies` is empty: give at least one, or remove the key".into());
        }
        if let Some((_, twice)) = all.iter().enumerate().find(|(k, s)| all[..*k].contains(s)) {
            return Err(format!("`finetune.strategies` has `{twice}` twice: each makes one run; remove one"));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(format!("`finetune.learning_rate` = {}: give a number above 0", self.learning_rate));
        }
        Ok(())
    }
}
