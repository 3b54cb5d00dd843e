//! A convolution: its sizes, the kernels that may compute it, its precision.

use super::Geometry;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A convolution layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvOp {
    /// Its sizes.
    pub geometry: Geometry,
    /// Which kernels may compute it.
    pub kernel: Kernel,
    /// Precision of the operands.
    pub precision: Precision,
    /// The pass runs without autodiff now and again with it later, so it uses the training kernels:
    /// both runs must give the same bits.
    pub recompute_later: bool,
}

impl ConvOp {
    /// A convolution with `recompute_later` off.
    pub fn new(geometry: Geometry, kernel: Kernel, precision: Precision) -> Self {
        Self { geometry, kernel, precision, recompute_later: false }
    }
}

/// Which kernels linear layers and neurons use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kernel {
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

impl FromStr for Kernel {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let all = [Kernel::Auto, Kernel::Sparse, Kernel::Dense, Kernel::Plain];
        all.into_iter()
            .find(|k| k.to_string() == s)
            .ok_or_else(|| Error::Setting(format!("unknown kernel `{s}`; known: auto, sparse, dense, plain")))
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kernel::Auto => "auto",
            Kernel::Sparse => "sparse",
            Kernel::Dense => "dense",
            Kernel::Plain => "plain",
        })
    }
}

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

impl Precision {
    const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// Checks that a model can be trained at this precision.
    ///
    /// # Errors
    /// If the precision is for inference only.
    pub fn check_training(self) -> Result<()> {
        match self {
            Self::Int8 => Err(Error::Setting("precision `int8` is for inference; train at f32 or bf16".into())),
            _ => Ok(()),
        }
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let unknown = || Error::Setting(format!("unknown precision `{s}`; known: f32, bf16, int8"));
        Self::ALL.into_iter().find(|p| p.to_string() == s).ok_or_else(unknown)
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::Int8 => "int8",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_are_precisions() {
        for p in Precision::ALL {
            assert_eq!(p.to_string().parse::<Precision>().expect("its own name"), p);
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
