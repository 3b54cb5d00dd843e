//! Tests HDF5 files as other programs may write them: other versions, layouts, indices and filters,
//! written by an independent library.

use hdf5_pure::{AttrValue, CompoundTypeBuilder, DatasetBuilder, FileBuilder, MaxExtent};
use hdf5_pure::{make_f64_type, make_i16_type, make_i64_type, make_u8_type, make_u16_type, make_u32_type};
use tickless_events::formats::{ReadOptions, TimeUnit};
use tickless_events::problem::{Problem, UnitProblem};
use tickless_events::{Columns, Error, Event, Result, Sensor, formats};
use tickless_testing::assert_problem;

const EVENTS: usize = 30_000;

fn events() -> Columns {
    let event = |i: usize| Event {
        t_us: 5_000_000_000 + 3 * i as u64,
        x: (i * 7 % 640) as u16,
        y: (i / 64) as u16 % 480,
        on: i.is_multiple_of(3),
    };
    (0..EVENTS).map(event).collect()
}

/// A file whose data set of events `with` configures.
fn file(with: impl Fn(&mut DatasetBuilder)) -> Vec<u8> {
    let kind = CompoundTypeBuilder::with_size(16)
        .field("x", 0, make_u16_type())
        .field("y", 2, make_u16_type())
        .field("p", 4, make_i16_type())
        .field("t", 8, make_i64_type())
        .build()
        .unwrap();
    let raw = |e: Event| {
        let small = [e.x, e.y, e.on.into(), 0].map(u16::to_le_bytes).concat();
        [small, e.t_us.to_le_bytes().to_vec()].concat()
    };
    let raw: Vec<u8> = events().iter().flat_map(raw).collect();
    let mut builder = FileBuilder::new();
    let mut group = builder.create_group("CD");
    let dataset = group.create_dataset("events");
    dataset.with_compound_data(kind, raw, EVENTS as u64);
    with(dataset);
    builder.add_group(group.finish());
    builder.set_attr("geometry", AttrValue::AsciiString("640x480".into()));
    builder.finish().unwrap()
}

/// A file of events whose compound has these members; `raw` contains the bytes of all events.
fn compound(
    members: &[(&str, hdf5_pure::Datatype)],
    raw: Vec<u8>,
    n: u64,
    with: impl Fn(&mut DatasetBuilder),
) -> Vec<u8> {
    let kind = members.iter().fold(CompoundTypeBuilder::new(), |kind, (name, of)| kind.field(name, of.clone()));
    let mut builder = FileBuilder::new();
    let mut group = builder.create_group("CD");
    let dataset = group.create_dataset("events");
    dataset.with_compound_data(kind.build().unwrap(), raw, n);
    with(dataset);
    builder.add_group(group.finish());
    builder.finish().unwrap()
}

fn in_unit(bytes: &[u8], unit: Option<TimeUnit>) -> Result<Vec<Event>> {
    let mut options = ReadOptions::default();
    options.time_unit = unit;
    formats::decode_with(bytes, "x.h5", &options).map(|stream| stream.events.to_vec())
}

#[test]
fn a_negative_or_too_wide_coordinate_is_refused_and_not_wrapped() {
    let event =
        |x: i16, y: i16, p: i16, t: i64| [&[x, y, p].map(i16::to_le_bytes).concat()[..], &t.to_le_bytes()].concat();
    let members = [("x", make_i16_type()), ("y", make_i16_type()), ("p", make_i16_type()), ("t", make_i64_type())];
    let good = event(4, 1, 1, 10);
    let right = compound(&members, [&good[..], &event(6, 3, -1, 30)].concat(), 2, |_| ());
    let expected = [Event { t_us: 10, x: 4, y: 1, on: true }, Event { t_us: 30, x: 6, y: 3, on: false }];
    assert_eq!(in_unit(&right, None).unwrap(), expected);
    for (bad, value, found) in [
        (event(-1, 2, 0, 20), "x", "-1"),
        (event(1, -2, 0, 20), "y", "-2"),
        (event(1, 2, 2, 20), "the polarity", "2"),
        (event(1, 2, 0, -20), "the time", "-20"),
    ] {
        for chunks in [None, Some(2)] {
            let with = |d: &mut DatasetBuilder| {
                if let Some(size) = chunks {
                    d.with_chunks(&[size]).with_deflate(1);
                }
            };
            let bytes = compound(&members, [&good[..], &bad].concat(), 2, with);
            let error = in_unit(&bytes, None).unwrap_err();
            assert_problem!(error, at "x.h5: byte ", Problem::OutOfRange { value, found: found.into() });
        }
    }
    let wide = [("x", make_u32_type()), ("y", make_u8_type()), ("p", make_u8_type()), ("t", make_i64_type())];
    let event = |x: u32| [&x.to_le_bytes()[..], &[7, 1], &5i64.to_le_bytes()].concat();
    assert_eq!(
        in_unit(&compound(&wide, event(9), 1, |_| ()), None).unwrap(),
        [Event { t_us: 5, x: 9, y: 7, on: true }]
    );
    let error = in_unit(&compound(&wide, event(65_536), 1, |_| ()), None).unwrap_err();
    assert_problem!(error, Problem::OutOfRange { value: "x", found: "65536".into() });
}

