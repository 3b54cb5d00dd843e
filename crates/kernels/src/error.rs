//! The error type of this crate. Each message names the place and the remedy.

use tickless_words::UnknownWord;

/// An error that is found before an operator runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A variable has an unknown value.
    #[error("{name}: {source}")]
    Variable {
        /// The name of the variable.
        name: &'static str,
        /// Its value and the known values.
        source: UnknownWord,
    },
    /// [`ComputeOptions::install`](crate::ComputeOptions::install) was called while other options
    /// were already in use.
    #[error("the options of the operators are in use already: install them before the first operator runs")]
    OptionsInUse,
    /// Training was requested at a precision that has no gradients.
    #[error("precision `{precision}` is for inference; train at f32 or bf16")]
    OnlyInference {
        /// The word of the precision.
        precision: &'static str,
    },
    /// The GPU does not compute in the requested precision.
    #[error("{device} does not compute in {precision}; choose f32 as the precision of GPUs")]
    DevicePrecision {
        /// The name of the device.
        device: String,
        /// The word of the precision.
        precision: &'static str,
    },
}

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
