//! The device a run computes on: `cpu` (Burn's Flex backend). `cuda` and `wgpu` are known words
//! that are refused until the fused operators have kernels there.

use crate::error::{Error, Result};
pub use burn::tensor::Device;

/// Which device.
///
/// # Errors
/// If the name is unknown or this build lacks the backend; the message says how to get it.
pub fn device(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::flex()),
        "cuda" | "wgpu" => Err(Error::Setting(format!(
            "device `{name}` is not in this version: the fused neurons have no {name} kernels yet; use `--device cpu`"
        ))),
        other => Err(Error::Setting(format!(
            "unknown device `{other}`{}; known: cpu, cuda, wgpu",
            tickless_net::suggest::hint(other, ["cpu", "cuda", "wgpu"])
        ))),
    }
}
