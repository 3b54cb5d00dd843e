//! An edge: all linear layers between two sets of neurons, as one convolution.
//!
//! An event at (c, y, x) adds to the target
//!
//! ```text
//! v[oy][ox][c_out] += w[(py + pad − oy·s)/d][(px + pad − ox·s)/d][c][c_out],   py = ⌊y/k⌋, px = ⌊x/k⌋
//! ```
//!
//! where k is the window of the pooling before the weights, and the quotients by the dilation d are
//! whole numbers. Stride and dilation may differ between rows and columns. A linear layer is a convolution whose
//! kernel covers the whole map, and an unweighted connection is a 1×1 convolution with one channel
//! per group, so one loop handles every edge. The positions of an event's weights and targets
//! depend only on its source position, so the compiler computes them once and stores a
//! [`Footprint`] per position. The tables are ordered so that the weights of a row of targets are
//! contiguous ([`crate::table`]): an event is a few additions of one contiguous vector to another.

use crate::kernel::BLOCK;
use tickless_net::{Axis, Window};

/// The targets and weights of an event at one source position, for any channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(align(32))]
pub(crate) struct Footprint {
    /// Index of the first potential of the first target row, for channel 0.
    pub state: u32,
    /// First target position, y·width + x.
    pub target: u32,
    /// Index of the first weight, for source channel 0.
    pub weight: u32,
    /// Number of weights between the weight of one source channel and that of the next.
    pub channel_weights: u32,
    /// Number of weights between the weight of one target row and that of the next.
    pub row_weights: u32,
    /// Number of target rows; 0 if the event has no target.
    pub rows: u16,
    /// Number of contiguous segments of a target row; 1 if the whole row is contiguous.
    pub segments: u16,
    /// Number of weights of a segment.
    pub len: u32,
}

impl Footprint {
    /// Number of weights that an event adds.
    #[inline(always)]
    pub fn ops(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.segments) * u64::from(self.len)
    }
}

/// One linear connection from a source (the input or a spiking layer) to a target.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    /// Index of the target layer; the number of spiking layers for the readout.
    pub target: usize,
    /// Index of the weight table.
    pub table: usize,
    /// Whether `table` is an index of the 8-bit tables.
    pub renumbered: bool,
    /// One footprint per source position, `[y][x]`.
    pub footprints: Vec<Footprint>,
    /// First target channel of each source channel; empty if every source channel reaches all
    /// targets.
    first: Vec<u32>,
    /// Number of target channels that a source channel reaches.
    pub width: usize,
    /// Number of potentials from one segment of a target row to the next.
    pub segment_state: usize,
    /// Number of positions from one segment of a target row to the next.
    pub segment_target: usize,
    /// Whether the targets of every event form a single patch (`Patch` in `pass/patch.rs`).
    pub whole: bool,
    /// Number of potentials from one target row to the next.
    pub row_state: usize,
    /// Number of positions from one target row to the next.
    pub row_target: usize,
}

/// The shape of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    /// Rows and columns of the source.
    pub source: (usize, usize),
    /// Pooling window before the weights.
    pub pool: (usize, usize),
    /// Rows and columns after the pooling.
    pub pooled: (usize, usize),
    /// Channels of the source.
    pub channels_in: usize,
    /// Kernel, stride, dilation and padding.
    pub window: Window,
    /// Number of channel groups.
    pub groups: usize,
    /// Rows, columns and channels of the target.
    pub out: (usize, usize, usize),
}

