//! Writes frames as an animated GIF: orange where it got brighter, blue where it got darker, on
//! white, with the time of each frame below it.

use super::Frame;
use super::digits;
use crate::progress::stop;
use crate::report::{event_colours, time_unit};
use anyhow::{Context, Result};
use gif::{Encoder, Frame as Image, Repeat};
use std::path::Path;
use tickless_files::NewFile;
use tickless_train::progress::Progress;

/// Levels of brightness per polarity.
const LEVELS: usize = 8;
/// A small sensor is enlarged to at most this width, in pixels.
const WIDTH: usize = 320;
/// Shortest delay of a frame that viewers respect, in hundredths of a second.
const SHORTEST: u16 = 2;

/// Rows below a frame for its time.
const STRIP: usize = digits::HEIGHT + 6;
/// Colour of the time: the last index of the palette.
const INK: u8 = 2 * LEVELS as u8 + 1;

/// Writes an animation of a recording that lasts `span_us` µs and plays `slow` times as long.
///
/// If the sensor is wide enough, each frame shows below it when it begins, counted from the first
/// event. The file appears when the caller commits it.
pub(super) fn write(
    path: &Path,
    frames: &[Frame],
    (width, height): (usize, usize),
    (span_us, slow): (f64, f64),
    progress: &dyn Progress,
) -> Result<NewFile> {
    let named = || path.display().to_string();
    let scale = (WIDTH / width.max(1)).clamp(1, 8);
    // A strip of one row may be wider than a GIF can be; a camera's sensor never is.
    let size =
        |n: usize| u16::try_from(n * scale).with_context(|| format!("{}: {n} pixels are too many", path.display()));
    let times: Vec<String> =
        (0..frames.len()).map(|k| time(span_us * k as f64 / frames.len() as f64, span_us, frames.len())).collect();
    let timed = times.iter().all(|t| digits::width(t) + 4 <= width * scale);
    let (w, image) = (size(width)?, size(height)?);
    let strip = if timed { STRIP as u16 } else { 0 };
    let h = image.checked_add(strip).with_context(|| format!("{}: {image} rows are too many", path.display()))?;
    let mut file = NewFile::create(path).with_context(named)?;
    let mut encoder = Encoder::new(&mut file, w, h, &palette()).with_context(named)?;
    encoder.set_repeat(Repeat::Infinite).with_context(named)?;
    let delay = (span_us * slow / 1e4 / frames.len().max(1) as f64).round().clamp(SHORTEST.into(), 500.0) as u16;
    let bright = f64::from(peak(frames));
    for (frame, time) in frames.iter().zip(&times) {
        stop(progress)?;
        let mut pixels = vec![0u8; usize::from(w) * usize::from(h)];
        for (i, [on, off]) in frame.iter().enumerate().filter(|(_, c)| c[0].max(c[1]) > 0) {
            let share = (f64::from(*on.max(off)) / bright).sqrt().min(1.0);
            let level = (share * LEVELS as f64).ceil() as u8;
            let colour = if on >= off { level } else { LEVELS as u8 + level };
            let (x, y) = (i % width * scale, i / width * scale);
            for row in 0..scale {
                pixels[(y + row) * usize::from(w) + x..][..scale].fill(colour);
            }
        }
        if timed {
            for (x, y) in digits::pixels(time) {
                pixels[(usize::from(image) + 3 + y) * usize::from(w) + 2 + x] = INK;
            }
        }
        let mut image = Image::from_indexed_pixels(w, h, pixels, None);
        image.delay = delay;
        encoder.write_frame(&image).with_context(named)?;
    }
    // The encoder writes the end of the file when it returns the writer.
    encoder.into_inner().with_context(named)?;
    Ok(file)
}

/// A time in the unit of the whole recording, with enough decimals to distinguish consecutive
/// frames.
fn time(us: f64, span_us: f64, frames: usize) -> String {
    let (unit, name) = time_unit(span_us);
    let step = span_us / unit / frames.max(1) as f64;
    let digits = (0..3).find(|d| step * 10f64.powi(*d) >= 1.0).unwrap_or(3) as usize;
    format!("{:.digits$} {name}", us / unit)
}

