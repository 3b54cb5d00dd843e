//! Draws a recording: a picture of slices of time, and an animation.
//!
//! The file is read twice, chunk by chunk: first for its sensor and times, then for its counts.
//! Large sensors are reduced by adding up squares of pixels. Memory therefore depends neither on
//! the length of the recording nor on the size of the sensor.

mod animation;
mod channels;
mod digits;

use crate::progress::stop;
use crate::report::{InputSample, write_recording};
use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tickless_events::formats::{self, ReadOptions};
use tickless_events::info::Outside;
use tickless_events::{Columns, Sensor};
use tickless_train::progress::Progress;

/// Most pixels of a drawn frame.
const MOST_PIXELS: usize = 320 * 320;

/// The options of a drawing.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for the files.
    pub output: PathBuf,
    /// Frames of the animation.
    pub frames: usize,
    /// Ratio of the animation's duration to real time.
    pub slow: f64,
    /// The options of reading the file.
    pub read: ReadOptions,
}

/// The result of drawing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Name of the format.
    pub format: String,
    /// Width and height of the sensor: as the options or the file state it, else as large as its
    /// events need.
    pub sensor: [u16; 2],
    /// Events outside the sensor; they are not drawn.
    pub outside: Option<Outside>,
    /// Number of events.
    pub events: u64,
    /// Time from the earliest to the latest event, in µs.
    pub span_us: u64,
    /// The picture.
    #[serde(serialize_with = "crate::shown::path")]
    pub picture: PathBuf,
    /// The animation; none for samples of channels, which are not images.
    #[serde(serialize_with = "shown_path")]
    pub animation: Option<PathBuf>,
    /// Frames of the animation.
    pub frames: usize,
    /// Side of the square of sensor pixels that one drawn pixel shows.
    pub reduced: usize,
    /// For a file of samples (SHD): how many are drawn, and how many the file has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<[usize; 2]>,
}

/// The facts of the first pass over the recording.
struct Extent {
    format: String,
    sensor: Sensor,
    outside: Option<Outside>,
    events: u64,
    first_us: u64,
    last_us: u64,
}

/// Counts per pixel of one frame, `[y][x]`: on, off.
type Frame = Vec<[u16; 2]>;

/// Draws a recording as a picture and an animation, or samples of channels as rasters.
///
/// # Errors
/// If the file cannot be read or holds no event, or the user stops.
pub fn view(file: &Path, options: &Options, progress: &dyn Progress) -> Result<View> {
    if file.metadata().is_ok_and(|m| !m.is_file()) {
        bail!("{}: is no regular file, and a recording is read twice to be drawn; save it as a file", file.display());
    }
    if formats::open_with(file, &options.read)?.format() == formats::shd::FORMAT.name {
        return channels::view(file, options, progress);
    }
    let extent = extent(file, &options.read, progress)?;
    let (width, height) = (usize::from(extent.sensor.width), usize::from(extent.sensor.height));
    let mut by = 1;
    while width.div_ceil(by) * height.div_ceil(by) > MOST_PIXELS {
        by += 1;
    }
    let size = (width.div_ceil(by), height.div_ceil(by));
    let frames = count(file, &extent, (by, size), options, progress)?;
    let stem = folder(file, options)?;
    let animation = options.output.join(format!("{stem}.gif"));
    let span_us = extent.last_us - extent.first_us;
    let new = animation::write(&animation, &frames, size, (span_us as f64, options.slow), progress)?;
    let sample = InputSample {
        label: stem.clone(),
        width: size.0,
        height: size.1,
        frames,
        duration_us: span_us,
        events: extent.events as usize,
    };
    let picture = write_recording(&sample, &stem, &options.output)?;
    new.commit().with_context(|| animation.display().to_string())?;
    Ok(View {
        format: extent.format,
        sensor: [extent.sensor.width, extent.sensor.height],
        outside: extent.outside,
        events: extent.events,
        span_us,
        picture,
        animation: Some(animation),
        frames: options.frames,
        reduced: by,
        samples: None,
    })
}

fn shown_path<S: serde::Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => crate::shown::path(path, to),
        None => to.serialize_none(),
    }
}

/// Creates the folder of the pictures and returns their name without extension.
fn folder(file: &Path, options: &Options) -> Result<String> {
    std::fs::create_dir_all(&options.output)
        .map_err(|e| anyhow::anyhow!("{}: {e}; give another folder with `--output`", options.output.display()))?;
    Ok(file.file_stem().map_or_else(|| "recording".into(), |s| s.to_string_lossy().into_owned()))
}

fn extent(file: &Path, read: &ReadOptions, progress: &dyn Progress) -> Result<Extent> {
    let mut reader = formats::open_stoppable(file, read, progress)?;
    let mut chunk = Columns::new();
    let (mut events, mut first_us, mut last_us) = (0u64, u64::MAX, 0u64);
    let (mut needed, mut outside) = (Sensor { width: 0, height: 0 }, None);
    while reader.next(&mut chunk)? {
        stop(progress)?;
        if let Some(sensor) = reader.sensor() {
            Outside::add(&mut outside, sensor, &chunk, events);
        }
        events += chunk.len() as u64;
        first_us = chunk.t_us().iter().fold(first_us, |m, t| m.min(*t));
        last_us = chunk.t_us().iter().fold(last_us, |m, t| m.max(*t));
        let b = chunk.bounding();
        needed = Sensor { width: needed.width.max(b.width), height: needed.height.max(b.height) };
    }
    ensure!(events > 0, "{}: holds no events to draw", file.display());
    // The stated sensor takes precedence, because one stray event would otherwise enlarge the
    // picture so that the recording shrinks to a line.
    let sensor = reader.sensor().unwrap_or(needed);
    Ok(Extent { format: reader.format().to_owned(), sensor, outside, events, first_us, last_us })
}

fn count(
    file: &Path,
    extent: &Extent,
    (by, (width, height)): (usize, (usize, usize)),
    options: &Options,
    progress: &dyn Progress,
) -> Result<Vec<Frame>> {
    let frames = options.frames;
    let mut all = vec![vec![[0u16; 2]; width * height]; frames];
    let span = u128::from(extent.last_us - extent.first_us) + 1;
    let (mut reader, mut chunk) = (formats::open_stoppable(file, &options.read, progress)?, Columns::new());
    progress.start("view", extent.events, "event");
    while reader.next(&mut chunk)? {
        stop(progress)?;
        for e in chunk.iter() {
            // If the file grows while it is read, it may hold later events than in the first pass;
            // they are left out.
            let frame = (u128::from(e.t_us.saturating_sub(extent.first_us)) * frames as u128 / span) as usize;
            let (x, y) = (usize::from(e.x) / by, usize::from(e.y) / by);
            if let Some(cell) =
                all.get_mut(frame).filter(|_| extent.sensor.contains(e.x, e.y)).and_then(|f| f.get_mut(y * width + x))
            {
                let count = &mut cell[usize::from(!e.on)];
                *count = count.saturating_add(1);
            }
        }
        progress.advance(chunk.len() as u64, "");
    }
    progress.finish();
    Ok(all)
}
