//! Cuts a first layer into bands and tasks: a band is some rows of one sample with all its steps,
//! and a task is some consecutive bands.
//!
//! A band has whole rows of windows, so that its spikes are pooled in the cache. Rows at the end
//! that do not fill a window belong to the last band, because the sums of the norm include them.
//!
//! In a band's buffer each row of outputs has margins, and k − 1 more rows are above and below, so
//! that every output that an input adds to is inside the buffer.

use crate::cpu::simd::LANES;
use crate::operators::{FirstOp, Geometry, TilePool};
use std::ops::Range;

/// Least number of tasks per layer, if it has that many rows of windows.
const TASKS: usize = 32;

/// Most bytes of a band's outputs for all steps, and for one step: parts of the L2 and of the L1
/// cache.
const BAND: usize = 320 << 10;
const STEP: usize = 24 << 10;

/// Most bands per task, because the sums of a task are f32.
const MOST: usize = 64;

pub(super) struct Layout {
    pub(super) g: Geometry,
    pub(super) pool: Option<TilePool>,
    /// Number of samples.
    pub(super) batch: usize,
    /// For each step of the neuron, the step of the input that it reads.
    pub(super) steps: Vec<usize>,
    /// For each step of the input, how many steps of the neuron read it.
    pub(super) copies: Vec<usize>,
    /// Rows per window.
    pub(super) window: usize,
    /// Rows of windows per band.
    rows: usize,
    /// Bands per sample.
    per_sample: usize,
    /// Bands per task.
    per_task: usize,
    /// Height and width of the output.
    pub(super) out: (usize, usize),
    /// Values per row of the convolution's output.
    pub(super) line: usize,
    /// Values per row including its margins.
    pub(super) pitch: usize,
    /// Offset of the first output within a row.
    pub(super) left: usize,
    /// Registers per run: a run is the k·Co outputs that an input adds to in a row.
    pub(super) run: usize,
}

/// A band: a sample, rows of the convolution's output, and rows of windows.
#[derive(Debug, Clone)]
pub(super) struct Band {
    pub(super) sample: usize,
    pub(super) rows: Range<usize>,
    pub(super) windows: Range<usize>,
}

/// Values per row of outputs including its margins. A run begins at its input's column, and its
/// last register may extend past the end of the row.
pub(super) fn pitch(g: &Geometry) -> usize {
    ((g.width + g.kernel - 1) * g.out + LANES).next_multiple_of(LANES)
}

impl Layout {
    pub(super) fn new(op: &FirstOp, images: usize) -> Self {
        let (g, branch, t) = (op.conv.geometry, &op.fused.branches[0], op.fused.neuron.steps);
        let (steps, copies) = (branch.steps(t), branch.copies(t));
        assert!(!copies.contains(&0), "a repeat shows every step");
        let (height, width) = (g.out_height(), g.out_width());
        let window = op.fused.pool.map_or(1, |p| p.kernel);
        let out = op.fused.pool.map_or((height, width), |p| p.out());
        let (batch, pitch) = (images / copies.len(), pitch(&g));
        let most = (BAND / (pitch * 4 * copies.len())).min(STEP / (pitch * 4)).max(1);
        let wanted = (batch * out.0).div_ceil(TASKS);
        let bands = out.0.div_ceil((most / window).clamp(1, wanted.max(1))).max(1);
        let rows = out.0.div_ceil(bands).max(1);
        let per_sample = out.0.div_ceil(rows).max(1);
        Self {
            g,
            pool: op.fused.pool,
            batch,
            steps,
            copies,
            window,
            rows,
            per_sample,
            per_task: (batch * per_sample).div_ceil(TASKS).clamp(1, MOST),
            out,
            line: width * g.out,
            pitch,
            left: (g.kernel - 1 - g.padding) * g.out,
            run: (g.kernel * g.out).div_ceil(LANES),
        }
    }

    /// The bands of each task.
    pub(super) fn tasks(&self) -> Vec<Range<usize>> {
        let all = self.bands();
        (0..all).step_by(self.per_task).map(|a| a..(a + self.per_task).min(all)).collect()
    }

