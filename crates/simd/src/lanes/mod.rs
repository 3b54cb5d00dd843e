//! Sixteen lanes of f32 in the registers of each instruction set.
//!
//! Kernels are written once, generic over [`Lanes`], and compiled for each set by
//! [`by_isa!`](crate::by_isa). The portable form is the scalar twin that the others are tested
//! against. It rounds each product before it adds (no fused multiply-add), so results of
//! [`add_product`](Lanes::add_product) agree to rounding.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

/// Number of lanes of every implementation.
pub const LANES: usize = 16;

/// Sixteen values.
///
/// # Safety
/// Every function requires that the processor has the instruction set of the implementation, and
/// that it is inlined into a function compiled for it; pointers must be valid for 16 values.
pub unsafe trait Lanes: Copy {
    /// Sixteen values from memory, unaligned.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn load(p: *const f32) -> Self;
    /// Sixteen values to memory, unaligned.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn store(self, p: *mut f32);
    /// The first `n` values to memory; `p` must be valid for those.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize) {
        let mut all = [0.0f32; LANES];
        // SAFETY: all lanes fit the array, the first `n` of it the caller's memory.
        unsafe {
            self.store(all.as_mut_ptr());
            std::ptr::copy_nonoverlapping(all.as_ptr(), p, n.min(LANES));
        }
    }
    /// One value in every lane.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn splat(v: f32) -> Self;
    /// Sum.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn add(self, other: Self) -> Self;
    /// self + a·b.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
}

/// The portable form.
#[derive(Clone, Copy)]
pub struct Portable([f32; LANES]);

// SAFETY: arrays need no instruction set; loads and stores are of 16 values, as the trait says.
unsafe impl Lanes for Portable {
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller gives 16 readable values.
        Self(unsafe { p.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller gives 16 writable values.
        unsafe { p.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        Self([v; LANES])
    }
    #[inline(always)]
    unsafe fn add(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
        self
    }
    #[inline(always)]
    unsafe fn add_product(mut self, a: Self, b: Self) -> Self {
        self.0.iter_mut().zip(a.0.iter().zip(b.0)).for_each(|(s, (a, b))| *s += a * b);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, by_isa};
    use proptest::prelude::*;

    /// What a register does with three vectors: sum, sum with a product, and how it stores a part.
    #[derive(Debug, Default, Clone, PartialEq)]
    struct Results {
        sum: Vec<f32>,
        with_product: Vec<f32>,
        part: Vec<f32>,
        splat: Vec<f32>,
    }

    struct Job<'a> {
        of: [&'a [f32; LANES]; 3],
        part: usize,
    }

    #[inline(always)]
    unsafe fn body<V: Lanes>(job: &Job<'_>) -> Results {
        let [mut sum, mut with_product, mut splat] = [[0.0f32; LANES]; 3];
        // One value more than is stored, which must stay.
        let mut part = vec![-7.0f32; job.part + 1];
        // SAFETY: the caller gives the instruction set; every array has sixteen values, `part` enough.
        unsafe {
            let [a, b, c] = job.of.map(|v| V::load(v.as_ptr()));
            a.add(b).store(sum.as_mut_ptr());
            a.add_product(b, c).store(with_product.as_mut_ptr());
            a.store_first(part.as_mut_ptr(), job.part);
            V::splat(job.of[0][0]).store(splat.as_mut_ptr());
        }
        Results { sum: sum.to_vec(), with_product: with_product.to_vec(), part, splat: splat.to_vec() }
    }

    by_isa! {
        fn results(job: &Job<'_>) -> Results =
            body::<portable Portable, neon super::Neon, avx2 super::Avx2, avx512 super::Avx512>;
    }

    proptest! {
        #[test]
        fn every_register_computes_what_the_portable_form_does(
            a: [f32; LANES], b in prop::array::uniform16(-4.0f32..4.0), c in prop::array::uniform16(-4.0f32..4.0),
            part in 0..=LANES,
        ) {
            let a = a.map(|v| if v.is_finite() { v % 8.0 } else { 1.0 });
            let job = Job { of: [&a, &b, &c], part };
            let twin = results(Isa::PORTABLE, &job);
            for isa in Isa::available() {
                let seen = results(isa, &job);
                prop_assert_eq!(&seen.sum, &twin.sum);
                prop_assert_eq!(&seen.part, &twin.part);
                prop_assert_eq!(&seen.splat, &twin.splat);
                for (k, (seen, twin)) in seen.with_product.iter().zip(&twin.with_product).enumerate() {
                    // Half a unit of the product, whose magnitude is at most 16, and of the sum.
                    prop_assert!((seen - twin).abs() <= 24.0 * f32::EPSILON, "{isa:?}, lane {k}: {seen} {twin}");
                }
            }
        }
    }
}
