//! The one error type of this crate.

/// Why a description makes no neuron. The message names the recipe's field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub(crate) String);

impl From<tickless_words::UnknownWord> for Error {
    fn from(unknown: tickless_words::UnknownWord) -> Self {
        Self(unknown.to_string())
    }
}
