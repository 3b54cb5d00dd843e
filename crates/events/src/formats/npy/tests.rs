use proptest::prelude::*;
use tickless_testing::assert_problem;

use super::*;
use crate::problem::HeaderSyntax;
use crate::testing::events;
use crate::{Event, formats};

fn array(header: &str, values: &[u8]) -> Vec<u8> {
    let size = (header.len() as u16).to_le_bytes();
    [MAGIC, &[1, 0], &size, header.as_bytes(), values].concat()
}

fn header(descr: &str, fortran: bool, shape: &str) -> String {
    let fortran = if fortran { "True" } else { "False" };
    format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
}

fn decode(bytes: &[u8]) -> Result<Vec<Event>> {
    formats::decode(bytes, "x").map(|stream| stream.events.to_vec())
}

const TWO: [Event; 2] = [Event { t_us: 1001, x: 3, y: 4, on: true }, Event { t_us: 2002, x: 5, y: 6, on: false }];

#[test]
fn plain_arrays_decode_in_both_orders_and_byte_orders() {
    let rows: [[f64; 4]; 2] = [[3.0, 4.0, 1.0, 1.001], [5.0, 6.0, 0.0, 2.0020001]];
    let columns = (0..4).flat_map(|c| rows.iter().map(move |row| row[c]));
    let c: Vec<u8> = rows.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    let fortran: Vec<u8> = columns.clone().flat_map(f64::to_be_bytes).collect();
    let single: Vec<u8> = rows.iter().flatten().flat_map(|&v| (v as f32).to_le_bytes()).collect();
    assert_eq!(decode(&array(&header("'<f8'", false, "(2, 4)"), &c)).unwrap(), TWO);
    assert_eq!(decode(&array(&header("'>f8'", true, "(2, 4)"), &fortran)).unwrap(), TWO);
    assert_eq!(decode(&array(&header("'<f4'", false, "(2L, 4L)"), &single)).unwrap(), TWO);
    let integers: Vec<u8> = [3i32, 4, 1, 1001, 5, 6, -1, 2002].iter().flat_map(|v| v.to_be_bytes()).collect();
    assert_eq!(decode(&array(&header("'>i4'", false, "(2, 4)"), &integers)).unwrap(), TWO);
}

#[test]
fn milliseconds_are_rounded_to_the_nearest_microsecond() {
    let value = 1.001f64;
    assert!((value * 1000.0) < 1001.0, "cutting off would lose a microsecond");
    let row: Vec<u8> = [0.0, 0.0, 1.0, value].iter().flat_map(|v: &f64| v.to_le_bytes()).collect();
    assert_eq!(decode(&array(&header("'<f8'", false, "(1, 4)"), &row)).unwrap()[0].t_us, 1001);
}

fn floats(rows: &[[f64; 4]]) -> Vec<u8> {
    let values: Vec<u8> = rows.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    array(&header("'<f8'", false, &format!("({}, 4)", rows.len())), &values)
}

fn times(bytes: &[u8], name: &str, unit: Option<TimeUnit>) -> Result<Vec<u64>> {
    let options = ReadOptions { time_unit: unit, ..ReadOptions::default() };
    formats::decode_with(bytes, name, &options).map(|stream| stream.events.t_us().to_vec())
}

#[test]
fn floating_times_of_a_plain_array_without_fractions_need_a_unit() {
    let whole = floats(&[[1.0, 6.0, 0.0, 100.0], [2.0, 7.0, 1.0, 200.0], [5.0, 10.0, 1.0, 70000.0]]);
    let error = times(&whole, "us.npy", None).unwrap_err();
    assert!(matches!(error, Error::TimeUnit { .. }), "{error}");
    assert_eq!(times(&whole, "us.npy", Some(TimeUnit::Microseconds)).unwrap(), [100, 200, 70_000]);
    for trial in ["data/user01_led/3.npy", "gesture.zip: member user29_natural/10.npy"] {
        assert_eq!(times(&whole, trial, None).unwrap(), [100_000, 200_000, 70_000_000], "{trial}");
    }
    for other in ["user01_led/11.npy", "user30_led/3.npy", "user01_led/a.npy", "led/3.npy"] {
        assert!(times(&whole, other, None).is_err(), "{other}");
    }
    // A fraction late in the array counts too.
    let mut rows = vec![[1.0, 6.0, 0.0, 100.0]; 3000];
    rows[2999][3] = 100.5;
    assert_eq!(times(&floats(&rows), "ms.npy", None).unwrap()[2999], 100_500);
    assert_eq!(times(&floats(&[[1.0, 6.0, 0.0, 0.0]]), "zero.npy", None).unwrap(), [0]);
}

