//! `tickless data list`, `tickless data info PATH` and `tickless data convert FROM TO`.

use super::{print_json, say};
use crate::cli::Global;
use crate::progress::Console;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use tickless_events::{Sensor, datasets, formats};

/// What data sets there are, what a file or folder is, and recordings in other formats.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless data list
  tickless data info recordings/00001.bin
  tickless data info ~/data/nmnist --json
  tickless data convert recording.raw recording.aedat4
  tickless data convert recording.bin out.raw --format evt3 --sensor 34x34")]
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
    /// Write a recording in another format, chunk by chunk.
    Convert {
        /// A recording in any format.
        from: PathBuf,
        /// The file to write; its extension says the format unless `--format` does.
        to: PathBuf,
        /// Name of the format (an unknown one is answered with the list).
        #[arg(long)]
        format: Option<String>,
        /// Sensor as WIDTHxHEIGHT, where the recording does not state it.
        #[arg(long)]
        sensor: Option<String>,
    },
}

#[derive(Serialize)]
struct Converted {
    events: u64,
    file: PathBuf,
}

/// `346x260` as a sensor.
fn sensor(text: &str) -> Result<Sensor> {
    let side = |s: &str| s.trim().parse::<u16>().ok().filter(|n| *n > 0);
    match text.split_once('x').map(|(w, h)| (side(w), side(h))) {
        Some((Some(width), Some(height))) => Ok(Sensor { width, height }),
        _ => bail!("`--sensor {text}`: write width and height, e.g. 346x260"),
    }
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
            What::Convert { from, to, format, sensor: given } => {
                let given = given.as_deref().map(sensor).transpose()?;
                let events = formats::convert(&from, &to, format.as_deref(), given)?;
                if global.json {
                    return print_json(&Converted { events, file: to });
                }
                say!("{events} events written to {}", to.display());
            }
        }
        Ok(())
    }
}
