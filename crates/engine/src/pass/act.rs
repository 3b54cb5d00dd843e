//! What an event does to the neurons that it reaches, for each kind of numbers and of leak.
//!
//! A trait with `#[inline(always)]` methods and no closures, because only such methods are sure to be
//! compiled for the instructions of the loop around them.

use crate::decay::Tables;
use crate::kernel::{BLOCK, Bounds, Kernel};
use crate::layer::{Rule, Small, gcd};
use std::marker::PhantomData;
use tickless_neuron::between::burst;
use tickless_neuron::quantised;
use tickless_neuron::step::settled;

/// What the events of a pass do to neurons whose potentials are `V` and weights `W`.
pub(crate) trait Act {
    type V;
    type W: Copy;

    /// Whether it asks for the time.
    const TIMED: bool;

    /// Most neurons that `add` takes.
    #[inline(always)]
    fn block(&self) -> usize {
        BLOCK
    }

    /// The cell of neurons that this one of the layer belongs to; 0 where there are none.
    #[inline(always)]
    fn cell(&self, _: usize) -> usize {
        0
    }

    /// Adds weights to potentials, both from place `k` of a row of targets on whose first cell is
    /// `cell`; gives the mask of those that fire.
    fn add(&mut self, v: &mut [Self::V], w: &[Self::W], k: usize, cell: usize, t_us: u64) -> u64;

    /// What is left of a neuron that fires, and how often it does.
    fn fire(&self, v: &mut Self::V) -> u32;
}

/// Float potentials without a leak.
pub(super) struct Plain<'a, K> {
    rule: &'a Rule,
    bounds: Bounds<f32>,
    kernel: PhantomData<K>,
}

/// Float potentials with a leak, a whole number of cells a block. `CELL` is how many neurons a cell
/// has, so that the loop over them is laid out beforehand; 0 for any other number.
pub(super) struct Leaky<'a, K, const CELL: usize> {
    pub plain: Plain<'a, K>,
    pub decay: Tables<'a>,
    pub hit_us: &'a mut [u64],
}

/// The same where a cell is larger than a block: blocks that part a cell share its factor.
pub(super) struct Parted<'a, K> {
    leaky: Leaky<'a, K, 0>,
    factor: f32,
}

/// Potentials of 16 bits.
pub(super) struct Short<'a, K> {
    rule: &'a Rule,
    small: Small,
    kernel: PhantomData<K>,
}

/// The sums of an 8-bit program's readout.
pub(super) struct Sums<K>(PhantomData<K>);

impl<'a, K> Plain<'a, K> {
    pub fn new(rule: &'a Rule) -> Self {
        Self { rule, bounds: Bounds { fires_at: rule.fires_at, v_min: rule.v_min }, kernel: PhantomData }
    }
}

impl<'a, K> Parted<'a, K> {
    pub fn new(leaky: Leaky<'a, K, 0>) -> Self {
        Self { leaky, factor: 1.0 }
    }
}

impl<'a, K> Short<'a, K> {
    pub fn new(rule: &'a Rule) -> Self {
        Self { rule, small: rule.small, kernel: PhantomData }
    }
}

impl<K> Sums<K> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<K: Kernel> Act for Plain<'_, K> {
    type V = f32;
    type W = f32;
    const TIMED: bool = false;

    #[inline(always)]
    fn add(&mut self, v: &mut [f32], w: &[f32], _: usize, _: usize, _: u64) -> u64 {
        K::add(v, w, self.bounds)
    }

    #[inline(always)]
    fn fire(&self, v: &mut f32) -> u32 {
        let Rule { mode, threshold, v_min, .. } = self.rule;
        // No weight makes more than 65,536 spikes, so an i32 holds their number and f32 has it exactly.
        let n = burst(*mode, *v, *threshold);
        *v = settled(*mode, *v, &n, threshold, v_min);
        n as u32
    }
}

impl<K, const CELL: usize> Leaky<'_, K, CELL> {
    #[inline(always)]
    fn each(&self) -> usize {
        if CELL == 0 { self.decay.cell } else { CELL }
    }
}

