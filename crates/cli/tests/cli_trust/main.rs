//! The guarantees of a run folder: no error in it goes unnoticed, whatever fails.
//!
//! Every file is checked when it is read; every writer leaves the old file or the new one; every
//! write error reaches the exit code; every number is finite.
#![cfg(unix)]

mod conditions;
mod damage;
mod killed;
mod numbers;
mod output;
mod together;

use std::process::Child;
use std::time::{Duration, Instant};
use tickless_testing::command::{Ran, Scratch};

/// Sends a signal to a process.
fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
    assert!(sent.expect("a shell").success());
}

fn wait(child: Child) -> Ran {
    Ran::of(&[], child.wait_with_output().expect("the program ends"))
}

fn wait_for(scratch: &Scratch, name: &str) {
    let begun = Instant::now();
    while !scratch.at(name).exists() {
        assert!(begun.elapsed() < tickless_testing::hang::HUNG_AFTER, "{name} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs a shell command line in which `$B` is the program.
fn shell(scratch: &Scratch, line: &str) -> Ran {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", line]).current_dir(scratch.path()).env("B", env!("CARGO_BIN_EXE_tickless"));
    Ran::of(&[line], command.output().expect("a shell"))
}

/// Temporary and hidden files in a folder.
fn leftovers(scratch: &Scratch, folder: &str) -> Vec<String> {
    let names = std::fs::read_dir(scratch.at(folder)).expect("a folder").map(|e| e.expect("an entry").file_name());
    names.filter_map(|n| n.into_string().ok()).filter(|n| n.starts_with('.') || n.ends_with(".tmp")).collect()
}

/// Random integers below `below`, the same in every execution of a test.
fn random(seed: u64, below: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 20) % below
    })
}
