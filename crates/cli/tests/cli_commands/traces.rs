//! `tickless trace` and the counts that `parity` and `study chip` read: the files agree with each
//! other and with the engine.

use tickless::net::interop::nir::data::{Observable, data_from_bytes};
use tickless_testing::command::{Scratch, number};

#[test]
fn the_spikes_of_a_trace_are_those_that_parity_counts() {
    let scratch = Scratch::trained();
    let traced =
        scratch.ok_json(&["trace", "run", "t.nir", "--limit", "3", "--what", "spikes,membranes", "--grid-us", "5000"]);
    assert_eq!(traced["recordings"].as_array().map(Vec::len), Some(3), "{traced:#}");
    let parity = scratch.ok_json(&["parity", "run", "--limit", "3", "--counts", "t.nir", "--within", "0"]);
    let pairs = parity["pairs"].as_array().unwrap();
    let counted = pairs.iter().find(|p| p["executor"].as_str().unwrap().contains("t.nir")).unwrap();
    assert_eq!(counted["verdict"], "agree", "{counted:#}");
    for (layer, spikes) in traced["layers"].as_array().unwrap().iter().zip(parity["spikes"].as_array().unwrap()) {
        assert_eq!((&layer["name"], &layer["spikes"]), (&spikes[0], &spikes[1]));
    }
    // The file is what nir's `read_data` opens: spikes with times, potentials on a grid.
    let data = data_from_bytes(&scratch.read("t.nir"), &scratch.at("t.nir")).unwrap();
    for (name, node) in &data.nodes {
        let (Some(Observable::Events(spikes)), Some(Observable::Grid(v))) = (node.get("spikes"), node.get("v")) else {
            panic!("{name}: {node:?}")
        };
        assert_eq!((spikes.samples.len(), spikes.neurons, v.shape[0], v.shape[2]), (3, v.shape[2], 3, spikes.neurons));
        assert!((v.dt - 5e-3).abs() < 1e-12 && v.data.iter().any(|v| *v != 0.0), "{name}");
    }
    // A chosen layer, as NumPy arrays.
    let first = traced["layers"][0]["name"].as_str().unwrap();
    let one = scratch.ok_json(&["trace", "run", "t.npz", "--layers", first, "--limit", "3"]);
    assert_eq!(
        (one["layers"].as_array().map(Vec::len), &one["layers"][0]["spikes"]),
        (Some(1), &traced["layers"][0]["spikes"])
    );
    assert!(scratch.read("t.npz").starts_with(b"PK"));
    // Clocked: the spikes of every step.
    let clocked = scratch.ok_json(&["trace", "run", "c.nir", "--steps", "4", "--limit", "3"]);
    assert!(number(&clocked, "layers/0/spikes") > 0.0, "{clocked:#}");
    for (args, words) in [
        (vec!["trace", "run", "t.txt"], vec!["t.txt", ".npz"]),
        (vec!["trace", "run", "t.npz", "--layers", "none"], vec!["`none`", first]),
        (vec!["trace", "run", "t.npz", "--what", "membranes", "--steps", "4"], vec!["--steps"]),
        (vec!["trace", "run", "t.npz", "--grid-us", "0"], vec!["--grid-us 0"]),
        (vec!["trace", "run", "t.npz", "--steps", "0"], vec!["--steps 0"]),
    ] {
        scratch.refused_with(&args, &words);
    }
}

#[test]
fn a_study_of_a_chip_finds_the_setting_that_made_the_counts() {
    let scratch = Scratch::trained();
    scratch.ok(&["parity", "run", "--limit", "4", "--write-counts", "chip.csv"]);
    scratch.write("published.csv", "name,kind,accuracy\nsinabs,simulator,98.5\nSpeck2f,chip,95.4\n");
    let study = [
        "study",
        "chip",
        "run",
        "--counts",
        "chip.csv",
        "--published",
        "published.csv",
        "--steps",
        "4",
        "--output",
        "study",
        "--jitter-us",
        "1000",
        "--delay-jitter-us",
        "100",
        "--service-us",
        "10",
        "--queue",
        "1",
    ];
    let shown = scratch.ok_json(&study);
    // The counts are the engine's own, so the engine as it is has a difference of 0 and is chosen.
    assert_eq!(shown["rows"][0]["difference"], 0.0, "{shown:#}");
    assert_eq!(shown["recordings"].as_array().map(Vec::len), Some(4));
    for held_out in shown["held_out"].as_array().unwrap() {
        assert_eq!((&held_out["difference"], &held_out["by_default"]), (&0.0.into(), &0.0.into()));
        assert_eq!(held_out["chosen"], shown["rows"][0]["setting"]);
    }
    assert!(shown["rows"].as_array().unwrap().iter().any(|r| number(r, "difference") > 0.0), "{shown:#}");
    let simulated = number(&scratch.ok_json(&["simulate", "run"]), "accuracy");
    assert!((number(&shown["accuracy"][0], "event_driven") - simulated).abs() < 1e-9);
    let evaluated =
        number(&scratch.ok_json(&["eval", "run", "--steps", "4", "--leak", "time"])["points"][0], "accuracy");
    assert!((number(&shown["accuracy"][0], "clocked") - evaluated).abs() < 1e-9);
    assert_eq!(shown["published"][1]["name"], "Speck2f");
    assert!(scratch.at("study/chip.svg").is_file() && scratch.at("study/chip.json").is_file());
    let table = scratch.ok(&study).stdout;
    assert!(table.contains("0.00 %") && table.contains("measured by their authors: Speck2f 95.4"), "{table}");
    scratch.write("bad.csv", "name,kind,accuracy\nx,board,3\n");
    for (option, value, words) in [
        ("--published", "bad.csv", ["bad.csv line 2", "board"]),
        ("--limits", "2", ["`--limits 2`", "none"]),
        ("--service-us", "-1", ["--service-us -1", "above 0"]),
        ("--steps", "0", ["--steps 0", "1"]),
    ] {
        let argument = format!("{option}={value}");
        scratch.refused_with(&["study", "chip", "run", "--counts", "chip.csv", &argument], &words);
    }
}
