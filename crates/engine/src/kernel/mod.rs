//! The arithmetic of an event on one block of neurons, with one form per instruction set.
//!
//! ```text
//! u = v + w,   v = max(u, v_min),   bit j of the mask: neuron j fires, u ≥ θ'
//! ```
//!
//! A block of at most 64 neurons yields one mask of 64 bits, so a row of weights costs one branch.
//! Every form gives the same bits, because none fuses a multiplication with an addition or changes
//! the order of additions; tests compare each with the scalar form. The equation for f32 potentials
//! is [`tickless_neuron::between::arrive`], which each form instantiates with its register.
//!
//! [`patch`] adds the rows of blocks that one event reaches.
//!
//! The forms use the processor's own instructions instead of [`tickless_simd::Lanes`], because they
//! need comparisons that return bit masks and blocks that end within a register.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod patch;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod register;
mod scalar;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use scalar::Scalar;

use std::cell::Cell;

/// Largest number of neurons in one block, which is the number of bits in a mask.
pub(crate) const BLOCK: usize = 64;

/// Limits of the potentials of a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<V> {
    /// The smallest potential at which a neuron fires.
    pub fires_at: V,
    /// Lower limit of the potential.
    pub v_min: V,
}

/// The operations on one block. All slices of a call have the same length, at most [`BLOCK`].
pub(crate) trait Kernel {
    /// v = max(v + w, v_min); returns the mask of firing neurons.
    fn add(v: &mut [f32], w: &[f32], bounds: Bounds<f32>) -> u64;
    /// v = max(v·factor + w, v_min); returns the mask of firing neurons.
    fn decay_add(v: &mut [f32], w: &[f32], factor: f32, bounds: Bounds<f32>) -> u64;
    /// `add` with saturating 16-bit potentials and 8-bit weights.
    fn add_small(v: &mut [i16], w: &[i8], bounds: Bounds<i16>) -> u64;
    /// v = v + w for the sums of a readout, whose neurons never fire. Sums beyond 2³¹ wrap around.
    #[inline(always)]
    fn sum_small(v: &mut [i32], w: &[i8]) -> u64 {
        for (v, w) in v.iter_mut().zip(w) {
            *v = v.wrapping_add((*w).into());
        }
        0
    }
    /// The neurons of `mask` that may fire at `t_us`, as a mask: those whose time in `ready_us` is
    /// not later. `ready_us` has one entry per neuron of the block.
    fn ready(ready_us: &[Cell<u64>], t_us: u64, mask: u64) -> u64;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tickless_simd::{InstructionSet, Isa};

    fn same<K: Kernel>(len: usize, seed: u64) {
        let mut rng = tickless_events::rng::Rng::new(seed, 0);
        let mut number = || (rng.below(4001) as f32 - 2000.0) / 256.0;
        let v: Vec<f32> = (0..len).map(|_| number()).collect();
        let w: Vec<f32> = (0..len).map(|_| number()).collect();
        let factor = number().abs() / 8.0;
        let small = |x: &[f32]| -> Vec<i16> { x.iter().map(|x| (x * 4100.0) as i16).collect() };
        let tiny: Vec<i8> = w.iter().map(|w| (w * 17.0) as i8).collect();
        for bounds in [Bounds { fires_at: 1.0, v_min: -1.0 }, Bounds { fires_at: 0.5, v_min: f32::NEG_INFINITY }] {
            let (mut a, mut b) = (v.clone(), v.clone());
            assert_eq!(Scalar::add(&mut a, &w, bounds), K::add(&mut b, &w, bounds));
            assert_eq!(a, b);
            let factors = (Scalar::decay_add(&mut a, &w, factor, bounds), K::decay_add(&mut b, &w, factor, bounds));
            assert_eq!(factors.0, factors.1);
            assert!(a.iter().zip(&b).all(|(a, b)| a.to_bits() == b.to_bits()));
            let bounds = Bounds { fires_at: 3000, v_min: if bounds.v_min == -1.0 { -9000 } else { i16::MIN } };
            let (mut a, mut b) = (small(&v), small(&v));
            assert_eq!(Scalar::add_small(&mut a, &tiny, bounds), K::add_small(&mut b, &tiny, bounds));
            assert_eq!(a, b);
        }
        let times = [0, 1, 999, 1000, 1001, 1 << 40, (1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX];
        let until: Vec<Cell<u64>> =
            (0..len).map(|_| Cell::new(times[rng.below(times.len() as u64) as usize])).collect();
        let (mask, all) = (rng.below(u64::MAX), !u64::MAX.checked_shl(len as u32).unwrap_or(0));
        for t_us in times {
            let ready = |j: usize| u64::from(until[j].get() <= t_us) << j;
            let expected = (0..len).fold(0, |mask, j| mask | ready(j)) & mask;
            assert_eq!(Scalar::ready(&until, t_us, mask & all), expected);
            assert_eq!(K::ready(&until, t_us, mask & all), expected);
        }
    }

    proptest! {
        #[test]
        fn every_form_gives_the_bits_of_the_scalar_one(len in 0..=BLOCK, seed: u64) {
            for isa in Isa::available() {
                match isa.set() {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => same::<Avx2>(len, seed),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => same::<Avx512>(len, seed),
                    #[cfg(target_arch = "aarch64")]
                    InstructionSet::Neon => same::<Neon>(len, seed),
                    _ => same::<Scalar>(len, seed),
                }
            }
        }
    }

    #[test]
    fn small_potentials_saturate() {
        let bounds = Bounds { fires_at: i16::MAX, v_min: i16::MIN };
        let mut v = [32_700, -32_700];
        assert_eq!(Scalar::add_small(&mut v, &[127, -128], bounds), 1);
        assert_eq!(v, [i16::MAX, i16::MIN]);
    }
}
