//! How soon the answer is known without a clock: accuracy against time, events and early exit.

use super::axes::{LABEL, Panel, Scale, extent, key, ticks};
use super::{Align, Ink, Picture, Spot, series};
use crate::report::data::{ReportData, StrategyResult};
use crate::report::format::decimal;

const SIZE: Spot = (960.0, 380.0);
const TIME: Panel = Panel { left: 60.0, top: 92.0, right: 452.0, bottom: 312.0 };
const EVENTS: Panel = Panel { left: 544.0, top: 92.0, right: 936.0, bottom: 312.0 };
/// Early exits at more moments than this hide the line.
const MARKS: usize = 12;

/// Of one strategy: its index, the line, the marks.
type Curve = (usize, Vec<Spot>, Vec<Spot>);

pub(super) fn picture(data: &ReportData) -> Option<Picture> {
    let all = || {
        let decided = |(i, s)| {
            let s: &StrategyResult = s;
            s.event_driven.as_ref().and_then(|e| e.decisions.as_ref()).map(|d| (i, s, d))
        };
        data.strategies.iter().enumerate().filter_map(decided)
    };
    let finite = |p: &Spot| p.0.is_finite() && p.1.is_finite() && p.0 >= 0.0;
    let kept = |spots: Vec<Spot>| spots.into_iter().filter(finite).collect::<Vec<Spot>>();
    let time: Vec<Curve> = all()
        .map(|(i, _, d)| {
            let line = d.time.iter().map(|p| (p.us as f64 / 1000.0, p.accuracy)).collect();
            let exits = d.exits.iter().take(MARKS).map(|e| (e.us / 1000.0, e.accuracy)).collect();
            (i, kept(line), kept(exits))
        })
        .collect();
    let events: Vec<Curve> = all()
        .map(|(i, _, d)| {
            let line = d.events.iter().map(|p| (p.events as f64, p.accuracy)).collect();
            let exits = d.exits.iter().take(MARKS).map(|e| (e.events, e.accuracy)).collect();
            (i, kept(line), kept(exits))
        })
        .collect();
    extent(time.iter().flat_map(|c| c.1.iter().map(|p| p.0)))?;
    let mut picture = Picture::new("decision", "How soon the answer is known", SIZE.0, SIZE.1);
    let names: Vec<(usize, &str)> = all().map(|(i, s, _)| (i, s.name.as_str())).collect();
    key(&mut picture, &names, TIME.left - 29.0, 22.0, 480.0);
    let right = EVENTS.right;
    picture.line([(right - 356.0, 22.0), (right - 326.0, 22.0)], Ink::SOFT, 2.0);
    picture.text((right - 316.0, 22.0), "all decide at once", LABEL, Ink::SOFT, Align::Left);
    picture.disc((right - 180.0, 22.0), 4.0, Ink::SOFT);
    picture.text((right - 166.0, 22.0), "each when it is sure (mean)", LABEL, Ink::SOFT, Align::Left);
    panel(&mut picture, TIME, &time, "ms since the first event");
    panel(&mut picture, EVENTS, &events, "events seen");
    let words = |(_, s, d): (usize, &StrategyResult, &crate::report::data::DecisionCurve)| {
        let half = d.time.get(d.time.len().saturating_sub(1) / 2)?;
        let last = d.time.last()?;
        let (a, b) = (half.us as f64 / 1000.0, last.us as f64 / 1000.0);
        let (x, y) = (decimal(half.accuracy, 1), decimal(last.accuracy, 1));
        Some(format!("{}: {x} % after {} ms, {y} % after {} ms", s.name, decimal(a, 0), decimal(b, 0)))
    };
    picture.alternative =
        format!("Accuracy of the decision so far. {}.", all().filter_map(words).collect::<Vec<_>>().join("; "));
    picture.caption = String::from(
        "Accuracy of the event-driven run when asked before its end, in the simulator. Lines: all recordings decide \
         after the same time or number of events. Marks: each decides when its confidence passes a threshold, drawn \
         at the mean moment.",
    );
    Some(picture)
}

fn panel(picture: &mut Picture, panel: Panel, curves: &[Curve], what: &str) {
    let spots = || curves.iter().flat_map(|c| c.1.iter().chain(&c.2));
    let (Some((_, right)), Some((low, high))) = (extent(spots().map(|p| p.0)), extent(spots().map(|p| p.1))) else {
        return;
    };
    let (y_ticks, range) = ticks(low.min(high - 10.0).max(0.0), high, 5);
    let y = Scale::new(range, (panel.bottom, panel.top));
    let (x_ticks, _) = ticks(0.0, right, 5);
    let x = Scale::new((0.0, right), (panel.left + 4.0, panel.right - 8.0));
    panel.y_axis(picture, &y, &y_ticks, "accuracy, %");
    let shown = x_ticks.into_iter().filter(|t| *t <= right * 1.001);
    let labels: Vec<(f64, String)> = shown.map(|t| (x.at(t), format!("{t}"))).collect();
    panel.x_axis(picture, &labels, what);
    for (index, line, exits) in curves {
        let at = |p: &Spot| (x.at(p.0), y.at(p.1));
        picture.line(line.iter().map(at).collect::<Vec<_>>(), series(*index), 2.0);
        exits.iter().for_each(|p| picture.mark(*index, at(p), false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_run_without_moments_has_no_picture() {
        let mut data = fixture::full();
        assert!(picture(&data).unwrap().alternative.contains("MTT: "));
        data.strategies.iter_mut().for_each(|s| s.event_driven.as_mut().unwrap().decisions = None);
        assert!(picture(&data).is_none());
    }
}