/// White, then the levels of on and of off from faint to full, then the grey of the time.
fn palette() -> Vec<u8> {
    let mut all = vec![255, 255, 255];
    for full in event_colours() {
        for level in 1..=LEVELS {
            let share = level as f64 / LEVELS as f64;
            all.extend(full.map(|v| (255.0 + (f64::from(v) - 255.0) * share).round() as u8));
        }
    }
    all.extend([0x5B, 0x64, 0x70]);
    all
}

/// The 98th percentile of the non-zero counts. The maximum would be set by a few hot pixels and
/// leave all others pale.
fn peak(frames: &[Frame]) -> u16 {
    let mut seen: Vec<u16> = frames.iter().flatten().map(|c| c[0].max(c[1])).filter(|c| *c > 0).collect();
    seen.sort_unstable();
    seen.get(seen.len() * 98 / 100).copied().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use tickless_train::progress::Silent;

    #[test]
    fn an_animation_reads_back_with_its_frames_and_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gif");
        let mut frames = vec![vec![[0u16; 2]; 6]; 4];
        (frames[0][0], frames[2][5]) = ([3, 0], [0, 1]);
        write(&path, &frames, (3, 2), (200_000.0, 2.0), &Silent).unwrap().commit().unwrap();
        let mut reader = gif::DecodeOptions::new().read_info(File::open(&path).unwrap()).unwrap();
        let (w, h) = (usize::from(reader.width()), usize::from(reader.height()));
        assert_eq!((w, h), (24, 16));
        let mut images = Vec::new();
        while let Some(f) = reader.read_next_frame().unwrap() {
            images.push((f.delay, f.buffer.to_vec()));
        }
        assert_eq!(images.iter().map(|i| i.0).collect::<Vec<_>>(), [10; 4]);
        let palette = palette();
        let colour = |frame: usize, x: usize, y: usize| {
            let i = usize::from(images[frame].1[y * w + x]);
            [palette[3 * i], palette[3 * i + 1], palette[3 * i + 2]]
        };
        let [on, off] = event_colours();
        assert_eq!((colour(0, 0, 0), colour(0, 23, 15)), (on, [255; 3]));
        assert!(colour(2, 23, 15)[2] > colour(2, 23, 15)[0], "{off:?}");
        assert_eq!(colour(1, 0, 0), [255; 3]);
    }

    #[test]
    fn every_frame_of_a_sensor_has_its_time_beneath_it() {
        assert_eq!(time(100_000.0, 300_000.0, 60), "100 ms");
        assert_eq!(time(2_500.0, 30_000.0, 60), "2.5 ms");
        assert_eq!(time(40e6, 160e6, 60), "40 s");
        assert_eq!(time(0.0, 20e6, 60), "0.0 s");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gif");
        let frames = vec![vec![[0u16; 2]; 34 * 34]; 3];
        write(&path, &frames, (34, 34), (300_000.0, 1.0), &Silent).unwrap().commit().unwrap();
        let mut reader = gif::DecodeOptions::new().read_info(File::open(&path).unwrap()).unwrap();
        let (w, h) = (usize::from(reader.width()), usize::from(reader.height()));
        assert_eq!((w, h), (272, 272 + STRIP));
        let mut strips = Vec::new();
        while let Some(f) = reader.read_next_frame().unwrap() {
            assert!(f.buffer[..272 * w].iter().all(|p| *p == 0), "the time hides nothing");
            strips.push(f.buffer[272 * w..].to_vec());
        }
        for (strip, text) in strips.iter().zip(["0 ms", "100 ms", "200 ms"]) {
            assert_eq!(strip.iter().filter(|p| **p == INK).count(), digits::pixels(text).count(), "{text}");
        }
        assert!(strips[0] != strips[1] && strips[1] != strips[2]);
    }
}
