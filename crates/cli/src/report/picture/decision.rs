//! The picture of decision times without a clock: accuracy against time, events and early exits.

use super::axes::{KEY_ROW, Panel, Scale, Stroke, extent, key, line_key, ticks, width};
use super::{Align, Format, Ink, Picture, Spot, rows, series};
use crate::report::data::{ReportData, StrategyResult};
use crate::report::format::{decimal, span, time_unit};
use tickless::simulate::decisions::DecisionCurve;

/// Most early exits that are drawn; more would hide the line.
const MARKS: usize = 12;
/// Size of the confidences beside the marks, in pixels.
const SMALL: f64 = 10.5;
const KINDS: [(&str, Stroke); 2] = [("all decide at once", Stroke::Solid), ("each when sure enough", Stroke::Dot)];

/// The results of one strategy against one quantity (time or events).
struct Curve {
    index: usize,
    /// Time or events, accuracy, standard error.
    line: Vec<(f64, f64, f64)>,
    /// Mean time or events, accuracy, confidence.
    exits: Vec<(f64, f64, f64)>,
}

pub(super) fn picture(data: &ReportData, format: Format) -> Option<Picture> {
    let all: Vec<(usize, &StrategyResult, &DecisionCurve)> = rows(data)
        .into_iter()
        .filter_map(|(i, s)| s.event_driven.as_ref()?.decisions.as_ref().map(|d| (i, s, d)))
        .collect();
    let longest = all.iter().flat_map(|(_, _, d)| d.time.iter().map(|p| p.us)).max()? as f64;
    let (unit, unit_name) = time_unit(longest);
    let finite = |p: &(f64, f64, f64)| p.0.is_finite() && p.1.is_finite() && p.0 >= 0.0;
    let error = |e: Option<f64>| e.filter(|e| e.is_finite()).unwrap_or(0.0);
    let time = all.iter().map(|(index, _, d)| Curve {
        index: *index,
        line: d.time.iter().map(|p| (p.us as f64 / unit, p.accuracy, error(p.standard_error))).filter(finite).collect(),
        exits: d.exits.iter().take(MARKS).map(|e| (e.us / unit, e.accuracy, e.confidence)).filter(finite).collect(),
    });
    let events = all.iter().map(|(index, _, d)| Curve {
        index: *index,
        line: d.events.iter().map(|p| (p.events as f64, p.accuracy, error(p.standard_error))).filter(finite).collect(),
        exits: d.exits.iter().take(MARKS).map(|e| (e.events, e.accuracy, e.confidence)).filter(finite).collect(),
    });
    let (time, events): (Vec<Curve>, Vec<Curve>) = (time.collect(), events.collect());
    extent(time.iter().flat_map(|c| c.line.iter().map(|p| p.0)))?;
    let mut picture = Picture::new("decision", "How soon the answer is known", format.width(), 0.0);
    let names: Vec<(usize, &str)> = all.iter().map(|(i, s, _)| (*i, s.name.as_str())).collect();
    let right = format.width() - 4.0;
    let (end, mut row) = key(&mut picture, &names, format.choose(31.0, 12.0), 22.0, format.choose(560.0, right));
    row = match format {
        Format::Wide => line_key(&mut picture, &KINDS, (end + 30.0).max(560.0), 22.0, right).1.max(row),
        Format::Narrow => line_key(&mut picture, &KINDS, 6.0, row + KEY_ROW, right).1,
    };
    let [first, second] = super::curves::side_by_side(format, row + 70.0);
    picture.resize(second.bottom + 68.0);
    panel(&mut picture, first, &time, &format!("{unit_name} since the first event"));
    panel(&mut picture, second, &events, "events seen");
    let words = |(_, s, d): &(usize, &StrategyResult, &DecisionCurve)| {
        let half = d.time.get(d.time.len().saturating_sub(1) / 2)?;
        let last = d.time.last()?;
        let (a, b) = (span(half.us as f64), span(last.us as f64));
        let (x, y) = (decimal(half.accuracy, 1), decimal(last.accuracy, 1));
        Some(format!("{}: {x} % after {a}, {y} % after {b}", s.name))
    };
    picture.alternative =
        format!("Accuracy of the decision so far. {}.", all.iter().filter_map(words).collect::<Vec<_>>().join("; "));
    picture.caption = String::from(
        "Accuracy of the event-driven run when asked before its end, in the simulator. Lines: all recordings decide \
         after the same time or number of events. Dots: each decides when its confidence passes a threshold, drawn \
         at the mean moment",
    );
    let mut thresholds: Vec<f64> =
        all.iter().flat_map(|a| a.2.exits.iter().take(MARKS).map(|e| e.confidence)).collect();
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    let thresholds: Vec<String> = thresholds.iter().map(f64::to_string).collect();
    if !thresholds.is_empty() {
        picture.caption += &format!("; along a line the thresholds are {}", thresholds.join(", "));
    }
    picture.caption += ".";
    if time.iter().chain(&events).any(|c| c.line.iter().any(|p| p.2 > 0.0)) {
        picture.caption += " Bands: one standard error.";
    }
    Some(picture)
}

