//! The windows of `tonic.transforms.ToFrame`, reproduced exactly, to compare results with tonic's.
//!
//! Tonic divides [t_first, t_last] into half-open windows of an integer length, so the last events
//! are in no window; with an overlap, some events are in more than one. Overlaps are computed in
//! floating point in the same order of operations as in tonic.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::{Error, Recording, Result};

/// One of tonic's four ways to divide a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
pub enum TonicWindows {
    /// `n_time_bins`: n windows of ⌊(t_last − t_first)/n⌋ µs.
    TimeBins {
        /// Number of windows.
        n: usize,
        /// The fraction by which a window is lengthened, 0 ≤ overlap < 1.
        overlap: f64,
    },
    /// `n_event_bins`: n windows of ⌊N/n⌋ events.
    EventBins {
        /// Number of windows.
        n: usize,
        /// The fraction by which a window is lengthened, 0 ≤ overlap < 1.
        overlap: f64,
    },
    /// `time_window`: windows of a fixed length.
    TimeWindow {
        /// Length in µs.
        us: f64,
        /// Overlap of neighbouring windows in µs, below `us`.
        overlap: f64,
        /// Whether to keep the last window if it is incomplete.
        include_incomplete: bool,
    },
    /// `event_count`: windows of a fixed number of events.
    EventCount {
        /// Number of events of a window.
        n: usize,
        /// Overlap of neighbouring windows in events, below `n`.
        overlap: f64,
        /// Whether to keep the last window if it is incomplete.
        include_incomplete: bool,
    },
}

use TonicWindows::{EventBins, EventCount, TimeBins, TimeWindow};

impl TonicWindows {
    fn check(&self) -> Result<()> {
        let (length, overlap, most) = match *self {
            TimeBins { n, overlap } | EventBins { n, overlap } => (n as f64, overlap, 1.0),
            TimeWindow { us, overlap, .. } => (us, overlap, us),
            EventCount { n, overlap, .. } => (n as f64, overlap, n as f64),
        };
        // The comparisons are written so that NaN fails.
        if length > 0.0 && length.is_finite() && overlap >= 0.0 && overlap < most {
            return Ok(());
        }
        let remedy = "give a positive length and an overlap of at least 0 that is below it";
        Err(Error::setting(format!("windows of tonic with `{self}`"), remedy))
    }

    /// The number of windows. As in tonic it is at least one; for an empty recording, windows of a
    /// fixed length (`TimeWindow`, `EventCount`) give none.
    pub(super) fn count(&self, recording: &Recording) -> Result<usize> {
        self.check()?;
        let events = recording.len() as f64;
        let (beyond, stride, incomplete) = match *self {
            TimeBins { n, .. } | EventBins { n, .. } => return Ok(n),
            TimeWindow { us, overlap, include_incomplete } => (span(recording) - us, us - overlap, include_incomplete),
            EventCount { n, overlap, include_incomplete } => {
                (events - (n as f64).min(events), n as f64 - overlap, include_incomplete)
            }
        };
        if recording.is_empty() {
            return Ok(0);
        }
        let more = beyond / stride;
        let more = if incomplete { more.ceil() } else { more.floor() };
        Ok(((more + 1.0) as usize).max(1)) // a float cast saturates
    }

    pub(super) fn window(&self, recording: &Recording, k: usize) -> Range<usize> {
        let k = k as f64;
        let len = recording.len();
        let (start, length, timed) = match *self {
            TimeBins { n, overlap } => {
                let window = (span(recording) / n as f64).floor() * (1.0 + overlap);
                (k * (window * (1.0 - overlap)), window, true)
            }
            TimeWindow { us, overlap, .. } => (k * (us - overlap), us, true),
            EventBins { n, overlap } => {
                let count = ((len / n.max(1)) as f64 * (1.0 + overlap)).trunc();
                (k * (count * (1.0 - overlap)).trunc(), count, false)
            }
            EventCount { n, overlap, .. } => ((k * (n as f64 - overlap)).trunc(), (n as f64).min(len as f64), false),
        };
        if timed {
            let from = start + recording.t_first_us().unwrap_or(0) as f64;
            let index_of = |time: f64| recording.t_us().partition_point(|&t| (t as f64) < time);
            let start = index_of(from);
            start..index_of(from + length).max(start)
        } else {
            let start = (start as usize).min(len);
            start..start.saturating_add(length as usize).min(len)
        }
    }
}