impl Edge {
    /// Creates the edge of a connection to layer `target` with the weights of table `table`.
    pub fn new(target: usize, table: usize, g: &Geometry) -> Self {
        let (rows, cols) = (spans(g, g.window.rows, |p| p.0), spans(g, g.window.columns, |p| p.1));
        let (apart, steps) = (steps(g.window, |s| s.0), steps(g.window, |s| s.1));
        let (_, out_width, channels) = g.out;
        let width = channels / g.groups;
        // With dilation, the target columns of an event are not neighbours.
        let all_channels = width == channels;
        let together = all_channels && steps.1 == 1;
        let footprint = |r: Span, c: Span| -> Footprint {
            let (n_rows, n_cols) = (r.len, c.len);
            if n_rows == 0 || n_cols == 0 {
                return Footprint::default();
            }
            let target = r.lo * out_width + c.lo;
            let phases: usize = phases_before(g.window.kernel(), apart, (r.phase, c.phase));
            let weight = (phases * g.channels_in + r.tap * c.taps + c.tap) * width;
            Footprint {
                state: (target * channels) as u32,
                target: target as u32,
                weight: weight as u32,
                channel_weights: (r.taps * c.taps * width) as u32,
                row_weights: (c.taps * width) as u32,
                rows: n_rows as u16,
                segments: if together { 1 } else { n_cols as u16 },
                len: (if together { n_cols * width } else { width }) as u32,
            }
        };
        let footprints: Vec<Footprint> =
            rows.iter().flat_map(|&r| cols.iter().map(move |&c| (r, c))).map(|(r, c)| footprint(r, c)).collect();
        // An upper bound, because the patch loop runs only with blocks of more than BLOCK/2
        // neurons.
        let blocks = |p: &Footprint| p.rows as usize * (p.len as usize).div_ceil(BLOCK / 2 + 1);
        let whole = together && footprints.iter().all(|p| blocks(p) <= BLOCK);
        let c_in = g.channels_in / g.groups;
        let first =
            if all_channels { Vec::new() } else { (0..g.channels_in).map(|c| (c / c_in * width) as u32).collect() };
        Self {
            target,
            table,
            renumbered: false,
            footprints,
            first,
            width,
            segment_state: steps.1 * channels,
            segment_target: steps.1,
            whole,
            row_state: steps.0 * out_width * channels,
            row_target: steps.0 * out_width,
        }
    }

    /// First target channel and index of the first weight of an event in this channel at a
    /// footprint.
    #[inline(always)]
    pub fn channel(&self, channel: usize, footprint: &Footprint) -> (usize, usize) {
        let weight = footprint.weight as usize + channel * footprint.channel_weights as usize;
        (self.first.get(channel).map_or(0, |&f| f as usize), weight)
    }
}

/// The target rows (or columns) of a source row, and the position of their weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    /// First target row.
    lo: usize,
    /// Number of target rows; 0 if the event has no target.
    len: usize,
    /// Phase of the kernel rows that apply: their index modulo the first number of [`step`].
    phase: usize,
    /// Number of kernel rows with this phase.
    taps: usize,
    /// Index of the kernel row for the first target row, counted from the last row of the phase.
    tap: usize,
}

/// Of a window in one direction: the kernel rows between two that reach neighbouring targets of an
/// event, and the target rows between those. Without dilation these are the stride and 1.
pub(crate) fn step(a: Axis) -> (usize, usize) {
    let common = gcd(a.stride, a.dilation);
    (a.stride / common, a.dilation / common)
}

/// One of the numbers of [`step`], for rows and columns.
pub(crate) fn steps(w: Window, pick: impl Fn((usize, usize)) -> usize) -> (usize, usize) {
    (pick(step(w.rows)), pick(step(w.columns)))
}

/// The greatest common divisor.
pub(crate) fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Number of kernel rows whose index is `phase` modulo `apart`.
pub(crate) fn taps(kernel: usize, apart: usize, phase: usize) -> usize {
    kernel.saturating_sub(phase).div_ceil(apart)
}

/// Number of (row, column) pairs of the kernel in the phases before `phase`.
pub(crate) fn phases_before(kernel: (usize, usize), apart: (usize, usize), phase: (usize, usize)) -> usize {
    let rows: usize = (0..phase.0).map(|p| taps(kernel.0, apart.0, p)).sum();
    let cols: usize = (0..phase.1).map(|p| taps(kernel.1, apart.1, p)).sum();
    rows * kernel.1 + taps(kernel.0, apart.0, phase.0) * cols
}

