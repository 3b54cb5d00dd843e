//! `tickless report RUN...`: the page and its pictures, from finished runs.

use super::{command_line, print_json, say};
use crate::cli::Global;
use crate::gather::{Finished, report};
use crate::progress::Console;
use crate::report as page;
use anyhow::{Context, Result};
use clap::Args;
use std::path::PathBuf;
use tickless_train::run::RunFolder;

/// Make one self-contained page (and picture files) from runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless report runs/nmnist-sdt-seed1 runs/nmnist-mtt-seed1
  tickless report runs/nmnist-mtt-seed* --output mtt-report

Runs of one strategy are one row: mean and standard error over their seeds. Evaluate and simulate
the runs first (`tickless eval`, `tickless simulate`).")]
pub struct Report {
    /// Run folders.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Folder of the report (default: `report` in the first run's folder).
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Folder or zip of the data set, if it is no longer where the recipes say.
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Headline.
    #[arg(long)]
    title: Option<String>,
    /// One row per run, named after its folder, instead of one per strategy.
    #[arg(long)]
    separate: bool,
}

impl Report {
    /// Runs the command.
    pub fn run(self, global: &Global, _: &Console) -> Result<()> {
        let mut groups: Vec<(String, Vec<Finished>)> = Vec::new();
        for path in &self.runs {
            let f = Finished::open(&RunFolder::open(path)?, self.data.as_deref())?;
            let folder = path.file_name().map_or_else(|| "run".into(), |n| n.to_string_lossy().into_owned());
            let name = if self.separate { folder } else { f.run.facts.strategy.clone() };
            match groups.iter_mut().find(|g| g.0 == name) {
                Some(g) => g.1.push(f),
                None => groups.push((name, vec![f])),
            }
        }
        let title = self.title.clone().unwrap_or_else(|| format!("Tickless: {}", self.runs[0].display()));
        let data = report(&title, &command_line(), &groups)?;
        let folder = self.output.unwrap_or_else(|| self.runs[0].join("report"));
        let written = page::write(&data, &folder).context("writing the report")?;
        if global.json {
            return print_json(&data);
        }
        say!("{}\n{}", page::text::accuracy_table(&data), page::text::work_table(&data).trim_end_matches('\n'));
        say!("page: {}", written.page.display());
        Ok(())
    }
}
