//! The neurons of a row of outputs through all steps, forward and backward. If the neuron is the
//! clocked LIF and a row is a multiple of 16 values, the state stays in registers
//! (`fused/time.rs`); otherwise the rows of [`crate::cpu::fused`] process one step after the other.

use super::layout::Layout;
use crate::cpu::fused::Channels;
use crate::cpu::fused::rows::{back, charge, fire, is_lif};
use crate::cpu::fused::time::{AtRest, Buffer, Kept, NARROW, Source, Steps, WIDE, WideSums, gradients_of, spikes_of};
use crate::operators::NeuronOp;
use tickless_neuron::step::Constants;

/// The parameters and buffers for processing rows.
pub(super) struct Line<'a> {
    layout: &'a Layout,
    op: NeuronOp,
    /// The norm, a row wide.
    wide: Option<&'a Channels>,
    steps: Steps,
    /// Distance between two steps of a band, in values.
    step: usize,
    blocks: bool,
    /// The potentials of every step, and the state of a row.
    u: Vec<f32>,
    state: [Vec<f32>; 5],
}

impl<'a> Line<'a> {
    pub(super) fn new(layout: &'a Layout, op: NeuronOp, wide: Option<&'a Channels>) -> Self {
        let blocks = is_lif(&op.neuron) && layout.line.is_multiple_of(NARROW);
        let zeros = |n: usize| vec![0.0f32; n];
        let state = [(); 5].map(|()| zeros(if blocks { 0 } else { layout.line }));
        let u = zeros(layout.steps.len() * if blocks { 2 * WIDE } else { layout.line });
        let steps = Steps::new(&layout.steps);
        Self { layout, op, wide, steps, step: layout.band_len(), blocks, u, state }
    }

    /// Spikes of the row that begins at `at` in every step of `y`. Those of step t are written to
    /// `at_s` + t·`pitch`.
    #[inline(always)]
    pub(super) fn spikes(&mut self, y: &[f32], at: usize, s: &mut [f32], at_s: usize, pitch: usize) {
        let (layout, line) = (self.layout, self.layout.line);
        if self.blocks {
            let c = Constants::new(&self.op.neuron, self.op.lambda);
            let x = Source { values: y, step: self.step, at };
            let mut out = Buffer { values: s, step: pitch, at: at_s };
            return spikes_of(c, &self.steps, x, self.wide, &mut AtRest, line, &mut out);
        }
        let [v, current, scratch, ..] = &mut self.state;
        v.fill(0.0);
        for (t, i) in layout.steps.iter().enumerate() {
            charge(current, &y[i * self.step + at..][..line], self.wide, true);
            fire(self.op, current, v, &mut s[t * pitch + at_s..][..line], scratch);
        }
    }

    /// Spikes `s` of one step of the row of `y` that begins at `at`, whose potentials are `membranes`
    /// before the step and after it.
    #[inline(always)]
    pub(super) fn step(&mut self, y: &[f32], at: usize, membranes: &mut [f32], s: &mut [f32]) {
        let line = self.layout.line;
        if self.blocks {
            let c = Constants::new(&self.op.neuron, self.op.lambda);
            let x = Source { values: y, step: self.step, at };
            let mut out = Buffer { values: s, step: line, at: 0 };
            return spikes_of(c, &self.steps, x, self.wide, &mut Kept(membranes), line, &mut out);
        }
        let [_, current, scratch, ..] = &mut self.state;
        charge(current, &y[at..][..line], self.wide, true);
        fire(self.op, current, membranes, s, scratch);
    }

    /// Propagates the gradients of the spikes, one row per step, back through all steps. Writes G
    /// of the row that begins at `at` in every step, and adds to the sums of the norm.
    #[inline(always)]
    pub(super) fn back(&mut self, y: &[f32], at: usize, gradient: &[f32], g: &mut [f32], mut sums: WideSums<'_>) {
        let (layout, line, step) = (self.layout, self.layout.line, self.step);
        if self.blocks {
            let c = Constants::new(&self.op.neuron, self.op.lambda);
            let (x, d) = (Source { values: y, step, at }, Source { values: gradient, step: line, at: 0 });
            let mut out = Buffer { values: g, step, at };
            return gradients_of(c, &self.steps, x, self.wide, d, line, &mut self.u, &mut out, &mut sums);
        }
        let [v, s, scratch, g_v, g_u] = &mut self.state;
        v.fill(0.0);
        for (i, u) in layout.steps.iter().zip(self.u.chunks_exact_mut(line)) {
            charge(u, &y[i * step + at..][..line], self.wide, true);
            fire(self.op, u, v, s, scratch);
        }
        g_v.fill(0.0);
        for (t, &i) in layout.steps.iter().enumerate().rev() {
            back(self.op, &self.u[t * line..][..line], &gradient[t * line..][..line], g_v, g_u);
            let into = &mut g[i * step + at..][..line];
            match t + 1 == layout.steps.len() || layout.steps[t + 1] != i {
                true => into.copy_from_slice(g_u),
                false => into.iter_mut().zip(&*g_u).for_each(|(o, g)| *o += g),
            }
            if let (true, Some(wide)) = (t == 0 || layout.steps[t - 1] != i, self.wide) {
                let y = &y[i * step + at..][..line];
                for k in 0..line {
                    sums.shift[k] += into[k];
                    sums.product[k] += into[k] * (y[k] - wide.mean[k]);
                }
            }
        }
    }
}
