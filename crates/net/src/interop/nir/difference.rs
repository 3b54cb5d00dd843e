//! What a reader of a graph will do differently from the network that was meant.

use super::reader::Reader;
use std::fmt;

/// One thing that differs, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Who differs; `None` where everybody does, or where an import had to choose.
    pub reader: Option<Reader>,
    /// The layers or nodes; none where it is about the whole graph.
    pub places: Vec<String>,
    /// What it does.
    pub what: String,
}

/// No more places are spelled out in a line.
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
        f.write_str(&self.what)
    }
}

/// The same thing said of several places, said once; in the order of the readers.
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
        let one = |i: usize| Difference {
            reader: Some(Reader::Norse),
            places: vec![format!("n{i}")],
            what: "does not fire".to_owned(),
        };
        let all = joined((0..6).chain([5]).map(one).collect());
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].to_string(), "Norse: `n0`, `n1`, `n2`, `n3` and 2 more: does not fire");
    }
}
