//! Whose neurons a NIR graph means: the dialect that it is read in.

use crate::{Error, Result};
use std::path::Path;
use tickless_net::interop::nir;

/// The dialect to read a graph in: the given one, or the one of the writer that the graph itself names; and
/// what names it.
///
/// # Errors
/// If no dialect is given and nothing in the graph names its writer.
pub fn dialect_of(
    file: &Path,
    graph: &nir::Graph,
    given: Option<nir::Dialect>,
) -> Result<(nir::Dialect, Option<String>)> {
    if let Some(dialect) = given {
        return Ok((dialect, None));
    }
    match nir::written_by(graph) {
        Some(writer) if writer.dialect == nir::Dialect::Tickless => Ok((writer.dialect, None)),
        Some(writer) => Ok((writer.dialect, Some(writer.evidence))),
        None => Err(Error::UnknownWriter {
            path: file.to_owned(),
            readers: nir::Reader::ALL.iter().map(|r| r.word()).collect(),
        }),
    }
}
