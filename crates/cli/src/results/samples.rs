//! The answer to each sample as a table for other programs (CSV, RFC 4180).
//!
//! All tables begin with the same columns. Those of early exits end with the rule, its threshold,
//! whether it held, and the step, or the time in µs since the first event and the number of events,
//! at which the sample stopped.

use anyhow::{Context, Result};
use std::path::Path;
use tickless::ExitAt;
use tickless_net::{Answers, LeakRule};
use tickless_train::data::SampleId;
use tickless_train::run::Loaded;

/// The answers of one run over the samples.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The number of steps of each stage; empty without a clock.
    pub configuration: &'a [usize],
    /// The leak rule; `None` without a clock.
    pub leak: Option<LeakRule>,
    /// The early exit.
    pub exit: Option<ExitAt>,
    /// The answers, in the order of the samples.
    pub rows: Vec<Row>,
}

/// The answer to one sample.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The label.
    pub label: usize,
    /// The class that the network chose.
    pub class: usize,
    /// The probability of that class, 0 to 1.
    pub confidence: f64,
    /// When an early exit stopped, and whether its rule held.
    pub stopped: Option<(Spent, bool)>,
}

/// What was run until an early exit.
#[derive(Debug, Clone, Copy)]
pub enum Spent {
    /// Number of time steps.
    Steps(usize),
    /// Without a clock.
    Events {
        /// µs since the first event.
        us: u64,
        /// Number of events.
        events: u64,
    },
}

impl<'a> Asked<'a> {
    /// Answers of runs without an exit.
    pub fn of(configuration: &'a [usize], leak: Option<LeakRule>, answers: &Answers) -> Self {
        let row = |i: usize| Row {
            label: answers.labels[i] as usize,
            class: answers.predicted[i] as usize,
            confidence: answers.confidence[i],
            stopped: None,
        };
        Self { configuration, leak, exit: None, rows: (0..answers.len()).map(row).collect() }
    }
}

/// Writes a row for each sample and each entry of `all`.
///
/// # Errors
/// If the file cannot be written.
pub fn write_samples(file: &Path, run: &Loaded, ids: &[SampleId], all: &[Asked<'_>]) -> Result<()> {
    tickless_files::write_following(file, &samples(run, ids, all)).with_context(|| file.display().to_string())
}

/// The columns of every table.
const COLUMNS: &str = "steps,leak,part,sample,file,label,label_name,class,class_name,confidence,right";

fn samples(run: &Loaded, ids: &[SampleId], all: &[Asked<'_>]) -> Vec<u8> {
    let dataset = run.source.dataset();
    let names: Vec<String> = (0..run.network.output().len()).map(|k| dataset.class_name(k)).collect();
    let name = |k: usize| names.get(k).cloned().unwrap_or_else(|| k.to_string());
    let columns = all.iter().flat_map(|a| &a.rows).find_map(|row| match row.stopped?.0 {
        Spent::Steps(_) => Some(",rule,alpha,stopped_early,exit_step"),
        Spent::Events { .. } => Some(",rule,alpha,stopped_early,exit_us,exit_events"),
    });
    let mut csv = format!("{COLUMNS}{}\n", columns.unwrap_or_default());
    for Asked { configuration, leak, exit, rows } in all {
        let steps: Vec<String> = configuration.iter().map(usize::to_string).collect();
        let steps = if steps.is_empty() { "event-driven".to_owned() } else { steps.join(",") };
        let leak = leak.map_or(String::new(), |l| l.to_string());
        for (id, row) in ids.iter().zip(rows) {
            let mut cells = vec![
                steps.clone(),
                leak.clone(),
                id.split.to_string(),
                id.index.to_string(),
                dataset.file(id.split, id.index).unwrap_or_default(),
                row.label.to_string(),
                name(row.label),
                row.class.to_string(),
                name(row.class),
                row.confidence.to_string(),
                (row.label == row.class).to_string(),
            ];
            if let (Some(exit), Some((spent, held))) = (exit, row.stopped) {
                cells.extend([exit.rule.to_string(), exit.alpha.to_string(), held.to_string()]);
                match spent {
                    Spent::Steps(steps) => cells.push(steps.to_string()),
                    Spent::Events { us, events } => cells.extend([us.to_string(), events.to_string()]),
                }
            }
            csv += &cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",");
            csv.push('\n');
        }
    }
    csv.into_bytes()
}

/// A cell as RFC 4180 writes it: in quotes if a comma, a quote or a line break is in it.
fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_cell_is_quoted_if_its_text_would_end_it() {
        assert_eq!(quoted("7"), "7");
        assert_eq!(quoted("cat, big"), "\"cat, big\"");
        assert_eq!(quoted("a \"b\"\nc"), "\"a \"\"b\"\"\nc\"");
    }
}
