//! Checks that every path named in the documents for developers exists.

use std::collections::BTreeSet;
use std::path::Path;

const DOCUMENTS: [&str; 2] = ["docs/architecture.md", "CONTRIBUTING.md"];

/// All files and folders of the clone, by path, except build output and `.git`.
fn all_paths() -> BTreeSet<String> {
    let (root, mut found, mut folders) = (super::root(), BTreeSet::new(), vec![super::root()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the clone is readable") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name == "target" || name == ".git" {
                continue;
            }
            let inside = path.strip_prefix(&root).expect("inside the clone").to_string_lossy().into_owned();
            found.insert(inside);
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

/// The paths that a document names: links into the clone, and code spans of one word that contain a
/// slash or end like a source file or a document. (A name such as `run.json` is a file that the
/// program writes.) The flag tells a link from a code span.
fn named(text: &str) -> BTreeSet<(bool, String)> {
    let code = text.split('`').skip(1).step_by(2);
    let ends = [".rs", ".md", ".py", ".sh"];
    let is_path = |c: &&str| {
        let plain = c.chars().all(|c| c.is_alphanumeric() || "._-/".contains(c));
        plain
            && !c.starts_with(['/', '-'])
            && !c.starts_with("..")
            && (c.contains('/') || ends.iter().any(|e| c.ends_with(e)))
    };
    let links = text.match_indices("](").filter_map(|(at, _)| text[at + 2..].split([')', '#']).next());
    let local = links.filter(|l| !l.contains(':') && !l.is_empty()).map(|l| (true, l.to_owned()));
    code.filter(is_path).map(|c| (false, c.trim_end_matches('/').to_owned())).chain(local).collect()
}

#[test]
fn every_path_that_the_documents_name_exists() {
    let all = all_paths();
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(super::root().join(document)).unwrap_or_else(|e| panic!("{document}: {e}"));
        let fenced: String = text.split("```").step_by(2).collect();
        for (is_link, path) in named(&fenced) {
            let beside = Path::new(document).parent().expect("a document lies in a folder").join(&path);
            // A code span may name a path relative to any folder, so its end is enough.
            let ends = |p: &String| *p == path || (!is_link && p.ends_with(&format!("/{path}")));
            let is_beside = is_link && super::root().join(beside).exists();
            if !is_beside && !all.iter().any(ends) {
                missing.push(format!("{document}: `{path}`"));
            }
        }
    }
    assert!(missing.is_empty(), "there is no such file or folder:\n{}", missing.join("\n"));
}

#[test]
fn paths_are_found_in_code_and_in_links_and_nothing_else_is() {
    let text = "See `cpu/fused`, [x](golden), `gone.rs`, `[T, B]`, `--device cpu`, `a::b`, <https://x.y/z>, `../data`.";
    let expected = [(false, "cpu/fused"), (false, "gone.rs"), (true, "golden")];
    assert_eq!(named(text), expected.map(|(link, path)| (link, path.to_owned())).into());
}
