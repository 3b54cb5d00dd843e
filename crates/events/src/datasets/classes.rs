//! Finds the classes of a data set with one sub-folder per class, and the files of each part.
//!
//! ```text
//! root/[wrapper/…][train|test/[wrapper/…]]class/[…/]recording
//! ```
//!
//! A wrapper is a folder that contains sub-folders and has no other folder beside it; unpacking an
//! archive often creates one. If the folders are named `train` and `test` (in any case), they are
//! the two parts. Classes are sorted naturally, and so are the recordings of a class, by their path
//! in it. Files beside the class folders (a readme, a list) are ignored.

use std::collections::BTreeSet;
use std::path::Path;

use super::location::RecordingLocation;
use super::natural;
use super::tree::{self, Leaf};
use crate::problem::DatasetProblem;
use crate::{Error, Result};

/// The classes and samples of a data set.
pub struct Found {
    /// The classes, sorted naturally.
    pub names: Vec<String>,
    /// The samples of the part `train`, or all samples if the data set has no parts.
    pub all: Vec<Entry>,
    /// The samples of the part `test`, if the data set has parts.
    pub test: Option<Vec<Entry>>,
}

/// A sample (recording or image) and its class.
#[derive(Clone)]
pub struct Entry {
    /// Index of its class.
    pub class: usize,
    /// Its path below the class folder.
    pub name: Box<str>,
    /// The place at which it is stored.
    pub place: RecordingLocation,
}

/// Which files belong to a data set.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// Whether to ignore every folder or file of this name, and everything below it.
    pub skip: fn(&str) -> bool,
    /// Whether a file of this name can be a sample; any other file in a class folder is an error.
    pub sample: fn(&str) -> bool,
}

/// Lists the classes below `root`, a folder or a zip archive.
///
/// # Errors
/// As [`tree::list`]; [`Error::Missing`] or [`Error::Unexpected`] if the layout differs.
pub fn find(root: &Path, wanted: Wanted) -> Result<Found> {
    let mut leaves = tree::list(root)?;
    leaves.retain(|leaf| !leaf.path.split('/').any(wanted.skip));
    let level = Level { leaves, start: 0 }.descend();
    let folders = level.folders();
    let part = |name: &str| folders.iter().find(|f| f.eq_ignore_ascii_case(name)).cloned();
    let (train, test) = match (part("train"), part("test")) {
        (Some(train), Some(test)) => {
            if let Some(other) = folders.iter().find(|f| **f != train && **f != test) {
                let other = other.clone();
                let problem = DatasetProblem::ThirdPart { train, test, other };
                let remedy = "move it away; a validation part is cut from the training part";
                return Err(Error::unexpected(root.display().to_string(), problem, remedy));
            }
            let (train, test) = level.split(&train, &test);
            (train.descend(), Some(test.descend()))
        }
        _ => (level, None),
    };
    let mut names: Vec<String> = train.folders().into_iter().collect();
    names.sort_by(|a, b| natural::compare(a, b));
    if names.is_empty() {
        return Err(Error::Missing {
            path: root.to_path_buf(),
            what: "a folder for each class".into(),
            remedy: "the layout is CLASS/RECORDING, or train/CLASS/RECORDING and test/CLASS/RECORDING".into(),
        });
    }
    let all = train.entries(&names, wanted, root)?;
    let test = test.map(|test| test.entries(&names, wanted, root)).transpose()?;
    Ok(Found { names, all, test })
}

/// Files whose paths share their first `start` bytes, which is the path of a folder.
struct Level {
    leaves: Vec<Leaf>,
    start: usize,
}

impl Level {
    /// The sub-folder that contains this file, or `None` if the file is not in a sub-folder.
    fn folder<'a>(&self, leaf: &'a Leaf) -> Option<&'a str> {
        leaf.path[self.start..].split_once('/').map(|(folder, _)| folder)
    }

    fn folders(&self) -> BTreeSet<String> {
        self.leaves.iter().filter_map(|leaf| self.folder(leaf)).map(String::from).collect()
    }

    /// Enters folders as long as they are wrappers.
    fn descend(mut self) -> Level {
        loop {
            let folders = self.folders();
            let [only] = Vec::from_iter(&folders)[..] else { return self };
            let next = self.start + only.len() + 1;
            if !self.leaves.iter().any(|leaf| leaf.path.get(next..).is_some_and(|rest| rest.contains('/'))) {
                return self;
            }
            let leaves = std::mem::take(&mut self.leaves);
            self.leaves = leaves.into_iter().filter(|leaf| leaf.path[self.start..].contains('/')).collect();
            self.start = next;
        }
    }

    /// The files of two folders; all others are dropped.
    fn split(self, a: &str, b: &str) -> (Level, Level) {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for leaf in self.leaves {
            match leaf.path[self.start..].split_once('/') {
                Some((folder, _)) if folder == a => left.push(leaf),
                Some((folder, _)) if folder == b => right.push(leaf),
                _ => {}
            }
        }
        let level = |leaves, name: &str| Level { leaves, start: self.start + name.len() + 1 };
        (level(left, a), level(right, b))
    }

    fn entries(self, names: &[String], wanted: Wanted, root: &Path) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for leaf in self.leaves {
            let Some((folder, name)) = leaf.path[self.start..].split_once('/') else { continue };
            let Ok(class) = names.binary_search_by(|n| natural::compare(n, folder)) else {
                let problem = DatasetProblem::TestClass { class: folder.into() };
                return Err(Error::unexpected(root.display().to_string(), problem, "give both parts the same classes"));
            };
            if !(wanted.sample)(name) {
                let problem = DatasetProblem::OtherFile;
                return Err(Error::unexpected(leaf.place.label(), problem, "move it away or convert it"));
            }
            entries.push(Entry { class, name: name.into(), place: leaf.place });
        }
        entries.sort_by(|a, b| a.class.cmp(&b.class).then_with(|| natural::compare(&a.name, &b.name)));
        Ok(entries)
    }
}
