//! The main picture: accuracy against T for each strategy, with the event-driven accuracy at the
//! right.

use super::axes::{
    DASH, KEY_ROW, LABEL, NAME, Panel, Scale, Stroke, extent, key, line_key, short, spread, ticks, width,
};
use super::{Align, Format, Ink, Picture, Spot, rows, series};
use crate::report::data::{ReportData, StrategyResult};
use crate::report::format::{count, decimal};
use crate::report::table::{all_steps, leaks, point};
use tickless::net::LeakRule;

const LEFT: f64 = 60.0;
const TOP: f64 = 56.0;

/// A line of the picture: one strategy with one leak.
struct Series<'a> {
    index: usize,
    strategy: &'a StrategyResult,
    dashed: bool,
    /// T, accuracy, standard error.
    points: Vec<(usize, f64, Option<f64>)>,
}

/// An event-driven result: series, name, accuracy, standard error.
type Clockless<'a> = (usize, &'a str, f64, Option<f64>);

pub(super) fn picture(data: &ReportData, format: Format) -> Option<Picture> {
    let all = all_series(data);
    let event_driven: Vec<Clockless> = rows(data)
        .into_iter()
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
    let steps: Vec<usize> =
        all_steps(data).into_iter().filter(|t| all.iter().any(|s| s.points.iter().any(|p| p.0 == *t))).collect();
    let both = all.iter().any(|s| s.dashed) && all.iter().any(|s| !s.dashed);

    let mut picture = Picture::new(
        "accuracy",
        "Accuracy against the number of time steps",
        format.width(),
        format.choose(500.0, 0.0),
    );
    // A wide picture shows names and values beside the lines, a narrow one in a key above them.
    let top = format.choose(TOP, narrow_key(&mut picture, data, both));
    let bottom = format.choose(432.0, top + 260.0);
    picture.resize(bottom + format.choose(68.0, 56.0));
    let y = Scale::new(range, (bottom, top));
    let shown = data.strategies.iter().map(|s| width(&label(&s.name, 100.0), NAME)).fold(0.0, f64::max);
    let names = format.choose(format.width() - shown - 44.0, format.width() - 6.0);
    let (column_width, gap) = format.choose((104.0, 20.0), (84.0, 12.0));
    let column = (names - column_width, names);
    let right = if event_driven.is_empty() { names } else { column.0 - gap };
    let panel = Panel { left: format.choose(LEFT, 42.0), top, right, bottom };
    let ends = (steps.first().copied().unwrap_or(1), steps.last().copied().unwrap_or(1));
    let inset = format.choose(28.0, 12.0);
    let x = Scale::new(((ends.0 as f64).ln(), (ends.1 as f64).ln()), (panel.left + inset, panel.right - inset));
    let x = move |t: usize| x.at((t as f64).ln());

    if !event_driven.is_empty() {
        picture.rect(column.0, top, column_width, bottom - top, Ink::BAND);
    }
    panel.y_axis(&mut picture, &y, &y_ticks, "accuracy, %");
    let t_max = common_t_max(data);
    if t_max > 0 && (ends.0..=ends.1).contains(&t_max) {
        let at = x(t_max);
        picture.dashed([(at, panel.top), (at, panel.bottom)], Ink::SOFT, 1.0, (2.0, 3.0));
        let text = format!("{}{t_max}", format.choose("trained up to T = ", "T_max = "));
        let before = at + 7.0 + width(&text, LABEL) > panel.right;
        let (side, align) = if before { (-7.0, Align::Right) } else { (7.0, Align::Left) };
        picture.text((at + side, panel.bottom - 14.0), text, LABEL, Ink::SOFT, align);
    }
    let what = format.choose("time steps T (logarithmic)", "T (logarithmic)");
    panel.x_axis(&mut picture, &Panel::apart(step_labels(&steps, t_max, &x)), what);
    for line in &all {
        band(&mut picture, line, &x, &y);
    }
    for line in &all {
        draw(&mut picture, line, line.strategy.t_max(data.t_max), &x, &y);
    }
    let placed = without_clock(&mut picture, &event_driven, &y, column, (bottom, format));
    if format == Format::Wide {
        if event_driven.is_empty() {
            let ends: Vec<(usize, &str, f64, f64)> = all
                .iter()
                .filter(|s| !s.dashed)
                .filter_map(|s| s.points.last().map(|p| (s.index, s.strategy.name.as_str(), p.1, x(p.0))))
                .collect();
            labels(&mut picture, &ends, &y, names + 10.0);
        } else {
            labels(&mut picture, &placed, &y, names + 10.0);
        }
        if both {
            line_key(&mut picture, &LEAKS, panel.right - 262.0, panel.top - 22.0, format.width());
        }
    }
    picture.alternative = alternative(data);
    picture.caption = caption(data, &all, !event_driven.is_empty());
    Some(picture)
}

