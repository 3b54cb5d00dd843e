//! Tests HDF5 files with one data set per column, written by an independent library: DSEC, e2vid,
//! M3ED, and broken files.

use hdf5_pure::{AttrValue, DatasetBuilder, FileBuilder, GroupBuilder, ScaleOffset};
use tickless_events::formats::{self, EventStream, ReadOptions, TimeUnit};
use tickless_events::problem::{ArrayProblem, Part, Problem, UnitProblem};
use tickless_events::{Choice, Columns, DataRequest, Error, Event, Result, Sample, Sensor, Split, datasets};
use tickless_testing::assert_problem;

/// More events than one piece.
const N: u64 = 70_000;

fn events(n: u64) -> Columns {
    let event = |i: u64| Event { t_us: i * 13, x: (i % 640) as u16, y: (i % 480) as u16, on: i.is_multiple_of(2) };
    (0..n).map(event).collect()
}

/// Adds the data sets of DSEC to a group; `with` configures each.
fn dsec(group: &mut GroupBuilder, events: &Columns, with: &dyn Fn(&str, &mut DatasetBuilder)) {
    let small = |t: &[u64]| t.iter().map(|t| *t as u32).collect::<Vec<_>>();
    let on: Vec<u8> = events.on().iter().map(|&on| on.into()).collect();
    with("x", group.create_dataset("x").with_u16_data(events.x()));
    with("y", group.create_dataset("y").with_u16_data(events.y()));
    with("t", group.create_dataset("t").with_u32_data(&small(events.t_us())));
    with("p", group.create_dataset("p").with_u8_data(&on));
    group.create_dataset("w").with_f64_data(&[1.0]);
}

fn file(events: &Columns, offset: Option<i64>, with: &dyn Fn(&str, &mut DatasetBuilder)) -> Vec<u8> {
    let mut builder = FileBuilder::new();
    let mut group = builder.create_group("events");
    dsec(&mut group, events, with);
    builder.add_group(group.finish());
    builder.create_dataset("ms_to_idx").with_u64_data(&[0, 5]);
    if let Some(offset) = offset {
        builder.create_dataset("t_offset").with_i64_data(&[offset]);
    }
    builder.finish().unwrap()
}

fn decode(bytes: &[u8]) -> Result<EventStream> {
    formats::decode(bytes, "a.h5")
}

/// Whether the remedy of an error is to store the events in the layout that is read.
fn asks_for_layout(error: &Error) -> bool {
    matches!(error, Error::Malformed { remedy, .. } if remedy.to_string().contains("x, y, t and p"))
}

#[test]
fn dsec_adds_its_offset_to_all_times() {
    let stream = decode(&file(&events(N), Some(50_000_000_000), &|_, _| ())).unwrap();
    assert_eq!((stream.format, stream.sensor), ("planar-hdf5", None));
    let mut expected = events(N).to_vec();
    expected.iter_mut().for_each(|e| e.t_us += 50_000_000_000);
    assert!(stream.events.to_vec() == expected);
    assert!(decode(&file(&events(N), None, &|_, _| ())).unwrap().events == events(N));
    let error = decode(&file(&events(9), Some(-20), &|_, _| ())).unwrap_err();
    assert_problem!(error, ArrayProblem::NegativeTime { t_us: 0, offset: "t_offset" });
    assert_eq!(error.problem().unwrap().parts(), [&Part::Event(0)]);
}

#[test]
fn a_negative_offset_does_no_harm_to_times_that_are_shifted_to_zero() {
    let bytes = file(&events(9), Some(-20), &|_, _| ());
    let error = formats::decode(&bytes, "a.h5").unwrap_err();
    assert_eq!(error.choices(), [Choice::ShiftToZero], "{error}");
    let path = tempfile::tempdir().unwrap();
    let path = path.path().join("a.h5");
    std::fs::write(&path, &bytes).unwrap();
    let mut options = ReadOptions::default();
    options.shift_to_zero = true;
    assert!(formats::read_with(&path, &options).unwrap().events == events(9));
    assert!(formats::planar_hdf5::FORMAT.decode_with(&bytes, "a.h5", &options).unwrap().events == events(9));
}

