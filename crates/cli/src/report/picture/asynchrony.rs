//! The picture of `tickless asynchrony`: accuracy and spike difference, with one column per swept
//! quantity, each beginning at the exact engine.

use super::axes::{LABEL, NAME, Panel, Scale, extent, short, ticks};
use super::{Align, Ink, Picture, Spot, series};
use crate::report::format::decimal;
use tickless::simulate::asynchronous::SweepRow;

const SIZE: Spot = (960.0, 470.0);
/// Series numbers of the two quantities, whose colours no strategy has.
const SERIES: [usize; 2] = [3, 6];
const LEFT: f64 = 62.0;
const ACCURACY: Spot = (74.0, 224.0);
const DIFFERENCE: Spot = (276.0, 410.0);
/// The columns: the swept quantity and its title.
const COLUMNS: [(&str, &str); 6] = [
    ("delay", "delay, µs"),
    ("layer", "one layer late"),
    ("jitter", "jitter, µs"),
    ("service", "service time, µs"),
    ("queue", "queue, events"),
    ("order", "order"),
];

/// The picture of a sweep; `None` without an exact row or without a changed one.
pub(crate) fn picture(name: &str, rows: &[SweepRow]) -> Option<Picture> {
    let exact = rows.iter().find(|r| r.swept == "exact")?;
    let columns: Vec<(&str, Vec<&SweepRow>)> = COLUMNS
        .iter()
        .map(|(word, title)| (*title, rows.iter().filter(|r| r.swept == *word).collect::<Vec<_>>()))
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    // Columns whose labels are words are wider than those with numbers.
    let share = |title: &str| if ["order", "one layer late"].contains(&title) { 1.5 } else { 1.0 };
    let points: f64 = columns.iter().map(|(title, rows)| (rows.len() + 1) as f64 * share(title)).sum();
    if columns.is_empty() {
        return None;
    }
    let (low, high) = extent(rows.iter().map(|r| r.accuracy))?;
    let (a_ticks, a_range) = ticks(low.min(high - 10.0).max(0.0), high, 4);
    let a = Scale::new(a_range, (ACCURACY.1, ACCURACY.0));
    let most = extent(rows.iter().filter_map(|r| r.spike_difference))?.1;
    let (d_ticks, d_range) = ticks(0.0, most.max(0.01), 4);
    let d = Scale::new(d_range, (DIFFERENCE.1, DIFFERENCE.0));
    let mut picture = Picture::new("asynchrony", format!("{name}: what a chip's asynchrony does"), SIZE.0, SIZE.1);
    picture.text((LEFT - 34.0, 22.0), short(&picture.title.clone(), 90), NAME, Ink::TEXT, Align::Left);
    let right = SIZE.0 - 16.0;
    let top = Panel { left: LEFT, top: ACCURACY.0, right, bottom: ACCURACY.1 };
    top.y_axis(&mut picture, &a, &a_ticks, "accuracy, %");
    let bottom = Panel { left: LEFT, top: DIFFERENCE.0, right, bottom: DIFFERENCE.1 };
    bottom.y_axis(&mut picture, &d, &d_ticks, "spike difference to the exact engine");
    let point = (right - LEFT - 8.0) / points;
    let mut edge = LEFT + 8.0;
    for (title, rows) in &columns {
        let step = point * share(title);
        let at = edge + step / 2.0;
        let all: Vec<&SweepRow> = std::iter::once(exact).chain(rows.iter().copied()).collect();
        let x = |k: usize| at + step * k as f64;
        let accuracy: Vec<Spot> = all.iter().enumerate().map(|(k, r)| (x(k), a.at(r.accuracy))).collect();
        let difference: Vec<Spot> = all
            .iter()
            .enumerate()
            .filter_map(|(k, r)| Some((x(k), d.at(if r.swept == "exact" { 0.0 } else { r.spike_difference? }))))
            .collect();
        for (spots, index) in [accuracy, difference].into_iter().zip(SERIES) {
            picture.line(spots.clone(), series(index), 2.0);
            spots.iter().enumerate().for_each(|(k, s)| picture.mark(index, *s, k == 0));
        }
        for (k, r) in all.iter().enumerate() {
            let label = if r.swept == "exact" { "exact" } else { &r.value };
            // Labels that are words alternate between two rows, so that they do not touch.
            let row = if share(title) > 1.0 && k > 0 && k.is_multiple_of(2) { 12.0 } else { 0.0 };
            picture.text((x(k), DIFFERENCE.1 + 15.0 + row), short(label, 9), LABEL - 1.5, Ink::SOFT, Align::Centre);
        }
        let middle = x(0) + step * (all.len() - 1) as f64 / 2.0;
        picture.text((middle, DIFFERENCE.1 + 44.0), *title, LABEL, Ink::TEXT, Align::Centre);
        edge += step * all.len() as f64;
        for (top, bottom) in [ACCURACY, DIFFERENCE] {
            picture.line([(edge, top - 8.0), (edge, bottom)], Ink::RULE, 1.0);
        }
    }
    let worst = rows.iter().min_by(|a, b| a.accuracy.total_cmp(&b.accuracy))?;
    picture.alternative = format!(
        "Accuracy {} % with the exact engine; at worst {} % ({} {}). Largest spike difference {}.",
        decimal(exact.accuracy, 1),
        decimal(worst.accuracy, 1),
        worst.swept,
        worst.value,
        decimal(most, 3)
    );
    picture.caption =
        "One thing is changed at a time, in the simulator; a queue is swept at the longest service time.".into();
    Some(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(swept: &str, value: &str, accuracy: f64, spike_difference: Option<f64>) -> SweepRow {
        SweepRow { swept: swept.into(), value: value.into(), accuracy, spike_difference, ..SweepRow::default() }
    }

    #[test]
    fn every_swept_thing_has_its_column() {
        let rows = [
            row("exact", "", 88.0, Some(0.0)),
            row("delay", "10", 87.0, Some(0.1)),
            row("queue", "4", 10.0, None),
            row("order", "random", 88.5, Some(f64::INFINITY)),
        ];
        let picture = picture("net", &rows).unwrap();
        assert!(picture.alternative.contains("at worst 10.0 % (queue 4)"), "{}", picture.alternative);
    }

    #[test]
    fn nothing_swept_is_no_picture() {
        assert!(picture("net", &[row("exact", "", 88.0, Some(0.0))]).is_none());
        assert!(picture("net", &[]).is_none());
    }
}