fn panel(picture: &mut Picture, panel: Panel, curves: &[Curve], what: &str) {
    let spots = || curves.iter().flat_map(|c| c.line.iter().chain(&c.exits));
    let (Some((_, right)), Some((low, high))) = (extent(spots().map(|p| p.0)), extent(spots().map(|p| p.1))) else {
        return;
    };
    let (y_ticks, range) = ticks(low.min(high - 10.0).max(0.0), high, 5);
    let y = Scale::new(range, (panel.bottom, panel.top));
    let (x_ticks, _) = ticks(0.0, right, 5);
    let x = Scale::new((0.0, right), (panel.left + 4.0, panel.right - 8.0));
    panel.y_axis(picture, &y, &y_ticks, "accuracy, %");
    let shown = x_ticks.into_iter().filter(|t| *t <= right * 1.001);
    panel.x_axis(picture, &Panel::apart(shown.map(|t| (x.at(t), format!("{t}")))), what);
    for c in curves {
        let edge = |p: &(f64, f64, f64)| (x.at(p.0), y.at(p.1 + p.2), y.at(p.1 - p.2));
        if c.line.iter().any(|p| p.2 > 0.0) {
            picture.band(&c.line.iter().map(edge).collect::<Vec<_>>(), series(c.index).at(0.2));
        }
    }
    let mut taken: Vec<Spot> = Vec::new();
    for c in curves {
        let position = |p: &(f64, f64, f64)| (x.at(p.0), y.at(p.1));
        picture.line(c.line.iter().map(position).collect::<Vec<_>>(), series(c.index), 2.0);
        for exit in &c.exits {
            picture.mark(c.index, position(exit), false);
            taken.push(position(exit));
        }
    }
    // The confidence is written beside each mark that has room for it.
    let mut written: Vec<(f64, f64, f64)> = Vec::new();
    for (px, py, confidence) in curves.iter().flat_map(|c| c.exits.iter().map(|e| (x.at(e.0), y.at(e.1), e.2))) {
        let text = confidence.to_string();
        let half = width(&text, SMALL) / 2.0 + 1.0;
        for dy in [13.0, -13.0] {
            let (cx, cy) = (px, py + dy);
            let inside =
                cx - half >= panel.left && cx + half <= panel.right && cy >= panel.top && cy <= panel.bottom - 8.0;
            let clear = taken.iter().all(|t| (t.0 - cx).abs() > half + 5.0 || (t.1 - cy).abs() > 10.0)
                && written.iter().all(|w| (w.0 - cx).abs() > half + w.2 || (w.1 - cy).abs() > 11.0);
            if inside && clear {
                picture.text((cx, cy), text, SMALL, Ink::SOFT, Align::Centre);
                written.push((cx, cy, half));
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::report::picture::Shape;

    #[test]
    fn a_run_without_moments_has_no_picture() {
        let mut data = fixture::full();
        assert!(picture(&data, Format::Wide).unwrap().alternative.contains("MTT: "));
        data.strategies.iter_mut().for_each(|s| s.event_driven.as_mut().unwrap().decisions = None);
        assert!(picture(&data, Format::Wide).is_none());
    }

    #[test]
    fn every_threshold_is_named_and_long_recordings_have_seconds() {
        let texts = |p: &Picture| -> Vec<String> {
            let text = |s: &Shape| if let Shape::Text { text, .. } = s { Some(text.clone()) } else { None };
            p.shapes.iter().filter_map(text).collect()
        };
        let mut data = fixture::full();
        data.strategies.truncate(1);
        let short = picture(&data, Format::Wide).unwrap();
        assert!(short.caption.contains("thresholds are 0.5, 0.9, 0.99"), "{}", short.caption);
        for wanted in ["0.5", "0.9", "0.99", "ms since the first event"] {
            assert!(texts(&short).iter().any(|t| t == wanted), "{wanted}: {:?}", texts(&short));
        }
        let decisions = data.strategies[0].event_driven.as_mut().unwrap().decisions.as_mut().unwrap();
        decisions.time.iter_mut().for_each(|p| p.us *= 100);
        decisions.exits.iter_mut().for_each(|p| p.us *= 100.0);
        let long = picture(&data, Format::Narrow).unwrap();
        assert!(texts(&long).iter().any(|t| t == "s since the first event"), "{:?}", texts(&long));
        assert!(long.alternative.contains("% after 30.0 s"), "{}", long.alternative);
    }
}
