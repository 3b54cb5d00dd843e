//! The problems of the unit of times.

use crate::time_unit::TimeUnit;

/// Why the unit of the times of a file is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitProblem {
    /// The file states another unit than the caller.
    #[error("{of} is in {stated}, and {asked} is asked for")]
    Asked {
        /// The column, field or data set of times.
        of: String,
        /// The unit that the file states.
        stated: TimeUnit,
        /// The unit that the caller states.
        asked: TimeUnit,
    },
    /// The names of the columns and a comment state different units.
    #[error("the column of times is in {column}, and a comment states {comment}")]
    Comment {
        /// The unit that the name of the column states.
        column: TimeUnit,
        /// The unit that the comment states.
        comment: TimeUnit,
    },
    /// A comment states another unit than the lines before it.
    #[error("`{comment}` states {stated} as the unit of time, and {before} before")]
    Changed {
        /// The comment.
        comment: String,
        /// The unit that it states.
        stated: TimeUnit,
        /// The unit before.
        before: TimeUnit,
    },
    /// An attribute states another unit than another statement of the file.
    #[error("the attribute `{attribute}` of `{of}` is `{text}`, and another statement says {other}")]
    Attributes {
        /// The name of the attribute.
        attribute: &'static str,
        /// The name of the data set.
        of: String,
        /// The text of the attribute.
        text: String,
        /// The unit of the other statement.
        other: TimeUnit,
    },
    /// An attribute states a unit that is not known.
    #[error("the attribute `{attribute}` of `{of}` is `{text}`, which is no unit of time that is known")]
    Unknown {
        /// The name of the attribute.
        attribute: &'static str,
        /// The name of the data set.
        of: String,
        /// The text of the attribute.
        text: String,
    },
    /// A time with a decimal point has no unit.
    #[error(
        "the time `{time}` has {}, and its unit is not stated",
        if *fraction { "a fraction" } else { "a decimal point" }
    )]
    Decimal {
        /// The text of the time.
        time: String,
        /// Whether it has a fraction.
        fraction: bool,
    },
    /// Times that are no integers have no unit.
    #[error("{of} {} no integer{}, and its unit is not stated", if *several { "holds" } else { "is" }, if *several { "s" } else { "" })]
    NoInteger {
        /// The member, field or data set of times.
        of: String,
        /// Whether it is an array, and not a member of each event.
        several: bool,
    },
}
