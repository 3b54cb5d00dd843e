//! The picture of one recording's spikes: time to the right, one band per layer, the input on top.

use super::axes::{LABEL, NAME, Panel, Scale, decimals, short, slug, ticks, width};
use super::{Align, Format, Ink, Picture, Rect, Spot, rows, series};
use crate::report::data::{Raster, ReportData, StrategyResult};
use crate::report::format::{grouped, time_unit};

/// Most dots per band. If the busiest band of a layer has more spikes, evenly spaced ones are
/// drawn. The same share is drawn in the other strategies' rasters, so that half the dots mean half
/// the spikes.
const MOST: usize = 4_000;
/// The same for a narrow picture.
const MOST_NARROW: usize = 1_500;
/// Most bands. Of more layers, the first ones and the last are drawn.
const BANDS: usize = 12;
/// Name of the top band.
const INPUT: &str = "input";

/// The spikes of one layer, or the input events.
struct Band<'a> {
    name: &'a str,
    neurons: u32,
    spikes: &'a [(u64, u32)],
    ink: Ink,
}

pub(super) fn pictures(data: &ReportData, format: Format) -> Vec<Picture> {
    let most = format.choose(MOST, MOST_NARROW);
    let all: Vec<(&StrategyResult, Vec<Band>, &Raster)> = rows(data)
        .into_iter()
        .filter_map(|(index, s)| s.raster.as_ref().map(|raster| (s, bands(raster, series(index)), raster)))
        .collect();
    let busiest = |name: &str| {
        let bands = all.iter().flat_map(|(_, bands, _)| bands).filter(|b| b.name == name);
        bands.map(|b| b.spikes.len()).max().unwrap_or(0)
    };
    let kept = |band: &Band| match busiest(band.name) {
        busiest if busiest > most => (band.spikes.len() * most / busiest).max(band.spikes.len().min(1)),
        _ => band.spikes.len(),
    };
    all.iter().filter_map(|(strategy, bands, raster)| picture(strategy, bands, raster, (&kept, format))).collect()
}

/// The input and the layers. If there are too many, layers before the last are left out.
fn bands(raster: &Raster, ink: Ink) -> Vec<Band<'_>> {
    let mut bands = Vec::new();
    if !raster.input.is_empty() {
        let seen = raster.input.iter().map(|s| s.1.saturating_add(1)).max().unwrap_or(0);
        let neurons = seen.max(raster.input_pixels);
        bands.push(Band { name: INPUT, neurons, spikes: &raster.input, ink: Ink::SOFT });
    }
    bands.extend(raster.layers.iter().map(|l| Band { name: &l.name, neurons: l.neurons, spikes: &l.spikes, ink }));
    if bands.len() > BANDS {
        bands.drain(BANDS - 1..bands.len() - 1);
    }
    bands
}

/// Draws one raster. `kept` returns how many of a band's spikes are drawn.
fn picture(
    strategy: &StrategyResult,
    bands: &[Band],
    raster: &Raster,
    (kept, format): (&dyn Fn(&Band) -> usize, Format),
) -> Option<Picture> {
    let last = bands.iter().flat_map(|b| b.spikes.iter().map(|s| s.0)).max()?.max(raster.duration_us).max(1);
    let heights: Vec<f64> = bands.iter().map(|b| if b.neurons <= 20 { 44.0 } else { 72.0 }).collect();
    // In a wide picture a band's name is at its left and its count at its right; in a narrow one
    // both are above it.
    let (first, gap) = format.choose((32.0, 12.0), (48.0, 30.0));
    let bottom = first + heights.iter().sum::<f64>() + gap * (bands.len() - 1) as f64;
    let names = bands.iter().map(|b| width(&short(b.name, 18), NAME)).fold(80.0, f64::max);
    let (unit, unit_name) = time_unit(last as f64);
    let end = last as f64 / unit;
    let x = Scale::new((0.0, end), format.choose((names + 24.0, format.width() - 116.0), (8.0, format.width() - 12.0)));
    let title = format!("Spikes of one recording, {}", strategy.name);
    let name = format!("raster-{}", slug(&strategy.name));
    let mut picture = Picture::new(name, title, format.width(), (bottom + 56.0).ceil());
    picture.text((x.pixels.0, 14.0), short(&strategy.name, format.choose(60, 30)), NAME, Ink::TEXT, Align::Left);
    let mut top = first;
    for (band, height) in bands.iter().zip(&heights) {
        draw(&mut picture, band, (kept(band), unit), &x, (top, *height), format);
        top += height + gap;
    }
    time_axis(&mut picture, &x, (end, unit_name), bottom);
    let counts: Vec<String> = bands.iter().map(|b| format!("{} {}", b.name, grouped(b.spikes.len() as f64))).collect();
    picture.alternative =
        format!("Class {}, decided {}. Spikes per layer: {}.", raster.label, raster.predicted, counts.join(", "));
    picture.caption = format!(
        "{}: one recording of class {} (decided: {}) through the layers{}; one dot per spike.",
        strategy.name,
        raster.label,
        raster.predicted,
        if strategy.event_driven.is_some() { ", event by event, in the simulator" } else { "" }
    );
    let thinned = |b: &Band| {
        let (drawn, all) = (kept(b), b.spikes.len());
        (drawn < all).then(|| format!("{} of the {} of {}", grouped(drawn as f64), grouped(all as f64), b.name))
    };
    let thinned: Vec<String> = bands.iter().filter_map(thinned).collect();
    if !thinned.is_empty() {
        picture.caption += &format!(" Thinned evenly, alike for every strategy: drawn are {}.", thinned.join(", "));
    }
    let left_out = raster.layers.len() + usize::from(!raster.input.is_empty()) - bands.len();
    if left_out > 0 {
        picture.caption += &format!(" {left_out} layers before the last are left out.");
    }
    Some(picture)
}