impl<K: Kernel, const CELL: usize> Act for Leaky<'_, K, CELL> {
    type V = f32;
    type W = f32;
    const TIMED: bool = true;

    #[inline(always)]
    fn block(&self) -> usize {
        BLOCK / self.each() * self.each()
    }

    #[inline(always)]
    fn cell(&self, at: usize) -> usize {
        (at as u32 / self.each() as u32) as usize
    }

    #[inline(always)]
    fn add(&mut self, v: &mut [f32], w: &[f32], k: usize, cell: usize, t_us: u64) -> u64 {
        let each = self.each();
        let (mut mask, mut at) = (0, 0);
        // Slices by index: `Zip::new` of two kinds of chunks is too large for LLVM to inline in builds with
        // debug assertions, and that call made a leaking layer half as slow again.
        for hit_us in &mut self.hit_us[cell + k / each..][..v.len() / each] {
            let factor = self.decay.since(hit_us, t_us);
            let part = at..at + each;
            mask |= K::decay_add(&mut v[part.clone()], &w[part], factor, self.plain.bounds) << at;
            at += each;
        }
        mask
    }

    #[inline(always)]
    fn fire(&self, v: &mut f32) -> u32 {
        self.plain.fire(v)
    }
}

impl<K: Kernel> Act for Parted<'_, K> {
    type V = f32;
    type W = f32;
    const TIMED: bool = true;

    #[inline(always)]
    fn block(&self) -> usize {
        gcd(self.leaky.decay.cell, BLOCK)
    }

    #[inline(always)]
    fn cell(&self, at: usize) -> usize {
        self.leaky.cell(at)
    }

    #[inline(always)]
    fn add(&mut self, v: &mut [f32], w: &[f32], k: usize, cell: usize, t_us: u64) -> u64 {
        let Leaky { plain, decay, hit_us } = &mut self.leaky;
        if k.is_multiple_of(decay.cell) {
            self.factor = decay.since(&mut hit_us[cell + k / decay.cell], t_us);
        }
        K::decay_add(v, w, self.factor, plain.bounds)
    }

    #[inline(always)]
    fn fire(&self, v: &mut f32) -> u32 {
        self.leaky.fire(v)
    }
}

impl<K: Kernel> Act for Short<'_, K> {
    type V = i16;
    type W = i8;
    const TIMED: bool = false;

    #[inline(always)]
    fn add(&mut self, v: &mut [i16], w: &[i8], _: usize, _: usize, _: u64) -> u64 {
        K::add_small(v, w, self.small.bounds)
    }

    #[inline(always)]
    fn fire(&self, v: &mut i16) -> u32 {
        quantised::fire(self.rule.mode, self.small.levels, v)
    }
}

impl<K: Kernel> Act for Sums<K> {
    type V = i32;
    type W = i8;
    const TIMED: bool = false;

    #[inline(always)]
    fn add(&mut self, v: &mut [i32], w: &[i8], _: usize, _: usize, _: u64) -> u64 {
        K::sum_small(v, w)
    }

    #[inline(always)]
    fn fire(&self, _: &mut i32) -> u32 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decay::Decay;
    use crate::kernel::Scalar;
    use proptest::prelude::*;
    use tickless_events::rng::Rng;
    use tickless_net::{Neuron, Shape};

    /// Twenty hits of some cells of a row: masks, and at the end potentials and times.
    fn hits<const CELL: usize>(each: usize, seed: u64) -> (Vec<u64>, Vec<f32>, Vec<u64>) {
        let row = BLOCK / each + 3;
        let shape = Shape { channels: each, height: 1, width: row };
        let rule = Rule::new("n", &Neuron::lif(), Some(1000.0), shape, 0..0).unwrap();
        let decay = Decay::new(700.0, each);
        let (mut v, mut hit_us) = (vec![0.0; row * each], vec![0; row]);
        let mut leaky = Leaky::<Scalar, CELL> { plain: Plain::new(&rule), decay: decay.tables(), hit_us: &mut hit_us };
        let mut rng = Rng::new(seed, 0);
        let mut number = |below: usize| rng.below(below as u64) as usize;
        let (mut masks, mut t_us) = (Vec::new(), 0);
        for _ in 0..20 {
            t_us += number(4000) as u64;
            let (cell, before, cells) = (number(2), number(2), 1 + number(row - 3));
            let w: Vec<f32> = (0..cells * each).map(|_| (number(4001) as f32 - 1500.0) / 2048.0).collect();
            let part = &mut v[(cell + before) * each..][..w.len()];
            masks.push(leaky.add(part, &w, before * each, cell, t_us));
        }
        (masks, v, hit_us)
    }

    proptest! {
        #[test]
        fn cells_whose_size_is_known_beforehand_are_no_other_cells(seed: u64) {
            prop_assert_eq!(hits::<8>(8, seed), hits::<0>(8, seed));
            prop_assert_eq!(hits::<16>(16, seed), hits::<0>(16, seed));
            prop_assert_eq!(hits::<32>(32, seed), hits::<0>(32, seed));
        }
    }
}
