//! Sizes of a window as recipes state them: one number, or one for each direction or side.

use crate::window::Window;
use serde::{Deserialize, Serialize};

/// One size for both directions, or one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number, or a list [rows, columns]")]
pub enum Sizes {
    /// The same for rows and columns: `kernel = 3`.
    One(usize),
    /// Rows and columns: `kernel = [3, 5]`.
    Two([usize; 2]),
}

impl Sizes {
    /// The shortest form of two sizes.
    pub fn of(rows: usize, columns: usize) -> Self {
        if rows == columns { Sizes::One(rows) } else { Sizes::Two([rows, columns]) }
    }

    /// The size for rows.
    pub fn rows(self) -> usize {
        match self {
            Sizes::One(size) | Sizes::Two([size, _]) => size,
        }
    }

    /// The size for columns.
    pub fn columns(self) -> usize {
        match self {
            Sizes::One(size) | Sizes::Two([_, size]) => size,
        }
    }
}

/// The padding of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number, a list [rows, columns], a list [[top, bottom], [left, right]], or \"same\""
)]
pub enum PaddingSpec {
    /// The same on all sides.
    One(usize),
    /// Above and below the rows, left and right of the columns.
    Two([usize; 2]),
    /// Top and bottom, left and right.
    Four([[usize; 2]; 2]),
    /// `same`: as much as keeps the size of the input.
    Word(String),
}

impl PaddingSpec {
    /// The shortest form of a window's padding, in numbers.
    pub fn of(w: Window) -> Self {
        let (rows, columns) = ([w.rows.before, w.rows.after], [w.columns.before, w.columns.after]);
        match (rows[0] == rows[1] && columns[0] == columns[1], rows == columns) {
            (true, true) => Self::One(rows[0]),
            (true, false) => Self::Two([rows[0], columns[0]]),
            _ => Self::Four([rows, columns]),
        }
    }

    /// [before, after] for rows and columns; `None` for `same`.
    pub(super) fn sides(&self, largest: usize) -> Result<Option<[[usize; 2]; 2]>, String> {
        let sides = match self {
            Self::One(p) => [[*p; 2]; 2],
            Self::Two([rows, columns]) => [[*rows; 2], [*columns; 2]],
            Self::Four(sides) => *sides,
            Self::Word(word) if word == "same" => return Ok(None),
            Self::Word(word) => {
                return Err(format!("unknown padding `{word}`; give \"same\", or the padding in numbers"));
            }
        };
        match sides.iter().flatten().any(|p| *p > largest) {
            true => Err(format!("`padding` is larger than {largest}")),
            false => Ok(Some(sides)),
        }
    }
}
