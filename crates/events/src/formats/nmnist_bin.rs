//! The 5-byte format of N-MNIST and N-Caltech101 (`.bin`).
//!
//! An event is x, y, and 24 bits big endian: 1 bit of polarity and 23 bits of time in µs. The
//! format has no header. A record with y = 240 is not an event; it marks an overflow that adds
//! 8,192 µs to all later times. The 23 bits wrap around after 8.4 s; if no mark shows this, the
//! decoder continues the times (see `clock`), unless the options ask for literal times.
//!
//! Time 0 is the start of the recording. x counts from the left and y from the top. Source:
//! Orchard, Jayawant, Cohen and Thakor (2015) and the reader published with the data set.

use super::clock::Clock;
use super::encoder::EventEncoder;
use super::records::{RecordDecoder, Records, SliceOrigin};
use super::{Encoder, EventStream, Fit, Format, Probe, Reading, SupportedOption};
use crate::problem::Problem;
use crate::{Columns, Error, Event, Remedy, Result, Sensor};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "nmnist-bin",
    about: "5-byte events of N-MNIST and N-Caltech101 (ATIS)",
    extensions: &["bin"],
    axes: super::Axes::UpperLeft,
    fits,
    supports: &[SupportedOption::LiteralTimes],
    read: Reading::Stream(|file, options| {
        Box::new(RecordDecoder::new(Bin { base: 0, clock: Clock::new(options.literal_times) }, file))
    }),
    write: Some(encoder),
};

const RECORD: usize = 5;
const OVERFLOW_Y: u8 = 240;
const OVERFLOW_US: u64 = 1 << 13;
const LARGEST_TIME: u64 = (1 << 23) - 1;

/// Decodes a whole file; `file` is its name in error messages.
///
/// # Errors
/// [`crate::Error::Malformed`] with the offset of the last event if it is incomplete.
pub fn decode(bytes: &[u8], file: &str) -> Result<EventStream> {
    FORMAT.decode(bytes, file)
}

/// The offset of event `index`, not counting overflow marks; the length of `bytes` if there is no
/// such event.
pub fn offset_of(bytes: &[u8], index: usize) -> u64 {
    let events = bytes.chunks_exact(RECORD).enumerate().filter(|(_, r)| r[1] != OVERFLOW_Y);
    events.map(|(i, _)| i * RECORD).nth(index).unwrap_or(bytes.len()) as u64
}

/// Encodes events in the given order.
///
/// # Errors
/// [`crate::Error::Setting`] for an event that the format cannot hold: x above 255, y above 239, a
/// time above 2³² µs (its overflow marks would outweigh the events), or a time that falls too far.
pub fn encode(events: impl IntoIterator<Item = Event>) -> Result<Vec<u8>> {
    super::encode(FORMAT.name, &events.into_iter().collect(), None)
}

/// The state of the decoder.
struct Bin {
    base: u64,
    clock: Clock<23>,
}

impl Records for Bin {
    const LONGEST: usize = RECORD;

    fn decode(&mut self, bytes: &[u8], _: SliceOrigin<'_>, out: &mut Columns) -> Result<usize> {
        let records = bytes.chunks_exact(RECORD);
        let (len, before) = (records.len(), out.len());
        let slots = out.grow(len);
        // All four slices have one known length, so that one bounds check suffices for all of them.
        let (t, x, y, on) = (&mut slots.t_us[..len], &mut slots.x[..len], &mut slots.y[..len], &mut slots.on[..len]);
        let (mut n, mut marked) = (0, 0);
        for r in records {
            let e = event(r, 0);
            (t[n], x[n], y[n], on[n]) = (e.t_us, e.x, e.y, e.on);
            n += 1;
            if r[1] == OVERFLOW_Y {
                n -= 1;
                self.follow(&mut t[marked..n]);
                self.base += OVERFLOW_US;
                marked = n;
            }
        }
        self.follow(&mut t[marked..n]);
        out.truncate(before + n);
        Ok(len * RECORD)
    }

    fn overflows(&self) -> u64 {
        self.clock.overflows()
    }

    fn finish(&mut self, rest: &[u8], place: SliceOrigin<'_>, _: &mut Columns) -> Result<()> {
        if rest.is_empty() { Ok(()) } else { Err(place.truncated("the last event", rest.len(), RECORD)) }
    }
}

impl Bin {
    /// Converts stored times between two overflow marks into times of the recording, in place.
    fn follow(&mut self, stored: &mut [u64]) {
        self.clock.follow(stored);
        if self.base > 0 {
            stored.iter_mut().for_each(|t| *t += self.base);
        }
    }
}

