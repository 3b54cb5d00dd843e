//! The main picture: accuracy against T for each strategy, and without any T at the right.

use super::axes::{LABEL, NAME, Panel, Scale, extent, short, spread, ticks, width};
use super::{Align, Ink, Picture, Spot, series};
use crate::report::data::{Leak, ReportData, StrategyResult};
use crate::report::format::{count, decimal};
use crate::report::table::{all_steps, leaks, point};

const SIZE: (f64, f64) = (960.0, 500.0);
const LEFT: f64 = 60.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 432.0;
/// Width of the column without a clock, and the gap before it.
const COLUMN: (f64, f64) = (104.0, 20.0);
const DASH: (f64, f64) = (7.0, 5.0);

/// A line of the picture: one strategy with one leak.
struct Series<'a> {
    index: usize,
    strategy: &'a StrategyResult,
    dashed: bool,
    /// T, accuracy, standard error.
    points: Vec<(usize, f64, Option<f64>)>,
}

pub(super) fn picture(data: &ReportData) -> Option<Picture> {
    let all = all_series(data);
    let event_driven: Vec<(usize, &str, f64, Option<f64>)> = data
        .strategies
        .iter()
        .enumerate()
        .filter_map(|(i, s)| s.event_driven.as_ref().map(|e| (i, s.name.as_str(), e.accuracy, e.standard_error)))
        .filter(|e| e.2.is_finite())
        .collect();
    let seen =
        all.iter().flat_map(|s| s.points.iter().map(|p| (p.1, p.2))).chain(event_driven.iter().map(|e| (e.2, e.3)));
    let (low, high) = extent(seen.flat_map(|(a, e)| {
        let e = e.filter(|e| e.is_finite()).unwrap_or(0.0).abs();
        [a - e, a + e]
    }))?;
    let (y_ticks, range) = ticks(low, if low >= 0.0 && high <= 101.0 { high.min(100.0) } else { high }, 6);
    let y = Scale::new(range, (BOTTOM, TOP));
    let steps: Vec<usize> =
        all_steps(data).into_iter().filter(|t| all.iter().any(|s| s.points.iter().any(|p| p.0 == *t))).collect();
    let shown = data.strategies.iter().map(|s| width(&label(&s.name, 100.0), NAME)).fold(0.0, f64::max);
    let names = SIZE.0 - shown - 44.0;
    let column = (names - COLUMN.0, names);
    let right = if event_driven.is_empty() { names } else { column.0 - COLUMN.1 };
    let panel = Panel { left: LEFT, top: TOP, right, bottom: BOTTOM };
    let ends = (steps.first().copied().unwrap_or(1), steps.last().copied().unwrap_or(1));
    let x = Scale::new(((ends.0 as f64).ln(), (ends.1 as f64).ln()), (panel.left + 28.0, panel.right - 28.0));
    let x = move |t: usize| x.at((t as f64).ln());

    let mut picture = Picture::new("accuracy", "Accuracy against the number of time steps", SIZE.0, SIZE.1);
    if !event_driven.is_empty() {
        picture.rect(column.0, TOP, COLUMN.0, BOTTOM - TOP, Ink::BAND);
    }
    panel.y_axis(&mut picture, &y, &y_ticks, "accuracy, %");
    if data.t_max > 0 && (ends.0..=ends.1).contains(&data.t_max) {
        let at = x(data.t_max);
        picture.dashed([(at, panel.top), (at, panel.bottom)], Ink::SOFT, 1.0, (2.0, 3.0));
        let (side, align) = if at > panel.right - 130.0 { (-7.0, Align::Right) } else { (7.0, Align::Left) };
        let text = format!("trained up to T = {}", data.t_max);
        picture.text((at + side, panel.bottom - 14.0), text, LABEL, Ink::SOFT, align);
    }
    panel.x_axis(&mut picture, &step_labels(&steps, data.t_max, &x), "time steps T (logarithmic)");
    for series in &all {
        draw(&mut picture, series, data.t_max, &x, &y);
    }
    if event_driven.is_empty() {
        let ends: Vec<(usize, &str, f64, f64)> = all
            .iter()
            .filter(|s| !s.dashed)
            .filter_map(|s| s.points.last().map(|p| (s.index, s.strategy.name.as_str(), p.1, x(p.0))))
            .collect();
        labels(&mut picture, &ends, &y, names + 10.0);
    } else {
        let placed = without_clock(&mut picture, &event_driven, &y, column);
        labels(&mut picture, &placed, &y, names + 10.0);
    }
    if all.iter().any(|s| s.dashed) && all.iter().any(|s| !s.dashed) {
        line_key(&mut picture, panel);
    }
    picture.alternative = alternative(data);
    picture.caption = caption(data, &all, !event_driven.is_empty());
    Some(picture)
}

