//! "Did you mean …?": the nearest known word to what a user typed.

/// The known word nearest to `word`, if it is near enough to be what was meant.
///
/// ```
/// assert_eq!(tickless_words::suggest::nearest("epoch", ["epochs", "batch"]), Some("epochs"));
/// assert_eq!(tickless_words::suggest::nearest("xyzzy", ["epochs", "batch"]), None);
/// ```
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(word, k), k))
        .min_by_key(|(d, _)| *d)
        .filter(|(d, k)| *d <= 1 + k.len().max(word.len()) / 4)
        .map(|(_, k)| k)
}

/// `, did you mean `x`?` or nothing: the tail of an error message.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|k| format!(", did you mean `{k}`?")).unwrap_or_default()
}
