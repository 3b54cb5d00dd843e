//! The one error type of this crate. Each message names the place and the remedy.

use std::path::PathBuf;

/// What can go wrong between the libraries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From a recording or a data set.
    #[error(transparent)]
    Events(#[from] tickless_events::Error),
    /// From the description, the recipe or the weights.
    #[error(transparent)]
    Net(#[from] tickless_net::Error),
    /// From training or evaluation.
    #[error(transparent)]
    Train(#[from] tickless_train::Error),
    /// From the event-driven engine.
    #[error(transparent)]
    Engine(#[from] tickless_engine::Error),
    /// A file of the user's could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Images have no events to run on.
    #[error("data set `{set}` holds images, and an event-driven run needs recordings: train on a set of recordings")]
    Images {
        /// The data set.
        set: String,
    },
    /// There is nothing to run.
    #[error("there are no recordings to simulate")]
    NoRecordings,
    /// The recording that a picture shows cannot be run.
    #[error("the recording to draw: {0}")]
    Drawn(#[source] tickless_train::Error),
    /// The caller's progress asked to stop.
    #[error("stopped by the user; nothing was written")]
    Stopped,
    /// A leak per step has no duration in µs.
    #[error("layer `{layer}` leaks per step, and the run has no duration of a step")]
    NoStep {
        /// The layer.
        layer: String,
    },
    /// Nothing tells whose neurons a NIR graph means.
    #[error(
        "{}: nothing in the graph says who wrote it, and frameworks run the same nodes differently: name the dialect, \
         {}, or plain for NIR's own equations",
        path.display(),
        readers.join(", ")
    )]
    UnknownWriter {
        /// The graph's file.
        path: PathBuf,
        /// The dialects of frameworks.
        readers: Vec<&'static str>,
    },
    /// A graph that was given as the same network is another one.
    #[error("{}: {problem}: it is another network", path.display())]
    OtherNetwork {
        /// The graph's file.
        path: PathBuf,
        /// In what it differs.
        problem: String,
    },
    /// A file of spike counts is not what it should be.
    #[error("{}{}: {problem}", path.display(), line.map(|l| format!(" line {l}")).unwrap_or_default())]
    Counts {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where it is one line's fault.
        line: Option<usize>,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A graph that was given cannot run event-driven.
    #[error("{}: {source}", path.display())]
    Graph {
        /// The graph's file.
        path: PathBuf,
        /// Why.
        source: tickless_net::Error,
    },
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Ends a task that writes nothing before its end, if the user asked to stop.
///
/// # Errors
/// [`Error::Stopped`].
pub(crate) fn stop(progress: &dyn tickless_train::progress::Progress) -> Result<()> {
    if progress.cancelled() { Err(Error::Stopped) } else { Ok(()) }
}