    pub(super) fn band(&self, b: usize) -> Band {
        let (sample, k) = (b / self.per_sample, b % self.per_sample);
        let windows = k * self.rows..((k + 1) * self.rows).min(self.out.0);
        let last = if k + 1 == self.per_sample { self.g.out_height() } else { windows.end * self.window };
        Band { sample, rows: windows.start * self.window..last, windows }
    }

    /// Values of a band's buffer.
    pub(super) fn band_len(&self) -> usize {
        // The last band also has the rows that do not fill a window.
        ((self.rows + 1) * self.window - 1 + 2 * (self.g.kernel - 1)) * self.pitch
    }

    /// The index in a band's buffer at which the outputs of its row `r` begin.
    #[inline(always)]
    pub(super) fn row_at(&self, r: usize) -> usize {
        (self.g.kernel - 1 + r) * self.pitch + self.left
    }

    /// The rows of the input that a band reads.
    #[inline(always)]
    pub(super) fn inputs(&self, band: &Band) -> Range<usize> {
        let end = (band.rows.end + self.g.kernel - 1).saturating_sub(self.g.padding).min(self.g.height);
        band.rows.start.saturating_sub(self.g.padding).min(end)..end
    }

    /// The index within each step at which the band's output begins.
    pub(super) fn output_at(&self, b: usize) -> usize {
        let (sample, k) = (b / self.per_sample, b % self.per_sample);
        (sample * self.out.0 + (k * self.rows).min(self.out.0)) * self.out_line()
    }

    /// Number of bands.
    pub(super) fn bands(&self) -> usize {
        self.batch * self.per_sample
    }

    /// The index within each step at which the neurons of the band's rows begin.
    pub(super) fn neurons_at(&self, b: usize) -> usize {
        let (sample, k) = (b / self.per_sample, b % self.per_sample);
        (sample * self.g.out_height() + k * self.rows * self.window) * self.line
    }

    /// Values per row of the output.
    pub(super) fn out_line(&self) -> usize {
        self.out.1 * self.g.out
    }

    /// Values per step of the output.
    pub(super) fn outputs(&self) -> usize {
        self.batch * self.out.0 * self.out_line()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::{Branch, BranchNorm, ConvOp, FusedOp, KernelChoice, NeuronOp, Precision};
    use tickless_net::Neuron;

    #[test]
    fn bands_have_every_row_once_and_room_for_what_an_input_adds_to() {
        for (out, side, padding, window, batch, t) in
            [(8, 34, 1, 2, 64, 10), (64, 48, 1, 1, 4, 10), (5, 7, 0, 3, 2, 1), (3, 9, 2, 2, 1, 4), (1, 3, 1, 4, 3, 2)]
        {
            let g = Geometry { channels: 2, height: side, width: side, out, kernel: 3, stride: 1, padding };
            let (height, width) = (g.out_height(), g.out_width());
            let pool = (window > 1).then_some(TilePool {
                kernel: window,
                scale: 1.0,
                height,
                width,
                channels: out,
                last: true,
            });
            let branches = vec![Branch { norm: BranchNorm::None, repeat: None }];
            let neuron = NeuronOp { neuron: Neuron::lif(), lambda: 0.5, steps: t };
            let op = FirstOp {
                conv: ConvOp::new(g, KernelChoice::Auto, Precision::F32),
                fused: FusedOp { neuron, branches, pool },
            };
            let layout = Layout::new(&op, batch * t);
            let mut seen = vec![0; batch * height];
            let mut outputs = 0;
            for b in layout.tasks().into_iter().flatten() {
                let band = layout.band(b);
                assert_eq!(layout.output_at(b), outputs, "{g:?} {b}");
                outputs += band.windows.len() * layout.out_line();
                band.rows.clone().for_each(|y| seen[band.sample * height + y] += 1);
                for iy in layout.inputs(&band) {
                    // An input adds to three rows of the buffer, from the last tap's output to the
                    // first tap's.
                    let above = (iy + padding).checked_sub(band.rows.start).expect("below the buffer's first row");
                    assert!((above + 3) * layout.pitch <= layout.band_len(), "{g:?} {b} {iy}");
                }
                assert!((band.rows.len() + 4) * layout.pitch <= layout.band_len(), "{g:?} {b}");
            }
            assert!(seen.iter().all(|n| *n == 1), "{g:?} {seen:?}");
            assert_eq!(outputs, layout.outputs());
        }
    }
}
