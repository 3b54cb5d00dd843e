//! The problems of arrays (npy, npz) and of data sets in HDF5.

use std::fmt;

/// Why an array, a table or a group of data sets does not hold events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayProblem {
    /// The bytes are not a NumPy array.
    #[error("no NumPy array")]
    NoArray,
    /// The header of an array breaks the syntax of Python.
    #[error("{syntax} at character {at} of the header, before `{before}`")]
    Syntax {
        /// What breaks the syntax.
        syntax: HeaderSyntax,
        /// Index of the character.
        at: usize,
        /// The text that follows.
        before: String,
    },
    /// The values are of a type that is no number.
    #[error("values of type `{name}`, which are no numbers")]
    NoNumbers {
        /// The name of the type.
        name: String,
    },
    /// The values are objects of Python.
    #[error("values that are objects of Python")]
    Objects,
    /// The type of the values is not known.
    #[error("the type `{name}` is not known")]
    Type {
        /// The name of the type.
        name: String,
    },
    /// A list of fields contains an element that is no field.
    #[error("a field that is not (name, type)")]
    NoFieldSyntax,
    /// A field is not a single number.
    #[error("the field `{field}` is no integer")]
    NoInteger {
        /// The name of the field.
        field: String,
    },
    /// No field has one of the names of a column.
    #[error("no field {names}")]
    NoField {
        /// The names.
        names: &'static str,
    },
    /// Two fields have names of the same column.
    #[error("both a field `{first}` and a field `{second}`")]
    TwoFields {
        /// The first name.
        first: String,
        /// The other name.
        second: String,
    },
    /// The values are more or fewer than the shape requires.
    #[error("{}", values_of_shape(*found, *needed, shape))]
    Size {
        /// The number of bytes of values.
        found: u64,
        /// The number of bytes that the shape requires; `None` if no file can have as many.
        needed: Option<u64>,
        /// The shape.
        shape: Vec<u64>,
    },
    /// The values of a member of an archive are more or fewer than its header states.
    #[error("{bytes} bytes of values for {count} of {width} bytes")]
    MemberSize {
        /// The number of bytes of values.
        bytes: u64,
        /// The number of values that the header states.
        count: u64,
        /// The number of bytes of a value.
        width: u64,
    },
    /// A column has another number of values than the times.
    #[error("{values} values for {times} times")]
    Lengths {
        /// The number of values.
        values: u64,
        /// The number of times.
        times: u64,
    },
    /// A data set of a group has another number of values than the times.
    #[error("{values} values of {of} for {times} times in the group `{group}`")]
    LengthsInGroup {
        /// The number of values.
        values: u64,
        /// The column.
        of: &'static str,
        /// The number of times.
        times: u64,
        /// The path of the group.
        group: String,
    },
    /// An archive holds arrays of other names.
    #[error("no arrays x, y, t and p, but {}", found.join(", "))]
    OtherArrays {
        /// The names of the first arrays, sorted.
        found: Vec<String>,
    },
    /// A file has no data set of events.
    #[error("no events at /{path}; the file holds: {}", holds.join(", "))]
    NoEvents {
        /// The path of the data set.
        path: &'static str,
        /// The names in the root of the file.
        holds: Vec<String>,
    },
    /// A time with the offset of the file is negative.
    #[error("the time {t_us} µs with `{offset}` is negative")]
    NegativeTime {
        /// The time without the offset.
        t_us: u64,
        /// The name of the offset.
        offset: &'static str,
    },
}

/// What breaks the syntax of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderSyntax {
    /// Brackets nest too deep.
    Brackets,
    /// A colon is missing.
    Colon,
    /// A comma is missing.
    Comma,
    /// A text has no end.
    OpenText,
    /// A text contains a backslash.
    Backslash,
    /// A word is no value.
    Value,
}

impl fmt::Display for HeaderSyntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeaderSyntax::Brackets => "too many brackets",
            HeaderSyntax::Colon => "a colon is missing",
            HeaderSyntax::Comma => "a comma is missing",
            HeaderSyntax::OpenText => "a text without end",
            HeaderSyntax::Backslash => "a text with a backslash",
            HeaderSyntax::Value => "no value",
        })
    }
}

fn values_of_shape(found: u64, needed: Option<u64>, shape: &[u64]) -> String {
    let truncated = if needed.is_some_and(|needed| needed > found) { "truncated: " } else { "" };
    let needed = needed.map_or("more than a file can have".into(), |n| n.to_string());
    format!("{truncated}{found} bytes of values, expected {needed} for the shape {shape:?}")
}
