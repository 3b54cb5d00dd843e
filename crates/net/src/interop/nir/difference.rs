//! Differences between the original network and how a reader of the graph will run it.

use super::deviation::Deviation;
use super::reader::Reader;
use std::fmt;

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The reader that differs; `None` if every reader does, or if the importer had to choose.
    pub reader: Option<Reader>,
    /// Names of the layers or nodes; empty if the difference concerns the whole graph.
    pub places: Vec<String>,
    /// The difference in behaviour.
    pub what: Deviation,
}

/// The largest number of places that one message lists by name.
const SHOWN: usize = 4;

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reader) = self.reader {
            write!(f, "{}: ", reader.name())?;
        }
        if !self.places.is_empty() {
            let shown = self.places.iter().take(SHOWN).map(|p| format!("`{p}`")).collect::<Vec<_>>().join(", ");
            match self.places.len().saturating_sub(SHOWN) {
                0 => write!(f, "{shown}: ")?,
                more => write!(f, "{shown} and {more} more: ")?,
            }
        }
        self.what.fmt(f)
    }
}

/// Merges differences of the same reader and text into one with all their places, and sorts them by
/// reader.
pub(super) fn joined(all: Vec<Difference>) -> Vec<Difference> {
    let mut joined: Vec<Difference> = Vec::new();
    for d in all {
        match joined.iter_mut().find(|j| j.reader == d.reader && j.what == d.what) {
            Some(j) => j.places.extend(d.places),
            None => joined.push(d),
        }
    }
    for d in &mut joined {
        d.places.dedup();
    }
    joined.sort_by_key(|d| d.reader);
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_many_places_is_one_line() {
        let of_layer =
            |i: usize| Difference { reader: Some(Reader::Norse), places: vec![format!("n{i}")], what: "x".into() };
        let all = joined((0..6).chain([5]).map(of_layer).collect());
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].to_string(), "Norse: `n0`, `n1`, `n2`, `n3` and 2 more: x");
    }
}
