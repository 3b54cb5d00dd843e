//! Random networks, weights, steps and events, all from a seed.

pub mod any;
pub mod exact;
mod rng;

pub use rng::Rng;
