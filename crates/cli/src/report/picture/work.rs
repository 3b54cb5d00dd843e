//! The picture of work: spikes and synaptic operations per recording of the event-driven runs.

use super::axes::{LABEL, NAME, short, width};
use super::{Align, Format, Ink, Picture, rows, series};
use crate::report::data::{EventDriven, ReportData, StrategyResult};
use crate::report::format::{compact, decimal, grouped};
use crate::report::table::{baseline, event_driven, layer_names};

const ROW: f64 = 34.0;
const BAR: f64 = 18.0;
/// Space for a value behind the longest bar.
const VALUE: f64 = 132.0;

/// A bar: strategy, name, the lengths of its parts, and the text behind it.
type Bar<'a> = (usize, &'a str, Vec<f64>, String);

pub(super) fn picture(data: &ReportData, format: Format) -> Option<Picture> {
    let (base, base_event) = baseline(data)?;
    let runs: Vec<(usize, &StrategyResult, &EventDriven)> =
        rows(data).into_iter().filter_map(|(i, s)| s.event_driven.as_ref().map(|e| (i, s, e))).collect();
    let layers = layer_names(runs.iter().flat_map(|(_, _, e)| e.spikes_per_layer.iter().map(|(l, _)| l.as_str())));
    let relative = |value: f64, base: f64, same: bool| match value / base - 1.0 {
        _ if same => String::new(),
        change if change.is_finite() => {
            format!(" ({}{} %)", if change > 0.0 { "+" } else { "" }, decimal(100.0 * change, 0))
        }
        _ => String::new(),
    };
    let spikes: Vec<Bar> = runs
        .iter()
        .map(|(i, s, e)| {
            let parts = layers
                .iter()
                .map(|l| e.spikes_per_layer.iter().filter(|(n, _)| n == l).map(|(_, v)| *v).sum())
                .collect();
            let change = relative(e.spikes(), base_event.spikes(), s.name == base.name);
            (*i, s.name.as_str(), parts, compact(e.spikes()) + &change)
        })
        .collect();
    let operations: Vec<Bar> = runs
        .iter()
        .map(|(i, s, e)| {
            let change = relative(e.synaptic_operations, base_event.synaptic_operations, s.name == base.name);
            (*i, s.name.as_str(), vec![e.synaptic_operations], compact(e.synaptic_operations) + &change)
        })
        .collect();
    let height = 58.0 + ROW * runs.len() as f64;
    let whole = format.choose(height, 2.0 * height + 8.0);
    let mut picture = Picture::new("work", "Work per recording without a clock", format.width(), whole);
    let names = runs.iter().map(|(_, s, _)| width(&short(&s.name, 14), NAME)).fold(30.0, f64::max) + 16.0;
    let half = format.choose((format.width() - names - 24.0) / 2.0, format.width() - names - 4.0);
    let second = format.choose((names + half + 24.0, 0.0), (names, height + 8.0));
    for top in format.choose(vec![0.0], vec![0.0, height + 8.0]) {
        for (row, (_, strategy, _)) in runs.iter().enumerate() {
            let y = top + 44.0 + ROW * (row as f64 + 0.5);
            picture.text((names - 8.0, y), short(&strategy.name, 14), NAME, Ink::TEXT, Align::Right);
        }
    }
    panel(&mut picture, &spikes, "spikes per recording", (names, 0.0), half - VALUE);
    panel(&mut picture, &operations, "synaptic operations per recording", second, half - VALUE);
    let value = |(_, name, _, text): &Bar| format!("{name} {text}");
    let join = |bars: &[Bar]| bars.iter().map(value).collect::<Vec<_>>().join("; ");
    picture.alternative = format!("Spikes: {}. Synaptic operations: {}.", join(&spikes), join(&operations));
    picture.caption = format!(
        "Spikes of all layers and synaptic operations per recording, counted by the simulator; percentages relative to {}.",
        base.name
    );
    if layers.len() > 1 && layers.len() <= 6 {
        picture.caption += &format!(" From full to faint: {}.", layers.join(", "));
    }
    let events = event_driven(data).map(|(_, e)| e.events).find(|e| e.is_finite() && *e > 0.0);
    if let Some(events) = events {
        picture.caption += &format!(" The input is {} events per recording.", grouped(events));
    }
    Some(picture)
}

fn panel(picture: &mut Picture, bars: &[Bar], what: &str, (left, top): super::Spot, room: f64) {
    picture.text((left, top + 20.0), what, LABEL, Ink::SOFT, Align::Left);
    let sane = |v: &f64| v.is_finite() && *v > 0.0;
    let total = |parts: &[f64]| parts.iter().filter(|v| sane(v)).sum::<f64>().min(1e300);
    let largest = bars.iter().map(|b| total(&b.2)).fold(0.0, f64::max);
    for (row, (index, _, parts, text)) in bars.iter().enumerate() {
        let y = top + 44.0 + ROW * (row as f64 + 0.5);
        let mut x = left;
        for (part, value) in parts.iter().enumerate().filter(|(_, v)| sane(v)) {
            let length = (value / largest).min(1.0) * room;
            let shade = 1.0 - 0.55 * part as f64 / (parts.len().max(2) - 1) as f64;
            picture.rect(x, y - BAR / 2.0, length.min(left + room - x), BAR, series(*index).at(shade));
            x = (x + length).min(left + room);
        }
        picture.text((x + 8.0, y), text.as_str(), LABEL, Ink::TEXT, Align::Left);
    }
    let bottom = top + 44.0 + ROW * bars.len() as f64;
    picture.line([(left, top + 40.0), (left, bottom)], Ink::SOFT, 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn says_how_much_is_saved() {
        let picture = picture(&fixture::full(), Format::Wide).unwrap();
        assert!(picture.alternative.contains("MTT 1.02 M (−71 %)"), "{}", picture.alternative);
        assert!(picture.alternative.contains("SDT 75.2 k;"), "{}", picture.alternative);
    }

    #[test]
    fn no_event_driven_run_no_picture() {
        let mut data = fixture::full();
        data.strategies.iter_mut().for_each(|s| s.event_driven = None);
        assert!(picture(&data, Format::Wide).is_none());
    }
}