fn all_series(data: &ReportData) -> Vec<Series<'_>> {
    let both = data.strategies.iter().flat_map(leaks).any(|l| l == Leak::Time);
    let mut all = Vec::new();
    for (index, strategy) in data.strategies.iter().enumerate() {
        for leak in leaks(strategy) {
            let points: Vec<_> = all_steps(data)
                .into_iter()
                .filter_map(|t| point(strategy, t, leak, data.t_max))
                .filter(|p| p.accuracy.is_finite())
                .map(|p| (p.steps, p.accuracy, p.standard_error.filter(|e| e.is_finite())))
                .collect();
            if !points.is_empty() {
                all.push(Series { index, strategy, dashed: both && leak == Leak::Step, points });
            }
        }
    }
    all
}

/// Error bars, line, marks; at T_max a dashed line has none of its own, for there it meets the solid one.
fn draw(picture: &mut Picture, line: &Series<'_>, t_max: usize, x: &impl Fn(usize) -> f64, y: &Scale) {
    let ink = series(line.index);
    let spots: Vec<_> = line.points.iter().map(|p| (x(p.0), y.at(p.1))).collect();
    let own = |(_, point): &(&Spot, &(usize, f64, Option<f64>))| !line.dashed || point.0 != t_max;
    for (spot, point) in spots.iter().zip(&line.points).filter(own) {
        if let Some(error) = point.2 {
            picture.error_bar(spot.0, y.at(point.1 + error), y.at(point.1 - error), ink.at(0.55));
        }
    }
    match line.dashed {
        true => picture.dashed(spots.clone(), ink, 1.75, DASH),
        false => picture.line(spots.clone(), ink, 2.25),
    }
    for (spot, _) in spots.iter().zip(&line.points).filter(own) {
        picture.mark(line.index, *spot, line.dashed);
    }
}

