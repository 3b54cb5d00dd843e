//! The sliding window of a convolution or a pooling, one direction at a time.
//!
//! Output o of a direction reads the inputs o·stride + k·dilation − before, k = 0 … kernel − 1;
//! inputs outside the map are the padding.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A window in one direction (rows or columns).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Axis {
    /// Number of taps.
    pub kernel: usize,
    /// Inputs from one position of the window to the next.
    pub stride: usize,
    /// Inputs from one tap to the next.
    pub dilation: usize,
    /// Padding before the first input.
    pub before: usize,
    /// Padding after the last input.
    pub after: usize,
}

impl Axis {
    /// A window without dilation and with the same padding on both sides.
    pub const fn new(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kernel, stride, dilation: 1, before: padding, after: padding }
    }

    /// A window with stride 1 whose output has as many values as its input. If the padding is odd,
    /// the side after the input has one more, as in PyTorch.
    pub const fn same(kernel: usize, dilation: usize) -> Self {
        let padding = kernel.saturating_sub(1) * dilation;
        Self { kernel, stride: 1, dilation, before: padding / 2, after: padding - padding / 2 }
    }

    /// Number of inputs from the first tap to the last, both included.
    pub const fn span(&self) -> usize {
        self.kernel.saturating_sub(1) * self.dilation + 1
    }

    /// Number of positions over `len` inputs. `None` if the window is larger than the padded input
    /// or has a size of 0.
    pub fn positions(&self, len: usize) -> Option<usize> {
        if self.kernel == 0 || self.stride == 0 || self.dilation == 0 {
            return None;
        }
        (len + self.before + self.after).checked_sub(self.span()).map(|room| room / self.stride + 1)
    }

    /// Whether windows neither overlap nor leave gaps, without padding.
    const fn tiles(&self) -> bool {
        self.kernel == self.stride && self.before == 0 && self.after == 0 && (self.dilation == 1 || self.kernel == 1)
    }
}

/// A window in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Down the rows.
    pub rows: Axis,
    /// Along the columns.
    pub columns: Axis,
}

impl Window {
    /// A square window with the same stride and padding in both directions.
    pub const fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        let axis = Axis::new(kernel, stride, padding);
        Self { rows: axis, columns: axis }
    }

    /// Kernel, stride and padding if they are equal in both directions, the padding is equal on all
    /// sides and the window has no dilation: the form that the fast kernels take.
    pub fn as_square(&self) -> Option<(usize, usize, usize)> {
        let Axis { kernel, stride, dilation, before, after } = self.rows;
        let undilated = dilation == 1 || kernel == 1;
        let same = self.columns == Axis { dilation: self.columns.dilation, ..self.rows };
        let same = same && (self.columns.dilation == 1 || kernel == 1);
        (same && undilated && before == after).then_some((kernel, stride, before))
    }

    /// Rows and columns of the kernel.
    pub const fn kernel(&self) -> (usize, usize) {
        (self.rows.kernel, self.columns.kernel)
    }

    /// Number of taps of the kernel.
    pub const fn taps(&self) -> usize {
        self.rows.kernel * self.columns.kernel
    }

    /// Whether the windows neither overlap nor leave gaps, without padding.
    pub const fn tiles(&self) -> bool {
        self.rows.tiles() && self.columns.tiles()
    }

    /// Whether the window has padding on any side.
    pub const fn pads(&self) -> bool {
        self.rows.before + self.rows.after + self.columns.before + self.columns.after > 0
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.rows.kernel, self.columns.kernel)?;
        let pair = |a: usize, b: usize| if a == b { a.to_string() } else { format!("{a}×{b}") };
        let (r, c) = (self.rows, self.columns);
        if (r.stride, c.stride) != (1, 1) {
            write!(f, " stride {}", pair(r.stride, c.stride))?;
        }
        if (r.dilation, c.dilation) != (1, 1) {
            write!(f, " dilation {}", pair(r.dilation, c.dilation))?;
        }
        match self.pads() {
            false => Ok(()),
            true if r.before == r.after && c.before == c.after => write!(f, " padding {}", pair(r.before, c.before)),
            true => write!(f, " padding {}+{}×{}+{}", r.before, r.after, c.before, c.after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_counted_one_by_one() {
        for kernel in 1..4 {
            for (stride, dilation, before, after, len) in
                [(1, 1, 0, 0, 5), (2, 1, 1, 0, 6), (3, 2, 0, 2, 7), (1, 3, 2, 1, 4), (2, 2, 0, 0, 3)]
            {
                let axis = Axis { kernel, stride, dilation, before, after };
                let fits = |o: usize| o * stride + (kernel - 1) * dilation < before + len + after;
                let counted = (0..).take_while(|o| fits(*o)).count();
                assert_eq!(axis.positions(len).unwrap_or(0), counted, "{axis:?} over {len}");
            }
        }
        assert_eq!(Axis::new(0, 1, 0).positions(3), None);
        assert_eq!(Axis::new(1, 0, 0).positions(3), None);
    }

    #[test]
    fn a_window_of_the_same_size_pads_even_kernels_more_at_the_end() {
        for (kernel, dilation) in [(1, 1), (2, 1), (3, 1), (4, 1), (4, 3), (5, 2)] {
            let axis = Axis::same(kernel, dilation);
            assert_eq!(axis.positions(9), Some(9), "{axis:?}");
            assert!(axis.after - axis.before <= 1, "{axis:?}");
        }
        assert_eq!((Axis::same(4, 1).before, Axis::same(4, 1).after), (1, 2));
    }

    #[test]
    fn only_equal_sides_without_dilation_are_a_square() {
        assert_eq!(Window::square(3, 2, 1).as_square(), Some((3, 2, 1)));
        let square = Window::square(3, 1, 1);
        let axis = square.rows;
        for rows in [
            Axis { kernel: 5, ..axis },
            Axis { stride: 2, ..axis },
            Axis { dilation: 2, ..axis },
            Axis { before: 0, ..axis },
            Axis { after: 2, ..axis },
        ] {
            assert_eq!(Window { rows, ..square }.as_square(), None, "{rows:?}");
            assert_eq!(Window { columns: rows, ..square }.as_square(), None, "{rows:?}");
        }
        let even = Axis::same(2, 1);
        assert_eq!(Window { rows: even, columns: even }.as_square(), None);
    }
}
