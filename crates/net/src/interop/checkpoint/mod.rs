//! Checkpoints of other frameworks: named tensors in a PyTorch file (`.pt`, `.pth`) or in a
//! safetensors file, brought into a network's [`Weights`](crate::Weights) and back.
//!
//! - [`read`] returns the tensors of a file. No code of a PyTorch file runs ([`torch`]).
//! - [`fit()`] assigns tensors to the layers of a network by the names that a framework gives them
//!   ([`Dialect`]), and reports what it could not assign and why.
//! - [`rename`] gives a network's weights the names of a dialect, and [`torch::to_bytes`] writes
//!   them as `torch.save` does.
//!
//! ```no_run
//! use std::path::Path;
//! use tickless_net::interop::checkpoint::{self, FitOptions};
//! # fn f(network: &tickless_net::Network) -> tickless_net::Result<()> {
//! let file = Path::new("resnet18.pth");
//! let read = checkpoint::read(file, None)?;
//! let fit = checkpoint::fit(&read, network, file, &FitOptions::default())?;
//! println!("{} tensors of {} matched", fit.matched.len(), network.tensors().len());
//! # Ok(()) }
//! ```

mod dialect;
mod error;
mod fit;
mod form;
mod half;
mod map;
mod neurons;
mod order;
mod recurrent_bias;
mod safetensors;
mod scale;
mod state;
mod tensor;
#[cfg(test)]
mod tests;
pub mod torch;

pub use dialect::{Dialect, NeuronFramework, rename};
pub use fit::{Effect, Fit, FitOptions, Match, Missing, Unused, fit};
pub use map::Map;
pub use state::Checkpoint;
pub use tensor::{Number, Tensor};

use crate::error::{Error, Result};
use std::path::Path;

/// Reads a checkpoint. The content decides on the format, not the name of the file.
///
/// `entry` is the place of the state dict in a PyTorch file that holds more, for example
/// `state_dict_pool[29]` or `ema.model`. Without it, the place is the file itself, a place where
/// programs usually store it (such as `best_model_state_dict` or `model`), or the only one.
///
/// # Errors
/// If the file cannot be read or is neither format; if a PyTorch file calls, builds or imports
/// anything but tensors and containers. The message names the file, the place and the remedy.
pub fn read(file: &Path, entry: Option<&str>) -> Result<Checkpoint> {
    from_bytes(std::fs::read(file).map_err(|e| Error::io(file, e))?, file, entry)
}

/// Whether the first 512 bytes of a file are those of a checkpoint, old PyTorch files included.
pub fn recognises(start: &[u8]) -> bool {
    torch::is_torch(start) || safetensors::is_safetensors(start)
}

/// Reads the bytes of a checkpoint; the messages name `file`.
///
/// # Errors
/// As [`read`].
pub fn from_bytes(bytes: Vec<u8>, file: &Path, entry: Option<&str>) -> Result<Checkpoint> {
    if torch::is_torch(&bytes) {
        return torch::from_bytes(bytes, file, entry);
    }
    if let Some(entry) = entry {
        return Err(error::refused(file, format!("has no entry `{entry}`: only PyTorch files have entries")));
    }
    safetensors::from_bytes(bytes, file)
}
