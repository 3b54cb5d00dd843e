//! The device a run computes on.
//!
//! | name | build with | what it is | what runs there |
//! |---|---|---|---|
//! | `cpu` | always | Burn's Flex backend | the spike kernels of [`crate::kernels`] |
//! | `wgpu` | `--features wgpu` | the first GPU that Vulkan, Metal or DirectX 12 reaches | neuron, norm + neuron, TTM, pooling and SGD as kernels of their own, convolutions by Burn |
//! | `cuda` | `--features cuda` | the first Nvidia GPU | the same kernels, compiled by Nvidia's run-time compiler, opened when first used |
//!
//! Results of a GPU equal those of the CPU up to the order of additions; they are not bit-identical from run
//! to run. A software Vulkan device (SwiftShader) is a `wgpu` device like any other, and slow.

use crate::error::{Error, Result};
pub use burn::tensor::Device;

/// Which device.
///
/// # Errors
/// If the name is unknown, this build lacks the backend, or the machine has no such device; the message says
/// what to do.
pub fn device(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::flex()),
        "wgpu" => wgpu(),
        "cuda" => cuda(),
        other => Err(Error::Setting(format!(
            "unknown device `{other}`{}; known: cpu, cuda, wgpu",
            tickless_net::suggest::hint(other, ["cpu", "cuda", "wgpu"])
        ))),
    }
}

/// What the device calls itself.
pub fn name(device: &Device) -> String {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(identity) = device.identity() {
        return identity.name;
    }
    let _ = device;
    "cpu".into()
}

/// The device, if it computes in the precision that is asked for.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn fits(device: Device) -> Result<Device> {
    crate::kernels::gpu::precision::check(&device)?;
    Ok(device)
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Device> {
    use burn::tensor::{DeviceKind, DeviceType};
    if Device::enumerate(DeviceType::Wgpu).into_vec().is_empty() {
        return Err(Error::Setting(
            "device `wgpu`: no device that Vulkan, Metal or DirectX 12 reaches; install the GPU's driver, or use \
             `--device cpu`"
                .into(),
        ));
    }
    fits(Device::wgpu(DeviceKind::DefaultDevice))
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device> {
    use burn::tensor::{DeviceIndex, DeviceType};
    if Device::enumerate(DeviceType::Cuda).into_vec().is_empty() {
        return Err(Error::Setting(
            "device `cuda`: no Nvidia GPU with its driver (libcuda) was found; install the driver, or use \
             `--device cpu`"
                .into(),
        ));
    }
    fits(Device::cuda(DeviceIndex::Default))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<Device> {
    absent("wgpu")
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device> {
    absent("cuda")
}

#[cfg(not(all(feature = "wgpu", feature = "cuda")))]
fn absent(name: &str) -> Result<Device> {
    Err(Error::Setting(format!(
        "device `{name}` is not in this build: build with `--features {name}`, or use `--device cpu`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_built_in_or_not_there_is_refused_with_the_remedy() {
        for (name, built) in [("wgpu", cfg!(feature = "wgpu")), ("cuda", cfg!(feature = "cuda"))] {
            match device(name) {
                Ok(device) => assert!(built && super::name(&device) != "cpu"),
                Err(e) => {
                    let remedy = if built { "install" } else { "--features" };
                    assert!(e.to_string().contains(remedy), "{e}");
                    assert!(e.to_string().contains(name), "{e}");
                }
            }
        }
        assert_eq!(super::name(&device("cpu").expect("always there")), "cpu");
        assert!(device("cup").expect_err("no such device").to_string().contains("cpu"));
    }
}
