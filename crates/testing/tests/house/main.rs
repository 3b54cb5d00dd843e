//! Tests of the repository itself: which crate and which module may import which, whether the
//! paths that documents name exist, that the texts of libraries name no option of the command, and
//! that no test compares a message with a sentence.

mod crates;
mod documents;
mod modules;
mod pins;
mod sources;
mod texts;

use std::path::{Path, PathBuf};

/// The folder of the workspace.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/testing lies in the workspace").to_owned()
}

/// The manifests of all crates, in order of their names.
fn manifests() -> Vec<PathBuf> {
    let crates = std::fs::read_dir(root().join("crates")).expect("the crates are readable");
    let mut all: Vec<PathBuf> = crates.map(|e| e.expect("an entry").path().join("Cargo.toml")).collect();
    all.retain(|manifest| manifest.exists());
    all.sort();
    all
}
