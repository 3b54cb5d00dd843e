//! Connects the values of an enum with the words that users write in recipes, options and
//! variables.
//!
//! [`words!`] implements `FromStr`, `Display` and the list `WORDS` for an enum, and also
//! `Serialize` and `Deserialize` if `serde` precedes the type. A crate that makes serde optional
//! writes `words!(serde Type)` as a line of its own under its `cfg`. The words stand next to the
//! type, and the compiler refuses a variant without a word. The error for an unknown word suggests the
//! nearest known word and lists all of them ([`UnknownWord`]).
//!
//! ```
//! #[derive(Debug, Clone, Copy, PartialEq)]
//! enum Pooling { Average, Sum }
//! tickless_words::words!(Pooling, "pooling", { Average = "average", Sum = "sum" });
//!
//! assert_eq!("sum".parse(), Ok(Pooling::Sum));
//! assert_eq!(Pooling::Average.to_string(), "average");
//! let error = "avrage".parse::<Pooling>().unwrap_err().to_string();
//! assert_eq!(error, "unknown pooling `avrage`, did you mean `average`?; known: average, sum");
//! ```
#![deny(unsafe_code, clippy::print_stdout, clippy::print_stderr)]

pub mod suggest;

#[cfg(feature = "serde")]
#[doc(hidden)]
pub use serde;

/// The error for an unknown word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{word}`{}; known: {}", suggest::hint(word, known.iter().copied()), known.join(", "))]
#[non_exhaustive]
pub struct UnknownWord {
    /// The kind of value that was expected, for example "loss" or "precision".
    pub what: &'static str,
    /// The word that the user wrote.
    pub word: String,
    /// All known words.
    pub known: Vec<&'static str>,
}

impl UnknownWord {
    /// The error for `word` if `known` are the words of the kind `what`.
    pub fn new(what: &'static str, word: &str, known: Vec<&'static str>) -> Self {
        Self { what, word: word.to_owned(), known }
    }
}

/// Returns the value of `known` with the word `word`. `what` is the kind of value, for the error.
///
/// # Errors
/// If no value has this word.
pub fn find<T: Copy>(
    what: &'static str,
    word: &str,
    known: &[(&'static str, T)],
) -> std::result::Result<T, UnknownWord> {
    known
        .iter()
        .find(|k| k.0 == word)
        .map(|k| k.1)
        .ok_or_else(|| UnknownWord::new(what, word, known.iter().map(|k| k.0).collect()))
}

/// Gives each variant of an enum without fields its word; see the [crate](crate).
#[macro_export]
macro_rules! words {
    (serde $type:ident, $what:literal, { $($variant:ident = $word:literal),+ $(,)? }) => {
        $crate::words!($type, $what, { $($variant = $word),+ });
        $crate::words!(serde $type);
    };
    (serde $type:ident) => {
        impl $crate::serde::Serialize for $type {
            fn serialize<S: $crate::serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'a> $crate::serde::Deserialize<'a> for $type {
            fn deserialize<D: $crate::serde::Deserializer<'a>>(from: D) -> std::result::Result<Self, D::Error> {
                let word = <String as $crate::serde::Deserialize>::deserialize(from)?;
                word.parse().map_err($crate::serde::de::Error::custom)
            }
        }
    };
    ($type:ident, $what:literal, { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, with its word.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];

            /// The word of this value.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::UnknownWord;

            fn from_str(word: &str) -> std::result::Result<Self, Self::Err> {
                $crate::find($what, word, Self::WORDS)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

#[cfg(test)]
mod tests {
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Side {
        Left,
        Right,
    }
    words!(Side, "side", { Left = "left", Right = "right" });

    #[test]
    fn every_word_names_the_value_that_it_is_displayed_by() {
        for (word, side) in Side::WORDS {
            assert_eq!((word.parse(), side.to_string()), (Ok(*side), (*word).to_owned()));
        }
        assert_eq!(format!("{:>6}|", Side::Left), "  left|");
    }

    #[test]
    fn an_unknown_word_is_refused_with_the_nearest_and_all_known_ones() {
        let message = |word: &str| word.parse::<Side>().unwrap_err().to_string();
        assert_eq!(message("rihgt"), "unknown side `rihgt`, did you mean `right`?; known: left, right");
        assert_eq!(message("top"), "unknown side `top`; known: left, right");
        assert_eq!(message("Left"), "unknown side `Left`, did you mean `left`?; known: left, right");
    }
}
