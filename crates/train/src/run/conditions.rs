//! The conditions, besides its recipe, that determine the bits of a training.
//!
//! A checkpoint stores them, because a training that resumes under other conditions ends with other
//! weights than one that was never stopped. The number of threads is not a condition, because it
//! does not change any bit.

use super::machine::Machine;
use crate::data::Source;
use crate::device;
use crate::error::Result;
use crate::progress::Progress;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tickless_events::Split;
use tickless_events::datasets::{Comparison, Identity, Key};
use tickless_kernels::cpu::simd::detect;
use tickless_kernels::{KernelChoice, Precision};

/// Conditions by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Conditions(BTreeMap<String, Condition>);

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Condition {
    /// In words that a user can compare.
    Words(String),
    /// The files of a part of the data set.
    Files(Identity),
}

/// What differs between the conditions of a checkpoint and the present ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// The differences that change the bits of the result, one text each.
    pub decisive: Vec<String>,
    /// The differences that probably change nothing.
    pub harmless: Vec<String>,
}

impl Conditions {
    /// The present conditions: these kernels on this device, this data set, the number of workers,
    /// this machine and this version.
    ///
    /// The files of the data set are read for this ([`Identity`]); `progress` shows that if they are
    /// large.
    ///
    /// # Errors
    /// If a file of the data set no longer exists, or the user stops.
    pub fn here(
        kernel: KernelChoice,
        precision: Precision,
        device: &Device,
        source: &Source,
        workers: usize,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut all = BTreeMap::new();
        let mut add = |name: &str, value: String| all.insert(name.to_owned(), Condition::Words(value));
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
            let mut key = Key::default();
            if source.dataset().sources(split, &mut key)? {
                all.insert(part.to_owned(), Condition::Files(key.identify(progress)?));
            }
        }
        Ok(Self(all))
    }

    /// Whether no condition is recorded, as in a checkpoint of format version 1.
    pub fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares with the conditions `now`.
    pub fn differences(&self, now: &Self) -> Differences {
        let mut found = Differences::default();
        if self.is_unknown() {
            found.decisive = vec!["an earlier version wrote the checkpoint and did not say under which".to_owned()];
            return found;
        }
        let names = self.0.keys().chain(now.0.keys().filter(|name| !self.0.contains_key(*name)));
        for name in names {
            let text = match (self.0.get(name), now.0.get(name)) {
                (Some(Condition::Files(then)), Some(Condition::Files(now))) => match (then.compare(now), then, now) {
                    (Comparison::Same, ..) => continue,
                    (Comparison::Moved, ..) => {
                        found.harmless.push(format!("{name}: {}", moved(now)));
                        continue;
                    }
                    (other, then, now) => difference(other, then, now),
                },
                (then, now) if then == now => continue,
                (then, now) => format!("{} then, {} now", in_words(then), in_words(now)),
            };
            found.decisive.push(format!("{name}: {text}"));
        }
        found
    }
}

/// The words for a condition that one side lacks or states in another form.
fn in_words(condition: Option<&Condition>) -> String {
    match condition {
        None => "unknown".to_owned(),
        Some(Condition::Words(words)) => words.clone(),
        Some(Condition::Files(files)) => amount(files),
    }
}

fn amount(files: &Identity) -> String {
    let s = if files.files == 1 { "" } else { "s" };
    format!("{} file{s} of {} bytes in all", files.files, files.bytes)
}

/// The words for files that are probably the same.
fn moved(now: &Identity) -> String {
    let read = now.bytes.saturating_sub(now.unread).div_ceil(1_000_000);
    let of = now.bytes.div_ceil(1_000_000);
    format!(
        "paths or times of change of the {} files differ; names, sizes and the {read} of {of} MB that were compared \
         are the same, as after a copy",
        now.files
    )
}

/// The words for files or settings that differ, with the remedy if it is not to restore the files.
fn difference(comparison: Comparison, then: &Identity, now: &Identity) -> String {
    let both = |what: &str, then: &str, now: &str| format!("{what} (digest {then} then, {now} now)");
    match comparison {
        Comparison::Amount => format!("{} then, {} now", amount(then), amount(now)),
        Comparison::Names => both(
            "as many files and bytes as then, but other names, sizes or checksums of files",
            &then.names,
            &now.names,
        ),
        Comparison::Content => {
            both("names and sizes of the files are the same, but not their bytes", &then.content, &now.content)
        }
        _ => both("the files are the same, but read with other settings", &then.settings, &now.settings),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use std::path::Path;

    fn conditions(all: &[(&str, &str)]) -> Conditions {
        Conditions(all.iter().map(|(k, v)| ((*k).to_owned(), Condition::Words((*v).to_owned()))).collect())
    }

    #[test]
    fn differences_are_named_with_both_values_also_where_one_side_says_nothing() {
        let then = conditions(&[("precision", "f32"), ("workers", "1"), ("gone", "x")]);
        let now = conditions(&[("precision", "bf16"), ("workers", "1"), ("new", "y")]);
        let expected = ["gone: x then, unknown now", "precision: f32 then, bf16 now", "new: unknown then, y now"];
        assert_eq!(then.differences(&now).decisive, expected);
        assert_eq!(then.differences(&then), Differences::default());
        let unknown = Conditions::default().differences(&now).decisive;
        assert!(unknown.len() == 1 && !unknown[0].contains("bf16"), "one line that compares nothing: {unknown:?}");
    }
    /// The conditions with the files of a folder, which were read whole or in part.
    fn of_files(folder: &Path) -> Conditions {
        let mut key = Key::default();
        key.file(&folder.join("a")).unwrap();
        let files = key.identify(&Silent).unwrap();
        Conditions(BTreeMap::from([("part".to_owned(), Condition::Files(files))]))
    }

    #[test]
    fn each_difference_of_files_is_named_and_a_copy_is_none() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["here", "there"].map(|name| root.path().join(name));
        for folder in &folders {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("a"), "abc").unwrap();
        }
        let [here, there] = folders;
        let then = of_files(&here);
        assert_eq!(then.differences(&of_files(&there)), Differences::default(), "a copy in another folder");
        let only = |then: &Conditions| {
            let found = then.differences(&of_files(&there)).decisive;
            assert_eq!(found.len(), 1, "{found:?}");
            found[0].clone()
        };
        std::fs::write(there.join("a"), "abd").unwrap();
        let text = only(&then);
        let content = |of: &Conditions| match &of.0["part"] {
            Condition::Files(files) => files.content.clone(),
            Condition::Words(words) => panic!("{words}"),
        };
        let (before, after) = (content(&then), content(&of_files(&there)));
        assert_ne!(before, after);
        assert!(text.contains(&before) && text.contains(&after), "{text}");
        std::fs::write(there.join("a"), "abcd").unwrap();
        assert_eq!(only(&then), "part: 1 file of 3 bytes in all then, 1 file of 4 bytes in all now");
        // As an earlier version recorded files.
        let text = only(&conditions(&[("part", "1 samples of files with digest 00")]));
        assert_eq!(text, "part: 1 samples of files with digest 00 then, 1 file of 4 bytes in all now");
    }

    #[test]
    fn conditions_come_back_from_the_form_in_which_a_checkpoint_stores_them() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a"), "abc").unwrap();
        for then in [of_files(root.path()), conditions(&[("precision", "f32")])] {
            let text = serde_json::to_string(&then).unwrap();
            assert_eq!(serde_json::from_str::<Conditions>(&text).unwrap(), then, "{text}");
        }
    }
}
