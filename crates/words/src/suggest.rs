//! Finds the known word nearest to what a user typed, for the hint "did you mean …?".

/// Returns the known word nearest to `word`, or `None` if the Damerau-Levenshtein distance of every
/// known word is above 1 plus a quarter of the longer word's length.
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

/// The end of an error message: `, did you mean `x`?`, or an empty string if no known word is
/// similar.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|k| format!(", did you mean `{k}`?")).unwrap_or_default()
}
