//! Decoding returns the encoded events, however the bytes are divided into chunks.

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tickless_events::formats::{
    EventReader, EventStream, FORMATS, Fit, Format, Probe, Reading, decode, encode, encoder, open,
};
use tickless_events::{Columns, Error, Event, Result};

use super::samples::{SENSOR, file, sorted, writable};

/// Decodes in chunks that end at the offsets `cuts`.
pub fn in_chunks(format: &Format, bytes: &[u8], cuts: &[usize]) -> Option<Result<EventStream>> {
    let Reading::Stream(decoder) = format.read else { return None };
    let mut decoder = decoder("chunks", &Default::default());
    let mut events = Columns::new();
    let mut from = 0;
    let mut run = || {
        for &cut in cuts.iter().chain([&bytes.len()]) {
            decoder.push(&bytes[from..cut], &mut events)?;
            from = cut;
        }
        decoder.finish(&mut events)
    };
    let end = run();
    Some(end.map(|()| EventStream { format: format.name, sensor: decoder.sensor(), events }))
}

/// A reader that returns a limited number of bytes at a time, as a pipe does.
struct Drip(Cursor<Vec<u8>>, usize);

impl Read for Drip {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(self.1);
        self.0.read(&mut buffer[..n])
    }
}

#[test]
fn every_format_has_its_own_name_and_an_extension() {
    let mut names: Vec<_> = FORMATS.iter().map(|f| f.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FORMATS.len());
    assert!(FORMATS.iter().all(|f| !f.extensions.is_empty() && !f.about.is_empty()));
}

#[test]
fn cutting_a_file_anywhere_changes_nothing() {
    for format in writable() {
        let bytes = file(format);
        let whole = format.decode(&bytes, "whole").unwrap();
        assert!(whole.events.len() == 42, "{}", format.name);
        for cut in 0..=bytes.len() {
            let Some(parts) = in_chunks(format, &bytes, &[cut]) else { break };
            assert_eq!(parts.unwrap(), whole, "{} cut at {cut}", format.name);
        }
        let every: Vec<_> = (0..bytes.len()).collect();
        if let Some(bytewise) = in_chunks(format, &bytes, &every) {
            assert_eq!(bytewise.unwrap(), whole, "{} byte by byte", format.name);
        }
    }
}

#[test]
fn data_that_begins_like_a_header_line_is_decoded_once_however_it_is_cut() {
    // Only the last byte shows that this is not a header line; until then the decoder cannot
    // decide.
    let data = b"%\xE4\xFFfozmT1;\x00 %2345678\x01%2345\x02";
    for (name, header) in
        [("evt2", &b"% evt 2.0\n"[..]), ("evt21", b"% evt 2.1\n"), ("evt3", b"% evt 3.0\n"), ("dat", b"% Version 2\n")]
    {
        let format = tickless_events::formats::by_name(name).unwrap();
        for end in 0..data.len() {
            let bytes = [header, &data[..end]].concat();
            let text = |result: Result<EventStream>| match result {
                Ok(stream) => format!("{:?}", stream.events),
                Err(e) => e.to_string().split_once(':').unwrap().1.to_owned(),
            };
            let whole = text(format.decode(&bytes, "whole"));
            for (a, b) in (0..=bytes.len()).flat_map(|a| (a..=bytes.len()).map(move |b| (a, b))) {
                assert_eq!(text(in_chunks(format, &bytes, &[a, b]).unwrap()), whole, "{name} of {end} cut at {a}, {b}");
            }
        }
    }
}

#[test]
fn a_file_is_known_by_its_content_or_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for format in writable() {
        let bytes = file(format);
        let sure = (format.fits)(&Probe::whole(&bytes)) == Fit::Sure;
        let name = if sure { "a.unknown".into() } else { format!("a.{}", format.extensions[0]) };
        let stream = decode(&bytes, &name).unwrap();
        assert_eq!(stream.format, format.name);
        let path = folder.path().join(&name);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(open(&path).unwrap().read_to_end().unwrap(), stream);
        let mut twice = stream.events.clone();
        open(&path).unwrap().read_into(&mut twice).unwrap();
        assert_eq!(twice.to_vec(), stream.events.to_vec().repeat(2));
        for drip in [1, 7, 1000] {
            let pipe = Drip(Cursor::new(bytes.clone()), drip);
            assert_eq!(EventReader::from_read(pipe, &name).unwrap().read_to_end().unwrap(), stream);
        }
    }
}

