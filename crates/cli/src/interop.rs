//! Words on the command line for readers and dialects of NIR graphs, shared by several commands.

use anyhow::{Result, anyhow};
use tickless_net::interop::nir;

/// The reader with this name. `option` is the option that gave it, for the message.
///
/// # Errors
/// If the name is unknown; the message lists the known ones.
pub fn reader(option: &str, word: &str) -> Result<nir::Reader> {
    word.parse().map_err(|_| anyhow!("`{option} {word}` is not known; give one of {}", readers().join(", ")))
}

/// The dialect with this name.
///
/// # Errors
/// If the name is unknown; the message lists the known ones.
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
