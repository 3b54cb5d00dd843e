//! 8-bit products with AVX2. AVX2 has no instruction that adds four products in 32 bits, so pairs
//! are summed in 16 bits for as long as they cannot overflow, and then in 32.
//!
//! ```text
//! p[l] = x₀·w₀ + x₁·w₁          `vpmaddubsw`: |p| ≤ 2·m·128, m the largest input
//! h[l] = Σ_{r units} p[l]        16 bits hold it for r = ⌊128/m⌋ units: −2·m·128·r ≥ −2¹⁵
//! s    ← s + h[2k] + h[2k+1]     `vpmaddwd` with ones
//! ```
//!
//! Spikes (m = 1) need the last line once per 128 units, counts up to 16 once per 8. Inputs above
//! 128 would saturate, so they are split into their highest bit and the rest, which are at most 128
//! each.

use super::dot::Dot;
use crate::cpu::simd::LANES;
use std::arch::x86_64::*;

/// Sixteen 32-bit sums.
#[derive(Clone, Copy)]
pub struct Avx2([__m256i; 2]);

/// The largest input byte, at least 1.
///
/// # Safety
/// The machine must have AVX2.
#[target_feature(enable = "avx2")]
pub unsafe fn largest(x: &[u32]) -> u8 {
    let bytes: &[u8] = bytemuck::cast_slice(x);
    bytes.iter().fold(1, |most, b| most.max(*b))
}

impl Avx2 {
    /// Turns 16-bit sums of pairs into 32-bit sums of fours.
    #[inline(always)]
    unsafe fn widen(pairs: __m256i) -> __m256i {
        // SAFETY: the caller guarantees the instruction set.
        unsafe { _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)) }
    }

    /// Multiplies `R` rows with one register of channels; see [`Dot::product`].
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
    unsafe fn column<const R: usize, const NV: usize>(
        acc: &mut [[Self; NV]],
        rows: &[*const u32],
        b: *const u32,
        (depth, run): (usize, usize),
        j: usize,
    ) {
        // SAFETY: the caller guarantees the instruction set, and `R` rows and a panel of `depth`
        // units.
        unsafe {
            let mut from = 0;
            while from < depth {
                let to = (from + run).min(depth);
                let mut sums = [[_mm256_setzero_si256(); 2]; R];
                for u in from..to {
                    let [low, high] = Self::weights(b.add((u * NV + j) * LANES));
                    for i in 0..R {
                        let x = _mm256_set1_epi32(*rows.get_unchecked(i).add(u) as i32);
                        sums[i][0] = _mm256_add_epi16(sums[i][0], _mm256_maddubs_epi16(x, low));
                        sums[i][1] = _mm256_add_epi16(sums[i][1], _mm256_maddubs_epi16(x, high));
                    }
                }
                for (acc, sums) in acc.iter_mut().zip(sums) {
                    let [low, high] = acc[j].0;
                    acc[j].0 =
                        [_mm256_add_epi32(low, Self::widen(sums[0])), _mm256_add_epi32(high, Self::widen(sums[1]))];
                }
                from = to;
            }
        }
    }
}

// SAFETY: the methods run only inside a wrapper compiled for avx2, which `tile` selects by
// detection.
unsafe impl Dot for Avx2 {
    type Units = [__m256i; 2];

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller guarantees the instruction set.
        Self(unsafe { [_mm256_setzero_si256(); 2] })
    }
    #[inline(always)]
    unsafe fn load(p: *const u32) -> Self {
        // SAFETY: the caller guarantees 16 readable values and the instruction set.
        Self(unsafe { Self::weights(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut u32) {
        // SAFETY: the caller guarantees 16 writable values and the instruction set.
        unsafe {
            _mm256_storeu_si256(p.cast(), self.0[0]);
            _mm256_storeu_si256(p.add(8).cast(), self.0[1]);
        }
    }
    #[inline(always)]
    unsafe fn weights(p: *const u32) -> Self::Units {
        // SAFETY: the caller guarantees 16 readable values and the instruction set.
        unsafe { [_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(8).cast())] }
    }
    #[inline(always)]
    unsafe fn inputs(unit: u32) -> Self::Units {
        // SAFETY: the caller guarantees the instruction set.
        unsafe { [_mm256_set1_epi32(unit as i32); 2] }
    }
    #[inline(always)]
    unsafe fn dot(self, x: Self::Units, w: Self::Units) -> Self {
        // SAFETY: the caller guarantees the instruction set.
        unsafe {
            let (rest, highest) = (_mm256_set1_epi8(127), _mm256_set1_epi8(-128));
            let multiply_add = |s, x, w| {
                let rest = _mm256_maddubs_epi16(_mm256_and_si256(x, rest), w);
                let highest = _mm256_maddubs_epi16(_mm256_and_si256(x, highest), w);
                _mm256_add_epi32(s, _mm256_add_epi32(Self::widen(rest), Self::widen(highest)))
            };
            Self([multiply_add(self.0[0], x[0], w[0]), multiply_add(self.0[1], x[1], w[1])])
        }
    }
    #[inline(always)]
    unsafe fn finish(self, factors: *const f32) -> Self {
        // SAFETY: the caller guarantees 16 readable factors and the instruction set.
        unsafe {
            let scaled = |s, f| _mm256_castps_si256(_mm256_mul_ps(_mm256_cvtepi32_ps(s), _mm256_loadu_ps(f)));
            Self([scaled(self.0[0], factors), scaled(self.0[1], factors.add(8))])
        }
    }

    /// Processes one register of channels at a time, four or six rows together, because AVX2 has
    /// only sixteen registers.
    #[inline(always)]
    unsafe fn product<const MR: usize, const NV: usize>(
        acc: &mut [[Self; NV]; MR],
        rows: &[*const u32; MR],
        b: *const u32,
        depth: usize,
        most: u8,
    ) {
        let run = 128 / usize::from(most.max(1));
        // SAFETY: the caller upholds the conditions of the trait.
        unsafe {
            if run == 0 {
                return super::dot::product_of_all(acc, rows, b, depth);
            }
            for j in 0..NV {
                match MR % 6 {
                    0 => {
                        for (acc, rows) in acc.chunks_exact_mut(6).zip(rows.chunks_exact(6)) {
                            Self::column::<6, NV>(acc, rows, b, (depth, run), j);
                        }
                    }
                    _ => {
                        const { assert!(MR.is_multiple_of(6) || MR.is_multiple_of(4), "rows go in sixes or fours") };
                        for (acc, rows) in acc.chunks_exact_mut(4).zip(rows.chunks_exact(4)) {
                            Self::column::<4, NV>(acc, rows, b, (depth, run), j);
                        }
                    }
                }
            }
        }
    }
}
