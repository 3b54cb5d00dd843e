//! The answer to each sample as a table for other programs (CSV, RFC 4180).

use anyhow::{Context, Result};
use std::path::Path;
use tickless_net::{Answers, LeakRule};
use tickless_train::data::SampleId;
use tickless_train::run::Loaded;

/// The answers of one run over the samples.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The number of steps of each stage; empty without a clock.
    pub configuration: &'a [usize],
    /// The leak rule; `None` without a clock.
    pub leak: Option<LeakRule>,
    /// The answers, in the order of the samples.
    pub answers: &'a Answers,
}

/// Writes a row for each sample and each entry of `all`.
///
/// # Errors
/// If the file cannot be written.
pub fn write_samples(file: &Path, run: &Loaded, ids: &[SampleId], all: &[Asked<'_>]) -> Result<()> {
    tickless_files::write_following(file, &samples(run, ids, all)).with_context(|| file.display().to_string())
}

fn samples(run: &Loaded, ids: &[SampleId], all: &[Asked<'_>]) -> Vec<u8> {
    let dataset = run.source.dataset();
    let names: Vec<String> = (0..run.network.output().len()).map(|k| dataset.class_name(k)).collect();
    let name = |k: u32| names.get(k as usize).cloned().unwrap_or_else(|| k.to_string());
    let mut csv = String::from("steps,leak,part,sample,file,label,label_name,class,class_name,confidence,right\n");
    for Asked { configuration, leak, answers } in all {
        let steps: Vec<String> = configuration.iter().map(usize::to_string).collect();
        let steps = if steps.is_empty() { "event-driven".to_owned() } else { steps.join(",") };
        let leak = leak.map_or(String::new(), |l| l.to_string());
        for (i, id) in ids.iter().enumerate() {
            let (label, class) = (answers.labels[i], answers.predicted[i]);
            let cells = [
                steps.clone(),
                leak.clone(),
                id.split.to_string(),
                id.index.to_string(),
                dataset.file(id.split, id.index).unwrap_or_default(),
                label.to_string(),
                name(label),
                class.to_string(),
                name(class),
                answers.confidence[i].to_string(),
                answers.right(i).to_string(),
            ];
            csv += &cells.map(|cell| quoted(&cell)).join(",");
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
