//! The AVX-512 form: it processes sixteen 32-bit or 32 16-bit potentials per instruction. Its
//! comparisons return mask registers. It uses masked loads and stores for the neurons at the end of
//! a block that do not fill a register, so it accesses nothing beyond a slice.

use super::register::register;
use super::{Bounds, Kernel};
use std::arch::x86_64::*;
use std::cell::Cell;
use tickless_neuron::between::arrive;

/// The AVX-512 form. Its functions run only on processors with AVX-512, because only
/// `tickless_simd::by_isa!` selects it.
pub(crate) struct Avx512;

register!(Sixteen, __m512, __mmask16, _mm512_add_ps, _mm512_mul_ps, _mm512_max_ps, reaches_of_16);
register!(Eight, __m256, __mmask8, _mm256_add_ps, _mm256_mul_ps, _mm256_max_ps, reaches_of_8);

/// u ≥ θ', as one bit per potential.
///
/// # Safety
/// The processor must have AVX-512 F.
#[inline(always)]
unsafe fn reaches_of_16(u: __m512, theta: __m512) -> __mmask16 {
    // SAFETY: the caller guarantees AVX-512 F.
    unsafe { _mm512_cmp_ps_mask::<_CMP_GE_OQ>(u, theta) }
}

/// u ≥ θ' for eight potentials.
///
/// # Safety
/// The processor must have AVX-512 VL.
#[inline(always)]
unsafe fn reaches_of_8(u: __m256, theta: __m256) -> __mmask8 {
    // SAFETY: the caller guarantees AVX-512 VL.
    unsafe { _mm256_cmp_ps_mask::<_CMP_GE_OQ>(u, theta) }
}

impl Avx512 {
    /// Computes v = max(v·factor + w, v_min), or v = max(v + w, v_min) without a factor. Returns
    /// the mask of firing neurons.
    #[inline(always)]
    fn add_with(v: &mut [f32], w: &[f32], factor: Option<f32>, bounds: Bounds<f32>) -> u64 {
        let len = v.len();
        assert!(w.len() == len && len <= super::BLOCK);
        // SAFETY: the processor has AVX-512 (see [`Avx512`]); every access lies below `len`, or a
        // mask excludes the lanes from `len` on.
        unsafe {
            let (fires_at, v_min) = (Sixteen(_mm512_set1_ps(bounds.fires_at)), Sixteen(_mm512_set1_ps(bounds.v_min)));
            let factor = factor.map(|f| Sixteen(_mm512_set1_ps(f)));
            let (mut mask, mut at) = (0u64, 0);
            while at + 16 <= len {
                let p = v.as_mut_ptr().add(at);
                let (v, w) = (Sixteen(_mm512_loadu_ps(p)), Sixteen(_mm512_loadu_ps(w.as_ptr().add(at))));
                let (after, fires) = arrive(v, w, factor, fires_at, v_min);
                mask |= u64::from(fires) << at;
                _mm512_storeu_ps(p, after.0);
                at += 16;
            }
            if at + 8 <= len {
                let p = v.as_mut_ptr().add(at);
                let (v, w) = (Eight(_mm256_loadu_ps(p)), Eight(_mm256_loadu_ps(w.as_ptr().add(at))));
                let half = |all: Sixteen| Eight(_mm512_castps512_ps256(all.0));
                let factor = factor.map(half);
                let (after, fires) = arrive(v, w, factor, half(fires_at), half(v_min));
                mask |= u64::from(fires) << at;
                _mm256_storeu_ps(p, after.0);
                at += 8;
            }
            if at < len {
                let some = ((1u32 << (len - at)) - 1) as __mmask16;
                let p = v.as_mut_ptr().add(at);
                let v = Sixteen(_mm512_maskz_loadu_ps(some, p));
                let w = Sixteen(_mm512_maskz_loadu_ps(some, w.as_ptr().add(at)));
                let (after, fires) = arrive(v, w, factor, fires_at, v_min);
                mask |= u64::from(fires & some) << at;
                _mm512_mask_storeu_ps(p, some, after.0);
            }
            mask
        }
    }
}

