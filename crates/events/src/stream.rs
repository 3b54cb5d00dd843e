//! A stream of events in a file that contains several recordings, and how errors list streams.

use std::fmt;

use crate::Sensor;

/// One of the streams of events of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct StreamInfo {
    /// The number by which the caller chooses it.
    pub number: i32,
    /// Its name in the file: a camera or a group; may be empty.
    pub name: String,
    /// Its sensor, if the file states it.
    pub sensor: Option<Sensor>,
}

impl fmt::Display for StreamInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)?;
        match (&self.name[..], self.sensor) {
            ("", None) => Ok(()),
            ("", Some(sensor)) => write!(f, " ({sensor})"),
            (name, None) => write!(f, " ({})", name.escape_debug()),
            (name, Some(sensor)) => write!(f, " ({}, {sensor})", name.escape_debug()),
        }
    }
}

/// The text of [`Error::Streams`](crate::Error::Streams) after the file name.
pub(crate) fn refusal(streams: &[StreamInfo], wanted: Option<i32>) -> String {
    let list = streams.iter().map(StreamInfo::to_string).collect::<Vec<_>>().join(", ");
    match (wanted, streams.len()) {
        (Some(wanted), 1) => format!("no stream {wanted} of events, only {list}"),
        (Some(wanted), _) => format!("no stream {wanted} of events; there are {list}"),
        (None, n) => format!("{n} streams of events: {list}"),
    }
}
