//! The memory of a command does not grow with its input. This test uses two sizes of a recording;
//! `benches/memory` measures every pair of formats at larger ones.

use std::process::Stdio;

use super::evt3;
use tickless_testing::command::Scratch;

/// The peak memory of a command in MB, as the system reports it while the program runs.
fn peak(scratch: &Scratch, args: &[&str]) -> f64 {
    let mut child = scratch.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak: f64 = 0.0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let kb = text.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        peak = peak.max(kb.unwrap_or(0.0) / 1024.0);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{args:?}");
            return peak;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_follow_the_recording() {
    let scratch = Scratch::new();
    // 6 and 36 MB; as NumPy arrays 13 and 78 MB.
    scratch.write("small.raw", evt3(1_000_000));
    scratch.write("large.raw", evt3(6_000_000));
    for format in ["npy", "hdf5", "txt", "aedat4"] {
        for size in ["small", "large"] {
            let (from, to) = (format!("{size}.raw"), format!("{size}.{format}"));
            let peak = peak(&scratch, &["data", "convert", &from, &to]);
            assert!(peak > 1.0, "the peak is measured");
        }
    }
    let mut follows = Vec::new();
    let mut compare = |what: &str, args: &dyn Fn(&str) -> Vec<String>| {
        let peaks = ["small", "large"].map(|size| {
            let args = args(size);
            peak(&scratch, &args.iter().map(String::as_str).collect::<Vec<_>>())
        });
        if peaks[1] - peaks[0] > 14.0 {
            follows.push(format!("{what}: {peaks:?} MB"));
        }
    };
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<String>>();
    for format in ["raw", "npy", "hdf5", "txt", "aedat4"] {
        let file = |size: &str| format!("{size}.{format}");
        compare(&format!("info {format}"), &|size| words(&["data", "info", &file(size)]));
        compare(&format!("view {format}"), &|size| {
            words(&["data", "view", "--frames", "4", "--output", "v", &file(size)])
        });
        let to = if format == "npy" { "evt3" } else { "npy" };
        compare(&format!("convert {format} to {to}"), &|size| {
            words(&["data", "convert", &file(size), "out", "--format", to, "--sensor", "34x34"])
        });
    }
    assert!(follows.is_empty(), "{follows:#?}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_order_of_a_recording_is_counted_in_bounded_memory() {
    let scratch = Scratch::new();
    // Four million events in order, and the same number as two halves that each begin at time 0.
    for (name, turn) in [("once.txt", 4_000_000), ("twice.txt", 2_000_000)] {
        let lines: String = (0..4_000_000u32).map(|i| format!("{} {} {} 1\n", i % 34, i % 29, i % turn)).collect();
        scratch.write(name, lines);
    }
    let moved = |name: &str| scratch.ok_json(&["data", "info", name])["moved"].as_u64();
    // In the second file each time occurs twice; only the first and the last event keep their
    // position.
    assert_eq!((moved("once.txt"), moved("twice.txt")), (Some(0), Some(3_999_998)));
    let peaks = ["once.txt", "twice.txt"].map(|name| peak(&scratch, &["data", "info", name]));
    assert!(peaks[1] - peaks[0] < 40.0, "{peaks:?} MB");
}
