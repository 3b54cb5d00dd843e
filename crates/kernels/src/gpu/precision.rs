//! In which precision convolutions compute: mixed precision, by one setting.
//!
//! Weights, membranes, norms and sums of gradients stay f32. A convolution's operands (values, weights,
//! gradients) are rounded on the way in; its result is of the same type and comes back as f32. Spikes and small
//! counts are exact in each of these types. `f16` is not offered: gradients fall below its smallest numbers
//! unless the loss is scaled, which nothing here does.

use crate::error::{Error, Result};
use burn::tensor::{DType, Device};
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;
use std::sync::OnceLock;

/// The type of a convolution's operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// As they are.
    F32,
    /// f32 in memory; the device may round to 16 bits where it multiplies.
    Flex32,
    /// The upper half of an f32, in memory too.
    Bf16,
}

impl Precision {
    /// From `TICKLESS_GPU_PRECISION` (`f32`, `flex32`, `bf16`); `f32` where it is not set.
    fn wanted() -> Result<Self> {
        Self::named(&std::env::var("TICKLESS_GPU_PRECISION").unwrap_or_default())
    }

    fn named(name: &str) -> Result<Self> {
        match name {
            "" | "f32" => Ok(Precision::F32),
            "flex32" => Ok(Precision::Flex32),
            "bf16" => Ok(Precision::Bf16),
            other => Err(Error::Setting(format!(
                "TICKLESS_GPU_PRECISION is `{other}`; known: f32, flex32, bf16 (f16 would need its loss scaled)"
            ))),
        }
    }

    /// What was wanted when a device was first asked for.
    pub(super) fn chosen() -> Self {
        static CHOSEN: OnceLock<Precision> = OnceLock::new();
        *CHOSEN.get_or_init(|| Self::wanted().unwrap_or(Precision::F32))
    }

    fn dtype(self) -> DType {
        match self {
            Precision::F32 => DType::F32,
            Precision::Flex32 => DType::Flex32,
            Precision::Bf16 => DType::BF16,
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
/// If it does not, or there is no such precision.
pub fn check(device: &Device) -> Result<()> {
    let wanted = Precision::wanted()?;
    match device.supports_dtype(wanted.dtype()) {
        true => Ok(()),
        false => Err(Error::Setting(format!(
            "TICKLESS_GPU_PRECISION: {} does not compute in {:?}; leave it unset for f32",
            device.identity().map_or_else(|| "this device".into(), |i| i.name),
            wanted.dtype()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precision_that_is_not_offered_is_refused_with_those_that_are() {
        for (name, precision) in [("", Precision::F32), ("flex32", Precision::Flex32), ("bf16", Precision::Bf16)] {
            assert_eq!(Precision::named(name).expect("is offered"), precision);
        }
        let refused = Precision::named("f16").expect_err("is not offered").to_string();
        assert!(refused.contains("`f16`") && refused.contains("bf16"), "{refused}");
    }
}
