//! `tickless report RUN...`: writes the page and its pictures from finished runs.

use crate::arguments::Global;
use crate::gather::{again, report, rows};
use crate::output::{print_json, say};
use crate::progress::Console;
use crate::report as page;
use crate::results::Finished;
use anyhow::{Context, Result};
use clap::Args;
use std::path::PathBuf;
use tickless_train::progress::Progress;
use tickless_train::run::RunFolder;

/// Make one self-contained page (and picture files) from runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless report runs/nmnist-sdt-seed1 runs/nmnist-mtt-seed1
  tickless report runs/nmnist-mtt-seed* --output mtt-report

Runs that differ in seed or fold only are one row: mean and standard error over them. Runs that
differ in anything else (network, T_max, epochs, fine-tuning) are rows of their own, named after
it; runs that were tested on other samples are refused. Evaluate and simulate the runs first
(`tickless eval`, `tickless simulate`): a run without results is named.")]
pub struct Report {
    /// Run folders.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Folder of the report (default: `report` in the first run's folder).
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Folder or zip of the data set, if the recipes name a place where it is not.
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Headline.
    #[arg(long)]
    title: Option<String>,
    /// One row per run, named after its folder.
    #[arg(long)]
    separate: bool,
}

impl Report {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let mut runs = Vec::new();
        for path in &self.runs {
            runs.push(Finished::open(&RunFolder::open(path)?, self.data.as_deref())?);
        }
        let missing: Vec<String> = runs.iter().flat_map(Finished::missing).collect();
        let again = again(&runs);
        let title = self.title.clone().unwrap_or_else(|| format!("Tickless: {}", self.runs[0].display()));
        let rows = rows(runs, self.separate)?;
        let data = report(&title, &again, &rows)?;
        let folder = self.output.unwrap_or_else(|| self.runs[0].join("report"));
        let written = page::write(&data, &folder).context("writing the report")?;
        missing.iter().for_each(|m| console.warn(m));
        rows.notes.iter().for_each(|n| console.line(&format!("note: {n}")));
        if global.json {
            return print_json(&data);
        }
        let mixed = page::text::mixed_table(&data);
        let mixed = if mixed.is_empty() { mixed } else { mixed + "\n" };
        let work = page::text::work_table(&data);
        say!("{}\n{mixed}{}", page::text::accuracy_table(&data), work.trim_end_matches('\n'));
        say!("page: {}", written.page.display());
        Ok(())
    }
}
