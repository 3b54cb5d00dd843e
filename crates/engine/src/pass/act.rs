//! The effect of an event on the neurons that it reaches, for each kind of number and leak.
//!
//! [`Act`] and [`AddBlock`] are traits with `#[inline(always)]` methods instead of closures, because
//! only then does the compiler reliably use the instructions of the surrounding loop.

use crate::decay::Tables;
use crate::edge::gcd;
use crate::kernel::patch::AddBlock;
use crate::kernel::{BLOCK, Bounds, Kernel};
use crate::layer::{Rule, Small};
use std::cell::Cell;
use std::marker::PhantomData;
use tickless_neuron::between::burst;
use tickless_neuron::quantised;
use tickless_neuron::step::settled;

/// The effect of an event on neurons whose potentials are `V` and whose weights are `W`.
pub(crate) trait Act: AddBlock {
    /// Whether the methods use the time.
    const TIMED: bool;

    /// Largest number of neurons that `add` processes in one call.
    #[inline(always)]
    fn block(&self) -> usize {
        BLOCK
    }

    /// Fires the neuron `v` at index `at` of the layer, whose bit is set in the mask of `add`, at
    /// `t_us`. Resets the neuron and returns the number of spikes.
    fn fire(&self, v: &mut Self::V, at: usize, t_us: u64) -> u32;
}

/// Neurons with a refractory period, which cannot fire during it. If `HOLD` is false they integrate:
/// `act` computes the blocks as usual, and only a block with neurons that reach their threshold
/// compares the time with the ends of their periods. If `HOLD` is true, neurons ignore their inputs
/// during the period: every block compares the time, and a block with such neurons gives them
/// inputs of 0.
pub(super) struct Resting<'a, A, K, const HOLD: bool> {
    pub act: A,
    /// Length of the period in µs.
    pub dead_us: u64,
    /// The time in µs at which each neuron's period ends. The values are in [`Cell`]s, so that
    /// `fire` can take the act by shared reference: the loop over events can then keep its
    /// variables in registers.
    pub ready_us: &'a [Cell<u64>],
    pub kernel: PhantomData<K>,
}

impl<A: AddBlock, K: Kernel, const HOLD: bool> AddBlock for Resting<'_, A, K, HOLD> {
    type V = A::V;
    type W = A::W;

    #[inline(always)]
    fn cell(&self, at: usize) -> usize {
        self.act.cell(at)
    }

    #[inline(always)]
    fn add(&mut self, v: &mut [A::V], w: &[A::W], at: usize, k: usize, cell: usize, t_us: u64) -> u64 {
        if HOLD {
            let ready_us = &self.ready_us[at..][..v.len()];
            let all = !u64::MAX.checked_shl(v.len() as u32).unwrap_or(0);
            let free = K::ready(ready_us, t_us, all);
            if free != all {
                let mut free_w = [A::W::default(); BLOCK];
                for (j, (to, w)) in free_w.iter_mut().zip(w).enumerate() {
                    *to = if free >> j & 1 == 1 { *w } else { A::W::default() };
                }
                return self.act.add(v, &free_w[..w.len()], at, k, cell, t_us) & free;
            }
            return self.act.add(v, w, at, k, cell, t_us);
        }
        let mask = self.act.add(v, w, at, k, cell, t_us);
        if mask == 0 { 0 } else { K::ready(&self.ready_us[at..][..v.len()], t_us, mask) }
    }
}

impl<A: Act, K: Kernel, const HOLD: bool> Act for Resting<'_, A, K, HOLD> {
    const TIMED: bool = true;

    #[inline(always)]
    fn block(&self) -> usize {
        self.act.block()
    }

    #[inline(always)]
    fn fire(&self, v: &mut A::V, at: usize, t_us: u64) -> u32 {
        self.ready_us[at].set(t_us.saturating_add(self.dead_us));
        self.act.fire(v, at, t_us)
    }
}

/// Float potentials without a leak.
pub(super) struct Plain<'a, K> {
    rule: &'a Rule,
    bounds: Bounds<f32>,
    kernel: PhantomData<K>,
}

/// Float potentials with a leak and a whole number of cells per block. `CELL` is the number of
/// neurons in a cell if the compiler knows it, so that it can unroll the loop over them; otherwise
/// 0.
pub(super) struct Leaky<'a, K, const CELL: usize> {
    pub plain: Plain<'a, K>,
    pub decay: Tables<'a>,
    pub hit_us: &'a mut [u64],
}

/// Float potentials with a leak whose cells are larger than a block: the blocks of a cell share its
/// factor.
pub(super) struct Parted<'a, K> {
    leaky: Leaky<'a, K, 0>,
    factor: f32,
}

