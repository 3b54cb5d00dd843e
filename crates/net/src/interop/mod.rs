//! Exchange of networks with other frameworks and with chips.
//!
//! - `checkpoint`: reads and writes tensors of PyTorch and safetensors files, and assigns them to
//!   the layers of a network (feature `checkpoint`).
//! - `nir`: imports and exports graphs of the Neuromorphic Intermediate Representation (feature
//!   `nir`).
//! - [`speck`]: assigns layers to the cores of a Speck-class chip and writes the chip's
//!   configuration.

#[cfg(feature = "checkpoint")]
pub mod checkpoint;
#[cfg(feature = "nir")]
pub mod nir;
pub mod speck;
