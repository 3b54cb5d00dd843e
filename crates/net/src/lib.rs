//! The network of Tickless: described once, run by many executors.
//!
//! A [`Network`] is an ordered graph of [`Layer`]s cut into stages by temporal transformation
//! modules. The clocked trainer, clocked inference, the event-driven engine, the exporters and
//! the drawings are all made from this one description. [`Weights`] are named tensors in one
//! file format; [`fold`] removes what a chip without a clock cannot have (biases, batch norm);
//! [`recipe`] is the TOML that a user writes. No arithmetic of training lives here.
// Printing panics if standard output or standard error cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod error;
pub mod fold;
pub mod init;
pub mod interop;
pub mod layer;
pub mod network;
pub mod quantise;
pub mod recipe;
pub mod shape;
pub mod spec;
pub mod weights;
pub mod zoo;

pub use error::{Error, Result};
pub use layer::{Conv, Layer, Linear, Norm, Pool, PoolKind, TtmMode};
pub use network::{Input, InputKind, Network, NetworkBuilder, Node, NodeId};
pub use shape::Shape;
pub use tickless_neuron as neuron;
pub use tickless_neuron::{Adaptation, Leak, LeakRule, Neuron, Reset, SpikeMode, Surrogate};
pub use tickless_words::suggest;
pub use weights::{Array, WeightFile, Weights};
