//! Sixteen lanes of f32 in the registers of each instruction set.
//!
//! A kernel is written once, generic over [`Lanes`], and [`by_isa!`](crate::by_isa) compiles it for
//! each set. Tests compare the other forms with the portable one, which uses arrays. That form
//! rounds each product before it adds (no fused multiply-add), so results of
//! [`add_product`](Lanes::add_product) agree to rounding only.

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

/// Sixteen f32 values.
///
/// # Safety
/// The processor must have the instruction set of the implementation, every function must be
/// inlined into a function compiled for that set, and pointers must be valid for 16 values.
pub unsafe trait Lanes: Copy {
    /// Loads sixteen values; `p` need not be aligned.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn load(p: *const f32) -> Self;
    /// Stores sixteen values; `p` need not be aligned.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn store(self, p: *mut f32);
    /// Stores the first `n` values; `p` must be valid for those only.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize) {
        let mut all = [0.0f32; LANES];
        // SAFETY: the array has 16 values, and the caller guarantees `n` writable values at `p`.
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
    /// self + other, lane by lane.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn add(self, other: Self) -> Self;
    /// self + a·b, lane by lane.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
}

/// The portable form: an array.
#[derive(Clone, Copy)]
pub struct Portable([f32; LANES]);

// SAFETY: arrays need no instruction set; loads and stores access 16 values, as the trait requires.
unsafe impl Lanes for Portable {
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller guarantees 16 readable values.
        Self(unsafe { p.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller guarantees 16 writable values.
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

    /// Results of an implementation on three vectors: sum, sum with a product, and partial store.
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
        // One value more than is stored; it must stay unchanged.
        let mut part = vec![-7.0f32; job.part + 1];
        // SAFETY: the caller guarantees the instruction set; the arrays and `part` are long enough.
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
            let portable = results(Isa::PORTABLE, &job);
            for isa in Isa::available() {
                let seen = results(isa, &job);
                prop_assert_eq!(&seen.sum, &portable.sum);
                prop_assert_eq!(&seen.part, &portable.part);
                prop_assert_eq!(&seen.splat, &portable.splat);
                for (k, (seen, portable)) in seen.with_product.iter().zip(&portable.with_product).enumerate() {
                    // Half a unit in the last place of the product (magnitude at most 16) and of
                    // the sum.
                    let difference = (seen - portable).abs();
                    prop_assert!(difference <= 24.0 * f32::EPSILON, "{isa:?}, lane {k}: {seen} {portable}");
                }
            }
        }
    }
}
