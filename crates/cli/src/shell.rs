//! Quotes words of a command line for a shell.

/// This process's command line, quoted for a shell, to show how to repeat a result.
pub fn command_line() -> String {
    std::env::args_os().skip(1).fold("tickless".to_owned(), |line, w| line + " " + &quoted(&w.to_string_lossy()))
}

/// The word, quoted if a shell would not read it back unchanged.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_a_quoted_word_back_as_it_was() {
        for (word, said) in [("a/b-1.toml", "a/b-1.toml"), ("", "''"), ("eval.steps=[1, 2]", "'eval.steps=[1, 2]'")] {
            assert_eq!(quoted(word), said);
        }
        for word in ["it's", "$(x)", "a;b", "{of=3,fold=0}", "~/x", "a\"b", "*"] {
            let said = quoted(word);
            assert!(said.starts_with('\'') && said.ends_with('\''), "{said}");
            assert_eq!(said[1..said.len() - 1].replace("'\\''", "'"), word);
        }
    }
}
