//! Generates random networks, weights, steps, events and recordings from a seed.

pub mod any;
pub mod bursts;
pub mod exact;
#[cfg(feature = "nir")]
pub mod graph;
pub mod recordings;
mod rng;

pub use rng::Rng;
