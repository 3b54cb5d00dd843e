//! Writers of events: an encoder receives events and appends bytes.

use super::by_name;
use crate::{Columns, Error, Event, Remedy, Result, Sensor};

/// Encodes events into the bytes of one file. [`super::Format::write`] creates it.
///
/// Events are written in the order in which they are pushed, so decoding returns the same stream.
/// After an error, the encoder must not be used any more.
pub trait Encoder: Send {
    /// Encodes the next events and appends the bytes that they complete.
    ///
    /// # Errors
    /// [`Error::Setting`] for an event that the format cannot hold, with its index and a remedy.
    fn push(&mut self, events: &Columns, out: &mut Vec<u8>) -> Result<()>;

    /// Must be called after the last event; appends the rest of the file.
    ///
    /// # Errors
    /// As [`Encoder::push`].
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()>;

    /// The final first bytes of the file, if the format states something there that is known only
    /// at the end (a NumPy array, HDF5); empty for every other format. The length never changes,
    /// and the content is final after [`Encoder::finish`]; the caller must then overwrite the
    /// beginning of the file with it.
    fn head(&self) -> &[u8] {
        &[]
    }
}

/// Creates the encoder of a format; an error if the format cannot hold the sensor.
pub type Writing = fn(Option<Sensor>) -> Result<Box<dyn Encoder>>;

/// Creates the encoder of the format with this name. If the format states a sensor, the file states
/// `sensor`.
///
/// # Errors
/// [`Error::Setting`] for an unknown or read-only format, or a sensor that it cannot hold.
pub fn encoder(format: &str, sensor: Option<Sensor>) -> Result<Box<dyn Encoder>> {
    let Some(write) = by_name(format)?.write else {
        let known: Vec<_> = super::FORMATS.iter().filter(|f| f.write.is_some()).map(|f| f.name).collect();
        let remedy = format!("choose one of: {}", known.join(", "));
        return Err(Error::setting(format!("`{format}` is read and not written"), remedy));
    };
    write(sensor)
}

/// Encodes all events as a file of the format with this name.
///
/// # Errors
/// As [`encoder`], and [`Error::Setting`] for an event that the format cannot hold.
pub fn encode(format: &str, events: &Columns, sensor: Option<Sensor>) -> Result<Vec<u8>> {
    let mut encoder = encoder(format, sensor)?;
    let mut bytes = Vec::new();
    encoder.push(events, &mut bytes)?;
    encoder.finish(&mut bytes)?;
    let head = encoder.head();
    bytes[..head.len()].copy_from_slice(head);
    Ok(bytes)
}

/// The reason why a format cannot hold an event, and the remedy.
pub(super) type Refusal = (&'static str, Remedy);

/// The error for the event at `index`.
pub(super) fn refuse(format: &str, index: u64, e: Event, (why, remedy): Refusal) -> Error {
    Error::setting(format!("{} does not fit the format {format}: {why}", named(index, e)), remedy)
}

/// The description of an event in error messages.
pub(in crate::formats) fn named(index: u64, e: Event) -> String {
    let Event { t_us, x, y, .. } = e;
    format!("event {index} (t {t_us}, x {x}, y {y})")
}

#[cfg(test)]
#[test]
fn every_writer_names_an_event_that_it_cannot_hold_in_plain_words() {
    let sensor = Some(Sensor { width: 16, height: 16 });
    let far = Event { t_us: u64::MAX, x: 40_000, y: 40_000, on: true };
    let mut refused = 0;
    for format in super::FORMATS.iter().filter(|f| f.write.is_some()) {
        let Err(error) = encode(format.name, &[far].into_iter().collect(), sensor) else { continue };
        let error = error.to_string();
        let place = format!("event 0 (t {}, x 40000, y 40000)", u64::MAX);
        assert!(error.contains(&place) && !error.contains("t_us:"), "{}: {error}", format.name);
        refused += 1;
    }
    assert!(refused >= 8, "{refused}");
}

/// An [`Encoder`] for formats that consist of a header and one record per event.
pub(super) struct EventEncoder<F> {
    format: &'static str,
    /// The bytes before the first event; `None` after they have been written.
    header: Option<Vec<u8>>,
    /// Number of events written.
    count: u64,
    /// Appends one event; an error if the format cannot hold it.
    one: F,
}

impl<F> EventEncoder<F>
where
    F: FnMut(Event, &mut Vec<u8>) -> Result<(), Refusal> + Send + 'static,
{
    pub(super) fn boxed(format: &'static str, header: Vec<u8>, one: F) -> Box<dyn Encoder> {
        Box::new(EventEncoder { format, header: Some(header), count: 0, one })
    }
}

impl<F> Encoder for EventEncoder<F>
where
    F: FnMut(Event, &mut Vec<u8>) -> Result<(), Refusal> + Send,
{
    fn push(&mut self, events: &Columns, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        for e in events.iter() {
            (self.one)(e, out).map_err(|refusal| refuse(self.format, self.count, e, refusal))?;
            self.count += 1;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        Ok(())
    }
}
