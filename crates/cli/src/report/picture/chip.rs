//! The picture of `tickless study chip`: the spikes of each recording on the chip and in the engine,
//! the spike difference of each setting of the engine, and accuracies.

use super::axes::{LABEL, NAME, Panel, Scale, extent, key, short, ticks};
use super::{Align, Ink, Picture, Spot, series};
use crate::report::format::decimal;

/// The values of the picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChipPicture {
    /// The measured layers, in words.
    pub layers: String,
    /// The chip's spikes of each recording.
    pub chip: Vec<u64>,
    /// The engine's in f32; empty if not measured.
    pub engine: Vec<u64>,
    /// The engine's with 8 bit; empty if not measured.
    pub eight_bit: Vec<u64>,
    /// Settings of the engine with their spike differences, from the smallest on.
    pub settings: Vec<(String, f64)>,
    /// Published accuracies in percent, and whether a chip was measured.
    pub published: Vec<(String, f64, bool)>,
    /// Accuracies of this library in percent.
    pub ours: Vec<(String, f64)>,
    /// Number of recordings of `ours`.
    pub recordings: usize,
}

const WIDTH: f64 = 960.0;
/// Height of one row of a list.
const ROW: f64 = 17.0;
/// Series numbers of chip, engine, engine in 8 bit.
const CHIP: usize = 0;
const ENGINE: usize = 2;
const EIGHT_BIT: usize = 6;
/// Width of the names of settings.
const NAMES: f64 = 190.0;

/// The picture; `None` without recordings.
pub(crate) fn picture(data: &ChipPicture) -> Option<Picture> {
    let most = extent(data.chip.iter().chain(&data.engine).chain(&data.eight_bit).map(|&n| n as f64))?.1;
    let rows = data.settings.len().max(data.published.len() + data.ours.len()) as f64;
    let (top, bottom) = (96.0, 264.0);
    let lists = bottom + 92.0;
    let mut picture = Picture::new(
        "chip",
        format!("{}: a chip's spikes beside the engine's", data.layers),
        WIDTH,
        lists + ROW * rows + 46.0,
    );
    picture.text((28.0, 22.0), short(&picture.title.clone(), 100), NAME, Ink::TEXT, Align::Left);
    let names = [(CHIP, "chip, measured"), (ENGINE, "simulator, f32"), (EIGHT_BIT, "simulator, 8 bit")];
    key(&mut picture, &names, 34.0, 46.0, WIDTH - 16.0);

    // The spikes of each recording, relative to the chip's, because they differ by a few percent.
    let share = |ours: &[u64]| -> Vec<Option<f64>> {
        let of = |(o, c): (&u64, &u64)| (*c > 0).then(|| 100.0 * (*o as f64 / *c as f64 - 1.0));
        ours.iter().zip(&data.chip).map(of).collect()
    };
    let all = [(ENGINE, share(&data.engine)), (EIGHT_BIT, share(&data.eight_bit))];
    let (low, high) = extent(all.iter().flat_map(|a| a.1.iter().flatten().copied()).chain([0.0]))?;
    let (marks, range) = ticks(low.min(-0.5), high.max(0.5), 5);
    let (y, panel) = (Scale::new(range, (bottom, top)), Panel { left: 62.0, top, right: WIDTH - 16.0, bottom });
    panel.y_axis(&mut picture, &y, &marks, "spikes more than on the chip, %");
    let step = (panel.right - panel.left) / data.chip.len() as f64;
    let x = |k: usize| panel.left + step * (k as f64 + 0.5);
    picture.line([(panel.left, y.at(0.0)), (panel.right, y.at(0.0))], series(CHIP), 2.0);
    for k in 0..data.chip.len() {
        picture.mark(CHIP, (x(k), y.at(0.0)), false);
    }
    for (index, shares) in &all {
        let spots: Vec<Spot> = shares.iter().enumerate().filter_map(|(k, s)| Some((x(k), y.at((*s)?)))).collect();
        spots.into_iter().for_each(|spot| picture.mark(*index, spot, false));
    }
    let labels = data.chip.iter().enumerate().map(|(k, n)| (x(k), n.to_string()));
    panel.x_axis(&mut picture, &Panel::apart(labels), "recordings, with the chip's number of spikes");

    let half = WIDTH / 2.0;
    let widest = data.settings.iter().map(|s| s.1).fold(0.0, f64::max).max(1e-3);
    bars(&mut picture, (28.0, half - 24.0), lists, "spike difference to the chip, %", (0.0, 100.0 * widest), |list| {
        list.extend(data.settings.iter().map(|(name, d)| (name.clone(), 100.0 * d, ENGINE, 2)));
    });
    let accuracies = data.published.iter().map(|p| p.1).chain(data.ours.iter().map(|o| o.1));
    if let Some((_, high)) = extent(accuracies) {
        let range = (0.0, high.max(1.0));
        bars(&mut picture, (half + 8.0, WIDTH - 16.0), lists, "accuracy, %", range, |list| {
            let index = |chip: bool| if chip { CHIP } else { 7 };
            list.extend(data.published.iter().map(|(n, a, chip)| (n.clone(), *a, index(*chip), 2)));
            list.extend(data.ours.iter().map(|(name, a)| (name.clone(), *a, ENGINE, 1)));
        });
    }
    let total = |all: &[u64]| all.iter().sum::<u64>();
    let nearest = data.settings.first().map_or(String::new(), |(name, d)| {
        format!(" Nearest of the shown settings: {name}, {} %.", decimal(100.0 * d, 2))
    });
    picture.alternative = format!(
        "{} spikes on the chip, {} in the engine over {} recordings of up to {} spikes.{nearest}",
        total(&data.chip),
        total(&data.engine),
        data.chip.len(),
        most
    );
    picture.caption = format!(
        "Spikes of the chip and published accuracies: as measured by their authors, on the whole test set; accuracies of \
         Tickless: on {} test recordings.",
        data.recordings
    );
    Some(picture)
}

