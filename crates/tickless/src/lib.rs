//! Tickless: temporally flexible spiking neural networks.
//!
//! Train once, run at any number of time steps, or at none. This crate is the command
//! `tickless` and the facade of five libraries:
//!
//! * [`events`]: events, recordings, file formats, frames, data sets, the simulated camera;
//! * [`net`]: the network's description, weights, recipes, folding;
//! * [`kernels`]: the operators of training, for CPUs and GPUs;
//! * [`train`]: clocked training (SDT, NMT, MTT), calibration, evaluation at every T;
//! * [`engine`]: the event-driven engine that runs the same weights with no time steps.
// Printing panics if standard output or standard error cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub use tickless_engine as engine;
pub use tickless_events as events;
pub use tickless_kernels as kernels;
pub use tickless_net as net;
pub use tickless_train as train;

pub mod cli;
mod commands;
pub mod experiment;
pub mod gather;
mod interop;
mod interrupt;
mod kept;
mod options;
mod output;
pub mod parity;
mod progress;
pub mod report;
mod shown;
pub mod simulate;
pub mod view;
mod world;

/// The examples of the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct ReadMe;
