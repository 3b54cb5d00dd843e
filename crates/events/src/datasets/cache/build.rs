//! Builds a cache file: all cores decode recordings, they are written in order, and the complete
//! file is renamed to its final name.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use tickless_files::NewFile;

use super::file::{self, Entry, HEAD};
use crate::datasets::{Dataset, Sample, Split};
use crate::progress::Progress;
use crate::{Error, Recording, Remedy, Result, Sensor};

/// Number of recordings that each thread decodes before they are written. It bounds the memory.
const RUN: usize = 8;

/// Writes the recordings of a part to `path`. After an error, no file remains.
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
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let mut out = NewFile::create(path).map_err(io)?;
    out.write_all(&[0; HEAD as usize]).map_err(io)?;
    let (mut entries, mut at, mut block) = (Vec::new(), HEAD, Vec::new());
    let n = data.len(split);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    progress.start(&format!("decode {split}"), n as u64, "recording");
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
    out.seek(SeekFrom::Start(0)).map_err(io)?;
    out.write_all(&file::head(key, sensor, &index, at)).map_err(io)?;
    // If another process has finished first, this replaces its file, which has the same content.
    out.commit().map_err(io)
}

/// Decodes the recordings of a range with several threads and returns them in order.
fn decode(data: &dyn Dataset, split: Split, range: std::ops::Range<usize>, sensor: Sensor) -> Result<Vec<Recording>> {
    let recording = |index| match data.sample(split, index)? {
        Sample::Events(recording) if recording.sensor() == sensor => Ok(recording),
        _ => {
            let what = format!("{}: sample {index} is no recording of {sensor} pixels", data.name());
            Err(Error::setting(what, Remedy::NO_CACHE))
        }
    };
    let all: Vec<usize> = range.collect();
    std::thread::scope(|scope| {
        let runs =
            all.chunks(RUN).map(|run| scope.spawn(|| run.iter().map(|&i| recording(i)).collect::<Result<Vec<_>>>()));
        let runs: Vec<_> = runs.collect();
        let mut recordings = Vec::new();
        for run in runs {
            recordings.extend(run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(recordings)
    })
}
