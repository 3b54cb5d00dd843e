//! Selects the device that a run computes on.
//!
//! | name | build with | what it is | what runs there |
//! |---|---|---|---|
//! | `cpu` | always | Burn's Flex backend | the spike kernels of [`tickless_kernels`] |
//! | `wgpu` | `--features wgpu` | the first GPU that Vulkan, Metal or DirectX 12 reaches | neuron, norm + neuron, TTM, pooling and SGD as kernels of their own, convolutions by Burn |
//! | `cuda` | `--features cuda` | the first Nvidia GPU | the same kernels, compiled by Nvidia's run-time compiler, opened when first used |
//!
//! If a machine has several devices of a kind, `cuda:1` or `wgpu:1` names the second one, and each
//! worker of a training uses its own ([`devices`]). Burn's own distributed training works on CUDA
//! only; [`crate::distributed`] sums on the host in rank order, which works on every backend.
//!
//! Results of a GPU equal those of the CPU except for the order of additions, and they are not
//! bit-identical from run to run. A software Vulkan device (SwiftShader) works as a slow `wgpu`
//! device.

use crate::error::{Error, Result};
pub use burn::tensor::Device;
use std::fmt;
use tickless_words::{UnknownWord, words};

/// Opens a device by name: a kind (`cpu`, `wgpu`, `cuda`), or a kind with a number (`cuda:1`).
///
/// # Errors
/// If the kind or number is unknown, several devices are named, this build lacks the backend, or
/// the machine has no such device; the message lists the devices or gives the remedy.
pub fn device(name: &str) -> Result<Device> {
    if name.contains(',') {
        return Err(Error::SeveralDevices { devices: name.to_owned() });
    }
    Name::parse(name)?.open()
}

/// Opens one device for each of `workers` workers of this process: those that `names` lists
/// (`cuda:0,cuda:1`), or the first ones of one kind (`cuda`). All workers share the CPU.
///
/// # Errors
/// As [`device`], or if the number of devices is not the number of workers, two are of different
/// kinds, or one is named twice.
pub fn devices(names: &str, workers: usize) -> Result<Vec<Device>> {
    Name::of_workers(names, workers)?.into_iter().map(Name::open).collect()
}

/// Number of workers that a list of devices implies: one for each name.
pub fn listed(names: &str) -> usize {
    names.split(',').count()
}

/// Kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cpu,
    Wgpu,
    Cuda,
}

words!(Kind, "device", { Cpu = "cpu", Cuda = "cuda", Wgpu = "wgpu" });

/// A device as the user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    kind: Kind,
    /// Number among the devices of its kind; if `None`, the backend chooses.
    index: Option<usize>,
}

impl Name {
    fn parse(name: &str) -> Result<Self> {
        let refuse = |problem: String| Err(Error::Device { device: name.to_owned(), problem });
        let (kind, index) = name.split_once(':').map_or((name, None), |(kind, index)| (kind, Some(index)));
        let Ok(kind) = kind.parse::<Kind>() else {
            let known = Kind::WORDS.iter().map(|k| k.0).chain(["cuda:1"]).collect();
            return Err(UnknownWord::new("device", name, known).into());
        };
        match index.map(str::parse) {
            None => Ok(Self { kind, index: None }),
            Some(_) if kind == Kind::Cpu => refuse("the CPU is one device; it has no number".into()),
            Some(Ok(index)) => Ok(Self { kind, index: Some(index) }),
            Some(Err(_)) => refuse(format!("a device of several is named by its number, e.g. `{kind}:0`")),
        }
    }

    fn of_workers(names: &str, workers: usize) -> Result<Vec<Self>> {
        let refuse = |problem: String| Err(Error::Device { device: names.to_owned(), problem });
        let all = names.split(',').map(|n| Self::parse(n.trim())).collect::<Result<Vec<_>>>()?;
        match all.as_slice() {
            [one] if one.kind == Kind::Cpu || workers == 1 => Ok(vec![*one; workers]),
            [Self { kind, index: None }] => {
                Ok((0..workers).map(|index| Self { kind: *kind, index: Some(index) }).collect())
            }
            _ if all.len() != workers => {
                refuse(format!("names {} for {workers} workers: name one device for each, or only the kind", all.len()))
            }
            [first, ..] if all.iter().any(|n| n.kind != first.kind) => {
                refuse("name devices of one kind, so that their workers' weights stay equal to the bit".to_owned())
            }
            _ => match all.iter().enumerate().find(|(i, n)| all[..*i].contains(n)) {
                Some((_, twice)) => {
                    refuse(format!("`{twice}` stands there twice; every worker has a device of its own"))
                }
                None => Ok(all),
            },
        }
    }

    fn open(self) -> Result<Device> {
        match self.kind {
            Kind::Cpu => Ok(Device::flex()),
            Kind::Wgpu => wgpu(self),
            Kind::Cuda => cuda(self),
        }
    }

