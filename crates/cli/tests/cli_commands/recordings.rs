//! Recordings whose units, columns, clocks or sensors differ from what a reader might assume.

use tickless::events::{Columns, Event, Sensor, formats};
use tickless_testing::command::{Scratch, number};

/// Converts a recording with `data convert` and these options to text, one event per line.
fn as_text(scratch: &Scratch, file: &str, options: &[&str]) -> String {
    scratch.ok(&[&["data", "convert", file, "out.txt"], options].concat());
    scratch.text("out.txt")
}

fn dat(sensor: Sensor, events: &[Event]) -> Vec<u8> {
    formats::encode("dat", &Columns::from(events), Some(sensor)).unwrap()
}

#[test]
fn times_with_fractions_need_a_unit() {
    let scratch = Scratch::new();
    let head = "# timestamp x y polarity\n";
    let evlib = format!("{head}0.000100000000 320 240 1\n0.000200000000 321 241 -1\n1.500000000000 319 239 1\n");
    scratch.write("evlib.txt", evlib);
    for command in [
        &["data", "info", "evlib.txt"][..],
        &["data", "convert", "evlib.txt", "out.txt"],
        &["data", "view", "evlib.txt"],
    ] {
        scratch.refused_with(command, &["evlib.txt: byte 25", "0.000100000000", "t_s", "`--time-unit s`"]);
    }
    assert!(!scratch.at("out.txt").exists());
    let text = as_text(&scratch, "evlib.txt", &["--time-unit", "s"]);
    assert_eq!(text, "320 240 100 1\n321 241 200 0\n319 239 1500000 1\n");
    let info = scratch.ok_json(&["data", "info", "evlib.txt", "--time-unit", "s"]);
    assert_eq!((number(&info, "t_first_us"), number(&info, "t_last_us")), (100.0, 1_500_000.0));
    scratch
        .refused_with(&["data", "info", "evlib.txt", "--time-unit", "min"], &["--time-unit", "min", "s, ms, us, ns"]);
    // A format with a fixed unit refuses another one.
    scratch.write("a.dat", dat(Sensor { width: 8, height: 8 }, &[]));
    scratch.refused_with(&["data", "info", "a.dat", "--time-unit", "s"], &["a.dat", "dat", "fixed unit"]);

    scratch.write("v2e.txt", "t_s x y p\n0.0 33 39 1\n1e-06 158 145 1\n");
    assert_eq!(as_text(&scratch, "v2e.txt", &[]), "33 39 0 1\n158 145 1 1\n");
    // The times of a NumPy table of whole numbers may be µs or ms.
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }";
    let values = [[1.0, 6.0, 0.0, 100.0], [2.0, 7.0, 1.0, 200.0], [5.0, 10.0, 1.0, 70000.0f64]];
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((header.len() as u16).to_le_bytes());
    npy.extend(header.bytes());
    npy.extend(values.iter().flatten().flat_map(|v| v.to_le_bytes()));
    scratch.write("us.npy", npy);
    scratch.refused_with(&["data", "info", "us.npy"], &["us.npy", "`--time-unit s`", "us"]);
    assert_eq!(as_text(&scratch, "us.npy", &["--time-unit", "us"]), "1 6 100 0\n2 7 200 1\n5 10 70000 1\n");
    assert_eq!(as_text(&scratch, "us.npy", &["--time-unit", "ms"]), "1 6 100000 0\n2 7 200000 1\n5 10 70000000 1\n");
}

#[test]
fn columns_are_named_or_refused_and_never_shifted() {
    let scratch = Scratch::new();
    for (file, content, text) in [
        (
            "jaer4.txt",
            "# jAER DAVIS/DVS camera text file output\n# format: t x y p\n0.001 96 133 1\n0.00101 127 171 1\n",
            "96 133 1000 1\n127 171 1010 1\n",
        ),
        ("pandas.csv", ",t,x,y,p\n0,100,96,0,1\n1,200,10,0,1\n2,300,20,0,1\n", "96 0 100 1\n10 0 200 1\n20 0 300 1\n"),
        ("cell.csv", "id,label,x,y,t,p,w\n1,,96,133,100,0,0\n2,,10,11,200,1,0\n", "96 133 100 0\n10 11 200 1\n"),
        ("bom.csv", "\u{FEFF}t,x,y,p\n1500,3,4,1\n", "3 4 1500 1\n"),
        ("faery.csv", "t,x@640,y@480,on\n64,578,240,1\n", "578 240 64 1\n"),
    ] {
        scratch.write(file, content);
        assert_eq!(as_text(&scratch, file, &[]), text, "{file}");
    }
    let info = scratch.ok(&["data", "info", "faery.csv"]).stdout;
    assert!(info.contains("640x480"), "{info}");
    scratch.write("txyp.txt", "1000 120 80 1\n1000 121 75 0\n1001 119 81 1\n");
    scratch.refused_with(&["data", "info", "txyp.txt"], &["txyp.txt: byte 14", "third column", "`t x y p`"]);
}