/// The spans of all source rows (or columns); `side` selects the direction.
fn spans(g: &Geometry, a: Axis, side: impl Fn((usize, usize)) -> usize) -> Vec<Span> {
    let out = side((g.out.0, g.out.1));
    let (apart, step) = step(a);
    (0..side(g.source))
        .map(|row| {
            let pooled = row / side(g.pool);
            if pooled >= side(g.pooled) {
                return Span::default();
            }
            let base = pooled + a.before;
            let lo = (base + 1).saturating_sub(a.span()).div_ceil(a.stride);
            let hi = (base / a.stride + 1).min(out);
            // Target row o uses kernel row (base − o·stride)/dilation if that is a whole number,
            // which it is for every `step`-th row, if for any. It falls as o rises; the tables have
            // this order.
            let whole = |o: &usize| (base - o * a.stride).is_multiple_of(a.dilation);
            let Some(lo) = (lo..hi).take(step).find(whole) else { return Span::default() };
            let (tap, len) = ((base - lo * a.stride) / a.dilation, (hi - lo).div_ceil(step));
            let (phase, taps) = (tap % apart, taps(a.kernel, apart, tap % apart));
            Span { lo, len, phase, taps, tap: taps - 1 - tap / apart }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_the_windows_that_contain_a_row_and_their_weights_lie_in_a_row() {
        for (len, kernel, stride, dilation, before, after) in [
            (6, 3, 1, 1, 1, 1),
            (7, 3, 2, 1, 1, 1),
            (6, 3, 2, 1, 0, 0),
            (5, 1, 2, 1, 0, 0),
            (8, 2, 3, 1, 1, 1),
            (9, 3, 1, 2, 2, 2),
            (9, 4, 2, 3, 1, 4),
            (9, 2, 4, 2, 0, 3),
            (11, 5, 6, 4, 8, 0),
            (7, 4, 1, 1, 1, 2),
        ] {
            let a = Axis { kernel, stride, dilation, before, after };
            let out = a.positions(len).expect("the window fits");
            let g = Geometry {
                source: (len, 1),
                pool: (1, 1),
                pooled: (len, 1),
                channels_in: 1,
                window: Window { rows: a, columns: Axis::new(1, 1, 0) },
                groups: 1,
                out: (out, 1, 1),
            };
            let (apart, step) = step(a);
            for (row, span) in spans(&g, a, |p| p.0).iter().enumerate() {
                let tap_of = |o: usize| (0..kernel).find(|k| o * stride + k * dilation == row + before);
                let reached: Vec<(usize, usize)> = (0..out).filter_map(|o| Some((o, tap_of(o)?))).collect();
                let of_span: Vec<usize> = (0..span.len).map(|k| span.lo + k * step).collect();
                assert_eq!(of_span, reached.iter().map(|r| r.0).collect::<Vec<_>>(), "{a:?}, row {row}");
                for (k, (_, tap)) in reached.into_iter().enumerate() {
                    // The table of a phase has the kernel's rows of that phase in descending order.
                    let rows: Vec<usize> = (0..kernel).rev().filter(|r| r % apart == span.phase).collect();
                    assert_eq!(rows.len(), span.taps);
                    assert_eq!(rows[span.tap + k], tap, "{a:?}, row {row}");
                }
            }
        }
    }

    #[test]
    fn phases_part_the_kernel() {
        for (kernel, apart) in
            [((3, 3), (1, 1)), ((3, 5), (2, 2)), ((1, 2), (3, 1)), ((7, 7), (4, 2)), ((2, 5), (1, 3))]
        {
            let mut at = 0;
            for phase in (0..apart.0).flat_map(|y| (0..apart.1).map(move |x| (y, x))) {
                assert_eq!(phases_before(kernel, apart, phase), at);
                at += taps(kernel.0, apart.0, phase.0) * taps(kernel.1, apart.1, phase.1);
            }
            assert_eq!(at, kernel.0 * kernel.1);
        }
    }
}
