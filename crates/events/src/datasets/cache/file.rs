//! The layout of a file of decoded recordings. All numbers are little endian.
//!
//! ```text
//!  0  "TKLEVENT"      8  u32 version, u32 0      16  32 bytes key
//! 48  u16 width, u16 height of the sensor, u32 0
//! 56  u64 recordings  64 u64 offset of index  72 u64 XXH3 of bytes 0..72 and of the index
//! 80  recordings: n × u64 time in µs, n × u16 x, n × u16 y, n × u8 polarity, zeros up to 8 bytes
//! …   index: for each recording u64 offset, u64 n, u64 XXH3 of its bytes without the zeros
//! ```

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use twox_hash::XxHash3_64;

use super::super::files;
use crate::problem::Problem;
use crate::source::{self, Bytes};
use crate::{Columns, Error, Recording, Result, Sensor};

/// Version of the layout.
pub const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"TKLEVENT";
/// Offset of the first recording: the size of the head in bytes.
pub const HEAD: u64 = 80;
/// Size of an event in bytes.
pub const EVENT: u64 = 13;
const REMEDY: &str = "delete the file, it is made anew";

/// The index entry of a recording.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Offset in the file.
    pub place: u64,
    /// Number of events.
    pub events: u64,
    /// XXH3 of the recording's bytes.
    pub checksum: u64,
}

/// The checksum of a recording or of the index.
pub fn checksum(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// Encodes the head of a file with this index at offset `place`.
pub fn head(key: &[u8; 32], sensor: Sensor, index: &[u8], place: u64) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend(VERSION.to_le_bytes());
    head.extend([0; 4]);
    head.extend(key);
    head.extend(sensor.width.to_le_bytes());
    head.extend(sensor.height.to_le_bytes());
    head.extend([0; 4]);
    head.extend((index.len() as u64 / 24).to_le_bytes());
    head.extend(place.to_le_bytes());
    head.extend((checksum(&head) ^ checksum(index)).to_le_bytes());
    head
}

/// Encodes the index.
pub fn index(entries: &[Entry]) -> Vec<u8> {
    entries.iter().flat_map(|e| [e.place, e.events, e.checksum]).flat_map(u64::to_le_bytes).collect()
}

/// Encodes a recording into `out`, without the zeros that pad it.
pub fn block(recording: &Recording, out: &mut Vec<u8>) {
    out.clear();
    out.reserve(recording.len() * EVENT as usize);
    out.extend(recording.t_us().iter().flat_map(|t| t.to_le_bytes()));
    out.extend(recording.x().iter().flat_map(|x| x.to_le_bytes()));
    out.extend(recording.y().iter().flat_map(|y| y.to_le_bytes()));
    out.extend(recording.on().iter().map(|&on| u8::from(on)));
}

/// An open file of recordings.
pub struct CacheFile {
    path: PathBuf,
    store: Store,
    index: Vec<Entry>,
}

enum Store {
    Mapped(Bytes),
    Read(File),
}

impl Store {
    fn get(&self, place: u64, len: u64) -> io::Result<Cow<'_, [u8]>> {
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let (start, len) = (usize::try_from(place), usize::try_from(len).map_err(|_| short())?);
        match self {
            Store::Mapped(bytes) => {
                let start = start.map_err(|_| short())?;
                let end = start.checked_add(len).ok_or_else(short)?;
                bytes.get(start..end).map(Cow::Borrowed).ok_or_else(short)
            }
            Store::Read(file) => {
                let mut bytes = vec![0; len];
                let mut done = 0;
                while done < len {
                    match files::read_at(file, &mut bytes[done..], place + done as u64)? {
                        0 => return Err(short()),
                        n => done += n,
                    }
                }
                Ok(Cow::Owned(bytes))
            }
        }
    }
}

impl CacheFile {
    /// Opens a file and verifies its head and index: the key, `n` recordings, the sensor, and the
    /// length of the file.
    pub fn open(path: &Path, key: &[u8; 32], n: usize, sensor: Sensor) -> Result<CacheFile> {
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let broken = |at, problem: Problem| Error::malformed(&path.display().to_string(), at, problem, REMEDY);
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let store = source::map_random(&file).map_or(Store::Read(file), Store::Mapped);
        let start = store.get(0, HEAD).map_err(io)?.into_owned();
        let place = u64::from_le_bytes(*start[64..].first_chunk().unwrap_or(&[0; 8]));
        if place < HEAD || Some(len) != (n as u64).checked_mul(24).and_then(|n| n.checked_add(place)) {
            return Err(broken(64, format!("an index of {n} recordings at byte {place} of a file of {len}").into()));
        }
        let bytes = store.get(place, len - place).map_err(io)?;
        // The head is a function of key, sensor, index and offset, so comparing all of it also
        // verifies the checksum of the index.
        if start != head(key, sensor, &bytes, place) {
            return Err(broken(0, "a cache of other samples, or a damaged one".into()));
        }
        let number = |b: &[u8], i: usize| u64::from_le_bytes(*b[8 * i..].first_chunk().unwrap_or(&[0; 8]));
        let entry = |b: &[u8]| Entry { place: number(b, 0), events: number(b, 1), checksum: number(b, 2) };
        let index = bytes.chunks_exact(24).map(entry).collect();
        drop(bytes);
        Ok(CacheFile { path: path.to_path_buf(), store, index })
    }

    /// Number of bytes that are mapped into memory.
    pub fn mapped(&self) -> u64 {
        match &self.store {
            Store::Mapped(bytes) => bytes.len() as u64,
            Store::Read(_) => 0,
        }
    }

    /// Reads recording `i` and verifies its checksum.
    pub fn recording(&self, i: usize, sensor: Sensor) -> Result<Recording> {
        let broken =
            |at, problem: &'static str| Error::malformed(&self.path.display().to_string(), at, problem, REMEDY);
        let entry = self.index.get(i).ok_or_else(|| broken(0, "no such recording"))?;
        let size = entry.events.checked_mul(EVENT).ok_or_else(|| broken(entry.place, "too many events"))?;
        let bytes = self.store.get(entry.place, size);
        let bytes = bytes.map_err(|source| Error::Io { path: self.path.clone(), source })?;
        if checksum(&bytes) != entry.checksum {
            return Err(broken(entry.place, "a recording with another checksum"));
        }
        let n = entry.events as usize;
        let (t_us, rest) = bytes.split_at(8 * n);
        let (x, rest) = rest.split_at(2 * n);
        let (y, on) = rest.split_at(2 * n);
        let wide = |b: &[u8]| b.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        let long = |b: &[u8]| u64::from_le_bytes(*b.first_chunk().unwrap_or(&[0; 8]));
        let events = Columns {
            t_us: t_us.chunks_exact(8).map(long).collect(),
            x: wide(x),
            y: wide(y),
            on: on.iter().map(|&p| p != 0).collect(),
        };
        Recording::from_columns(sensor, events).map(|(recording, _)| recording)
    }
}
