//! The error type of this crate. Each message names the place and the remedy.

use tickless_words::UnknownWord;

/// An error that is found before an operator runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A variable has a value that means nothing.
    #[error("{name}: {source}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// Its value, and the known ones.
        source: UnknownWord,
    },
    /// Options were installed after others came into use.
    #[error("the options of the operators are in use already: install them before the first operator runs")]
    OptionsInUse,
    /// A training at a precision that has no gradients.
    #[error("precision `{precision}` is for inference; train at f32 or bf16")]
    OnlyInference {
        /// Its word.
        precision: &'static str,
    },
    /// A GPU that does not compute in the precision that was asked for.
    #[error("{device} does not compute in {precision}; choose f32 as the precision of GPUs")]
    DevicePrecision {
        /// What the device calls itself.
        device: String,
        /// The word of the precision.
        precision: &'static str,
    },
}

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
