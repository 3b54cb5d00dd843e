//! A convolution: its sizes, which kernels compute it, at which precision.

use super::Geometry;
use crate::error::{Error, Result};
use tickless_words::words;

/// A convolution layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvOp {
    /// Its sizes.
    pub geometry: Geometry,
    /// Which kernels.
    pub kernel: Kernel,
    /// At which precision.
    pub precision: Precision,
    /// The pass runs without autodiff and will run again with it, so the kernels of training run:
    /// both passes must give the same bits.
    pub recompute_later: bool,
}

impl ConvOp {
    /// A convolution that is not computed again.
    pub fn new(geometry: Geometry, kernel: Kernel, precision: Precision) -> Self {
        Self { geometry, kernel, precision, recompute_later: false }
    }
}

/// Which kernels linear layers and neurons use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kernel {
    /// Sparse or dense for each call, by density and shape.
    #[default]
    Auto,
    /// Over active inputs only.
    Sparse,
    /// Over all inputs.
    Dense,
    /// The tensor library's operators: the reference.
    Plain,
}

words!(Kernel, "kernel", { Auto = "auto", Sparse = "sparse", Dense = "dense", Plain = "plain" });

/// Precision of convolutions; sums, norms and neurons are f32 at all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Weights and inputs in f32.
    #[default]
    F32,
    /// Weights, inputs and gradients rounded to bf16, sums in f32; for training and inference.
    Bf16,
    /// Weights of 8 bits with a scale for each output channel, spikes and counts exact; for
    /// inference.
    Int8,
}

words!(Precision, "precision", { F32 = "f32", Bf16 = "bf16", Int8 = "int8" });

impl Precision {
    /// Refuses what cannot be trained at.
    ///
    /// # Errors
    /// If it is for inference only.
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
