//! The precision of convolutions on a GPU: mixed precision, selected by one option.
//!
//! Weights, membranes, norms and sums of gradients stay f32. The operands of a convolution (values,
//! weights, gradients) are rounded before it; its result has the same type and is converted back to
//! f32. Spikes and small counts are exact in each of these types.

use crate::error::{Error, Result};
use crate::options::{ComputeOptions, GpuPrecision};
use burn::tensor::{DType, Device};
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;

impl GpuPrecision {
    /// The precision that the program has installed.
    pub(super) fn chosen() -> Self {
        ComputeOptions::installed().gpu_precision
    }

    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Flex32 => DType::Flex32,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Rounds an operand of a convolution.
    pub(super) fn round(self, tensor: CubeTensor) -> CubeTensor {
        // Burn's cast does not change the type of an f32 tensor to Flex32, because both have the
        // same storage, so the type is set here.
        CubeTensor { dtype: self.dtype(), ..cast(tensor, self.dtype()) }
    }
}

/// Converts the result of a convolution to f32.
pub(super) fn whole(tensor: CubeTensor) -> CubeTensor {
    CubeTensor { dtype: DType::F32, ..cast(tensor, DType::F32) }
}

/// Checks that the device computes in the installed precision.
///
/// # Errors
/// If the device does not support it.
pub fn check(device: &Device) -> Result<()> {
    let wanted = GpuPrecision::chosen();
    match device.supports_dtype(wanted.dtype()) {
        true => Ok(()),
        false => {
            let device = device.identity().map_or_else(|| "this device".into(), |i| i.name);
            Err(Error::DevicePrecision { device, precision: wanted.as_str() })
        }
    }
}
