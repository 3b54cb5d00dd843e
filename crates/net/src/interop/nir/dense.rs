//! Writes the kernels of convolutions so that the package `nir` opens them.
//!
//! `nir` 1.0.8 checks the shapes of a graph while it reads the file. It takes the number of input
//! channels from the kernel without regard to groups, and computes rows and columns of the output
//! from the rows of the kernel alone. So it refuses a convolution with groups, and most rectangular
//! kernels. The exporter writes zeros for the weights between groups, and surrounds a rectangular
//! kernel by zeros until it is square; the padding grows by as much, so the output is the same. A
//! kernel with an even and an odd side has no such square, and stays as it is.

use super::graph::{Padding, Tensor};
use crate::layer::Conv;
use crate::shape::Shape;
use crate::window::Axis;

/// Largest number of weights of a written kernel.
const MAX_WEIGHTS: usize = 1 << 28;

/// The weights of a convolution without groups: zeros between the groups. `None` if the shape is no
/// kernel `[out, in/groups, rows, columns]`, or the result is too large.
pub(super) fn ungrouped(weight: &Tensor, groups: usize) -> Option<Tensor> {
    let [out, each, rows, columns] = weight.shape[..] else { return None };
    if groups == 0 || !out.is_multiple_of(groups) {
        return None;
    }
    if groups == 1 {
        return Some(weight.clone());
    }
    let taps = rows.checked_mul(columns)?;
    let input = each.checked_mul(groups)?;
    let len = out.checked_mul(input)?.checked_mul(taps).filter(|n| *n <= MAX_WEIGHTS)?;
    let mut data = vec![0.0; len];
    let per_group = out / groups;
    for (o, values) in weight.data.chunks(each * taps).enumerate().take(out) {
        let first = (o * input + o / per_group * each) * taps;
        data[first..first + values.len()].copy_from_slice(values);
    }
    Some(Tensor { shape: vec![out, input, rows, columns], data, double: weight.double })
}

/// How a kernel is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    groups: usize,
    kernel: (usize, usize),
    /// Zeros on each side of the rows, and of the columns.
    zeros: (usize, usize),
    /// The padding of the written kernel.
    pub padding: Padding,
    /// Whether `nir` 1.0.8 computes the right shape of the output.
    pub checks: bool,
}

impl Layout {
    /// The layout of a convolution that reads `input`; `None` if it pads two opposite sides
    /// differently, and not as "same" does.
    pub fn new(c: &Conv, input: Shape) -> Option<Self> {
        let (rows, columns) = (c.window.rows, c.window.columns);
        let mut layout = Self {
            groups: c.groups,
            kernel: c.window.kernel(),
            zeros: (0, 0),
            padding: Padding::Zeros((rows.before, columns.before)),
            checks: true,
        };
        let same = |a: Axis| a == Axis::same(a.kernel, a.dilation);
        if rows.before != rows.after || columns.before != columns.after {
            layout.padding = Padding::Same;
            return (same(rows) && same(columns)).then_some(layout);
        }
        let taken = Axis { kernel: rows.kernel, ..columns };
        if taken.positions(input.width) == columns.positions(input.width) {
            return Some(layout);
        }
        let side = rows.kernel.max(columns.kernel);
        let more = (side - rows.kernel, side - columns.kernel);
        if more.0 % 2 == 1 || more.1 % 2 == 1 {
            layout.checks = false;
            return Some(layout);
        }
        layout.zeros = (more.0 / 2, more.1 / 2);
        let padding = |a: Axis, zeros: usize| a.before + zeros * a.dilation;
        layout.padding = Padding::Zeros((padding(rows, layout.zeros.0), padding(columns, layout.zeros.1)));
        Some(layout)
    }

    /// The layout of a kernel along a line that only its groups change.
    pub fn of_groups(groups: usize, taps: usize) -> Self {
        Self { groups, kernel: (1, taps), zeros: (0, 0), padding: Padding::Valid, checks: true }
    }

    /// Rows and columns of the written kernel.
    fn written(&self) -> (usize, usize) {
        (self.kernel.0 + 2 * self.zeros.0, self.kernel.1 + 2 * self.zeros.1)
    }

