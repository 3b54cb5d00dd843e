//! File formats on the command line: the direction of axes, errors in a folder, and the choice of
//! one of several streams.

use tickless::events::formats::{encode, nmnist_bin};
use tickless::events::{Columns, Event, Sensor};
use tickless_testing::command::{Scratch, number};

/// A file in Prophesee's RAW format: the header and the words.
fn raw(header: &str, words: &[u8]) -> Vec<u8> {
    [header.as_bytes(), words].concat()
}

fn evt2() -> Vec<u8> {
    let word = |on: u32, x: u32, y: u32, t: u32| on << 28 | (t & 63) << 22 | x << 11 | y;
    let words = [8 << 28, word(1, 10, 1, 5), word(0, 20, 2, 9)].map(u32::to_le_bytes).concat();
    raw("% evt 2.0\n% format EVT2;height=480;width=640\n% geometry 640x480\n% end\n", &words)
}

#[test]
fn event_stream_counts_rows_from_the_bottom_and_a_conversion_turns_them() {
    let scratch = Scratch::new();
    scratch.write("in.raw", evt2());
    let text = scratch.ok(&["data", "convert", "in.raw", "out.es"]).stdout;
    assert!(text.contains("y counted from the top and was turned to count from the bottom"), "{text}");
    // After 20 bytes of header: time difference and polarity, x, y.
    let expected =
        [&[5u8 << 1 | 1, 10, 0][..], &478u16.to_le_bytes(), &[4 << 1, 20, 0], &477u16.to_le_bytes()].concat();
    assert_eq!(scratch.read("out.es")[20..], expected);
    let text = scratch.ok(&["data", "convert", "out.es", "out.txt"]).stdout;
    assert!(text.contains("axes: "), "{text}");
    assert_eq!(scratch.text("out.txt"), "10 1 5 1\n20 2 9 0\n");
    let json = scratch.ok_json(&["data", "convert", "out.es", "back.raw", "--format", "evt2"]);
    assert!(json["axes"].as_str().unwrap().contains("turned to count from the top"), "{json}");
    let info = scratch.ok(&["data", "info", "out.es"]).stdout;
    assert!(info.contains("10..20, 477..478") && info.contains("y from the bottom as stored"), "{info}");
    let (a, b) = (scratch.ok_json(&["data", "info", "in.raw"]), scratch.ok_json(&["data", "info", "back.raw"]));
    assert_eq!(a["sha256"], b["sha256"]);
}

#[test]
fn evt3_times_are_those_of_the_vendors_decoders() {
    let scratch = Scratch::new();
    let words = [0x8000u16, 0x6001, 0x0000, 0x2000, 0x300A, 0x4001, 0x4000, 0x80FF, 0x2001];
    let header = "% evt 3.0\n% format EVT3;height=720;width=1280\n% geometry 1280x720\n% end\n";
    scratch.write("cut.raw", raw(header, &words.map(u16::to_le_bytes).concat()));
    scratch.ok(&["data", "convert", "cut.raw", "out.txt"]);
    assert_eq!(scratch.text("out.txt"), "0 0 1 0\n10 0 1 0\n1 0 1044480 0\n");
}