#[test]
fn the_name_of_a_field_or_the_option_states_the_unit() {
    let file = |name: &str, descr: &str, t: &[u8]| {
        let descr = format!("[('{name}', '{descr}'), ('x', '<i2'), ('y', '<i2'), ('p', '|u1')]");
        array(&header(&descr, false, "(1,)"), &[t, &[1, 0, 2, 0, 1]].concat())
    };
    let half = 0.5f64.to_le_bytes();
    assert_eq!(times(&file("t_s", "<f8", &half), "a", None).unwrap(), [500_000]);
    assert_eq!(times(&file("t", "<f8", &half), "a", Some(TimeUnit::Milliseconds)).unwrap(), [500]);
    assert_eq!(times(&file("timestamp_ns", "<i8", &1500i64.to_le_bytes()), "a", None).unwrap(), [2]);
    assert_eq!(times(&file("t", "<i8", &3i64.to_le_bytes()), "a", Some(TimeUnit::Seconds)).unwrap(), [3_000_000]);
    let error = times(&file("t", "<f8", &half), "a", None).unwrap_err();
    assert!(matches!(error, Error::TimeUnit { .. }), "{error}");
    let error = times(&file("t_s", "<f8", &half), "a", Some(TimeUnit::Nanoseconds)).unwrap_err();
    let (stated, asked) = (TimeUnit::Seconds, TimeUnit::Nanoseconds);
    assert_problem!(error, UnitProblem::Asked { of: "the field `t_s`".into(), stated, asked });
    let late = i64::MAX.to_le_bytes();
    assert!(times(&file("t_s", "<i8", &late), "a", None).is_err(), "beyond 64 bits of µs");
}

#[test]
fn fields_are_found_by_name_behind_titles_and_padding() {
    let descr = "[('', '|V2'), (('polarity of it', 'on'), '|b1'), ('timestamp', '>u4'), ('more', '<f4', (2, 1)), \
                 ('y', '|u1'), (\"x\", '<i8')]";
    let event = |e: Event| {
        let pad = [9, 9, u8::from(e.on)];
        let t = (e.t_us as u32).to_be_bytes();
        [&pad[..], &t, &[7; 8], &[e.y as u8], &u64::from(e.x).to_le_bytes()].concat()
    };
    let values = TWO.map(event).concat();
    assert_eq!(decode(&array(&header(descr, false, "(2,)"), &values)).unwrap(), TWO);
}

#[test]
fn what_is_no_array_of_events_is_refused_with_what_it_is() {
    let fields = "[('t', '<i8'), ('x', '<i2'), ('y', '<i2'), ('p', '|u1')]";
    let shape_of = |kind: &'static str, found: &str, expected: &str| Problem::Expected {
        what: kind,
        found: found.into(),
        expected: expected.into(),
    };
    let size = |needed, shape: &[u64]| ArrayProblem::Size { found: 64, needed, shape: shape.to_vec() }.into();
    let unit = UnitProblem::NoInteger { of: "the field `t`".into(), several: false };
    let two = ArrayProblem::TwoFields { first: "t".into(), second: "ts".into() };
    for (descr, shape, problem) in [
        ("'<f8'", "(2, 5)", shape_of("a plain array of shape {}", "[2, 5]", "[N, 4]")),
        ("'<f8'", "(8,)", shape_of("a plain array of shape {}", "[8]", "[N, 4]")),
        ("'<c16'", "(2, 4)", ArrayProblem::NoNumbers { name: "<c16".into() }.into()),
        ("'|O'", "(2, 4)", ArrayProblem::Objects.into()),
        ("'<q9'", "(2, 4)", ArrayProblem::Type { name: "<q9".into() }.into()),
        ("'<f8'", "(1000000000000, 4)", size(Some(32_000_000_000_000), &[1_000_000_000_000, 4])),
        ("'<f8'", "(18446744073709551615, 4)", size(None, &[u64::MAX, 4])),
        (fields, "(1000000000000,)", size(Some(13_000_000_000_000), &[1_000_000_000_000])),
        (fields, "(1, 1)", shape_of("a structured array of shape {}", "[1, 1]", "[N]")),
        ("[('t', '<f8'), ('x', '<i2'), ('y', '<i2'), ('p', '|u1')]", "(1,)", unit.into()),
        ("[('t', '<i8'), ('ts', '<i8'), ('x', '<i2'), ('y', '<i2'), ('p', '|u1')]", "(1,)", two.into()),
        (
            "[('t', '<i8'), ('x', '<i2'), ('y', '<i2')]",
            "(1,)",
            ArrayProblem::NoField { names: "`p`, `on`, `polarity`" }.into(),
        ),
        (
            "[('t', '<i8', (4,)), ('x', '<i2'), ('y', '<i2'), ('p', '|u1')]",
            "(1,)",
            ArrayProblem::NoInteger { field: "t".into() }.into(),
        ),
        ("[('t', [('a', '<i8')])]", "(1,)", ArrayProblem::NoFieldSyntax.into()),
    ] {
        let error = decode(&array(&header(descr, false, shape), &[0; 64])).unwrap_err();
        assert_problem!(error, at "x: byte 10: ", problem, "{descr} {shape}");
    }
    for (descr, shape, broken) in [
        ("'<f8'", "(2, -4)", HeaderSyntax::Value),
        ("'<f8'", "(99999999999999999999, 4)", HeaderSyntax::Value),
        ("((((((((((((", "(1,)", HeaderSyntax::Brackets),
        ("'a", "(1,)", HeaderSyntax::Comma),
    ] {
        let error = decode(&array(&header(descr, false, shape), &[0; 64])).unwrap_err();
        let Some(Problem::Array(ArrayProblem::Syntax { syntax, .. })) = error.problem() else { panic!("{error}") };
        assert_eq!((*syntax, error.offset()), (broken, Some(10)), "{descr} {shape}: {error}");
    }
}

