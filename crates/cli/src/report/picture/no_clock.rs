//! The picture of `tickless study no-clock`: accuracy against T, and spikes against T, with the
//! event-driven results in a column at the right. The strategies differ in colour and mark; the
//! values of the studied property differ in the stroke.

use super::axes::{DASH, LABEL, Panel, Scale, Stroke, extent, key, line_key, ticks, width};
use super::{Align, Ink, Picture, Spot, palette, series};
use crate::report::format::{compact, decimal};

/// One strategy with one value of the studied property.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NoClockLine {
    /// The row's name.
    pub name: String,
    /// The strategy, which determines the colour.
    pub strategy: String,
    /// The value in words.
    pub value: String,
    /// The results, in the order of T.
    pub points: Vec<NoClockPoint>,
}

/// One result.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NoClockPoint {
    /// T; `None` for event-driven.
    pub steps: Option<usize>,
    /// Percent correct.
    pub accuracy: f64,
    /// Its standard error.
    pub standard_error: Option<f64>,
    /// Mean spikes per recording.
    pub spikes: f64,
}

const SIZE: Spot = (960.0, 690.0);
const LEFT: f64 = 66.0;
/// Top and bottom of the two panels.
const ACCURACY: Spot = (96.0, 340.0);
const SPIKES: Spot = (402.0, 630.0);
/// Left and right of the column of event-driven results.
const COLUMN: Spot = (836.0, 944.0);

