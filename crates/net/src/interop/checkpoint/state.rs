//! The tensors of a checkpoint by name.

use super::tensor::Tensor;
use crate::weights::Array;

/// The tensors of a checkpoint by name. Values stay in the bytes of the file until
/// [`array`](Self::array) asks for them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checkpoint {
    bytes: Vec<u8>,
    tensors: Vec<(String, Tensor)>,
    within: Option<String>,
    ordered: bool,
}

impl Checkpoint {
    pub(super) fn new(bytes: Vec<u8>, tensors: Vec<(String, Tensor)>, within: Option<String>, ordered: bool) -> Self {
        Self { bytes, tensors, within, ordered }
    }

    /// The tensors with their names, in the order of the file.
    pub fn tensors(&self) -> &[(String, Tensor)] {
        &self.tensors
    }

    /// Where in the file the state dict lies, such as `best_model_state_dict`; `None` if the file is
    /// a state dict itself.
    pub fn within(&self) -> Option<&str> {
        self.within.as_deref()
    }

    /// Whether the order of the tensors is that of the modules that saved them; safetensors files
    /// sort their tensors.
    pub fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// The tensor with this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|(n, _)| n == name).map(|(_, t)| t)
    }

    /// The values of a tensor of this checkpoint as f32, in row-major order. Numbers that f32 does
    /// not have are rounded to the nearest.
    ///
    /// # Errors
    /// If the tensor has more than 2³⁰ elements.
    pub fn array(&self, tensor: &Tensor) -> Result<Array, String> {
        tensor.to_array(&self.bytes)
    }
}
