//! The tables of a report, before they are rendered as text or HTML.
//!
//! This file alone decides which rows and columns exist and how numbers are written, so that the
//! terminal, the page and the pictures agree.

use super::data::{EventDriven, MeanPoint, ReportData, StrategyResult};
use super::format::{MISSING, compact, decimal, grouped, rate, signed, time_unit, with_error, with_unit};
use tickless::net::LeakRule;
use tickless::simulate::decisions::Exit;

/// If there are at most this many layers, the work table has a column of spikes for each.
const LAYER_COLUMNS: usize = 4;

/// An accuracy and its standard error, if it was measured.
type Measured = Option<(f64, Option<f64>)>;

/// Rows of text and a caption. The first column names the row; the others hold numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub caption: String,
    pub head: Vec<String>,
    pub rows: Vec<Row>,
    /// Number of last columns that stay visible while the others scroll.
    pub pinned: usize,
}

impl Table {
    /// Splits the table into tables of at most `most` columns beside the names. Pinned columns stay
    /// together.
    pub fn parts(&self, most: usize) -> Vec<Table> {
        let columns = self.head.len().saturating_sub(1);
        let scrolling = columns - self.pinned.min(columns);
        if columns <= most {
            return vec![self.clone()];
        }
        let mut parts: Vec<std::ops::Range<usize>> =
            (0..scrolling).step_by(most).map(|from| from..(from + most).min(scrolling)).collect();
        match parts.last_mut().filter(|last| last.len() + self.pinned <= most) {
            Some(last) => last.end = columns,
            None if self.pinned > 0 => parts.push(scrolling..columns),
            None => {}
        }
        let part = |range: std::ops::Range<usize>| {
            let names = self.head.iter().take(1).cloned();
            let last = range.end == columns;
            let head = names.chain(self.head[range.start + 1..range.end + 1].iter().cloned()).collect();
            let row = |r: &Row| Row { cells: r.cells[range.clone()].to_vec(), ..r.clone() };
            let caption = if last { self.caption.clone() } else { "Continued below.".into() };
            Table {
                caption,
                head,
                rows: self.rows.iter().map(row).collect(),
                pinned: if last { self.pinned } else { 0 },
            }
        };
        parts.into_iter().map(part).collect()
    }
}

/// One row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub name: String,
    /// Whether it is a variant of the row above, shown with less emphasis.
    pub minor: bool,
    pub cells: Vec<Cell>,
}

/// One value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    pub text: String,
    /// Whether it is the best value of its column.
    pub best: bool,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, best: false }
    }
}

/// Accuracy: a row per strategy and leak, a column per T, then event-driven and its change from
/// T_max.
pub(crate) fn accuracy(data: &ReportData) -> Table {
    let steps = all_steps(data);
    let event_driven = data.strategies.iter().any(|s| s.event_driven.is_some());
    let mut head: Vec<String> =
        std::iter::once(String::new()).chain(steps.iter().map(|t| format!("T = {t}"))).collect();
    if event_driven {
        let same = data.strategies.iter().all(|s| s.t_max(data.t_max) == data.t_max);
        let from = if same { format!("T = {}", data.t_max) } else { "T_max".to_owned() };
        head.extend(["event-driven".into(), format!("change from {from}")]);
    }
    let mut values = Vec::new();
    let mut rows = Vec::new();
    for strategy in &data.strategies {
        for (variant, &leak) in leaks(strategy).iter().enumerate() {
            let minor = variant > 0;
            let mut found: Vec<Measured> = steps
                .iter()
                .map(|&t| point(strategy, t, leak, strategy.t_max(data.t_max)).map(|p| (p.accuracy, p.standard_error)))
                .collect();
            if event_driven {
                let event = strategy.event_driven.as_ref().filter(|_| !minor);
                found.push(event.map(|e| (e.accuracy, e.standard_error)));
            }
            let mut cells: Vec<Cell> = found
                .iter()
                .map(|v| v.map_or(MISSING.into(), |(accuracy, error)| with_error(accuracy, error, 1)).into())
                .collect();
            if event_driven {
                let change = without_clock(strategy, data.t_max).filter(|_| !minor);
                cells.push(change.map_or(MISSING.into(), |c| signed(c, 1)).into());
            }
            values.push(found);
            let name = if minor { format!("{}, {}", strategy.name, words(leak)) } else { strategy.name.clone() };
            rows.push(Row { name, minor, cells });
        }
    }
    mark_best(&mut rows, &values);
    Table { caption: accuracy_caption(data), head, rows, pinned: if event_driven { 2 } else { 0 } }
}

