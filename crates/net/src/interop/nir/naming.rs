//! Names of nodes that every reader accepts: torch forbids dots in names of modules, and HDF5
//! forbids slashes.

use std::collections::BTreeSet;

/// Gives each node a unique name.
#[derive(Debug)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// Starts with `input` and `output` in use.
    pub fn new() -> Self {
        Self { taken: BTreeSet::from(["input".to_owned(), "output".to_owned()]) }
    }

    /// Returns `wish` with invalid characters replaced by `_`, and appends a number if the name is
    /// in use.
    pub fn take(&mut self, wish: &str) -> String {
        let fit = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
        let base: String = wish.chars().map(fit).collect();
        let mut name = base.clone();
        let mut n = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{base}_{n}");
            n += 1;
        }
        name
    }
}