#[test]
fn a_value_out_of_range_names_its_byte() {
    let fields = header("[('t', '<i8'), ('x', '<i4'), ('y', '<i2'), ('p', '|i1')]", false, "(2,)");
    let start = 10 + fields.len();
    let event = |t: i64, x: i32, y: i16, p: i8| {
        [&t.to_le_bytes()[..], &x.to_le_bytes(), &y.to_le_bytes(), &p.to_le_bytes()].concat()
    };
    let good = event(1, 2, 3, 1);
    for (bad, at, what) in [
        (event(-1, 0, 0, 0), 0, ("the time", "-1")),
        (event(0, 70_000, 0, 0), 8, ("x", "70000")),
        (event(0, 0, -3, 0), 12, ("y", "-3")),
        (event(0, 0, 0, 2), 14, ("the polarity", "2")),
    ] {
        let error = decode(&array(&fields, &[good.clone(), bad].concat())).unwrap_err();
        let problem = Problem::OutOfRange { value: what.0, found: what.1.into() };
        assert_problem!(error, at format!("x: byte {}: ", start + 15 + at), problem);
    }
    for bad in [f64::NAN, -0.001, f64::INFINITY, 1e300] {
        let row: Vec<u8> = [0.0, 0.0, 1.0, bad].iter().flat_map(|v| v.to_le_bytes()).collect();
        let error = decode(&array(&header("'<f8'", false, "(1, 4)"), &row)).unwrap_err();
        match &error {
            // A whole number, which may be µs or ms.
            Error::TimeUnit { .. } => assert_eq!(bad, 1e300, "{error}"),
            _ => assert!(matches!(error.problem(), Some(Problem::OutOfRange { value: "the time", .. })), "{error}"),
        }
    }
}

#[test]
fn every_truncation_and_every_surplus_is_refused() {
    let bytes = formats::encode("npy", &Columns::from(&TWO[..]), None).unwrap();
    assert_eq!(decode(&bytes).unwrap(), TWO);
    for cut in 0..bytes.len() {
        let error = FORMAT.decode(&bytes[..cut], "x").unwrap_err().to_string();
        assert!(error.starts_with("x: byte "), "{error}");
    }
    assert!(decode(&[bytes, vec![0]].concat()).is_err());
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(events in events(Sensor { width: u16::MAX, height: u16::MAX }, 100, 1 << 63)) {
        let bytes = formats::encode("npy", &Columns::from(&events[..]), None).unwrap();
        prop_assert_eq!((bytes.len() - 13 * events.len()) % 64, 0);
        prop_assert_eq!(decode(&bytes).unwrap(), events);
    }

    #[test]
    fn any_header_is_parsed_or_refused(text in "[{}()\\[\\]',:0-9a-zA-Z<>|\" ]{0,80}", values in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = decode(&array(&text, &values));
    }
}
