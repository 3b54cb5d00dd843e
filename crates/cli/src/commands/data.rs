//! `tickless data`: lists and fetches data sets, describes, draws and converts recordings.

use crate::arguments::Global;
use crate::output::{check_file_name, check_output_folder, print_json, say};
use crate::progress::Console;
use crate::reading::{ReadArgs, explained};
use crate::report::span;
use crate::view::{Options, view};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use tickless_events::datasets;
use tickless_events::formats;
use tickless_events::info::{EventsInfo, Info};
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
  tickless data convert recording.bin out.raw --format evt3 --sensor 34x34
  tickless data info events.txt --time-unit s          seconds, which the file does not say
  tickless data convert stereo.aedat4 left.raw --format evt3 --stream 0
  tickless data convert near.dat near.raw --format evt3 --drop-outside
  tickless data convert recording.aedat4 recording.dat --shift-to-zero
  tickless data convert events.txt events.es --sensor 346x260 --sort

NumPy arrays and HDF5 are read at random places: inside gzip, or out of a pipe, they are held in
memory as a whole, at most 2 GiB. Everything else is read chunk by chunk.")]
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
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Draw a recording: a picture (PNG) and an animation (GIF); of SHD a raster for each of the
    /// first samples.
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
        #[command(flatten)]
        read: ReadArgs,
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
        #[command(flatten)]
        read: ReadArgs,
    },
}

#[derive(Serialize)]
struct Converted {
    events: u64,
    dropped: u64,
    overflows: u64,
    shift_us: u64,
    oddities: Vec<formats::Oddity>,
    /// The change of the axes, if the two formats define them differently.
    axes: Option<String>,
    #[serde(serialize_with = "crate::shown::path")]
    file: PathBuf,
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
        if !matches!(self.what, What::Fetch { .. }) {
            console.nothing_to_save();
        }
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
            What::Info { path, read } => {
                let info = tickless_events::info_with(&path, &read.options()?, console).map_err(explained)?;
                if global.json {
                    return print_json(&info);
                }
                say!("{info}");
                match info {
                    Info::Streams { .. } => {
                        say!("with `--stream NUMBER` this command, `view` and `convert` read one of them");
                    }
                    Info::Events(EventsInfo { overflows: 1.., .. }) => {
                        say!("         `--literal-times` gives the clock as it is stored");
                    }
                    _ => {}
                }
            }
            What::View { path, output, frames, slow, read } => {
                if !(1..=1000).contains(&frames) {
                    bail!("`--frames {frames}`: an animation has 1 to 1000 frames");
                }
                if !(1e-3..=1e6).contains(&slow) {
                    bail!("`--slow {slow}`: give a factor from 0.001 to 1000000, e.g. 4");
                }
                check_output_folder("--output", &output)?;
                let read = read.options()?;
                let v =
                    view(&path, &Options { output, frames, slow, read }, console).map_err(|e| match e.downcast() {
                        Ok(e) => explained(e),
                        Err(e) => e,
                    })?;
                if global.json {
                    return print_json(&v);
                }
                let ([w, h], time) = (v.sensor, span(v.span_us as f64));
                match v.samples {
                    Some([drawn, all]) => say!("{}: {} spikes in {drawn} of {all} samples", v.format, v.events),
                    None => say!("{}: {} events in {time} on {w}x{h}", v.format, v.events),
                }
                if let Some(outside) = v.outside {
                    say!("not drawn: {outside}, outside the {w}x{h} sensor");
                }
                say!("picture: {}", v.picture.display());
                if let Some(animation) = v.animation {
                    say!("animation: {}", animation.display());
                }
            }
            What::Convert { from, to, format, read } => {
                check_file_name(&format!("`{}`", to.display()), &to)?;
                if from.as_os_str() == "-" && !from.exists() {
                    bail!("`-`: standard input is read from as /dev/stdin");
                }
                let options = read.options()?;
                let done = formats::convert(&from, &to, format.as_deref(), &options, console).map_err(explained)?;
                let formats::Conversion {
                    events, dropped, overflows, shift_us, oddities, axes: (before, after), ..
                } = done;
                let axes = before.conversion(after);
                if global.json {
                    return print_json(&Converted { events, dropped, overflows, shift_us, oddities, axes, file: to });
                }
                let mut lines = vec![format!("{events} events written to {}", to.display())];
                if let Some(axes) = axes {
                    lines.push(format!("axes: {axes}"));
                }
                if dropped > 0 {
                    lines.push(format!("{dropped} events outside the sensor left out"));
                }
                lines.extend(oddities.iter().map(|oddity| format!("odd: {oddity}")));
                if overflows > 0 {
                    let s = if overflows == 1 { "" } else { "s" };
                    lines.push(format!(
                        "the clock overflowed {overflows} time{s}: later times go on (`--literal-times`: as stored)"
                    ));
                }
                // If the recording goes to standard output or a device, standard output must hold
                // nothing else, so the summary goes to standard error.
                let is_file = to.metadata().is_ok_and(|m| m.is_file()) && !to.starts_with("/dev");
                for line in lines {
                    if is_file { say!("{line}") } else { console.line(&line) }
                }
            }
        }
        Ok(())
    }
}
