//! Tickless: temporally flexible spiking neural networks.
//!
//! Train once, run at any number of time steps, or at none. This crate re-exports the libraries and adds
//! the calls that need several of them:
//!
//! * [`events`]: events, recordings, file formats, frames, data sets, the simulated camera;
//! * [`net`]: the network's description, weights, recipes, folding;
//! * [`kernels`]: the operators of training, for CPUs and GPUs;
//! * [`train`]: clocked training (SDT, NMT, MTT), calibration, evaluation at every T;
//! * [`engine`]: the event-driven engine that runs the same weights with no time steps;
//! * [`simulate`]: a trained run through the engine, beside its clocked network;
//! * [`parity`]: the same recordings through every executor, and the cause where two of them differ.
//!
//! The command `tickless` is the crate `tickless-cli`.
// A library tells its caller, who decides what is printed.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub use tickless_engine as engine;
pub use tickless_events as events;
pub use tickless_kernels as kernels;
pub use tickless_net as net;
pub use tickless_train as train;

pub mod dialect;
mod error;
pub mod number;
pub mod parity;
pub mod simulate;

pub use error::{Error, Result};

/// The examples of the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct ReadMe;