impl Kernel for Avx512 {
    #[inline(always)]
    fn add(v: &mut [f32], w: &[f32], bounds: Bounds<f32>) -> u64 {
        Self::add_with(v, w, None, bounds)
    }

    #[inline(always)]
    fn decay_add(v: &mut [f32], w: &[f32], factor: f32, bounds: Bounds<f32>) -> u64 {
        Self::add_with(v, w, Some(factor), bounds)
    }

    #[inline(always)]
    fn add_small(v: &mut [i16], w: &[i8], bounds: Bounds<i16>) -> u64 {
        let len = v.len();
        assert!(w.len() == len && len <= super::BLOCK);
        // SAFETY: as in `add_with`.
        unsafe {
            let (fires_at, v_min) = (_mm512_set1_epi16(bounds.fires_at), _mm512_set1_epi16(bounds.v_min));
            let mut mask = 0u64;
            let mut at = 0;
            while at + 32 <= len {
                let p = v.as_mut_ptr().add(at).cast();
                let w = _mm512_cvtepi8_epi16(_mm256_loadu_si256(w.as_ptr().add(at).cast()));
                let u = _mm512_adds_epi16(_mm512_loadu_si512(p), w);
                mask |= u64::from(_mm512_cmpge_epi16_mask(u, fires_at)) << at;
                _mm512_storeu_si512(p, _mm512_max_epi16(v_min, u));
                at += 32;
            }
            if at + 16 <= len {
                let p = v.as_mut_ptr().add(at).cast();
                let w = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.as_ptr().add(at).cast()));
                let u = _mm256_adds_epi16(_mm256_loadu_si256(p), w);
                mask |= u64::from(_mm256_cmpge_epi16_mask(u, _mm512_castsi512_si256(fires_at))) << at;
                _mm256_storeu_si256(p, _mm256_max_epi16(_mm512_castsi512_si256(v_min), u));
                at += 16;
            }
            if at + 8 <= len {
                let p = v.as_mut_ptr().add(at).cast();
                let w = _mm_cvtepi8_epi16(_mm_loadl_epi64(w.as_ptr().add(at).cast()));
                let u = _mm_adds_epi16(_mm_loadu_si128(p), w);
                mask |= u64::from(_mm_cmpge_epi16_mask(u, _mm512_castsi512_si128(fires_at))) << at;
                _mm_storeu_si128(p, _mm_max_epi16(_mm512_castsi512_si128(v_min), u));
                at += 8;
            }
            if at < len {
                let some = ((1u32 << (len - at)) - 1) as __mmask8;
                let p = v.as_mut_ptr().add(at);
                let w = _mm_cvtepi8_epi16(_mm_maskz_loadu_epi8(some.into(), w.as_ptr().add(at)));
                let u = _mm_adds_epi16(_mm_maskz_loadu_epi16(some, p), w);
                mask |= u64::from(_mm_mask_cmpge_epi16_mask(some, u, _mm512_castsi512_si128(fires_at))) << at;
                _mm_mask_storeu_epi16(p, some, _mm_max_epi16(_mm512_castsi512_si128(v_min), u));
            }
            mask
        }
    }
    #[inline(always)]
    fn ready(ready_us: &[Cell<u64>], t_us: u64, mask: u64) -> u64 {
        let len = ready_us.len();
        assert!(len <= super::BLOCK);
        let (mut later, mut at) = (0u64, 0);
        // SAFETY: as in `add_with`; a `Cell<u64>` has the layout of a u64, and no other thread can
        // write to it.
        unsafe {
            let now = _mm512_set1_epi64(t_us as i64);
            while at + 8 <= len {
                let until = _mm512_loadu_si512(ready_us.as_ptr().add(at).cast());
                later |= u64::from(_mm512_cmpgt_epu64_mask(until, now)) << at;
                at += 8;
            }
            if at < len {
                let some = ((1u32 << (len - at)) - 1) as __mmask8;
                let until = _mm512_maskz_loadu_epi64(some, ready_us.as_ptr().add(at).cast());
                later |= u64::from(_mm512_cmpgt_epu64_mask(until, now)) << at;
            }
        }
        mask & !later
    }
}
