//! Sixteen lanes of f32, implemented with AVX-512, with AVX2 and FMA, or with arrays.
//!
//! Kernels are written once, generic over [`Lanes`], and compiled once per instruction set;
//! [`Isa::detect`] chooses one at run time. The tests compare the others with the portable form,
//! which rounds products (it has no fused multiply-add), so results agree only up to rounding.

use crate::options::ComputeOptions;
use std::sync::OnceLock;

pub use crate::options::Isa;

/// Number of lanes of every implementation.
pub const LANES: usize = 16;

impl Isa {
    /// The best instruction set that this machine has and the program's [`ComputeOptions`] allow.
    pub fn detect() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let (all, limit) = (Self::available(), ComputeOptions::installed().instructions);
            let best = all.iter().find(|isa| limit.is_none_or(|limit| limit.is_at_least(**isa)));
            *best.unwrap_or(&Self::Portable)
        })
    }

    /// All instruction sets that this machine has, the best first.
    pub fn available() -> Vec<Self> {
        let mut all = vec![];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
                all.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Self::Avx2);
            }
        }
        all.push(Self::Portable);
        all
    }
}

/// Sixteen f32 values.
///
/// # Safety
/// The machine must have the instruction set of the implementation, and every function must be
/// inlined into a function that is compiled for it. Pointers must be valid for 16 values.
pub unsafe trait Lanes: Copy {
    /// Loads sixteen values from unaligned memory.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn load(p: *const f32) -> Self;
    /// Stores sixteen values to unaligned memory.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn store(self, p: *mut f32);
    /// Stores the first `n` values; `p` must be valid for these.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize) {
        let mut all = [0.0f32; LANES];
        // SAFETY: the array has room for all lanes, and `p` is valid for `n` values.
        unsafe {
            self.store(all.as_mut_ptr());
            std::ptr::copy_nonoverlapping(all.as_ptr(), p, n.min(LANES));
        }
    }
    /// The value `v` in every lane.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn splat(v: f32) -> Self;
    /// The sum of two vectors.
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

/// The portable implementation.
#[derive(Clone, Copy)]
pub struct Portable([f32; LANES]);

// SAFETY: arrays need no instruction set, and loads and stores access 16 values, as the trait says.
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

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    /// One 512-bit register.
    #[derive(Clone, Copy)]
    pub struct Avx512(__m512);

    // SAFETY: the methods run only inside wrappers compiled for avx512f, which `Isa::detect`
    // selects.
    unsafe impl Lanes for Avx512 {
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            // SAFETY: the caller guarantees 16 readable values and the instruction set.
            Self(unsafe { _mm512_loadu_ps(p) })
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            // SAFETY: the caller guarantees 16 writable values and the instruction set.
            unsafe { _mm512_storeu_ps(p, self.0) }
        }
        #[inline(always)]
        unsafe fn store_first(self, p: *mut f32, n: usize) {
            // SAFETY: the caller guarantees `n` writable values and the instruction set.
            unsafe { _mm512_mask_storeu_ps(p, ((1u32 << n.min(16)) - 1) as u16, self.0) }
        }
        #[inline(always)]
        unsafe fn splat(v: f32) -> Self {
            // SAFETY: the caller guarantees the instruction set.
            Self(unsafe { _mm512_set1_ps(v) })
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller guarantees the instruction set.
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller guarantees the instruction set.
            Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
        }
    }

    /// Two 256-bit registers.
    #[derive(Clone, Copy)]
    pub struct Avx2(__m256, __m256);

    // SAFETY: the methods run only inside wrappers compiled for avx2 and fma, which `Isa::detect`
    // selects.
    unsafe impl Lanes for Avx2 {
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            // SAFETY: the caller guarantees 16 readable values and the instruction set.
            unsafe { Self(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            // SAFETY: the caller guarantees 16 writable values and the instruction set.
            unsafe {
                _mm256_storeu_ps(p, self.0);
                _mm256_storeu_ps(p.add(8), self.1);
            }
        }
        #[inline(always)]
        unsafe fn splat(v: f32) -> Self {
            // SAFETY: the caller guarantees the instruction set.
            unsafe { Self(_mm256_set1_ps(v), _mm256_set1_ps(v)) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller guarantees the instruction set.
            unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller guarantees the instruction set.
            unsafe { Self(_mm256_fmadd_ps(a.0, b.0, self.0), _mm256_fmadd_ps(a.1, b.1, self.1)) }
        }
    }
}

/// Prefetches the cache line at `p` into the first-level cache. `p` may be any address.
#[inline(always)]
pub(crate) fn prefetch(p: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint: it has no visible effect and never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// Compiles a generic body `unsafe fn body<V: Lanes>(job: &mut Job)` once per instruction set and
/// declares a safe function that calls the one for a detected [`Isa`].
macro_rules! by_isa {
    ($visibility:vis $name:ident = $body:ident($job:ty)) => {
        $visibility fn $name(isa: $crate::cpu::simd::Isa, job: $job) {
            use $crate::cpu::simd;
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,fma")]
            unsafe fn avx512(job: $job) {
                // SAFETY: this function is compiled for the instruction set, and the job upholds
                // the body's own conditions.
                unsafe { $body::<simd::Avx512>(job) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2(job: $job) {
                // SAFETY: as above.
                unsafe { $body::<simd::Avx2>(job) }
            }
            match isa {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `Isa::detect` and `Isa::available` return only what the machine has.
                simd::Isa::Avx512 => unsafe { avx512(job) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                simd::Isa::Avx2 => unsafe { avx2(job) },
                // SAFETY: the portable form needs no instruction set.
                _ => unsafe { $body::<simd::Portable>(job) },
            }
        }
    };
}
pub(crate) use by_isa;
