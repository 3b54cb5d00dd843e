//! The options with which `tickless data` and `tickless predict` read recordings, and what they add
//! to the errors of reading.

use crate::remedy::{events_error, named};
use anyhow::{Result, bail};
use clap::Args;
use tickless_events::formats::ReadOptions;
use tickless_events::{Choice, Error, Sensor};

/// Facts about a recording that its file does not state or states wrongly.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Reading")]
pub struct ReadArgs {
    /// Sensor as WIDTHxHEIGHT, where the recording does not state it or states a wrong one.
    #[arg(long, value_name = "WxH")]
    sensor: Option<String>,
    /// Leave events outside the sensor out.
    #[arg(long)]
    drop_outside: bool,
    /// Unit of times whose unit the file does not state (text, NumPy, HDF5): s, ms, us or ns.
    #[arg(long, value_name = "UNIT")]
    time_unit: Option<String>,
    /// Times as stored: do not continue a clock that starts again from 0 (DAT, AEDAT 2.0, EVT,
    /// N-MNIST).
    #[arg(long)]
    literal_times: bool,
    /// Number of the stream, in a file of several cameras (AEDAT 3.1, AEDAT4, HDF5; `tickless data
    /// info FILE` lists them), or of the sample (SHD).
    #[arg(long, value_name = "NUMBER")]
    stream: Option<i32>,
    /// Subtract the earliest time from all times, for files whose times count from 1970.
    #[arg(long)]
    shift_to_zero: bool,
    /// Sort the events by time; this takes 21 bytes of memory for each event.
    #[arg(long)]
    sort: bool,
}

impl ReadArgs {
    /// These facts as options of a reader.
    pub fn options(&self) -> Result<ReadOptions> {
        self.over(ReadOptions::default())
    }

    /// `options`, changed by those that are given.
    pub fn over(&self, mut options: ReadOptions) -> Result<ReadOptions> {
        options.sensor = self.sensor.as_deref().map(sensor).transpose()?.or(options.sensor);
        options.drop_outside |= self.drop_outside;
        let unit = |text: &str| text.parse().map_err(|e| anyhow::anyhow!("`--time-unit`: {e}"));
        options.time_unit = self.time_unit.as_deref().map(unit).transpose()?.or(options.time_unit);
        options.literal_times |= self.literal_times;
        options.shift_to_zero = self.shift_to_zero;
        options.sort = self.sort;
        options.stream = self.stream.or(options.stream);
        // An option that the user gives and that has no effect is an error.
        options.where_supported &= self.time_unit.is_none() && !self.literal_times && self.stream.is_none();
        Ok(options)
    }
}

/// Adds to an error of reading the option of these commands that helps.
pub fn explained(e: Error) -> anyhow::Error {
    match e {
        Error::TimeUnit { file, at, problem } => time_unit(&file, at, &problem),
        other => match named(other.choices(), option) {
            none if none.is_empty() => other.into(),
            options => anyhow::anyhow!("{other}{options}"),
        },
    }
}

/// As [`explained`], for an error that a library passes on.
pub fn explained_below(e: anyhow::Error) -> anyhow::Error {
    match events_error(&e).map(|below| (below, named(below.choices(), option))) {
        None => e,
        Some((Error::TimeUnit { file, at, problem }, _)) => time_unit(file, *at, problem),
        Some((_, options)) if options.is_empty() => e,
        Some((_, options)) => anyhow::anyhow!("{e}{options}"),
    }
}

/// The error for times whose unit is unknown.
fn time_unit(file: &str, at: u64, problem: &dyn std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!(
        "{file}: byte {at}: {problem}; state the unit in the name of the column (t_s, t_ms, t_us, t_ns), or with \
         `--time-unit s` (ms, us, ns)"
    )
}

/// The option of these commands for a choice of the library.
fn option(choice: Choice) -> Option<&'static str> {
    Some(match choice {
        Choice::Sort => "`--sort`",
        Choice::ShiftToZero => "`--shift-to-zero`",
        Choice::Sensor => "`--sensor WIDTHxHEIGHT`",
        Choice::DropOutside => "`--drop-outside`",
        Choice::TimeUnit => "`--time-unit UNIT`",
        Choice::LiteralTimes => "`--literal-times`",
        Choice::Stream => "`--stream NUMBER`",
        Choice::Format => "`--format NAME`",
        Choice::Scale => "`--scale`",
        _ => return None,
    })
}

/// Parses a sensor such as `346x260`.
fn sensor(text: &str) -> Result<Sensor> {
    let side = |s: &str| s.trim().parse::<u16>().ok().filter(|n| *n > 0);
    match text.split_once('x').map(|(w, h)| (side(w), side(h))) {
        Some((Some(width), Some(height))) => Ok(Sensor { width, height }),
        _ => bail!("`--sensor {text}`: write width and height, e.g. 346x260"),
    }
}
