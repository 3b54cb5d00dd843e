//! A target that is not a regular file is written into or refused, and never replaced.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};

use super::{evt3, fifo, names};
use tickless_testing::command::Scratch;

#[test]
fn convert_writes_into_a_pipe_and_a_device_and_leaves_them() {
    let scratch = Scratch::new();
    scratch.write("a.raw", evt3(1000));
    scratch.ok(&["data", "convert", "a.raw", "right.txt"]);
    fifo(&scratch, "pipe");
    let reader = std::thread::spawn({
        let pipe = scratch.at("pipe");
        move || {
            let mut text = Vec::new();
            fs::File::open(pipe).unwrap().read_to_end(&mut text).map(|_| text)
        }
    });
    let ran = scratch.ok(&["data", "convert", "a.raw", "pipe", "--format", "text"]);
    assert!(reader.join().unwrap().unwrap() == scratch.read("right.txt"), "the pipe got the whole file");
    assert!(fs::metadata(scratch.at("pipe")).unwrap().file_type().is_fifo());
    assert!(ran.stdout.is_empty() && ran.stderr.contains("1000 events"), "{ran:?}");
    symlink("/dev/null", scratch.at("null.txt")).unwrap();
    scratch.ok(&["data", "convert", "a.raw", "null.txt"]);
    assert!(fs::symlink_metadata(scratch.at("null.txt")).unwrap().file_type().is_symlink());
    // Standard output receives the file and nothing else.
    let ran = scratch.ok(&["data", "convert", "a.raw", "/dev/stdout", "--format", "text"]);
    assert!(ran.stdout.as_bytes() == scratch.read("right.txt"));
    let to = fs::File::create(scratch.at("redirected.txt")).unwrap();
    let args = ["data", "convert", "a.raw", "/dev/stdout", "--format", "text"];
    assert!(scratch.command(&args).stdout(to).status().unwrap().success());
    assert!(scratch.read("redirected.txt") == scratch.read("right.txt"));
    fs::remove_file(scratch.at("redirected.txt")).unwrap();
    if std::path::Path::new("/dev/full").exists() {
        scratch
            .refused_with(&["data", "convert", "a.raw", "/dev/full", "--format", "text"], &["/dev/full", "No space"]);
    }
    assert_eq!(names(&scratch), ["a.raw", "null.txt", "pipe", "right.txt"]);
}

#[test]
fn a_format_that_states_its_length_is_not_written_into_a_pipe() {
    let scratch = Scratch::new();
    scratch.write("a.raw", evt3(10));
    for format in ["npy", "prophesee-hdf5"] {
        fifo(&scratch, format);
        let reader = std::thread::spawn({
            let pipe = scratch.at(format);
            move || fs::File::open(pipe).and_then(|mut f| f.read_to_end(&mut Vec::new()))
        });
        scratch.refused_with(
            &["data", "convert", "a.raw", format, "--format", format],
            &[format, "name a file, not a pipe"],
        );
        assert_eq!(reader.join().unwrap().unwrap(), 0, "nothing was written into it");
    }
}

#[test]
fn a_link_that_the_user_names_stays_and_a_folder_is_refused() {
    let scratch = Scratch::new();
    scratch.write("a.raw", evt3(100));
    scratch.write("elsewhere/b.txt", "old");
    symlink("elsewhere/b.txt", scratch.at("link.txt")).unwrap();
    scratch.ok(&["data", "convert", "a.raw", "link.txt"]);
    assert!(fs::symlink_metadata(scratch.at("link.txt")).unwrap().file_type().is_symlink());
    assert_eq!(scratch.text("elsewhere/b.txt").lines().count(), 100);
    symlink("nowhere/c.txt", scratch.at("dangling.txt")).unwrap();
    scratch.refused_with(&["data", "convert", "a.raw", "dangling.txt"], &["dangling.txt", "leads nowhere"]);
    scratch
        .refused_with(&["data", "convert", "a.raw", "elsewhere", "--format", "text"], &["a folder; name a file in it"]);
    assert_eq!(names(&scratch), ["a.raw", "dangling.txt", "elsewhere", "link.txt"]);
}

#[test]
fn names_that_the_program_makes_up_are_not_followed() {
    let scratch = Scratch::new();
    scratch.write("a.raw", evt3(100));
    scratch.write("victim", "precious");
    for name in ["b.es.part", "b.es.tmp", ".b.es.tmp"] {
        symlink("victim", scratch.at(name)).unwrap();
    }
    scratch.ok(&["data", "convert", "a.raw", "b.es"]);
    assert_eq!(scratch.text("victim"), "precious");
}

