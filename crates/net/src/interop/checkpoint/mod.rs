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
//! let read = checkpoint::read(file)?;
//! let fit = checkpoint::fit(&read, network, file, &FitOptions::default())?;
//! println!("{} tensors of {} matched", fit.matched.len(), network.tensors().len());
//! # Ok(()) }
//! ```

mod dialect;
mod error;
mod fit;
mod half;
mod residual;
mod safetensors;
mod state;
mod tensor;
pub mod torch;

pub use dialect::{Dialect, rename};
pub use fit::{Fit, FitOptions, Match, Missing, Unused, fit, from_map};
pub use state::Checkpoint;
pub use tensor::{Number, Tensor};

use crate::error::{Error, Result};
use std::path::Path;

/// Reads a checkpoint. The content decides on the format, not the name of the file.
///
/// # Errors
/// If the file cannot be read or is neither format; if a PyTorch file calls, builds or imports
/// anything but tensors and containers. The message names the file, the place and the remedy.
pub fn read(file: &Path) -> Result<Checkpoint> {
    from_bytes(std::fs::read(file).map_err(|e| Error::io(file, e))?, file)
}

/// Reads the bytes of a checkpoint; the messages name `file`.
///
/// # Errors
/// As [`read`].
pub fn from_bytes(bytes: Vec<u8>, file: &Path) -> Result<Checkpoint> {
    if torch::is_torch(&bytes) { torch::from_bytes(bytes, file) } else { safetensors::from_bytes(bytes, file) }
}
