//! File formats; each has its own file.
//!
//! The decoder of an event format turns bytes into [`Columns`]: the events in file order, x from
//! the left and y from the top (see [`Axes`]). [`open`] reads a file chunk by chunk; [`read`] and
//! [`decode`] read all of it into an [`EventStream`]; [`encode`] and [`encoder`] write.
//! [`EventStream::into_recording`] sorts the events. To add a format, write a file with a `FORMAT`
//! and add it to [`FORMATS`]. The formats share `decoder`, `records` and `reader` for reading,
//! `encoder` for writing and `detect` for recognising a file's format.

mod aedat;
pub mod aedat1;
pub mod aedat2;
pub mod aedat31;
#[cfg(feature = "aedat4")]
pub mod aedat4;
mod axes;
mod block;
pub mod cifar;
mod clock;
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
mod foreign;
#[cfg(feature = "hdf5")]
mod hdf5;
pub mod idx;
pub mod nmnist_bin;
pub mod npy;
#[cfg(feature = "npz")]
pub mod npz;
mod oddities;
mod options;
#[cfg(feature = "hdf5")]
pub mod planar_hdf5;
mod prefetch;
mod probe;
mod prophesee;
#[cfg(feature = "hdf5")]
pub mod prophesee_hdf5;
mod reader;
mod records;
#[cfg(feature = "hdf5")]
pub mod shd;
#[cfg(target_arch = "x86_64")]
mod store;
mod streams;
pub mod text;
mod values;

use std::path::Path;

use crate::{Columns, Error, Recording, Result, Sensor};

pub use crate::time_unit::TimeUnit;
pub use axes::Axes;
pub use convert::{Conversion, by_extension, convert};
pub use decoder::{Container, Decoder, OpenContainer, OpenStream, Reading};
pub use detect::{detect, is_events};
pub use encoder::{Encoder, Writing, encode, encoder};
#[cfg(feature = "datasets")]
pub(crate) use foreign::is_named_otherwise;
pub use oddities::Oddity;
pub use options::{ReadOptions, SupportedOption};
pub use probe::{Fit, HEAD, Probe};
#[cfg(feature = "datasets")]
pub(crate) use reader::open_shifted;
pub use reader::{EventReader, open, open_stoppable, open_with};
pub use streams::StreamInfo;

/// All formats of events. Detection tries them in this order.
pub static FORMATS: &[Format] = &[
    aedat2::FORMAT,
    aedat31::FORMAT,
    dat::FORMAT,
    aedat1::FORMAT,
    es::FORMAT,
    evt2::FORMAT,
    evt21::FORMAT,
    evt3::FORMAT,
    nmnist_bin::FORMAT,
    npy::FORMAT,
    #[cfg(feature = "npz")]
    npz::FORMAT,
    text::FORMAT,
    #[cfg(feature = "aedat4")]
    aedat4::FORMAT,
    #[cfg(feature = "hdf5")]
    prophesee_hdf5::FORMAT,
    #[cfg(feature = "hdf5")]
    planar_hdf5::FORMAT,
    #[cfg(feature = "hdf5")]
    shd::FORMAT,
];

/// The format with this name ([`Format::name`]).
///
/// # Errors
/// [`Error::Setting`] if no format has this name; it lists the names.
pub fn by_name(name: &str) -> Result<&'static Format> {
    FORMATS.iter().find(|f| f.name == name).ok_or_else(|| {
        let known: Vec<_> = FORMATS.iter().map(|f| f.name).collect();
        Error::setting(format!("unknown format `{name}`"), format!("choose one of: {}", known.join(", ")))
    })
}

/// One format of events.
#[derive(Debug)]
pub struct Format {
    /// Short name, as `data info` prints it.
    pub name: &'static str,
    /// A description of one line, with the programs that write it.
    pub about: &'static str,
    /// File name extensions, lower case, without `.gz`.
    pub extensions: &'static [&'static str],
    /// The origin of the format's columns and rows.
    pub axes: Axes,
    /// Tells how well a file's content (not its name) matches this format. The function must be
    /// fast and must not panic.
    pub fits: fn(&Probe<'_>) -> Fit,
    /// The options that the format supports; reading with any other one is an error.
    pub supports: &'static [SupportedOption],
    /// The decoder.
    pub read: Reading,
    /// The encoder; `None` if the format is read-only.
    pub write: Option<Writing>,
}