/// As [`Drip`], one byte at a time; counts them.
struct Counted(Drip, Arc<AtomicUsize>);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.read(buffer)?;
        self.1.fetch_add(n, Ordering::Relaxed);
        Ok(n)
    }
}

/// Number of bytes of a stream that have been read when its reader returns the first event, and the
/// reader.
fn bytes_before_first_event(bytes: &[u8], name: &str) -> (usize, EventReader) {
    let read = Arc::new(AtomicUsize::new(0));
    let pipe = Counted(Drip(Cursor::new(bytes.to_vec()), 1), read.clone());
    let mut reader = EventReader::from_read(pipe, name).unwrap();
    assert!(reader.next(&mut Columns::new()).unwrap(), "{name}");
    (read.load(Ordering::Relaxed), reader)
}

#[test]
fn the_first_event_of_a_stream_is_returned_when_its_last_byte_has_come() {
    let texts: [&[u8]; 5] = [
        b"1 2 30 1\n3 4 50 0\n",
        b"\xEF\xBB\xBF1 2 30 1\n3 4 50 0\n",
        b"# a comment\n% another\n\n1 2 30 1\n3 4 50 0\n",
        b"x,y,t_us,p\r\n1,2,30,1\r\n3,4,50,0\r\n",
        b"%x y t p\n1 2 30 1\n3 4 50 0\n",
    ];
    let text = tickless_events::formats::by_name("text").unwrap();
    let texts = texts.into_iter().map(|t| (text, t.to_vec()));
    let streams = || writable().filter(|f| matches!(f.read, Reading::Stream(_)));
    for (format, bytes) in streams().map(|f| (f, file(f))).chain(texts) {
        let name = format!("a.{}", format.extensions[0]);
        let Reading::Stream(decoder) = format.read else { unreachable!("only streams") };
        let mut decoder = decoder(&name, &Default::default());
        let mut events = Columns::new();
        let needed = bytes.iter().take_while(|byte| {
            decoder.push(&[**byte], &mut events).unwrap();
            events.is_empty()
        });
        let needed = needed.count() + 1;
        let (read, reader) = bytes_before_first_event(&bytes, &name);
        assert_eq!((read, reader.format()), (needed, format.name), "{name}");
    }
}

