//! The error type of this crate. Each message names the place and the remedy.

/// An error that is found before an operator runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting has an unknown value, or the options are already in use.
    #[error("{0}")]
    Setting(String),
}

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
