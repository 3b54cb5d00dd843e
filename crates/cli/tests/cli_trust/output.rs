//! Standard output and standard error that cannot be written.

use super::{shell, signal, wait, wait_for};
use tickless_testing::command::Scratch;
use tickless_testing::recipes::RECIPE;

/// Commands that write to standard error, and a file that each creates.
const COMMANDS: [(&str, &str); 6] = [
    ("train small.toml --output new", "new/weights.safetensors"),
    ("eval run", "run/eval.json"),
    ("simulate run", "run/simulate.json"),
    ("report run", "run/report/report.html"),
    ("finetune run --epochs 1 --output tuned", "tuned/weights.safetensors"),
    ("compare small.toml --strategies sdt --output both", "both/report.json"),
];

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let scratch = Scratch::trained();
    for (command, file) in COMMANDS {
        let ran = shell(&scratch, &format!("$B {command} 2>/dev/full"));
        assert_eq!(ran.code, Some(0), "{command}: {ran:#?}");
        assert!(!ran.stdout.is_empty() && scratch.at(file).is_file(), "{command}");
    }
    for command in ["eval none", "train none.toml", "frobnicate", "eval run --steps 0"] {
        let ran = shell(&scratch, &format!("$B {command} 2>/dev/full"));
        assert_eq!(ran.code, Some(2), "{command}: {ran:#?}");
    }
}

#[test]
fn a_log_whose_reader_has_gone_stops_nothing() {
    let scratch = Scratch::small();
    // `true` ends at once; the file `code` holds the exit code of the training.
    let line = "($B train small.toml --epochs 20 --output run 2>&1 >/dev/null; echo $? >code) | true; cat code";
    assert_eq!(shell(&scratch, line).stdout, "0\n");
    assert!(scratch.at("run/checkpoint.safetensors").is_file() && scratch.at("run/weights.safetensors").is_file());
}

#[test]
fn results_that_cannot_be_written_reach_the_exit_code_and_stop_no_work() {
    let scratch = Scratch::trained();
    for (command, file) in COMMANDS {
        let ran = shell(&scratch, &format!("$B {command} >/dev/full"));
        assert_eq!(ran.code, Some(2), "{command}: {ran:#?}");
        assert!(ran.stderr.ends_with("error: standard output: No space left on device (os error 28)\n"), "{ran:#?}");
        assert!(scratch.at(file).is_file(), "{command}");
    }
    for command in ["--help", "--version", "data list", "help train"] {
        let ran = shell(&scratch, &format!("$B {command} >/dev/full"));
        assert_eq!(ran.code, Some(2), "{command}: {ran:#?}");
    }
    // If both streams are full, the program does not panic either.
    assert_eq!(shell(&scratch, "$B eval run >/dev/full 2>/dev/full").code, Some(2));
}

#[test]
fn a_standard_output_that_is_closed_from_the_start_is_the_null_device() {
    // Otherwise the first file that the program opens would get the descriptor of standard output,
    // and the table would be written into it.
    let scratch = Scratch::trained();
    for (command, file) in COMMANDS {
        let ran = shell(&scratch, &format!("$B {command} >&- 2>log"));
        assert_eq!(ran.code, Some(0), "{command}: {}", scratch.text("log"));
        let whole = scratch.read(file);
        std::fs::remove_file(scratch.at(file)).unwrap();
        assert!(!String::from_utf8_lossy(&whole).contains("% correct") || file.ends_with(".html"), "{command}");
    }
    assert_eq!(shell(&scratch, "$B eval none >&-").code, Some(2));
}

#[test]
fn a_reader_of_results_that_has_gone_is_no_error_and_stops_no_work() {
    let scratch = Scratch::trained();
    // `export` prints its report before it finds that the network does not fit; the error must
    // still be printed.
    for (command, code, said) in
        [("train small.toml --output new", "0\n", ""), ("export run --to speck", "2\n", "does not fit")]
    {
        let ran = shell(&scratch, &format!("($B {command} 2>err; echo $? >code) | true; cat code"));
        assert_eq!(ran.stdout, code, "{command}: {ran:#?}");
        assert!(scratch.text("err").contains(said), "{command}: {}", scratch.text("err"));
    }
    assert!(scratch.at("new/weights.safetensors").is_file());
}

#[test]
fn a_closed_terminal_stops_a_training_as_sigterm_does_and_may_say_so_twice() {
    let scratch = Scratch::new();
    scratch.write("long.toml", RECIPE.replace("epochs = 1", "epochs = 1000"));
    for (name, signals) in [("term", ["TERM"].as_slice()), ("hup", &["HUP"]), ("twice", &["HUP", "HUP"])] {
        let child = scratch.spawn(&["train", "long.toml", "--output", name]);
        wait_for(&scratch, &format!("{name}/metrics.jsonl"));
        signals.iter().for_each(|s| signal(&child, s));
        let ran = wait(child);
        assert_eq!(ran.code, Some(130), "{name}: {ran:#?}");
        assert!(ran.stderr.contains("a checkpoint is kept"), "{name}: {ran:#?}");
    }
    // As with `nohup`, the process is started with SIGHUP ignored.
    let child = std::process::Command::new("sh")
        .args(["-c", "trap '' HUP; exec $B train long.toml --set train.epochs=30 --output nohup"])
        .env("B", env!("CARGO_BIN_EXE_tickless"))
        .current_dir(scratch.path())
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("a shell");
    wait_for(&scratch, "nohup/metrics.jsonl");
    signal(&child, "HUP");
    assert_eq!(wait(child).code, Some(0));
}
