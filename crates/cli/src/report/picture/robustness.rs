//! The picture of `tickless study robustness`: accuracy against the size of each disturbance, one
//! panel for each. Strategies differ in colour and mark; event-driven lines are dashed.

use super::axes::{DASH, Panel, Scale, Stroke, extent, key, line_key, ticks};
use super::{Picture, Spot, palette, series};
use crate::report::format::decimal;
use tickless::robustness::Disturbance;

/// One strategy under one disturbance.
#[derive(Debug, Clone, PartialEq)]
pub struct RobustnessLine {
    /// The row's name.
    pub name: String,
    /// The strategy, which determines the colour.
    pub strategy: String,
    /// What was changed.
    pub disturbance: Disturbance,
    /// Whether the results are event-driven.
    pub event_driven: bool,
    /// The results, by rising level; the first is undisturbed.
    pub points: Vec<RobustnessPoint>,
}

/// One result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RobustnessPoint {
    /// The size of the disturbance.
    pub level: f64,
    /// Percent correct.
    pub accuracy: f64,
    /// Its standard error, if there is one.
    pub standard_error: Option<f64>,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 230.0;
const KINDS: [(&str, Stroke); 2] = [("clocked at T_max", Stroke::Solid), ("event-driven", Stroke::Dashed)];

/// The picture; `None` without lines.
pub(crate) fn picture(lines: &[RobustnessLine]) -> Option<Picture> {
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for line in lines {
        if !rows.iter().any(|r| r.0 == line.name) {
            rows.push((&line.name, &line.strategy));
        }
    }
    let colours = palette::assign(&rows.iter().map(|r| r.1).collect::<Vec<_>>());
    let index = |line: &RobustnessLine| rows.iter().position(|r| r.0 == line.name).map_or(0, |k| colours[k]);
    let points = || lines.iter().flat_map(|l| &l.points);
    let ends = |p: &RobustnessPoint| [-1.0, 1.0].map(|sign| p.accuracy + sign * p.standard_error.unwrap_or_default());
    let (low, high) = extent(points().flat_map(ends))?;
    let (y_ticks, range) = ticks(low.max(0.0), high.min(100.0), 5);
    let mut picture = Picture::new("robustness", "Accuracy under disturbances", WIDTH, 0.0);
    let names: Vec<(usize, &str)> = colours.iter().copied().zip(rows.iter().map(|r| r.0)).collect();
    let (_, row) = key(&mut picture, &names, 66.0, 22.0, WIDTH - 8.0);
    let kinds = if lines.iter().any(|l| l.event_driven) { &KINDS[..] } else { &KINDS[..1] };
    let (_, row) = line_key(&mut picture, kinds, 60.0, row + 24.0, WIDTH - 8.0);
    let shown: Vec<Disturbance> =
        Disturbance::ALL.into_iter().filter(|d| lines.iter().any(|l| l.disturbance == *d)).collect();
    let mut bottom = row;
    for (k, d) in shown.iter().enumerate() {
        let (left, top) = (66.0 + (k % 2) as f64 * 478.0, row + 56.0 + (k / 2) as f64 * (HEIGHT + 108.0));
        let panel = Panel { left, top, right: left + 400.0, bottom: top + HEIGHT };
        bottom = panel.bottom;
        let own: Vec<&RobustnessLine> = lines.iter().filter(|l| l.disturbance == *d).collect();
        let most = own.iter().flat_map(|l| l.points.iter().map(|p| p.level)).fold(0.0, f64::max);
        let x = Scale::new((0.0, most), (panel.left + 8.0, panel.right - 8.0));
        let y = Scale::new(range, (panel.bottom, panel.top));
        panel.y_axis(&mut picture, &y, &y_ticks, "accuracy, %");
        let (x_ticks, _) = ticks(0.0, most, 5);
        let x_ticks = x_ticks.into_iter().filter(|t| *t <= most * 1.001);
        let labels = Panel::apart(x_ticks.map(|t| (x.at(t), format!("{}", (t * 1e6).round() / 1e6))));
        panel.x_axis(&mut picture, &labels, what(*d));
        for line in own {
            let ink = series(index(line));
            let spots: Vec<Spot> = line.points.iter().map(|p| (x.at(p.level), y.at(p.accuracy))).collect();
            match line.event_driven {
                true => picture.dashed(spots.clone(), ink, 1.75, DASH),
                false => picture.line(spots.clone(), ink, 2.25),
            }
            for (p, spot) in line.points.iter().zip(spots) {
                if let Some(e) = p.standard_error {
                    picture.error_bar(spot.0, y.at(p.accuracy + e), y.at(p.accuracy - e), ink.at(0.5));
                }
                picture.mark(index(line), spot, line.event_driven);
            }
        }
    }
    picture.resize(bottom + 60.0);
    let words = |l: &RobustnessLine| {
        let (first, last) = (l.points.first()?, l.points.last()?);
        let how = if l.event_driven { "event-driven" } else { "clocked" };
        let (a, b) = (decimal(first.accuracy, 1), decimal(last.accuracy, 1));
        Some(format!("{}, {how}, {} {}: {a} % to {b} %", l.name, what(l.disturbance), last.level))
    };
    picture.alternative = lines.iter().filter_map(words).collect::<Vec<_>>().join("; ") + ".";
    picture.caption = "Bars are one standard error. Event-driven results are the simulator's.".into();
    Some(picture)
}

fn what(d: Disturbance) -> &'static str {
    match d {
        Disturbance::Weights => "noise on weights, relative",
        Disturbance::Input => "noise on inputs, relative",
        Disturbance::Drop => "share of lost events",
        Disturbance::Jitter => "largest shift of an event, steps of T_max",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::picture::{Shape, Use, svg};

    #[test]
    fn every_disturbance_has_a_panel_and_event_driven_lines_are_dashed() {
        let points: Vec<RobustnessPoint> = [(0.0, 90.0), (0.5, 70.0), (1.0, 20.0)]
            .map(|(level, accuracy)| RobustnessPoint { level, accuracy, standard_error: Some(1.5) })
            .into();
        let line = |disturbance, event_driven, name: &str| RobustnessLine {
            name: name.into(),
            strategy: name.into(),
            disturbance,
            event_driven,
            points: points.clone(),
        };
        let lines: Vec<RobustnessLine> = Disturbance::ALL
            .into_iter()
            .flat_map(|d| [line(d, false, "SDT"), line(d, true, "SDT"), line(d, false, "MTT")])
            .collect();
        let picture = picture(&lines).unwrap();
        let dashed = picture
            .shapes
            .iter()
            .filter(|s| matches!(s, Shape::Line { dash: Some(DASH), points, .. } if points.len() == 3));
        assert_eq!(dashed.count(), 4);
        let drawn = svg(&picture, Use::File).unwrap();
        assert!(Disturbance::ALL.into_iter().all(|d| drawn.contains(what(d))));
        assert!(super::picture(&[]).is_none());
    }
}
