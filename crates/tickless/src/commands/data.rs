//! `tickless data`: list, fetch, info, view and convert.

use super::{print_json, say};
use crate::cli::Global;
use crate::progress::Console;
use crate::view::{Options, view};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use tickless_events::{Sensor, datasets, formats};
use tickless_train::progress::Progress;

/// What data sets there are, what a file or folder is, and recordings in other formats.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless data list
  tickless data fetch                                  what can be fetched, and what is there
  tickless data fetch nmnist --to ~/data/nmnist
  tickless data info recordings/00001.bin
  tickless data info ~/data/nmnist --json
  tickless data view recording.raw --slow 4
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
    /// Download a published data set from its official source; without a name, list them.
    Fetch {
        /// Name of the data set.
        name: Option<String>,
        /// Folder for its files (default: data/NAME).
        #[arg(long)]
        to: Option<PathBuf>,
        /// A folder on another server that has the files under the same names.
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
    /// Say what a file or folder is: format, sensor, events, times, digest.
    Info {
        /// A recording, an image file or the folder of a data set.
        path: PathBuf,
    },
    /// Draw a recording: a picture (PNG) and an animation (GIF).
    View {
        /// A recording in any format.
        path: PathBuf,
        /// Folder of the two files.
        #[arg(long, short, default_value = ".")]
        output: PathBuf,
        /// Frames of the animation.
        #[arg(long, default_value_t = 60)]
        frames: usize,
        /// How many times slower than real time it plays.
        #[arg(long, default_value_t = 1.0)]
        slow: f64,
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
    #[serde(serialize_with = "crate::shown::path")]
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
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
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
            What::Fetch { name, to, mirror } => {
                super::fetch::run(name.as_deref(), to.as_deref(), mirror, global, console)?;
            }
            What::Info { path } => {
                let info = tickless_events::info_with(&path, console)?;
                if global.json {
                    return print_json(&info);
                }
                say!("{info}");
            }
            What::View { path, output, frames, slow } => {
                if !(1..=1000).contains(&frames) {
                    bail!("`--frames {frames}`: an animation has 1 to 1000 frames");
                }
                if !(1e-3..=1e6).contains(&slow) {
                    bail!("`--slow {slow}`: give a factor from 0.001 to 1000000, e.g. 4");
                }
                let v = view(&path, &Options { output, frames, slow }, console)?;
                if global.json {
                    return print_json(&v);
                }
                let ([w, h], ms) = (v.sensor, v.span_us as f64 / 1000.0);
                say!("{}: {} events in {ms:.1} ms on {w}x{h}", v.format, v.events);
                say!("picture: {}\nanimation: {}", v.picture.display(), v.animation.display());
            }
            What::Convert { from, to, format, sensor: given } => {
                let given = given.as_deref().map(sensor).transpose()?;
                let events = formats::convert(&from, &to, format.as_deref(), given, console)?;
                if global.json {
                    return print_json(&Converted { events, file: to });
                }
                let line = format!("{events} events written to {}", to.display());
                // What goes to standard output, perhaps through a pipe, is the file and nothing else.
                let is_file = to.metadata().is_ok_and(|m| m.is_file()) && !to.starts_with("/dev");
                if is_file { say!("{line}") } else { console.line(&line) }
            }
        }
        Ok(())
    }
}
