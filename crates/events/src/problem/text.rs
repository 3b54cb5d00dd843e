//! The problems of events as text.

/// Why a line of a text is no event, or why the names of its columns are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextProblem {
    /// The line has another number of columns than the text.
    #[error("it has {found} columns, not {expected}{}", if *named { ", as are named" } else { "" })]
    Columns {
        /// The number of columns of the line.
        found: usize,
        /// The number of columns of the text.
        expected: usize,
        /// Whether a line or a comment names the columns.
        named: bool,
    },
    /// The column x or y is not a pixel.
    #[error("{column} is not a whole number of 0 to 65535")]
    Pixel {
        /// `x` or `y`.
        column: &'static str,
    },
    /// The column p is not a polarity.
    #[error("p is none of 1, 0 and -1")]
    Polarity,
    /// The column t is not a time.
    #[error("t is not a time: a number of 0 or more")]
    Time,
    /// The column t is later than 64 bits of µs.
    #[error("t, `{time}`, is beyond 64 bits of µs")]
    TimeTooLate {
        /// The text of the time.
        time: String,
    },
    /// A comment seems to name the columns, and some of its words are not known.
    #[error("{}", not_understood(*columns, words))]
    NotUnderstood {
        /// The number of columns of a line, if the comment names 4 and a line has another number.
        columns: Option<usize>,
        /// The first unknown words.
        words: Vec<String>,
    },
    /// A comment names the columns in two orders.
    #[error("it names the columns in two orders")]
    TwoOrders,
    /// Two comments name the columns differently.
    #[error("two comments before this line name the columns differently")]
    TwoComments,
    /// A comment names the columns in another order than the comment or line before.
    #[error("`{comment}` names the columns in another order than before")]
    Reordered {
        /// The comment.
        comment: String,
    },
    /// The column that should be the time falls, and another column never does.
    #[error("t, the third column, falls here, and {}, never does", if *ascending == 'x' { "x, the first" } else { "y, the second" })]
    TimeFalls {
        /// The column that never falls: `x` or `y`.
        ascending: char,
    },
}

fn not_understood(columns: Option<usize>, words: &[String]) -> String {
    let what = match columns {
        Some(columns) => format!("it names 4 columns and a line has {columns}"),
        None => "it seems to name the columns".into(),
    };
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    if words.is_empty() { what } else { format!("{what}, and {} is not understood", words.join(", ")) }
}
