//! The one error type of this crate. Each message names the place and the remedy.

/// What can go wrong before an operator runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot be.
    #[error("{0}")]
    Setting(String),
}

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