/// 16-bit potentials.
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

impl<K: Kernel> AddBlock for Plain<'_, K> {
    type V = f32;
    type W = f32;

    #[inline(always)]
    fn add(&mut self, v: &mut [f32], w: &[f32], _: usize, _: usize, _: usize, _: u64) -> u64 {
        K::add(v, w, self.bounds)
    }
}

impl<K: Kernel> Act for Plain<'_, K> {
    const TIMED: bool = false;

    #[inline(always)]
    fn fire(&self, v: &mut f32, _: usize, _: u64) -> u32 {
        let Rule { mode, threshold, v_min, .. } = self.rule;
        // No weight causes more than 65,536 spikes, so i32 and f32 represent their number exactly.
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

impl<K: Kernel, const CELL: usize> AddBlock for Leaky<'_, K, CELL> {
    type V = f32;
    type W = f32;

    #[inline(always)]
    fn cell(&self, at: usize) -> usize {
        (at as u32 / self.each() as u32) as usize
    }

    #[inline(always)]
    fn add(&mut self, v: &mut [f32], w: &[f32], _: usize, k: usize, cell: usize, t_us: u64) -> u64 {
        let each = self.each();
        let (mut mask, mut at) = (0, 0);
        // Slices by index, because LLVM does not inline `Zip::new` for two kinds of chunks in
        // builds with debug assertions, and that call made a leaking layer 50 % slower.
        for hit_us in &mut self.hit_us[cell + k / each..][..v.len() / each] {
            let factor = self.decay.since(hit_us, t_us);
            let part = at..at + each;
            mask |= K::decay_add(&mut v[part.clone()], &w[part], factor, self.plain.bounds) << at;
            at += each;
        }
        mask
    }
}

impl<K: Kernel, const CELL: usize> Act for Leaky<'_, K, CELL> {
    const TIMED: bool = true;

    #[inline(always)]
    fn block(&self) -> usize {
        BLOCK / self.each() * self.each()
    }

    #[inline(always)]
    fn fire(&self, v: &mut f32, at: usize, t_us: u64) -> u32 {
        self.plain.fire(v, at, t_us)
    }
}

impl<K: Kernel> AddBlock for Parted<'_, K> {
    type V = f32;
    type W = f32;

    #[inline(always)]
    fn cell(&self, at: usize) -> usize {
        self.leaky.cell(at)
    }

    #[inline(always)]
    fn add(&mut self, v: &mut [f32], w: &[f32], _: usize, k: usize, cell: usize, t_us: u64) -> u64 {
        let Leaky { plain, decay, hit_us } = &mut self.leaky;
        if k.is_multiple_of(decay.cell) {
            self.factor = decay.since(&mut hit_us[cell + k / decay.cell], t_us);
        }
        K::decay_add(v, w, self.factor, plain.bounds)
    }
}

impl<K: Kernel> Act for Parted<'_, K> {
    const TIMED: bool = true;

    #[inline(always)]
    fn block(&self) -> usize {
        gcd(self.leaky.decay.cell, BLOCK)
    }

    #[inline(always)]
    fn fire(&self, v: &mut f32, at: usize, t_us: u64) -> u32 {
        self.leaky.fire(v, at, t_us)
    }
}

impl<K: Kernel> AddBlock for Short<'_, K> {
    type V = i16;
    type W = i8;

    #[inline(always)]
    fn add(&mut self, v: &mut [i16], w: &[i8], _: usize, _: usize, _: usize, _: u64) -> u64 {
        K::add_small(v, w, self.small.bounds)
    }
}

impl<K: Kernel> Act for Short<'_, K> {
    const TIMED: bool = false;

    #[inline(always)]
    fn fire(&self, v: &mut i16, _: usize, _: u64) -> u32 {
        quantised::fire(self.rule.mode, self.small.levels, v)
    }
}

impl<K: Kernel> AddBlock for Sums<K> {
    type V = i32;
    type W = i8;

    #[inline(always)]
    fn add(&mut self, v: &mut [i32], w: &[i8], _: usize, _: usize, _: usize, _: u64) -> u64 {
        K::sum_small(v, w)
    }
}

impl<K: Kernel> Act for Sums<K> {
    const TIMED: bool = false;

    #[inline(always)]
    fn fire(&self, _: &mut i32, _: usize, _: u64) -> u32 {
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

    /// Processes twenty random hits; returns the masks, and the potentials and times at the end.
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
            masks.push(leaky.add(part, &w, (cell + before) * each, before * each, cell, t_us));
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