    /// The kernel as it is written; `None` if it is too large.
    pub fn spread(&self, weight: &Tensor) -> Option<Tensor> {
        let weight = ungrouped(weight, self.groups)?;
        if self.zeros == (0, 0) {
            return Some(weight);
        }
        let (rows, columns) = self.written();
        let [out, input, ..] = weight.shape[..] else { return None };
        let len = weight.data.len() / (self.kernel.0 * self.kernel.1) * rows * columns;
        if len > MAX_WEIGHTS {
            return None;
        }
        let mut data = vec![0.0; len];
        for (k, line) in weight.data.chunks(self.kernel.1).enumerate() {
            let (kernel, row) = (k / self.kernel.0, k % self.kernel.0);
            let at = (kernel * rows + self.zeros.0 + row) * columns + self.zeros.1;
            data[at..at + line.len()].copy_from_slice(line);
        }
        Some(Tensor { shape: vec![out, input, rows, columns], data, double: weight.double })
    }

    /// The kernel of a written one, the inverse of [`spread`](Self::spread); `None` if the shape is
    /// another.
    pub fn gather(&self, written: &Tensor) -> Option<Tensor> {
        let [out, input, rows, columns] = written.shape[..] else { return None };
        if (rows, columns) != self.written() || !input.is_multiple_of(self.groups) || !out.is_multiple_of(self.groups) {
            return None;
        }
        let each = input / self.groups;
        let mut data = Vec::with_capacity(out * each * self.kernel.0 * self.kernel.1);
        for o in 0..out {
            let group = o / (out / self.groups).max(1);
            for i in group * each..(group + 1) * each {
                for row in 0..self.kernel.0 {
                    let at = ((o * input + i) * rows + self.zeros.0 + row) * columns + self.zeros.1;
                    data.extend_from_slice(written.data.get(at..at + self.kernel.1)?);
                }
            }
        }
        Some(Tensor { shape: vec![out, each, self.kernel.0, self.kernel.1], data, double: written.double })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    fn kernel(groups: usize, rows: Axis, columns: Axis) -> (Conv, Tensor) {
        let c = Conv { groups, ..Conv::c3(4).with_window(Window { rows, columns }) };
        let shape = vec![4, 4 / groups, rows.kernel, columns.kernel];
        let data = (0..shape.iter().product()).map(|v: usize| v as f64 + 1.0).collect();
        (c, Tensor { shape, data, double: false })
    }

    #[test]
    fn a_written_kernel_is_square_without_groups_and_comes_back() {
        let input = Shape::new(4, 9, 9);
        for (groups, rows, columns, written) in [
            (1, Axis::new(3, 1, 1), Axis::new(3, 1, 1), [4, 4, 3, 3]),
            (2, Axis::new(1, 1, 0), Axis::new(3, 1, 0), [4, 4, 3, 3]),
            (4, Axis::new(5, 2, 1), Axis { dilation: 2, ..Axis::new(3, 1, 0) }, [4, 4, 5, 5]),
            (1, Axis::new(2, 1, 0), Axis::new(3, 1, 1), [4, 4, 2, 3]),
            (2, Axis::same(2, 1), Axis::same(4, 2), [4, 4, 2, 4]),
        ] {
            let (c, weight) = kernel(groups, rows, columns);
            let layout = Layout::new(&c, input).unwrap();
            let spread = layout.spread(&weight).unwrap();
            assert_eq!(spread.shape, written);
            assert_eq!(layout.gather(&spread).unwrap(), weight);
            assert_eq!(layout.checks, written[2..] != [2, 3], "{rows:?} {columns:?}");
            let sum = |t: &Tensor| t.data.iter().sum::<f64>();
            assert_eq!(sum(&spread), sum(&weight));
        }
    }

    #[test]
    fn the_padding_grows_with_the_zeros_so_the_output_keeps_its_size() {
        let (rows, columns) = (Axis::new(1, 2, 0), Axis { dilation: 3, ..Axis::new(5, 1, 2) });
        let (c, _) = kernel(1, rows, columns);
        let layout = Layout::new(&c, Shape::new(4, 9, 14)).unwrap();
        let Padding::Zeros((y, x)) = layout.padding else { panic!("{layout:?}") };
        let (h, w) = layout.written();
        let positions = |a: Axis, kernel: usize, padding: usize, len: usize| {
            Axis { kernel, before: padding, after: padding, ..a }.positions(len)
        };
        assert_eq!(positions(rows, h, y, 9), rows.positions(9));
        assert_eq!(positions(columns, w, x, 14), columns.positions(14));
    }
}
