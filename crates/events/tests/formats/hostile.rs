//! A truncated, corrupt or random file either decodes or gives an error that names file and byte.
//! No input causes a panic, an endless loop or excessive use of memory.

use proptest::prelude::*;
use tickless_events::Error;
use tickless_events::formats::{EventStream, FORMATS, Format, Reading, decode};

use super::laws::in_chunks;
use super::samples::{file, writable};

/// A limit that no format exceeds: EVT3 stores up to 12 events in 2 bytes, EVT2.1 up to 32 in 8.
const EVENTS_PER_BYTE: usize = 6;

/// Verifies an outcome; returns whether it was an error.
fn check(format: &Format, bytes: &[u8], result: tickless_events::Result<EventStream>, what: &str) -> bool {
    let name = format.name;
    match result {
        Ok(stream) if matches!(format.read, Reading::Stream(_)) => {
            assert!(stream.events.len() <= EVENTS_PER_BYTE * bytes.len(), "{name} {what}");
            false
        }
        Ok(_) => false,
        Err(Error::Malformed { file, at, problem, remedy }) => {
            assert!(!file.is_empty() && !problem.is_empty() && !remedy.is_empty(), "{name} {what}");
            // An error of a container may name an address past the end of the file.
            let inside = at <= bytes.len() as u64 || matches!(format.read, Reading::Whole(_));
            assert!(inside, "{name} {what}: byte {at} of {}", bytes.len());
            true
        }
        // A change may give a time a fraction, which then lacks a unit.
        Err(Error::TimeUnit { file, at, problem }) => {
            assert!(!file.is_empty() && !problem.is_empty() && at <= bytes.len() as u64, "{name} {what}");
            true
        }
        Err(other) => panic!("{name} {what}: {other}"),
    }
}

#[test]
fn a_cut_at_any_byte_is_an_error_or_the_events_before_it() {
    for format in writable() {
        let bytes = file(format);
        let whole = format.decode(&bytes, "x").unwrap().events.to_vec();
        let mut errors = 0;
        for cut in 0..bytes.len() {
            let result = format.decode(&bytes[..cut], "x");
            if let Ok(stream) = &result {
                let events = stream.events.to_vec();
                // In a text, the last number may be truncated.
                let sure = if format.name == "text" { events.len().saturating_sub(1) } else { events.len() };
                assert!(whole.starts_with(&events[..sure]), "{} cut at {cut}", format.name);
            }
            errors += usize::from(check(format, &bytes[..cut], result, &format!("cut at {cut}")));
        }
        // Few cuts lie between two records, so most must be errors.
        assert!(errors * 4 >= bytes.len() || format.name == "text", "{}: {errors} of {}", format.name, bytes.len());
    }
}

#[test]
fn every_corruption_of_one_byte_decodes_or_names_a_byte() {
    for format in writable() {
        let bytes = file(format);
        let header = bytes.len().min(400);
        for at in 0..header {
            let mut corrupt = bytes.clone();
            for value in 0..=255 {
                corrupt[at] = value;
                check(format, &corrupt, format.decode(&corrupt, "x"), &format!("byte {at} is {value}"));
            }
        }
    }
}

#[test]
fn a_corrupt_file_is_never_taken_for_another_format() {
    for format in writable() {
        let bytes = file(format);
        let name = format!("a.{}", format.extensions[0]);
        for at in 0..bytes.len().min(400) {
            let mut corrupt = bytes.clone();
            corrupt[at] ^= 0x11;
            if let Ok(stream) = decode(&corrupt, &name) {
                assert_eq!(stream.format, format.name, "byte {at} of {name}");
            }
        }
    }
}

#[test]
fn a_line_without_end_takes_no_memory() {
    for (start, name) in [("% ", "a.raw"), ("#", "a.aedat"), ("% Version 2\n% ", "a.dat"), ("1 ", "a.txt")] {
        let mut bytes = start.as_bytes().to_vec();
        bytes.resize(1 << 20, b'1');
        let error = decode(&bytes, name).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_decode_or_name_a_byte(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in FORMATS {
            check(format, &bytes, format.decode(&bytes, "x"), "random");
        }
    }

    #[test]
    fn random_bytes_after_a_right_header(bytes in prop::collection::vec(any::<u8>(), 0..600), cut in 0usize..1000) {
        for format in writable() {
            let mut file = tickless_events::formats::encode(format.name, &Default::default(), Some(super::samples::SENSOR)).unwrap();
            file.extend(&bytes);
            let whole = format.decode(&file, "x");
            if let Some(parts) = in_chunks(format, &file, &[cut.min(file.len())]) {
                match (&whole, &parts) {
                    (Ok(a), Ok(b)) => prop_assert_eq!(a, b),
                    (Err(a), Err(b)) => prop_assert_eq!(a.to_string().split_once(':').map(|p| p.1.to_owned()), b.to_string().split_once(':').map(|p| p.1.to_owned())),
                    _ => return Err(TestCaseError::fail(format!("{}: {whole:?} and {parts:?}", format.name))),
                }
            }
            check(format, &file, whole, "random after a header");
        }
    }
}
