//! The finished runs of a study: opens them, puts them into rows, and measures one after another.

use crate::gather::{Group, Rows, rows};
use crate::progress::Console;
use crate::results::Finished;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use tickless_train::progress::Progress;
use tickless_train::run::RunFolder;

/// The runs of a study.
#[derive(Debug, Args)]
pub struct StudiedRuns {
    /// Run folders. Runs that differ in seed or fold only are one row.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Folder or zip of the data set, if the recipes name a place where it is not.
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
}

/// What was measured of the runs of one row.
pub struct MeasuredRow<T> {
    /// Name of the row.
    pub name: String,
    /// Strategy of its runs.
    pub strategy: String,
    /// One entry per run.
    pub runs: Vec<T>,
}

impl StudiedRuns {
    /// Opens the runs and prints what a reader of their rows must know.
    ///
    /// # Errors
    /// If a folder is no finished run.
    pub fn open(&self, console: &Console) -> Result<Vec<Group>> {
        let open = |path: &PathBuf| Finished::open(&RunFolder::open(path)?, self.data.as_deref());
        let Rows { groups, notes } = rows(self.runs.iter().map(open).collect::<Result<_>>()?, false)?;
        notes.iter().for_each(|n| console.line(&format!("note: {n}")));
        Ok(groups)
    }
}

/// Measures every run of the rows; the progress names the row and counts the runs.
///
/// # Errors
/// As `measure`.
pub fn measured<T>(
    groups: &mut [Group],
    console: &Console,
    mut measure: impl FnMut(&mut Finished) -> Result<T>,
) -> Result<Vec<MeasuredRow<T>>> {
    let total: usize = groups.iter().map(|g| g.runs.len()).sum();
    let (mut all, mut number) = (Vec::new(), 0);
    for group in groups {
        let mut runs = Vec::new();
        for f in &mut group.runs {
            number += 1;
            console.set_prefix(&format!("{} {number}/{total}", group.name));
            runs.push(measure(f)?);
        }
        all.push(MeasuredRow { name: group.name.clone(), strategy: group.strategy.clone(), runs });
    }
    console.set_prefix("");
    Ok(all)
}
