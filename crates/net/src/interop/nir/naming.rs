//! Names of nodes that every reader takes: torch modules must not have dots, HDF5 no slashes.

use std::collections::BTreeSet;

/// Gives every node its own name.
#[derive(Debug)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// `input` and `output` are taken.
    pub fn new() -> Self {
        Self { taken: BTreeSet::from(["input".to_owned(), "output".to_owned()]) }
    }

    /// The wished name, made fit, with a number where it is taken.
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
