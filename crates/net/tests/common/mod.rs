//! What the tests of several files share.
#![allow(dead_code)]

pub mod clocked;
pub mod random;

use std::path::{Path, PathBuf};

/// Where a golden file is, or `None` (and one line that says so).
pub fn golden(file: &str) -> Option<PathBuf> {
    // At run time: a target folder that several clones share keeps the path of the one that built.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&here).join("../..");
    let folder = std::env::var_os("TICKLESS_GOLDEN").map_or_else(|| root.join("../shared/golden"), PathBuf::from);
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("TICKLESS_REQUIRE_SHARED").is_some_and(|v| v == "1");
    assert!(!required, "{} is required and absent", path.display());
    println!("skipped: {} is absent (set TICKLESS_GOLDEN)", path.display());
    None
}
