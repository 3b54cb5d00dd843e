//! Tests of reading npz, with archives that are built here in the same way as by NumPy.

use std::io::{Cursor, Write};

use proptest::prelude::*;
use tickless_testing::assert_problem;
use zip::write::SimpleFileOptions;

use crate::formats::{Fit, Probe, ReadOptions, TimeUnit, by_name, decode};
use crate::problem::{ArrayProblem, Part, Problem, UnitProblem};
use crate::{Columns, Error, Event, Result};

use super::{FORMAT, REMEDY};

/// The bytes of an array.
fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
    header.push_str(&" ".repeat(127 - (10 + header.len()) % 64 % 64));
    header.push('\n');
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), values].concat()
}

fn zipped(members: &[(&str, Vec<u8>)], packed: bool) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let how = if packed { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    for (name, bytes) in members {
        // NumPy writes every member with the large-file extension.
        let options = SimpleFileOptions::default().compression_method(how).large_file(true);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn row<T, const N: usize>(descr: &str, values: &[T], bytes: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
    let values_of: Vec<u8> = values.iter().flat_map(bytes).collect();
    npy(&format!("'{descr}'"), &format!("({},)", values.len()), &values_of)
}

fn events(n: u32) -> Columns {
    let event =
        |i: u32| Event { t_us: u64::from(i) * 3, x: (i % 640) as u16, y: (i % 480) as u16, on: i.is_multiple_of(3) };
    (0..n).map(event).collect()
}

/// Members with four columns, of different types.
fn rows(e: &Columns) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("label", row("<i8", &[7i64], |v| v.to_le_bytes())),
        ("x", row("<u2", e.x(), |v| v.to_le_bytes())),
        ("y", row(">i4", e.y(), |v| i32::from(*v).to_be_bytes())),
        ("t", row("<i8", e.t_us(), |v| v.to_le_bytes())),
        ("p", row("|i1", e.on(), |v| [if *v { 1 } else { 0xFF }])),
    ]
}

fn table(e: &Columns) -> Vec<u8> {
    let item =
        |e: Event| [&[9u8][..], &e.t_us.to_le_bytes(), &e.x.to_le_bytes(), &e.y.to_le_bytes(), &[e.on.into()]].concat();
    let values: Vec<u8> = e.iter().flat_map(item).collect();
    let fields = "[('id', '|u1'), ('timestamp', '<i8'), ('x', '<u2'), ('y', '<u2'), ('polarity', '|b1')]";
    npy(fields, &format!("({},)", e.len()), &values)
}

fn read(bytes: &[u8]) -> Result<Columns> {
    decode(bytes, "a.npz").map(|s| s.events)
}

fn other_arrays(names: &[&str]) -> ArrayProblem {
    ArrayProblem::OtherArrays { found: names.iter().map(|name| name.to_string()).collect() }
}

#[test]
fn rows_of_numbers_and_a_structured_array_give_the_events() {
    // Includes more events than a piece, and more bytes than one step of decompression.
    for n in [0, 1, 70_000] {
        let events = events(n);
        for packed in [false, true] {
            assert!(read(&zipped(&rows(&events), packed)).unwrap() == events, "{n} {packed}");
            assert!(read(&zipped(&[("arr_0", table(&events))], packed)).unwrap() == events, "{n} {packed}");
        }
    }
    // A label beside the table is ignored; two tables are an error.
    let labelled = [("label", rows(&events(1))[0].1.clone()), ("events", table(&events(5)))];
    assert_eq!(read(&zipped(&labelled, true)).unwrap(), events(5));
    let two = [("left", table(&events(5))), ("right", table(&events(5)))];
    assert_problem!(read(&zipped(&two, true)).unwrap_err(), other_arrays(&["left", "right"]));
    let other = [("xs", "x"), ("ys", "y"), ("ts", "t"), ("ps", "p")];
    let all = rows(&events(9));
    let renamed: Vec<_> =
        other.iter().map(|(to, from)| (*to, all.iter().find(|m| m.0 == *from).unwrap().1.clone())).collect();
    assert_eq!(read(&zipped(&renamed, true)).unwrap(), events(9));
}