#[test]
fn a_right_file_of_another_layout_is_not_called_damaged() {
    let layout = |with: &dyn Fn(&str, &mut DatasetBuilder)| decode(&file(&events(9), None, with)).unwrap_err();
    let rows = layout(&|name, d| {
        if name == "x" {
            d.with_u16_data(&[1; 18]).with_shape(&[9, 2]);
        }
    });
    let (found, expected) = ("2".into(), "one".into());
    assert_problem!(rows, Problem::Expected { what: "a data set of {} dimensions", found, expected });
    assert!(asks_for_layout(&rows), "{rows}");
    let short = layout(&|name, d| {
        if name == "p" {
            d.with_u8_data(&[1; 8]).with_shape(&[8]);
        }
    });
    let lengths = |values, of, times| ArrayProblem::LengthsInGroup { values, of, times, group: "events".into() };
    assert_problem!(short, lengths(8, "polarities", 9));
    assert!(asks_for_layout(&short), "{short}");
}

#[test]
fn an_attribute_states_the_unit_of_times() {
    let expected: Columns = events(9);
    let with = |name: &'static str, text: &'static str| {
        let attribute = move |column: &str, d: &mut DatasetBuilder| {
            if column == "t" {
                d.set_attr(name, AttrValue::AsciiString(text.into()));
            }
        };
        file(&events(9), None, &attribute)
    };
    let last = |bytes: &[u8], time_unit| {
        let mut options = ReadOptions::default();
        options.time_unit = time_unit;
        let found = formats::planar_hdf5::FORMAT.decode_with(bytes, "a.h5", &options);
        found.map(|s| s.events.t_us()[8])
    };
    let end = expected.t_us()[8];
    for (name, text, us) in
        [("units", "ms", end * 1000), ("unit", "us", end), ("units", "Seconds", end * 1_000_000), ("unit", "ns", 0)]
    {
        assert_eq!(last(&with(name, text), None).unwrap(), us, "{text}");
    }
    let asked = last(&with("units", "ms"), Some(TimeUnit::Seconds)).unwrap_err();
    let (stated, wanted) = (TimeUnit::Milliseconds, TimeUnit::Seconds);
    assert_problem!(asked, UnitProblem::Asked { of: "the data set `t`".into(), stated, asked: wanted });
    assert_eq!(last(&with("units", "ms"), Some(TimeUnit::Milliseconds)).unwrap(), end * 1000);
    let unknown = last(&with("units", "ticks"), None).unwrap_err();
    let problem = UnitProblem::Unknown { attribute: "units", of: "t".into(), text: "ticks".into() };
    assert_problem!(unknown, problem);
    assert_eq!(last(&with("units", "ticks"), Some(TimeUnit::Milliseconds)).unwrap(), end * 1000);
}

#[test]
fn the_name_of_the_times_and_the_option_may_not_contradict() {
    let mut builder = FileBuilder::new();
    for name in ["x", "y", "p"] {
        builder.create_dataset(name).with_u8_data(&[1, 1]);
    }
    let t = builder.create_dataset("t_ns").with_u64_data(&[1000, 2000]);
    t.set_attr("units", AttrValue::AsciiString("ns".into()));
    let bytes = builder.finish().unwrap();
    assert_eq!(decode(&bytes).unwrap().events.t_us(), [1, 2]);
    let mut options = ReadOptions::default();
    options.time_unit = Some(TimeUnit::Microseconds);
    let error = formats::planar_hdf5::FORMAT.decode_with(&bytes, "a.h5", &options).unwrap_err();
    let (stated, asked) = (TimeUnit::Nanoseconds, TimeUnit::Microseconds);
    assert_problem!(error, UnitProblem::Asked { of: "the data set `t_ns`".into(), stated, asked });
}

