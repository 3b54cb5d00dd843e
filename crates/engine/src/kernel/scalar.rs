//! One neuron at a time: the definition, and the form for machines with nothing else.

use super::{Bounds, Kernel};

pub(crate) struct Scalar;

impl Scalar {
    /// v = max(v·factor + w, v_min), without a factor v = max(v + w, v_min); who fires.
    #[inline(always)]
    fn add_with(v: &mut [f32], w: &[f32], factor: Option<f32>, bounds: Bounds<f32>) -> u64 {
        let mut mask = 0;
        for (j, (v, w)) in v.iter_mut().zip(w).enumerate() {
            let u = factor.map_or(*v, |f| *v * f) + w;
            mask |= u64::from(u >= bounds.fires_at) << j;
            // v_min < θ, so a neuron that will fire keeps its u here.
            *v = if bounds.v_min > u { bounds.v_min } else { u };
        }
        mask
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
