//! Making a file of recordings: decoded by all cores, written in order, renamed when whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::file::{self, Entry, HEAD};
use crate::datasets::{Dataset, Sample, Split};
use crate::progress::Progress;
use crate::{Error, Recording, Result, Sensor};

/// Recordings that a thread decodes before the next are written; bounds the memory.
const RUN: usize = 8;
/// What a killed process has left is removed after this time.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes the recordings of a part to `path`. Nothing is left behind on an error.
pub fn build(
    data: &dyn Dataset,
    split: Split,
    sensor: Sensor,
    key: &[u8; 32],
    path: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.to_path_buf(), source })?;
    sweep(folder);
    let temporary = Temporary(unique(path));
    let io = |source| Error::Io { path: temporary.0.clone(), source };
    let mut out = BufWriter::with_capacity(1 << 20, File::create_new(&temporary.0).map_err(io)?);
    out.write_all(&[0; HEAD as usize]).map_err(io)?;
    let (mut entries, mut at, mut block) = (Vec::new(), HEAD, Vec::new());
    let n = data.len(split);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    progress.start(&format!("decode {}", split.name()), n as u64, "recording");
    for start in (0..n).step_by(RUN * threads) {
        if progress.cancelled() {
            return Err(Error::Cancelled { what: "filling the cache of recordings".into() });
        }
        let end = n.min(start + RUN * threads);
        for recording in decode(data, split, start..end, sensor)? {
            file::block(&recording, &mut block);
            entries.push(Entry { place: at, events: recording.len() as u64, checksum: file::checksum(&block) });
            block.resize(block.len().next_multiple_of(8), 0);
            out.write_all(&block).map_err(io)?;
            at += block.len() as u64;
        }
        progress.advance((end - start) as u64, "");
    }
    progress.finish();
    let index = file::index(&entries);
    out.write_all(&index).map_err(io)?;
    let finish = |mut out: BufWriter<File>| {
        out.seek(SeekFrom::Start(0))?;
        out.write_all(&file::head(key, sensor, &index, at))?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    };
    finish(out).map_err(io)?;
    // Another process may have been faster; its file is as good.
    fs::rename(&temporary.0, path).map_err(|source| Error::Io { path: path.to_path_buf(), source })
}

/// The recordings of a range, in order, decoded by several threads.
fn decode(data: &dyn Dataset, split: Split, range: std::ops::Range<usize>, sensor: Sensor) -> Result<Vec<Recording>> {
    let one = |index| match data.sample(split, index)? {
        Sample::Events(recording) if recording.sensor() == sensor => Ok(recording),
        _ => {
            let what = format!("{}: sample {index} is no recording of {sensor} pixels", data.name());
            Err(Error::setting(what, "remove `data.cache`"))
        }
    };
    let all: Vec<usize> = range.collect();
    std::thread::scope(|scope| {
        let runs = all.chunks(RUN).map(|run| scope.spawn(|| run.iter().map(|&i| one(i)).collect::<Result<Vec<_>>>()));
        let runs: Vec<_> = runs.collect();
        let mut recordings = Vec::new();
        for run in runs {
            recordings.extend(run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(recordings)
    })
}

/// A name beside `path` that no other thread or process has.
fn unique(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}-{count}.part", std::process::id()))
}

/// Removes the file when it has not been renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Removes what killed processes have left.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let left = name.starts_with('.') && name.ends_with(".part") && name.contains(".events.");
        let changed = entry.metadata().and_then(|m| m.modified());
        if left && changed.is_ok_and(|t| t.elapsed().is_ok_and(|age| age > STALE)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