#[test]
fn aedat2_stays_as_stored_and_both_commands_say_so() {
    let scratch = Scratch::new();
    let address = |x: u32, y: u32, on: u32| y << 22 | x << 12 | on << 11;
    let events = [(address(345, 259, 1), 10u32), (address(0, 0, 0), 20), (1 << 31 | 5, 20), (1 << 10, 25)];
    let events = events.map(|(address, t)| [address.to_be_bytes(), t.to_be_bytes()].concat()).concat();
    let header = "#!AER-DAT2.0\n# AEChip: eu.seebetter.ini.chips.davis.Davis346red\n#<?xml version=\"1.0\"?>\n#End Of ASCII Header\n";
    scratch.write("red.aedat", raw(header, &events));
    let text = scratch.ok(&["data", "convert", "red.aedat", "out.txt"]).stdout;
    assert!(text.contains("axes: x and y are as the first file stores them (jAER shows"), "{text}");
    assert_eq!(scratch.text("out.txt"), "345 259 10 1\n0 0 20 0\n");
    let info = scratch.ok(&["data", "info", "red.aedat"]).stdout;
    assert!(info.contains("346x260") && info.contains("axes     x and y as stored; jAER shows"), "{info}");
    // The same holds for AER-DAT 1.0, the format of old recordings.
    let old = [&[0x05, 0x03, 0, 0, 0, 7][..], &[0x7F, 0xFE, 0, 0, 0, 9]].concat();
    scratch.write("old.dat", raw("#!AER-DAT1.0\r\n# This is a raw AE data file\r\n", &old));
    scratch.ok(&["data", "convert", "old.dat", "old.txt"]);
    assert_eq!(scratch.text("old.txt"), "1 5 7 1\n127 127 9 0\n");
}

/// An uncompressed AEDAT4 file of two cameras, with one event of the first and two of the second.
fn two_cameras() -> Vec<u8> {
    let stream = |id: i32, source: &str| {
        format!(
            "<node name=\"{id}\"><attr key=\"typeIdentifier\" type=\"string\">EVTS</attr><node name=\"info\">\
             <attr key=\"sizeX\" type=\"int\">346</attr><attr key=\"sizeY\" type=\"int\">260</attr>\
             <attr key=\"source\" type=\"string\">{source}</attr></node></node>"
        )
    };
    let text =
        format!("<dv><node name=\"outInfo\">{}{}</node></dv>", stream(0, "DAVIS_left"), stream(2, "DAVIS_right"));
    // A flatbuffer with the compression, the position where packets end, and the text.
    let mut table = [&24u32.to_le_bytes()[..], b"IOHE", &[0; 6]].concat();
    table.extend([10u16, 24, 4, 12, 8].map(u16::to_le_bytes).concat());
    table.extend([10i32, 0, 16].map(i32::to_le_bytes).concat());
    table.extend((-1i64).to_le_bytes());
    table.extend([0; 4]);
    table.extend((text.len() as u32).to_le_bytes());
    table.extend(text.as_bytes());
    table.push(0);
    table.resize(table.len().next_multiple_of(4), 0);
    let mut bytes = [&b"#!AER-DAT4.0\r\n"[..], &(table.len() as u32).to_le_bytes(), &table].concat();
    for (id, t) in [(0i32, 5i64), (2, 6), (2, 7)] {
        let head = [&44u32.to_le_bytes()[..], &16u32.to_le_bytes(), b"EVTS\0\0", &[6, 0, 8, 0, 4, 0]].concat();
        let event = [&t.to_le_bytes()[..], &[3, 0, 2, 0, 1, 0, 0, 0]].concat();
        let packet = [head, [6u32, 4, 1].map(u32::to_le_bytes).concat(), event].concat();
        bytes.extend([id, packet.len() as i32].map(i32::to_le_bytes).concat());
        bytes.extend(packet);
    }
    bytes
}

#[test]
fn the_stream_of_a_camera_is_listed_and_chosen() {
    let scratch = Scratch::new();
    scratch.write("two.aedat4", two_cameras());
    let text = scratch.ok(&["data", "info", "two.aedat4"]).stdout;
    for line in ["0 (DAVIS_left, 346x260)", "2 (DAVIS_right, 346x260)", "--stream"] {
        assert!(text.contains(line), "no {line} in {text}");
    }
    let json = scratch.ok_json(&["data", "info", "two.aedat4"]);
    assert_eq!((&json["kind"], &json["streams"][1]["number"]), (&"streams".into(), &2.into()));
    let json = scratch.ok_json(&["data", "info", "two.aedat4", "--stream", "2"]);
    assert_eq!((number(&json, "events"), number(&json, "t_first_us")), (2.0, 6.0));
    scratch.ok(&["data", "convert", "two.aedat4", "left.txt", "--stream", "0"]);
    assert_eq!(scratch.text("left.txt"), "3 2 5 1\n");
    scratch.refused_with(&["data", "convert", "two.aedat4", "b.txt"], &["2 streams of events", "`--stream NUMBER`"]);
    scratch.refused_with(&["data", "view", "two.aedat4", "--stream", "1"], &["no stream 1 of events; there are 0"]);
    scratch.refused_with(&["data", "info", "left.txt", "--stream", "0"], &["left.txt", "one stream"]);
}

