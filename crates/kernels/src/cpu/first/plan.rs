//! How a first layer is cut: bands of rows of one sample with all its steps, tasks of consecutive bands.
//!
//! A band has whole rows of windows, so that its spikes are pooled in the cache; rows at the end that fill no window
//! belong to the last one, since the sums of the norm need them all the same.
//!
//! In a band's buffer each row of outputs has margins, and there are k − 1 rows more above and below, so that what an
//! input adds to is always inside.

use crate::cpu::simd::LANES;
use crate::operators::{FirstOp, Geometry, TilePool};
use std::ops::Range;

/// Tasks that a layer is cut into at least, where it has that many rows of windows.
const TASKS: usize = 32;

/// Bytes of a band's outputs at all steps, and of one step of them: parts of the second-level and first-level cache.
const BAND: usize = 320 << 10;
const STEP: usize = 24 << 10;

/// Bands of a task at most: its sums are in f32.
const MOST: usize = 64;

pub(super) struct Plan {
    pub(super) g: Geometry,
    pub(super) pool: Option<TilePool>,
    /// Samples.
    pub(super) batch: usize,
    /// For each step of the neuron that of the input.
    pub(super) steps: Vec<usize>,
    /// How often each step of the input is shown.
    pub(super) copies: Vec<usize>,
    /// Rows of a window.
    pub(super) window: usize,
    /// Rows of windows of a band.
    rows: usize,
    /// Bands of a sample.
    per_sample: usize,
    /// Bands of a task.
    per_task: usize,
    /// Height and width of the output.
    pub(super) out: (usize, usize),
    /// Values of a row of the convolution's output.
    pub(super) line: usize,
    /// Values of such a row with its margins.
    pub(super) pitch: usize,
    /// Where the row begins.
    pub(super) left: usize,
    /// Registers of a run: the k·Co outputs that an input adds to in a row.
    pub(super) run: usize,
}

/// A band: sample, rows of the convolution's output and rows of windows.
#[derive(Debug, Clone)]
pub(super) struct Band {
    pub(super) sample: usize,
    pub(super) rows: Range<usize>,
    pub(super) windows: Range<usize>,
}

/// Values of a row of outputs with its margins. A run begins at its input's column, and its last register may reach
/// past the row's end.
pub(super) fn pitch(g: &Geometry) -> usize {
    ((g.width + g.kernel - 1) * g.out + LANES).next_multiple_of(LANES)
}

impl Plan {
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
        let all = self.batch * self.per_sample;
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
        // The last band has the rows that fill no window too.
        ((self.rows + 1) * self.window - 1 + 2 * (self.g.kernel - 1)) * self.pitch
    }

    /// Where the outputs of a row of a band begin in its buffer.
    #[inline(always)]
    pub(super) fn row_at(&self, r: usize) -> usize {
        (self.g.kernel - 1 + r) * self.pitch + self.left
    }

    /// Rows of inputs that meet a band.
    #[inline(always)]
    pub(super) fn inputs(&self, band: &Band) -> Range<usize> {
        let end = (band.rows.end + self.g.kernel - 1).saturating_sub(self.g.padding).min(self.g.height);
        band.rows.start.saturating_sub(self.g.padding).min(end)..end
    }

    /// Values of the output before a band's, in each step.
    pub(super) fn output_at(&self, b: usize) -> usize {
        let (sample, k) = (b / self.per_sample, b % self.per_sample);
        (sample * self.out.0 + (k * self.rows).min(self.out.0)) * self.out_line()
    }

    /// Values of a row of the output.
    pub(super) fn out_line(&self) -> usize {
        self.out.1 * self.g.out
    }

    /// Values of a step of the output.
    pub(super) fn outputs(&self) -> usize {
        self.batch * self.out.0 * self.out_line()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::{Branch, BranchNorm, ConvOp, FusedOp, Kernel, NeuronOp, Precision};
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
                conv: ConvOp::new(g, Kernel::Auto, Precision::F32),
                fused: FusedOp { neuron, branches, pool },
            };
            let plan = Plan::new(&op, batch * t);
            let mut seen = vec![0; batch * height];
            let mut outputs = 0;
            for b in plan.tasks().into_iter().flatten() {
                let band = plan.band(b);
                assert_eq!(plan.output_at(b), outputs, "{g:?} {b}");
                outputs += band.windows.len() * plan.out_line();
                band.rows.clone().for_each(|y| seen[band.sample * height + y] += 1);
                for iy in plan.inputs(&band) {
                    // Rows of the buffer from the last tap's output to the first's.
                    let above = (iy + padding).checked_sub(band.rows.start).expect("below the buffer's first row");
                    assert!((above + 3) * plan.pitch <= plan.band_len(), "{g:?} {b} {iy}");
                }
                assert!((band.rows.len() + 4) * plan.pitch <= plan.band_len(), "{g:?} {b}");
            }
            assert!(seen.iter().all(|n| *n == 1), "{g:?} {seen:?}");
            assert_eq!(outputs, plan.outputs());
        }
    }
}
