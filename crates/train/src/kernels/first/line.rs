//! The neurons of a row of outputs through all steps, forward and back.
//!
//! Sixteen neurons at a time run through time with their state in registers where they are the clocked LIF and the
//! row is whole registers; any other row takes the steps of [`crate::kernels::fused`] one after the other.

use super::plan::Plan;
use crate::kernels::NeuronOp;
use crate::kernels::conv::simd::LANES;
use crate::kernels::fused::Channels;
use crate::kernels::fused::rows::{back, charge, fire, is_lif, lif_back};
use crate::neuron::{Constants, reset, spikes};

type Block = [f32; LANES];

/// What a row needs beside its values.
pub(super) struct Line<'a> {
    plan: &'a Plan,
    op: NeuronOp,
    /// The norm, a row wide.
    wide: Option<&'a Channels>,
    /// Values between two steps of a band.
    step: usize,
    blocks: bool,
    /// Potentials of every step, and a row's state.
    u: Vec<f32>,
    state: [Vec<f32>; 5],
}

/// Σ G and Σ G·(y − μ), a row wide.
pub(super) struct NormSums {
    pub(super) shift: Vec<f32>,
    pub(super) product: Vec<f32>,
}

#[inline(always)]
fn block(x: &[f32], at: usize) -> Block {
    *x[at..].first_chunk().expect("whole registers")
}

#[inline(always)]
fn put(x: &mut [f32], at: usize, v: Block) {
    *x[at..].first_chunk_mut().expect("whole registers") = v;
}

impl<'a> Line<'a> {
    pub(super) fn new(plan: &'a Plan, op: NeuronOp, wide: Option<&'a Channels>) -> Self {
        let blocks = is_lif(&op.neuron) && plan.line.is_multiple_of(LANES);
        let zeros = |n: usize| vec![0.0f32; n];
        let state = [(); 5].map(|()| zeros(if blocks { 0 } else { plan.line }));
        let u = zeros(plan.steps.len() * if blocks { LANES } else { plan.line });
        Self { plan, op, wide, step: plan.band_len(), blocks, u, state }
    }

    /// The norm of sixteen values: μ, the factor and what is added.
    #[inline(always)]
    fn norm(&self, at: usize) -> Option<[Block; 3]> {
        self.wide.map(|w| [block(&w.mean, at), block(&w.scale, at), block(&w.shift, at)])
    }

    /// Spikes of the row at `at` of every step of `y`, to `at_s` + t·`pitch`.
    #[inline(always)]
    pub(super) fn spikes(&mut self, y: &[f32], at: usize, s: &mut [f32], at_s: usize, pitch: usize) {
        let (plan, line) = (self.plan, self.plan.line);
        if self.blocks {
            let c = Constants::new(&self.op.neuron, self.op.lambda);
            for b in (0..line).step_by(LANES) {
                let norm = self.norm(b);
                let (mut v, mut current) = ([0.0f32; LANES], [0.0f32; LANES]);
                for (t, i) in plan.steps.iter().enumerate() {
                    if plan.ends(t).0 {
                        current = charged(block(y, i * self.step + at + b), norm);
                    }
                    let (_, s_t) = fired(current, &mut v, c);
                    put(s, t * pitch + at_s + b, s_t);
                }
            }
            return;
        }
        let [v, current, scratch, ..] = &mut self.state;
        v.fill(0.0);
        for (t, i) in plan.steps.iter().enumerate() {
            charge(current, &y[i * self.step + at..][..line], self.wide, true);
            fire(self.op, current, v, &mut s[t * pitch + at_s..][..line], scratch);
        }
    }

    /// Sends the gradients of the spikes, a row a step, back: G of the row at `at` of every step, y − μ in place of
    /// y if there is a norm, and its sums.
    #[inline(always)]
    pub(super) fn back(&mut self, y: &mut [f32], at: usize, gradient: &[f32], g: &mut [f32], sums: &mut NormSums) {
        if self.blocks {
            for b in (0..self.plan.line).step_by(LANES) {
                self.back_block(y, at, gradient, g, sums, b);
            }
        } else {
            self.back_row(y, at, gradient, g, sums);
        }
    }

