//! The description of a network, which every executor shares.
//!
//! A [`Network`] is an ordered graph of [`Layer`]s, divided into stages by temporal transformation
//! modules. The trainer, clocked inference, the event-driven engine, the exporters and the drawings
//! all read this one description. [`Weights`] are named tensors in one file format. [`fold`]
//! removes biases and batch norm, which an event-driven run cannot apply. [`balance`] makes the rates
//! of spikes those of a network with rectifiers. [`recipe`] defines the TOML files that users write.
//! This crate contains no training code.
// Printing panics if standard output or standard error cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod answers;
pub mod balance;
pub mod decision;
pub mod energy;
pub mod error;
pub mod exit_policy;
pub mod fold;
pub mod init;
pub mod interop;
pub mod layer;
pub mod network;
pub mod neurobench;
pub mod quantise;
pub mod recipe;
pub mod shape;
pub mod softmax;
pub mod spec;
pub mod summary;
pub mod weights;
pub mod window;
pub mod zoo;

pub use answers::{AnswerStatistics, Answers};
pub use decision::{Confidence, Exit, ExitRule, Rule};
pub use error::{Error, Result};
pub use exit_policy::ExitPolicy;
pub use layer::{
    AdaptiveAverage, Attention, Conv, Dropout, Layer, Linear, Norm, Pool, PoolKind, Recurrent, RecurrentKind, TtmMode,
};
pub use network::{Input, InputKind, Network, NetworkBuilder, Node, NodeId};
pub use shape::Shape;
pub use tickless_neuron as neuron;
pub use tickless_neuron::{
    Adaptation, During, Leak, LeakRule, Neuron, Period, Refractory, Reset, SpikeMode, Surrogate,
};
pub use tickless_words::suggest;
pub use weights::{Array, WeightFile, Weights};
pub use window::{Axis, Window};
