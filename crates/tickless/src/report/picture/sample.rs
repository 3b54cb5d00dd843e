//! What the network sees: one recording, counted per pixel, and its course in time.

use std::collections::BTreeMap;

use super::axes::LABEL;
use super::{Align, Ink, Picture, Rect};
use crate::report::data::{InputSample, ReportData};
use crate::report::format::{count, decimal};

const WIDTH: f64 = 960.0;
const LARGE: f64 = 300.0;
const SLICES: usize = 10;
/// Slices in a row.
const ROW: usize = 5;
/// Steps of brightness.
const LEVELS: f64 = 8.0;
/// Pixels beyond which neighbours are added up, so that the page stays small.
const MOST_PIXELS: usize = 20_000;

pub(crate) fn picture(data: &ReportData) -> Option<Picture> {
    let sample = data.sample.as_ref()?;
    if sample.frames.is_empty() || sample.width == 0 || sample.height == 0 {
        return None;
    }
    let grid = Grid::of(sample)?;
    let aspect = grid.height as f64 / grid.width as f64;
    let (large_width, large_height) = if aspect <= 1.0 { (LARGE, LARGE * aspect) } else { (LARGE / aspect, LARGE) };
    let (large_width, large_height) = (large_width.max(8.0), large_height.max(8.0));
    let slices = slices(sample.frames.len());
    let mut picture =
        Picture::new("input", "One input recording", WIDTH, (40.0 + large_height.max(250.0) + 40.0).ceil());
    let whole = grid.sum(sample, 0..sample.frames.len());
    let place = (24.0, 40.0, large_width, large_height);
    picture.text((24.0, 22.0), "all events", LABEL, Ink::SOFT, Align::Left);
    grid.draw(&mut picture, &whole, peak(&whole), place);
    if slices > 1 {
        let left = 24.0 + LARGE + 44.0;
        let cell = (WIDTH - left - 24.0 + 14.0) / ROW as f64;
        let (w, h) = ((cell - 14.0).min(110.0), (cell - 14.0).min(110.0));
        let (w, h) = if aspect <= 1.0 { (w, (h * aspect).max(4.0)) } else { ((w / aspect).max(4.0), h) };
        let counts: Vec<Vec<[u32; 2]>> = (0..slices)
            .map(|s| grid.sum(sample, s * sample.frames.len() / slices..(s + 1) * sample.frames.len() / slices))
            .collect();
        let brightest = counts.iter().map(|c| peak(c)).max().unwrap_or(1);
        for (slice, counts) in counts.iter().enumerate() {
            let (x, y) = (left + cell * (slice % ROW) as f64, 40.0 + (h + 44.0) * (slice / ROW) as f64);
            let from = |s: usize| (s * sample.frames.len() / slices) as f64 / sample.frames.len() as f64;
            let ms = |share: f64| decimal(share * sample.duration_us as f64 / 1e3, 0);
            let text = format!("{}–{} ms", ms(from(slice)), ms(from(slice + 1)));
            picture.text((x, y - 18.0), text, LABEL, Ink::SOFT, Align::Left);
            grid.draw(&mut picture, counts, brightest, (x, y, w, h));
        }
    }
    let y = picture.size.1 - 14.0;
    picture.rect(24.0, y - 6.0, 11.0, 11.0, Ink::ON);
    picture.text((41.0, y), "brighter (on)", LABEL, Ink::SOFT, Align::Left);
    picture.rect(146.0, y - 6.0, 11.0, 11.0, Ink::OFF);
    picture.text((163.0, y), "darker (off)", LABEL, Ink::SOFT, Align::Left);
    let on: u64 = whole.iter().map(|c| u64::from(c[0])).sum();
    let off: u64 = whole.iter().map(|c| u64::from(c[1])).sum();
    picture.alternative = format!("A recording of class {}: {on} on and {off} off events.", sample.label);
    let camera = if data.dataset.simulated_camera { "a simulated event camera" } else { "an event camera" };
    picture.caption = format!(
        "A recording of class {} from {camera}: {} in {} ms on {} × {} pixels; the stronger the colour, the more events.",
        sample.label,
        count(sample.events, "event"),
        decimal(sample.duration_us as f64 / 1e3, 0),
        sample.width,
        sample.height
    );
    Some(picture)
}

