//! Clocked training of temporally flexible spiking networks.
//!
//! A spiking network trained at one number of time steps T works at that T only. This crate
//! trains one set of weights that works at every T, at a different T in every stage, and, in the
//! event-driven engine, at none: mixed time-step training (MTT; Du et al., ICLR 2025). The one
//! new idea is in [`tickless_kernels::ttm`] and [`strategy::Mtt`]; [`model`] runs a described network over whole
//! sequences; [`trainer`] is the loop; [`calibrate`] and [`evaluate`] come after it.
//!
//! Layout is time-major everywhere: `[T, B, C, H, W]`, folded to `[T·B, C, H, W]`.

pub mod calibrate;
pub mod checkpoint;
pub mod data;
pub mod device;
pub mod error;
pub mod evaluate;
mod in_pool;
mod layers;
pub mod loss;
pub mod model;
pub mod norm;
pub mod optimiser;
pub mod parallel;
mod passes;
pub mod plan;
pub mod progress;
mod recompute;
pub mod run;
pub mod schedule;
pub mod seed;
pub mod sequence;
pub mod step;
pub mod strategy;
pub mod trainer;

pub use error::{Error, Result};
pub use tickless_neuron as neuron;
