//! Shape of one time step of one sample: channels, height, width.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A shape `[C, H, W]`; a vector of n values has the shape `[n, 1, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// The shape of a feature map.
    pub const fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width }
    }

    /// The shape of a vector with `n` values.
    pub const fn vector(n: usize) -> Self {
        Self::new(n, 1, 1)
    }

    /// Number of values.
    pub const fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether the shape has at most 2^46 values, more than any computer holds. Numbers of values,
    /// weights and operations of larger ones may overflow.
    pub fn is_manageable(&self) -> bool {
        let sizes = [self.channels, self.height, self.width].map(|size| size as u64);
        sizes.into_iter().try_fold(1, u64::checked_mul).is_some_and(|values| values <= 1 << 46)
    }

    /// Whether a dimension is 0.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.channels, self.height, self.width)
    }
}
