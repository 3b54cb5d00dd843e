//! The conditions, besides its recipe, that determine the bits of a training.
//!
//! A checkpoint stores them, because a training that resumes under other conditions ends with other
//! weights than one that was never stopped. The number of threads is not a condition, because it
//! does not change any bit.

use super::machine::Machine;
use crate::data::Source;
use crate::device;
use crate::error::Result;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tickless_events::Split;
use tickless_events::datasets::Key;
use tickless_kernels::cpu::simd::detect;
use tickless_kernels::{KernelChoice, Precision};

/// Conditions by name, in words that a user can compare.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Conditions(BTreeMap<String, String>);

impl Conditions {
    /// The present conditions: these kernels on this device, this data set, the number of workers,
    /// this machine and this version.
    ///
    /// The files of the data set are identified by path, size and time of change; they are not
    /// read.
    ///
    /// # Errors
    /// If a file of the data set no longer exists.
    pub fn here(
        kernel: KernelChoice,
        precision: Precision,
        device: &Device,
        source: &Source,
        workers: usize,
    ) -> Result<Self> {
        let mut all = BTreeMap::new();
        let mut add = |name: &str, value: String| all.insert(name.to_owned(), value);
        add("version of Tickless", env!("CARGO_PKG_VERSION").to_owned());
        add("workers", workers.to_string());
        add("device", device::name(device));
        add("precision", precision.to_string());
        add("kernels", kernel.to_string());
        add("instructions", instructions());
        add("processor", Machine::here().cpu);
        for (part, split) in
            [("training part of the data set", Split::Train), ("test part of the data set", Split::Test)]
        {
            if let Some(identity) = identity(source, split)? {
                add(part, identity);
            }
        }
        Ok(Self(all))
    }

    /// Whether no condition is recorded, as in a checkpoint of format version 1.
    pub fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares with the conditions `now`: one text per difference, empty if all are equal.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        if self.is_unknown() {
            return vec!["an earlier version wrote the checkpoint and did not say under which".to_owned()];
        }
        let names = self.0.keys().chain(now.0.keys().filter(|name| !self.0.contains_key(*name)));
        let value = |of: &Self, name: &str| of.0.get(name).cloned().unwrap_or_else(|| "unknown".to_owned());
        names
            .map(|name| (name, value(self, name), value(now, name)))
            .filter(|(_, then, now)| then != now)
            .map(|(name, then, now)| format!("{name}: {then} then, {now} now"))
            .collect()
    }
}

/// The instruction set of the kernels, and those that the underlying libraries may detect.
fn instructions() -> String {
    let mut found: Vec<&str> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let all = [
            ("avx2", is_x86_feature_detected!("avx2")),
            ("fma", is_x86_feature_detected!("fma")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
            ("avx512bw", is_x86_feature_detected!("avx512bw")),
            ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
            ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
        ];
        found.extend(all.iter().filter(|(_, there)| *there).map(|(name, _)| *name));
    }
    let found = if found.is_empty() { String::new() } else { format!(" with {}", found.join(" ")) };
    format!("{:?} on {}{found}", detect(), std::env::consts::ARCH).to_lowercase()
}

/// A digest of the files and settings of a part's samples; `None` if the data set cannot name them.
fn identity(source: &Source, split: Split) -> Result<Option<String>> {
    let data = source.dataset();
    let mut key = Key::default();
    if !data.sources(split, &mut key)? {
        return Ok(None);
    }
    let digest: String = key.finish()[..8].iter().map(|b| format!("{b:02x}")).collect();
    Ok(Some(format!("{} samples of files with digest {digest}", data.len(split))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(all: &[(&str, &str)]) -> Conditions {
        Conditions(all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn differences_are_named_with_both_values_also_where_one_side_says_nothing() {
        let then = conditions(&[("precision", "f32"), ("workers", "1"), ("gone", "x")]);
        let now = conditions(&[("precision", "bf16"), ("workers", "1"), ("new", "y")]);
        let expected = ["gone: x then, unknown now", "precision: f32 then, bf16 now", "new: unknown then, y now"];
        assert_eq!(then.differences(&now), expected);
        assert!(then.differences(&then).is_empty());
        let unknown = Conditions::default().differences(&now);
        assert!(unknown.len() == 1 && !unknown[0].contains("bf16"), "one line that compares nothing: {unknown:?}");
    }
}