#[test]
fn floating_times_of_a_compound_need_a_unit() {
    let event = [&[3u16, 4, 1].map(u16::to_le_bytes).concat()[..], &0.000937f64.to_le_bytes()].concat();
    let file = |t: &str| {
        let members = [("x", make_u16_type()), ("y", make_u16_type()), ("p", make_u16_type()), (t, make_f64_type())];
        compound(&members, event.clone(), 1, |_| ())
    };
    let error = in_unit(&file("t"), None).unwrap_err();
    assert!(matches!(error, Error::TimeUnit { .. }), "{error}");
    let expected = [Event { t_us: 937, x: 3, y: 4, on: true }];
    assert_eq!(in_unit(&file("t"), Some(TimeUnit::Seconds)).unwrap(), expected);
    assert_eq!(in_unit(&file("t_s"), None).unwrap(), expected);
    let error = in_unit(&file("t_s"), Some(TimeUnit::Milliseconds)).unwrap_err();
    let (stated, asked) = (TimeUnit::Seconds, TimeUnit::Milliseconds);
    assert_problem!(error, UnitProblem::Asked { of: "the member `t_s`".into(), stated, asked });
}

fn check(what: &str, bytes: &[u8]) {
    let stream = formats::decode(bytes, what).unwrap();
    assert_eq!((stream.format, stream.sensor), ("prophesee-hdf5", Some(Sensor { width: 640, height: 480 })), "{what}");
    assert!(stream.events == events(), "{what}");
}

#[test]
fn every_layout_and_index_gives_the_same_events() {
    check("contiguous", &file(|_| ()));
    // Sizes for which the index is one chunk, one block, several blocks, and pages.
    for size in [EVENTS as u64, 16_384, 1_000, 100, 7] {
        check(&format!("fixed, {size}"), &file(|d| _ = d.with_chunks(&[size])));
        let growing = file(|d| _ = d.with_chunks(&[size]).with_maxshape(&[MaxExtent::Unlimited]));
        check(&format!("growing, {size}"), &growing);
    }
}

#[test]
fn every_filter_gives_the_same_events() {
    check("deflate", &file(|d| _ = d.with_chunks(&[1_000]).with_deflate(6)));
    check("shuffle", &file(|d| _ = d.with_chunks(&[1_000]).with_shuffle()));
    check("checksum", &file(|d| _ = d.with_chunks(&[1_000]).with_fletcher32()));
    check("LZF", &file(|d| _ = d.with_chunks(&[1_000]).with_lzf()));
    check("shuffle and LZF", &file(|d| _ = d.with_chunks(&[16_384]).with_shuffle().with_lzf()));
    let growing = |size: u64| {
        file(move |d| {
            d.with_chunks(&[size]).with_maxshape(&[MaxExtent::Unlimited]);
            d.with_shuffle().with_deflate(1).with_fletcher32();
        })
    };
    [EVENTS as u64, 1_000, 50].into_iter().for_each(|size| check("all, growing", &growing(size)));
}

#[test]
fn a_wrong_checksum_of_a_chunk_is_seen() {
    let bytes = file(|d| _ = d.with_chunks(&[1_000]).with_fletcher32());
    let first = events().get(0).unwrap();
    let at = bytes.windows(8).position(|w| w == first.t_us.to_le_bytes()).unwrap();
    let mut wrong = bytes.clone();
    wrong[at] ^= 1;
    let error = formats::decode(&wrong, "x").unwrap_err();
    assert_problem!(error, Problem::Checksum { of: Some("a chunk") });
}

#[test]
fn a_changed_byte_of_the_metadata_is_seen_by_its_checksum() {
    for bytes in [
        file(|d| _ = d.with_chunks(&[1_000])),
        file(|d| _ = d.with_chunks(&[7])),
        file(|d| _ = d.with_chunks(&[64]).with_maxshape(&[MaxExtent::Unlimited])),
        file(|d| _ = d.with_chunks(&[7]).with_maxshape(&[MaxExtent::Unlimited]).with_deflate(1)),
    ] {
        check("unchanged", &bytes);
        let mut seen = 0;
        for letters in [&b"OHDR"[..], b"FAHD", b"FADB", b"EAHD", b"EAIB", b"EASB", b"EADB"] {
            let places = bytes.windows(4).enumerate().filter(|(_, w)| *w == letters).map(|(at, _)| at);
            for at in places.step_by(3).take(4) {
                // The bytes after the letters and the version, which only the checksum protects.
                for at in at + 5..at + 40 {
                    let mut corrupt = bytes.clone();
                    corrupt[at] ^= 0x10;
                    let error = formats::decode(&corrupt, "x").unwrap_err();
                    assert!(error.to_string().starts_with("x: byte "), "{error}");
                    seen += usize::from(matches!(error.problem(), Some(Problem::Checksum { .. })));
                }
            }
        }
        assert!(seen > 50, "{seen}");
    }
}
