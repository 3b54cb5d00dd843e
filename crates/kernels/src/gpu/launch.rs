//! Common parts of all kernel launches: contiguous tensors, memory for results, and the size of the
//! grid.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::ir::{AddressType, ElemType};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::ops::permute;
use burn_cubecl::tensor::CubeTensor;

/// The order of a sequence's axes in memory, with the time-and-batch axis first.
///
/// Burn's convolution returns a channels-first shape whose channels are innermost in memory. A
/// neuron does not depend on its neighbours, so neuron kernels keep the order in memory instead of
/// copying.
#[derive(Debug, Clone)]
pub(super) struct Layout(Vec<usize>);

impl Layout {
    /// The layout of a tensor: its axes sorted by descending stride.
    pub(super) fn of(tensor: &CubeTensor) -> Self {
        let strides = tensor.meta.strides();
        let mut inner: Vec<usize> = (1..strides.len()).collect();
        inner.sort_by_key(|&axis| std::cmp::Reverse(strides[axis]));
        Self(std::iter::once(0).chain(inner).collect())
    }

    /// Permutes the axes of `tensor` to this order and makes it contiguous.
    pub(super) fn arrange(&self, tensor: CubeTensor) -> CubeTensor {
        into_contiguous(permute(tensor, &self.0))
    }

    /// Permutes the axes back to the order before [`arrange`](Self::arrange). The values keep their
    /// places in memory.
    pub(super) fn restore(&self, tensor: CubeTensor) -> CubeTensor {
        let mut inverse = vec![0; self.0.len()];
        self.0.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
        permute(tensor, &inverse)
    }
}

/// Uninitialised memory for a tensor of the same shape and type.
pub(super) fn empty_like(tensor: &CubeTensor) -> CubeTensor {
    empty(tensor, tensor.meta.shape().clone(), tensor.dtype)
}

/// Uninitialised memory on the tensor's device.
pub(super) fn empty(tensor: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(tensor.client.clone(), tensor.device.clone(), shape, dtype)
}

/// A launch with one unit of the device per element of work.
pub(super) struct Launch {
    pub(super) client: Client,
    pub(super) units: usize,
    pub(super) address: AddressType,
    dtype: DType,
}

impl Launch {
    /// A launch of `units` units. `largest` is the largest tensor that the kernel addresses; it
    /// determines the address type.
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

/// Copies numbers to the device and returns the kernel argument.
pub(super) fn numbers<T: bytemuck::Pod>(client: &Client, values: &[T]) -> BufferArg {
    let handle = client.create_from_slice(bytemuck::cast_slice(values));
    // SAFETY: the handle was created from exactly this many values.
    unsafe { BufferArg::from_raw_parts(handle, values.len()) }
}

/// Numbers as a tensor `[n]` on the device of `beside`.
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
