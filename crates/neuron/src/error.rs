//! The error type of this crate.

/// The reason why a description is not a valid neuron. The message names the recipe's field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub(crate) String);

impl From<tickless_words::UnknownWord> for Error {
    fn from(unknown: tickless_words::UnknownWord) -> Self {
        Self(unknown.to_string())
    }
}
