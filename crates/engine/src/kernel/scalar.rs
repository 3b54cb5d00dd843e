//! One neuron at a time: the definition, and the form for machines with nothing else.

use super::{Bounds, Kernel};
use tickless_neuron::between::arrive;

pub(crate) struct Scalar;

/// Who fires, after the limit: v_min < θ, so a neuron that will fire has kept its u. A loop of its own,
/// as it is seldom needed, and without it the additions are free of any order.
#[inline(always)]
fn who(v: &[f32], fires_at: f32) -> u64 {
    v.iter().enumerate().fold(0, |mask, (j, v)| mask | u64::from(*v >= fires_at) << j)
}

impl Scalar {
    /// v = max(v·factor + w, v_min), without a factor v = max(v + w, v_min); who fires.
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
}
