//! Clocked training of temporally flexible spiking networks.
//!
//! A spiking network trained at one number of time steps T works at that T only. This crate
//! trains one set of weights that works at every T, at a different T in every stage, and, in the
//! event-driven engine, at none: mixed time-step training (MTT; Du et al., ICLR 2025). The one
//! new idea is in [`tickless_kernels::ttm`] and [`strategy::Mtt`]; [`model`] runs a described network over whole
//! sequences; [`iteration`] is one step of training, [`run`] the whole of it; [`evaluate`] comes after it.
//!
//! Layout is time-major everywhere: `[T, B, C, H, W]`, folded to `[T·B, C, H, W]`.
// Printing panics if standard output or standard error cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod compute_thread;
pub mod data;
pub mod device;
pub mod distributed;
pub mod error;
pub mod evaluate;
pub mod iteration;
pub mod loss;
pub mod model;
pub mod progress;
pub mod run;
pub mod seed;
pub mod strategy;

pub use error::{Error, Result};
pub use tickless_neuron as neuron;
