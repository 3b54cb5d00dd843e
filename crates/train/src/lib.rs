//! Clocked training of temporally flexible spiking networks.

pub mod device;
pub mod error;
pub mod kernels;
pub mod loss;
pub mod model;
pub mod neuron;
pub mod norm;
pub mod optimiser;
pub mod schedule;
pub mod sequence;
pub mod strategy;
pub mod surrogate;
pub mod ttm;

pub use error::{Error, Result};