    #[inline(always)]
    fn back_block(&mut self, y: &mut [f32], at: usize, gradient: &[f32], g: &mut [f32], sums: &mut NormSums, b: usize) {
        let (plan, line, step) = (self.plan, self.plan.line, self.step);
        let c = Constants::new(&self.op.neuron, self.op.lambda);
        let norm = self.norm(b);
        let (mut v, mut current) = ([0.0f32; LANES], [0.0f32; LANES]);
        for (t, i) in plan.steps.iter().enumerate() {
            if plan.ends(t).0 {
                current = charged(block(y, i * step + at + b), norm);
            }
            let (u, _) = fired(current, &mut v, c);
            put(&mut self.u, t * LANES, u);
        }
        let (mut g_v, mut total) = ([0.0f32; LANES], [0.0f32; LANES]);
        let (mut sum, mut product) = match norm {
            Some(_) => (block(&sums.shift, b), block(&sums.product, b)),
            None => ([0.0; LANES], [0.0; LANES]),
        };
        for (t, i) in plan.steps.iter().enumerate().rev() {
            let (u, d) = (block(&self.u, t * LANES), block(gradient, t * line + b));
            let (first, last) = plan.ends(t);
            let mut o = [0.0f32; LANES];
            for l in 0..LANES {
                o[l] = lif_back(u[l], d[l], g_v[l], c);
                g_v[l] = c.lambda * o[l];
                total[l] = if last { o[l] } else { total[l] + o[l] };
            }
            if !first {
                continue;
            }
            put(g, i * step + at + b, total);
            if let Some([mean, ..]) = norm {
                let mut centred = block(y, i * step + at + b);
                for l in 0..LANES {
                    centred[l] -= mean[l];
                    sum[l] += total[l];
                    product[l] += total[l] * centred[l];
                }
                put(y, i * step + at + b, centred);
            }
        }
        if norm.is_some() {
            put(&mut sums.shift, b, sum);
            put(&mut sums.product, b, product);
        }
    }

    fn back_row(&mut self, y: &mut [f32], at: usize, gradient: &[f32], g: &mut [f32], sums: &mut NormSums) {
        let (plan, line, step) = (self.plan, self.plan.line, self.step);
        let [v, s, scratch, g_v, g_u] = &mut self.state;
        v.fill(0.0);
        for (t, (i, u)) in plan.steps.iter().zip(self.u.chunks_exact_mut(line.max(1))).enumerate() {
            charge(u, &y[i * step + at..][..line], self.wide, true);
            fire(self.op, u, v, s, scratch);
            debug_assert!(t < plan.steps.len());
        }
        g_v.fill(0.0);
        for (t, i) in plan.steps.iter().enumerate().rev() {
            back(self.op, &self.u[t * line..][..line], &gradient[t * line..][..line], g_v, g_u);
            let (first, last) = plan.ends(t);
            let into = &mut g[i * step + at..][..line];
            match last {
                true => into.copy_from_slice(g_u),
                false => into.iter_mut().zip(&*g_u).for_each(|(o, g)| *o += g),
            }
            if let (true, Some(wide)) = (first, self.wide) {
                let y = &mut y[i * step + at..][..line];
                for k in 0..line {
                    y[k] -= wide.mean[k];
                    sums.shift[k] += into[k];
                    sums.product[k] += into[k] * y[k];
                }
            }
        }
    }
}

/// I of sixteen neurons.
#[inline(always)]
fn charged(y: Block, norm: Option<[Block; 3]>) -> Block {
    match norm {
        None => y,
        Some([mean, scale, shift]) => {
            let mut current = y;
            for l in 0..LANES {
                current[l] = (y[l] - mean[l]) * scale[l] + shift[l];
            }
            current
        }
    }
}

/// u and s of one step; `v` becomes the potential after it.
#[inline(always)]
fn fired(current: Block, v: &mut Block, c: Constants) -> (Block, Block) {
    let (mut u, mut s) = (current, current);
    for l in 0..LANES {
        u[l] = current[l] + c.lambda * v[l];
        s[l] = spikes::<false, false>(u[l], c.theta);
        v[l] = reset::<true>(u[l], s[l], c.theta).max(c.v_min);
    }
    (u, s)
}
