//! Where the tests find what they compare with. Golden vectors lie in the repository, so they are
//! always there. Recordings and published networks do not; a test that needs them skips, in one
//! visible line, if they are absent, and fails if `TICKLESS_REQUIRE_SHARED=1`.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A file of the golden vectors: in the folder that `TICKLESS_GOLDEN` names, else in `golden/`.
///
/// # Panics
/// If there is no such file.
pub fn golden(file: &str) -> PathBuf {
    let folder = std::env::var_os("TICKLESS_GOLDEN").map_or_else(|| workspace().join("golden"), PathBuf::from);
    let path = folder.join(file);
    assert!(path.exists(), "{} is missing (TICKLESS_GOLDEN names the folder)", path.display());
    path
}

/// A file or folder of the shared recordings (`TICKLESS_DATA`, else `../shared/data`).
///
/// # Panics
/// If it is absent and `TICKLESS_REQUIRE_SHARED=1`.
pub fn data(what: &str) -> Option<PathBuf> {
    shared("TICKLESS_DATA", "data", what)
}

/// A file or folder of the published networks (`TICKLESS_MODELS`, else `../shared/models`).
///
/// # Panics
/// If it is absent and `TICKLESS_REQUIRE_SHARED=1`.
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

/// The workspace of the crate under test. Read while the test runs, because several clones may share
/// a target folder, which keeps the path of the clone that built.
fn workspace() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("../..")
}

/// Prints one line that shows even if the test harness captures the output.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