#[test]
fn a_clock_of_32_bits_goes_on_after_its_overflow() {
    let scratch = Scratch::new();
    // The file is written by hand, because a writer refuses times that would not read back.
    let record = |t: u32| [t.to_le_bytes(), (1u32 | 2 << 14 | 1 << 28).to_le_bytes()].concat();
    let mut long = b"% Version 2\n% Height 8\n% Width 8\n\x0C\x08".to_vec();
    long.extend([u32::MAX - 4, 3, 1, 9].map(record).concat());
    scratch.write("long.dat", long);
    let info = scratch.ok_json(&["data", "info", "long.dat"]);
    assert_eq!(number(&info, "t_last_us"), 4_294_967_305.0, "{info:#}");
    assert_eq!((number(&info, "overflows"), number(&info, "moved")), (1.0, 2.0));
    let text = scratch.ok(&["data", "info", "long.dat"]).stdout;
    assert!(text.contains("overflowed 1 time") && text.contains("disorder"), "{text}");
    let literal = scratch.ok_json(&["data", "info", "long.dat", "--literal-times"]);
    assert_eq!((number(&literal, "t_last_us"), number(&literal, "overflows")), (9.0, 0.0), "{literal:#}");
    assert_eq!(
        as_text(&scratch, "long.dat", &["--shift-to-zero"]),
        "1 2 0 1\n1 2 8 1\n# x y t p\n1 2 6 1\n1 2 14 1\n",
        "from the earliest on"
    );
    let converted = scratch.ok(&["data", "convert", "long.dat", "out.txt"]).stdout;
    assert!(converted.contains("overflowed 1 time") && converted.contains("--literal-times"), "{converted}");
    scratch.write("a.npy", formats::encode("npy", &Columns::new(), None).unwrap());
    scratch.refused_with(&["data", "info", "a.npy", "--literal-times"], &["a.npy", "npy", "clock"]);
}

#[test]
fn events_outside_the_sensor_are_told_with_their_index() {
    let scratch = Scratch::new();
    let sensor = Sensor { width: 1280, height: 720 };
    let event = |t: u64| Event { t_us: t, x: (t % 1280) as u16, y: (t % 720) as u16, on: true };
    let mut events: Vec<Event> = (0..500).map(event).collect();
    (events[100].x, events[100].y) = (10, 800);
    (events[250].x, events[250].y) = (10, 8192);
    scratch.write("stray.dat", dat(sensor, &events));
    let text = scratch.ok(&["data", "info", "stray.dat"]).stdout;
    assert!(text.contains("2 events, the first is event 100 at (10, 800)"), "{text}");
    let seen = scratch.ok(&["data", "view", "stray.dat", "--output", "drawn", "--frames", "3"]).stdout;
    assert!(seen.contains("1280x720") && seen.contains("not drawn: 2 events, the first is event 100"), "{seen}");

    scratch.write("near.dat", dat(sensor, &events[..250]));
    let convert = ["data", "convert", "near.dat", "near.raw", "--format", "evt3"];
    let words = ["near.dat: event 100 at (10, 800)", "1280x720", "--sensor", "--drop-outside"];
    scratch.refused_with(&convert, &words);
    assert!(!scratch.at("near.raw").exists());
    let larger = scratch.ok_json(&[&convert[..], &["--sensor", "1280x801"]].concat());
    assert_eq!(number(&larger, "events"), 250.0);
    let info = scratch.ok_json(&["data", "info", "near.raw"]);
    assert_eq!((number(&info, "sensor/height"), &info["outside"]), (801.0, &serde_json::Value::Null));
    let without = scratch.ok_json(&[&convert[..], &["--drop-outside"]].concat());
    assert_eq!((number(&without, "events"), number(&without, "dropped")), (249.0, 1.0));
    // The sensor may be stated on the command line if the file states none, or a wrong one.
    let info = scratch.ok(&["data", "info", "stray.dat", "--sensor", "1280x8193"]).stdout;
    assert!(info.contains("1280x8193 (the file states 1280x720)") && !info.contains("outside"), "{info}");
    let info = scratch.ok(&["data", "info", "stray.dat", "--drop-outside"]).stdout;
    assert!(info.contains("498") && info.contains("2 events outside the sensor are left out"), "{info}");
}

#[test]
fn recordings_without_duration_and_stray_events_do_not_train() {
    let scratch = Scratch::small();
    let head = "t_s,x@34,y@34,p\n";
    let good: String = (0..50).map(|k| format!("0.{k:04},{},{},1\n", k % 34, k * 7 % 34)).collect();
    for class in ["a", "b"] {
        for part in ["train", "test"] {
            (0..3).for_each(|k| scratch.write(&format!("own/{part}/{class}/{k}.csv"), format!("{head}{good}")));
        }
    }
    let set = |output: &'static str, more: &'static [&'static str]| {
        let changes = ["data.set=folder", "data.path=own", "data.train_limit=0", "data.test_limit=0", "train.batch=2"];
        let changes = changes.iter().flat_map(|change| ["--set", *change]);
        ["train", "small.toml", "--output", output]
            .into_iter()
            .chain(changes)
            .chain(more.iter().copied())
            .collect::<Vec<_>>()
    };
    let refused = |args: &[&str], words: &[&str]| {
        let ran = scratch.run(args);
        let error = ran.stderr.lines().last().unwrap_or_default();
        assert!(ran.code == Some(2) && words.iter().all(|word| error.contains(word)), "{ran:#?}");
    };
    scratch.write("own/train/a/1.csv", format!("{head}0.5,1,1,1\n0.5,2,2,0\n"));
    let words = ["own/train/a/1.csv", "2 events", "time_unit"];
    refused(&set("run0", &[]), &words);
    scratch.write("own/train/a/1.csv", format!("t,x@34,y@34,p\n{good}"));
    refused(&set("run1", &[]), &["own/train/a/1.csv", "`data.time_unit`"]);
    scratch.ok(&set("run2", &["--set", "data.time_unit=s"]));
    refused(&set("run3", &["--set", "data.time_unit=min"]), &["data.time_unit", "s, ms, us, ns"]);
    scratch.write("own/train/a/1.csv", format!("{head}{good}0.9,40,1,1\n"));
    refused(&set("run4", &[]), &["own/train/a/1.csv: event 50 at (40, 1)", "data.drop_outside"]);
    scratch.ok(&set("run5", &["--set", "data.drop_outside=true"]));
}
