//! Kills at any moment, and two writers of one file: the file is the old one or a new one, never a
//! mix.

use std::process::Stdio;
use std::time::Duration;

use super::{evt3, names};
use tickless_testing::command::Scratch;

/// Runs a command three times to its end to learn its duration, then kills it `rounds` times after
/// increasing times, and calls `check` after each kill. At the end it runs once more undisturbed.
fn killed_at_every_moment(scratch: &Scratch, args: &[&str], rounds: u32, check: impl Fn()) {
    let command = || {
        let mut command = scratch.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let whole = scratch.duration(args);
    let mut killed = 0;
    for round in 0..rounds {
        let mut child = command();
        // The square root puts more kills near the end, where files are written.
        let share = f64::from(round + 1) / f64::from(rounds);
        std::thread::sleep(whole.mul_f64(share.sqrt()));
        killed += u32::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
        check();
    }
    assert!(killed > 0, "no kill came before the end: {args:?}");
    // A run that ends normally removes what the killed ones left.
    assert!(command().wait().unwrap().success());
    check();
}

#[test]
fn a_killed_convert_leaves_the_old_file_or_the_new_one() {
    let scratch = Scratch::new();
    scratch.write("a.raw", evt3(400_000));
    for to in ["b.txt", "b.npy", "b.hdf5"] {
        scratch.ok(&["data", "convert", "a.raw", to]);
        let new = scratch.read(to);
        scratch.write(to, "the old file");
        killed_at_every_moment(&scratch, &["data", "convert", "a.raw", to], 12, || {
            let found = scratch.read(to);
            assert!(found == new || found == b"the old file", "{to} has {} bytes", found.len());
        });
    }
    assert_eq!(names(&scratch), ["a.raw", "b.hdf5", "b.npy", "b.txt"]);
}

#[test]
fn a_killed_export_view_or_report_leaves_whole_files() {
    let scratch = Scratch::trained();
    scratch.write("a.raw", evt3(100_000));
    let cases: [(&[&str], &[&str]); 3] = [
        (&["export", "run", "--to", "nir", "--output", "out/net.nir"], &["out/net.nir"]),
        (&["data", "view", "a.raw", "--output", "out"], &["out/a.gif", "out/a.png"]),
        (
            &["report", "run", "--output", "out/page", "--title", "t"],
            &["out/page/report.html", "out/page/pictures/training.svg"],
        ),
    ];
    std::fs::create_dir(scratch.at("out")).unwrap();
    for (args, files) in cases {
        scratch.ok(args);
        let new: Vec<Vec<u8>> = files.iter().map(|f| scratch.read(f)).collect();
        for file in files {
            scratch.write(file, "the old file");
        }
        killed_at_every_moment(&scratch, args, 12, || {
            for (file, new) in files.iter().zip(&new) {
                let found = scratch.read(file);
                assert!(found == *new || found == b"the old file", "{file} has {} bytes", found.len());
            }
        });
    }
    let mut left = names(&scratch);
    left.retain(|n| n.ends_with(".tmp"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn two_converts_to_one_file_leave_one_whole_result() {
    let scratch = Scratch::new();
    scratch.write("a.raw", evt3(60_000));
    scratch.write("b.raw", evt3(45_000));
    for (from, to) in [("a.raw", "a.txt"), ("b.raw", "b.txt")] {
        scratch.ok(&["data", "convert", from, to]);
    }
    let right = [scratch.read("a.txt"), scratch.read("b.txt")];
    for round in 0..15 {
        let mut first = scratch.spawn(&["data", "convert", "a.raw", "c.txt"]);
        std::thread::sleep(Duration::from_millis(round % 5 * 4));
        let mut second = scratch.spawn(&["data", "convert", "b.raw", "c.txt"]);
        assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
        assert!(right.contains(&scratch.read("c.txt")), "round {round}");
    }
    assert_eq!(names(&scratch), ["a.raw", "a.txt", "b.raw", "b.txt", "c.txt"]);
}