/// t_last − t_first in µs, as tonic defines the duration.
fn span(recording: &Recording) -> f64 {
    match (recording.t_first_us(), recording.t_last_us()) {
        (Some(first), Some(last)) => (last - first) as f64,
        _ => 0.0,
    }
}

impl fmt::Display for TonicWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (overlap, incomplete) = match *self {
            TimeBins { n, overlap } => write!(f, "n_time_bins={n}").map(|()| (overlap, false))?,
            EventBins { n, overlap } => write!(f, "n_event_bins={n}").map(|()| (overlap, false))?,
            TimeWindow { us, overlap, include_incomplete } => {
                write!(f, "time_window={us}").map(|()| (overlap, include_incomplete))?
            }
            EventCount { n, overlap, include_incomplete } => {
                write!(f, "event_count={n}").map(|()| (overlap, include_incomplete))?
            }
        };
        if overlap != 0.0 {
            write!(f, ",overlap={overlap}")?;
        }
        if incomplete {
            f.write_str(",include_incomplete=True")?;
        }
        Ok(())
    }
}

impl FromStr for TonicWindows {
    type Err = Error;

    /// Parses tonic's own keyword arguments: `n_time_bins=5,overlap=0.25`,
    /// `time_window=7000,include_incomplete=True`.
    fn from_str(text: &str) -> Result<TonicWindows> {
        let malformed = || {
            let remedy = "write one of n_time_bins, n_event_bins, time_window, event_count =N, \
                          then ,overlap=… and ,include_incomplete=True";
            Error::setting(format!("windows of tonic `{text}`"), remedy)
        };
        let (mut kind, mut overlap, mut incomplete) = (None, 0.0, false);
        for option in text.split(',') {
            let (key, value) = option.split_once('=').ok_or_else(malformed)?;
            let (key, value) = (key.trim(), value.trim());
            match key {
                "overlap" => overlap = value.parse().map_err(|_| malformed())?,
                "include_incomplete" => {
                    incomplete = value.to_ascii_lowercase().parse().map_err(|_| malformed())?;
                }
                _ if kind.is_none() => kind = Some((key, value)),
                _ => return Err(malformed()),
            }
        }
        let (key, value) = kind.ok_or_else(malformed)?;
        let n = || value.parse::<usize>().map_err(|_| malformed());
        let windows = match key {
            "n_time_bins" => TimeBins { n: n()?, overlap },
            "n_event_bins" => EventBins { n: n()?, overlap },
            "time_window" => {
                let us = value.parse().map_err(|_| malformed())?;
                TimeWindow { us, overlap, include_incomplete: incomplete }
            }
            "event_count" => EventCount { n: n()?, overlap, include_incomplete: incomplete },
            _ => return Err(malformed()),
        };
        windows.check()?;
        Ok(windows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Sensor};

    #[test]
    fn the_last_events_fall_out() {
        let events: Vec<_> = (0..=10).map(|t_us| Event { t_us, x: 0, y: 0, on: true }).collect();
        let (recording, _) = Recording::from_events(Sensor { width: 1, height: 1 }, &events).unwrap();
        let windows: TonicWindows = "n_time_bins=3".parse().unwrap();
        let cut: Vec<_> = (0..3).map(|k| windows.window(&recording, k)).collect();
        assert_eq!(cut, [0..3, 3..6, 6..9]);
    }

    #[test]
    fn impossible_windows_are_refused() {
        for text in [
            "n_time_bins=0",
            "time_window=-3",
            "time_window=nan",
            "time_window=10,overlap=10",
            "event_count=4,overlap=5",
            "n_event_bins=2,overlap=1",
            "n_time_bins=2,n_event_bins=2",
        ] {
            assert!(text.parse::<TonicWindows>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_empty_recording_gives_empty_windows() {
        let empty = Recording::empty(Sensor { width: 1, height: 1 });
        let bins: TonicWindows = "n_time_bins=3".parse().unwrap();
        assert_eq!((bins.count(&empty).unwrap(), bins.window(&empty, 2)), (3, 0..0));
        let fixed: TonicWindows = "event_count=3".parse().unwrap();
        assert_eq!(fixed.count(&empty).unwrap(), 0);
    }
}
