//! PyTorch's checkpoint files: a zip archive with a pickle (`data.pkl`) and one member for each
//! storage (`data/<key>`).
//!
//! A pickle is a program that may call any function. This reader runs a subset (`pickle.rs`): it
//! makes containers, numbers and texts itself, and of all names that a pickle can import it knows
//! those in a short list (`names.rs`), which make tensors and containers. A file that imports any
//! other name is refused with that name.
//!
//! - Tensors that were saved on a GPU are read like all others.
//! - Files of PyTorch before 1.6, and TorchScript archives, are recognised and refused with the
//!   remedy.
//! - Memory is proportional to the length of the file: storages are views of its bytes, containers
//!   refer to their content instead of copying it, and nothing recurses over the content.
//!
//! Source: PyTorch's `torch/serialization.py` and `torch/_weights_only_unpickler.py`; the opcodes
//! are those of Python's `pickletools`, protocols 2 to 5.

mod archive;
mod names;
mod pickle;
mod state_dict;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub use write::to_bytes;

use super::error::{refused, undecided};
use super::state::Checkpoint;
use crate::error::Result;
use archive::Archive;
use state_dict::{Unfound, find};
use std::path::Path;

/// The first bytes of a pickle with the magic number of files before PyTorch 1.6: PROTO 2, then
/// LONG1 of ten bytes.
const LEGACY: &[u8] = &[0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Whether these are the first bytes of a file that `torch.save` writes or wrote.
pub(super) fn is_torch(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK") || bytes.starts_with(LEGACY) || is_tar(bytes) || is_pickle(bytes)
}

/// Files before PyTorch 0.1.10 are tar archives.
fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// A bare pickle. A safetensors file starts with eight bytes of a length and a brace, and no
/// pickle has a brace there after PROTO and its version.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..]) && bytes.get(8) != Some(&b'{')
}

/// Reads the bytes of a `.pt` or `.pth` file; the messages name `file`. `entry` is the place of the
/// state dict ([`find`]).
///
/// # Errors
/// If the file is damaged, of another kind, or imports a name that is not in the list; the message
/// names the place and the remedy.
pub(super) fn from_bytes(bytes: Vec<u8>, file: &Path, entry: Option<&str>) -> Result<Checkpoint> {
    if bytes.starts_with(LEGACY) || is_tar(&bytes) {
        let problem = "is in PyTorch's format before version 1.6; convert it there: \
                       torch.save(torch.load(FILE, map_location='cpu'), 'new.pt')";
        return Err(refused(file, problem));
    }
    if is_pickle(&bytes) {
        let problem = "is a bare pickle, not a file of torch.save; save the tensors there: torch.save(net.state_dict(), 'new.pt')";
        return Err(refused(file, problem));
    }
    let archive = Archive::open(&bytes, file)?;
    let (arena, root) = pickle::run(archive.pickle(), &archive).map_err(|e| refused(file, e))?;
    let (tensors, within) = find(&arena, root, entry).map_err(|e| match e {
        Unfound::Choose(problem) => undecided(file, &problem),
        Unfound::Nothing(problem) => refused(file, problem),
    })?;
    drop(archive);
    Ok(Checkpoint::new(bytes, tensors, within, true))
}
