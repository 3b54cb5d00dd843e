//! In which precision convolutions compute: mixed precision, by one setting.
//!
//! Weights, membranes, norms and sums of gradients stay f32. A convolution's operands (values, weights,
//! gradients) are rounded on the way in; its result is of the same type and comes back as f32. Spikes and small
//! counts are exact in each of these types.

use crate::error::{Error, Result};
use crate::options::{ComputeOptions, GpuPrecision};
use burn::tensor::{DType, Device};
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;

impl GpuPrecision {
    /// That of the program.
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

    /// An operand of a convolution.
    pub(super) fn round(self, tensor: CubeTensor) -> CubeTensor {
        // The tensor library's cast leaves an f32 an f32 where only its name changes.
        CubeTensor { dtype: self.dtype(), ..cast(tensor, self.dtype()) }
    }
}

/// A convolution's result.
pub(super) fn whole(tensor: CubeTensor) -> CubeTensor {
    CubeTensor { dtype: DType::F32, ..cast(tensor, DType::F32) }
}

/// Whether the device computes in the precision that is asked for.
///
/// # Errors
/// If it does not.
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