#[test]
fn each_data_set_has_chunks_and_filters_of_its_own() {
    let expected = events(N);
    type Filter = dyn Fn(&mut DatasetBuilder);
    let filters: [(&str, &Filter); 6] = [
        ("none", &|_| ()),
        ("deflate", &|d| _ = d.with_deflate(4)),
        ("shuffle", &|d| _ = d.with_shuffle().with_deflate(1)),
        ("lzf", &|d| _ = d.with_lzf()),
        ("shuffle and lzf", &|d| _ = d.with_shuffle().with_lzf()),
        ("checksum", &|d| _ = d.with_deflate(1).with_fletcher32()),
    ];
    for (what, filter) in filters {
        // The chunk sizes range from a few events to one chunk for all events.
        for sizes in [[1_000, 777, 50_000, N], [N, N, 65_536, 3_000]] {
            let with = |name: &str, d: &mut DatasetBuilder| {
                d.with_chunks(&[sizes["xytp".find(name).unwrap()]]);
                filter(d);
            };
            assert!(decode(&file(&expected, None, &with)).unwrap().events == expected, "{what} {sizes:?}");
        }
    }
}

#[test]
fn floating_ts_are_seconds_and_other_floating_times_need_a_unit() {
    let file_with_names = |names: [&str; 4]| {
        let mut builder = FileBuilder::new();
        let mut group = builder.create_group("events");
        let e = events(1000);
        let seconds: Vec<f64> = e.t_us().iter().map(|&t| t as f64 / 1e6).collect();
        let signs: Vec<i8> = e.on().iter().map(|&on| if on { 1 } else { -1 }).collect();
        let [x, y, t, p] = names;
        group.create_dataset(x).with_i16_data(&e.x().iter().map(|&x| x as i16).collect::<Vec<_>>());
        group.create_dataset(y).with_f32_data(&e.y().iter().map(|&y| y.into()).collect::<Vec<_>>());
        group.create_dataset(t).with_f64_data(&seconds);
        group.create_dataset(p).with_i8_data(&signs);
        builder.add_group(group.finish());
        builder.finish().unwrap()
    };
    assert!(decode(&file_with_names(["xs", "ys", "ts", "ps"])).unwrap().events == events(1000));
    assert!(decode(&file_with_names(["x", "y", "t_s", "polarity"])).unwrap().events == events(1000));
    let error = formats::decode(&file_with_names(["x", "y", "t", "p"]), "a.h5").unwrap_err();
    assert!(matches!(&error, Error::TimeUnit { .. }), "{error}");
    let mut options = ReadOptions::default();
    options.time_unit = Some(TimeUnit::Seconds);
    assert!(
        formats::decode_with(&file_with_names(["x", "y", "t", "p"]), "a.h5", &options).unwrap().events == events(1000)
    );
}

#[test]
fn an_unknown_filter_is_named() {
    let mut builder = FileBuilder::new();
    let mut group = builder.create_group("events");
    group.create_dataset("xs").with_u16_data(&[1; 64]);
    group.create_dataset("ys").with_u16_data(&[1; 64]);
    let times = group.create_dataset("ts").with_i64_data(&[7; 64]);
    times.with_chunks(&[64]).with_scale_offset(ScaleOffset::Integer(0));
    group.create_dataset("ps").with_u8_data(&[1; 64]);
    builder.add_group(group.finish());
    let error = decode(&builder.finish().unwrap()).unwrap_err();
    let filter = Problem::Unknown { what: "chunks with the filter {}", found: "6 (scale-offset)".into() };
    assert_problem!(error, at "a.h5: byte ", filter);
}

/// A file of two cameras; the left one has 10 events and the right one 20.
fn stereo() -> Vec<u8> {
    let mut builder = FileBuilder::new();
    let mut cameras = builder.create_group("prophesee");
    for (name, n) in [("right", 20), ("left", 10)] {
        let mut group = cameras.create_group(name);
        dsec(&mut group, &events(n), &|_, _| ());
        cameras.add_group(group.finish());
    }
    builder.add_group(cameras.finish());
    builder.finish().unwrap()
}

