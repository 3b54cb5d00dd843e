//! A convolution: its sizes, the kernels that may compute it, its precision.

use super::Geometry;
use crate::error::{Error, Result};
use tickless_words::words;

/// A convolution layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvOp {
    /// Its sizes.
    pub geometry: Geometry,
    /// Which kernels may compute it.
    pub kernel: KernelChoice,
    /// Precision of the operands.
    pub precision: Precision,
    /// The pass runs without autodiff now and again with it later, so it uses the training kernels:
    /// both runs must give the same bits.
    pub recompute_later: bool,
}

impl ConvOp {
    /// A convolution with `recompute_later` off.
    pub fn new(geometry: Geometry, kernel: KernelChoice, precision: Precision) -> Self {
        Self { geometry, kernel, precision, recompute_later: false }
    }
}

/// Which kernels linear layers and neurons use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KernelChoice {
    /// Sparse or dense, chosen per call by density and shape.
    #[default]
    Auto,
    /// Kernels that read active inputs only.
    Sparse,
    /// Kernels that read all inputs.
    Dense,
    /// Burn's own operators: the reference.
    Plain,
}

words!(KernelChoice, "kernel", { Auto = "auto", Sparse = "sparse", Dense = "dense", Plain = "plain" });

/// Precision of convolution operands. Sums, norms and neurons are f32 at every precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Weights and inputs in f32.
    #[default]
    F32,
    /// Weights, inputs and gradients rounded to bf16, sums in f32. For training and inference.
    Bf16,
    /// 8-bit weights with one scale per output channel; spikes and counts are exact. For inference
    /// only.
    Int8,
}

words!(Precision, "precision", { F32 = "f32", Bf16 = "bf16", Int8 = "int8" });

impl Precision {
    /// Checks that a model can be trained at this precision.
    ///
    /// # Errors
    /// If the precision is for inference only.
    pub fn check_training(self) -> Result<()> {
        match self {
            Self::Int8 => Err(Error::OnlyInference { precision: self.as_str() }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_are_precisions() {
        for (word, p) in Precision::WORDS {
            assert_eq!(word.parse::<Precision>().expect("its own word"), *p);
        }
        let e = "fp16".parse::<Precision>().unwrap_err().to_string();
        assert!(e.contains("fp16") && e.contains("int8") && !e.contains('\n'), "{e}");
    }

    #[test]
    fn only_int8_is_refused_for_training() {
        assert!(Precision::F32.check_training().is_ok() && Precision::Bf16.check_training().is_ok());
        assert!(Precision::Int8.check_training().is_err());
    }
}
