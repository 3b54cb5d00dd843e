//! Conversions between the CPU backend's tensors and slices.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

/// The values of a contiguous f32 tensor.
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("made contiguous by the caller, and every tensor of this crate is f32")
}

/// A contiguous f32 tensor of `data`.
pub(crate) fn from_vec(data: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(data), Layout::contiguous(shape), DType::F32)
}