#[test]
fn of_two_cameras_one_is_chosen() {
    let bytes = stereo();
    let error = formats::decode(&bytes, "a.h5").unwrap_err();
    let Error::Streams { streams, wanted: None, .. } = &error else { panic!("{error}") };
    let listed: Vec<String> = streams.iter().map(ToString::to_string).collect();
    assert_eq!(listed, ["0 (prophesee/left)", "1 (prophesee/right)"]);
    for (stream, n) in [(0, 10), (1, 20)] {
        let mut options = ReadOptions::default();
        options.stream = Some(stream);
        assert!(formats::decode_with(&bytes, "a.h5", &options).unwrap().events == events(n));
    }
}

#[test]
fn a_data_set_of_two_cameras_reads_the_chosen_one() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a/0.h5", "a/1.h5", "b/0.h5", "b/1.h5"] {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, stereo()).unwrap();
    }
    let mut request = DataRequest::new("folder", Some(root.path()));
    request.sensor = Some(Sensor { width: 640, height: 480 });
    let sample = |request: &DataRequest| datasets::open(request).unwrap().sample(Split::Train, 0);
    let error = sample(&request).unwrap_err();
    assert!(matches!(&error, Error::Streams { file, streams, .. } if file.ends_with(".h5") && streams.len() == 2));
    assert_eq!(error.choices(), [Choice::Stream]);
    request.stream = Some(1);
    let Sample::Events(found) = sample(&request).unwrap() else { panic!("an image") };
    assert_eq!(found.len(), 20);
    request.name = "nmnist".into();
    assert!(!datasets::open(&request).err().unwrap().choices().is_empty());
}

#[test]
fn what_is_wrong_is_named_with_its_event() {
    let with = |change: &dyn Fn(&mut GroupBuilder)| {
        let mut builder = FileBuilder::new();
        let mut group = builder.create_group("events");
        change(&mut group);
        builder.add_group(group.finish());
        decode(&builder.finish().unwrap()).unwrap_err()
    };
    let three = |group: &mut GroupBuilder, x: &[i16], p: &[u8]| {
        group.create_dataset("x").with_i16_data(x);
        group.create_dataset("y").with_u16_data(&[1, 2, 3]);
        group.create_dataset("t").with_i64_data(&[10, 20, 30]);
        group.create_dataset("p").with_u8_data(p);
    };
    let error = with(&|g| three(g, &[4, -1, 6], &[0, 1, 1]));
    assert_problem!(error, at "a.h5: byte ", Problem::OutOfRange { value: "x", found: "-1".into() });
    assert_eq!(error.problem().unwrap().parts(), [&Part::Event(1)]);
    let error = with(&|g| three(g, &[4, 5, 6], &[0, 1, 2]));
    assert_problem!(error, Problem::OutOfRange { value: "the polarity", found: "2".into() });
    assert_eq!(error.problem().unwrap().parts(), [&Part::Event(2)]);
    let error = with(&|g| three(g, &[4, 5], &[0, 1, 1]));
    assert_problem!(error, ArrayProblem::LengthsInGroup { values: 2, of: "x", times: 3, group: "events".into() });
    let error = with(&|g| _ = g.create_dataset("x").with_i16_data(&[1]));
    assert_problem!(error, ArrayProblem::NoEvents { path: "CD/events", holds: vec!["events".into()] });
    assert!(asks_for_layout(&error), "{error}");
}

#[test]
fn cut_and_corrupt_files_give_an_error_or_events_and_never_panic() {
    let with = |_: &str, d: &mut DatasetBuilder| _ = d.with_chunks(&[16]).with_shuffle().with_deflate(1);
    let bytes = file(&events(40), Some(7), &with);
    let format = formats::by_name("planar-hdf5").unwrap();
    for cut in 0..bytes.len() {
        // Bytes after the last data set have no effect.
        if let Ok(stream) = format.decode(&bytes[..cut], "x") {
            assert!(stream.events.len() == 40, "cut at {cut}");
        }
    }
    for at in 0..bytes.len() {
        for flip in [0x01, 0x40, 0xFF] {
            let mut corrupt = bytes.clone();
            corrupt[at] ^= flip;
            if let Ok(stream) = format.decode(&corrupt, "x") {
                assert!(stream.events.len() <= 40 * 1032, "byte {at}");
            }
        }
    }
}
