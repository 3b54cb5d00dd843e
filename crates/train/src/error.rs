//! The one error type of this crate. Each message names the place and the remedy.

use std::path::{Path, PathBuf};
use tickless_words::UnknownWord;

/// What can go wrong in training, calibration and evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// A word that names no strategy, data set or device.
    #[error(transparent)]
    Word(#[from] UnknownWord),
    /// The user asked to stop. Nothing was written.
    #[error("{task} was stopped by the user; nothing was written")]
    Cancelled {
        /// What was stopped.
        task: &'static str,
    },
    /// The value of a recipe's key does not fit the network, the data, the workers or the machine.
    #[error("`{key}` {problem}")]
    Recipe {
        /// The key, e.g. `train.batch`.
        key: &'static str,
        /// What is wrong with its value and what to do.
        problem: String,
    },
    /// A batch whose layers, kept for the backward pass, need more memory than the machine has.
    #[error(
        "one batch of {batch} samples at {steps} time steps needs {needed:.0} GB of memory (layer `{layer}`: {most:.0} \
         GB), this machine has {machine:.0} GB: {}lower `train.batch` or `train.t_max`, or make the layer smaller",
        if *recompute_fits { "set `train.recompute = true`, " } else { "" }
    )]
    Memory {
        /// Samples of the batch that one worker takes.
        batch: usize,
        /// Time steps.
        steps: usize,
        /// What all layers need, in GB.
        needed: f64,
        /// The layer that needs most.
        layer: String,
        /// What that layer needs, in GB.
        most: f64,
        /// What the machine has, in GB.
        machine: f64,
        /// Whether the batch fits if stages are run again backward.
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
    /// A data set of images where recordings are needed.
    #[error("data set `{set}` holds images, which have no events; an event-driven run needs recordings")]
    Images {
        /// The data set.
        set: String,
    },
    /// A data set gave a recording although it says that it holds images.
    #[error("data set `{set}` says that it holds images, but sample {sample} is a recording")]
    NoImage {
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
        /// What is wrong and what to do.
        problem: String,
    },
    /// A precision that the chosen kernel or device does not have.
    #[error("precision `{precision}`: {problem}")]
    Precision {
        /// The word of the precision.
        precision: &'static str,
        /// Why it cannot be used and what to do.
        problem: &'static str,
    },
    /// A leak in µs in a run whose steps have no duration.
    #[error(
        "layer `{layer}`: a leak in µs needs the duration of a step, which a static image does not have; give `leak` \
         per step"
    )]
    NoStepDuration {
        /// The layer.
        layer: String,
    },
    /// A device or a list of devices that this machine does not have, or that the workers cannot share.
    #[error("device `{device}`: {problem}")]
    Device {
        /// The device as it was named.
        device: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// One device is needed and several are named.
    #[error("devices `{devices}`: name one; only a training works on several")]
    SeveralDevices {
        /// The devices as they were named.
        devices: String,
    },
    /// A device whose backend this build lacks.
    #[error("device `{device}` is not in this build, which lacks the feature `{feature}`")]
    NotInBuild {
        /// The device as it was named.
        device: String,
        /// The feature of this crate that adds it.
        feature: &'static str,
    },
    /// The system gives no more threads.
    #[error("cannot make {threads} threads for each worker: {problem}")]
    Threads {
        /// Threads of a worker.
        threads: usize,
        /// The system's reason.
        problem: String,
    },
    /// This process has joined the processes of MPI before.
    #[error("this process has joined MPI already")]
    AlreadyJoined,
    /// A folder that holds no run.
    #[error("{}: is not a run folder (it has no recipe.toml)", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// A run whose training has not ended.
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
        /// What is wrong.
        problem: String,
    },
    /// Another process trains in the folder.
    #[error("{}: another process is training in this folder: wait for it, or give another folder", path.display())]
    Busy {
        /// The run's folder.
        path: PathBuf,
    },
    /// A checkpoint was made with another recipe.
    #[error("the checkpoint belongs to another recipe; resume with the one in the run folder, or start a new run")]
    OtherRecipe,
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