    /// The index in a list of `there` devices of this kind; `None` if the backend chooses.
    ///
    /// # Errors
    /// If the list is empty (`remedy` says why) or has no such index; the message lists the
    /// devices.
    #[cfg_attr(not(any(feature = "wgpu", feature = "cuda")), allow(dead_code, reason = "a GPU's devices are counted"))]
    fn among(self, there: usize, called: impl Fn(usize) -> String, remedy: &str) -> Result<Option<usize>> {
        let refuse = |problem: String| Err(Error::Device { device: self.to_string(), problem });
        match self.index {
            _ if there == 0 => refuse(format!("{remedy}, or use the device `cpu`")),
            Some(index) if index >= there => {
                let kind = self.kind;
                let all: Vec<String> = (0..there).map(|i| format!("{kind}:{i} ({})", called(i))).collect();
                refuse(format!("this machine has {}", all.join(", ")))
            }
            index => Ok(index),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        self.index.map_or(Ok(()), |index| write!(f, ":{index}"))
    }
}

/// The device's own name.
pub fn name(device: &Device) -> String {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(identity) = device.identity() {
        return identity.name;
    }
    let _ = device;
    "cpu".into()
}

/// Returns the device if it supports the requested precision.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn fits(device: Device) -> Result<Device> {
    tickless_kernels::gpu::check_precision(&device)?;
    Ok(device)
}

#[cfg(feature = "wgpu")]
fn wgpu(wanted: Name) -> Result<Device> {
    use burn::tensor::{DeviceKind, DeviceType};
    let remedy = "no device that Vulkan, Metal or DirectX 12 reaches; install the GPU's driver";
    let all = Device::enumerate(DeviceType::Wgpu).into_vec();
    let index = wanted.among(all.len(), |i| name(&all[i]), remedy)?;
    fits(index.map_or_else(|| Device::wgpu(DeviceKind::DefaultDevice), |i| all[i].clone()))
}

#[cfg(feature = "cuda")]
fn cuda(wanted: Name) -> Result<Device> {
    use burn::tensor::{DeviceIndex, DeviceType};
    let remedy = "no Nvidia GPU with its driver (libcuda) was found; install the driver";
    let all = Device::enumerate(DeviceType::Cuda).into_vec();
    let index = wanted.among(all.len(), |i| name(&all[i]), remedy)?;
    fits(Device::cuda(index.map_or(DeviceIndex::Default, DeviceIndex::Specified)))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(wanted: Name) -> Result<Device> {
    absent(wanted)
}

#[cfg(not(feature = "cuda"))]
fn cuda(wanted: Name) -> Result<Device> {
    absent(wanted)
}

#[cfg(not(all(feature = "wgpu", feature = "cuda")))]
fn absent(wanted: Name) -> Result<Device> {
    Err(Error::NotInBuild { device: wanted.to_string(), feature: wanted.kind.as_str() })
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
                    let remedy = if built { "install" } else { "lacks the feature" };
                    assert!(e.to_string().contains(remedy), "{e}");
                    assert!(e.to_string().contains(name), "{e}");
                }
            }
        }
        assert_eq!(super::name(&device("cpu").expect("always there")), "cpu");
        assert!(device("cup").expect_err("no such device").to_string().contains("cpu"));
    }

    fn said<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.expect_err("is refused").to_string()
    }

    #[test]
    fn a_device_of_several_is_named_by_its_number() {
        let name = |kind, index| Name { kind, index };
        assert_eq!(Name::parse("cuda:1").unwrap(), name(Kind::Cuda, Some(1)));
        assert_eq!(Name::parse("wgpu").unwrap(), name(Kind::Wgpu, None));
        for (text, word) in [("cuda:", "cuda:0"), ("cuda:-1", "cuda:0"), ("wgpu:one", "wgpu:0"), ("cpu:0", "`cpu:0`")] {
            assert!(said(Name::parse(text)).contains(word), "{text}");
        }
        assert!(said(Name::parse("cudo:1")).contains("`cuda:1`"));
        let several = device("cuda:0,cuda:1").expect_err("two devices");
        assert!(matches!(&several, Error::SeveralDevices { devices } if devices == "cuda:0,cuda:1"), "{several}");
        let there = |i: usize| format!("card {i}");
        assert_eq!(Name::parse("cuda:1").unwrap().among(2, there, "none").unwrap(), Some(1));
        assert_eq!(Name::parse("cuda").unwrap().among(2, there, "none").unwrap(), None);
        let e = said(Name::parse("cuda:2").unwrap().among(2, there, "none"));
        assert_eq!(e, "device `cuda:2`: this machine has cuda:0 (card 0), cuda:1 (card 1)");
        assert!(said(Name::parse("cuda:2").unwrap().among(0, there, "NOTHING")).contains("NOTHING"));
    }

    #[test]
    fn every_worker_has_a_device_of_its_own_but_for_the_cpu() {
        let names_of_workers = |names: &str, workers| {
            Name::of_workers(names, workers).map(|all| all.iter().map(Name::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(names_of_workers("cuda:0,cuda:2", 2).unwrap(), "cuda:0 cuda:2");
        assert_eq!(names_of_workers("cuda", 3).unwrap(), "cuda:0 cuda:1 cuda:2");
        assert_eq!(names_of_workers("cuda", 1).unwrap(), "cuda");
        assert_eq!(names_of_workers("wgpu:1", 1).unwrap(), "wgpu:1");
        assert_eq!(names_of_workers("cpu", 2).unwrap(), "cpu cpu");
        assert_eq!(devices("cpu", 2).unwrap(), [Device::flex(), Device::flex()]);
        for (names, workers, word) in [
            ("cuda:0,cuda:1", 3, "one device for each"),
            ("cuda:1", 2, "one device for each"),
            ("cuda:0,cuda:0", 2, "twice"),
            ("cuda:0,wgpu:1", 2, "one kind"),
        ] {
            assert!(said(names_of_workers(names, workers)).contains(word), "{names}");
        }
        assert_eq!((listed("cpu"), listed("cuda:0,cuda:1")), (1, 2));
    }
}
