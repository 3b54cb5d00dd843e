//! What the commands that read and write NIR graphs share: words of readers and dialects.

use anyhow::{Result, anyhow};
use tickless_net::interop::nir;

/// The reader of this name; `option` is the command's word for it.
///
/// # Errors
/// If there is none; lists the known ones.
pub fn reader(option: &str, word: &str) -> Result<nir::Reader> {
    nir::Reader::from_word(word)
        .ok_or_else(|| anyhow!("`{option} {word}` is not known; give one of {}", readers().join(", ")))
}

/// The dialect of this name.
///
/// # Errors
/// If there is none; lists the known ones.
pub fn dialect(word: &str) -> Result<nir::Dialect> {
    nir::Dialect::from_word(word).ok_or_else(|| {
        anyhow!(
            "`--dialect {word}` is not known; give tickless, plain, or who wrote the graph: {}",
            readers().join(", ")
        )
    })
}

fn readers() -> Vec<&'static str> {
    nir::Reader::ALL.iter().map(|r| r.word()).collect()
}
