//! File formats, one file each.
//!
//! A format of events decodes bytes into [`Columns`]: the events in file order with their literal
//! times, x from the left and y from the top (see [`Axes`]). [`open`] reads a file chunk by chunk, [`read`] and [`decode`] all of it into an
//! [`EventStream`], [`encode`] and [`encoder`] write. Sorting happens once, in
//! [`EventStream::into_recording`]. To add a format: write one file with a `FORMAT`, and name it
//! in [`FORMATS`]. What all of them share lies in `decoder`, `records`, `reader` (reading),
//! `encoder` (writing) and `detect` (which format is it?).

mod aedat;
pub mod aedat2;
pub mod aedat31;
#[cfg(feature = "aedat4")]
pub mod aedat4;
mod axes;
mod block;
pub mod cifar;
mod convert;
mod cursor;
pub mod dat;
mod decoder;
mod detect;
#[cfg(feature = "hdf5")]
pub mod ecf;
mod encoder;
pub mod es;
mod evt;
pub mod evt2;
pub mod evt21;
pub mod evt3;
mod evt3_write;
mod foreign;
#[cfg(feature = "hdf5")]
mod hdf5;
pub mod idx;
mod kernel;
pub mod nmnist_bin;
pub mod npy;
mod prophesee;
#[cfg(feature = "hdf5")]
pub mod prophesee_hdf5;
mod reader;
mod records;
#[cfg(feature = "hdf5")]
pub mod shd;
pub mod text;

use std::path::Path;

use crate::{Columns, Recording, Result, Sensor};

pub use axes::Axes;
pub use convert::{by_extension, convert};
pub use decoder::{Container, Decoder, OpenContainer, Reading};
pub use detect::{Fit, HEAD, Probe, by_name, detect, is_events};
pub use encoder::{Encoder, Writing, encode, encoder};
pub use reader::{EventReader, open};

/// All formats of events, in the order in which they are tried.
pub static FORMATS: &[Format] = &[
    aedat2::FORMAT,
    aedat31::FORMAT,
    dat::FORMAT,
    es::FORMAT,
    evt2::FORMAT,
    evt21::FORMAT,
    evt3::FORMAT,
    nmnist_bin::FORMAT,
    npy::FORMAT,
    text::FORMAT,
    #[cfg(feature = "aedat4")]
    aedat4::FORMAT,
    #[cfg(feature = "hdf5")]
    prophesee_hdf5::FORMAT,
    #[cfg(feature = "hdf5")]
    shd::FORMAT,
];

/// One format of events.
#[derive(Debug)]
pub struct Format {
    /// Short name, as `data info` prints it.
    pub name: &'static str,
    /// One line: what writes it.
    pub about: &'static str,
    /// File name extensions, lower case, without `.gz`.
    pub extensions: &'static [&'static str],
    /// Where its columns and rows begin.
    pub axes: Axes,
    /// Whether the content (not the name) can be this format. Must be cheap and never fail.
    pub fits: fn(&Probe<'_>) -> Fit,
    /// How it is decoded.
    pub read: Reading,
    /// How it is encoded; `None` for what is only read.
    pub write: Option<Writing>,
}

impl Format {
    /// Decodes a whole file of this format; `file` names it in error messages.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`].
    pub fn decode(&self, bytes: &[u8], file: &str) -> Result<EventStream> {
        let mut events = Columns::new();
        let sensor = match self.read {
            Reading::Stream(decoder) => {
                let mut decoder = decoder(file);
                let mut done = 0;
                // In pieces that stay in the cache together with their events.
                while done < bytes.len() {
                    done += decoder.take(&bytes[done..], &mut events)?;
                    events.expect(0, done, bytes.len() - done);
                }
                decoder.finish(&mut events)?;
                decoder.sensor()
            }
            Reading::Whole(container) => {
                let mut container = container(bytes, file)?;
                while container.next(bytes, &mut events)? {}
                container.sensor()
            }
        };
        Ok(EventStream { format: self.name, sensor, events })
    }
}

/// Decoded events in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStream {
    /// Name of the format.
    pub format: &'static str,
    /// The sensor, if the file states it.
    pub sensor: Option<Sensor>,
    /// The events in file order, times as stored.
    pub events: Columns,
}

impl EventStream {
    /// The sorted recording, and how many events moved. The sensor is `sensor`, else the one
    /// stated in the file, else the smallest that holds all events.
    ///
    /// # Errors
    /// [`crate::Error::OutsideSensor`].
    pub fn into_recording(self, sensor: Option<Sensor>) -> Result<(Recording, usize)> {
        let sensor = sensor.or(self.sensor).unwrap_or_else(|| self.events.bounding());
        Recording::from_columns(sensor, self.events)
    }
}

/// Decodes the (decompressed) bytes of a file of events, whose format follows from its content,
/// then from its name.
///
/// # Errors
/// [`crate::Error::Unexpected`] when no format fits, [`crate::Error::Malformed`] when the content
/// is broken.
pub fn decode(bytes: &[u8], file: &str) -> Result<EventStream> {
    detect(Probe::whole(bytes), file)?.decode(bytes, file)
}

/// Reads and decodes a file of events (plain or, with the feature `gz`, gzipped).
///
/// # Errors
/// As [`open`] and [`decode`].
pub fn read(path: &Path) -> Result<EventStream> {
    open(path)?.read_to_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = decode(b"", "a/b.xyz").unwrap_err().to_string();
        assert!(error.starts_with("a/b.xyz: no known format") && error.contains(".bin"), "{error}");
    }

    #[test]
    fn the_sensor_is_stated_or_bounding() {
        let events = [Event { t_us: 0, x: 4, y: 2, on: true }].into_iter().collect();
        let stream = EventStream { format: "test", sensor: None, events };
        let (bounding, _) = stream.clone().into_recording(None).unwrap();
        assert_eq!(bounding.sensor(), Sensor { width: 5, height: 3 });
        let (stated, _) = stream.clone().into_recording(Some(Sensor::NMNIST)).unwrap();
        assert_eq!(stated.sensor(), Sensor::NMNIST);
        assert!(stream.into_recording(Some(Sensor { width: 4, height: 4 })).is_err());
    }
}
