//! Options for reading a file of events, for facts that the file does not state or states wrongly.

use super::Format;
use crate::problem::UnitProblem;
use crate::time_unit::TimeUnit;
use crate::{Choice, Columns, Error, Remedy, Result, Sensor};

/// Options of a reader. With the default, the file decides.
///
/// ```
/// use tickless_events::formats::{ReadOptions, TimeUnit};
///
/// let mut options = ReadOptions::default();
/// options.time_unit = Some(TimeUnit::Seconds);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The unit of times, for files that do not state it (text, NumPy arrays, HDF5).
    pub time_unit: Option<TimeUnit>,
    /// Use times as stored: if a clock of fixed width wraps around to 0, do not continue it.
    pub literal_times: bool,
    /// The sensor to use instead of the one that the file states.
    pub sensor: Option<Sensor>,
    /// The number of the stream to read, for files with several (AEDAT 3.1, AEDAT4, HDF5), or of
    /// the sample (SHD).
    pub stream: Option<i32>,
    /// Drop events outside the sensor instead of returning them.
    pub drop_outside: bool,
    /// Subtract the earliest time from all times.
    pub shift_to_zero: bool,
    /// Return the events in the order of their times; events of the same time stay in the order of
    /// the file. The reader holds all events in memory, which takes 21 bytes per event. More than
    /// 2²⁷ events are an error.
    pub sort: bool,
    /// Report odd words: words of unknown types, and events before the first time, row or column
    /// ([`super::EventReader::oddities`]). Decoding then takes longer.
    pub note_oddities: bool,
    /// Ignore an option that the format does not support, instead of returning an error. For data
    /// sets of files in several formats.
    pub where_supported: bool,
}

/// An option that only some formats support; see [`Format::supports`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupportedOption {
    /// [`ReadOptions::time_unit`]
    TimeUnit,
    /// [`ReadOptions::literal_times`]
    LiteralTimes,
    /// [`ReadOptions::stream`]
    Stream,
}

impl ReadOptions {
    /// These options for a file of `format`.
    ///
    /// # Errors
    /// [`Error::Unexpected`] for an option that the format does not support, because the user would
    /// not notice that it has no effect.
    pub(super) fn for_format(mut self, format: &Format, file: &str) -> Result<ReadOptions> {
        let ignored = |option| !format.supports.contains(&option);
        let refuse = |problem: &str, remedy: Remedy| {
            Err(Error::unexpected(file, format!("the format {} {problem}", format.name), remedy))
        };
        if self.time_unit.is_some() && ignored(SupportedOption::TimeUnit) {
            if !self.where_supported {
                return refuse(
                    "has times of a fixed unit, and one is stated",
                    Remedy::of("leave the unit of time out", &[Choice::TimeUnit]),
                );
            }
            self.time_unit = None;
        }
        if self.literal_times && ignored(SupportedOption::LiteralTimes) {
            if !self.where_supported {
                return refuse(
                    "has no clock that overflows, and literal times are asked for",
                    Remedy::of("leave them out", &[Choice::LiteralTimes]),
                );
            }
            self.literal_times = false;
        }
        if self.stream.is_some() && ignored(SupportedOption::Stream) {
            if !self.where_supported {
                return refuse(
                    "has one stream of events, and a number is given",
                    Remedy::of("leave the number out", &[Choice::Stream]),
                );
            }
            self.stream = None;
        }
        Ok(self)
    }

    /// The unit of times: the one that the file states, or else the one of the options.
    ///
    /// # Errors
    /// [`UnitProblem::Asked`] if both exist and differ. `times` names the column
    /// of which the file states the unit.
    pub(super) fn unit(&self, stated: Option<TimeUnit>, times: &str) -> Result<Option<TimeUnit>, UnitProblem> {
        match (stated, self.time_unit) {
            (Some(stated), Some(asked)) if stated != asked && !self.where_supported => {
                Err(UnitProblem::Asked { of: times.into(), stated, asked })
            }
            (stated, asked) => Ok(stated.or(asked)),
        }
    }

    /// Applies the options that do not depend on the format to the events from index `from` on.
    /// `stated` is the sensor that the file states. Returns how many events were dropped.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if events outside the sensor are to be dropped and the sensor is
    /// unknown.
    pub(super) fn apply(
        &self,
        file: &str,
        stated: Option<Sensor>,
        shift_us: u64,
        events: &mut Columns,
        from: usize,
    ) -> Result<u64> {
        if shift_us > 0 {
            // No time is earlier than `shift_us`, unless the file has changed since its first
            // reading.
            events.t_us[from..].iter_mut().for_each(|t| *t = t.saturating_sub(shift_us));
        }
        if !self.drop_outside || from == events.len() {
            return Ok(0);
        }
        let Some(sensor) = self.sensor.or(stated) else {
            let problem = "events outside the sensor are to be left out, and the file states no sensor";
            return Err(Error::unexpected(file, problem, Remedy::STATE_SENSOR));
        };
        Ok(events.retain_from(from, |e| sensor.contains(e.x, e.y)))
    }
}
