//! The picture of accuracy against synaptic operations: one set of weights at every T, without a
//! clock, and at the chosen budget.

use super::axes::{DASH, KEY_ROW, LABEL, Panel, Scale, Stroke, extent, key, line_key, ticks, width};
use super::{Align, Format, Ink, Picture, Spot, rows, series};
use crate::report::data::{MeanPoint, ReportData, StrategyResult};
use crate::report::format::{compact, decimal};
use crate::report::table::leaks;
use tickless::net::LeakRule;

const KINDS: [(&str, Stroke); 2] = [("clocked, T beside", Stroke::Solid), ("event-driven (hollow)", Stroke::Dot)];

/// The position of a point of a strategy in the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    /// Index of the strategy.
    pub strategy: usize,
    /// Index of its point; `None` for its event-driven run.
    pub point: Option<usize>,
    /// In pixels of the picture.
    pub at: Spot,
}

/// The accuracy and operations of a strategy's points.
fn known(s: &StrategyResult) -> Vec<(Option<usize>, f64, f64, String)> {
    let usable = |accuracy: f64, operations: f64| accuracy.is_finite() && operations.is_finite() && operations > 0.0;
    let point = |(k, p): (usize, &MeanPoint)| Some((Some(k), p.operations?, p.accuracy, p.steps.to_string()));
    let event = s.event_driven.as_ref().map(|e| (None, e.synaptic_operations, e.accuracy, String::new()));
    let all = s.points.iter().enumerate().filter_map(point).chain(event);
    all.filter(|(_, operations, accuracy, _)| usable(*accuracy, *operations)).collect()
}

/// The picture; `None` unless operations were measured at some T.
pub(super) fn picture(data: &ReportData, format: Format) -> Option<Picture> {
    Some(drawn(data, format)?.0)
}

/// Where the points are in the picture; empty if there is none.
pub(crate) fn places(data: &ReportData, format: Format) -> Vec<Place> {
    drawn(data, format).map_or(Vec::new(), |d| d.1)
}

fn drawn(data: &ReportData, format: Format) -> Option<(Picture, Vec<Place>)> {
    let all: Vec<(usize, usize, &StrategyResult)> =
        rows(data).into_iter().enumerate().map(|(k, (index, s))| (k, index, s)).collect();
    if !data.strategies.iter().any(|s| s.points.iter().any(|p| p.operations.is_some())) {
        return None;
    }
    let points = || all.iter().flat_map(|(_, _, s)| known(s));
    let chosen = || all.iter().filter_map(|(_, index, s)| Some((*index, s.chosen.as_ref()?)));
    let operations = points().map(|p| p.1).chain(chosen().map(|c| c.1.operations));
    let (few, many) = extent(operations.filter(|o| *o > 0.0))?;
    let (low, high) = extent(points().map(|p| p.2).chain(chosen().map(|c| c.1.accuracy)))?;
    let mut picture = Picture::new("frontier", "Accuracy against synaptic operations", format.width(), 0.0);
    let right = format.width() - 4.0;
    let names: Vec<(usize, &str)> = all.iter().map(|(_, i, s)| (*i, s.name.as_str())).collect();
    let (_, row) = key(&mut picture, &names, format.choose(31.0, 12.0), 22.0, right);
    let (_, row) = line_key(&mut picture, &KINDS, format.choose(25.0, 6.0), row + KEY_ROW, right);
    let left = format.choose(66.0, 44.0);
    let panel = Panel { left, top: row + 54.0, right, bottom: row + 54.0 + format.choose(290.0, 240.0) };
    picture.resize(panel.bottom + 60.0);
    let (y_ticks, range) = ticks((low - 1.0).max(0.0), (high + 1.0).min(100.0).max(low), 5);
    let y = Scale::new(range, (panel.bottom, panel.top));
    let margin = 1.15f64.ln();
    let x = Scale::new((few.ln() - margin, many.ln() + margin), (panel.left + 8.0, panel.right - 12.0));
    panel.y_axis(&mut picture, &y, &y_ticks, "accuracy, %");
    panel.x_axis(
        &mut picture,
        &Panel::apart(round_values(few, many).into_iter().map(|v| (x.at(v.ln()), compact(v)))),
        "synaptic operations per sample (logarithmic)",
    );
    let (mut places, mut taken): (Vec<Place>, Vec<Spot>) = (Vec::new(), Vec::new());
    for (strategy, index, s) in &all {
        let mut lines: Vec<(LeakRule, usize, Spot)> = Vec::new();
        for (point, operations, accuracy, _) in known(s) {
            let at = (x.at(operations.ln()), y.at(accuracy));
            places.push(Place { strategy: *strategy, point, at });
            taken.push(at);
            if let Some(k) = point {
                lines.push((s.points[k].leak, s.points[k].steps, at));
            }
        }
        lines.sort_by_key(|l| l.1);
        for (k, leak) in leaks(s).into_iter().enumerate() {
            let line: Vec<Spot> = lines.iter().filter(|l| l.0 == leak).map(|l| l.2).collect();
            match k {
                0 => picture.line(line, series(*index).at(0.6), 1.75),
                _ => picture.dashed(line, series(*index).at(0.5), 1.25, DASH),
            }
        }
        for place in places.iter().filter(|p| p.strategy == *strategy) {
            picture.mark(*index, place.at, place.point.is_none());
        }
    }
    for (index, c) in chosen().filter(|c| c.1.operations > 0.0 && c.1.accuracy.is_finite()) {
        let at = (x.at(c.operations.ln()), y.at(c.accuracy));
        picture.dashed([(at.0, panel.top), (at.0, panel.bottom)], series(index), 1.25, (3.0, 3.0));
        picture.disc(at, 7.5, series(index).at(0.35));
        picture.mark(index, at, false);
        taken.push(at);
    }
    // T is written beside each mark that has room for it.
    let mut written: Vec<(Spot, f64)> = Vec::new();
    let labels = all.iter().flat_map(|(_, _, s)| known(s)).zip(places.clone());
    for ((_, _, _, text), place) in labels.filter(|(p, _)| !p.3.is_empty()) {
        let half = width(&text, SMALL) / 2.0 + 1.0;
        for dy in [-14.0, 14.0] {
            let (cx, cy) = (place.at.0, place.at.1 + dy);
            let inside =
                cx - half >= panel.left && cx + half <= panel.right && cy >= panel.top && cy <= panel.bottom - 8.0;
            let clear = taken.iter().all(|t| (t.0 - cx).abs() > half + 5.0 || (t.1 - cy).abs() > 10.0)
                && written.iter().all(|(w, h)| (w.0 - cx).abs() > half + h || (w.1 - cy).abs() > 12.0);
            if inside && clear {
                picture.text((cx, cy), text.clone(), SMALL, Ink::SOFT, Align::Centre);
                written.push(((cx, cy), half));
                break;
            }
        }
    }
    let words = |(_, _, s): &(usize, usize, &StrategyResult)| {
        let all = known(s);
        let best = all.iter().max_by(|a, b| a.2.total_cmp(&b.2))?;
        let at = if best.3.is_empty() { "without a clock".to_owned() } else { format!("at T = {}", best.3) };
        Some(format!("{}: best {} % with {} operations, {at}", s.name, decimal(best.2, 1), compact(best.1)))
    };
    let mut parts: Vec<String> = all.iter().filter_map(words).collect();
    let chosen = all.iter().filter_map(|(_, _, s)| Some((s, s.chosen.as_ref()?)));
    parts.extend(chosen.clone().map(|(s, c)| {
        let (accuracy, operations) = (decimal(c.accuracy, 1), compact(c.operations));
        format!("{}: {accuracy} % with {operations} operations at the chosen budget", s.name)
    }));
    picture.alternative = parts.join("; ") + ".";
    picture.caption = "Accuracy on the test samples against synaptic operations per sample. Clocked: an operation for \
                       each input other than 0 and each of its weights other than 0. Event-driven: a weight added to a \
                       neuron, in the simulator."
        .into();
    if all.iter().any(|(_, _, s)| leaks(s).len() > 1) {
        picture.caption += " Thin dashed lines: the other leak rule.";
    }
    for (s, c) in chosen {
        picture.caption += &format!(" Dashed: the chosen budget of {}, {}.", s.name, c.words);
    }
    Some((picture, places))
}

