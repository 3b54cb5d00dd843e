//! Divides time into frames: each frame is a contiguous index range of a recording's events.
//!
//! Recordings are sorted, so two binary searches find a frame's events, without a division per
//! event.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::TonicWindows;
use crate::{Error, Recording, Result};

/// A way to divide a recording into frames.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Slicing {
    /// T equal time slices: bin = ⌊(t − t_first)·T / (t_last − t_first + 1)⌋ in integers.
    Slices(usize),
    /// T frames of equally many events: bin = ⌊i·T / N⌋ for event i of N.
    EventCounts(usize),
    /// Frames of a fixed duration in µs, as many as the recording needs:
    /// bin = ⌊(t − t_first) / duration⌋.
    DurationUs(u64),
    /// The windows of the Python library tonic, which drop the last events.
    Tonic(TonicWindows),
}

impl Slicing {
    /// The number of frames of this recording.
    ///
    /// # Errors
    /// [`Error::Setting`] for zero frames, a duration of zero, or invalid windows of tonic.
    pub fn count(&self, recording: &Recording) -> Result<usize> {
        let remedy = "give a number of at least 1";
        match self {
            Slicing::Slices(0) | Slicing::EventCounts(0) => Err(Error::setting("frames cut into 0 slices", remedy)),
            Slicing::DurationUs(0) => Err(Error::setting("frames of 0 µs", remedy)),
            Slicing::Slices(n) | Slicing::EventCounts(n) => Ok(*n),
            Slicing::DurationUs(duration) => Ok(match ends(recording) {
                Some((first, last)) => {
                    usize::try_from((last - first) / duration).unwrap_or(usize::MAX).saturating_add(1)
                }
                None => 0,
            }),
            Slicing::Tonic(windows) => windows.count(recording),
        }
    }

    /// The index range of the events of frame `k`; empty if `k` is past the last frame.
    pub fn window(&self, recording: &Recording, k: usize) -> Range<usize> {
        match self {
            Slicing::Tonic(windows) => windows.window(recording, k),
            _ => self.start(recording, k)..self.start(recording, k.saturating_add(1)),
        }
    }

    /// The index of the first event whose bin is `k` or later.
    fn start(&self, recording: &Recording, k: usize) -> usize {
        let Some((first, last)) = ends(recording) else { return 0 };
        // The arithmetic is u128, because k·span or a span of the whole u64 range would overflow
        // u64.
        let after_us = match *self {
            Slicing::Slices(n) => {
                let span = u128::from(last - first) + 1;
                (k as u128 * span).div_ceil((n as u128).max(1))
            }
            Slicing::DurationUs(duration) => k as u128 * u128::from(duration),
            Slicing::EventCounts(n) => {
                let index = (k as u128 * recording.len() as u128).div_ceil((n as u128).max(1));
                return (index as usize).min(recording.len());
            }
            Slicing::Tonic(_) => return 0,
        };
        recording.t_us().partition_point(|&t| u128::from(t - first) < after_us)
    }
}

fn ends(recording: &Recording) -> Option<(u64, u64)> {
    Some((recording.t_first_us()?, recording.t_last_us()?))
}

impl fmt::Display for Slicing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slicing::Slices(n) => write!(f, "slices={n}"),
            Slicing::EventCounts(n) => write!(f, "event_counts={n}"),
            Slicing::DurationUs(us) => write!(f, "duration_us={us}"),
            Slicing::Tonic(windows) => write!(f, "tonic:{windows}"),
        }
    }
}

impl FromStr for Slicing {
    type Err = Error;

    /// Parses `slices=10`, `event_counts=5`, `duration_us=7000`, or `tonic:` and tonic's options.
    fn from_str(text: &str) -> Result<Slicing> {
        if let Some(windows) = text.strip_prefix("tonic:") {
            return Ok(Slicing::Tonic(windows.parse()?));
        }
        let unknown_slicing = || {
            let remedy = "write slices=N, event_counts=N, duration_us=N or tonic:OPTIONS";
            Error::setting(format!("unknown slicing `{text}`"), remedy)
        };
        let (key, value) = text.split_once('=').ok_or_else(unknown_slicing)?;
        let value = value.trim();
        match key.trim() {
            "slices" => value.parse().map(Slicing::Slices).map_err(|_| unknown_slicing()),
            "event_counts" => value.parse().map(Slicing::EventCounts).map_err(|_| unknown_slicing()),
            "duration_us" => value.parse().map(Slicing::DurationUs).map_err(|_| unknown_slicing()),
            _ => Err(unknown_slicing()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_parsed() {
        for text in ["slices=10", "event_counts=5", "duration_us=7000", "tonic:n_time_bins=4"] {
            assert_eq!(text.parse::<Slicing>().unwrap().to_string(), text);
        }
        for text in ["", "slices", "slices=-1", "slices=1.5", "sloces=1", "tonic:", "tonic:x=1"] {
            assert!(text.parse::<Slicing>().is_err(), "{text}");
        }
    }
}
