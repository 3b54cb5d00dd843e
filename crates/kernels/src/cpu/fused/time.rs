//! The clocked LIF through all steps with its state in registers: neurons are independent, so that a block of them
//! passes all steps, and on the way back all of them again, before the next block begins. What a step costs is then
//! its reads and writes and no more. Values are those of the rows of [`super::rows`], bit for bit.

use super::Channels;
use super::rows::lif_back;
use crate::cpu::simd::prefetch;
use std::mem::MaybeUninit;
use tickless_neuron::step::{Constants, Mode, State, step};

/// Neurons of a block: two registers, so that one works while the other waits.
pub(crate) const WIDE: usize = 32;

/// Values of a line of the cache.
const LINE: usize = 16;

/// How far ahead of a block another is fetched.
const AHEAD: usize = 2 * WIDE;

/// Neurons of a last block.
pub(crate) const NARROW: usize = 16;

/// For each of the neuron's steps that of the input, and whether it is the first and the last that shows it.
#[derive(Debug, Clone)]
pub(crate) struct Steps(Vec<(usize, bool, bool)>);

impl Steps {
    pub(crate) fn new(of: &[usize]) -> Self {
        let ends = |t: usize| (t == 0 || of[t - 1] != of[t], t + 1 == of.len() || of[t + 1] != of[t]);
        Self((0..of.len()).map(|t| (of[t], ends(t).0, ends(t).1)).collect())
    }
}

/// Values of a block at every step.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) values: &'a [f32],
    /// Values between two steps.
    pub(crate) step: usize,
    /// Where those of step 0 begin.
    pub(crate) at: usize,
}

impl Source<'_> {
    #[inline(always)]
    fn block<const W: usize>(&self, t: usize, b: usize) -> [f32; W] {
        block(self.values, t * self.step + self.at + b)
    }

    /// Has a block of step `t` fetched that is read soon: the steps of a block are far apart, more of them than a
    /// cache follows by itself.
    #[inline(always)]
    fn fetch<const W: usize>(&self, t: usize, b: usize) {
        for line in (0..W).step_by(LINE) {
            prefetch(self.values.as_ptr().wrapping_add(t * self.step + self.at + b + line));
        }
    }
}

/// Where blocks of every step go.
pub(crate) trait Sink {
    /// Block `b` of step `t`.
    fn put<const W: usize>(&mut self, t: usize, b: usize, v: [f32; W]);
}

/// A buffer, as a [`Source`] reads it.
pub(crate) struct Buffer<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) step: usize,
    pub(crate) at: usize,
}

impl Sink for Buffer<'_> {
    #[inline(always)]
    fn put<const W: usize>(&mut self, t: usize, b: usize, v: [f32; W]) {
        *self.values[t * self.step + self.at + b..].first_chunk_mut().expect("room for a block") = v;
    }
}

/// Rows that are not written yet, from a column on.
pub(crate) struct Columns<'a, 'b>(pub(crate) &'a mut [&'b mut [MaybeUninit<f32>]], pub(crate) usize);

impl Sink for Columns<'_, '_> {
    #[inline(always)]
    fn put<const W: usize>(&mut self, t: usize, b: usize, v: [f32; W]) {
        let into: &mut [MaybeUninit<f32>; W] = self.0[t][self.1 + b..].first_chunk_mut().expect("room for a block");
        for l in 0..W {
            into[l].write(v[l]);
        }
    }
}

#[inline(always)]
fn block<const W: usize>(x: &[f32], at: usize) -> [f32; W] {
    *x[at..].first_chunk().expect("a whole block")
}

/// μ, factor and what is added, of a block; μ = 0, 1 and 0 where there is no norm.
#[derive(Clone, Copy)]
struct Norm<const W: usize> {
    mean: [f32; W],
    scale: [f32; W],
    shift: [f32; W],
    any: bool,
}

impl<const W: usize> Norm<W> {
    #[inline(always)]
    fn new(wide: Option<&Channels>, b: usize) -> Self {
        match wide {
            None => Self { mean: [0.0; W], scale: [1.0; W], shift: [0.0; W], any: false },
            Some(w) => {
                Self { mean: block(&w.mean, b), scale: block(&w.scale, b), shift: block(&w.shift, b), any: true }
            }
        }
    }

    /// I of x.
    #[inline(always)]
    fn current(&self, x: [f32; W]) -> [f32; W] {
        if !self.any {
            return x;
        }
        let mut current = x;
        for l in 0..W {
            current[l] = (x[l] - self.mean[l]) * self.scale[l] + self.shift[l];
        }
        current
    }
}

