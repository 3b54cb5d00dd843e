//! Tickless: temporally flexible spiking neural networks.
//!
//! A network is trained once and runs at any number of time steps, or at none. This crate
//! re-exports the libraries and adds the calls that need several of them:
//!
//! * [`events`]: events, recordings, file formats, frames, data sets, the simulated camera;
//! * [`net`]: the network's description, weights, recipes, folding;
//! * [`kernels`]: the operators of training, for CPUs and GPUs;
//! * [`train`]: clocked training (SDT, NMT, MTT), calibration, evaluation at every T;
//! * [`engine`]: the event-driven engine that runs the same weights with no time steps;
//! * [`EngineForward`]: the engine in the forward pass of a training;
//! * [`simulate`]: runs a trained run's recordings through the engine and compares with its clocked
//!   network;
//! * [`predict`]: classifies files and streams with a trained run, at an [`OperatingPoint`];
//! * [`answers()`]: the answers of a run at many settings, each with the temperature of its own;
//! * [`exits`]: the early exits of an operating point, with what is fitted for them;
//! * [`mod@tune`]: chooses the operating point of a run for a budget;
//! * [`parity`]: runs the same recordings through every executor and finds the cause if two of them
//!   differ;
//! * [`chip`]: how near the engine is to spikes that were measured on a chip;
//! * [`robustness`]: how the accuracy falls if weights or inputs change;
//! * [`trace`]: spikes and potentials of chosen layers, for other tools.
//!
//! The command `tickless` is the crate `tickless-cli`.
// The caller decides what is printed.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub use tickless_engine as engine;
pub use tickless_events as events;
pub use tickless_kernels as kernels;
pub use tickless_net as net;
pub use tickless_train as train;

mod answers;
pub mod chip;
pub mod dialect;
mod engine_forward;
mod error;
pub mod exits;
pub mod number;
mod operating_point;
pub mod parity;
pub mod predict;
mod readout;
pub mod robustness;
pub mod simulate;
pub mod temperature;
pub mod trace;
pub mod tune;

pub use answers::answers;
pub use engine_forward::EngineForward;
pub use error::{Error, Result};
pub use operating_point::{EventNeurons, ExitAt, OperatingPoint};

/// Compiles and runs the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct ReadMe;