#[test]
fn the_content_says_that_it_is_npz_and_zips_of_recordings_are_none() {
    let bytes = zipped(&rows(&events(3)), true);
    assert_eq!(decode(&bytes, "unknown").unwrap().format, "npz");
    let fit = |members: &[(&str, Vec<u8>)]| (FORMAT.fits)(&Probe::whole(&zipped(members, true)));
    assert_eq!((fit(&rows(&events(3))), fit(&[("user01_led/0", table(&events(3)))])), (Fit::Sure, Fit::No));
}

#[test]
fn floating_times_need_their_unit() {
    let seconds = |name: &'static str| {
        let mut members = rows(&events(3));
        members[3] = (name, row("<f8", &[0.0, 1e-6, 0.5], |v: &f64| v.to_le_bytes()));
        zipped(&members, true)
    };
    let error = read(&seconds("t")).unwrap_err();
    assert!(matches!(error, Error::TimeUnit { .. }), "{error}");
    assert_problem!(error, UnitProblem::NoInteger { of: "the member `t`".into(), several: true });
    assert_eq!(read(&seconds("t_s")).unwrap().t_us(), [0, 1, 500_000]);
    let options = ReadOptions { time_unit: Some(TimeUnit::Seconds), ..ReadOptions::default() };
    let found = by_name("npz").unwrap().decode_with(&seconds("t"), "a.npz", &options).unwrap();
    assert_eq!(found.events.t_us(), [0, 1, 500_000]);
    let table = |times: [f64; 2]| {
        let values: Vec<u8> = times.iter().flat_map(|t| [1.0, 2.0, 0.0, *t]).flat_map(f64::to_le_bytes).collect();
        zipped(&[("arr_0", npy("'<f8'", "(2, 4)", &values))], true)
    };
    assert_eq!(read(&table([0.25, 1.5])).unwrap().t_us(), [250, 1500]);
    let whole = read(&table([100.0, 200.0])).unwrap_err();
    assert!(matches!(whole, Error::TimeUnit { .. }), "whole floats may be µs or ms: {whole}");
}

#[test]
fn what_is_wrong_is_named_with_its_member_and_event() {
    let with = |i: usize, member: (&'static str, Vec<u8>)| {
        let mut members = rows(&events(3));
        members[i] = member;
        read(&zipped(&members, true)).unwrap_err()
    };
    let error = with(2, ("y", row("<i2", &[4i16, -1, 6], |v| v.to_le_bytes())));
    assert_problem!(error, at "a.npz: byte ", Problem::OutOfRange { value: "y", found: "-1".into() });
    assert_eq!(error.problem().unwrap().parts(), [&Part::Member("y".into()), &Part::Event(1)]);
    let short = with(1, ("x", row("<u2", &[1u16, 2], |v| v.to_le_bytes())));
    assert_problem!(short, ArrayProblem::Lengths { values: 2, times: 3 });
    let two = with(4, ("p", row("|u1", &[0u8, 1, 2], |v| [*v])));
    assert_problem!(two, Problem::OutOfRange { value: "the polarity", found: "2".into() });
    let other = with(4, ("q", row("|u1", &[0u8, 1, 2], |v| [*v])));
    assert_problem!(other, other_arrays(&["label", "q", "t", "x", "y"]));
    assert_problem!(with(3, ("t", npy("'|O'", "(3,)", b"pickle"))), ArrayProblem::Objects);
    let claim = with(3, ("t", npy("'<i8'", "(3000000000000,)", &[0; 24])));
    assert_problem!(claim, ArrayProblem::MemberSize { bytes: 24, count: 3_000_000_000_000, width: 8 });
    assert_problem!(with(3, ("t", b"no array".to_vec())), ArrayProblem::NoArray);
    assert!(read(&zipped(&[], true)).is_err());
}

