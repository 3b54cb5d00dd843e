//! The error type of this crate. Each message states the place and the remedy in one line.

/// Every error of the engine: compilation, input, asynchrony and dataset runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network or its weights are invalid, or the network cannot run event-driven.
    #[error(transparent)]
    Net(#[from] tickless_net::Error),
    /// A layer has no event-driven form, or a parameter of it is invalid.
    #[error("layer `{layer}`: {problem}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// The problem and its remedy.
        problem: String,
    },
    /// The network cannot process an event.
    #[error("event {index}: {problem}")]
    Event {
        /// Number of events that the session processed before this one.
        index: u64,
        /// The problem and its remedy.
        problem: String,
    },
    /// Recurrent connections make more spikes than a network that can be trained does.
    #[error(
        "event {index}: the recurrent connections of layer `{layer}` excite its neurons without end: more than {most} \
         firings of each are on their way; train with smaller recurrent weights or a refractory period"
    )]
    Flood {
        /// Number of events that the session processed before this one.
        index: u64,
        /// Name of the layer.
        layer: String,
        /// The largest accepted number of firings of a neuron that are on their way.
        most: usize,
    },
    /// The readout of a class is not finite.
    #[error("the readout of class {class} is {value}, not a finite number: its weights are too large; scale them down")]
    NotFinite {
        /// The class, from 0.
        class: usize,
        /// The value of its readout.
        value: f32,
    },
    /// The asynchrony model has parameters for a core that the network does not have.
    #[error(
        "core {index} has numbers of its own, and the network has {count} cores; give an index of 0 to {}",
        count.saturating_sub(1)
    )]
    NoCore {
        /// Index of that core.
        index: usize,
        /// Number of cores: the spiking layers.
        count: usize,
    },
    /// A time of the asynchrony model is negative, not a number or above 10¹² µs.
    #[error(
        "the {quantity}{} is {us} µs; give a time of 0 or more, e.g. 10",
        core.map(|k| format!(" of core {k}")).unwrap_or_default()
    )]
    AsynchronyTime {
        /// The parameter in words.
        quantity: &'static str,
        /// The core, if the time is its own.
        core: Option<usize>,
        /// The value in µs.
        us: f64,
    },
    /// A recording of a dataset run could not be loaded or run.
    #[error("recording {index}: {source}")]
    Recording {
        /// Index of the recording in the run.
        index: usize,
        /// The error of loading or running it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The caller cancelled a dataset run.
    #[error("stopped after {finished} of {total} recordings, as asked; start the run again for the rest")]
    Cancelled {
        /// Number of finished recordings.
        finished: usize,
        /// Number of recordings in the run.
        total: usize,
    },
}

impl Error {
    pub(crate) fn layer(layer: &str, problem: impl Into<String>) -> Self {
        Error::Layer { layer: layer.to_owned(), problem: problem.into() }
    }
}

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
