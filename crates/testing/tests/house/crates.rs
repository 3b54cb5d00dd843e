//! Checks that crates import only crates below them, and that their manifests inherit from the
//! workspace.

use std::collections::BTreeSet;
use toml::Table;

/// The crates from the lowest to the highest. Each may depend only on those before it.
const ORDER: [&str; 12] =
    ["files", "words", "simd", "neuron", "events", "net", "kernels", "train", "engine", "testing", "tickless", "cli"];

/// Pairs of crates that must not import each other although the order allows it, with the reason.
const APART: [(&str, &str, &str); 5] = [
    ("engine", "train", "who runs a network without a clock needs no training"),
    ("engine", "kernels", "the engine needs no tensor library"),
    ("net", "events", "a description is not bound to where its input comes from"),
    ("testing", "kernels", "a simulator that shares code with what it checks would share its faults"),
    ("testing", "engine", "as for the kernels"),
];

/// A crate's folder and its manifest.
fn manifests() -> Vec<(String, Table)> {
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let table = text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let folder = path.parent().and_then(|p| p.file_name()).expect("a manifest lies in a folder");
        (folder.to_string_lossy().into_owned(), table)
    };
    super::manifests().into_iter().map(read).collect()
}

/// The dependencies of one kind, including those of single platforms.
fn dependencies(manifest: &Table, kind: &str) -> Table {
    let platforms = manifest.get("target").and_then(|t| t.as_table()).into_iter().flatten();
    let tables = platforms.filter_map(|(_, t)| t.as_table()).chain([manifest]);
    tables.filter_map(|t| t.get(kind)?.as_table()).flatten().map(|(name, d)| (name.clone(), d.clone())).collect()
}

/// The folder of a dependency that is one of our own crates.
fn own(dependency: &str) -> Option<&str> {
    if dependency == "tickless" { Some(dependency) } else { dependency.strip_prefix("tickless-") }
}

#[test]
fn crates_import_downwards_only() {
    for (name, manifest) in manifests() {
        let place = |of: &str| {
            ORDER.iter().position(|c| *c == of).unwrap_or_else(|| panic!("crates/{of}: give it its place in ORDER"))
        };
        for kind in ["dependencies", "build-dependencies"] {
            let all = dependencies(&manifest, kind);
            for other in all.keys().filter_map(|d| own(d)) {
                assert!(place(other) < place(&name), "crates/{name} imports crates/{other}, which stands above it");
                assert!(other != "testing", "crates/{name} needs crates/testing outside its tests");
                let apart = APART.iter().find(|(a, b, _)| [(*a, *b), (*b, *a)].contains(&(name.as_str(), other)));
                assert!(apart.is_none(), "crates/{name} imports crates/{other}: {}", apart.map_or("", |a| a.2));
            }
        }
    }
}

#[test]
fn every_crate_takes_lints_facts_and_versions_from_the_workspace() {
    for (name, manifest) in manifests() {
        let inherits =
            |t: Option<&toml::Value>| t.and_then(|t| t.get("workspace")).and_then(|w| w.as_bool()) == Some(true);
        assert!(inherits(manifest.get("lints")), "crates/{name}: add `[lints] workspace = true`");
        let package = manifest["package"].as_table().expect("a table");
        for fact in ["version", "edition", "rust-version", "license", "repository", "authors"] {
            assert!(inherits(package.get(fact)), "crates/{name}: `package.{fact}` comes from the workspace");
        }
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let all = dependencies(&manifest, kind);
            let own_version: BTreeSet<&String> = all.iter().filter(|d| !inherits(Some(d.1))).map(|d| d.0).collect();
            assert!(own_version.is_empty(), "crates/{name}: {kind} {own_version:?}: the workspace has the versions");
        }
    }
}
