//! Finds the dialect of a NIR graph, which determines the equations of its neurons.

use crate::{Error, Result};
use std::path::Path;
use tickless_net::interop::nir;

/// Returns the dialect to read a graph in: the given one, or that of the writer which the graph
/// itself identifies. In the second case it also returns the evidence, unless the writer is
/// Tickless.
///
/// # Errors
/// If no dialect is given and nothing in the graph identifies its writer.
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
            readers: nir::Reader::ALL.iter().map(|r| r.as_str()).collect(),
        }),
    }
}
