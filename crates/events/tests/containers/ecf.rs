//! This crate encodes ECF byte for byte like the vendor's own encoder.

use proptest::prelude::*;
use tickless_events::formats::{self, ecf};
use tickless_events::{Columns, Event, Sensor};

use tickless_testing::folders;

/// Number of events of a chunk in a file.
const CHUNK: usize = 16_384;

fn encoded(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ecf::encode(events, &mut bytes).unwrap();
    bytes
}

fn decoded(bytes: &[u8]) -> Vec<Event> {
    let mut events = Columns::new();
    ecf::decode(bytes, "x", 0, usize::MAX, &mut events).unwrap();
    events.to_vec()
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|w| w == part)
}

#[test]
fn golden_chunks_of_the_vendor_are_encoded_byte_for_byte() {
    let mut modes = [0; 4];
    for name in ["ecf_gen3_evt2.hdf5", "ecf_modes.hdf5"] {
        let Some(path) = folders::data(&format!("formats/{name}")) else { return };
        let file = std::fs::read(&path).unwrap();
        let events = formats::read(&path).unwrap().events.to_vec();
        for (i, events) in events.chunks(CHUNK).enumerate() {
            let ours = encoded(events);
            // Only the header of a chunk contains its count, mode and first time.
            let at = position(&file, &ours[..12]).unwrap_or_else(|| panic!("{name}: mode or time of chunk {i}"));
            let theirs = &file[at..at + ours.len()];
            let same = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
            assert_eq!(same, ours.len(), "{name}: chunk {i} differs at its byte {same}");
            // The tree of chunks confirms that the vendor's chunk has the same length. An entry is:
            // size, skipped filters, first event, 0, address.
            let length = (ours.len() as u64).to_le_bytes();
            let entry = [length, ((i * CHUNK) as u64).to_le_bytes(), [0; 8], (at as u64).to_le_bytes()].concat();
            assert!(position(&file, &entry).is_some(), "{name}: chunk {i} has not {} bytes", ours.len());
            assert_eq!(decoded(theirs), events, "{name}: chunk {i}");
            modes[usize::from(ours[0] & 3)] += 1;
        }
    }
    assert_eq!(modes, [5, 2, 2, 0]);
}

#[test]
fn each_form_of_a_time_code_is_the_one_that_the_format_gives() {
    // A step of 15 or more precedes its code, low nibble first, and the code then has a step of 0.
    // The length of a run of 15 or more follows the code.
    let table: [(u64, usize, &[u8]); 9] = [
        (1, 1, &[0x11]),
        (14, 14, &[0xEE]),
        (15, 1, &[0xFF, 0x01]),
        (16, 1, &[0xF0, 0xF1, 0x01]),
        (19, 1, &[0xF3, 0xF1, 0x01]),
        (0xABC, 2, &[0xFC, 0xFB, 0xFA, 0x02]),
        (1 << 32, 1, &[0xF0, 0xF0, 0xF0, 0xF0, 0xF0, 0xF0, 0xF0, 0xF0, 0xF1, 0x01]),
        (3, 15, &[0x3F, 15, 0]),
        (15, 300, &[0xFF, 0x0F, 44, 1]),
    ];
    for (step, run, code) in table {
        let event = |t_us| Event { t_us, x: 7, y: 9, on: true };
        let events: Vec<_> = [event(1000)].into_iter().chain((0..run).map(|_| event(1000 + step))).collect();
        let bytes = encoded(&events);
        assert_eq!(bytes[12], 0x01, "the first event, at the first time");
        assert_eq!(&bytes[13..13 + code.len()], code, "{run} events {step} µs later");
        assert_eq!(decoded(&bytes), events);
    }
}

/// Steps whose codes have every possible length, including a step of 0.
fn step() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..15u64, 14..17u64, 15..300u64, (4..48u32).prop_map(|bits| 1 << bits), 0..1u64 << 48]
}

/// Runs whose codes have every possible length, for time, x, y and polarity.
fn run() -> impl Strategy<Value = usize> {
    prop_oneof![1..4usize, 13..18usize, 29..34usize, 125..130usize, 250..260usize, Just(1500)]
}

/// Events in runs. All events of a run share time, polarity and, depending on `form`, their row; x
/// rises, falls or stays.
fn runs() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((step(), run(), 0..2048u16, 0..2048u16, any::<bool>(), 0..4u8), 1..24).prop_map(|runs| {
        let (mut t_us, mut events) = (0, Vec::new());
        for (step, n, x, y, on, form) in runs {
            t_us += step;
            events.extend((0..n as u16).map(|i| {
                let (x, y) = match form {
                    0 => ((x + i) % 2048, y),
                    1 => ((x + 2048 - i) % 2048, y),
                    2 => (x, y),
                    _ => (x, (y + i) % 2048),
                };
                Event { t_us, x, y, on }
            }));
        }
        events
    })
}

proptest! {
    #[test]
    fn decoding_undoes_encoding_for_runs_and_steps_of_every_length(events in runs()) {
        prop_assert_eq!(decoded(&encoded(&events)), events);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn times_go_on_behind_the_end_of_a_chunk(head in runs(), before in 1..40usize, behind in 1..40usize, step in step(), tail in runs()) {
        // The times are short because the file's index has an entry for every 2,000 µs.
        let (step, short) = (step % 1000, |t_us: u64| t_us % 100_000);
        // Equal times, or a step, across the end of the first chunk.
        let mut events: Vec<Event> = head.iter().map(|e| Event { t_us: short(e.t_us), ..*e }).cycle().take(CHUNK - before).collect();
        events.sort_by_key(|e| e.t_us);
        let last = *events.last().unwrap();
        events.extend((0..before).map(|i| Event { x: i as u16, ..last }));
        let next = last.t_us + step;
        events.extend((0..behind).map(|i| Event { t_us: next, x: 2047 - i as u16, ..last }));
        let mut tail: Vec<_> = tail.into_iter().map(|e| Event { t_us: next + short(e.t_us), ..e }).collect();
        tail.sort_by_key(|e| e.t_us);
        events.extend(tail);
        prop_assert!(events.len() > CHUNK);
        let columns: Columns = events.iter().copied().collect();
        let bytes = formats::encode("prophesee-hdf5", &columns, Some(Sensor { width: 2048, height: 2048 })).unwrap();
        let back = formats::decode(&bytes, "x.hdf5").unwrap().events;
        prop_assert_eq!(back.to_vec(), events);
    }
}
