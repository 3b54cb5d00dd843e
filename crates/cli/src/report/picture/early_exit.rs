//! The picture of a sweep of early exits: accuracy against the mean steps, or the mean time without
//! a clock, and against the mean synaptic operations. Each rule is a line, each threshold a mark.

use super::axes::{Panel, Scale, extent, key, ticks};
use super::{Ink, Picture, Spot, series};
use crate::report::format::{compact, decimal};

/// The results of one rule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExitLine {
    /// The rule.
    pub name: String,
    /// One entry per threshold.
    pub points: Vec<ExitPoint>,
}

/// The results of one threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ExitPoint {
    /// Mean time steps, or mean time to the answer in ms.
    pub time: f64,
    /// Mean synaptic operations.
    pub operations: f64,
    /// Percent correct.
    pub accuracy: f64,
    /// Its standard error in percentage points, if there is one.
    pub standard_error: Option<f64>,
}

const SIZE: Spot = (960.0, 420.0);
const TOP: f64 = 84.0;
const BOTTOM: f64 = 352.0;

/// What a point costs.
type Cost = fn(&ExitPoint) -> f64;

/// The picture; `time` names the quantity of [`ExitPoint::time`], `whole` is the run without an exit.
/// `None` without points, or if no value is finite.
pub(crate) fn picture(lines: &[ExitLine], whole: ExitPoint, time: &str) -> Option<Picture> {
    let points = || lines.iter().flat_map(|l| &l.points).chain([&whole]);
    if lines.iter().all(|l| l.points.is_empty()) {
        return None;
    }
    let ends = |p: &ExitPoint| {
        let error = p.standard_error.unwrap_or_default();
        [p.accuracy - error, p.accuracy + error]
    };
    let (low, high) = extent(points().flat_map(ends))?;
    let (y_ticks, range) = ticks(low.max(0.0), high.min(100.0), 6);
    let y = Scale::new(range, (BOTTOM, TOP));
    let title = "Accuracy of early exits against their cost";
    let mut picture = Picture::new("early-exit", title, SIZE.0, SIZE.1);
    let names: Vec<(usize, &str)> = lines.iter().enumerate().map(|(k, l)| (k, l.name.as_str())).collect();
    key(&mut picture, &names, 66.0, 22.0, SIZE.0 - 8.0);
    let costs: [(&str, Cost); 2] = [(time, |p| p.time), ("synaptic operations of a sample", |p| p.operations)];
    for ((left, right), (what, cost)) in [(66.0, 466.0), (546.0, 946.0)].into_iter().zip(costs) {
        let panel = Panel { left, top: TOP, right, bottom: BOTTOM };
        panel.y_axis(&mut picture, &y, &y_ticks, "accuracy, %");
        let (_, most) = extent(points().map(cost))?;
        let (x_ticks, span) = ticks(0.0, most.max(1e-9), 5);
        let x = Scale::new(span, (left + 4.0, right - 8.0));
        let label = |t: f64| if span.1 >= 1000.0 { compact(t) } else { format!("{t}") };
        panel.x_axis(&mut picture, &Panel::apart(x_ticks.into_iter().map(|t| (x.at(t), label(t)))), what);
        let height = y.at(whole.accuracy);
        picture.dashed([(left, height), (right, height)], Ink::SOFT, 1.0, (2.0, 3.0));
        for (k, line) in lines.iter().enumerate() {
            let mut all = line.points.clone();
            all.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
            let at = |p: &ExitPoint| (x.at(cost(p)), y.at(p.accuracy));
            picture.line(all.iter().map(at).collect::<Vec<_>>(), series(k), 2.0);
            for p in &all {
                if p.standard_error.is_some() {
                    let [below, above] = ends(p);
                    picture.error_bar(at(p).0, y.at(above), y.at(below), series(k).at(0.5));
                }
                picture.mark(k, at(p), false);
            }
        }
    }
    let words = |line: &ExitLine| {
        let best = line.points.iter().max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))?;
        Some(format!("{}: {} % at {}", line.name, decimal(best.accuracy, 1), decimal(best.time, 2)))
    };
    picture.alternative = format!(
        "The best threshold of each rule, accuracy at {time}. {}; without an exit {} %.",
        lines.iter().filter_map(words).collect::<Vec<_>>().join("; "),
        decimal(whole.accuracy, 1)
    );
    picture.caption =
        "Each mark is a threshold of a rule. Bars: one binomial standard error. Dashed: without an exit.".into();
    Some(picture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::picture::Shape;

    fn lines() -> Vec<ExitLine> {
        let point = |time: f64| ExitPoint {
            time,
            operations: 1e5 * time,
            accuracy: 70.0 + 5.0 * time,
            standard_error: Some(1.0),
        };
        ["confidence", "margin"].map(|n| ExitLine { name: n.into(), points: [1.0, 2.5, 1.5].map(point).into() }).into()
    }

    #[test]
    fn the_text_for_readers_who_cannot_see_has_the_best_of_each_rule() {
        let whole = ExitPoint { time: 4.0, operations: 4e5, accuracy: 83.0, standard_error: Some(1.0) };
        let p = picture(&lines(), whole, "mean time steps").unwrap();
        let expected = "The best threshold of each rule, accuracy at mean time steps. confidence: 82.5 % at 2.50; margin: \
                        82.5 % at 2.50; without an exit 83.0 %.";
        assert_eq!(p.alternative, expected);
        for shape in &p.shapes {
            let Shape::Line { points, .. } = shape else { continue };
            assert!(points.iter().all(|(x, y)| (0.0..=SIZE.0).contains(x) && (0.0..=SIZE.1).contains(y)), "{shape:?}");
        }
    }

    #[test]
    fn nothing_measured_is_no_picture() {
        assert!(picture(&[], ExitPoint::default(), "ms").is_none());
        assert!(picture(&[ExitLine::default()], ExitPoint::default(), "ms").is_none());
    }
}
