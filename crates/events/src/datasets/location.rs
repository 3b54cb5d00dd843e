//! The location of a recording: a file of its own, or a member of a zip archive.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::Archive;
use super::key::Key;
use crate::formats::{self, EventStream, ReadOptions};
use crate::{Result, source};

/// See the module.
#[derive(Clone)]
pub enum RecordingLocation {
    /// A file of its own.
    File(PathBuf),
    /// A member of an archive, by its index.
    Member(Arc<Archive>, usize),
}

impl RecordingLocation {
    /// The name in error messages.
    pub fn label(&self) -> String {
        match self {
            RecordingLocation::File(path) => path.display().to_string(),
            RecordingLocation::Member(archive, index) => archive.label(*index),
        }
    }

    /// The path of the file relative to the data set's folder or archive, with `/` as separator on
    /// every system.
    pub fn name_within(&self, root: &Path) -> String {
        match self {
            RecordingLocation::File(path) => {
                let inner = path.strip_prefix(root).unwrap_or(path);
                let words: Vec<_> = inner.iter().map(|w| w.to_string_lossy()).collect();
                words.join("/")
            }
            RecordingLocation::Member(archive, index) => archive.name(*index).to_string(),
        }
    }

    /// Reads the bytes, and returns them with the name for error messages.
    pub fn read(&self) -> Result<(Vec<u8>, String)> {
        match self {
            RecordingLocation::File(path) => Ok((source::read(path)?, self.label())),
            RecordingLocation::Member(archive, index) => Ok((archive.read(*index)?, self.label())),
        }
    }

    /// Decodes the events, in any format, gzipped or not.
    pub fn events(&self, options: &ReadOptions) -> Result<EventStream> {
        match self {
            RecordingLocation::File(path) => formats::read_with(path, options),
            RecordingLocation::Member(archive, index) => {
                let bytes = archive.read(*index)?;
                let label = self.label();
                let gz = source::is_gz(Path::new(&label)) || bytes.starts_with(&[0x1F, 0x8B, 8]);
                let bytes = if gz { source::gunzip(&bytes, &label)? } else { bytes };
                formats::decode_with(&bytes, &label, options)
            }
        }
    }

    /// Adds to `key` what differs if the recording has changed.
    pub fn add_to(&self, key: &mut Key) -> Result<()> {
        match self {
            RecordingLocation::File(path) => key.file(path),
            RecordingLocation::Member(archive, index) => {
                let (name, size, checksum) = archive.fingerprint(*index);
                archive.add_to(key)?;
                key.member(&name, size, checksum);
                Ok(())
            }
        }
    }
}
