//! Checkpoints in the safetensors format, with any type of number that PyTorch has too.

use super::error::refused;
use super::state::Checkpoint;
use super::tensor::{Number, Storage, Tensor};
use crate::error::Result;
use crate::weights::{CHECKSUM, WeightFile};
use safetensors::{Dtype, SafeTensors};
use std::path::Path;

/// Whether these are the first bytes of a safetensors file: the length of its header, which is in
/// JSON.
pub(super) fn is_safetensors(start: &[u8]) -> bool {
    start.get(8) == Some(&b'{')
}

/// The first bytes of a text that Git LFS keeps in place of a large file.
const LFS: &[u8] = b"version https://git-lfs";

/// Reads the bytes of a safetensors file; the tensors are sorted by name. A file with a checksum of
/// Tickless has to match it.
pub(super) fn from_bytes(bytes: Vec<u8>, file: &Path) -> Result<Checkpoint> {
    let read = SafeTensors::deserialize(&bytes).map_err(|e| {
        let problem = if bytes.starts_with(LFS) {
            "is a pointer of Git LFS to the file; get the file itself: git lfs pull".to_owned()
        } else if is_safetensors(&bytes) {
            format!("is a damaged safetensors file ({e:?}); get the file again")
        } else {
            format!(
                "is neither a PyTorch file (a zip archive) nor a safetensors file ({e:?}); give a file of torch.save or safetensors"
            )
        };
        refused(file, problem)
    })?;
    let is_ours = SafeTensors::read_metadata(&bytes)
        .is_ok_and(|(_, header)| header.metadata().as_ref().is_some_and(|m| m.contains_key(CHECKSUM)));
    if is_ours {
        WeightFile::from_bytes(&bytes, file)?;
    }
    let mut tensors = Vec::new();
    for (name, view) in read.tensors() {
        let number = match view.dtype() {
            Dtype::F32 => Number::F32,
            Dtype::F64 => Number::F64,
            Dtype::F16 => Number::F16,
            Dtype::BF16 => Number::Bf16,
            Dtype::I8 => Number::I8,
            Dtype::I16 => Number::I16,
            Dtype::I32 => Number::I32,
            Dtype::I64 => Number::I64,
            Dtype::U8 => Number::U8,
            Dtype::U16 => Number::U16,
            Dtype::U32 => Number::U32,
            Dtype::U64 => Number::U64,
            Dtype::C64 => Number::Complex64,
            Dtype::BOOL => Number::Bool,
            other => {
                let problem = format!("tensor `{name}` is {other:?}, which weights cannot be; save it as float32");
                return Err(refused(file, problem));
            }
        };
        // The view borrows from `bytes`, so its address gives its place in the file.
        let start = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
        let storage = Storage { bytes: start..start + view.data().len(), number, big_endian: false };
        let tensor = Tensor::contiguous(storage, view.shape().to_vec());
        tensors.push((name.clone(), tensor.map_err(|e| refused(file, format!("tensor `{name}` {e}")))?));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Checkpoint::new(bytes, tensors, None, false))
}