/// Size of the T beside the marks, in pixels.
const SMALL: f64 = LABEL - 1.5;

/// Round values between two values: decades, and their halves and fifths if there are few.
fn round_values(few: f64, many: f64) -> Vec<f64> {
    let decades = few.log10().floor() as i32..=many.log10().ceil() as i32;
    let within = |v: &f64| (few / 1.2..=many * 1.2).contains(v);
    let of = |parts: &[f64]| -> Vec<f64> {
        decades.clone().take(40).flat_map(|d| parts.iter().map(move |p| p * 10f64.powi(d))).filter(within).collect()
    };
    let whole = of(&[1.0]);
    if whole.len() >= 3 { whole } else { of(&[1.0, 2.0, 5.0]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::report::picture::Shape;

    #[test]
    fn every_point_with_operations_has_its_place_and_the_budget_a_line() {
        assert!(picture(&fixture::full(), Format::Wide).is_none(), "no operations were measured");
        let data = fixture::explored();
        for format in [Format::Wide, Format::Narrow] {
            let (picture, places) = drawn(&data, format).unwrap();
            let measured: usize = data.strategies.iter().map(|s| known(s).len()).sum();
            assert_eq!(places.len(), measured);
            let inside =
                |p: &Place| (0.0..=picture.size.0).contains(&p.at.0) && (0.0..=picture.size.1).contains(&p.at.1);
            assert!(places.iter().all(inside));
            assert!(picture.shapes.iter().any(|s| matches!(s, Shape::Line { dash: Some((3.0, 3.0)), .. })));
            assert!(picture.caption.contains("the chosen budget of MTT, confidence above 0.9 at no more than 2 M"));
            assert!(picture.alternative.contains("MTT: 79.5 % with 300"), "{}", picture.alternative);
        }
    }

    #[test]
    fn more_operations_lie_further_right() {
        let places = places(&fixture::explored(), Format::Wide);
        let of = |k| places.iter().find(|p| p.strategy == 0 && p.point == Some(k)).unwrap().at.0;
        assert!(of(0) < of(1) && of(1) < of(4));
    }
}
