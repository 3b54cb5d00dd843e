//! Scales, ticks, axes and keys that the charts share.

use super::{Align, Ink, Picture, Spot};

/// Size of the text at axes, in pixels.
pub(super) const LABEL: f64 = 12.5;
/// Size of names, in pixels.
pub(super) const NAME: f64 = 13.5;

/// A linear map from values to pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub values: Spot,
    pub pixels: Spot,
}

impl Scale {
    /// Maps an interval of values to an interval of pixels. An empty interval of values is widened.
    pub fn new(values: Spot, pixels: Spot) -> Self {
        let (low, high) = values;
        let values = if high - low > 1e-12 { values } else { (low - 0.5, low + 0.5) };
        Self { values, pixels }
    }

    /// The pixel of a value. Values outside the interval map to its ends, so nothing is drawn
    /// outside the panel.
    pub fn at(&self, value: f64) -> f64 {
        let share = ((value - self.values.0) / (self.values.1 - self.values.0)).clamp(0.0, 1.0);
        self.pixels.0 + if share.is_nan() { 0.0 } else { share } * (self.pixels.1 - self.pixels.0)
    }
}

/// About `wanted` round values that cover `low` to `high`, and the interval that they span.
pub(super) fn ticks(low: f64, high: f64, wanted: usize) -> (Vec<f64>, Spot) {
    let (low, high) = (low.clamp(-1e12, 1e12), high.clamp(-1e12, 1e12));
    let high = if high - low > 1e-9 * low.abs().max(1e-3) { high } else { low + low.abs().max(1.0) };
    let raw = (high - low) / wanted.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|s| s * power).find(|s| *s >= raw * 0.999).unwrap_or(raw);
    let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
    let ticks: Vec<f64> = (0..=(last - first).min(50.0) as usize).map(|i| (first + i as f64) * step).collect();
    (ticks, (first * step, last * step))
}

/// The smallest and the largest finite value.
pub(super) fn extent(values: impl IntoIterator<Item = f64>) -> Option<Spot> {
    values.into_iter().filter(|v| v.is_finite()).fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((f64::min(low, v), f64::max(high, v))),
    })
}

/// The rectangle of a chart, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Panel {
    /// Draws horizontal grid lines with their values at the left, and the quantity above.
    pub fn y_axis(&self, picture: &mut Picture, scale: &Scale, ticks: &[f64], what: &str) {
        let digits = decimals(ticks);
        for &tick in ticks {
            let y = scale.at(tick);
            picture.line([(self.left, y), (self.right, y)], Ink::RULE, 1.0);
            picture.text((self.left - 10.0, y), format!("{tick:.digits$}"), LABEL, Ink::SOFT, Align::Right);
        }
        picture.text((self.left - 34.0, self.top - 22.0), what, LABEL, Ink::SOFT, Align::Left);
    }

    /// Of labels along the panel, those that do not overlap an earlier one.
    pub fn apart(labels: impl IntoIterator<Item = (f64, String)>) -> Vec<(f64, String)> {
        let mut kept: Vec<(f64, String)> = Vec::new();
        for (x, label) in labels {
            let half = |l: &str| width(l, LABEL) / 2.0 + 4.0;
            if kept.iter().all(|(other, l)| (other - x).abs() >= half(l) + half(&label)) {
                kept.push((x, label));
            }
        }
        kept
    }

    /// Draws values below the panel with a short tick each, and the quantity below them.
    pub fn x_axis(&self, picture: &mut Picture, ticks: &[(f64, String)], what: &str) {
        picture.line([(self.left, self.bottom), (self.right, self.bottom)], Ink::SOFT, 1.0);
        for (x, label) in ticks {
            picture.line([(*x, self.bottom), (*x, self.bottom + 5.0)], Ink::SOFT, 1.0);
            picture.text((*x, self.bottom + 17.0), label.as_str(), LABEL, Ink::SOFT, Align::Centre);
        }
        let middle = (self.left + self.right) / 2.0;
        picture.text((middle, self.bottom + 40.0), what, LABEL, Ink::SOFT, Align::Centre);
    }
}

/// Number of decimals that distinguishes the ticks.
pub(super) fn decimals(ticks: &[f64]) -> usize {
    let step = ticks.windows(2).map(|w| (w[1] - w[0]).abs()).fold(f64::INFINITY, f64::min);
    (0..6)
        .find(|&d| {
            let scaled = step * 10f64.powi(d as i32);
            !scaled.is_finite() || ((scaled - scaled.round()).abs() < 1e-6 && scaled >= 0.5)
        })
        .unwrap_or(6)
}

