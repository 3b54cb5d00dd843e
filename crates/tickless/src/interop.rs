//! What the commands that read and write NIR graphs share: words of readers and dialects, and whose graph it is.

use anyhow::{Result, anyhow, bail};
use std::path::Path;
use tickless_net::interop::nir;

/// The reader of this name; `option` is the command's word for it.
///
/// # Errors
/// If there is none; lists the known ones.
pub fn reader(option: &str, word: &str) -> Result<nir::Reader> {
    word.parse().map_err(|_| anyhow!("`{option} {word}` is not known; give one of {}", readers().join(", ")))
}

/// The dialect of this name.
///
/// # Errors
/// If there is none; lists the known ones.
pub fn dialect(word: &str) -> Result<nir::Dialect> {
    word.parse().map_err(|_| {
        anyhow!(
            "`--dialect {word}` is not known; give tickless, plain, or who wrote the graph: {}",
            readers().join(", ")
        )
    })
}

fn readers() -> Vec<&'static str> {
    nir::Reader::ALL.iter().map(|r| r.as_str()).collect()
}

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
        None => bail!(
            "{}: nothing in the graph says who wrote it, and frameworks run the same nodes differently: give `--dialect` \
             {}, or plain for NIR's own equations",
            file.display(),
            readers().join(", ")
        ),
    }
}
