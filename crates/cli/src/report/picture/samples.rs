//! The picture of samples of channels (SHD): one raster per sample, time to the right, a dot per
//! spike.

use super::axes::{LABEL, NAME, Scale, ticks};
use super::{Align, Ink, Picture, Rect};
use crate::report::data::ChannelSample;
use crate::report::format::count;

const WIDTH: f64 = 960.0;
/// Rasters per row.
const ROW: usize = 3;
const GAP: f64 = 28.0;
const LEFT: f64 = 44.0;
/// Height of a raster, and of the space above and below it.
const HEIGHT: f64 = 150.0;
const HEAD: f64 = 30.0;
const FOOT: f64 = 34.0;
/// Most dots per raster. If a sample has more spikes, evenly spaced ones are drawn.
const MOST: usize = 20_000;
const DOT: f64 = 1.25;

/// Draws all rasters with the same scales of time and channels, so that they can be compared.
pub(crate) fn picture(samples: &[ChannelSample], channels: u32, name: &str) -> Option<Picture> {
    let last_us = samples.iter().flat_map(|s| s.spikes.iter().map(|spike| spike.0)).max()?.max(1);
    let columns = samples.len().min(ROW);
    let rows = samples.len().div_ceil(ROW);
    let cell = (WIDTH - LEFT - 24.0 - GAP * (columns - 1) as f64) / columns as f64;
    let size = 16.0 + rows as f64 * (HEAD + HEIGHT + FOOT) + 20.0;
    let mut picture = Picture::new(name, "Spikes of samples, channel by channel", WIDTH, size.ceil());
    for (i, sample) in samples.iter().enumerate() {
        let left = LEFT + (cell + GAP) * (i % ROW) as f64;
        let top = 16.0 + HEAD + (HEAD + HEIGHT + FOOT) * (i / ROW) as f64;
        draw(&mut picture, sample, (channels, last_us), (left, top, cell, HEIGHT), i.is_multiple_of(ROW));
    }
    picture.text((WIDTH / 2.0, picture.size.1 - 12.0), "time, ms", LABEL, Ink::SOFT, Align::Centre);
    let spikes: usize = samples.iter().map(|s| s.spikes.len()).sum();
    picture.alternative = format!("{} with {} in all.", count(samples.len(), "sample"), count(spikes, "spike"));
    picture.caption =
        format!("{}: one dot per spike, time to the right, channels upwards.", count(samples.len(), "sample"));
    Some(picture)
}

fn draw(
    picture: &mut Picture,
    sample: &ChannelSample,
    (channels, last_us): (u32, u64),
    (left, top, width, height): Rect,
    first_of_row: bool,
) {
    let bottom = top + height;
    picture.rect(left, top, width, height, Ink::BAND);
    picture.text((left, top - 12.0), &sample.label, NAME, Ink::TEXT, Align::Left);
    let spikes = count(sample.spikes.len(), "spike");
    picture.text((left + width, top - 12.0), spikes, LABEL, Ink::SOFT, Align::Right);
    let end = last_us as f64 / 1e3;
    let x = Scale::new((0.0, end), (left, left + width - DOT));
    let y = Scale::new((0.0, f64::from(channels.max(1))), (bottom - DOT, top));
    if first_of_row {
        for channel in [0, channels.saturating_sub(1)] {
            let at = (left - 8.0, y.at(f64::from(channel)));
            picture.text(at, channel.to_string(), LABEL, Ink::SOFT, Align::Right);
        }
    }
    let digits = usize::from(end < 5.0);
    for tick in ticks(0.0, end, 4).0.into_iter().filter(|t| *t <= end) {
        picture.line([(x.at(tick), bottom), (x.at(tick), bottom + 4.0)], Ink::SOFT, 1.0);
        picture.text((x.at(tick), bottom + 15.0), format!("{tick:.digits$}"), LABEL, Ink::SOFT, Align::Centre);
    }
    let (all, drawn) = (sample.spikes.len(), sample.spikes.len().min(MOST));
    let dots = (0..drawn).map(|i| sample.spikes[i * all / drawn]);
    let dots = dots.map(|(t, channel)| (x.at(t as f64 / 1e3), y.at(f64::from(channel)), DOT, DOT)).collect();
    picture.boxes(dots, Ink::ON);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::picture::Shape;

    fn sample(label: &str, spikes: &[(u64, u32)]) -> ChannelSample {
        ChannelSample { label: label.into(), spikes: spikes.to_vec() }
    }

    #[test]
    fn every_sample_has_a_raster_of_its_spikes() {
        let samples =
            [sample("sample 0", &[(0, 0), (1000, 699)]), sample("sample 1", &[]), sample("sample 2", &[(5, 3)])];
        let picture = picture(&samples, 700, "shd").unwrap();
        let boxes = |s: &Shape| match s {
            Shape::Boxes { boxes, .. } => Some(boxes.clone()),
            _ => None,
        };
        let boxes: Vec<Vec<Rect>> = picture.shapes.iter().filter_map(boxes).collect();
        // The background, then for each sample its band and its dots.
        assert_eq!(boxes.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 2, 1, 0, 1, 1]);
        let (band, dots) = (boxes[1][0], &boxes[2]);
        assert!(dots[0].0 == band.0 && dots[1].0 > dots[0].0, "time runs to the right");
        assert!(dots[1].1 < dots[0].1, "channels count upwards");
        let inside =
            |d: &Rect| d.0 >= band.0 && d.1 >= band.1 && d.0 + d.2 <= band.0 + band.2 && d.1 + d.3 <= band.1 + band.3;
        assert!(dots.iter().all(inside), "{dots:?} in {band:?}");
    }

    #[test]
    fn no_spike_no_picture() {
        assert!(picture(&[sample("sample 0", &[])], 700, "shd").is_none());
    }
}