/// u and s of one step; `v` becomes the potential after it.
#[inline(always)]
fn fired<const W: usize>(current: &[f32; W], v: &mut [f32; W], c: Constants) -> ([f32; W], [f32; W]) {
    let (mut u, mut s) = (*current, *current);
    for l in 0..W {
        let mut state = State::membrane(v[l]);
        let fired = step(Mode::LIF, &c, &mut state, current[l]);
        (u[l], s[l], v[l]) = (fired.u, fired.spikes, state.v);
    }
    (u, s)
}

/// Spikes of `len` neurons, a multiple of [`NARROW`], at every step.
#[inline(always)]
pub(crate) fn spikes_of(
    c: Constants,
    steps: &Steps,
    x: Source<'_>,
    wide: Option<&Channels>,
    len: usize,
    out: &mut impl Sink,
) {
    let mut b = 0;
    while b + WIDE <= len {
        spikes_of_block::<WIDE>(c, steps, x, Norm::new(wide, b), b, out);
        b += WIDE;
    }
    while b < len {
        spikes_of_block::<NARROW>(c, steps, x, Norm::new(wide, b), b, out);
        b += NARROW;
    }
}

#[inline(always)]
fn spikes_of_block<const W: usize>(
    c: Constants,
    steps: &Steps,
    x: Source<'_>,
    norm: Norm<W>,
    b: usize,
    out: &mut impl Sink,
) {
    let (mut v, mut current) = ([0.0f32; W], [0.0f32; W]);
    for (t, &(i, first, _)) in steps.0.iter().enumerate() {
        if first {
            x.fetch::<W>(i, b + AHEAD);
            current = norm.current(x.block(i, b));
        }
        let (_, s) = fired(&current, &mut v, c);
        out.put(t, b, s);
    }
}

/// Σ G and Σ G·(x − μ), a row wide; empty without norm.
pub(crate) struct WideSums<'a> {
    pub(crate) shift: &'a mut [f32],
    pub(crate) product: &'a mut [f32],
}

/// Gradient of x, as far as it goes through the current alone, of `len` neurons at every step of the input; `u` has
/// room for two blocks at every step.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel's operands")]
pub(crate) fn gradients_of(
    c: Constants,
    steps: &Steps,
    x: Source<'_>,
    wide: Option<&Channels>,
    gradient: Source<'_>,
    len: usize,
    u: &mut [f32],
    out: &mut impl Sink,
    sums: &mut WideSums<'_>,
) {
    let mut b = 0;
    while b + WIDE <= len {
        gradients_of_block::<WIDE>(c, steps, x, Norm::new(wide, b), gradient, b, u, out, sums);
        b += WIDE;
    }
    while b < len {
        gradients_of_block::<NARROW>(c, steps, x, Norm::new(wide, b), gradient, b, u, out, sums);
        b += NARROW;
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel's operands")]
fn gradients_of_block<const W: usize>(
    c: Constants,
    steps: &Steps,
    x: Source<'_>,
    norm: Norm<W>,
    gradient: Source<'_>,
    b: usize,
    u: &mut [f32],
    out: &mut impl Sink,
    sums: &mut WideSums<'_>,
) {
    let (mut v, mut current) = ([0.0f32; W], [0.0f32; W]);
    // Beside the potentials what they came of: steps of a map are often a power of two apart, where a line that was
    // read before the other steps has left the cache after them.
    let (u, seen) = u.split_at_mut(steps.0.len() * W);
    let (u, seen) = (u.as_chunks_mut::<W>().0, seen.as_chunks_mut::<W>().0);
    for (&(i, first, _), (u, seen)) in steps.0.iter().zip(u.iter_mut().zip(seen.iter_mut())) {
        if first {
            x.fetch::<W>(i, b + AHEAD);
            *seen = x.block(i, b);
            current = norm.current(*seen);
        }
        *u = fired(&current, &mut v, c).0;
    }
    let (mut g_v, mut total) = ([0.0f32; W], [0.0f32; W]);
    let (mut sum, mut product) = ([0.0f32; W], [0.0f32; W]);
    if norm.any {
        (sum, product) = (block(sums.shift, b), block(sums.product, b));
    }
    for (t, &(i, first, last)) in steps.0.iter().enumerate().rev() {
        let (u, d): ([f32; W], [f32; W]) = (u[t], gradient.block(t, b));
        gradient.fetch::<W>(t, b + AHEAD);
        if last {
            total = [0.0; W];
        }
        for l in 0..W {
            total[l] += lif_back(u[l], d[l], &mut g_v[l], c);
        }
        if first {
            out.put(i, b, total);
            if norm.any {
                let x = seen[t];
                for l in 0..W {
                    sum[l] += total[l];
                    product[l] += total[l] * (x[l] - norm.mean[l]);
                }
            }
        }
    }
    if norm.any {
        *sums.shift[b..].first_chunk_mut().expect("a whole block") = sum;
        *sums.product[b..].first_chunk_mut().expect("a whole block") = product;
    }
}
