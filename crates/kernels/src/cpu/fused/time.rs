//! Fast path of the clocked LIF: neurons are independent, so a block of them passes all steps, and
//! in the backward pass all steps again in reverse, before the next block begins. The state stays
//! in registers, so a step costs little more than its reads and writes. Results equal those of
//! [`super::rows`] bit for bit.

use super::Channels;
use super::rows::lif_back;
use crate::cpu::simd::prefetch;
use std::mem::MaybeUninit;
use tickless_neuron::step::{Constants, Mode, State, step};

/// Neurons per block: two registers, so that the latency of one hides behind the other.
pub(crate) const WIDE: usize = 32;

/// Values per cache line.
const LINE: usize = 16;

/// Number of values between the current block and the block that the kernel prefetches.
const AHEAD: usize = 2 * WIDE;

/// Neurons per block at the end of a chunk.
pub(crate) const NARROW: usize = 16;

/// For each step of the neuron, the step of the branch that it reads, and whether it is the first
/// and the last step that reads it.
#[derive(Debug, Clone)]
pub(crate) struct Steps(Vec<(usize, bool, bool)>);

impl Steps {
    pub(crate) fn new(of: &[usize]) -> Self {
        let ends = |t: usize| (t == 0 || of[t - 1] != of[t], t + 1 == of.len() || of[t + 1] != of[t]);
        Self((0..of.len()).map(|t| (of[t], ends(t).0, ends(t).1)).collect())
    }
}

/// Reads a block of values at every step.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) values: &'a [f32],
    /// Distance between two steps, in values.
    pub(crate) step: usize,
    /// Position of the first value at step 0.
    pub(crate) at: usize,
}

impl Source<'_> {
    #[inline(always)]
    fn block<const W: usize>(&self, t: usize, b: usize) -> [f32; W] {
        block(self.values, t * self.step + self.at + b)
    }

    /// Prefetches block `b` of step `t`. The steps of a block are far apart in memory, and they are
    /// more streams than the hardware prefetcher follows.
    #[inline(always)]
    fn fetch<const W: usize>(&self, t: usize, b: usize) {
        for line in (0..W).step_by(LINE) {
            prefetch(self.values.as_ptr().wrapping_add(t * self.step + self.at + b + line));
        }
    }
}

/// The destination of blocks at every step.
pub(crate) trait Sink {
    /// Stores block `b` of step `t`.
    fn put<const W: usize>(&mut self, t: usize, b: usize, v: [f32; W]);
}

/// A buffer with the layout of a [`Source`].
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

/// Uninitialised rows, one per step, and the column at which writing begins.
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

/// The norm of a block as (x − mean)·scale + shift; identity (0, 1, 0) if `any` is false.
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

    /// The current I for the values x.
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

/// Potential u and spikes s of one step. `v` becomes the potential after the step.
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

/// The membrane potentials before the first step and after the last.
pub(crate) trait Membranes {
    /// The potentials of block `b` before the first step.
    fn before<const W: usize>(&self, b: usize) -> [f32; W];

    /// Stores the potentials of block `b` after the last step.
    fn after<const W: usize>(&mut self, b: usize, v: [f32; W]);
}

/// Neurons that begin at rest and whose last potentials are dropped, because no step follows.
pub(crate) struct AtRest;

impl Membranes for AtRest {
    #[inline(always)]
    fn before<const W: usize>(&self, _: usize) -> [f32; W] {
        [0.0; W]
    }

    #[inline(always)]
    fn after<const W: usize>(&mut self, _: usize, _: [f32; W]) {}
}

/// Neurons that go on from these potentials.
pub(crate) struct Kept<'a>(pub(crate) &'a mut [f32]);

impl Membranes for Kept<'_> {
    #[inline(always)]
    fn before<const W: usize>(&self, b: usize) -> [f32; W] {
        block(self.0, b)
    }

    #[inline(always)]
    fn after<const W: usize>(&mut self, b: usize, v: [f32; W]) {
        *self.0[b..].first_chunk_mut().expect("room for a block") = v;
    }
}

/// Spikes of `len` neurons, a multiple of [`NARROW`], at every step.
#[inline(always)]
pub(crate) fn spikes_of(
    c: Constants,
    steps: &Steps,
    x: Source<'_>,
    wide: Option<&Channels>,
    membranes: &mut impl Membranes,
    len: usize,
    out: &mut impl Sink,
) {
    let mut b = 0;
    while b + WIDE <= len {
        spikes_of_block::<WIDE>(c, steps, x, Norm::new(wide, b), membranes, b, out);
        b += WIDE;
    }
    while b < len {
        spikes_of_block::<NARROW>(c, steps, x, Norm::new(wide, b), membranes, b, out);
        b += NARROW;
    }
}

#[inline(always)]
fn spikes_of_block<const W: usize>(
    c: Constants,
    steps: &Steps,
    x: Source<'_>,
    norm: Norm<W>,
    membranes: &mut impl Membranes,
    b: usize,
    out: &mut impl Sink,
) {
    let (mut v, mut current) = (membranes.before::<W>(b), [0.0f32; W]);
    for (t, &(i, first, _)) in steps.0.iter().enumerate() {
        if first {
            x.fetch::<W>(i, b + AHEAD);
            current = norm.current(x.block(i, b));
        }
        let (_, s) = fired(&current, &mut v, c);
        out.put(t, b, s);
    }
    membranes.after(b, v);
}

/// Σ G and Σ G·(x − μ), repeated to a chunk's width; empty without a norm.
pub(crate) struct WideSums<'a> {
    pub(crate) shift: &'a mut [f32],
    pub(crate) product: &'a mut [f32],
}

/// G, the gradient of the branch after its norm, for `len` neurons at every step of the branch;
/// adds the norm's sums to `sums`. `u` has room for two blocks at every step.
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
    // The inputs are kept beside the potentials. The steps of a map are often a power of two apart,
    // so they compete for the same cache sets, and an input line is evicted before it is read
    // again.
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