/// The picture; `None` without lines, or if no value is finite.
pub(crate) fn picture(lines: &[NoClockLine], t_max: usize) -> Option<Picture> {
    let mut rows: Vec<(&str, &str)> = Vec::new();
    let mut values: Vec<&str> = Vec::new();
    for line in lines {
        if !rows.iter().any(|r| r.0 == line.name) {
            rows.push((&line.name, &line.strategy));
        }
        if !values.contains(&line.value.as_str()) {
            values.push(&line.value);
        }
    }
    let colours = palette::assign(&rows.iter().map(|r| r.1).collect::<Vec<_>>());
    let index = |line: &NoClockLine| rows.iter().position(|r| r.0 == line.name).map_or(0, |k| colours[k]);
    let points = || lines.iter().flat_map(|l| &l.points);
    let error = |p: &NoClockPoint| p.standard_error.filter(|e| e.is_finite()).unwrap_or(0.0);
    let (low, high) = extent(points().flat_map(|p| [p.accuracy - error(p), p.accuracy + error(p)]))?;
    let (a_ticks, a_range) = ticks(low.max(0.0), high.min(100.0), 6);
    let a = Scale::new(a_range, (ACCURACY.1, ACCURACY.0));
    let (few, many) = extent(points().map(|p| p.spikes).filter(|s| *s > 0.0)).unwrap_or((1.0, 10.0));
    let decades: Vec<f64> = (few.log10().floor() as i32..=many.log10().ceil() as i32).map(f64::from).collect();
    let s = Scale::new((*decades.first()?, *decades.last()?), (SPIKES.1, SPIKES.0));
    let steps: Vec<usize> = points().filter_map(|p| p.steps).collect();
    let (first, last) = (*steps.iter().min()?, *steps.iter().max()?);
    let right = COLUMN.0 - 18.0;
    let x = Scale::new(((first as f64).ln(), (last as f64).ln()), (LEFT + 24.0, right - 24.0));
    let middle = (COLUMN.0 + COLUMN.1) / 2.0;
    let at = |p: &NoClockPoint| p.steps.map_or(middle, |t| x.at((t as f64).ln()));

    let title = "Accuracy and spikes against the number of time steps, and without a clock";
    let mut picture = Picture::new("no-clock", title, SIZE.0, SIZE.1);
    let names: Vec<(usize, &str)> = colours.iter().copied().zip(rows.iter().map(|r| r.0)).collect();
    key(&mut picture, &names, LEFT, 20.0, SIZE.0 - 8.0);
    let strokes: Vec<(&str, Stroke)> = values.iter().enumerate().map(|(k, v)| (*v, stroke(k))).collect();
    line_key(&mut picture, &strokes, LEFT - 6.0, 46.0, SIZE.0 - 8.0);
    let panels = [
        (Panel { left: LEFT, top: ACCURACY.0, right, bottom: ACCURACY.1 }, "accuracy, %"),
        (Panel { left: LEFT, top: SPIKES.0, right, bottom: SPIKES.1 }, "spikes per recording (logarithmic)"),
    ];
    for (panel, _) in &panels {
        picture.rect(COLUMN.0, panel.top, COLUMN.1 - COLUMN.0, panel.bottom - panel.top, Ink::BAND);
    }
    panels[0].0.y_axis(&mut picture, &a, &a_ticks, panels[0].1);
    for &decade in &decades {
        let y = s.at(decade);
        picture.line([(LEFT, y), (right, y)], Ink::RULE, 1.0);
        picture.text((LEFT - 10.0, y), compact(10f64.powf(decade)), LABEL, Ink::SOFT, Align::Right);
    }
    picture.text((LEFT - 34.0, SPIKES.0 - 22.0), panels[1].1, LABEL, Ink::SOFT, Align::Left);
    let mut seen = steps.clone();
    seen.sort_unstable();
    seen.dedup();
    let labels = Panel::apart(seen.iter().map(|t| (x.at((*t as f64).ln()), t.to_string())));
    for (k, (panel, _)) in panels.iter().enumerate() {
        if (first..=last).contains(&t_max) {
            let t = x.at((t_max as f64).ln());
            picture.dashed([(t, panel.top), (t, panel.bottom)], Ink::SOFT, 1.0, (2.0, 3.0));
            if k == 0 {
                let text = format!("trained up to T = {t_max}");
                let before = t + 7.0 + width(&text, LABEL) > right;
                let (side, align) = if before { (-7.0, Align::Right) } else { (7.0, Align::Left) };
                picture.text((t + side, panel.bottom - 14.0), text, LABEL, Ink::SOFT, align);
            }
        }
        let what = if k == 1 { "time steps T (logarithmic), leak per time" } else { "" };
        panel.x_axis(&mut picture, &labels, what);
        picture.line([(COLUMN.0, panel.bottom), (COLUMN.1, panel.bottom)], Ink::SOFT, 1.0);
        picture.text((middle, panel.bottom + 17.0), "event-driven", LABEL, Ink::TEXT, Align::Centre);
    }
    for line in lines {
        let (k, i) = (values.iter().position(|v| **v == line.value).unwrap_or(0), index(line));
        // In the column, marks of one panel stand beside each other, in the order of the lines.
        let own = lines.iter().position(|l| std::ptr::eq(l, line)).unwrap_or(0) as f64;
        let shift = |p: &NoClockPoint| {
            let spread = (COLUMN.1 - COLUMN.0 - 24.0) / lines.len().max(1) as f64;
            if p.steps.is_none() { (own + 0.5 - lines.len() as f64 / 2.0) * spread } else { 0.0 }
        };
        let height = |p: &NoClockPoint| [a.at(p.accuracy), s.at(p.spikes.max(1e-9).log10())];
        for panel in 0..2 {
            let spots: Vec<Spot> =
                line.points.iter().filter(|p| p.steps.is_some()).map(|p| (at(p), height(p)[panel])).collect();
            match stroke(k) {
                Stroke::Dashed => picture.dashed(spots, series(i), 1.75, DASH),
                _ => picture.line(spots, series(i), 2.25),
            }
            for p in &line.points {
                let spot = (at(p) + shift(p), height(p)[panel]);
                if panel == 0 && error(p) > 0.0 {
                    picture.error_bar(
                        spot.0,
                        a.at(p.accuracy + error(p)),
                        a.at(p.accuracy - error(p)),
                        series(i).at(0.5),
                    );
                }
                picture.mark(i, spot, k > 0);
            }
        }
    }
    let ends = lines.iter().filter_map(|l| Some((l, l.points.iter().find(|p| p.steps.is_none())?)));
    let words: Vec<String> =
        ends.map(|(l, p)| format!("{}, {}: {} %", l.name, l.value, decimal(p.accuracy, 1))).collect();
    picture.alternative = format!("Event-driven accuracy. {}.", words.join("; "));
    picture.caption = "Event-driven results are the simulator's. Bars are one standard error of the mean.".into();
    Some(picture)
}

/// The stroke of the k-th value. Marks are hollow from the second value on.
fn stroke(k: usize) -> Stroke {
    if k == 0 { Stroke::Solid } else { Stroke::Dashed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: &str, accuracy: f64, spikes: f64) -> NoClockLine {
        let point = |steps| NoClockPoint { steps, accuracy, standard_error: Some(0.5), spikes };
        let points = vec![point(Some(1)), point(Some(10)), point(Some(300)), point(None)];
        NoClockLine { name: "MTT".into(), strategy: "MTT".into(), value: value.into(), points }
    }

    #[test]
    fn the_text_for_readers_who_cannot_see_has_every_event_driven_result() {
        let p = picture(&[line("no refractory period", 75.0, 18000.0), line("1 step", 81.0, 4600.0)], 10).unwrap();
        assert_eq!(p.alternative, "Event-driven accuracy. MTT, no refractory period: 75.0 %; MTT, 1 step: 81.0 %.");
    }

    #[test]
    fn nothing_measured_is_no_picture_and_a_silent_network_is_one() {
        assert!(picture(&[], 10).is_none());
        assert!(picture(&[line("a", f64::NAN, 0.0)], 10).is_none());
        assert!(picture(&[line("a", 10.0, 0.0)], 10).is_some());
    }
}