impl Format {
    /// Decodes a whole file of this format; `file` names it in error messages.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`], [`crate::Error::TimeUnit`].
    pub fn decode(&self, bytes: &[u8], file: &str) -> Result<EventStream> {
        self.decode_with(bytes, file, &ReadOptions::default())
    }

    /// As [`Format::decode`], with options.
    ///
    /// # Errors
    /// As [`Format::decode`]; [`crate::Error::Unexpected`] for an option that the format does not
    /// support.
    pub fn decode_with(&self, bytes: &[u8], file: &str, options: &ReadOptions) -> Result<EventStream> {
        let options = &options.for_format(self, file)?;
        let mut events = Columns::new();
        let stated = match self.read {
            Reading::Stream(decoder) => {
                let mut decoder = decoder(file, options);
                let mut done = 0;
                // Pieces are so small that they and their events stay in the cache.
                while done < bytes.len() {
                    done += decoder.take(&bytes[done..], &mut events)?;
                    events.expect(0, done, bytes.len() - done);
                }
                decoder.finish(&mut events)?;
                decoder.sensor()
            }
            Reading::Whole(container) => {
                let mut container = container(bytes, file, options)?;
                while container.next(bytes, &mut events)? {}
                container.sensor()
            }
        };
        // The search reads all times, so it runs only if the caller asked for the shift.
        let earliest = if options.shift_to_zero { events.t_us().iter().min().copied() } else { None };
        options.apply(file, stated, earliest.unwrap_or(0), &mut events, 0)?;
        let events = if options.sort { events.sorted() } else { events };
        Ok(EventStream { format: self.name, sensor: options.sensor.or(stated), events })
    }
}

/// Decoded events in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStream {
    /// Name of the format.
    pub format: &'static str,
    /// The sensor, if the file states it.
    pub sensor: Option<Sensor>,
    /// The events in file order, with the times of the file.
    pub events: Columns,
}

impl EventStream {
    /// Sorts the events into a recording, and returns it with the number of events that moved. The
    /// sensor is `sensor`, or else the one that the file states, or else the smallest that contains
    /// all events.
    ///
    /// # Errors
    /// [`crate::Error::OutsideSensor`] if an event lies outside the sensor.
    pub fn into_recording(self, sensor: Option<Sensor>) -> Result<(Recording, usize)> {
        let sensor = sensor.or(self.sensor).unwrap_or_else(|| self.events.bounding());
        Recording::from_columns(sensor, self.events)
    }
}

/// Decodes the (decompressed) bytes of a file of events. The format is detected by the content, or
/// else by the name.
///
/// # Errors
/// [`crate::Error::Unexpected`] if no format matches; [`crate::Error::Malformed`] if the content is
/// broken.
pub fn decode(bytes: &[u8], file: &str) -> Result<EventStream> {
    decode_with(bytes, file, &ReadOptions::default())
}

/// As [`decode`], with options.
///
/// # Errors
/// As [`decode`] and [`Format::decode_with`].
pub fn decode_with(bytes: &[u8], file: &str, options: &ReadOptions) -> Result<EventStream> {
    detect(Probe::whole(bytes), file)?.decode_with(bytes, file, options)
}

/// Reads and decodes a file of events (plain or, with the feature `gz`, gzipped).
///
/// # Errors
/// As [`open`] and [`decode`].
pub fn read(path: &Path) -> Result<EventStream> {
    open(path)?.read_to_end()
}

/// As [`read`], with options.
///
/// # Errors
/// As [`open_with`] and [`decode_with`].
pub fn read_with(path: &Path, options: &ReadOptions) -> Result<EventStream> {
    open_with(path, options)?.read_to_end()
}

#[cfg(test)]
mod tests {
    use tickless_testing::assert_problem;

    use super::*;
    use crate::Event;

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = decode(b"", "a/b.xyz").unwrap_err();
        assert_problem!(error, at "a/b.xyz: ", crate::Problem::NoFormat);
        assert!(error.to_string().contains(".bin"), "{error}");
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