#[test]
fn info_names_what_is_wrong_in_a_folder() {
    let scratch = Scratch::new();
    let sensor = Sensor { width: 34, height: 34 };
    let event = |t: u16| Event { t_us: t.into(), x: t % 34, y: t % 30, on: false };
    let dat = encode("dat", &(0..50).map(event).collect::<Columns>(), Some(sensor)).unwrap();
    for part in ["train", "valid", "test"] {
        ["a", "b"].iter().for_each(|class| scratch.write(&format!("a/{part}/{class}/0.dat"), &dat));
    }
    let line = scratch.refused_with(&["data", "info", "a"], &["`valid`"]);
    assert!(line.len() < 400, "{line}");
    for part in ["Train", "Test"] {
        ["a", "b"].iter().for_each(|class| scratch.write(&format!("c/{part}/{class}/0.dat"), &dat));
    }
    let json = scratch.ok_json(&["data", "info", "c"]);
    assert_eq!((&json["name"], &json["classes"]), (&"folder".into(), &2.into()));
    scratch.write("random.bin", (0..5_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>());
    for command in ["info", "view"] {
        scratch.refused_with(&["data", command, "random.bin"], &["random.bin: byte ", "the time falls"]);
    }
    let images: Vec<u8> =
        (0..3073 * 5u32).map(|i| if i % 3073 == 0 { 3 } else { (i.wrapping_mul(2_654_435_761) >> 9) as u8 }).collect();
    scratch.write("test_batch.bin", images);
    scratch.refused_with(&["data", "view", "test_batch.bin"], &["images of CIFAR"]);
    assert_eq!(number(&scratch.ok_json(&["data", "info", "test_batch.bin"]), "count"), 5.0);
    // A recording of only a few events is valid too.
    scratch.write("few.bin", nmnist_bin::encode((0..3).map(event)).unwrap());
    assert_eq!(number(&scratch.ok_json(&["data", "info", "few.bin"]), "events"), 3.0);
}

/// The file with SHD's layout, if the shared data are present.
fn shd() -> Option<std::path::PathBuf> {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("TICKLESS_DATA").map_or(here, Into::into);
    Some(folder.join("formats/shd_like.h5")).filter(|file| file.is_file())
}

#[test]
fn golden_shd_is_drawn_as_a_raster_for_each_sample() {
    let Some(file) = shd() else { return };
    let (scratch, file) = (Scratch::new(), file.to_str().unwrap().to_owned());
    let seen = scratch.ok_json(&["data", "view", &file, "--output", "drawn"]);
    assert_eq!((&seen["samples"], &seen["animation"]), (&serde_json::json!([12, 20]), &serde_json::Value::Null));
    assert!(scratch.read("drawn/shd_like.png").starts_with(b"\x89PNG"));
    let one = scratch.ok_json(&["data", "view", &file, "--output", "drawn", "--stream", "3"]);
    assert!(number(&one, "events") < number(&seen, "events") && one["samples"] == serde_json::json!([1, 20]), "{one}");
    let json = scratch.ok_json(&["data", "info", &file, "--stream", "3"]);
    assert_eq!(number(&json, "events"), number(&one, "events"));
    scratch.refused_with(&["data", "info", &file, "--stream", "20"], &["no sample 20, the file has 20"]);
}
