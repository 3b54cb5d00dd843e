//! Sixteen running sums of products of packed values, with the instructions for 8-bit integers
//! (VNNI, or AVX2 in [`avx2`](super::avx2)) and for bf16, and the scalar forms that the tests
//! compare them with.
//!
//! A unit is 32 bits: four 8-bit inputs or two 16-bit inputs, adjacent in memory.
//!
//! ```text
//! int8:  s[l] ← s[l] + Σ_{b<4} x[b]·w[l][b]     x unsigned, w signed, s of 32 bits: exact
//! bf16:  s[l] ← (s[l] + x[1]·w[l][1]) + x[0]·w[l][0]    s of f32, one rounding an addition
//! ```
//!
//! The product of two bf16 is exact in f32. The bf16 instructions treat values below 2⁻¹²⁶ as zero;
//! the scalar form does not.

use crate::cpu::simd::LANES;

/// Running sums of sixteen output channels.
///
/// # Safety
/// The machine must have the instruction set of the implementation, and every function must be
/// inlined into a function that is compiled for it. Pointers must be valid for 16 values.
pub unsafe trait Dot: Copy {
    /// Sixteen units.
    type Units: Copy;
    /// Sums of zero.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn zero() -> Self;
    /// Loads the bits that [`store`](Self::store) wrote.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn load(p: *const u32) -> Self;
    /// Stores the bits of the sums.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn store(self, p: *mut u32);
    /// Loads one unit of weights per sum.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn weights(p: *const u32) -> Self::Units;
    /// One unit of inputs, for every sum.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn inputs(unit: u32) -> Self::Units;
    /// Adds the products of these units to the sums.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn dot(self, x: Self::Units, w: Self::Units) -> Self;
    /// Converts the sums to f32, each times its factor.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn finish(self, factors: *const f32) -> Self;

    /// `acc[i] += Σ_u rows[i][u]·b[u]`. No input may be larger than `most`.
    ///
    /// # Safety
    /// See the trait. Every row must have `depth` units, and `b` `depth` rows of `NV` registers.
    #[inline(always)]
    unsafe fn product<const MR: usize, const NV: usize>(
        acc: &mut [[Self; NV]; MR],
        rows: &[*const u32; MR],
        b: *const u32,
        depth: usize,
        most: u8,
    ) {
        let _ = most;
        // SAFETY: the caller upholds the conditions above.
        unsafe { product_of_all(acc, rows, b, depth) }
    }
}

/// [`Dot::product`] for inputs of any size, with all sums in registers.
///
/// # Safety
/// See [`Dot::product`].
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
pub(super) unsafe fn product_of_all<D: Dot, const MR: usize, const NV: usize>(
    acc: &mut [[D; NV]; MR],
    rows: &[*const u32; MR],
    b: *const u32,
    depth: usize,
) {
    // SAFETY: the caller guarantees `depth` units per row and `depth` rows of the panel.
    unsafe {
        let mut local = *acc;
        let mut b = b;
        for u in 0..depth {
            let mut w = [D::weights(b); NV];
            for j in 1..NV {
                w[j] = D::weights(b.add(j * LANES));
            }
            for i in 0..MR {
                let x = D::inputs(*rows[i].add(u));
                for j in 0..NV {
                    local[i][j] = local[i][j].dot(x, w[j]);
                }
            }
            b = b.add(NV * LANES);
        }
        *acc = local;
    }
}

/// The scalar form of the 8-bit product.
#[derive(Clone, Copy)]
pub struct PlainInt8([i32; LANES]);

