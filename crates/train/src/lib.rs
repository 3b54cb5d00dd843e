//! Clocked training of temporally flexible spiking networks.
//!
//! A spiking network trained at one number of time steps T works at that T only. Mixed time-step
//! training (MTT; Du et al., ICLR 2025) trains one set of weights that works at every T, at a
//! different T in every stage, and in the event-driven engine, which has no time steps. The two
//! modules that differ from ordinary training are [`tickless_kernels::ttm`] and [`strategy::Mtt`].
//! [`model`] runs a described network over whole sequences, [`iteration`] computes one training
//! step, [`run`] repeats it over all epochs, and [`evaluate`] measures the result.
//!
//! Every sequence is time-major: `[T, B, C, H, W]`, stored as `[T·B, C, H, W]` because a layer
//! without state treats T as part of the batch.
// `print!` panics if standard output or standard error cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod compute_thread;
pub mod data;
pub mod device;
pub mod distributed;
pub mod error;
pub mod evaluate;
pub mod footprint;
pub mod iteration;
pub mod loss;
pub mod model;
pub mod progress;
pub mod run;
pub mod seed;
pub mod strategy;

pub use error::{Error, Result};
pub use tickless_neuron as neuron;
