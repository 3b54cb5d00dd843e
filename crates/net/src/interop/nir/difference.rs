//! What a reader of a graph will do differently from the network that was meant.

use super::reader::Reader;
use std::fmt;

/// One thing that differs, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Who differs; `None` where everybody does, or where an import had to choose.
    pub reader: Option<Reader>,
    /// The layer or node; empty where it is about the whole graph.
    pub place: String,
    /// What it does.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reader) = self.reader {
            write!(f, "{reader}: ")?;
        }
        if !self.place.is_empty() {
            write!(f, "`{}`: ", self.place)?;
        }
        f.write_str(&self.what)
    }
}
