//! Where the shared reference data lies. It is never part of the project; without it the golden
//! tests say what they skipped.
#![allow(dead_code)] // each test binary uses a part

#[cfg(feature = "datasets")]
pub mod made;

use std::path::{Path, PathBuf};

/// The golden vectors (`TICKLESS_GOLDEN`).
pub fn golden(what: &str) -> Option<PathBuf> {
    shared("TICKLESS_GOLDEN", "../shared/golden", what)
}

/// The data sets (`TICKLESS_DATA`).
pub fn data(what: &str) -> Option<PathBuf> {
    shared("TICKLESS_DATA", "../shared/data", what)
}

fn shared(variable: &str, default: &str, what: &str) -> Option<PathBuf> {
    // At run time: a target folder that several clones share keeps the path of the one that built.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&here).join("../..");
    let folder = std::env::var_os(variable).map_or_else(|| root.join(default), PathBuf::from);
    let path = folder.join(what);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var("TICKLESS_REQUIRE_SHARED").is_ok_and(|v| v == "1");
    assert!(!required, "{} is missing and TICKLESS_REQUIRE_SHARED=1", path.display());
    println!("skipped: {} is not there (set {variable})", path.display());
    None
}
