//! The arithmetic of an event, sixteen neurons at a time, in the form that the machine has.
//!
//! ```text
//! u = v + w,   v = max(u, v_min),   bit j of the mask: does neuron j fire, u ≥ θ'?
//! ```
//!
//! One block of at most 64 neurons gives one mask of 64 bits, so a row of a kernel's weights costs
//! one branch. Every form gives the same bits: no fused multiply-add, no other order of sums; the
//! scalar one is what the others are tested against. The forms are chosen once, when a program is
//! compiled, and the whole loop over events ([`crate::pass`]) is compiled for each of them.
//!
//! Written with the processor's own instructions, for their comparisons into masks; a portable layer
//! has not been measured against them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod patch;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod register;
mod scalar;

pub(crate) use patch::{Patch, take};
#[cfg(test)]
pub(crate) use scalar::Scalar;

use crate::pass::{Pass, Progress};

/// Neurons of one block at most: the bits of a mask.
pub(crate) const BLOCK: usize = 64;

/// A form of the arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Simd {
    /// One neuron at a time; everywhere.
    Scalar,
    /// Eight at a time, x86-64 with AVX2.
    Avx2,
    /// Sixteen at a time (32 in 8 bit), x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
    /// Four at a time, 64-bit ARM.
    Neon,
}

impl Simd {
    /// The forms that this machine has, the slowest first.
    pub fn available() -> Vec<Simd> {
        #[allow(unused_mut, reason = "on a machine with nothing else")]
        let mut all = vec![Simd::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            macro_rules! has {
                ($($feature:tt)*) => { $(is_x86_feature_detected!($feature) &&)* true };
            }
            let bits = has!("bmi1" "bmi2" "lzcnt" "popcnt");
            if bits && has!("avx2") {
                all.push(Simd::Avx2);
            }
            if bits && has!("avx512f" "avx512bw" "avx512dq" "avx512vl") {
                all.push(Simd::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        all.push(Simd::Neon);
        all
    }

    /// The fastest that this machine has.
    pub fn best() -> Simd {
        Self::available().pop().unwrap_or(Simd::Scalar)
    }
}

/// Limits of a layer's potentials.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<V> {
    /// The smallest potential that fires.
    pub fires_at: V,
    /// Lower limit.
    pub v_min: V,
}

/// The operations on one block; all slices of a call have the same length, at most [`BLOCK`].
pub(crate) trait Kernel {
    /// v = max(v + w, v_min); who fires.
    fn add(v: &mut [f32], w: &[f32], bounds: Bounds<f32>) -> u64;
    /// v = max(v·factor + w, v_min); who fires.
    fn decay_add(v: &mut [f32], w: &[f32], factor: f32, bounds: Bounds<f32>) -> u64;
    /// The same as `add` with saturating 16-bit potentials and 8-bit weights.
    fn add_small(v: &mut [i16], w: &[i8], bounds: Bounds<i16>) -> u64;
    /// v = v + w where nobody fires: the sums of a readout, which wrap beyond 2³¹.
    #[inline(always)]
    fn sum_small(v: &mut [i32], w: &[i8]) -> u64 {
        for (v, w) in v.iter_mut().zip(w) {
            *v = v.wrapping_add((*w).into());
        }
        0
    }
}

/// Carries events through one edge, in the form `simd`.
pub(crate) fn pass(simd: Simd, pass: Pass<'_>) -> Progress {
    match simd {
        Simd::Scalar => crate::pass::run::<scalar::Scalar>(pass),
        // SAFETY: a program's form is one of `Simd::available`, which has asked the machine.
        #[cfg(target_arch = "x86_64")]
        Simd::Avx2 => unsafe { avx2::pass(pass) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 => unsafe { avx512::pass(pass) },
        #[cfg(target_arch = "aarch64")]
        Simd::Neon => crate::pass::run::<neon::Neon>(pass),
        #[allow(unreachable_patterns, reason = "forms of other machines")]
        _ => crate::pass::run::<scalar::Scalar>(pass),
    }
}

#[cfg(test)]
mod tests {
    use super::scalar::Scalar;
    use super::*;
    use proptest::prelude::*;

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
    }

    proptest! {
        #[test]
        fn every_form_gives_the_bits_of_the_scalar_one(len in 0..=BLOCK, seed: u64) {
            for simd in Simd::available() {
                match simd {
                    #[cfg(target_arch = "x86_64")]
                    Simd::Avx2 => same::<avx2::Avx2>(len, seed),
                    #[cfg(target_arch = "x86_64")]
                    Simd::Avx512 => same::<avx512::Avx512>(len, seed),
                    #[cfg(target_arch = "aarch64")]
                    Simd::Neon => same::<neon::Neon>(len, seed),
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
