//! File formats, one file each.
//!
//! A format of events decodes bytes into an [`EventStream`]: the events in file order with their
//! literal times. Sorting happens once, in [`EventStream::into_recording`]. To add a format: write
//! one file with a `FORMAT`, and name it in [`FORMATS`].

pub mod cifar;
pub mod idx;
pub mod nmnist_bin;

use std::path::Path;

use crate::{Error, Event, Recording, Result, Sensor, source};

/// All formats of events, in the order in which they are tried.
pub static FORMATS: &[Format] = &[nmnist_bin::FORMAT];

/// One format of events.
#[derive(Debug)]
pub struct Format {
    /// Short name, as `data info` prints it.
    pub name: &'static str,
    /// One line: what writes it.
    pub about: &'static str,
    /// File name extensions, lower case, without `.gz`.
    pub extensions: &'static [&'static str],
    /// Whether the content (not the name) can be this format. Must be cheap and never fail.
    pub fits: fn(&[u8]) -> bool,
    /// Decodes; the text is the name of the file for error messages.
    pub decode: fn(&[u8], &str) -> Result<EventStream>,
}

/// Decoded events in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStream {
    /// Name of the format.
    pub format: &'static str,
    /// The sensor, if the file states it.
    pub sensor: Option<Sensor>,
    /// The events in file order, times as stored.
    pub events: Vec<Event>,
}

impl EventStream {
    /// The sorted recording, and how many events moved. The sensor is `sensor`, else the one
    /// stated in the file, else the smallest that holds all events.
    ///
    /// # Errors
    /// [`Error::OutsideSensor`].
    pub fn into_recording(self, sensor: Option<Sensor>) -> Result<(Recording, usize)> {
        let sensor = sensor.or(self.sensor).unwrap_or_else(|| Sensor::bounding(&self.events));
        Recording::from_events(sensor, &self.events)
    }
}

/// Decodes the bytes of a file of events, whose format follows from its name and content.
///
/// # Errors
/// [`Error::Unexpected`] when no format fits, [`Error::Malformed`] when the content is broken.
pub fn decode(bytes: &[u8], file: &str) -> Result<EventStream> {
    let name = file.strip_suffix(".gz").unwrap_or(file).to_ascii_lowercase();
    let named = |f: &&Format| f.extensions.iter().any(|e| name.ends_with(&format!(".{e}")));
    let mut candidates = FORMATS.iter().filter(named).peekable();
    let first = candidates.peek().copied();
    // The content decides between formats that share an extension. If it fits none, the first
    // one's decoder knows best what is wrong.
    let chosen = candidates.find(|f| (f.fits)(bytes)).or(first);
    let Some(format) = chosen else {
        let known: Vec<_> = FORMATS.iter().flat_map(|f| f.extensions).copied().collect();
        let remedy = format!("known file names end in .{}", known.join(", ."));
        return Err(Error::unexpected(file, "no known format of events", remedy));
    };
    (format.decode)(bytes, file)
}

/// Reads and decodes a file of events (plain or, with the feature `gz`, gzipped).
///
/// # Errors
/// As [`decode`], and [`Error::Io`].
pub fn read(path: &Path) -> Result<EventStream> {
    decode(&source::read(path)?, &path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = decode(b"", "a/b.xyz").unwrap_err().to_string();
        assert!(error.starts_with("a/b.xyz: no known format") && error.contains(".bin"), "{error}");
    }

    #[test]
    fn the_sensor_is_stated_or_bounding() {
        let events = vec![Event { t_us: 0, x: 4, y: 2, on: true }];
        let stream = EventStream { format: "test", sensor: None, events };
        let (bounding, _) = stream.clone().into_recording(None).unwrap();
        assert_eq!(bounding.sensor(), Sensor { width: 5, height: 3 });
        let (stated, _) = stream.clone().into_recording(Some(Sensor::NMNIST)).unwrap();
        assert_eq!(stated.sensor(), Sensor::NMNIST);
        assert!(stream.into_recording(Some(Sensor { width: 4, height: 4 })).is_err());
    }
}
