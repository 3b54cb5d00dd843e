//! Checks that no text of a library names what only the command has: its options and commands. Below
//! the crate of the recipes, no text names a key of a recipe either.
//!
//! A library states a remedy for every caller; `crates/cli/src/remedy.rs` adds the option. A text is
//! a string literal of the code, also inside macros and the `#[error]` of an error; comments and
//! what only tests compile do not count.

use super::sources::{self, attributes, is_test};
use proc_macro2::{TokenStream, TokenTree};
use std::path::Path;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta};

/// The command, and what runs it in tests.
const COMMAND: [&str; 2] = ["cli", "testing"];
/// The libraries whose users know recipes.
const WITH_RECIPES: [&str; 3] = ["net", "train", "tickless"];
/// The sections of a recipe.
const SECTIONS: [&str; 4] = ["data", "network", "train", "eval"];

#[test]
fn no_text_of_a_library_names_an_option_or_a_command() {
    let mut found = Vec::new();
    for (name, root) in sources::crates() {
        if COMMAND.contains(&name.as_str()) {
            continue;
        }
        for text in texts(&root) {
            let is_key = !WITH_RECIPES.contains(&name.as_str()) && names_key(&text.1);
            if names_option(&text.1) || names_command(&text.1) || is_key {
                found.push(text);
            }
        }
    }
    assert!(found.is_empty(), "let the library state a choice, and the command add its name for it: {found:#?}");
}

/// The texts of a crate, each with its file.
fn texts(root: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for file in sources::of_crate(root) {
        let mut reader = Texts::default();
        reader.visit_file(&file.parsed);
        let shown = file.path.strip_prefix(super::root()).unwrap_or(&file.path).display().to_string();
        all.extend(reader.0.into_iter().map(|text| (shown.clone(), text)));
    }
    all
}

/// Whether a text has a word such as `--limit`.
fn names_option(text: &str) -> bool {
    let is_option = |(at, _): (usize, &str)| {
        let starts = text[..at].chars().next_back().is_none_or(|c| !(c.is_alphanumeric() || "-!<".contains(c)));
        starts && text[at + 2..].starts_with(|c: char| c.is_ascii_lowercase())
    };
    text.match_indices("--").any(is_option)
}

/// Whether a text has a call such as `tickless train`.
fn names_command(text: &str) -> bool {
    let is_command = |(at, name): (usize, &str)| {
        let starts = text[..at].chars().next_back().is_none_or(|c| !(c.is_alphanumeric() || "-_/".contains(c)));
        starts && text[at + name.len()..].starts_with(|c: char| c.is_ascii_lowercase())
    };
    text.match_indices("tickless ").any(is_command)
}

/// Whether a text has a key such as `data.sensor`, in backticks.
fn names_key(text: &str) -> bool {
    SECTIONS.iter().any(|section| text.contains(&format!("`{section}.")))
}

/// Collects the string literals of a file.
#[derive(Default)]
struct Texts(Vec<String>);

impl Texts {
    fn add(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.add(group.stream()),
                TokenTree::Literal(literal) => {
                    if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                        self.0.push(text.value());
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'a> Visit<'a> for Texts {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_attribute(&mut self, attribute: &'a Attribute) {
        match &attribute.meta {
            Meta::List(list) => self.add(list.tokens.clone()),
            // Comments are attributes `#[doc = "…"]`.
            Meta::NameValue(_) | Meta::Path(_) => {}
        }
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.add(call.tokens.clone());
    }

    fn visit_lit_str(&mut self, text: &'a syn::LitStr) {
        self.0.push(text.value());
    }
}

#[test]
fn options_commands_and_keys_are_found_and_nothing_else_is() {
    for text in ["give `--limit`", "--json", "(--no-x)"] {
        assert!(names_option(text), "{text}");
    }
    for text in ["a -- b", "<!--comment", "a--b", "---", "--", "x = --1"] {
        assert!(!names_option(text), "{text}");
    }
    assert!(names_command("fold it with `tickless finetune`") && names_command("tickless train"));
    assert!(!names_command("tickless 0.1") && !names_command("tickless-net x") && !names_command("by tickless"));
    assert!(names_key("set `data.sensor`") && !names_key("the data. Sensor") && !names_key("`refractory.steps`"));
}

#[test]
fn texts_are_those_of_the_code_its_macros_and_its_errors() {
    let code = r##"
        /// A comment with --option.
        #[error("a {0} `--b`")]
        struct E(String);
        fn f() { g("c", format!("d{}", h("e"))); }
        #[cfg(test)]
        mod tests { const T: &str = "--t"; }
    "##;
    let mut reader = Texts::default();
    reader.visit_file(&syn::parse_file(code).expect("Rust"));
    assert_eq!(reader.0, ["a {0} `--b`", "c", "d{}", "e"]);
}