#[inline]
fn event(r: &[u8], base: u64) -> Event {
    let t = u32::from_be_bytes([0, r[2] & 0x7F, r[3], r[4]]);
    Event { t_us: base + u64::from(t), x: r[0].into(), y: r[1].into(), on: r[2] & 0x80 != 0 }
}

/// A file can be of this format if it has whole records and mostly ascending times, as a camera
/// writes them. Other `.bin` files (CIFAR) do not.
fn fits(probe: &Probe<'_>) -> Fit {
    if probe.grows && probe.head.len() < RECORD {
        return Fit::Unknown;
    }
    let whole = probe.len.is_none_or(|len| len.is_multiple_of(RECORD as u64));
    if whole && falls(probe.head).is_none() && !repeats(probe.head) { Fit::Possible } else { Fit::No }
}

/// Number of records whose times are examined.
const LOOKED_AT: usize = 1000;

/// Counts how often the time falls within the first [`LOOKED_AT`] records, and returns the count
/// and the index of the first fall. `None` if at most one in eight records falls, which may be a
/// camera's disorder; in random bytes every second record falls.
fn falls(head: &[u8]) -> Option<(usize, usize)> {
    let (mut base, mut before, mut count, mut first) = (0, 0, 0, None);
    for (i, r) in head.chunks_exact(RECORD).take(LOOKED_AT).enumerate() {
        if r[1] == OVERFLOW_Y {
            base += OVERFLOW_US;
            continue;
        }
        let now = event(r, base).t_us;
        if now < before {
            first = first.or(Some(i));
            count += 1;
        }
        before = now;
    }
    let looked_at = (head.len() / RECORD).min(LOOKED_AT);
    first.filter(|_| count * 8 > looked_at).map(|first| (count, first))
}

/// Whether all of at least eight records are equal, as in a file of zeros.
fn repeats(head: &[u8]) -> bool {
    const SEVERAL: usize = 8;
    // Overflow marks are ignored, because they repeat if a recording begins late.
    let mut records = head.chunks_exact(RECORD).take(LOOKED_AT).filter(|r| r[1] != OVERFLOW_Y);
    let Some(first) = records.next() else { return false };
    let mut count = 1;
    records.all(|r| {
        count += 1;
        r == first
    }) && count >= SEVERAL
}

/// The error for a file of this name whose content is not of this format, and not recognised as
/// another one either.
pub(super) fn refusal(probe: &Probe<'_>, file: &str) -> Error {
    if repeats(probe.head) {
        return Error::malformed(file, 0, Problem::OneEvent, "check what the file is");
    }
    match (falls(probe.head), probe.len) {
        (Some((count, first)), _) => {
            let looked_at = (probe.head.len() / RECORD).min(LOOKED_AT);
            let problem = Problem::TimesFall { falls: count, events: looked_at };
            let remedy = "check what the file is; a recording of another format is read under a name of that format";
            Error::malformed(file, (first * RECORD) as u64, problem, remedy)
        }
        (None, len) => {
            let len = len.unwrap_or(probe.head.len() as u64);
            let (rest, of) = ((len % RECORD as u64) as usize, RECORD);
            SliceOrigin { file, at: len - rest as u64 }.truncated("the last event", rest, of)
        }
    }
}

