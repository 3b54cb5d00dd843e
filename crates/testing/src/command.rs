//! Runs the built command in a scratch folder.

use crate::recipes::RECIPE;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A scratch folder for recipes and runs.
pub struct Scratch {
    folder: TempDir,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// An empty folder.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A folder with [`RECIPE`] as `small.toml`.
    pub fn small() -> Self {
        let scratch = Self::new();
        scratch.write("small.toml", RECIPE);
        scratch
    }

    /// A folder with [`RECIPE`] as `small.toml`, trained into the folder `run`.
    pub fn trained() -> Self {
        let scratch = Self::small();
        scratch.ok(&["train", "small.toml", "--output", "run"]);
        scratch
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file and creates its parent folders.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let file = self.at(name);
        std::fs::create_dir_all(file.parent().expect("a file lies in a folder")).expect("a folder");
        std::fs::write(file, bytes).expect("a file");
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Reads a text file.
    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    /// Reads a JSON file.
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// A stored result without its checksum; panics if the file has none.
    pub fn result(&self, name: &str) -> Value {
        let mut result = self.json(name);
        let checksum = result.as_object_mut().and_then(|fields| fields.remove("checksum"));
        assert!(checksum.is_some_and(|sum| sum.as_str().is_some_and(|sum| sum.starts_with("xxh3-64:"))), "{name}");
        result
    }

    /// The command, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Starts the command without waiting for it.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    /// Runs the command to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(args, self.command(args).output().expect("the program starts"))
    }

    /// Runs the command and asserts that it succeeds.
    pub fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        ran
    }

    /// The duration of a command that succeeds: the shortest of three runs, because a machine with
    /// other work may hold up one of them.
    pub fn duration(&self, args: &[&str]) -> Duration {
        let one = |_| {
            let begun = Instant::now();
            self.ok(args);
            begun.elapsed()
        };
        (0..3).map(one).min().expect("three runs")
    }

    /// Runs the command with `--json` and asserts that it succeeds.
    pub fn ok_json(&self, args: &[&str]) -> Value {
        let ran = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:#?}"))
    }

    /// Runs the command and asserts that it fails as after a user's mistake: exit code 2 and one
    /// line on standard error. Returns the line.
    pub fn refused(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert!(lines.len() == 1 && lines[0].starts_with("error: "), "not one line of error: {ran:#?}");
        lines[0].to_owned()
    }

    /// As [`refused`](Self::refused); also asserts that the line contains all these words.
    pub fn refused_with(&self, args: &[&str], words: &[&str]) -> String {
        let line = self.refused(args);
        for word in words {
            assert!(line.contains(word), "no `{word}` in: {line}");
        }
        line
    }
}

/// The program that Cargo has built for the tests that run now.
fn built() -> PathBuf {
    let test = || std::env::current_exe().expect("a test is a program");
    // A test lies in `deps`, below the folder of the programs.
    let beside = || test().parent().and_then(Path::parent).expect("a folder of programs").join("tickless");
    std::env::var_os("CARGO_BIN_EXE_tickless").map_or_else(beside, PathBuf::from)
}

/// The program, started so that SIGHUP stops it even if these tests run under `nohup`.
fn program() -> Command {
    let program = built();
    if !hangup_is_ignored() {
        return Command::new(program);
    }
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP").arg(program);
    command
}

/// Whether this process, and therefore its children, ignores SIGHUP (signal 1, the lowest bit of
/// the mask).
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:")).unwrap_or_default();
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1)
}

/// The result of a finished program.
#[derive(Debug)]
pub struct Ran {
    /// Its arguments.
    pub args: Vec<String>,
    /// Exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// The result of a call with these arguments and this output.
    pub fn of(args: &[&str], out: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes text");
        let args = args.iter().map(|a| (*a).to_owned()).collect();
        Self { args, code: out.status.code(), stdout: text(out.stdout), stderr: text(out.stderr) }
    }
}

/// The number at a path such as `a/b/c` of a JSON value.
pub fn number(value: &Value, path: &str) -> f64 {
    value
        .pointer(&format!("/{path}"))
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("no number {path} in {value:#}"))
}