const LEAKS: [(&str, Stroke); 2] = [("leak per time", Stroke::Solid), ("leak per step", Stroke::Dashed)];

/// In a narrow picture, draws a key of names with their event-driven accuracy (else that at the
/// largest T) and of the kinds of lines. Returns where the panel may begin; 0 in a wide picture.
fn narrow_key(picture: &mut Picture, data: &ReportData, both: bool) -> f64 {
    if picture.size.1 > 0.0 {
        return 0.0;
    }
    let value = |s: &StrategyResult| match &s.event_driven {
        Some(e) => Some(e.accuracy),
        None => s.points.iter().max_by_key(|p| p.steps).map(|p| p.accuracy),
    };
    let names: Vec<(usize, String)> =
        rows(data).into_iter().filter_map(|(i, s)| Some((i, label(&s.name, value(s)?)))).collect();
    let names: Vec<(usize, &str)> = names.iter().map(|(i, n)| (*i, n.as_str())).collect();
    let (left, right) = (12.0, picture.size.0 - 4.0);
    let (_, mut row) = key(picture, &names, left, 14.0, right);
    if both {
        row = line_key(picture, &LEAKS, left - 6.0, row + KEY_ROW, right).1;
    }
    row + 44.0
}

/// The T_max of all rows, or 0 if they differ.
fn common_t_max(data: &ReportData) -> usize {
    let all: Vec<usize> = data.strategies.iter().map(|s| s.t_max(data.t_max)).collect();
    all.first().copied().filter(|t| all.iter().all(|o| o == t)).unwrap_or(0)
}

fn all_series(data: &ReportData) -> Vec<Series<'_>> {
    let both = data.strategies.iter().flat_map(leaks).any(|l| l == LeakRule::Time);
    let mut all = Vec::new();
    for (index, strategy) in rows(data) {
        for leak in leaks(strategy) {
            let points: Vec<_> = all_steps(data)
                .into_iter()
                .filter_map(|t| point(strategy, t, leak, strategy.t_max(data.t_max)))
                .filter(|p| p.accuracy.is_finite())
                .map(|p| (p.steps, p.accuracy, p.standard_error.filter(|e| e.is_finite())))
                .collect();
            if !points.is_empty() {
                all.push(Series { index, strategy, dashed: both && leak == LeakRule::Step, points });
            }
        }
    }
    all
}

/// A band of one standard error on each side of a line, over each run of points that have one.
fn band(picture: &mut Picture, line: &Series<'_>, x: &impl Fn(usize) -> f64, y: &Scale) {
    for stretch in line.points.split(|p| p.2.is_none()) {
        let edge = |p: &(usize, f64, Option<f64>)| p.2.map(|e| (x(p.0), y.at(p.1 + e), y.at(p.1 - e)));
        let edges: Vec<_> = stretch.iter().filter_map(edge).collect();
        picture.band(&edges, series(line.index).at(if line.dashed { 0.1 } else { 0.2 }));
    }
}

/// Draws line and marks. A dashed line has no mark at T_max, because it meets the solid line there.
fn draw(picture: &mut Picture, line: &Series<'_>, t_max: usize, x: &impl Fn(usize) -> f64, y: &Scale) {
    let ink = series(line.index);
    let spots: Vec<_> = line.points.iter().map(|p| (x(p.0), y.at(p.1))).collect();
    let is_marked = |(_, point): &(&Spot, &(usize, f64, Option<f64>))| !line.dashed || point.0 != t_max;
    // A single point has an error bar instead of a band.
    if let ([point], [spot]) = (line.points.as_slice(), spots.as_slice())
        && let Some(error) = point.2
    {
        picture.error_bar(spot.0, y.at(point.1 + error), y.at(point.1 - error), ink.at(0.55));
    }
    match line.dashed {
        true => picture.dashed(spots.clone(), ink, 1.75, DASH),
        false => picture.line(spots.clone(), ink, 2.25),
    }
    for (spot, _) in spots.iter().zip(&line.points).filter(is_marked) {
        picture.mark(line.index, *spot, line.dashed);
    }
}

