//! A full disk and a request to stop: an error, the old file unchanged, and nothing left beside it.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tickless_testing::hang::{self, HUNG_AFTER};

use super::{evt3, fifo, names};
use tickless_testing::command::{Ran, Scratch};

/// Runs the command with a limit of `kib` KiB per file, which behaves like a disk that fills up.
fn in_little_space(scratch: &Scratch, kib: usize, args: &[&str]) -> Ran {
    let mut command = Command::new("bash");
    // With SIGXFSZ ignored, a write beyond the limit is an error instead of a signal that ends the
    // program.
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_tickless")]).args(args).current_dir(scratch.path());
    Ran::of(args, command.stdin(Stdio::null()).output().expect("bash is there"))
}

#[test]
fn a_full_disk_is_an_error_and_leaves_the_old_file() {
    let scratch = Scratch::trained();
    scratch.write("a.raw", evt3(100_000));
    let cases: &[(usize, &[&str], &str)] = &[
        (64, &["data", "convert", "a.raw", "b.txt"], "b.txt"),
        (64, &["data", "convert", "a.raw", "b.npy"], "b.npy"),
        (16, &["data", "convert", "a.raw", "b.hdf5"], "b.hdf5"),
        (64, &["data", "convert", "a.raw", "b.aedat4"], "b.aedat4"),
        (1, &["data", "view", "a.raw", "--output", "."], "a.gif"),
        (1, &["export", "run", "--to", "nir", "--output", "b.nir"], "b.nir"),
        (1, &["report", "run", "--output", "page"], "page/report.html"),
        (1, &["parity", "run", "--limit", "3", "--write-counts", "counts.csv"], "counts.csv"),
    ];
    for (_, _, file) in cases {
        scratch.write(file, "the old file");
    }
    scratch.write("a.png", "the old picture");
    let before = names(&scratch);
    for &(kib, args, file) in cases {
        let ran = in_little_space(&scratch, kib, args);
        if args[0] == "parity" && ran.code == Some(0) {
            // The counts may be small enough to fit into the limit.
            scratch.write(file, "the old file");
            continue;
        }
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        assert!(ran.stderr.lines().last().is_some_and(|l| l.starts_with("error: ")), "{ran:#?}");
        assert_eq!(scratch.text(file), "the old file", "{args:?}");
        assert_eq!(names(&scratch), before, "{args:?}");
    }
    assert_eq!(scratch.text("a.png"), "the old picture");
    let left = std::fs::read_dir(scratch.at("page/pictures")).into_iter().flatten().flatten();
    assert!(!left.map(|e| e.file_name()).any(|n| n.to_string_lossy().ends_with(".tmp")));
}

/// Sends a signal to a program, waits for it to end, and returns its exit code.
fn ended(mut child: Child, signal: &str) -> Option<i32> {
    let kill = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    assert!(kill.is_ok_and(|s| s.success()));
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(start.elapsed() < HUNG_AFTER, "{signal} is ignored");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn looking_at_a_recording_and_converting_it_stop_although_their_input_never_ends_and_leave_nothing() {
    let scratch = Scratch::new();
    fifo(&scratch, "endless.txt");
    fifo(&scratch, "silent.txt");
    let before = names(&scratch);
    let commands: &[&[&str]] = &[&["data", "info"], &["data", "convert"]];
    for &command in commands {
        for signal in ["TERM", "HUP", "INT"] {
            for input in ["endless.txt", "silent.txt"] {
                let mut args = [command, &[input]].concat();
                if command[1] == "convert" {
                    args.extend(["out.es", "--sensor", "9x9"]);
                }
                let child = scratch.spawn(&args);
                let has_ended = Arc::new(AtomicBool::new(false));
                let writer = (input == "endless.txt").then(|| {
                    let (pipe, has_ended) = (scratch.at(input), has_ended.clone());
                    std::thread::spawn(move || {
                        let mut pipe = std::fs::OpenOptions::new().write(true).open(pipe).unwrap();
                        let lines = "1 1 1 1\n".repeat(10_000);
                        // The program closes the pipe between two readings, and a write then fails.
                        while !has_ended.load(Ordering::SeqCst) {
                            let _ = pipe.write_all(lines.as_bytes());
                        }
                    })
                });
                std::thread::sleep(Duration::from_millis(300));
                let code = ended(child, signal);
                has_ended.store(true, Ordering::SeqCst);
                assert_eq!(code, Some(130), "{args:?} {signal}");
                writer.into_iter().for_each(|w| w.join().unwrap());
                assert_eq!(names(&scratch), before, "{args:?} {signal}");
            }
        }
    }
}

#[test]
fn drawing_a_recording_stops_and_leaves_nothing() {
    let scratch = Scratch::new();
    scratch.write("a.raw", evt3(3_000_000));
    let before = names(&scratch);
    for wait in [1, 20, 60, 150] {
        let child = scratch.spawn(&["data", "view", "a.raw", "--frames", "1000", "--output", "."]);
        std::thread::sleep(Duration::from_millis(wait));
        // Before the program has installed its handlers, a signal ends it without an exit code.
        let code = ended(child, "TERM");
        assert!(matches!(code, None | Some(130)), "{code:?}");
        assert_eq!(names(&scratch), before, "after {wait} ms");
    }
}

#[test]
fn a_number_of_threads_beyond_reason_does_not_hang() {
    let scratch = Scratch::small();
    let mut command = scratch.command(&["train", "small.toml", "--output", "run", "--epochs", "1"]);
    let command = command.env("RAYON_NUM_THREADS", "20000");
    let ran = hang::ends("20,000 threads", || Ran::of(&[], command.output().unwrap()));
    assert_eq!(ran.code, Some(0), "{ran:#?}");
}
