//! An edge: everything linear between two sets of neurons, as one convolution.
//!
//! An event at (c, y, x) adds to the target
//!
//! ```text
//! v[oy][ox][c_out] += w[py + pad − oy·s][px + pad − ox·s][c][c_out],   py = ⌊y/k⌋, px = ⌊x/k⌋
//! ```
//!
//! with k the pooling before the weights. A linear layer is the convolution whose kernel covers
//! the whole map, an unweighted connection the 1×1 convolution with one channel a group; so one
//! loop serves all. Which (oy, row of the kernel) a source row reaches does not depend on the
//! event, so it stands in a [`Span`] per source row and column, made once.

/// Where the weights of a source row (or column) lie and which target rows they reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    /// First target row.
    pub lo: u32,
    /// One past the last target row; `lo` where the event is dropped.
    pub hi: u32,
    /// Kernel row of target row `o` is `base − o·stride`.
    pub base: u32,
}

/// What receives an edge's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The spiking layer with this index.
    Layer(usize),
    /// The accumulating readout.
    Readout,
}

/// One linear connection from a source (the input or a spiking layer) to a target.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    /// The receiver.
    pub target: Target,
    /// Which weight table.
    pub table: usize,
    /// One per source row.
    pub rows: Vec<Span>,
    /// One per source column.
    pub cols: Vec<Span>,
    /// First target channel that each source channel reaches.
    pub first: Vec<u32>,
    /// How many target channels it reaches.
    pub width: usize,
    /// Stride, the same in both directions.
    pub stride: usize,
    /// Columns of the kernel.
    pub kernel_x: usize,
    /// Width of the target's map.
    pub target_width: usize,
}

impl Edge {
    /// How many weights an event at (y, x) adds.
    #[inline]
    pub fn reach(&self, y: usize, x: usize) -> usize {
        let (r, c) = (self.rows[y], self.cols[x]);
        (r.hi - r.lo) as usize * (c.hi - c.lo) as usize * self.width
    }

    /// Calls `segment(y, x, first channel, weights)` for every target position, in (y, x) order.
    #[inline(always)]
    pub fn for_each_segment(
        &self,
        table: &[f32],
        (c, y, x): (usize, usize, usize),
        mut segment: impl FnMut(usize, usize, usize, &[f32]),
    ) {
        let (row, col) = (self.rows[y], self.cols[x]);
        let first = self.first[c] as usize;
        let channels = self.first.len();
        for oy in row.lo as usize..row.hi as usize {
            let ky = row.base as usize - oy * self.stride;
            for ox in col.lo as usize..col.hi as usize {
                let kx = col.base as usize - ox * self.stride;
                let at = ((ky * self.kernel_x + kx) * channels + c) * self.width;
                segment(oy, ox, first, &table[at..at + self.width]);
            }
        }
    }
}

/// The spans of one direction: `source` rows pooled by `pool` into `len`, then a kernel of
/// `kernel` rows with this stride and padding onto `out` rows.
pub(crate) fn spans(
    source: usize,
    pool: usize,
    len: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    out: usize,
) -> Vec<Span> {
    (0..source)
        .map(|row| {
            let pooled = row / pool;
            if pooled >= len {
                return Span::default();
            }
            let base = pooled + padding;
            let lo = (base + 1).saturating_sub(kernel).div_ceil(stride);
            let hi = (base / stride + 1).min(out);
            if lo >= hi { Span::default() } else { Span { lo: lo as u32, hi: hi as u32, base: base as u32 } }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_the_windows_that_contain_a_row() {
        for (len, kernel, stride, padding) in [(6, 3, 1, 1), (7, 3, 2, 1), (6, 3, 2, 0), (5, 1, 2, 0), (8, 2, 3, 1)] {
            let out = (len + 2 * padding - kernel) / stride + 1;
            for (row, span) in spans(len, 1, len, kernel, stride, padding, out).iter().enumerate() {
                let reached: Vec<usize> =
                    (0..out).filter(|o| (o * stride..o * stride + kernel).contains(&(row + padding))).collect();
                assert_eq!((span.lo as usize..span.hi as usize).collect::<Vec<_>>(), reached);
                for o in reached {
                    assert!(span.base as usize - o * stride < kernel);
                }
            }
        }
    }

    #[test]
    fn rows_that_fill_no_pooling_window_are_dropped() {
        let s = spans(5, 2, 2, 1, 1, 0, 2);
        assert_eq!(s.iter().map(|s| (s.lo, s.hi)).collect::<Vec<_>>(), [(0, 1), (0, 1), (1, 2), (1, 2), (0, 0)]);
    }
}