/// Accuracy at mixed configurations: a row per strategy and leak, a column per configuration.
pub(crate) fn mixed(data: &ReportData) -> Table {
    let mut configurations: Vec<&[usize]> = Vec::new();
    for p in data.strategies.iter().flat_map(|s| &s.mixed) {
        if !configurations.contains(&p.configuration.as_slice()) {
            configurations.push(&p.configuration);
        }
    }
    if configurations.is_empty() {
        return Table::default();
    }
    let word = |c: &&[usize]| c.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let head = std::iter::once(String::new()).chain(configurations.iter().map(word)).collect();
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for strategy in &data.strategies {
        for leak in [LeakRule::Time, LeakRule::Step] {
            let of = |c: &&[usize]| strategy.mixed.iter().find(|p| p.configuration == *c && p.leak == leak);
            let found: Vec<Measured> =
                configurations.iter().map(|c| of(c).map(|p| (p.accuracy, p.standard_error))).collect();
            if found.iter().all(Option::is_none) {
                continue;
            }
            let cell =
                |v: &Measured| v.map_or(MISSING.into(), |(accuracy, error)| with_error(accuracy, error, 1)).into();
            let cells = found.iter().map(cell).collect();
            rows.push(Row { name: format!("{}, {}", strategy.name, words(leak)), minor: false, cells });
            values.push(found);
        }
    }
    mark_best(&mut rows, &values);
    let caption = "Accuracy in % with one set of weights and a number of time steps of its own in each stage, from the \
                   first to the last.";
    Table { caption: caption.into(), head, rows, pinned: 0 }
}

/// The work of the event-driven runs, per recording.
pub(crate) fn work(data: &ReportData) -> Table {
    let runs: Vec<(&StrategyResult, &EventDriven)> = event_driven(data).collect();
    let Some((base, base_event)) = baseline(data) else { return Table::default() };
    let layers = layer_names(runs.iter().flat_map(|(_, e)| e.spikes_per_layer.iter().map(|(l, _)| l.as_str())));
    let layers = if layers.len() <= LAYER_COLUMNS { layers } else { Vec::new() };
    let mut head = vec![String::new(), "events".into()];
    head.extend(layers.iter().map(|layer| format!("spikes, {layer}")));
    head.extend(["spikes, all".into(), "synaptic operations".into()]);
    head.extend([format!("relative to {}", base.name), "spike difference".into()]);
    let rows = runs
        .iter()
        .map(|(strategy, event)| {
            let spikes = |layer: &&str| event.spikes_per_layer.iter().find(|(l, _)| l == layer).map(|(_, n)| *n);
            let mut cells = vec![grouped(event.events)];
            cells.extend(layers.iter().map(|layer| spikes(layer).map_or(MISSING.into(), grouped)));
            cells.push(grouped(event.spikes()));
            cells.push(compact(event.synaptic_operations));
            cells.push(with_unit(event.synaptic_operations / base_event.synaptic_operations, 2, "×"));
            cells.push(event.spike_difference.map_or(MISSING.into(), |d| with_unit(100.0 * d, 1, "%")));
            Row { name: strategy.name.clone(), minor: false, cells: cells.into_iter().map(Cell::from).collect() }
        })
        .collect();
    let caption = format!(
        "Work per recording, event-driven, in the simulator (mean of {} recordings). Spike difference: to the clocked \
         net at T = {}.",
        grouped(base_event.samples as f64),
        data.t_max
    );
    Table { caption, head, rows, pinned: 0 }
}