/// Draws the event-driven values side by side in a column of their own.
fn without_clock<'a>(
    picture: &mut Picture,
    values: &[Clockless<'a>],
    y: &Scale,
    (left, right): Spot,
    (bottom, format): (f64, Format),
) -> Vec<(usize, &'a str, f64, f64)> {
    if values.is_empty() {
        return Vec::new();
    }
    let middle = (left + right) / 2.0;
    picture.line([(left, bottom), (right, bottom)], Ink::SOFT, 1.0);
    picture.text((middle, bottom + 17.0), "event-driven", LABEL, Ink::TEXT, Align::Centre);
    picture.text((middle, bottom + 40.0), format.choose("no T at all", "no T"), LABEL, Ink::SOFT, Align::Centre);
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

/// Draws name and value beside the end of each line, which also serves as the key.
fn labels(picture: &mut Picture, ends: &[(usize, &str, f64, f64)], y: &Scale, left: f64) {
    let mut heights: Vec<f64> = ends.iter().map(|e| y.at(e.2)).collect();
    spread(&mut heights, 22.0, y.pixels.1, y.pixels.0 - 8.0);
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

/// Selects labels that do not overlap; T_max and the ends have priority.
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
    let strategy_in_words = |s: &StrategyResult| {
        let mut parts: Vec<String> = leaks(s)
            .first()
            .map(|&leak| {
                let points = all_steps(data).into_iter().filter_map(|t| point(s, t, leak, s.t_max(data.t_max)));
                points.map(|p| format!("{} at T = {}", decimal(p.accuracy, 1), p.steps)).collect()
            })
            .unwrap_or_default();
        parts.extend(s.event_driven.as_ref().map(|e| format!("{} event-driven", decimal(e.accuracy, 1))));
        format!("{}: {}", s.name, parts.join(", "))
    };
    let lines: Vec<String> = data.strategies.iter().map(strategy_in_words).collect();
    format!("Accuracy in percent. {}.", lines.join("; "))
}

fn caption(data: &ReportData, all: &[Series<'_>], event_driven: bool) -> String {
    let mut caption = String::from("One set of weights per strategy, run at every T.");
    if event_driven {
        caption += " At the right the same weights without any time step, event by event, in the simulator.";
    }
    if all.iter().any(|s| s.dashed) {
        caption += &match common_t_max(data) {
            0 => " Solid: the leak belongs to time, λ^(T_max/T); dashed, hollow: λ at every step.".to_owned(),
            t => format!(
                " Solid: the leak belongs to time, λ^({t}/T); dashed, hollow: λ at every step; at T = {t} they are one."
            ),
        };
    }
    if all.iter().any(|s| s.points.iter().any(|p| p.2.is_some())) {
        let seeds = data.strategies.iter().map(|s| s.seeds.len()).max().unwrap_or(0);
        caption += &match seeds {
            0 | 1 => " Bands and bars: one standard error.".to_string(),
            n => format!(" Bands and bars: one standard error over {}.", count(n, "run")),
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
        let picture = picture(&fixture::full(), Format::Wide).unwrap();
        let texts = texts(&picture);
        for wanted in ["SDT  53.4", "NMT  68.2", "MTT  77.8", "event-driven", "leak per step", "100"] {
            assert!(texts.iter().any(|t| t == wanted), "{wanted} not in {texts:?}");
        }
    }

    #[test]
    fn without_event_driven_runs_the_lines_carry_the_names() {
        let mut data = fixture::full();
        data.strategies.iter_mut().for_each(|s| s.event_driven = None);
        let texts = texts(&picture(&data, Format::Wide).unwrap());
        assert!(texts.iter().any(|t| t == "MTT  80.6") && !texts.iter().any(|t| t == "event-driven"), "{texts:?}");
    }

    #[test]
    fn standard_errors_are_bands_along_the_lines() {
        let areas = |data: &ReportData| {
            let shapes = picture(data, Format::Narrow).unwrap().shapes;
            shapes.iter().filter(|s| matches!(s, Shape::Area { ink, .. } if ink.opacity < 0.5)).count()
        };
        let mut data = fixture::full();
        assert_eq!(areas(&data), 6, "one for each strategy and leak");
        data.strategies[0].points.iter_mut().for_each(|p| p.standard_error = None);
        assert_eq!(areas(&data), 4);
        data.strategies[1].points[2].standard_error = None;
        assert_eq!(areas(&data), 5, "a band is broken where an error is missing");
    }

    #[test]
    fn one_point_is_enough() {
        let mut data = fixture::full();
        data.strategies.truncate(1);
        data.strategies[0].points.truncate(1);
        data.strategies[0].event_driven = None;
        assert!(picture(&data, Format::Wide).is_some());
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
