//! A cache of decoded recordings, so that only the first epoch decodes.
//!
//! [`open`] puts it around any data set of recordings: a file for each part, in a folder of the
//! user's choice, made when the data set is opened and mapped into memory (feature `mmap`; else
//! read at positions). It is safe to delete at any time.
//!
//! The name and head of a file hold a [`Key`] of all that its samples depend on: the source files
//! by path, size and time of change, the split, the sensor, and the version of this crate. What
//! has changed gets another key and so another file; the old one is not looked at again. A file
//! that is truncated or damaged is made anew: the head and the index are checked when it is opened,
//! each recording when it is read (then it is decoded from its source, and the file is removed).
//! A file is written under another name and then renamed, so that two processes do not disturb
//! each other and a killed one leaves nothing that could be mistaken for a cache. See `file` for the layout.

mod build;
mod file;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::key::Key;
use super::{Dataset, Description, Sample, SampleKind, Split, check_index};
use crate::progress::Progress;
use crate::{Error, Result, Sensor};
use file::{CacheFile, VERSION};

/// Of what the decoders give: changes whenever they give other events for the same file.
const DECODING: u64 = 2;

/// Puts a cache in `folder` around a data set, and makes it if it is not there.
///
/// # Errors
/// [`Error::Setting`] for a data set of images, or one that cannot say what its samples depend on;
/// [`Error::Io`] when the cache cannot be written; what is wrong with a recording;
/// [`Error::Cancelled`].
pub fn open(inner: Box<dyn Dataset>, folder: &Path, progress: &dyn Progress) -> Result<Box<dyn Dataset>> {
    let name = inner.name().to_string();
    let SampleKind::Events(sensor) = inner.kind() else {
        let what = format!("a cache of recordings for data set `{name}`, which holds images");
        return Err(Error::setting(what, "remove `data.cache`"));
    };
    let mut parts = Vec::new();
    for split in [Split::Train, Split::Test] {
        let mut key = Key::default();
        key.text(env!("CARGO_PKG_VERSION")).number(VERSION.into()).number(DECODING).text(&name).text(split.name());
        key.number(sensor.width.into()).number(sensor.height.into()).number(inner.len(split) as u64);
        if !inner.sources(split, &mut key)? {
            let what = format!("data set `{name}` cannot say what its samples depend on, so they are not cached");
            return Err(Error::setting(what, "remove `data.cache`"));
        }
        let key = key.finish();
        let short: String = key[..8].iter().map(|b| format!("{b:02x}")).collect();
        let path = folder.join(format!("{name}-{}-{short}.events", split.name()));
        let n = inner.len(split);
        let file = match CacheFile::open(&path, &key, n, sensor) {
            Ok(file) => file,
            // Not there, or damaged.
            Err(_) => {
                build::build(&*inner, split, sensor, &key, &path, progress)?;
                CacheFile::open(&path, &key, n, sensor)?
            }
        };
        parts.push(Part { path, file, damaged: AtomicBool::new(false) });
    }
    Ok(Box::new(Cached { inner, sensor, parts }))
}

/// See the module.
struct Cached {
    inner: Box<dyn Dataset>,
    sensor: Sensor,
    /// Train, test.
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
                    // The next run makes it anew; if it cannot be removed, it finds the damage again.
                    let _ = std::fs::remove_file(&part.path);
                }
                self.inner.sample(split, index)
            }
        }
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