/// Early exit: a row per strategy and confidence.
pub(crate) fn exits(data: &ReportData) -> Table {
    let decided = || event_driven(data).filter_map(|(s, e)| e.decisions.as_ref().map(|d| (s, d)));
    let longest =
        decided().flat_map(|(_, d)| d.exits.iter().map(|e| e.us)).filter(|us| us.is_finite()).fold(0.0, f64::max);
    let (unit, name) = time_unit(longest);
    let row = |strategy: &StrategyResult, e: &Exit| {
        let cells = [
            e.confidence.to_string(),
            with_error(e.accuracy, e.standard_error, 1),
            decimal(e.us / unit, 1),
            grouped(e.events.round()),
            decimal(e.reached, 1),
        ];
        Row { name: strategy.name.clone(), minor: false, cells: cells.map(Cell::from).into() }
    };
    Table {
        caption:
            "Each recording stops when its confidence passes the threshold; time and events are means until then, \
                  those that never pass it ran to their end."
                .into(),
        head: ["", "confidence", "accuracy, %", &format!("time, {name}"), "events", "passed, %"]
            .map(String::from)
            .into(),
        rows: decided().flat_map(|(s, d)| d.exits.iter().map(move |e| row(s, e))).collect(),
        pinned: 0,
    }
}

/// Firing rates: a row per layer, two columns per strategy.
pub(crate) fn rates(data: &ReportData) -> Table {
    let active: Vec<&StrategyResult> = data.strategies.iter().filter(|s| !s.layers.is_empty()).collect();
    let names = layer_names(active.iter().flat_map(|s| s.layers.iter().map(|l| l.layer.as_str())));
    let mut head = vec!["layer".to_string(), "neurons".into()];
    for strategy in &active {
        head.extend([format!("{}, clocked", strategy.name), format!("{}, event-driven", strategy.name)]);
    }
    let rows = names
        .iter()
        .map(|name| {
            let named_layer = |s: &&StrategyResult| s.layers.iter().find(|l| l.layer == *name).cloned();
            let neurons = active.iter().find_map(named_layer).map_or(MISSING.into(), |l| grouped(l.neurons as f64));
            let mut cells = vec![Cell::from(neurons)];
            for strategy in &active {
                let layer = named_layer(strategy);
                let clocked = layer.as_ref().map_or(MISSING.into(), |l| match l.silent {
                    true => "silent".into(),
                    false => rate(l.rate),
                });
                let event = layer.and_then(|l| l.event_driven_rate).map_or(MISSING.into(), rate);
                cells.extend([Cell::from(clocked), Cell::from(event)]);
            }
            Row { name: name.to_string(), minor: false, cells }
        })
        .collect();
    let caption = format!("Spikes per neuron and recording: clocked at T = {}, and event-driven.", data.t_max);
    Table { caption, head, rows, pinned: 0 }
}

/// The strategies with event-driven results.
pub(crate) fn event_driven(data: &ReportData) -> impl Iterator<Item = (&StrategyResult, &EventDriven)> {
    data.strategies.iter().filter_map(|s| s.event_driven.as_ref().map(|e| (s, e)))
}

/// The row that work is compared with: the first of SDT, else the first.
pub(crate) fn baseline(data: &ReportData) -> Option<(&StrategyResult, &EventDriven)> {
    event_driven(data).find(|(s, _)| s.family() == "SDT").or_else(|| event_driven(data).next())
}

