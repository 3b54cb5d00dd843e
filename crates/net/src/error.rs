//! The error type of this crate. Each message names the place and the remedy.

use std::path::{Path, PathBuf};

/// Every error of this crate: a wrong description, recipe, weight file or NIR graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A layer does not accept the shape of its input, or one of its parameters is invalid.
    #[error("layer `{layer}`: {problem}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// The problem and its remedy.
        problem: String,
    },
    /// The graph as a whole is wrong.
    #[error("network `{network}`: {problem}")]
    Network {
        /// Name of the network.
        network: String,
        /// The problem and its remedy.
        problem: String,
    },
    /// The network's name is not a built-in one.
    #[error("unknown network `{name}`{hint}; built in: {known}")]
    UnknownNetwork {
        /// The name that the user wrote.
        name: String,
        /// `, did you mean ...?`, or empty if no built-in name is similar.
        hint: String,
        /// All built-in names.
        known: String,
    },
    /// A recipe has an unknown key, an invalid value or keys that exclude each other.
    #[error("{}: {problem}", file.display())]
    Recipe {
        /// The recipe's file.
        file: PathBuf,
        /// The place, the problem and its remedy.
        problem: String,
    },
    /// No file exists at the path given as a recipe.
    #[error("{}: there is no such recipe; give a TOML file, e.g. one of recipes/", file.display())]
    NoRecipe {
        /// The path.
        file: PathBuf,
    },
    /// The caller gave the folder of a run where a recipe file is expected.
    #[error("{}: is the folder of a run, not a recipe; give a TOML file, e.g. its recipe.toml", folder.display())]
    RunAsRecipe {
        /// The folder.
        folder: PathBuf,
    },
    /// A weight tensor is missing or has another shape than its layer.
    #[error("{}: layer `{layer}`: {problem}", file.display())]
    Weights {
        /// The weight file (or `<memory>`).
        file: PathBuf,
        /// Name of the layer.
        layer: String,
        /// Both shapes, or the missing tensor.
        problem: String,
    },
    /// The file is not a safetensors file.
    #[error("{}: not a safetensors weight file: {problem}", file.display())]
    WeightFile {
        /// The file.
        file: PathBuf,
        /// The error of the parser.
        problem: String,
    },
    /// A checkpoint is damaged or has content that is not read, or a map is wrong.
    #[error("{}: {problem}", file.display())]
    Checkpoint {
        /// The checkpoint or the map.
        file: PathBuf,
        /// The place, the problem and its remedy.
        problem: String,
    },
    /// A checkpoint holds several state dicts, or none at the place that was named.
    #[error("{}: {problem}", file.display())]
    StateDicts {
        /// The checkpoint.
        file: PathBuf,
        /// The problem and the places of the state dicts.
        problem: String,
    },
    /// A checkpoint holds the decay of neurons, but not whether their input decays too.
    #[error("{}: `{name}` is the decay of neurons, and the file does not say whether their input decays too (`decay_input` of SpikingJelly, `norm_input` of sinabs); say it", file.display())]
    DecayInput {
        /// The checkpoint.
        file: PathBuf,
        /// The tensor of the decay.
        name: String,
    },
    /// The file is not a NIR graph.
    #[error("{}: not a NIR file: {problem}", file.display())]
    NirFile {
        /// The file.
        file: PathBuf,
        /// The error of the parser.
        problem: String,
    },
    /// The file is a NIR graph, but the importer cannot convert the graph as a whole.
    #[error("{}: NIR graph: {problem}", file.display())]
    NirGraph {
        /// The file.
        file: PathBuf,
        /// The problem and its remedy.
        problem: String,
    },
    /// A NIR graph has several inputs or outputs, but a network has exactly one of each.
    #[error("{}: NIR graph: has {} {kind}s ({}) and a network has one; name the one to keep", file.display(), doors.len(), doors.join(", "))]
    NirDoors {
        /// The file.
        file: PathBuf,
        /// `input` or `output`.
        kind: &'static str,
        /// Names of the inputs or outputs.
        doors: Vec<String>,
    },
    /// A node of a NIR graph is broken, or no layer corresponds to it.
    #[error("{}: NIR node `{node}`: {problem}", file.display())]
    NirNode {
        /// The file.
        file: PathBuf,
        /// Name of the node; `outer.inner` within a nested graph.
        node: String,
        /// The problem and its remedy.
        problem: String,
    },
    /// The caller gave a network with a bias or batch norm to a function that needs an event-driven
    /// one.
    #[error("layer `{layer}` has {what}, which an event-driven run cannot have: fold the network, or train it without")]
    NotEventDriven {
        /// Name of the layer.
        layer: String,
        /// "a bias" or "batch norm".
        what: &'static str,
    },
}

impl Error {
    /// Wraps an input/output error together with the path of its file.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Error::Io { path: path.to_owned(), source }
    }

    /// An error about the shape or a parameter of one layer.
    pub fn layer(layer: &str, problem: impl Into<String>) -> Self {
        Error::Layer { layer: layer.to_owned(), problem: problem.into() }
    }
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