/// As many slices as fit that hold equally many frames; if that leaves too few, unequal ones.
fn slices(frames: usize) -> usize {
    let most = frames.min(SLICES);
    (4..=most).rev().find(|s| frames.is_multiple_of(*s)).unwrap_or(most)
}

/// How sensor pixels map to drawn pixels: one to one, or squares of `by` × `by` added up.
struct Grid {
    by: usize,
    width: usize,
    height: usize,
}

impl Grid {
    fn of(sample: &InputSample) -> Option<Self> {
        let mut by = 1;
        while (sample.width.div_ceil(by)).checked_mul(sample.height.div_ceil(by))? > MOST_PIXELS {
            by += 1;
        }
        Some(Self { by, width: sample.width.div_ceil(by), height: sample.height.div_ceil(by) })
    }

    /// Counts on and off of some frames; pixels a frame lacks count nothing.
    fn sum(&self, sample: &InputSample, frames: std::ops::Range<usize>) -> Vec<[u32; 2]> {
        let mut counts = vec![[0u32; 2]; self.width * self.height];
        for frame in &sample.frames[frames] {
            for (pixel, [on, off]) in frame.iter().take(sample.width * sample.height).enumerate() {
                let (x, y) = (pixel % sample.width / self.by, pixel / sample.width / self.by);
                let count = &mut counts[y * self.width + x];
                *count = [count[0].saturating_add((*on).into()), count[1].saturating_add((*off).into())];
            }
        }
        counts
    }

    /// One box per pixel with events; the polarity in the majority gives the colour.
    fn draw(&self, picture: &mut Picture, counts: &[[u32; 2]], peak: u32, (x, y, w, h): Rect) {
        picture.rect(x, y, w, h, Ink::BAND);
        let (cell_w, cell_h) = (w / self.width as f64, h / self.height as f64);
        let mut shades: BTreeMap<(bool, u32), Vec<Rect>> = BTreeMap::new();
        for (pixel, &[on, off]) in counts.iter().enumerate().filter(|(_, c)| c[0].max(c[1]) > 0) {
            let level = (f64::from(on.max(off)) / f64::from(peak)).sqrt().min(1.0) * LEVELS;
            let spot =
                (x + (pixel % self.width) as f64 * cell_w, y + (pixel / self.width) as f64 * cell_h, cell_w, cell_h);
            shades.entry((on >= off, level.ceil() as u32)).or_default().push(spot);
        }
        for ((on, level), boxes) in shades {
            picture.boxes(boxes, if on { Ink::ON } else { Ink::OFF }.at(f64::from(level) / LEVELS));
        }
    }
}

/// A high count, ignoring the few hottest pixels, which would leave everything else pale.
fn peak(counts: &[[u32; 2]]) -> u32 {
    let mut seen: Vec<u32> = counts.iter().map(|c| c[0].max(c[1])).filter(|&c| c > 0).collect();
    seen.sort_unstable();
    seen.get(seen.len() * 98 / 100).copied().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn large_sensors_are_reduced() {
        let sample =
            InputSample { width: 640, height: 480, frames: vec![vec![[1, 0]; 640 * 480]], ..Default::default() };
        let grid = Grid::of(&sample).unwrap();
        assert_eq!((grid.by, grid.width, grid.height), (4, 160, 120));
        assert!(grid.sum(&sample, 0..1).iter().all(|c| *c == [16, 0]));
    }

    #[test]
    fn says_when_the_camera_is_simulated() {
        let mut data = fixture::full();
        data.dataset.simulated_camera = true;
        assert!(picture(&data).unwrap().caption.contains("simulated event camera"));
    }

    #[test]
    fn an_absurd_size_is_refused_or_drawn_but_never_panics() {
        let mut data = fixture::full();
        for (width, height) in [(usize::MAX, usize::MAX), (1, 100_000), (0, 4)] {
            let sample = data.sample.as_mut().unwrap();
            (sample.width, sample.height) = (width, height);
            let _ = picture(&data);
        }
    }
}
