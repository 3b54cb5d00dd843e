//! Escapes text from outside before it is printed, and writes paths as JSON.
//!
//! Names of files, archive members, classes and tensors, and the words of a recipe, may contain
//! escape sequences that move the cursor, change earlier output, or make a terminal answer.

use serde::Serializer;
use std::borrow::Cow;
use std::path::Path;

/// Whether a terminal reacts to a character instead of showing it: control characters, including
/// the one-byte ones from U+0080, and characters that change the direction of text.
fn acts(c: char) -> bool {
    c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with such characters escaped as `\u{1b}`. Line breaks stay.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return text.into();
    }
    let escaped = |c: char| if acts(c) { c.escape_default().collect() } else { c.to_string() };
    text.chars().map(escaped).collect::<String>().into()
}

/// JSON text with such characters as JSON escapes, which do not change its meaning.
pub fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return text.into();
    }
    // All such characters are below U+10000 and can only occur inside JSON strings.
    let escaped = |c: char| if acts(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(escaped).collect::<String>().into()
}

/// Writes a path as JSON. Bytes that are not UTF-8 become U+FFFD, because JSON is text.
pub fn path<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_escaped_and_text_stays() {
        assert_eq!(shown("a\u{1b}[31m\r\u{7f}\u{9b}\u{202e}b"), "a\\u{1b}[31m\\r\\u{7f}\\u{9b}\\u{202e}b");
        assert_eq!(shown("µs · é\n漢字"), "µs · é\n漢字");
        assert!(matches!(shown("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_means_the_same() {
        for text in ["a\u{7f}\u{9b}31m\u{202e}\u{1b}", "µ\n"] {
            let plain = serde_json::to_string_pretty(&[text]).unwrap();
            let escaped = json(&plain);
            assert!(!escaped.contains(acts));
            assert_eq!(serde_json::from_str::<[String; 1]>(&escaped).unwrap(), [text]);
        }
    }
}
