//! ECF, the codec of events in Prophesee's HDF5 files (HDF5 filter 36559 = 0x8ECF).
//!
//! A chunk consists of a u32 count·4 + mode, then the times, then the pixels. All numbers are
//! little endian and unaligned.
//!
//! | part | layout |
//! |---|---|
//! | times | u64 first time (µs), then codes of one byte. If the high nibble is 0–14, it is the step dt and the low nibble is the number of events at that time; a low nibble of 15 means that a u16 with the number follows. A high nibble of 15 adds the low nibble to the step of the next code, lowest nibble first |
//! | mode 2: y, x, p | 24 bits per event, y·2¹² + x·2 + p; four events a, b, c, d in three u32: a·2⁸ + b₀₋₇, b₈₋₂₃·2¹⁶ + c₀₋₁₅, c₁₆₋₂₃·2²⁴ + d |
//! | mode 1: y | u16 = y·2⁵ + run length; a length of 31 means that a u16 with the length follows |
//! | mode 1: x, p | 12 bits per event, x·2 + p; four in three u16: a·2⁴ + b₀₋₃, b₄₋₁₁·2⁸ + c₀₋₇, c₈₋₁₁·2¹² + d |
//! | mode 0: y | as mode 1 |
//! | mode 0: x | u16 = x·2⁵ + mask; bit 4 of the mask is an event at x+1, bit 0 one at x+5 |
//! | mode 0: p | u8 = p·2⁷ + run length; a length of 127 means that a u16 with the length follows |
//!
//! Bits after the last event of a group (of four, or of a mask) are ignored. Mode 3 is read as mode
//! 2. ECF cannot hold falling times, x or y above 2047, or more than 65,535 events per chunk.
//! Source: the vendor's description of its open codec.
//!
//! The decoder accepts any mode and any division into runs. The encoder makes the same choices as
//! the vendor's (hdf5_ecf 1.0.1), so that its chunks are identical byte for byte
//! (tests/containers/ecf.rs): every run is as long as possible; a step of 15 or more is written
//! entirely as codes of high nibble 15, so that the code of the run has a step of 0; and a mask
//! takes the next events as long as x rises within its five positions. The mode is determined by
//! the first quarter of the chunk (all of it if it has fewer than 16 events), which has q events:
//! mode 2 if at most a fifth of q have the same y as the event before; otherwise mode 1 if at most
//! 8 % of q have an x that is above the previous one and at most 5 above the last x that did not
//! rise in this way; otherwise mode 0. Unused bits of a last group are 0; the vendor's encoder
//! leaves uninitialised memory there.

mod decode;
mod encode;

pub use decode::decode;
pub use encode::encode;

/// The number of this filter in HDF5.
pub const FILTER: u16 = 0x8ECF;

