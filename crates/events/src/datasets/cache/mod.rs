//! A cache of decoded recordings, so that recordings are decoded only in the first epoch.
//!
//! [`open`] wraps any data set of recordings. Each part has one file in a folder that the user
//! chooses. The file is built when the data set is opened, and mapped into memory (feature `mmap`)
//! or else read at offsets. The user may delete it at any time.
//!
//! The name and the head of a file contain a [`Key`] of everything that its samples depend on: the
//! source files by path, size and modification time, the split, the sensor, and the version of this
//! crate. If any of these changes, the key and with it the file name changes, and the old file is
//! ignored. A truncated or damaged file is rebuilt: opening it verifies the head and the index, and
//! reading a recording verifies that recording. If the latter fails, the recording is decoded from
//! its source and the file is deleted. A file is written under a temporary name and then renamed,
//! so that two processes do not interfere and a killed process leaves no incomplete cache. See
//! `file` for the layout.

mod build;
mod file;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::key::Key;
use super::{Dataset, Description, Sample, SampleKind, Split, check_index};
use crate::formats::EventStream;
use crate::progress::Progress;
use crate::{Error, Remedy, Result, Sensor};
use file::{CacheFile, VERSION};

/// Version of the decoders' results. It must change whenever a decoder gives other events for the
/// same file.
const DECODING: u64 = 2;

/// Wraps a data set with a cache in `folder`, and builds the cache if it does not exist.
///
/// # Errors
/// [`Error::Setting`] for a data set of images, or one that does not know what its samples depend
/// on; [`Error::Io`] if the cache cannot be written; the error of a recording that cannot be
/// decoded; [`Error::Cancelled`].
pub fn open(inner: Box<dyn Dataset>, folder: &Path, progress: &dyn Progress) -> Result<Box<dyn Dataset>> {
    let name = inner.name().to_string();
    let SampleKind::Events(sensor) = inner.kind() else {
        let what = format!("a cache of recordings for data set `{name}`, which holds images");
        return Err(Error::setting(what, Remedy::NO_CACHE));
    };
    let mut parts = Vec::new();
    for split in [Split::Train, Split::Test] {
        let mut key = Key::default();
        key.text(env!("CARGO_PKG_VERSION")).number(VERSION.into()).number(DECODING).text(&name).text(split.as_str());
        key.number(sensor.width.into()).number(sensor.height.into()).number(inner.len(split) as u64);
        if !inner.sources(split, &mut key)? {
            let what = format!("data set `{name}` cannot say what its samples depend on, so they are not cached");
            return Err(Error::setting(what, Remedy::NO_CACHE));
        }
        let key = key.finish();
        let short: String = key[..8].iter().map(|b| format!("{b:02x}")).collect();
        let path = folder.join(format!("{name}-{split}-{short}.events"));
        let n = inner.len(split);
        let file = match CacheFile::open(&path, &key, n, sensor) {
            Ok(file) => file,
            // The file does not exist, or is damaged.
            Err(_) => {
                build::build(&*inner, split, sensor, &key, &path, progress)?;
                CacheFile::open(&path, &key, n, sensor)?
            }
        };
        parts.push(Part { path, file, damaged: AtomicBool::new(false) });
    }
    Ok(Box::new(Cached { inner, sensor, parts }))
}

/// A data set with a cache; see the module.
struct Cached {
    inner: Box<dyn Dataset>,
    sensor: Sensor,
    /// The training part, then the test part.
    parts: Vec<Part>,
}

struct Part {
    path: PathBuf,
    file: CacheFile,
    damaged: AtomicBool,
}

impl Dataset for Cached {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn kind(&self) -> SampleKind {
        SampleKind::Events(self.sensor)
    }

    fn classes(&self) -> usize {
        self.inner.classes()
    }

    fn class_names(&self) -> Vec<String> {
        self.inner.class_names()
    }

    fn len(&self, split: Split) -> usize {
        self.inner.len(split)
    }

    fn label(&self, split: Split, index: usize) -> usize {
        self.inner.label(split, index)
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        check_index(self, split, index)?;
        let part = &self.parts[usize::from(split == Split::Test)];
        match part.file.recording(index, self.sensor) {
            Ok(recording) => Ok(Sample::Events(recording)),
            Err(_) => {
                if !part.damaged.swap(true, Ordering::Relaxed) {
                    // The next run rebuilds the file. If it cannot be deleted, the next run detects
                    // the damage again.
                    let _ = std::fs::remove_file(&part.path);
                }
                self.inner.sample(split, index)
            }
        }
    }

    fn adjust(&self, events: &mut EventStream) {
        self.inner.adjust(events);
    }

    fn file(&self, split: Split, index: usize) -> Option<String> {
        self.inner.file(split, index)
    }

    fn sources(&self, split: Split, key: &mut Key) -> Result<bool> {
        self.inner.sources(split, key)
    }

    fn mapped_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.file.mapped()).sum()
    }

    fn describe(&self) -> Description {
        let mut description = self.inner.describe();
        let folder = self.parts.first().and_then(|p| p.path.parent()).unwrap_or(Path::new(""));
        description.notes.push(format!("decoded recordings are kept in {} (safe to delete)", folder.display()));
        description
    }
}
