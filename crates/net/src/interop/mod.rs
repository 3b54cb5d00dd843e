//! Networks in and out: what other frameworks and chips read and write.
//!
//! * `nir`: graphs of the Neuromorphic Intermediate Representation (feature `nir`).
//! * [`speck`]: which core of a Speck-class chip takes which layer, and the chip's configuration.

#[cfg(feature = "nir")]
pub mod nir;
pub mod speck;
