//! The AVX2 form: it processes eight 32-bit or sixteen 16-bit potentials per instruction. The
//! scalar form processes the neurons at the end of a block that do not fill a register.

use super::register::register;
use super::scalar::Scalar;
use super::{Bounds, Kernel};
use std::arch::x86_64::*;
use std::cell::Cell;
use tickless_neuron::between::arrive;

/// The AVX2 form. Its functions run only on processors with AVX2, because only
/// `tickless_simd::by_isa!` selects it.
pub(crate) struct Avx2;

register!(Eight, __m256, u32, _mm256_add_ps, _mm256_mul_ps, _mm256_max_ps, reaches);

/// u ≥ θ', as one bit per potential.
///
/// # Safety
/// The processor must have AVX2.
#[inline(always)]
unsafe fn reaches(u: __m256, theta: __m256) -> u32 {
    // SAFETY: the caller guarantees AVX2.
    unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(u, theta)) as u32 }
}

impl Avx2 {
    /// Computes v = max(v·factor + w, v_min), or v = max(v + w, v_min) without a factor, for the
    /// part of the block that fills registers. Returns the mask of firing neurons and the length of
    /// that part.
    #[inline(always)]
    fn add_with(v: &mut [f32], w: &[f32], factor: Option<f32>, bounds: Bounds<f32>) -> (u64, usize) {
        let len = v.len();
        assert!(w.len() == len && len <= super::BLOCK);
        let (mut mask, mut at) = (0u64, 0);
        // SAFETY: the processor has AVX2 (see [`Avx2`]); every access of eight lies below `len`.
        unsafe {
            let (fires_at, v_min) = (Eight(_mm256_set1_ps(bounds.fires_at)), Eight(_mm256_set1_ps(bounds.v_min)));
            let factor = factor.map(|f| Eight(_mm256_set1_ps(f)));
            while at + 8 <= len {
                let p = v.as_mut_ptr().add(at);
                let (v, w) = (Eight(_mm256_loadu_ps(p)), Eight(_mm256_loadu_ps(w.as_ptr().add(at))));
                let (after, fires) = arrive(v, w, factor, fires_at, v_min);
                mask |= u64::from(fires) << at;
                _mm256_storeu_ps(p, after.0);
                at += 8;
            }
        }
        (mask, at)
    }
}

impl Kernel for Avx2 {
    #[inline(always)]
    fn add(v: &mut [f32], w: &[f32], bounds: Bounds<f32>) -> u64 {
        let (mask, at) = Self::add_with(v, w, None, bounds);
        if at < v.len() { mask | Scalar::add(&mut v[at..], &w[at..], bounds) << at } else { mask }
    }

    #[inline(always)]
    fn decay_add(v: &mut [f32], w: &[f32], factor: f32, bounds: Bounds<f32>) -> u64 {
        let (mask, at) = Self::add_with(v, w, Some(factor), bounds);
        if at < v.len() { mask | Scalar::decay_add(&mut v[at..], &w[at..], factor, bounds) << at } else { mask }
    }

    #[inline(always)]
    fn add_small(v: &mut [i16], w: &[i8], bounds: Bounds<i16>) -> u64 {
        let len = v.len();
        assert!(w.len() == len && len <= super::BLOCK);
        let (mut mask, mut at) = (0u64, 0);
        // SAFETY: as in `add_with`, sixteen and then eight at a time.
        unsafe {
            // AVX2 has no "at least" for 16 bits, so test u > θ − 1; θ is above the smallest i16.
            let below = _mm256_set1_epi16(bounds.fires_at.saturating_sub(1));
            let v_min = _mm256_set1_epi16(bounds.v_min);
            while at + 16 <= len {
                let p = v.as_mut_ptr().add(at).cast::<__m256i>();
                let w = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.as_ptr().add(at).cast()));
                let u = _mm256_adds_epi16(_mm256_loadu_si256(p), w);
                let fires = _mm256_cmpgt_epi16(u, below);
                // The comparison has two bytes per potential; the pack keeps one of them.
                let bytes = _mm_packs_epi16(_mm256_castsi256_si128(fires), _mm256_extracti128_si256::<1>(fires));
                mask |= u64::from(_mm_movemask_epi8(bytes) as u32) << at;
                _mm256_storeu_si256(p, _mm256_max_epi16(v_min, u));
                at += 16;
            }
            if at + 8 <= len {
                let p = v.as_mut_ptr().add(at).cast::<__m128i>();
                let w = _mm_cvtepi8_epi16(_mm_loadl_epi64(w.as_ptr().add(at).cast()));
                let u = _mm_adds_epi16(_mm_loadu_si128(p), w);
                let fires = _mm_cmpgt_epi16(u, _mm256_castsi256_si128(below));
                let bytes = _mm_packs_epi16(fires, _mm_setzero_si128());
                mask |= u64::from(_mm_movemask_epi8(bytes) as u32) << at;
                _mm_storeu_si128(p, _mm_max_epi16(_mm256_castsi256_si128(v_min), u));
                at += 8;
            }
        }
        if at < len { mask | Scalar::add_small(&mut v[at..], &w[at..], bounds) << at } else { mask }
    }
    #[inline(always)]
    fn ready(ready_us: &[Cell<u64>], t_us: u64, mask: u64) -> u64 {
        let len = ready_us.len();
        assert!(len <= super::BLOCK);
        let (mut later, mut at) = (0u64, 0);
        // SAFETY: the processor has AVX2; every access of four lies below `len`; a `Cell<u64>` has
        // the layout of a u64, and no other thread can write to it.
        unsafe {
            // AVX2 compares signed numbers only, so move 0 to the smallest of them.
            let sign = _mm256_set1_epi64x(i64::MIN);
            let now = _mm256_set1_epi64x(t_us as i64 ^ i64::MIN);
            while at + 4 <= len {
                let until = _mm256_xor_si256(_mm256_loadu_si256(ready_us.as_ptr().add(at).cast()), sign);
                let four = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(until, now)));
                later |= (four as u64) << at;
                at += 4;
            }
        }
        for (j, until) in ready_us.iter().enumerate().skip(at) {
            later |= u64::from(until.get() > t_us) << j;
        }
        mask & !later
    }
}
