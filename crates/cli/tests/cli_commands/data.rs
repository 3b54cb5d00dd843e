//! `tickless data`: recordings and data sets.

use tickless::events::Event;
use tickless::events::formats::nmnist_bin;
use tickless_testing::command::{Scratch, number};

#[test]
fn data_are_listed_and_explained() {
    let scratch = Scratch::new();
    let list = scratch.ok(&["data", "list"]).stdout;
    for name in ["digits-dvs", "nmnist", "mnist-dvs-sim", "cifar10"] {
        assert!(list.lines().any(|l| l.starts_with(name)), "{name}: {list}");
    }
    let json = scratch.ok_json(&["data", "list"]);
    assert!(json.as_array().unwrap().iter().any(|d| d["name"] == "nmnist"));

    let events = (0..50u16).map(|k| Event { t_us: u64::from(k) * 100, x: k % 34, y: 33 - k % 34, on: k % 3 == 0 });
    scratch.write("00001.bin", nmnist_bin::encode(events).unwrap());
    let text = scratch.ok(&["data", "info", "00001.bin"]).stdout;
    assert!(text.contains("nmnist-bin") && text.contains("50") && text.contains("4900"), "{text}");
    let json = scratch.ok_json(&["data", "info", "00001.bin"]);
    assert_eq!((number(&json, "events"), number(&json, "on")), (50.0, 17.0));

    for digit in 0..10 {
        for part in ["Train", "Test"] {
            scratch.write(&format!("data/{part}/{digit}/1.bin"), scratch.read("00001.bin"));
        }
    }
    let text = scratch.ok(&["data", "info", "data"]).stdout;
    assert!(text.contains("nmnist") && text.contains("10 train + 10 test"), "{text}");

    scratch.refused_with(&["data", "info", "no/where"], &["no/where"]);
    scratch.write("letter.txt", "Dear reader");
    scratch.refused_with(&["data", "info", "letter.txt"], &["letter.txt"]);
}

#[test]
fn recordings_are_converted_without_loss() {
    let scratch = Scratch::new();
    let event = |k: u16| Event { t_us: u64::from(k) * 300, x: k % 34, y: (k * 7) % 34, on: k.is_multiple_of(2) };
    scratch.write("a.bin", nmnist_bin::encode((0..200).map(event)).unwrap());
    let digest = |file: &str| scratch.ok_json(&["data", "info", file])["sha256"].clone();
    for to in ["a.aedat4", "a.raw", "a.dat", "a.npy"] {
        let mut args = vec!["data", "convert", "a.bin", to, "--sensor", "34x34"];
        if to == "a.raw" {
            args.extend(["--format", "evt3"]);
        }
        assert_eq!(number(&scratch.ok_json(&args), "events"), 200.0, "{to}");
        let (from, back) = (digest("a.bin"), digest(to));
        assert!(from.is_string() && from == back, "{to}: {from} {back}");
    }
    // Event Stream counts y from the bottom, so its stored rows differ; converting back restores
    // them.
    scratch.ok(&["data", "convert", "a.bin", "a.es", "--sensor", "34x34"]);
    assert_ne!(digest("a.bin"), digest("a.es"));
    scratch.ok(&["data", "convert", "a.es", "back.bin"]);
    assert_eq!(digest("a.bin"), digest("back.bin"));
    scratch.refused_with(&["data", "convert", "a.bin", "b.dat", "--sensor", "wide"], &["--sensor wide", "346x260"]);
    scratch.refused_with(&["data", "convert", "a.bin", "b.xyz"], &[".xyz", "aedat4"]);
}

#[test]
fn data_sets_are_fetched_listed_and_refused_in_words() {
    use std::io::{Read, Write};
    let scratch = Scratch::new();
    let known = scratch.ok_json(&["data", "fetch"]);
    let names: Vec<&str> = known.as_array().unwrap().iter().map(|k| k["name"].as_str().unwrap()).collect();
    assert!(["mnist", "nmnist", "shd", "dvs-gesture"].iter().all(|n| names.contains(n)), "{names:?}");
    assert!(known[0]["files"][0]["state"] == "missing" && known[0]["folder"] == "data/mnist", "{known:#}");
    scratch.refused_with(&["data", "fetch", "brain"], &["brain", "nmnist"]);
    // The server has no file: the command does not retry, and says how to download it by hand.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}", server.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0u8; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let ran = scratch.run(&["data", "fetch", "mnist", "--mirror", &mirror]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    let error = ran.stderr.lines().last().unwrap();
    for word in ["404", "train-images-idx3-ubyte.gz", "browser", "data/mnist"] {
        assert!(error.contains(word), "no {word} in {error}");
    }
}

#[test]
fn a_recording_is_drawn_as_a_picture_and_an_animation() {
    let scratch = Scratch::new();
    let event = |k: u16| Event { t_us: u64::from(k) * 300, x: k % 34, y: (k * 7) % 34, on: k.is_multiple_of(2) };
    scratch.write("a.bin", nmnist_bin::encode((0..200).map(event)).unwrap());
    let seen = scratch.ok_json(&["data", "view", "a.bin", "--output", "drawn", "--frames", "12"]);
    assert_eq!((number(&seen, "events"), number(&seen, "span_us")), (200.0, 199.0 * 300.0), "{seen:#}");
    assert!(scratch.read("drawn/a.png").starts_with(b"\x89PNG"));
    let animation = scratch.read("drawn/a.gif");
    assert!(animation.starts_with(b"GIF89a") && animation.len() > 500, "{}", animation.len());
    scratch.write("empty.txt", "# x y t p\n");
    scratch.refused_with(&["data", "view", "empty.txt"], &["empty.txt", "no events"]);
    scratch.refused_with(&["data", "view", "a.bin", "--frames", "0"], &["--frames 0"]);
    scratch.refused_with(&["data", "view", "nothing.raw"], &["nothing.raw"]);
}
