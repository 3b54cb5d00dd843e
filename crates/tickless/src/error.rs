//! The error type of this crate. Each message names the place and the remedy.

use std::path::PathBuf;

/// An error of this crate or of a library that it calls.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of a recording or a data set.
    #[error(transparent)]
    Events(#[from] tickless_events::Error),
    /// An error of the network's description, a recipe or weights.
    #[error(transparent)]
    Net(#[from] tickless_net::Error),
    /// An error of training or evaluation.
    #[error(transparent)]
    Train(#[from] tickless_train::Error),
    /// An error of the event-driven engine.
    #[error(transparent)]
    Engine(#[from] tickless_engine::Error),
    /// A file that the user names cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The data set holds images, which have no events to run on.
    #[error("data set `{set}` holds images, and an event-driven run needs recordings: train on a set of recordings")]
    Images {
        /// The data set.
        set: String,
    },
    /// The run cannot answer at this operating point.
    #[error("{problem}")]
    OperatingPoint {
        /// The value that cannot be.
        problem: String,
    },
    /// No operating point meets the budget.
    #[error(
        "no setting meets the budget {budget}{}: raise the budget, or lower the accuracy",
        nearest.as_ref().map(|(value, point)| format!("; the nearest has {value:.4} ({point})")).unwrap_or_default()
    )]
    Budget {
        /// The budget.
        budget: String,
        /// The value of the nearest point and the point, if any applies.
        nearest: Option<(f64, String)>,
    },
    /// The run has no validation part.
    #[error("{}: the run has no validation part to choose on: train with `data.validation`, for instance 0.1", run.display())]
    NoValidation {
        /// The folder of the run.
        run: PathBuf,
    },
    /// The engine refuses all settings of a study.
    #[error("the engine can run none of these settings: {}", reasons.join("; "))]
    NoSetting {
        /// The reason of each.
        reasons: Vec<String>,
    },
    /// The network has no spiking layer of this name.
    #[error("there is no spiking layer `{name}`; there are {}", known.join(", "))]
    NoLayer {
        /// The name.
        name: String,
        /// The names of the spiking layers.
        known: Vec<String>,
    },
    /// A trace would be too large.
    #[error(
        "the trace would have {values} values, and {most} are possible: fewer recordings or layers, or a longer interval"
    )]
    TraceSize {
        /// Number of values.
        values: usize,
        /// Largest number.
        most: usize,
    },
    /// An archive of arrays cannot be made.
    #[error("the archive of arrays: {reason}; write fewer recordings")]
    Archive {
        /// The reason.
        reason: String,
    },
    /// The list of recordings is empty.
    #[error("there are no recordings to simulate")]
    NoRecordings,
    /// The recording that a picture shows cannot be decoded.
    #[error("the recording to draw: {0}")]
    Drawn(#[source] tickless_train::Error),
    /// The user asked to stop.
    #[error("stopped by the user; nothing was written")]
    Stopped,
    /// A layer leaks per step, but the run has no duration of a step.
    #[error("layer `{layer}` leaks per step, and the run has no duration of a step")]
    NoStep {
        /// The layer.
        layer: String,
    },
    /// A layer has a refractory period in steps, but the run has no duration of a step.
    #[error("layer `{layer}` has a refractory period in steps, and the run has no duration of a step")]
    NoPeriod {
        /// The layer.
        layer: String,
    },
    /// A layer has recurrent connections, which the layer-by-layer executor does not run.
    #[error(
        "layer `{layer}` has recurrent connections, whose spikes return to it, so it cannot run layer by layer; compare a network without"
    )]
    Recurrent {
        /// The layer.
        layer: String,
    },
    /// Nothing identifies the writer of a NIR graph.
    #[error(
        "{}: nothing in the graph says who wrote it, and frameworks run the same nodes differently: name the dialect, \
         {}, or plain for NIR's own equations",
        path.display(),
        readers.join(", ")
    )]
    UnknownWriter {
        /// The graph's file.
        path: PathBuf,
        /// The names of the known writers.
        readers: Vec<&'static str>,
    },
    /// A graph that the user gives as the same network is a different one.
    #[error("{}: {problem}: it is another network", path.display())]
    OtherNetwork {
        /// The graph's file.
        path: PathBuf,
        /// The difference.
        problem: String,
    },
    /// A file of spike counts is invalid.
    #[error("{}{}: {problem}", path.display(), line.map(|l| format!(" line {l}")).unwrap_or_default())]
    Counts {
        /// The file.
        path: PathBuf,
        /// The line, from 1, if the error is in one line.
        line: Option<usize>,
        /// The problem and the remedy.
        problem: String,
    },
    /// A file of spike counts names a recording beyond those that are compared.
    #[error("{}{}: recording {recording}, and {compared} are compared", path.display(), line.map(|l| format!(" line {l}")).unwrap_or_default())]
    NotCompared {
        /// The file.
        path: PathBuf,
        /// The line, from 1, if the file has lines.
        line: Option<usize>,
        /// Number of the recording, from 0.
        recording: usize,
        /// How many recordings are compared.
        compared: usize,
    },
    /// A graph that the user gives cannot run event-driven.
    #[error("{}: {source}", path.display())]
    Graph {
        /// The graph's file.
        path: PathBuf,
        /// The reason.
        source: tickless_net::Error,
    },
}

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// [`NoValidation`](Self::NoValidation) of a run.
    pub(crate) fn no_validation(run: &tickless_train::run::Loaded) -> Self {
        Self::NoValidation { run: run.folder.path().to_owned() }
    }
}

/// Returns an error if the user asked to stop. For tasks that write nothing before their end.
///
/// # Errors
/// [`Error::Stopped`].
pub(crate) fn stop(progress: &dyn tickless_train::progress::Progress) -> Result<()> {
    if progress.cancelled() { Err(Error::Stopped) } else { Ok(()) }
}
