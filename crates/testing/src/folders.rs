//! Finds the data that tests compare with. Golden vectors are in the repository, so they always
//! exist. Recordings and published networks are not: if they are missing, a test that needs them
//! skips with one visible line, or fails if `TICKLESS_REQUIRE_SHARED=1`.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A golden file, in the folder that `TICKLESS_GOLDEN` names or else in `golden/`.
///
/// # Panics
/// If the file does not exist.
pub fn golden(file: &str) -> PathBuf {
    let folder = std::env::var_os("TICKLESS_GOLDEN").map_or_else(|| workspace().join("golden"), PathBuf::from);
    let path = folder.join(file);
    assert!(path.exists(), "{} is missing (TICKLESS_GOLDEN names the folder)", path.display());
    path
}

/// A file or folder of the shared recordings, in `TICKLESS_DATA` or else in `../shared/data`.
/// `None` if it does not exist.
///
/// # Panics
/// If it does not exist and `TICKLESS_REQUIRE_SHARED=1`.
pub fn data(what: &str) -> Option<PathBuf> {
    shared("TICKLESS_DATA", "data", what)
}

/// A file or folder of the published networks, in `TICKLESS_MODELS` or else in `../shared/models`.
/// `None` if it does not exist.
///
/// # Panics
/// If it does not exist and `TICKLESS_REQUIRE_SHARED=1`.
pub fn models(what: &str) -> Option<PathBuf> {
    shared("TICKLESS_MODELS", "models", what)
}

fn shared(variable: &str, name: &str, what: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map_or_else(|| workspace().join("../shared").join(name), PathBuf::from);
    let path = folder.join(what);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("TICKLESS_REQUIRE_SHARED").is_some_and(|v| v == "1");
    assert!(!required, "{} is missing, and TICKLESS_REQUIRE_SHARED=1 asks for it", path.display());
    say(&format!("skipped: {} is absent (set {variable})", path.display()));
    None
}

/// The workspace of the crate under test. The variable is read at run time, because clones that
/// share a target folder would otherwise use the path of the clone that compiled the test.
fn workspace() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("../..")
}

/// Prints a line that is visible even if the test harness captures output.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
