//! The one error type of this crate. Each message names the place and the remedy in one line.

/// What can go wrong between a description and a decision.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The description or its weights are wrong, or need a clock.
    #[error(transparent)]
    Net(#[from] tickless_net::Error),
    /// A layer has no event-driven form, or a value that makes none.
    #[error("layer `{layer}`: {problem}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// An event cannot be taken by the network.
    #[error("event {index}: {problem}")]
    Event {
        /// How many events the session took before this one.
        index: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The sum of a class is no number that f32 holds.
    #[error("the readout of class {class} is {value}, not a finite number: its weights are too large; scale them down")]
    NotFinite {
        /// The class, from 0.
        class: usize,
        /// Its readout.
        value: f32,
    },
    /// A model of asynchrony that cannot be.
    #[error("{0}")]
    Asynchrony(String),
    /// A recording of a dataset run could not be loaded or run.
    #[error("recording {index}: {source}")]
    Recording {
        /// Its index in the run.
        index: usize,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A dataset run was stopped by its flag.
    #[error("stopped after {finished} of {total} recordings, as asked; start the run again for the rest")]
    Cancelled {
        /// Recordings that were finished.
        finished: usize,
        /// Recordings of the run.
        total: usize,
    },
}

impl Error {
    pub(crate) fn layer(layer: &str, problem: impl Into<String>) -> Self {
        Error::Layer { layer: layer.to_owned(), problem: problem.into() }
    }
}

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
