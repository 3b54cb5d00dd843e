//! File names of any bytes: paths that are not UTF-8 work, or are refused with the path shown.
//! Control characters of names never reach the terminal.

use std::ffi::{OsStr, OsString};
use std::io::{Cursor, Write};
use std::os::unix::ffi::OsStrExt;

use super::evt3;
use tickless_testing::command::{Ran, Scratch};
use tickless_testing::recipes::RECIPE;

/// Runs the command with arguments of any bytes.
fn run(scratch: &Scratch, args: &[&OsStr]) -> Ran {
    let out = scratch.command(&[]).args(args).output().unwrap();
    let shown: Vec<String> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    Ran::of(&shown.iter().map(String::as_str).collect::<Vec<_>>(), out)
}

fn os(text: &str) -> &OsStr {
    OsStr::new(text)
}

#[test]
fn paths_that_are_not_utf8_work() {
    let scratch = Scratch::small();
    let name = |text: &[u8]| OsString::from(OsStr::from_bytes(text));
    let (folder, file, out) = (name(b"b\xff"), name(b"a\xfe.raw"), name(b"c\xfd.es"));
    std::fs::write(scratch.path().join(&file), evt3(1000)).unwrap();
    let commands: &[&[&OsStr]] = &[
        &[os("data"), os("info"), &file],
        &[os("data"), os("info"), &file, os("--json")],
        &[os("data"), os("convert"), &file, &out],
        &[os("data"), os("convert"), &file, &out, os("--json")],
        &[os("data"), os("view"), &file, os("--output"), &folder],
        &[os("data"), os("view"), &file, os("--output"), &folder, os("--json")],
        &[os("train"), os("small.toml"), os("--output"), &folder],
        &[os("eval"), &folder],
        &[os("eval"), &folder, os("--json")],
        &[os("report"), &folder],
        &[os("report"), &folder, os("--json"), os("--separate")],
        &[os("export"), &folder, os("--to"), os("nir")],
        &[os("export"), &folder, os("--to"), os("nir"), os("--json")],
    ];
    for args in commands {
        let ran = run(&scratch, args);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        if args.last() == Some(&os("--json")) {
            serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:#?}"));
        }
    }
    let compared = [os("compare"), os("small.toml"), os("--strategies"), os("sdt"), os("--output"), &name(b"d\xff")];
    let ran = run(&scratch, &compared);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
}

#[test]
fn what_cannot_be_named_in_a_recipe_is_refused_with_the_path_shown() {
    let scratch = Scratch::small();
    let data = OsStr::from_bytes(b"data\xff");
    std::fs::create_dir(scratch.path().join(data)).unwrap();
    let ran = run(&scratch, &[os("train"), os("small.toml"), os("--set"), os("data.set=folder"), os("--data"), data]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains(r"data\xFF") && ran.stderr.contains("UTF-8"), "{ran:#?}");
    // A recording whose name is not UTF-8, in a folder of classes.
    scratch.write("set/train/cat/a.raw", evt3(10));
    scratch.write("set/test/cat/a.raw", evt3(10));
    std::fs::write(scratch.at("set/train/cat").join(OsStr::from_bytes(b"b\xff.raw")), evt3(10)).unwrap();
    let line =
        scratch.refused_with(&["train", "small.toml", "--set", "data.set=folder", "--data", "set"], &["not Unicode"]);
    assert!(line.contains("set/train/cat/b"), "{line}");
}

/// Whether a text is safe for a terminal: no escape sequences, one-byte ones included, and no
/// characters that change the direction of text.
fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

const EVIL: &str = "x\u{1b}[31mred\u{9b}31m\u{7}\r\u{202e}y";

#[test]
fn control_characters_of_names_are_shown_escaped() {
    let scratch = Scratch::new();
    scratch.write("small.toml", RECIPE);
    let toml =
        |text: &str| serde_json::to_string(text).unwrap().replace('\u{9b}', "\\u009b").replace('\u{202e}', "\\u202e");
    // In recipes: a data set, a network, a strategy, a key.
    for change in [
        format!("data.set={}", toml(EVIL)),
        format!("network.name={}", toml(EVIL)),
        format!("train.strategy={}", toml(EVIL)),
        format!("\"{EVIL}\"=1"),
    ] {
        let line = scratch.refused(&["train", "small.toml", "--set", &change]);
        assert!(is_plain(&line) && line.contains("[31m"), "{line:?}");
    }
    scratch.write(
        "evil.toml",
        RECIPE.replace(
            "seed = 1\n",
            &format!("seed = 1\n\"{EVIL}\" = 2\n").replace('\u{7}', "\\u0007").replace('\r', ""),
        ),
    );
    let line = scratch.refused(&["train", "evil.toml"]);
    assert!(is_plain(&line), "{line:?}");
    // In names of files and folders, classes among them.
    scratch.write(EVIL, "nothing known");
    let line = scratch.refused(&["data", "info", EVIL]);
    assert!(is_plain(&line) && line.contains(r"\u{1b}[31m"), "{line:?}");
    scratch.write(&format!("set/train/{EVIL}/a.txt"), "no events");
    scratch.write(&format!("set/test/{EVIL}/a.txt"), "no events");
    let ran = scratch.run(&["data", "info", "set"]);
    assert!(is_plain(&ran.stdout) && is_plain(&ran.stderr), "{ran:?}");
    let line = scratch.refused(&["train", "small.toml", "--set", "data.set=folder", "--data", "set"]);
    assert!(is_plain(&line), "{line:?}");
    // In names of members of an archive.
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for part in ["train", "test"] {
        zip.start_file(format!("{part}/cat/{EVIL}.bin"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"????").unwrap();
    }
    scratch.write("evil.zip", zip.finish().unwrap().into_inner());
    for args in
        [&["data", "info", "evil.zip"][..], &["train", "small.toml", "--set", "data.set=folder", "--data", "evil.zip"]]
    {
        let ran = scratch.run(args);
        assert!(is_plain(&ran.stdout) && is_plain(&ran.stderr), "{ran:?}");
    }
}

#[test]
fn control_characters_of_tensors_and_results_are_shown_escaped() {
    let scratch = Scratch::trained();
    // In the name of a tensor of the weights.
    let bytes = scratch.read("run/weights.safetensors");
    let (size, rest) = bytes.split_at(8);
    let n = u64::from_le_bytes(size.try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&rest[..n]).unwrap();
    let tensors = header.as_object_mut().unwrap();
    let first = tensors.keys().find(|k| *k != "__metadata__").unwrap().clone();
    let tensor = tensors.remove(&first).unwrap();
    tensors.insert(format!("{first}{EVIL}"), tensor);
    let header = header.to_string();
    let evil = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &rest[n..]].concat();
    scratch.write("run/weights.safetensors", evil);
    let line = scratch.refused(&["eval", "run"]);
    assert!(is_plain(&line), "{line:?}");
    // In the path of a result, printed as text and as JSON.
    scratch.write("a.raw", evt3(100));
    for json in [&[][..], &["--json"]] {
        let ran = scratch.ok(&[&["data", "view", "a.raw", "--output", EVIL], json].concat());
        assert!(is_plain(&ran.stdout) && is_plain(&ran.stderr), "{ran:?}");
        if !json.is_empty() {
            let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
            assert!(value["picture"].as_str().unwrap().contains(EVIL), "JSON keeps the name itself");
        }
    }
}