/// The largest number of events in a chunk.
pub const MOST_EVENTS: usize = 65_535;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tickless_testing::assert_problem;

    use super::*;
    use crate::Problem;
    use crate::testing::events;
    use crate::{Columns, Event, Sensor};

    const SENSOR: Sensor = Sensor { width: 2048, height: 2048 };

    fn decoded(bytes: &[u8]) -> crate::Result<Vec<Event>> {
        let mut out = Columns::new();
        decode(bytes, "x", 0, usize::MAX, &mut out)?;
        Ok(out.to_vec())
    }

    fn encoded(events: &[Event]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(events, &mut bytes).unwrap();
        bytes
    }

    /// Events for which the encoder selects the given mode.
    fn of_mode(mode: u8, n: u16) -> Vec<Event> {
        let event = |i: u16| {
            let (x, y) = match mode {
                0 => (i % 600, i / 600),
                1 => (600 - i % 600, i / 600),
                _ => (i.wrapping_mul(7919) % 2048, i.wrapping_mul(104) % 2048),
            };
            Event { t_us: (1 << 40) + u64::from(i / 40) * 300, x, y, on: i.is_multiple_of(5) }
        };
        (0..n).map(event).collect()
    }

    #[test]
    fn each_mode_is_chosen_where_it_fits_and_decodes() {
        for mode in [0, 1, 2] {
            let events = of_mode(mode, 5000);
            let bytes = encoded(&events);
            assert_eq!(bytes[0] & 3, mode);
            assert_eq!(decoded(&bytes).unwrap(), events, "mode {mode}");
        }
    }

    #[test]
    fn a_chunk_by_hand_decodes() {
        // Three events at 1000, one at 1000 + 0x12 + 1; y = 5 for all four; x = 10, 11, 15 and 3.
        let mut bytes = vec![4 << 2, 0, 0, 0];
        bytes.extend(1000u64.to_le_bytes());
        bytes.extend([0x03, 0xF2, 0xF1, 0x11]);
        bytes.extend((5u16 << 5 | 4).to_le_bytes());
        bytes.extend([(10u16 << 5 | 0b10001).to_le_bytes(), (3u16 << 5).to_le_bytes()].concat());
        bytes.extend([0x80 | 1, 3]);
        let event = |t_us, x, on| Event { t_us, x, y: 5, on };
        let expected = [event(1000, 10, true), event(1000, 11, false), event(1000, 15, false), event(1019, 3, false)];
        assert_eq!(decoded(&bytes).unwrap(), expected);
    }

    #[test]
    fn every_truncation_names_a_byte_and_every_surplus_is_refused() {
        for mode in [0, 1, 2] {
            let bytes = encoded(&of_mode(mode, 700));
            for cut in 0..bytes.len() {
                let error = decoded(&bytes[..cut]).unwrap_err().to_string();
                assert!(error.starts_with("x: byte "), "{error}");
            }
            let error = decoded(&[bytes, vec![0]].concat()).unwrap_err();
            assert_problem!(error, Problem::Surplus { bytes: 1 });
        }
    }

    #[test]
    fn no_more_events_are_given_than_asked_for() {
        let events = of_mode(0, 100);
        let mut out = Columns::from(&events[..7]);
        assert_eq!(decode(&encoded(&events), "x", 0, 30, &mut out).unwrap(), 100);
        assert_eq!(out.to_vec(), [&events[..7], &events[..30]].concat());
        assert!(decode(&[0], "x", 0, 30, &mut out).is_err());
        assert_eq!(out.len(), 37, "an error leaves nothing");
    }

    #[test]
    fn what_ecf_cannot_hold_is_refused() {
        let good = Event { t_us: 5, x: 2047, y: 2047, on: true };
        assert!(encode(&[good], &mut Vec::new()).is_ok());
        for bad in [Event { x: 2048, ..good }, Event { y: 2048, ..good }, Event { t_us: 4, ..good }] {
            assert!(encode(&[good, bad], &mut Vec::new()).is_err(), "{bad:?}");
        }
        assert!(encode(&vec![good; MOST_EVENTS], &mut Vec::new()).is_ok());
        assert!(encode(&vec![good; MOST_EVENTS + 1], &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(mut events in events(SENSOR, 300, 4000), base in 0u64..1 << 60, step in 1u64..1 << 40) {
            events.iter_mut().for_each(|e| e.t_us = base + e.t_us * step);
            events.sort_by_key(|e| e.t_us);
            prop_assert_eq!(decoded(&encoded(&events)).unwrap(), events);
        }

        #[test]
        fn rows_and_runs_survive(runs in prop::collection::vec((0u64..40, 0u16..2000, 0u16..700, 1u16..200, any::<bool>()), 1..40)) {
            let mut t_us = 0;
            let mut events = Vec::new();
            for (dt, x, y, n, on) in runs {
                t_us += dt;
                events.extend((0..n).map(|i| Event { t_us, x: (x + i) % 2048, y, on }));
            }
            prop_assert_eq!(decoded(&encoded(&events)).unwrap(), events);
        }

        #[test]
        fn any_bytes_decode_or_name_a_byte(mut bytes in prop::collection::vec(any::<u8>(), 0..400), count in 0u32..300) {
            if bytes.len() >= 4 && count < 250 {
                let mode = u32::from(bytes[0] & 3);
                bytes[..4].copy_from_slice(&(count << 2 | mode).to_le_bytes());
            }
            match decoded(&bytes) {
                Ok(events) => prop_assert!(events.len() <= MOST_EVENTS),
                Err(error) => prop_assert!(error.to_string().starts_with("x: byte "), "{}", error),
            }
        }
    }
}
