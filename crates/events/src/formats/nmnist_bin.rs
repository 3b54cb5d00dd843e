//! The 5-byte format of N-MNIST and N-Caltech101 (`.bin`).
//!
//! An event is x, y, then 24 bits big-endian: polarity, then 23 bits of time in µs. There is no
//! header. y = 240 is no event but marks an overflow: all later times are 8,192 µs larger.

use super::{EventStream, Format};
use crate::{Error, Event, Result};

/// See the module.
pub const FORMAT: Format = Format {
    name: "nmnist-bin",
    about: "5-byte events of N-MNIST and N-Caltech101 (ATIS)",
    extensions: &["bin"],
    fits,
    decode,
};

const RECORD: usize = 5;
const OVERFLOW_Y: u8 = 240;
const OVERFLOW_US: u64 = 1 << 13;
const LARGEST_TIME: u64 = (1 << 23) - 1;

/// Decodes a whole file.
///
/// # Errors
/// [`Error::Malformed`] with the byte offset of the last, incomplete event of a truncated file.
pub fn decode(bytes: &[u8], file: &str) -> Result<EventStream> {
    let records = bytes.chunks_exact(RECORD);
    let rest = records.remainder().len();
    if rest != 0 {
        let at = (bytes.len() - rest) as u64;
        let problem = format!("truncated: the last event has {rest} of 5 bytes");
        return Err(Error::malformed(file, at, problem, "get the file again"));
    }
    let mut events = Vec::with_capacity(bytes.len() / RECORD);
    let mut base = 0;
    for r in records {
        if r[1] == OVERFLOW_Y {
            base += OVERFLOW_US;
        } else {
            events.push(event(r, base));
        }
    }
    Ok(EventStream { format: FORMAT.name, sensor: None, events })
}

/// The byte offset of event `index` (markers are no events); for naming a place after decoding.
pub fn offset_of(bytes: &[u8], index: usize) -> u64 {
    let events = bytes.chunks_exact(RECORD).enumerate().filter(|(_, r)| r[1] != OVERFLOW_Y);
    events.map(|(i, _)| i * RECORD).nth(index).unwrap_or(bytes.len()) as u64
}

/// Encodes events in the given order.
///
/// # Errors
/// [`Error::Setting`] for an event that the format cannot hold: x above 255, y above 239, a time
/// beyond 2³² µs (markers of 8,192 µs would outweigh the events) or a time that falls after an
/// overflow.
pub fn encode(events: impl IntoIterator<Item = Event>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut base = 0;
    for (i, e) in events.into_iter().enumerate() {
        let refuse = |what: &str, remedy: &str| {
            Err(Error::setting(format!("event {i} does not fit the .bin format: {what}"), remedy))
        };
        let (Ok(x), Ok(y @ ..OVERFLOW_Y)) = (u8::try_from(e.x), u8::try_from(e.y)) else {
            return refuse("x is above 255 or y above 239", "scale the recording down");
        };
        if e.t_us > u64::from(u32::MAX) {
            return refuse("its time is above 2^32 µs", "let the times start near 0");
        }
        while e.t_us.saturating_sub(base) > LARGEST_TIME {
            bytes.extend([0, OVERFLOW_Y, 0, 0, 0]);
            base += OVERFLOW_US;
        }
        let Some(t) = e.t_us.checked_sub(base) else {
            return refuse("its time lies before an overflow", "sort the events by time");
        };
        let [_, high, middle, low] = (t as u32).to_be_bytes();
        bytes.extend([x, y, u8::from(e.on) << 7 | high, middle, low]);
    }
    Ok(bytes)
}

fn event(r: &[u8], base: u64) -> Event {
    let t = u32::from_be_bytes([0, r[2] & 0x7F, r[3], r[4]]);
    Event { t_us: base + u64::from(t), x: r[0].into(), y: r[1].into(), on: r[2] & 0x80 != 0 }
}

/// Times that never fall over the first thousand records; other `.bin` files (CIFAR) fail this.
fn fits(bytes: &[u8]) -> bool {
    let (mut base, mut before) = (0, 0);
    bytes.len().is_multiple_of(RECORD)
        && bytes.chunks_exact(RECORD).take(1000).all(|r| {
            base += if r[1] == OVERFLOW_Y { OVERFLOW_US } else { 0 };
            let now = if r[1] == OVERFLOW_Y { before } else { event(r, base).t_us };
            std::mem::replace(&mut before, now) <= now
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Sensor;
    use crate::testing::events;

    const SENSOR: Sensor = Sensor { width: 256, height: 240 };

    #[test]
    fn a_marker_moves_all_later_times() {
        let bytes = [1, 2, 0x80, 0, 7, 9, 240, 0, 0, 0, 3, 4, 0, 1, 0];
        let stream = decode(&bytes, "a.bin").unwrap();
        let first = Event { t_us: 7, x: 1, y: 2, on: true };
        let second = Event { t_us: 8192 + 256, x: 3, y: 4, on: false };
        assert_eq!(stream.events, [first, second]);
        assert_eq!((offset_of(&bytes, 0), offset_of(&bytes, 1)), (0, 10));
    }

    #[test]
    fn a_truncated_file_names_the_byte() {
        let error = decode(&[0; 13], "a/1.bin").unwrap_err().to_string();
        let expected = "a/1.bin: byte 10: truncated: the last event has 3 of 5 bytes; get the file again";
        assert_eq!(error, expected);
    }

    #[test]
    fn events_that_do_not_fit_are_refused() {
        let good = Event { t_us: 0, x: 255, y: 239, on: true };
        assert!(encode([good]).is_ok());
        let late = Event { t_us: 10_000_000, ..good };
        for bad in [Event { x: 256, ..good }, Event { y: 240, ..good }, Event { t_us: 1 << 40, ..good }] {
            assert!(encode([bad]).is_err(), "{bad:?}");
        }
        assert!(encode([late, good]).is_err(), "time falls across an overflow");
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(mut events in events(SENSOR, 60, 20_000_000)) {
            events.sort_by_key(|e| e.t_us);
            let bytes = encode(events.iter().copied()).unwrap();
            prop_assert!(fits(&bytes));
            prop_assert_eq!(decode(&bytes, "x").unwrap().events, events);
        }

        #[test]
        fn any_bytes_decode_or_name_a_byte(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            fits(&bytes);
            match decode(&bytes, "x") {
                Ok(stream) => prop_assert!(stream.events.len() * 5 <= bytes.len()),
                Err(Error::Malformed { at, .. }) => prop_assert_eq!(at as usize, bytes.len() / 5 * 5),
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            }
        }
    }
}
