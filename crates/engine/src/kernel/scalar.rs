//! The scalar form. It defines the result of all forms, runs on processors without a vector form,
//! and processes the neurons at the end of a block that do not fill a vector register.

use super::{Bounds, Kernel};
use std::cell::Cell;
use tickless_neuron::between::arrive;

pub(crate) struct Scalar;

/// The mask of firing neurons. `v` are the potentials after the lower limit: because v_min < θ, the
/// limit never changes the potential of a neuron that fires. This loop is separate from the loop of
/// additions, because it runs only if a neuron fires and the compiler can vectorise the loop of
/// additions without it.
#[inline(always)]
fn who(v: &[f32], fires_at: f32) -> u64 {
    v.iter().enumerate().fold(0, |mask, (j, v)| mask | u64::from(*v >= fires_at) << j)
}

impl Scalar {
    /// Computes v = max(v·factor + w, v_min), or v = max(v + w, v_min) without a factor. Returns
    /// the mask of firing neurons.
    #[inline(always)]
    fn add_with(v: &mut [f32], w: &[f32], factor: Option<f32>, bounds: Bounds<f32>) -> u64 {
        let mut any = 0;
        for (v, w) in v.iter_mut().zip(w) {
            let (after, fires) = arrive(*v, *w, factor, bounds.fires_at, bounds.v_min);
            any |= u32::from(fires);
            *v = after;
        }
        if any == 0 { 0 } else { who(v, bounds.fires_at) }
    }
}

impl Kernel for Scalar {
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
        let mut mask = 0;
        for (j, (v, w)) in v.iter_mut().zip(w).enumerate() {
            let u = v.saturating_add((*w).into());
            mask |= u64::from(u >= bounds.fires_at) << j;
            *v = u.max(bounds.v_min);
        }
        mask
    }

    #[inline(always)]
    fn ready(ready_us: &[Cell<u64>], t_us: u64, mask: u64) -> u64 {
        let (mut ready, mut rest) = (mask, mask);
        while rest != 0 {
            let j = rest.trailing_zeros();
            rest &= rest - 1;
            ready &= !(u64::from(ready_us[j as usize].get() > t_us) << j);
        }
        ready
    }
}
