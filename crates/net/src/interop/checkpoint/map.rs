//! A user's map from the names of a file to the layers of a network, as TOML:
//!
//! ```toml
//! "backbone.stem" = "conv1"               # a module: all its tensors
//! "head.out.weight" = "linear1.weight"    # one tensor
//! ```

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use toml::Value;

/// Names of a file and the layers or tensors of a network that they stand for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Map {
    /// The file that the map was read from; empty if it was not.
    pub file: PathBuf,
    /// Pairs of a module or tensor of the checkpoint and a layer or tensor of the network.
    pub pairs: Vec<(String, String)>,
}

impl Map {
    /// Reads a map.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or has a value other than a text.
    pub fn load(file: &Path) -> Result<Self> {
        Self::parse(&std::fs::read_to_string(file).map_err(|e| Error::io(file, e))?, file)
    }

    /// Reads the text of a map; the messages name `file`.
    ///
    /// # Errors
    /// If the text is not TOML, or has a value other than a text.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let refused = |problem: String| Error::Checkpoint { file: file.to_owned(), problem };
        let table: toml::Table = toml::from_str(text)
            .map_err(|e| refused(format!("is not a map in TOML: {}", e.to_string().trim_end().replace('\n', " "))))?;
        let mut pairs = Vec::new();
        let mut open: Vec<(String, Value)> = table.into_iter().rev().collect();
        while let Some((name, value)) = open.pop() {
            match value {
                Value::String(ours) => pairs.push((name, ours)),
                // Without quotes, TOML reads the dots of a name as tables.
                Value::Table(inner) => open.extend(inner.into_iter().rev().map(|(k, v)| (format!("{name}.{k}"), v))),
                other => {
                    let problem = format!(
                        "`{name}` is {}; write the layer that it stands for as a text: \"{name}\" = \"conv1\"",
                        other.type_str()
                    );
                    return Err(refused(problem));
                }
            }
        }
        Ok(Self { file: file.to_owned(), pairs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_with_and_without_quotes() {
        let file = Path::new("map.toml");
        let quoted = Map::parse("\"a.0\" = \"conv1\"\n\"b.weight\" = \"linear1.weight\"", file).unwrap();
        let bare = Map::parse("a.0 = \"conv1\"\nb.weight = \"linear1.weight\"", file).unwrap();
        assert_eq!(quoted, bare);
        assert_eq!(quoted.pairs[1], ("b.weight".to_owned(), "linear1.weight".to_owned()));
    }

    #[test]
    fn a_value_that_is_no_text_is_refused_with_its_place() {
        let e = Map::parse("a.b = 1", Path::new("map.toml")).unwrap_err().to_string();
        assert!(e.starts_with("map.toml: `a.b` "), "{e}");
        let e = Map::parse("a b", Path::new("map.toml")).unwrap_err().to_string();
        assert!(e.starts_with("map.toml: ") && !e.contains("`a.b`") && !e.contains('\n'), "{e}");
    }
}
