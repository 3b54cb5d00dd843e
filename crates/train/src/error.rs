//! The one error type of this crate. Each message names the place and the remedy.

use std::path::{Path, PathBuf};

/// What can go wrong in training, calibration and evaluation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// From the description, the recipe or the weights.
    #[error(transparent)]
    Net(#[from] tickless_net::Error),
    /// From an operator's setting.
    #[error(transparent)]
    Kernels(#[from] tickless_kernels::Error),
    /// From a recording or a data set.
    #[error(transparent)]
    Events(#[from] tickless_events::Error),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A setting that cannot be.
    #[error("{0}")]
    Setting(String),
    /// A file of a run is damaged or from another version.
    #[error("{}: {problem}", path.display())]
    RunFile {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A checkpoint does not belong to this training, or is damaged in a way that its checksum cannot show.
    #[error("the checkpoint is not of this training: {0}")]
    Checkpoint(String),
    /// A training would go on under other conditions than it began.
    #[error(
        "{}: the training began under other conditions, so it would not end with the weights of one never stopped: {}",
        path.display(),
        differences.join("; ")
    )]
    ConditionsChanged {
        /// The run's folder.
        path: PathBuf,
        /// Each condition that is another now, with both values.
        differences: Vec<String>,
    },
    /// What a network computes is infinite or not a number.
    #[error(
        "{what} is {value}, not a finite number: the weights are too large for f32; train with a lower `learning_rate`"
    )]
    ResultNotFinite {
        /// Which result, with the place.
        what: String,
        /// Its value.
        value: f32,
    },
    /// The loss became infinite or not a number.
    #[error(
        "the loss is {loss} at iteration {iteration} (epoch {epoch}); the last good checkpoint is kept in the run \
         folder: start another run with a lower `learning_rate`"
    )]
    NotFinite {
        /// The loss.
        loss: f32,
        /// Iteration from the start of training, counted from 1.
        iteration: usize,
        /// Epoch, counted from 1.
        epoch: usize,
    },
    /// A step made a tensor of the training infinite or not a number: a weight, a running statistic or the optimiser's
    /// memory. A spiking layer, a norm or the optimiser can hide that from the loss.
    #[error(
        "`{tensor}` is no longer finite at iteration {iteration} (epoch {epoch}); the last good checkpoint is kept in \
         the run folder: start another run with a lower `learning_rate`"
    )]
    Diverged {
        /// The first such tensor.
        tensor: String,
        /// Iteration from the start of training, counted from 1.
        iteration: usize,
        /// Epoch, counted from 1.
        epoch: usize,
    },
    /// Another worker of this training has ended.
    #[error("worker {rank} of this training has ended; its own message says why")]
    WorkerLeft {
        /// Which.
        rank: usize,
    },
    /// The user asked to stop; a checkpoint has been written.
    #[error("stopped at epoch {epoch}, iteration {iteration}; a checkpoint is kept")]
    Stopped {
        /// Epoch, counted from 1.
        epoch: usize,
        /// Iteration from the start of training.
        iteration: usize,
    },
}

impl Error {
    /// An input/output error with its file.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Error::Io { path: path.to_owned(), source }
    }
}

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