/// Draws the marks and names of strategies from `x` on, in as many rows as fit before `right`.
/// Returns where the last row ends and its height.
pub(super) fn key(picture: &mut Picture, names: &[(usize, &str)], x: f64, y: f64, right: f64) -> Spot {
    let longest = (0..=24).rev().find(|&most| names.iter().all(|(_, n)| entry(&short(n, most)) <= right - x));
    let (mut at, mut row) = (x, y);
    for (index, name) in names {
        let name = short(name, longest.unwrap_or(3).max(3));
        if at > x && at + entry(&name) > right {
            (at, row) = (x, row + KEY_ROW);
        }
        picture.mark(*index, (at, row), false);
        picture.text((at + 12.0, row), name.as_str(), NAME, Ink::TEXT, Align::Left);
        at += entry(&name) + 14.0;
    }
    (at, row)
}

/// Height of one row of a key.
pub(super) const KEY_ROW: f64 = 22.0;

/// Width of an entry of a key.
fn entry(name: &str) -> f64 {
    12.0 + width(name, NAME) + 6.0
}

/// Draws kinds of lines and their meanings from `x` on. Returns where the last row ends and its
/// height.
pub(super) fn line_key(picture: &mut Picture, lines: &[(&str, Stroke)], x: f64, y: f64, right: f64) -> Spot {
    let (mut at, mut row) = (x, y);
    for (text, stroke) in lines {
        let room = 34.0 + width(text, LABEL) + 16.0;
        if at > x && at + room - 16.0 > right {
            (at, row) = (x, row + KEY_ROW);
        }
        match stroke {
            Stroke::Solid => picture.line([(at, row), (at + 26.0, row)], Ink::SOFT, 2.0),
            Stroke::Dashed => picture.dashed([(at, row), (at + 26.0, row)], Ink::SOFT, 1.75, DASH),
            Stroke::Dot => picture.disc((at + 13.0, row), 4.0, Ink::SOFT),
        }
        picture.text((at + 34.0, row), *text, LABEL, Ink::SOFT, Align::Left);
        at += room;
    }
    (at, row)
}

/// The line of an entry of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stroke {
    Solid,
    Dashed,
    Dot,
}

/// Lengths of the dashes and of the gaps of a dashed line.
pub(super) const DASH: Spot = (6.0, 4.0);

/// The approximate width of a text.
pub(super) fn width(text: &str, size: f64) -> f64 {
    size * text
        .chars()
        .map(|c| {
            if "il.,:;'|! ".contains(c) {
                0.34
            } else if c.is_uppercase() {
                0.72
            } else {
                0.61
            }
        })
        .sum::<f64>()
}

/// The text, cut to at most `most` characters; an ellipsis marks a cut.
pub(super) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most.saturating_sub(1)).collect::<String>().trim_end().to_string() + "…"
}

/// A name as part of a file name: lower-case letters and digits, joined by hyphens.
pub(super) fn slug(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    if words.is_empty() { "unnamed".into() } else { words.join("-") }
}

/// Moves heights apart to at least `gap`. Their order is kept, and they stay within `low..high` if
/// they fit.
pub(super) fn spread(heights: &mut [f64], gap: f64, low: f64, high: f64) {
    let mut order: Vec<usize> = (0..heights.len()).collect();
    order.sort_by(|&a, &b| heights[a].total_cmp(&heights[b]));
    let mut least = low;
    for &i in &order {
        heights[i] = heights[i].max(least);
        least = heights[i] + gap;
    }
    let mut most = high;
    for &i in order.iter().rev() {
        heights[i] = heights[i].min(most);
        most = heights[i] - gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover() {
        assert_eq!(ticks(23.0, 84.0, 6).0, [20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(0.0, 2.3, 5).1, (0.0, 2.5));
        for (low, high) in [(1.0, 1.0), (0.0, 0.0), (-1e308, 1e308), (5.0, 4.0), (1e-12, 2e-12)] {
            let (ticks, range) = ticks(low, high, 5);
            assert!(ticks.len() >= 2 && ticks.len() <= 51 && range.0 < range.1, "{low} {high}: {ticks:?}");
        }
    }

    #[test]
    fn labels_move_apart_in_order() {
        let mut heights = [50.0, 52.0, 48.0];
        spread(&mut heights, 10.0, 0.0, 60.0);
        assert_eq!(heights, [50.0, 60.0, 40.0].map(|h: f64| h), "{heights:?}");
    }

    #[test]
    fn names_become_file_names() {
        assert_eq!(slug("MTT (s = 3)/a"), "mtt-s-3-a");
        assert_eq!(slug("../"), "unnamed");
        assert_eq!(short("a long name", 6), "a lon…");
    }

    #[test]
    fn scales_never_leave_their_panel() {
        let scale = Scale::new((2.0, 2.0), (0.0, 100.0));
        assert_eq!([scale.at(2.0), scale.at(1e300), scale.at(f64::NAN)], [50.0, 100.0, 0.0]);
    }
}
