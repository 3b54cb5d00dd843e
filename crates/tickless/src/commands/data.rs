//! `tickless data list` and `tickless data info PATH`.

use super::{print_json, say};
use crate::cli::Global;
use crate::progress::Console;
use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use tickless_events::datasets;

/// What data sets there are, and what a file or folder is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless data list
  tickless data info recordings/00001.bin
  tickless data info ~/data/nmnist --json")]
pub struct Data {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the data sets that a recipe can name.
    List,
    /// Say what a file or folder is: format, sensor, events, times, digest.
    Info {
        /// A recording, an image file or the folder of a data set.
        path: PathBuf,
    },
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    about: &'static str,
    needs: &'static str,
}

impl Data {
    /// Runs the command.
    pub fn run(self, global: &Global, _: &Console) -> Result<()> {
        match self.what {
            What::List => {
                let all = datasets::list().iter().map(|d| Entry { name: d.name, about: d.about, needs: d.needs });
                let all: Vec<Entry> = all.collect();
                if global.json {
                    return print_json(&all);
                }
                for d in all {
                    say!("{:<15} {}", d.name, d.about);
                    say!("{:<15} {}", "", if d.needs.is_empty() { "embedded, needs no file" } else { d.needs });
                }
            }
            What::Info { path } => {
                let info = tickless_events::info(&path)?;
                if global.json {
                    return print_json(&info);
                }
                say!("{info}");
            }
        }
        Ok(())
    }
}
