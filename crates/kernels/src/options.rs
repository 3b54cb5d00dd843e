//! The choices about how operators compute, which a program makes once, before the first operator
//! runs.
//!
//! This crate does not read the environment. A program that lets its users set variables passes
//! their values to [`ComputeOptions::from_variables`], which refuses unknown values, and calls
//! [`ComputeOptions::install`] on the result. If it does not, the operators use the defaults: every
//! choice automatic, in f32. The instruction set, the report and the GPU precision hold for the
//! whole process, because kernels are compiled and weights are packed once. Kernel and precision
//! are only the initial values of a model.

use crate::error::{Error, Result};
use crate::operators::{KernelChoice, Precision};
use std::str::FromStr;
use std::sync::OnceLock;
use tickless_simd::InstructionSet;
use tickless_words::{UnknownWord, words};

static INSTALLED: OnceLock<ComputeOptions> = OnceLock::new();

/// The choices that a program makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ComputeOptions {
    /// Which kernels linear layers and neurons use.
    pub kernel: KernelChoice,
    /// Precision of convolutions on the CPU.
    pub precision: Precision,
    /// Precision of convolutions on a GPU.
    pub gpu_precision: GpuPrecision,
    /// The best instruction set that kernels may use; `None` for the best that the machine has. If
    /// the machine lacks the given set, the next lower one that it has is used.
    pub instructions: Option<InstructionSet>,
    /// Whether every convolution prints on standard error which kernel it uses.
    pub report: bool,
}

impl ComputeOptions {
    /// The names that [`from_variables`](Self::from_variables) looks up.
    pub const VARIABLES: [&str; 5] =
        ["TICKLESS_KERNEL", "TICKLESS_PRECISION", "TICKLESS_GPU_PRECISION", "TICKLESS_SIMD", "TICKLESS_KERNEL_REPORT"];

    /// Reads the options from variables; `value` returns the value of a variable by its name. A
    /// variable that is absent or empty leaves its default.
    ///
    /// # Errors
    /// If a value is unknown; the message names the variable and the known values.
    pub fn from_variables(value: impl Fn(&str) -> Option<String>) -> Result<Self> {
        fn word<T: FromStr<Err = UnknownWord> + Default>(name: &'static str, value: Option<String>) -> Result<T> {
            let Some(value) = value.filter(|v| !v.is_empty()) else { return Ok(T::default()) };
            value.parse().map_err(|source| Error::Variable { name, source })
        }
        let [kernel, precision, gpu, simd, report] = Self::VARIABLES;
        let report: Flag = word(report, value(report))?;
        let Instructions(instructions) = word(simd, value(simd))?;
        Ok(Self {
            kernel: word(kernel, value(kernel))?,
            precision: word(precision, value(precision))?,
            gpu_precision: word(gpu, value(gpu))?,
            instructions,
            report: matches!(report, Flag::On),
        })
    }

    /// Makes these the options of the process.
    ///
    /// # Errors
    /// If different options are in use: an operator has run, or another part of the program has
    /// installed its own.
    pub fn install(self) -> Result<()> {
        match *INSTALLED.get_or_init(|| self) == self {
            true => Ok(()),
            false => Err(Error::OptionsInUse),
        }
    }

    /// The options of the process. If none were installed, this call installs the defaults.
    pub fn installed() -> Self {
        *INSTALLED.get_or_init(Self::default)
    }
}

/// The type of a convolution's operands on a GPU. f16 is not supported, because gradients underflow
/// in f16 unless the loss is scaled, and this crate does not scale it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GpuPrecision {
    /// Operands stay f32.
    #[default]
    F32,
    /// f32 in memory; the device may round to 16 bits before it multiplies.
    Flex32,
    /// Operands are bf16, the upper half of an f32, in memory too.
    Bf16,
}

words!(GpuPrecision, "precision", { F32 = "f32", Flex32 = "flex32", Bf16 = "bf16" });

/// An upper limit on the instruction set, as parsed from its name.
#[derive(Default)]
struct Instructions(Option<InstructionSet>);

impl FromStr for Instructions {
    type Err = UnknownWord;

    fn from_str(s: &str) -> Result<Self, UnknownWord> {
        s.to_ascii_lowercase().parse().map(|limit| Self(Some(limit)))
    }
}

/// A switch, as parsed from `0` or `1`.
#[derive(Clone, Copy, Default)]
enum Flag {
    #[default]
    Off,
    On,
}

words!(Flag, "value", { Off = "0", On = "1" });

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> Result<ComputeOptions> {
        ComputeOptions::from_variables(|n| (n == name).then(|| value.to_owned()))
    }

    #[test]
    fn every_known_value_is_taken_and_an_absent_or_empty_one_is_the_default() {
        let d = ComputeOptions::default();
        assert_eq!(ComputeOptions::from_variables(|_| None).unwrap(), d);
        for name in ComputeOptions::VARIABLES {
            assert_eq!(of(name, "").unwrap(), d, "{name}");
        }
        for kernel in [KernelChoice::Auto, KernelChoice::Sparse, KernelChoice::Dense, KernelChoice::Plain] {
            assert_eq!(of("TICKLESS_KERNEL", &kernel.to_string()).unwrap(), ComputeOptions { kernel, ..d });
        }
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            assert_eq!(of("TICKLESS_PRECISION", &precision.to_string()).unwrap(), ComputeOptions { precision, ..d });
        }
        for (word, gpu_precision) in
            [("f32", GpuPrecision::F32), ("flex32", GpuPrecision::Flex32), ("bf16", GpuPrecision::Bf16)]
        {
            assert_eq!(of("TICKLESS_GPU_PRECISION", word).unwrap(), ComputeOptions { gpu_precision, ..d });
        }
        for (word, limit) in [
            ("avx512", InstructionSet::Avx512),
            ("AVX2", InstructionSet::Avx2),
            ("portable", InstructionSet::Portable),
            ("neon", InstructionSet::Neon),
        ] {
            assert_eq!(of("TICKLESS_SIMD", word).unwrap(), ComputeOptions { instructions: Some(limit), ..d });
        }
        for (word, report) in [("0", false), ("1", true)] {
            assert_eq!(of("TICKLESS_KERNEL_REPORT", word).unwrap(), ComputeOptions { report, ..d });
        }
    }

    #[test]
    fn an_unknown_value_of_any_variable_is_refused_with_the_variable_and_the_known_ones() {
        for (name, value, known) in [
            ("TICKLESS_KERNEL", "sprase", "auto, sparse, dense, plain"),
            ("TICKLESS_PRECISION", "fp16", "f32, bf16, int8"),
            ("TICKLESS_GPU_PRECISION", "f16", "f32, flex32, bf16"),
            ("TICKLESS_SIMD", "avx3", "avx512, avx2, portable"),
            ("TICKLESS_KERNEL_REPORT", "yes", "0, 1"),
        ] {
            let e = of(name, value).expect_err(name).to_string();
            assert!(e.starts_with(&format!("{name}: ")) && e.contains(value) && e.contains(known), "{e}");
            assert!(!e.contains('\n'), "{e}");
        }
    }
}