/// The values without a clock, side by side in their own column.
fn without_clock<'a>(
    picture: &mut Picture,
    values: &[(usize, &'a str, f64, Option<f64>)],
    y: &Scale,
    (left, right): Spot,
) -> Vec<(usize, &'a str, f64, f64)> {
    let middle = (left + right) / 2.0;
    picture.line([(left, BOTTOM), (right, BOTTOM)], Ink::SOFT, 1.0);
    picture.text((middle, BOTTOM + 17.0), "event-driven", LABEL, Ink::TEXT, Align::Centre);
    picture.text((middle, BOTTOM + 40.0), "no T at all", LABEL, Ink::SOFT, Align::Centre);
    let gap = (64.0 / values.len() as f64).min(22.0);
    let mut placed = Vec::new();
    for (place, &(index, name, accuracy, error)) in values.iter().enumerate() {
        let at = middle + gap * (place as f64 - (values.len() - 1) as f64 / 2.0);
        if let Some(error) = error.filter(|e| e.is_finite()) {
            picture.error_bar(at, y.at(accuracy + error), y.at(accuracy - error), series(index).at(0.55));
        }
        picture.mark(index, (at, y.at(accuracy)), false);
        placed.push((index, name, accuracy, at));
    }
    placed
}

/// Name and value beside each end, which is also the key.
fn labels(picture: &mut Picture, ends: &[(usize, &str, f64, f64)], y: &Scale, left: f64) {
    let mut heights: Vec<f64> = ends.iter().map(|e| y.at(e.2)).collect();
    spread(&mut heights, 22.0, TOP, BOTTOM - 8.0);
    for ((index, name, accuracy, from), height) in ends.iter().zip(heights) {
        let start = (from + 9.0, y.at(*accuracy));
        picture.line([start, (left - 4.0, y.at(*accuracy)), (left + 6.0, height)], series(*index).at(0.45), 1.0);
        picture.mark(*index, (left + 13.0, height), false);
        let text = label(name, *accuracy);
        picture.text((left + 25.0, height), text, NAME, Ink::TEXT, Align::Left);
    }
}

fn label(name: &str, accuracy: f64) -> String {
    format!("{}  {}", short(name, 20), decimal(accuracy, 1))
}

fn line_key(picture: &mut Picture, panel: Panel) {
    let y = panel.top - 22.0;
    let mut right = panel.right;
    for (text, width, dashed) in [("leak per step", 82.0, true), ("leak per time", 84.0, false)] {
        picture.text((right, y), text, LABEL, Ink::SOFT, Align::Right);
        let line = [(right - width - 46.0, y), (right - width - 12.0, y)];
        if dashed {
            picture.dashed(line, Ink::SOFT, 1.75, DASH)
        } else {
            picture.line(line, Ink::SOFT, 2.25)
        }
        right -= width + 72.0;
    }
}

/// Labels where there is room; T_max and the ends first.
fn step_labels(steps: &[usize], t_max: usize, x: &impl Fn(usize) -> f64) -> Vec<(f64, String)> {
    let mut wanted: Vec<usize> = [Some(&t_max).filter(|t| steps.contains(t)), steps.first(), steps.last()]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    wanted.extend(steps.iter().copied().filter(|t| [2, 5, 10, 20, 50, 100, 200, 500, 1000].contains(t)));
    wanted.extend(steps);
    let mut kept: Vec<usize> = Vec::new();
    for t in wanted {
        if kept.iter().all(|&k| (x(k) - x(t)).abs() >= 30.0) {
            kept.push(t);
        }
    }
    kept.into_iter().map(|t| (x(t), t.to_string())).collect()
}

fn alternative(data: &ReportData) -> String {
    let of = |s: &StrategyResult| {
        let mut parts: Vec<String> = leaks(s)
            .first()
            .map(|&leak| {
                let points = all_steps(data).into_iter().filter_map(|t| point(s, t, leak, data.t_max));
                points.map(|p| format!("{} at T = {}", decimal(p.accuracy, 1), p.steps)).collect()
            })
            .unwrap_or_default();
        parts.extend(s.event_driven.as_ref().map(|e| format!("{} event-driven", decimal(e.accuracy, 1))));
        format!("{}: {}", s.name, parts.join(", "))
    };
    let lines: Vec<String> = data.strategies.iter().map(of).collect();
    format!("Accuracy in percent. {}.", lines.join("; "))
}

fn caption(data: &ReportData, all: &[Series<'_>], event_driven: bool) -> String {
    let mut caption = String::from("One set of weights per strategy, run at every T.");
    if event_driven {
        caption += " At the right the same weights without any time step, event by event, in the simulator.";
    }
    if all.iter().any(|s| s.dashed) {
        caption += &format!(
            " Solid: the leak belongs to time, λ^({0}/T); dashed, hollow: λ at every step; at T = {0} they are one.",
            data.t_max
        );
    }
    if all.iter().any(|s| s.points.iter().any(|p| p.2.is_some())) {
        let seeds = data.strategies.iter().map(|s| s.seeds.len()).max().unwrap_or(0);
        caption += &match seeds {
            0 | 1 => " Bars: one standard error.".to_string(),
            n => format!(" Bars: one standard error over {}.", count(n, "run")),
        };
    }
    caption
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::report::picture::Shape;

    fn texts(picture: &Picture) -> Vec<String> {
        let text = |s: &Shape| if let Shape::Text { text, .. } = s { Some(text.clone()) } else { None };
        picture.shapes.iter().filter_map(text).collect()
    }

    #[test]
    fn shows_every_strategy_with_its_value_without_a_clock() {
        let picture = picture(&fixture::full()).unwrap();
        let texts = texts(&picture);
        for wanted in ["SDT  53.4", "NMT  68.2", "MTT  77.8", "event-driven", "leak per step", "100"] {
            assert!(texts.iter().any(|t| t == wanted), "{wanted} not in {texts:?}");
        }
    }

    #[test]
    fn without_event_driven_runs_the_lines_carry_the_names() {
        let mut data = fixture::full();
        data.strategies.iter_mut().for_each(|s| s.event_driven = None);
        let texts = texts(&picture(&data).unwrap());
        assert!(texts.iter().any(|t| t == "MTT  80.6") && !texts.iter().any(|t| t == "event-driven"), "{texts:?}");
    }

    #[test]
    fn one_point_is_enough() {
        let mut data = fixture::full();
        data.strategies.truncate(1);
        data.strategies[0].points.truncate(1);
        data.strategies[0].event_driven = None;
        assert!(picture(&data).is_some());
    }

    #[test]
    fn two_hundred_steps_keep_their_labels_apart() {
        let steps: Vec<usize> = (1..=200).collect();
        let scale = Scale::new((0.0, 200f64.ln()), (60.0, 650.0));
        let x = |t: usize| scale.at((t as f64).ln());
        let labels: Vec<String> = step_labels(&steps, 10, &x).into_iter().map(|l| l.1).collect();
        assert!(labels.contains(&"10".to_string()) && labels.contains(&"200".to_string()) && labels.len() < 18);
    }
}
