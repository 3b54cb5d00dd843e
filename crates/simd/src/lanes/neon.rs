//! Sixteen lanes in four registers of NEON, which every 64-bit ARM processor has.

use super::Lanes;
use std::arch::aarch64::*;

/// Four 128-bit registers.
#[derive(Clone, Copy)]
pub struct Neon([float32x4_t; 4]);

// SAFETY: the target includes NEON; loads and stores access 16 values, as the trait requires.
unsafe impl Lanes for Neon {
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller guarantees 16 readable values.
        Self(unsafe { [vld1q_f32(p), vld1q_f32(p.add(4)), vld1q_f32(p.add(8)), vld1q_f32(p.add(12))] })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        let [a, b, c, d] = self.0;
        // SAFETY: the caller guarantees 16 writable values.
        unsafe {
            vst1q_f32(p, a);
            vst1q_f32(p.add(4), b);
            vst1q_f32(p.add(8), c);
            vst1q_f32(p.add(12), d);
        }
    }
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        // SAFETY: the target includes NEON.
        Self([unsafe { vdupq_n_f32(v) }; 4])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        // SAFETY: the target includes NEON.
        Self(unsafe { [vaddq_f32(a, e), vaddq_f32(b, f), vaddq_f32(c, g), vaddq_f32(d, h)] })
    }
    #[inline(always)]
    unsafe fn add_product(self, x: Self, y: Self) -> Self {
        let ([a, b, c, d], x, y) = (self.0, x.0, y.0);
        // SAFETY: the target includes NEON.
        Self(unsafe {
            [vfmaq_f32(a, x[0], y[0]), vfmaq_f32(b, x[1], y[1]), vfmaq_f32(c, x[2], y[2]), vfmaq_f32(d, x[3], y[3])]
        })
    }
}
