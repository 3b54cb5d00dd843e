//! Generates random networks, weights, steps and events from a seed.

pub mod any;
pub mod exact;
mod rng;

pub use rng::Rng;