#[test]
fn gzipped_files_read_like_plain_ones() {
    let folder = tempfile::tempdir().unwrap();
    for format in writable() {
        let bytes = file(format);
        // Either the name ends in .gz, or only the content is gzip.
        for name in [format!("a.{}.gz", format.extensions[0]), format!("b.{}", format.extensions[0])] {
            let path = folder.path().join(name);
            let mut gz = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), Default::default());
            std::io::Write::write_all(&mut gz, &bytes).unwrap();
            gz.finish().unwrap();
            let stream = open(&path).unwrap().read_to_end().unwrap();
            assert_eq!(stream, format.decode(&bytes, "plain").unwrap());
            let packed = std::fs::read(&path).unwrap();
            std::fs::write(&path, &packed[..packed.len() - 5]).unwrap();
            let error = open(&path).and_then(EventReader::read_to_end).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{}: byte ", path.display())), "{error}");
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_recording() {
    let event =
        |i: u32| Event { t_us: u64::from(i), x: (i % 90) as u16, y: (i / 90 % 90) as u16, on: i.is_multiple_of(3) };
    let events: Columns = (0..1_000_000).map(event).collect();
    let folder = tempfile::tempdir().unwrap();
    for format in writable().filter(|f| matches!(f.read, Reading::Stream(_))) {
        let path = folder.path().join(format!("a.{}", format.extensions[0]));
        std::fs::write(&path, encode(format.name, &events, Some(SENSOR)).unwrap()).unwrap();
        let mut reader = open(&path).unwrap();
        let (mut chunk, mut all, mut largest) = (Columns::new(), Columns::new(), 0);
        while reader.next(&mut chunk).unwrap() {
            largest = largest.max(chunk.len());
            all.append(&chunk);
        }
        assert_eq!(all, events, "{}", format.name);
        assert!(largest <= 200_000, "{}: {largest} events at once", format.name);
        assert!(!reader.next(&mut chunk).unwrap() && chunk.is_empty());
    }
}

#[test]
fn no_events_are_a_file_too() {
    for format in writable() {
        let bytes = encode(format.name, &Columns::new(), Some(SENSOR)).unwrap();
        let stream = format.decode(&bytes, "empty").unwrap();
        assert!(stream.events.is_empty(), "{}", format.name);
    }
}

#[test]
fn an_event_that_does_not_fit_is_named_with_a_remedy() {
    let good = Event { t_us: 1000, x: 1, y: 2, on: true };
    let mut refused = 0;
    for format in writable() {
        for bad in [Event { x: 40_000, ..good }, Event { y: 40_000, ..good }, Event { t_us: 1 << 63, ..good }] {
            let events: Columns = [good, good, bad].into_iter().collect();
            let Err(error) = encode(format.name, &events, Some(SENSOR)) else {
                let bytes = encode(format.name, &events, Some(SENSOR)).unwrap();
                assert_eq!(format.decode(&bytes, "x").unwrap().events, events, "{}: {bad:?}", format.name);
                continue;
            };
            let text = error.to_string();
            refused += 1;
            assert!(text.contains("event 2") && text.contains("; "), "{}: {text}", format.name);
        }
    }
    assert!(refused >= 3 * 8, "{refused}");
}

#[test]
fn an_unknown_format_lists_the_known_ones() {
    let error = encode("evt9", &Columns::new(), None).unwrap_err();
    assert!(matches!(&error, Error::Setting { what, .. } if what.contains("`evt9`")), "{error}");
    assert!(error.to_string().contains("evt3"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn decoding_undoes_encoding(events in sorted(60, 30_000)) {
        for format in writable() {
            let bytes = encode(format.name, &events, Some(SENSOR)).unwrap();
            let stream = format.decode(&bytes, "x").unwrap();
            prop_assert_eq!(&stream.events, &events, "{}", format.name);
            prop_assert!(stream.sensor.is_none_or(|s| s == SENSOR), "{}", format.name);
        }
    }

    #[test]
    fn long_gaps_and_overflows_are_kept(events in sorted(12, 60_000_000)) {
        for format in writable() {
            let bytes = encode(format.name, &events, Some(SENSOR)).unwrap();
            prop_assert_eq!(&format.decode(&bytes, "x").unwrap().events, &events, "{}", format.name);
        }
    }

    #[test]
    fn falling_times_are_kept_or_refused(events in sorted(20, 9_000_000), seed: u64) {
        let mut shuffled = events.to_vec();
        tickless_events::rng::Rng::new(seed, 0).shuffle(&mut shuffled);
        let events = Columns::from(&shuffled[..]);
        for format in writable() {
            if let Ok(bytes) = encode(format.name, &events, Some(SENSOR)) {
                prop_assert_eq!(&format.decode(&bytes, "x").unwrap().events, &events, "{}", format.name);
            }
        }
    }

    #[test]
    fn encoding_in_parts_gives_the_same_events(a in sorted(20, 30_000), b in sorted(20, 30_000)) {
        let last = a.t_us().last().copied().unwrap_or(0);
        let b: Columns = b.iter().map(|e| Event { t_us: e.t_us + last, ..e }).collect();
        for format in writable() {
            let (mut bytes, mut encoder) = (Vec::new(), encoder(format.name, Some(SENSOR)).unwrap());
            encoder.push(&a, &mut bytes).unwrap();
            encoder.push(&b, &mut bytes).unwrap();
            encoder.finish(&mut bytes).unwrap();
            bytes[..encoder.head().len()].copy_from_slice(encoder.head());
            let mut all = a.clone();
            all.append(&b);
            prop_assert_eq!(&format.decode(&bytes, "x").unwrap().events, &all, "{}", format.name);
        }
    }

    #[test]
    fn chunks_of_any_size_give_equal_events(events in sorted(40, 30_000), cuts in prop::collection::vec(0.0f64..1.0, 0..12)) {
        for format in writable() {
            let bytes = encode(format.name, &events, Some(SENSOR)).unwrap();
            let mut cuts: Vec<_> = cuts.iter().map(|c| (c * bytes.len() as f64) as usize).collect();
            cuts.sort_unstable();
            let Some(parts) = in_chunks(format, &bytes, &cuts) else { continue };
            prop_assert_eq!(parts.unwrap(), format.decode(&bytes, "x").unwrap());
        }
    }
}