#[test]
fn every_other_writer_leaves_a_device_too() {
    let scratch = Scratch::trained();
    symlink("/dev/null", scratch.at("null")).unwrap();
    scratch.ok(&["export", "run", "--to", "nir", "--output", "null"]);
    scratch.ok(&["parity", "run", "--limit", "1", "--write-counts", "null"]);
    assert!(fs::symlink_metadata(scratch.at("null")).unwrap().file_type().is_symlink());
    if std::path::Path::new("/dev/full").exists() {
        scratch.refused_with(&["export", "run", "--to", "nir", "--output", "/dev/full"], &["/dev/full"]);
    }
    // A folder has the name of the picture.
    scratch.write("a.raw", evt3(100));
    fs::create_dir_all(scratch.at("drawn/a.gif")).unwrap();
    let ran = scratch.run(&["data", "view", "a.raw", "--output", "drawn"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("error: drawn/a.gif: "), "{ran:?}");
    assert_eq!(fs::read_dir(scratch.at("drawn")).unwrap().count(), 1, "no picture beside it either");
}

#[test]
fn a_pipe_in_the_folder_of_a_class_is_refused() {
    let scratch = Scratch::new();
    scratch.write("set/train/cat/a.raw", evt3(100));
    scratch.write("set/test/cat/a.raw", evt3(100));
    fifo(&scratch, "set/train/cat/b.raw");
    scratch.refused(&["data", "info", "set"]);
    scratch.write("small.toml", tickless_testing::recipes::RECIPE);
    scratch.refused_with(
        &["train", "small.toml", "--set", "data.set=folder", "--data", "set"],
        &["b.raw", "neither a file nor a folder"],
    );
    // `view` reads its file twice, which a pipe does not allow.
    fifo(&scratch, "pipe.raw");
    scratch.refused_with(&["data", "view", "pipe.raw"], &["pipe.raw", "is read twice"]);
}

#[test]
fn an_output_that_cannot_be_is_refused_before_the_work() {
    let scratch = Scratch::new();
    scratch.write("a.raw", evt3(10));
    scratch.write("file", "x");
    for folder in ["file", "file/sub", "/dev/null/x"] {
        scratch.refused_with(
            &["data", "view", "a.raw", "--output", folder],
            &[&format!("--output {folder}"), "is no folder"],
        );
    }
    scratch.refused_with(&["data", "convert", "a.raw", "-"], &["/dev/stdout"]);
    scratch.refused_with(&["data", "convert", "-", "b.txt"], &["/dev/stdin"]);
    scratch.refused_with(&["data", "convert", "a.raw", "."], &["`.` is a folder", "name a file in it"]);
    scratch.refused_with(&["data", "convert", "a.raw", "./a.raw", "--format", "evt2"], &["the file that is read"]);
    assert!(scratch.read("a.raw") == evt3(10));
    assert_eq!(names(&scratch), ["a.raw", "file"]);
    scratch.ok(&["data", "view", "a.raw", "--output", "new/folder"]);
}

#[test]
fn a_remedy_names_the_option_that_does_it() {
    let scratch = Scratch::new();
    scratch.write("a.txt", "x y t p\n1 2 900 1\n3 4 100 0\n");
    scratch.write("far.txt", "x y t p\n1 2 9000000000000000 1\n3 4 9000000000000007 0\n");
    let convert = |from: &str, to: &str, more: &[&str], words: &[&str]| {
        let args = [&["data", "convert", from, to][..], more].concat();
        if words.is_empty() { drop(scratch.ok(&args)) } else { drop(scratch.refused_with(&args, words)) }
    };
    for (format, to) in [("es", "b.es"), ("prophesee-hdf5", "b.hdf5")] {
        let format = ["--format", format];
        convert("a.txt", to, &format, &["state the sensor (`--sensor WIDTHxHEIGHT`)"]);
        convert("a.txt", to, &[&format[..], &["--sensor", "9x9"]].concat(), &["sort the events by time (`--sort`)"]);
        convert("a.txt", to, &[&format[..], &["--sensor", "9x9", "--sort"]].concat(), &[]);
    }
    assert!(scratch.ok(&["data", "info", "b.es"]).stdout.contains("time     100..900"));
    for to in ["c.dat", "c.es"] {
        convert("far.txt", to, &["--sensor", "9x9"], &["start near 0 (`--shift-to-zero`)"]);
        convert("far.txt", to, &["--sensor", "9x9", "--shift-to-zero"], &[]);
    }
    convert("a.txt", "c.gif", &[], &["name one of", "(`--format NAME`)"]);
    scratch.refused_with(&["data", "info", "b.es", "--time-unit", "s"], &["(`--time-unit UNIT`)"]);
}