/// A list of names with a bar each: name, value, series, decimals.
fn bars(
    picture: &mut Picture,
    (left, right): Spot,
    top: f64,
    what: &str,
    (low, high): Spot,
    fill: impl Fn(&mut Vec<(String, f64, usize, usize)>),
) {
    let mut list = Vec::new();
    fill(&mut list);
    picture.text((left, top - 20.0), what, LABEL, Ink::SOFT, Align::Left);
    let x = Scale::new((low, high), (left + NAMES, right - 40.0));
    for (k, (name, value, index, digits)) in list.iter().enumerate() {
        let y = top + ROW * k as f64;
        picture.text((left + NAMES - 8.0, y), short(name, 32), LABEL - 1.0, Ink::TEXT, Align::Right);
        let end = x.at(*value).max(left + NAMES + 1.0);
        picture.rect(left + NAMES, y - 5.0, end - left - NAMES, 10.0, series(*index));
        picture.text((end + 5.0, y), decimal(*value, *digits), LABEL - 1.0, Ink::SOFT, Align::Left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> ChipPicture {
        ChipPicture {
            layers: "layer `1`".into(),
            chip: vec![100, 200],
            engine: vec![102, 201],
            eight_bit: vec![101, 200],
            settings: vec![("8 bit".into(), 0.01), ("f32".into(), 0.02)],
            published: vec![("sinabs".into(), 98.5, false), ("Speck2f".into(), 95.4, true)],
            ours: vec![("event-driven".into(), 97.0)],
            recordings: 100,
        }
    }

    #[test]
    fn the_picture_says_its_main_numbers_and_who_measured_them() {
        let p = picture(&data()).unwrap();
        assert!(p.alternative.starts_with("300 spikes on the chip, 303 in the engine"), "{}", p.alternative);
        assert!(p.alternative.contains("8 bit, 1.00 %") && p.caption.contains("100 test recordings"), "{p:?}");
    }

    #[test]
    fn a_recording_in_which_the_chip_is_silent_has_no_share() {
        let silent = ChipPicture { chip: vec![0, 5], ..data() };
        assert!(picture(&silent).is_some());
        assert!(picture(&ChipPicture::default()).is_none());
    }
}
