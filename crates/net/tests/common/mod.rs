//! What the tests of several files share.
#![allow(dead_code)]

pub mod clocked;
pub mod random;

use std::path::{Path, PathBuf};

/// Where a golden file is, or `None` (and one line that says so).
pub fn golden(file: &str) -> Option<PathBuf> {
    shared("TICKLESS_GOLDEN", "golden", file)
}

/// Where a published network is, or `None` (and one line that says so).
pub fn model(file: &str) -> Option<PathBuf> {
    shared("TICKLESS_MODELS", "models", file)
}

fn shared(variable: &str, folder: &str, file: &str) -> Option<PathBuf> {
    // At run time: a target folder that several clones share keeps the path of the one that built.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let beside = Path::new(&here).join("../../../shared").join(folder);
    let path = std::env::var_os(variable).map_or(beside, PathBuf::from).join(file);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("TICKLESS_REQUIRE_SHARED").is_some_and(|v| v == "1");
    assert!(!required, "{} is required and absent", path.display());
    println!("skipped: {} is absent (set {variable})", path.display());
    None
}
