//! What every writer of events is: an encoder that is pushed events and appends bytes.

use super::detect::by_name;
use crate::{Columns, Error, Event, Remedy, Result, Sensor};

/// Encodes events into the bytes of one file. Made by [`super::Format::write`].
///
/// Events are written in the order in which they come, so decoding gives the same stream back.
/// After an error an encoder is of no further use.
pub trait Encoder: Send {
    /// Takes the next events and appends the bytes they complete.
    ///
    /// # Errors
    /// [`Error::Setting`] for an event that the format cannot hold, with its index and a remedy.
    fn push(&mut self, events: &Columns, out: &mut Vec<u8>) -> Result<()>;

    /// Takes the end of the events and appends what is still missing.
    ///
    /// # Errors
    /// As [`Encoder::push`].
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()>;

    /// The first bytes of the file as they must be in the end, for a format whose beginning states
    /// what only the end knows (a NumPy array, HDF5); empty for every other format. They have one
    /// length at any time, and are right after [`Encoder::finish`]: the caller then writes them over
    /// as many bytes that it was given first.
    fn head(&self) -> &[u8] {
        &[]
    }
}

/// Makes the encoder of a format for a sensor, or refuses a sensor that the format cannot hold.
pub type Writing = fn(Option<Sensor>) -> Result<Box<dyn Encoder>>;

/// The encoder of the format of this name. `sensor` is what the file states where the format has
/// a place for it.
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

/// Encodes all events into the bytes of a file of the format of this name.
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

/// Why a format cannot hold an event, and what to do.
pub(super) type Refusal = (&'static str, Remedy);

/// The error for event number `index`.
pub(super) fn refuse(format: &str, index: u64, e: Event, (why, remedy): Refusal) -> Error {
    Error::setting(format!("{} does not fit the format {format}: {why}", named(index, e)), remedy)
}

/// What messages call an event.
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

/// An [`Encoder`] of a header and then one event after the other.
pub(super) struct EventEncoder<F> {
    format: &'static str,
    /// The bytes before the first event, taken when they are written.
    header: Option<Vec<u8>>,
    /// Number of events written.
    count: u64,
    /// Appends one event, or says why the format cannot hold it, and what to do.
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