#[test]
fn cut_and_corrupt_archives_give_an_error_or_events_and_never_panic() {
    for packed in [false, true] {
        let bytes = zipped(&rows(&events(40)), packed);
        for cut in 0..bytes.len() {
            assert!(FORMAT.decode(&bytes[..cut], "x").is_err(), "cut at {cut}");
        }
        let mut seen = 0;
        for at in 0..bytes.len() {
            for flip in [0x01, 0x41, 0xFF] {
                let mut corrupt = bytes.clone();
                corrupt[at] ^= flip;
                seen += usize::from(FORMAT.decode(&corrupt, "x").is_err());
            }
        }
        // The checksum detects every change of a value. Dates and attributes of members have no
        // effect.
        assert!(2 * seen > 3 * bytes.len(), "{seen} of {}", 3 * bytes.len());
    }
}

#[test]
fn a_bomb_is_refused_without_being_unpacked() {
    // A member of 64 MiB of zeros, whose header states three values.
    let mut member = npy("'<i8'", "(3,)", &[0; 24]);
    member.resize(64 << 20, 0);
    let mut members = rows(&events(3));
    members[3] = ("t", member);
    let bomb = read(&zipped(&members, true)).unwrap_err();
    let problem = bomb.problem().unwrap().innermost();
    assert!(matches!(problem, Problem::Array(ArrayProblem::MemberSize { count: 3, width: 8, .. })), "{bomb}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_behind_the_magic_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = FORMAT.decode(&[b"PK\x03\x04", &bytes[..]].concat(), "x");
    }
}

#[test]
fn a_right_archive_of_another_layout_is_not_called_damaged() {
    let error = |members: &[(&str, Vec<u8>)]| decode(&zipped(members, true), "a.npz").unwrap_err();
    let frames = npy("'<f4'", "(3, 2, 4, 4)", &[0; 3 * 32 * 4]);
    for members in [
        &[("frames", frames.clone())][..],
        &[("frames", frames.clone()), ("label", row("<i8", &[7i64], |v| v.to_le_bytes()))],
    ] {
        let error = error(members);
        assert!(matches!(&error, Error::Malformed { remedy, .. } if remedy.to_string() == REMEDY), "{error}");
    }
    let mut short = rows(&events(9));
    short[2].1 = row("<u2", &[1u16; 8], |v| v.to_le_bytes());
    let error = error(&short);
    assert_problem!(error, ArrayProblem::Lengths { values: 8, times: 9 });
    assert!(matches!(&error, Error::Malformed { remedy, .. } if remedy.to_string() == REMEDY), "{error}");
    let damaged = zipped(&rows(&events(9)), false);
    let at = damaged.windows(6).position(|w| w == [0, 0, 1, 0, 2, 0]).unwrap();
    let mut damaged = damaged;
    damaged[at] ^= 1;
    let error = decode(&damaged, "a.npz").unwrap_err();
    assert_problem!(error, Problem::Checksum { of: None });
    assert!(matches!(&error, Error::Malformed { remedy, .. } if remedy.to_string() != REMEDY), "{error}");
}

#[test]
fn halves_are_numbers() {
    let half = |v: &u16| v.to_le_bytes();
    let members = [
        ("x", row("<f2", &[0x4200u16, 0x4500], half)),
        ("y", row("<f2", &[0x4400u16, 0x4600], half)),
        ("t_ms", row("<f2", &[0x3C00u16, 0x3E00], half)),
        ("p", row("<f2", &[0x3C00u16, 0xBC00], half)),
    ];
    let expected = [Event { t_us: 1000, x: 3, y: 4, on: true }, Event { t_us: 1500, x: 5, y: 6, on: false }];
    assert_eq!(decode(&zipped(&members, true), "a.npz").unwrap().events.to_vec(), expected);
}
