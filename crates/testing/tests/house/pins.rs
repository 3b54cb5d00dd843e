//! Checks that no test compares a message with a sentence: whoever improves a sentence would break
//! tests that do not test it. A test names the kind of an error and its values; a test of the
//! command checks that a message names a value that the user gave, such as a file, a key or a line.
//!
//! A sentence is a text with two adjacent words in lower case. The check sees texts that are looked
//! for in others (`.contains("…")`, `.starts_with("…")`, `.ends_with("…")`) and texts to which
//! `to_string()` is compared. It covers the libraries: the texts of the command are its output, and
//! its tests read them as a user does.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::path::{Path, PathBuf};

/// The command, whose output is text.
const COMMAND: &str = "cli";
/// Messages of the operating system.
const OF_THE_SYSTEM: [&str; 2] = ["File too large", "No space left on device"];

#[test]
fn no_test_compares_a_message_with_a_sentence() {
    let mut found = Vec::new();
    for manifest in super::manifests() {
        let folder = manifest.parent().expect("a manifest lies in a folder");
        if folder.ends_with(COMMAND) {
            continue;
        }
        for (part, only_tests) in [("src", false), ("tests", true)] {
            for file in rust_files(&folder.join(part)) {
                let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
                let tests = if only_tests || file.ends_with("tests.rs") { &text[..] } else { tests_of(&text) };
                let tokens = tests.parse().unwrap_or_else(|e| panic!("{}: {e}", file.display()));
                let shown = file.strip_prefix(super::root()).unwrap_or(&file).display().to_string();
                found.extend(pins(tokens).into_iter().map(|pin| (shown.clone(), pin)));
            }
        }
    }
    assert!(found.is_empty(), "match the kind of the error and its values instead: {found:#?}");
}

/// The part of a source that only tests compile: from its first module of tests to its end.
fn tests_of(text: &str) -> &str {
    ["\n#[cfg(test)]\n", "\n#[cfg(all(test"]
        .iter()
        .filter_map(|start| text.find(start))
        .min()
        .map_or("", |at| &text[at..])
}

/// All Rust files in a folder and below it; none if it does not exist.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|e| e.expect("an entry").path()) {
        match path.is_dir() {
            true => files.extend(rust_files(&path)),
            false => files.extend(Some(path).filter(|p| p.extension().is_some_and(|e| e == "rs"))),
        }
    }
    files.sort();
    files
}

/// The sentences with which messages are compared.
fn pins(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        found.extend(pins(group.stream()));
        let Some(TokenTree::Ident(name)) = i.checked_sub(1).map(|before| &tokens[before]) else { continue };
        let compared = match name.to_string().as_str() {
            "contains" | "starts_with" | "ends_with" => group.stream().into_iter().collect(),
            "to_string" if group.delimiter() == Delimiter::Parenthesis && group.stream().is_empty() => {
                tokens[i + 1..].iter().skip_while(|t| matches!(t, TokenTree::Punct(_))).take(1).cloned().collect()
            }
            _ => Vec::new(),
        };
        found.extend(first_text(&compared).filter(|text| is_sentence(text)));
    }
    found
}

/// The text with which an argument begins, also after `&` or inside `&format!(…)`.
fn first_text(argument: &[TokenTree]) -> Option<String> {
    match argument {
        [TokenTree::Literal(literal), ..] => match syn::Lit::new(literal.clone()) {
            syn::Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        [TokenTree::Punct(p), rest @ ..] if p.as_char() == '&' => first_text(rest),
        [TokenTree::Ident(name), TokenTree::Punct(_), TokenTree::Group(inner), ..] if name == "format" => {
            first_text(&inner.stream().into_iter().collect::<Vec<_>>())
        }
        _ => None,
    }
}

/// Whether a text has two adjacent words in lower case, and is no markup, no command line and no
/// message of the system.
fn is_sentence(text: &str) -> bool {
    let is_word = |word: &str| word.len() > 1 && word.bytes().all(|b| b.is_ascii_lowercase());
    let command = text.trim_start_matches(['`', ' ']);
    let is_other = text.contains(['<', '=']) || command.starts_with("tickless ") || command.starts_with("--");
    let words: Vec<&str> = text.split(' ').collect();
    let adjacent =
        words.windows(2).any(|pair| is_word(pair[0]) && is_word(pair[1].trim_end_matches([',', '.', ':', ';'])));
    adjacent && !is_other && !OF_THE_SYSTEM.iter().any(|message| text.contains(message))
}

#[test]
fn sentences_are_found_and_values_are_not() {
    for text in ["two words", "a.txt: byte 8: the time falls", "`x` is no event", "2 of the files", "so it, too"] {
        assert!(is_sentence(text), "{text}");
    }
    for text in
        ["`data.sensor`", "a.txt: byte 8: ", "tickless eval run", "<th scope", "word", " 3 times", "File too large"]
    {
        assert!(!is_sentence(text), "{text}");
    }
    let code = r#"
        assert!(e.contains("one two") && e.starts_with(&format!("three four {x}")), "five six");
        assert_eq!(e.to_string(), "seven eight");
        let y = e.ends_with('x');
    "#;
    assert_eq!(pins(code.parse().expect("Rust")), ["one two", "three four {x}", "seven eight"]);
    assert_eq!(tests_of("fn f() {}\n#[cfg(test)]\nmod tests {}\n"), "\n#[cfg(test)]\nmod tests {}\n");
}