/// All T of all strategies, ascending.
pub(crate) fn all_steps(data: &ReportData) -> Vec<usize> {
    let mut steps: Vec<usize> =
        data.strategies.iter().flat_map(|s| s.points.iter().map(|p| p.steps)).filter(|&t| t > 0).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// The leaks that a strategy was evaluated with, the leak per time first.
pub(crate) fn leaks(strategy: &StrategyResult) -> Vec<LeakRule> {
    let has = |leak| strategy.points.iter().any(|p| p.leak == leak);
    let found: Vec<LeakRule> = [LeakRule::Time, LeakRule::Step].into_iter().filter(|&l| has(l)).collect();
    // A strategy without evaluation has a row nevertheless, so that a reader sees that it is
    // missing.
    if found.is_empty() { vec![LeakRule::Time] } else { found }
}

/// The result at T. At T_max both leaks are equal by definition, so either result serves.
pub(crate) fn point(strategy: &StrategyResult, steps: usize, leak: LeakRule, t_max: usize) -> Option<&MeanPoint> {
    let measured = |exact: bool| strategy.points.iter().find(|p| p.steps == steps && (!exact || p.leak == leak));
    measured(true).or_else(|| if steps == t_max { measured(false) } else { None })
}

/// The change of accuracy from T_max to event-driven, in percentage points.
pub(crate) fn without_clock(strategy: &StrategyResult, t_max: usize) -> Option<f64> {
    let t_max = strategy.t_max(t_max);
    let clocked = point(strategy, t_max, LeakRule::Time, t_max)?.accuracy;
    Some(strategy.event_driven.as_ref()?.accuracy - clocked).filter(|change| change.is_finite())
}

/// The distinct names, in order of first appearance.
pub(crate) fn layer_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

fn words(leak: LeakRule) -> &'static str {
    match leak {
        LeakRule::Step => "leak per step",
        LeakRule::Time => "leak per time",
    }
}

fn accuracy_caption(data: &ReportData) -> String {
    let mut caption = String::from("Accuracy in % on the test samples at T time steps");
    if data.dataset.test_samples > 0 {
        caption =
            format!("Accuracy in % on {} test samples at T time steps", grouped(data.dataset.test_samples as f64));
    }
    let any = |leak| data.strategies.iter().any(|s| s.points.iter().any(|p| p.leak == leak));
    match (any(LeakRule::Time), any(LeakRule::Step)) {
        (true, true) => caption += "; the leak belongs to time unless the row says otherwise",
        (true, false) => caption += "; the leak belongs to time",
        (false, true) => caption += "; the leak belongs to the step",
        (false, false) => {}
    }
    if event_driven(data).next().is_some() {
        caption += "; event-driven: no T at all, in the simulator";
    }
    if data.strategies.iter().any(|s| s.points.iter().any(|p| p.standard_error.is_some())) {
        caption += "; ± standard error";
    }
    caption + "."
}

/// Marks the highest value of each column that has at least two. Variants are left out.
fn mark_best(rows: &mut [Row], values: &[Vec<Measured>]) {
    let columns = values.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let accuracy = |row: &Vec<Measured>| row.get(column).copied().flatten().map(|(a, _)| a);
        let main = rows.iter().zip(values).filter(|(row, _)| !row.minor).map(|(_, values)| values);
        let known: Vec<f64> = main.filter_map(accuracy).filter(|a| a.is_finite()).collect();
        if known.len() < 2 {
            continue;
        }
        let best = known.into_iter().fold(f64::NEG_INFINITY, f64::max);
        for (row, value) in rows.iter_mut().zip(values) {
            row.cells[column].best = !row.minor && accuracy(value) == Some(best);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn best_of_each_column_is_marked_once() {
        let table = accuracy(&fixture::full());
        let best: Vec<&str> = (0..table.rows[0].cells.len())
            .map(|c| table.rows.iter().find(|r| r.cells[c].best).map_or("", |r| r.name.as_str()))
            .collect();
        assert_eq!(best, ["MTT", "MTT", "MTT", "SDT", "MTT", "MTT", ""]);
    }

    #[test]
    fn work_is_relative_to_sdt_wherever_it_stands() {
        let mut data = fixture::full();
        data.strategies.reverse();
        let table = work(&data);
        assert!(table.head.contains(&"relative to SDT".to_string()));
        let relative: Vec<&str> = table.rows.iter().map(|r| r.cells[5].text.as_str()).collect();
        assert_eq!(relative, ["0.29 ×", "0.56 ×", "1.00 ×"]);
    }

    #[test]
    fn many_layers_get_one_column() {
        let mut data = fixture::full();
        for strategy in &mut data.strategies {
            let event = strategy.event_driven.as_mut().unwrap();
            event.spikes_per_layer = (0..20).map(|i| (format!("conv{i}"), 10.0)).collect();
        }
        assert_eq!(work(&data).head.len(), 6);
    }
}