fn encoder(_: Option<Sensor>) -> Result<Box<dyn Encoder>> {
    let (mut base, mut clock) = (0, Clock::<23>::new(false));
    Ok(EventEncoder::boxed(FORMAT.name, Vec::new(), move |e, bytes| {
        let (Ok(x), Ok(y @ ..OVERFLOW_Y)) = (u8::try_from(e.x), u8::try_from(e.y)) else {
            return Err(("x is above 255 or y above 239", "scale the recording down".into()));
        };
        if e.t_us > u64::from(u32::MAX) {
            return Err(("its time is above 2^32 µs", Remedy::START_AT_ZERO));
        }
        while e.t_us.saturating_sub(base) > LARGEST_TIME {
            bytes.extend([0, OVERFLOW_Y, 0, 0, 0]);
            base += OVERFLOW_US;
        }
        let Some(t) = e.t_us.checked_sub(base) else {
            return Err(("its time lies before an overflow", Remedy::SORT));
        };
        if clock.store(t).is_none() {
            return Err(("its time falls as far as at an overflow", Remedy::SORT));
        }
        let [_, high, middle, low] = (t as u32).to_be_bytes();
        bytes.extend([x, y, u8::from(e.on) << 7 | high, middle, low]);
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tickless_testing::assert_problem;

    use super::*;
    use crate::problem::Truncation;

    fn cut(found: u64) -> Truncation {
        Truncation::Size { part: "the last event".into(), found, expected: 5 }
    }
    use crate::formats::ReadOptions;
    use crate::testing::events;

    const SENSOR: Sensor = Sensor { width: 256, height: 240 };

    #[test]
    fn a_marker_moves_all_later_times() {
        let bytes = [1, 2, 0x80, 0, 7, 9, 240, 0, 0, 0, 3, 4, 0, 1, 0];
        let stream = decode(&bytes, "a.bin").unwrap();
        let first = Event { t_us: 7, x: 1, y: 2, on: true };
        let second = Event { t_us: 8192 + 256, x: 3, y: 4, on: false };
        assert_eq!(stream.events.to_vec(), [first, second]);
        assert_eq!((offset_of(&bytes, 0), offset_of(&bytes, 1)), (0, 10));
    }

    #[test]
    fn the_clock_goes_on_where_no_mark_says_so() {
        let record = |t: u32| [[1, 2].as_slice(), &t.to_be_bytes()[1..]].concat();
        let mark = vec![0, OVERFLOW_Y, 0, 0, 0];
        let end = LARGEST_TIME as u32;
        let bytes = [record(end - 5), record(3), mark, record(1), record(end - 9)].concat();
        let times = |literal_times| {
            let options = ReadOptions { literal_times, ..ReadOptions::default() };
            let stream = FORMAT.decode_with(&bytes, "a.bin", &options).unwrap();
            stream.events.t_us().to_vec()
        };
        let range = LARGEST_TIME + 1;
        // The last event is late: it is from before the overflow.
        assert_eq!(times(false), [range - 6, range + 3, range + 8192 + 1, 8192 + range - 10]);
        assert_eq!(times(true), [range - 6, 3, 8192 + 1, 8192 + range - 10]);
    }

    #[test]
    fn a_truncated_file_names_the_byte() {
        let error = decode(&[0; 13], "a/1.bin").unwrap_err();
        assert_problem!(error, at "a/1.bin: byte 10: ", cut(3));
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

    #[test]
    fn bytes_that_are_no_recording_are_refused_by_name() {
        use crate::formats::detect;
        let mut state = 1u64;
        let mut random = |n: usize| -> Vec<u8> {
            let byte = |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as u8
            };
            (0..n).map(byte).collect()
        };
        for n in [50, 500, 5_000, 100_000] {
            let error = detect(Probe::whole(&random(n)), "a.bin").unwrap_err();
            assert!(error.to_string().starts_with("a.bin: byte "), "{n}: {error}");
            assert!(matches!(error.problem(), Some(Problem::TimesFall { .. })), "{n}: {error}");
        }
        let error = detect(Probe::whole(&[0; 5_000]), "a.bin").unwrap_err();
        assert_problem!(error, at "a.bin: byte 0: ", Problem::OneEvent);
        // The end of a valid recording is missing.
        let whole = encode((0..40).map(|i| Event { t_us: 100 * i, x: 3, y: 4, on: true })).unwrap();
        let error = detect(Probe::whole(&whole[..97]), "a.bin").unwrap_err();
        assert_problem!(error, at "a.bin: byte 95: ", cut(2));
        // A camera may write two events in the wrong order.
        let swapped: Vec<u8> = [&whole[..50], &whole[55..60], &whole[50..55], &whole[60..]].concat();
        assert_eq!(fits(&Probe::whole(&swapped)), Fit::Possible);
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(mut events in events(SENSOR, 60, 20_000_000)) {
            events.sort_by_key(|e| e.t_us);
            let bytes = encode(events.iter().copied()).unwrap();
            prop_assert_eq!(fits(&Probe::whole(&bytes)), Fit::Possible);
            prop_assert_eq!(decode(&bytes, "x").unwrap().events.to_vec(), events);
        }

        #[test]
        fn any_bytes_decode_or_name_a_byte(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            fits(&Probe::whole(&bytes));
            match decode(&bytes, "x") {
                Ok(stream) => prop_assert!(stream.events.len() * 5 <= bytes.len()),
                Err(Error::Malformed { at, .. }) => prop_assert_eq!(at as usize, bytes.len() / 5 * 5),
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            }
        }
    }
}
