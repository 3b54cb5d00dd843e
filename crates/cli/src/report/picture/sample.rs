//! The picture of the input: one recording, counted per pixel, as a whole and in slices of time.

use std::collections::BTreeMap;

use super::axes::{LABEL, width};
use super::{Align, Format, Ink, Picture, Rect};
use crate::report::data::{InputSample, ReportData};
use crate::report::format::{count, decimal, span, time_unit};

const LARGE: f64 = 300.0;
const SLICES: usize = 10;
/// Levels of brightness.
const LEVELS: f64 = 8.0;
/// Most drawn pixels. Larger sensors are reduced by adding up neighbours, so that the page stays
/// small.
const MOST_PIXELS: usize = 20_000;

pub(crate) fn picture(data: &ReportData, format: Format) -> Option<Picture> {
    let sample = data.sample.as_ref()?;
    if sample.frames.is_empty() || sample.width == 0 || sample.height == 0 {
        return None;
    }
    let grid = Grid::of(sample)?;
    let aspect = grid.height as f64 / grid.width as f64;
    let fit = |side: f64| {
        let (w, h) = if aspect <= 1.0 { (side, side * aspect) } else { (side / aspect, side) };
        (w.max(8.0), h.max(8.0))
    };
    let (large_width, large_height) = fit(LARGE);
    let slices = slices(sample.frames.len());
    // Slices per row. They are beside the whole recording in a wide picture, below it in a narrow
    // one.
    let (columns, edge) = format.choose((5, 24.0), (3, 4.0));
    let left = format.choose(edge + LARGE + 44.0, edge);
    let room = (format.width() - left - edge + 14.0) / columns as f64;
    let (w, h) = fit((room - 14.0).min(110.0));
    let times = Times::of(sample, slices, room - 6.0);
    let top = format.choose(62.0, 40.0 + large_height + 56.0);
    let corner = |slice: usize| {
        let (column, row) = ((slice % columns) as f64, (slice / columns) as f64);
        (left + room * column, top + (h + 36.0) * row)
    };
    let bottom = if slices > 1 { corner(slices - 1).1 + h } else { 0.0 };
    let height = bottom.max(40.0 + large_height) + 40.0;
    let mut picture = Picture::new("input", "One input recording", format.width(), height.ceil());
    let whole = grid.sum(sample, 0..sample.frames.len());
    picture.text((edge, 22.0), "all events", LABEL, Ink::SOFT, Align::Left);
    grid.draw(&mut picture, &whole, peak(&whole), (edge, 40.0, large_width, large_height));
    if slices > 1 {
        let counts: Vec<Vec<[u32; 2]>> = (0..slices)
            .map(|s| grid.sum(sample, s * sample.frames.len() / slices..(s + 1) * sample.frames.len() / slices))
            .collect();
        let brightest = counts.iter().map(|c| peak(c)).max().unwrap_or(1);
        picture.text((left, top - 40.0), times.head(), LABEL, Ink::SOFT, Align::Left);
        for (slice, counts) in counts.iter().enumerate() {
            let (x, y) = corner(slice);
            picture.text((x, y - 14.0), times.of_slice(slice), LABEL, Ink::SOFT, Align::Left);
            grid.draw(&mut picture, counts, brightest, (x, y, w, h));
        }
    }
    let y = picture.size.1 - 14.0;
    picture.rect(edge, y - 6.0, 11.0, 11.0, Ink::ON);
    picture.text((edge + 17.0, y), "brighter (on)", LABEL, Ink::SOFT, Align::Left);
    picture.rect(edge + 122.0, y - 6.0, 11.0, 11.0, Ink::OFF);
    picture.text((edge + 139.0, y), "darker (off)", LABEL, Ink::SOFT, Align::Left);
    let on: u64 = whole.iter().map(|c| u64::from(c[0])).sum();
    let off: u64 = whole.iter().map(|c| u64::from(c[1])).sum();
    picture.alternative = format!("A recording of class {}: {on} on and {off} off events.", sample.label);
    let camera = if data.dataset.simulated_camera { "a simulated event camera" } else { "an event camera" };
    picture.caption = format!(
        "A recording of class {} from {camera}: {} in {} on {} × {} pixels; the stronger the colour, the more events.",
        sample.label,
        count(sample.events, "event"),
        span(sample.duration_us as f64),
        sample.width,
        sample.height
    );
    Some(picture)
}

/// The times of the slices, in a form that fits above each slice.
struct Times {
    /// The times at which each slice begins, and at which the last ends, in `unit`.
    edges: Vec<f64>,
    unit: &'static str,
    digits: usize,
    /// Whether begin and end of each slice fit; if not, only the begin is written.
    both: bool,
}

impl Times {
    fn of(sample: &InputSample, slices: usize, room: f64) -> Self {
        let (unit_us, unit) = time_unit(sample.duration_us as f64);
        let frames = sample.frames.len().max(1) as f64;
        let edge =
            |s: usize| (s * sample.frames.len() / slices.max(1)) as f64 / frames * sample.duration_us as f64 / unit_us;
        let edges: Vec<f64> = (0..=slices).map(edge).collect();
        let step = edges.last().map_or(0.0, |e| e / slices.max(1) as f64);
        // As many decimals as distinguish neighbouring slices.
        let digits = (0..4).find(|d| step * 10f64.powi(*d) >= 2.0).unwrap_or(4) as usize;
        let mut times = Self { edges, unit, digits, both: true };
        times.both = (0..slices).all(|s| width(&times.of_slice(s), LABEL) <= room);
        times
    }

    fn of_slice(&self, slice: usize) -> String {
        let time = |k: usize| decimal(self.edges[k], self.digits);
        if self.both { format!("{}–{}", time(slice), time(slice + 1)) } else { time(slice) }
    }

    /// The heading that explains the times.
    fn head(&self) -> String {
        format!("{} since the first event, {}", if self.both { "time" } else { "begin of each slice" }, self.unit)
    }
}

/// The largest number of slices with equally many frames each; if that is less than four, the
/// largest number of unequal slices.
fn slices(frames: usize) -> usize {
    let most = frames.min(SLICES);
    (4..=most).rev().find(|s| frames.is_multiple_of(*s)).unwrap_or(most)
}

/// Maps sensor pixels to drawn pixels: one to one, or squares of `by` × `by` added up.
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

    /// Counts of on and off events over some frames. Pixels that a frame lacks count as 0.
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

    /// Draws a box for each pixel with events, in the colour of the more frequent polarity.
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

/// The 98th percentile of the non-zero counts. The maximum would be set by a few hot pixels and
/// leave all others pale.
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
        assert!(picture(&data, Format::Wide).unwrap().caption.contains("simulated event camera"));
    }

    #[test]
    fn an_absurd_size_is_refused_or_drawn_but_never_panics() {
        let mut data = fixture::full();
        for (width, height) in [(usize::MAX, usize::MAX), (1, 100_000), (0, 4)] {
            let sample = data.sample.as_mut().unwrap();
            (sample.width, sample.height) = (width, height);
            let _ = picture(&data, Format::Wide);
        }
    }
}
