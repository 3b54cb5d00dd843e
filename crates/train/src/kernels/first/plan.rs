//! How a first layer is cut: units of a few rows of one sample with all its steps, tasks of consecutive units.
//!
//! A unit has the rows of one row of windows, so that its spikes are pooled in the cache; the rows at the end that
//! fill no window are a unit without output, which the sums of the norm need all the same.

use super::FirstOp;
use crate::kernels::TilePool;
use crate::kernels::conv::Geometry;
use crate::kernels::conv::simd::LANES;

/// Tasks that a layer is cut into at least, where it has that many units.
const TASKS: usize = 32;

/// Units of a task at most: its sums are in f32.
const MOST_UNITS: usize = 512;

pub(super) struct Plan {
    pub(super) g: Geometry,
    pub(super) pool: Option<TilePool>,
    /// Samples.
    pub(super) batch: usize,
    /// For each step of the neuron that of the input.
    pub(super) steps: Vec<usize>,
    /// How often each step of the input is shown.
    pub(super) copies: Vec<usize>,
    /// Rows of a unit.
    pub(super) rows: usize,
    /// Units of a sample.
    pub(super) per_sample: usize,
    /// Units of a task.
    pub(super) per_task: usize,
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

/// A unit: sample, first row and number of rows of the convolution's output, and the row of windows if it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) sample: usize,
    pub(super) first: usize,
    pub(super) rows: usize,
    pub(super) windows: Option<usize>,
}

impl Plan {
    pub(super) fn new(op: &FirstOp, images: usize) -> Self {
        let (g, branch, t) = (op.conv.geometry, &op.fused.branches[0], op.fused.neuron.steps);
        let (steps, copies) = (branch.steps(t), branch.copies(t));
        assert!(!copies.contains(&0), "a repeat shows every step");
        let (height, width) = (g.out_height(), g.out_width());
        let rows = op.fused.pool.map_or(1, |p| p.kernel);
        let out = op.fused.pool.map_or((height, width), |p| p.out());
        let batch = images / copies.len();
        let per_sample = height.div_ceil(rows);
        let run = (g.kernel * g.out).div_ceil(LANES);
        Self {
            g,
            pool: op.fused.pool,
            batch,
            steps,
            copies,
            rows,
            per_sample,
            per_task: (batch * per_sample).div_ceil(TASKS).clamp(1, MOST_UNITS),
            out,
            line: width * g.out,
            // A run begins at its input's column, and its last register may reach past the row's end.
            pitch: ((g.width + g.kernel - 1) * g.out + LANES).next_multiple_of(LANES),
            left: (g.kernel - 1 - g.padding) * g.out,
            run,
        }
    }

    /// The units of each task.
    pub(super) fn tasks(&self) -> Vec<(usize, usize)> {
        let all = self.batch * self.per_sample;
        (0..all).step_by(self.per_task).map(|a| (a, (a + self.per_task).min(all))).collect()
    }

    #[inline(always)]
    pub(super) fn unit(&self, u: usize) -> Unit {
        let (sample, row) = (u / self.per_sample, u % self.per_sample);
        let first = row * self.rows;
        let rows = self.rows.min(self.g.out_height() - first);
        Unit { sample, first, rows, windows: (row < self.out.0).then_some(row) }
    }

    /// Values of the output before a unit's, in each step.
    pub(super) fn output_at(&self, u: usize) -> usize {
        let (sample, row) = (u / self.per_sample, u % self.per_sample);
        (sample * self.out.0 + row.min(self.out.0)) * self.out_line()
    }

    /// Values of a row of the output.
    pub(super) fn out_line(&self) -> usize {
        self.out.1 * self.g.out
    }

    /// Values of a step of the output.
    pub(super) fn outputs(&self) -> usize {
        self.batch * self.out.0 * self.out_line()
    }

    /// The input row that a kernel row of an output row meets.
    #[inline(always)]
    pub(super) fn input_row(&self, oy: usize, ky: usize) -> Option<usize> {
        (oy + ky).checked_sub(self.g.padding).filter(|iy| *iy < self.g.height)
    }
}