/// Draws a band: name and size, spikes on a tinted background, and their number.
fn draw(
    picture: &mut Picture,
    band: &Band,
    (kept, unit): (usize, f64),
    x: &Scale,
    (top, height): Spot,
    format: Format,
) {
    let (left, right) = x.pixels;
    let middle = top + height / 2.0;
    let (units, happenings) = if band.name == INPUT { ("pixels", "events") } else { ("neurons", "spikes") };
    picture.rect(left, top, right - left, height, Ink::BAND);
    let (name, size) = (short(band.name, 18), format!("{} {units}", grouped(f64::from(band.neurons))));
    let total = format!("{} {happenings}", grouped(band.spikes.len() as f64));
    match format {
        Format::Wide => {
            picture.text((left - 12.0, middle - 9.0), name, NAME, Ink::TEXT, Align::Right);
            picture.text((left - 12.0, middle + 9.0), size, 11.0, Ink::SOFT, Align::Right);
            picture.text((right + 12.0, middle), total, LABEL, Ink::SOFT, Align::Left);
        }
        Format::Narrow => {
            let y = top - 11.0;
            let after = left + width(&name, NAME) + 10.0;
            picture.text((left, y), name, NAME, Ink::TEXT, Align::Left);
            // If there is no room for both, the size is left out.
            if after + width(&size, 11.0) + 10.0 + width(&total, 11.0) <= right {
                picture.text((after, y), size, 11.0, Ink::SOFT, Align::Left);
            }
            picture.text((right, y), total, 11.0, Ink::SOFT, Align::Right);
        }
    }
    let dots = dots(band, (kept, unit), x, (top + 2.0, height - 4.0));
    picture.boxes(dots, band.ink.at(0.8));
}

fn time_axis(picture: &mut Picture, x: &Scale, (end, unit): (f64, &str), bottom: f64) {
    let ticks = ticks(0.0, end, 6).0;
    let digits = decimals(&ticks);
    picture.line([(x.pixels.0, bottom), (x.pixels.1, bottom)], Ink::SOFT, 1.0);
    for tick in ticks.iter().filter(|t| **t <= end * 1.001) {
        picture.line([(x.at(*tick), bottom), (x.at(*tick), bottom + 5.0)], Ink::SOFT, 1.0);
    }
    let labels = ticks.iter().filter(|t| **t <= end * 1.001).map(|t| (x.at(*t), format!("{t:.digits$}")));
    for (at, label) in Panel::apart(labels) {
        // The first and the last label must not leave the picture.
        let half = width(&label, LABEL) / 2.0;
        let at = at.clamp(half + 1.0, picture.size.0 - half - 1.0);
        picture.text((at, bottom + 17.0), label, LABEL, Ink::SOFT, Align::Centre);
    }
    let middle = (x.pixels.0 + x.pixels.1) / 2.0;
    picture.text((middle, bottom + 40.0), format!("time, {unit}"), LABEL, Ink::SOFT, Align::Centre);
}

/// A small square for each of `kept` evenly chosen spikes.
fn dots(band: &Band, (kept, unit): (usize, f64), x: &Scale, (top, height): Spot) -> Vec<Rect> {
    let side = if band.neurons <= 20 { 2.0 } else { 1.25 };
    let y = Scale::new((0.0, f64::from(band.neurons.max(1))), (top, top + height - side));
    (0..kept)
        .map(|i| band.spikes[i * band.spikes.len() / kept])
        .map(|(t, neuron)| (x.at(t as f64 / unit) - side / 2.0, y.at(f64::from(neuron) + 0.5), side, side))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::report::picture::Shape;

    #[test]
    fn crowded_layers_are_thinned_alike_and_it_is_said() {
        let drawn = pictures(&fixture::full(), Format::Wide);
        for (picture, words, most) in
            [(0, "4,000 of the 48,100 of conv1", 4_000), (2, "781 of the 9,400 of conv1", 4_000)]
        {
            assert!(drawn[picture].caption.contains(words), "{}", drawn[picture].caption);
            let dots = |s: &Shape| if let Shape::Boxes { boxes, .. } = s { boxes.len() } else { 0 };
            assert_eq!(drawn[picture].shapes.iter().map(dots).max(), Some(most));
        }
    }

    #[test]
    fn no_spike_no_picture() {
        let mut data = fixture::full();
        data.strategies.iter_mut().for_each(|s| s.raster = Some(Raster::default()));
        assert!(pictures(&data, Format::Wide).is_empty());
    }

    #[test]
    fn deep_networks_lose_their_middle() {
        let mut data = fixture::full();
        let raster = data.strategies[0].raster.as_mut().unwrap();
        raster.layers = vec![raster.layers[1].clone(); 30];
        assert!(pictures(&data, Format::Wide)[0].caption.contains("19 layers before the last"));
    }
}
