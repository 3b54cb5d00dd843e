//! The NEON form: it processes four 32-bit or eight 16-bit potentials per instruction. It runs on
//! every 64-bit ARM processor, because all of them have NEON.
//!
//! A comparison sets all bits of each lane for which it holds. NEON has no instruction that turns
//! this into one bit per lane, so the form keeps a different bit of each lane and adds the lanes.
//! The scalar form processes the neurons that do not fill a register.
//!
//! The property test of `kernel` compares this form with the scalar form; `.ci/extra arm` runs the
//! test in an emulator.

use super::register::register;
use super::scalar::Scalar;
use super::{Bounds, Kernel};
use std::arch::aarch64::*;
use std::cell::Cell;
use tickless_neuron::between::arrive;

pub(crate) struct Neon;

register!(Four, float32x4_t, uint32x4_t, vaddq_f32, vmulq_f32, larger, vcgeq_f32);

/// `a` if it is larger, otherwise `b`.
///
/// # Safety
/// The target must have NEON.
#[inline(always)]
unsafe fn larger(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: the caller guarantees NEON.
    unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
}

impl Neon {
    /// Computes v = max(v·factor + w, v_min), or v = max(v + w, v_min) without a factor, for all
    /// neurons that fill a register. Returns the mask of firing neurons and the number of neurons
    /// processed.
    ///
    /// # Panics
    /// If the slices differ in length or are longer than a block.
    #[inline(always)]
    fn add_with(v: &mut [f32], w: &[f32], factor: Option<f32>, bounds: Bounds<f32>) -> (u64, usize) {
        let len = v.len();
        assert!(w.len() == len && len <= super::BLOCK);
        let (mut mask, mut at) = (0u64, 0);
        // SAFETY: the target has NEON; every access of four lanes lies below `len`.
        unsafe {
            let (fires_at, v_min) = (Four(vdupq_n_f32(bounds.fires_at)), Four(vdupq_n_f32(bounds.v_min)));
            let factor = factor.map(|f| Four(vdupq_n_f32(f)));
            let bits = vld1q_u32([1u32, 2, 4, 8].as_ptr());
            while at + 4 <= len {
                let p = v.as_mut_ptr().add(at);
                let (v, w) = (Four(vld1q_f32(p)), Four(vld1q_f32(w.as_ptr().add(at))));
                let (after, fires) = arrive(v, w, factor, fires_at, v_min);
                mask |= u64::from(vaddvq_u32(vandq_u32(fires, bits))) << at;
                vst1q_f32(p, after.0);
                at += 4;
            }
        }
        (mask, at)
    }
}

impl Kernel for Neon {
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
        // SAFETY: as in `add_with`, with eight lanes at a time.
        unsafe {
            let (fires_at, v_min) = (vdupq_n_s16(bounds.fires_at), vdupq_n_s16(bounds.v_min));
            let bits = vld1q_u16([1u16, 2, 4, 8, 16, 32, 64, 128].as_ptr());
            while at + 8 <= len {
                let p = v.as_mut_ptr().add(at);
                let u = vqaddq_s16(vld1q_s16(p), vmovl_s8(vld1_s8(w.as_ptr().add(at))));
                let fires = vaddvq_u16(vandq_u16(vcgeq_s16(u, fires_at), bits));
                mask |= u64::from(fires) << at;
                vst1q_s16(p, vmaxq_s16(v_min, u));
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
        // SAFETY: every access of two lanes lies below `len`; a `Cell<u64>` has the layout of a
        // u64, and no other thread can write to it.
        unsafe {
            let (now, bits) = (vdupq_n_u64(t_us), vld1q_u64([1u64, 2].as_ptr()));
            while at + 2 <= len {
                let until = vld1q_u64(ready_us.as_ptr().add(at).cast());
                later |= vaddvq_u64(vandq_u64(vcgtq_u64(until, now), bits)) << at;
                at += 2;
            }
        }
        if at < len {
            later |= u64::from(ready_us[at].get() > t_us) << at;
        }
        mask & !later
    }
}