// SAFETY: arrays need no instruction set, and loads and stores access 16 values, as the trait says.
unsafe impl Dot for PlainInt8 {
    type Units = [u32; LANES];

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0; LANES])
    }
    #[inline(always)]
    unsafe fn load(p: *const u32) -> Self {
        // SAFETY: the caller guarantees 16 readable values.
        Self(unsafe { p.cast::<[i32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut u32) {
        // SAFETY: the caller guarantees 16 writable values.
        unsafe { p.cast::<[i32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn weights(p: *const u32) -> Self::Units {
        // SAFETY: the caller guarantees 16 readable values.
        unsafe { p.cast::<[u32; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn inputs(unit: u32) -> Self::Units {
        [unit; LANES]
    }
    #[inline(always)]
    unsafe fn dot(mut self, x: Self::Units, w: Self::Units) -> Self {
        for (s, (x, w)) in self.0.iter_mut().zip(x.into_iter().zip(w)) {
            let products = x.to_ne_bytes().into_iter().zip(w.to_ne_bytes());
            *s += products.map(|(x, w)| i32::from(x) * i32::from(w as i8)).sum::<i32>();
        }
        self
    }
    #[inline(always)]
    unsafe fn finish(mut self, factors: *const f32) -> Self {
        // SAFETY: the caller guarantees 16 readable values.
        let factors = unsafe { factors.cast::<[f32; LANES]>().read_unaligned() };
        self.0.iter_mut().zip(factors).for_each(|(s, f)| *s = (*s as f32 * f).to_bits() as i32);
        self
    }
}

/// The scalar form of the bf16 product.
#[derive(Clone, Copy)]
pub struct PlainBf16([f32; LANES]);

// SAFETY: arrays need no instruction set, and loads and stores access 16 values, as the trait says.
unsafe impl Dot for PlainBf16 {
    type Units = [u32; LANES];

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; LANES])
    }
    #[inline(always)]
    unsafe fn load(p: *const u32) -> Self {
        // SAFETY: the caller guarantees 16 readable values.
        Self(unsafe { p.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut u32) {
        // SAFETY: the caller guarantees 16 writable values.
        unsafe { p.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn weights(p: *const u32) -> Self::Units {
        // SAFETY: the caller guarantees 16 readable values.
        unsafe { p.cast::<[u32; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn inputs(unit: u32) -> Self::Units {
        [unit; LANES]
    }
    #[inline(always)]
    unsafe fn dot(mut self, x: Self::Units, w: Self::Units) -> Self {
        let (low, high) = (|u: u32| f32::from_bits(u << 16), |u: u32| f32::from_bits(u & 0xffff_0000));
        for (s, (x, w)) in self.0.iter_mut().zip(x.into_iter().zip(w)) {
            *s += high(x) * high(w);
            *s += low(x) * low(w);
        }
        self
    }
    #[inline(always)]
    unsafe fn finish(self, _: *const f32) -> Self {
        self
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Bf16, Vnni};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Dot;
    use std::arch::x86_64::*;

    /// 8-bit products with AVX-512 VNNI.
    #[derive(Clone, Copy)]
    pub struct Vnni(__m512i);

    // SAFETY: the methods run only inside a wrapper compiled for avx512vnni, which `tile` selects
    // by detection.
    unsafe impl Dot for Vnni {
        type Units = __m512i;

        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller guarantees the instruction set.
            Self(unsafe { _mm512_setzero_si512() })
        }
        #[inline(always)]
        unsafe fn load(p: *const u32) -> Self {
            // SAFETY: the caller guarantees 16 readable values and the instruction set.
            Self(unsafe { _mm512_loadu_si512(p.cast()) })
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut u32) {
            // SAFETY: the caller guarantees 16 writable values and the instruction set.
            unsafe { _mm512_storeu_si512(p.cast(), self.0) }
        }
        #[inline(always)]
        unsafe fn weights(p: *const u32) -> Self::Units {
            // SAFETY: the caller guarantees 16 readable values and the instruction set.
            unsafe { _mm512_loadu_si512(p.cast()) }
        }
        #[inline(always)]
        unsafe fn inputs(unit: u32) -> Self::Units {
            // SAFETY: the caller guarantees the instruction set.
            unsafe { _mm512_set1_epi32(unit as i32) }
        }
        #[inline(always)]
        unsafe fn dot(self, x: Self::Units, w: Self::Units) -> Self {
            // SAFETY: the caller guarantees the instruction set.
            Self(unsafe { _mm512_dpbusd_epi32(self.0, x, w) })
        }
        #[inline(always)]
        unsafe fn finish(self, factors: *const f32) -> Self {
            // SAFETY: the caller guarantees 16 readable factors and the instruction set.
            unsafe {
                let real = _mm512_mul_ps(_mm512_cvtepi32_ps(self.0), _mm512_loadu_ps(factors));
                Self(_mm512_castps_si512(real))
            }
        }
    }

    /// bf16 products with AVX-512 BF16.
    #[derive(Clone, Copy)]
    pub struct Bf16(__m512);

    // SAFETY: the methods run only inside a wrapper compiled for avx512bf16, which `tile` selects
    // by detection.
    unsafe impl Dot for Bf16 {
        type Units = __m512bh;

        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller guarantees the instruction set.
            Self(unsafe { _mm512_setzero_ps() })
        }
        #[inline(always)]
        unsafe fn load(p: *const u32) -> Self {
            // SAFETY: the caller guarantees 16 readable values and the instruction set.
            Self(unsafe { _mm512_loadu_ps(p.cast()) })
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut u32) {
            // SAFETY: the caller guarantees 16 writable values and the instruction set.
            unsafe { _mm512_storeu_ps(p.cast(), self.0) }
        }
        #[inline(always)]
        unsafe fn weights(p: *const u32) -> Self::Units {
            // SAFETY: the caller guarantees 16 readable values and the instruction set; both types
            // are 512 bits.
            unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(p.cast())) }
        }
        #[inline(always)]
        unsafe fn inputs(unit: u32) -> Self::Units {
            // SAFETY: the caller guarantees the instruction set; both types are 512 bits.
            unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(unit as i32)) }
        }
        #[inline(always)]
        unsafe fn dot(self, x: Self::Units, w: Self::Units) -> Self {
            // SAFETY: the caller guarantees the instruction set.
            Self(unsafe { _mm512_dpbf16_ps(self.0, x, w) })
        }
        #[inline(always)]
        unsafe fn finish(self, _: *const f32) -> Self {
            self
        }
    }
}
