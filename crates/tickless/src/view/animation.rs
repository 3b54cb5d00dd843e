//! Frames as an animated GIF: orange where it got brighter, blue where darker, on white.

use super::Frame;
use crate::progress::stop;
use crate::report::event_colours;
use anyhow::{Context, Result};
use gif::{Encoder, Frame as Image, Repeat};
use std::path::Path;
use tickless_files::NewFile;
use tickless_train::progress::Progress;

/// Steps of brightness of each polarity.
const LEVELS: usize = 8;
/// Small sensors are drawn larger, up to this width.
const WIDTH: usize = 320;
/// Viewers play nothing faster than this, in hundredths of a second.
const SHORTEST: u16 = 2;

/// Writes an animation that plays for `span_us`; the file appears when it is committed.
pub(super) fn write(
    path: &Path,
    frames: &[Frame],
    (width, height): (usize, usize),
    span_us: f64,
    progress: &dyn Progress,
) -> Result<NewFile> {
    let named = || path.display().to_string();
    let scale = (WIDTH / width.max(1)).clamp(1, 8);
    // A strip of one row may be wider than any GIF; a sensor is not.
    let size =
        |n: usize| u16::try_from(n * scale).with_context(|| format!("{}: {n} pixels are too many", path.display()));
    let (w, h) = (size(width)?, size(height)?);
    let mut file = NewFile::create(path).with_context(named)?;
    let mut encoder = Encoder::new(&mut file, w, h, &palette()).with_context(named)?;
    encoder.set_repeat(Repeat::Infinite).with_context(named)?;
    let delay = (span_us / 1e4 / frames.len().max(1) as f64).round().clamp(SHORTEST.into(), 500.0) as u16;
    let bright = f64::from(peak(frames));
    for frame in frames {
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
        let mut image = Image::from_indexed_pixels(w, h, pixels, None);
        image.delay = delay;
        encoder.write_frame(&image).with_context(named)?;
    }
    // The encoder writes the end of the file when it is given back its writer.
    encoder.into_inner().with_context(named)?;
    Ok(file)
}

/// White, then on and off from faint to full.
fn palette() -> Vec<u8> {
    let mut all = vec![255, 255, 255];
    for full in event_colours() {
        for level in 1..=LEVELS {
            let share = level as f64 / LEVELS as f64;
            all.extend(full.map(|v| (255.0 + (f64::from(v) - 255.0) * share).round() as u8));
        }
    }
    all
}

/// A high count, ignoring the few hottest pixels, which would leave everything else pale.
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
        write(&path, &frames, (3, 2), 400_000.0, &Silent).unwrap().commit().unwrap();
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
}
