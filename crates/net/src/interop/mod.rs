//! Exchange of networks with other frameworks and with chips.
//!
//! - `nir`: imports and exports graphs of the Neuromorphic Intermediate Representation (feature
//!   `nir`).
//! - [`speck`]: assigns layers to the cores of a Speck-class chip and writes the chip's
//!   configuration.

#[cfg(feature = "nir")]
pub mod nir;
pub mod speck;
