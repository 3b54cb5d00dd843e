//! The one error type of this crate. Each message names the place and the remedy.

use std::path::{Path, PathBuf};
use tickless_words::UnknownWord;

/// Errors of training, calibration and evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of the network description, the recipe or the weights.
    #[error(transparent)]
    Net(#[from] tickless_net::Error),
    /// An error of a kernel's setting.
    #[error(transparent)]
    Kernels(#[from] tickless_kernels::Error),
    /// An error of a recording or a data set.
    #[error(transparent)]
    Events(#[from] tickless_events::Error),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A word that names no strategy, data set or device.
    #[error(transparent)]
    Word(#[from] UnknownWord),
    /// The user asked to stop; nothing was written.
    #[error("{task} was stopped by the user; nothing was written")]
    Cancelled {
        /// The task that was stopped.
        task: &'static str,
    },
    /// The value of a recipe's key does not fit the network, the data, the workers or the machine.
    #[error("`{key}` {problem}")]
    Recipe {
        /// The key, e.g. `train.batch`.
        key: &'static str,
        /// The problem with the value, and the remedy.
        problem: String,
    },
    /// The training of one batch needs more memory than the machine has.
    #[error(
        "one batch of {batch} samples at {steps} time steps needs {needed:.0} GB of memory (layer `{layer}`: {most:.0} \
         GB), this machine has {machine:.0} GB: {}lower `train.batch` or `train.t_max`, or make the layer smaller",
        if *recompute_fits { "set `train.recompute = true`, " } else { "" }
    )]
    Memory {
        /// Samples of the batch per worker.
        batch: usize,
        /// Time steps.
        steps: usize,
        /// Memory of the training, in GB.
        needed: f64,
        /// The layer whose outputs need the most memory.
        layer: String,
        /// Memory for the outputs of that layer, in GB.
        most: f64,
        /// Memory of the machine, in GB.
        machine: f64,
        /// Whether the batch fits if the backward pass runs stages again (`train.recompute`).
        recompute_fits: bool,
    },
    /// A part of the data set has no sample.
    #[error("the {part} part of data set `{set}` is empty")]
    EmptyPart {
        /// "training" or "test".
        part: &'static str,
        /// The data set.
        set: String,
    },
    /// The data set holds images, but the caller needs recordings.
    #[error("data set `{set}` holds images, which have no events; an event-driven run needs recordings")]
    Images {
        /// The data set.
        set: String,
    },
    /// A data set returned a recording although it is declared as one of images.
    #[error("data set `{set}` says that it holds images, but sample {sample} is a recording")]
    NoImage {
        /// The data set.
        set: String,
        /// Index of the sample in its part.
        sample: usize,
    },
    /// A sample is an image although the data set holds recordings.
    #[error("data set `{set}` holds recordings, but sample {sample} is an image")]
    NoRecording {
        /// The data set.
        set: String,
        /// Index of the sample in its part.
        sample: usize,
    },
    /// A temporal configuration does not fit the network.
    #[error("network `{network}` {problem}")]
    Configuration {
        /// The network.
        network: String,
        /// The problem and the remedy.
        problem: String,
    },
    /// The chosen kernel or device does not support this precision.
    #[error("precision `{precision}`: {problem}")]
    Precision {
        /// The word of the precision.
        precision: &'static str,
        /// The reason why it cannot be used, and the remedy.
        problem: &'static str,
    },
    /// The event-driven executor of a training refused the network or a recording.
    #[error("the event-driven run of a batch (`train.event_driven`): {0}")]
    EventDriven(Box<dyn std::error::Error + Send + Sync>),
    /// A leak, a refractory period or a recurrent delay is in µs, but the steps of the run have no
    /// duration.
    #[error(
        "layer `{layer}`: a leak, a refractory period or a `delay_us` in µs needs the duration of a step, which a \
         static image does not have; give the former in steps, and leave `delay_us` out"
    )]
    NoStepDuration {
        /// The layer.
        layer: String,
    },
    /// This machine does not have the named devices, or the workers cannot share them.
    #[error("device `{device}`: {problem}")]
    Device {
        /// The device as the user named it.
        device: String,
        /// The problem and the remedy.
        problem: String,
    },
    /// The user named several devices, but the command needs one.
    #[error("devices `{devices}`: name one; only a training works on several")]
    SeveralDevices {
        /// The devices as the user named them.
        devices: String,
    },
    /// This build lacks the backend of the device.
    #[error("device `{device}` is not in this build, which lacks the feature `{feature}`")]
    NotInBuild {
        /// The device as the user named it.
        device: String,
        /// The feature of this crate that adds it.
        feature: &'static str,
    },
    /// The system refuses to make threads.
    #[error("cannot make {threads} threads for each worker: {problem}")]
    Threads {
        /// Threads per worker.
        threads: usize,
        /// The system's reason.
        problem: String,
    },
    /// This process has joined MPI before.
    #[error("this process has joined MPI already")]
    AlreadyJoined,
    /// The folder holds no run.
    #[error("{}: is not a run folder (it has no recipe.toml)", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// The training of the run has not ended.
    #[error("{}: has no weights yet, because its training has not ended", path.display())]
    Unfinished {
        /// The run's folder.
        path: PathBuf,
    },
    /// The weights of a run are damaged.
    #[error("{}: damaged ({problem}); delete it, and the training that made it makes it again", path.display())]
    DamagedWeights {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// Another process trains in the folder.
    #[error("{}: another process is training in this folder: wait for it, or give another folder", path.display())]
    Busy {
        /// The run's folder.
        path: PathBuf,
    },
    /// The checkpoint was made with another recipe.
    #[error(
        "the checkpoint belongs to another recipe ({}); resume with the one in the run folder, or start a new run",
        differences.join("; ")
    )]
    OtherRecipe {
        /// Each key that differs, with both values.
        differences: Vec<String>,
    },
    /// A folder for a new run holds a run.
    #[error("{}: holds a run already", path.display())]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// A file of a run is not written, because it could not be read back as the same values.
    #[error("{}: {problem}", path.display())]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// The reason.
        problem: String,
    },
    /// A file of a run is damaged or from another version.
    #[error("{}: {problem}", path.display())]
    RunFile {
        /// The file.
        path: PathBuf,
        /// The problem and the remedy.
        problem: String,
    },
    /// The checkpoint does not belong to this training, or is damaged although its checksum fits.
    #[error("the checkpoint is not of this training: {0}")]
    Checkpoint(String),
    /// The training began under conditions other than the present ones.
    #[error(
        "{}: the training began under other conditions, so it would not end with the weights of one never stopped: {}",
        path.display(),
        differences.join("; ")
    )]
    ConditionsChanged {
        /// The run's folder.
        path: PathBuf,
        /// Each condition that differs, with both values.
        differences: Vec<String>,
    },
    /// A result of the network is infinite or NaN.
    #[error(
        "{what} is {value}, not a finite number: the weights are too large for f32; train with a lower `learning_rate`"
    )]
    ResultNotFinite {
        /// The result and where it was computed.
        what: String,
        /// Its value.
        value: f32,
    },
    /// The loss became infinite or NaN.
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
    /// A step made a weight, a running statistic or the optimiser's state infinite or NaN. The loss
    /// may stay finite, because a spiking layer, a norm or the optimiser can hide it.
    #[error(
        "`{tensor}` is no longer finite at iteration {iteration} (epoch {epoch}); the last good checkpoint is kept in \
         the run folder: start another run with a lower `learning_rate`"
    )]
    Diverged {
        /// The first tensor that is not finite.
        tensor: String,
        /// Iteration from the start of training, counted from 1.
        iteration: usize,
        /// Epoch, counted from 1.
        epoch: usize,
    },
    /// Another worker of this training has ended.
    #[error("worker {rank} of this training has ended; its own message says why")]
    WorkerLeft {
        /// Rank of that worker.
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
    /// Wraps a system error with the file that it concerns.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Error::Io { path: path.to_owned(), source }
    }
}

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
