//! What every launch needs: a tensor in an order that a kernel can walk, memory for results, and a grid.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::ir::{AddressType, ElemType};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::ops::permute;
use burn_cubecl::tensor::CubeTensor;

/// The order of a sequence's axes in memory, time and batch first.
///
/// A convolution of the tensor library leaves channels innermost under a channels-first shape; neurons do not
/// care which of them is whose neighbour, so their kernels keep that order instead of copying.
#[derive(Debug, Clone)]
pub(super) struct Layout(Vec<usize>);

impl Layout {
    /// Of a tensor: axes by falling stride.
    pub(super) fn of(tensor: &CubeTensor) -> Self {
        let strides = tensor.meta.strides();
        let mut inner: Vec<usize> = (1..strides.len()).collect();
        inner.sort_by_key(|&axis| std::cmp::Reverse(strides[axis]));
        Self(std::iter::once(0).chain(inner).collect())
    }

    /// The tensor with its axes and its values in this order, without gaps.
    pub(super) fn arrange(&self, tensor: CubeTensor) -> CubeTensor {
        into_contiguous(permute(tensor, &self.0))
    }

    /// Undoes [`arrange`](Self::arrange) but for the place of the values.
    pub(super) fn restore(&self, tensor: CubeTensor) -> CubeTensor {
        let mut inverse = vec![0; self.0.len()];
        self.0.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
        permute(tensor, &inverse)
    }
}

/// Memory for values like these.
pub(super) fn empty_like(tensor: &CubeTensor) -> CubeTensor {
    empty(tensor, tensor.meta.shape().clone(), tensor.dtype)
}

/// Memory on the tensor's device.
pub(super) fn empty(tensor: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(tensor.client.clone(), tensor.device.clone(), shape, dtype)
}

/// One unit of the device for each of `units` pieces of work.
pub(super) struct Launch {
    pub(super) client: Client,
    pub(super) units: usize,
    pub(super) address: AddressType,
    dtype: DType,
}

impl Launch {
    /// Over memory no larger than that of `largest`.
    pub(super) fn new(largest: &CubeTensor, units: usize) -> Self {
        let address = largest.required_address_type();
        Self { client: largest.client.clone(), units, address, dtype: largest.dtype }
    }

    pub(super) fn dim(&self) -> CubeDim {
        CubeDim::new(&self.client, self.units)
    }

    pub(super) fn count(&self) -> CubeCount {
        calculate_cube_count_elemwise(&self.client, self.units, self.dim())
    }

    /// The element type of the storage.
    pub(super) fn elem(&self) -> ElemType {
        burn::backend::cubecl::dtype_to_storage_type(self.dtype)
    }
}

/// Numbers that a kernel reads, put on the device.
pub(super) fn numbers<T: bytemuck::Pod>(client: &Client, values: &[T]) -> BufferArg {
    let handle = client.create_from_slice(bytemuck::cast_slice(values));
    // SAFETY: the handle was made from exactly this many values.
    unsafe { BufferArg::from_raw_parts(handle, values.len()) }
}

/// Numbers as a tensor `[n]` on the device of another.
pub(super) fn vector(beside: &CubeTensor, values: &[f32]) -> CubeTensor {
    let handle = beside.client.create_from_slice(bytemuck::cast_slice(values));
    CubeTensor::new_contiguous(
        beside.client.clone(),
        beside.device.clone(),
        Shape::new([values.len()]),
        handle,
        DType::F32,
    )
}
