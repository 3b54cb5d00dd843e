//! One neuron at a time: the definition, and the form for machines with nothing else.

use super::{Bounds, Kernel};

pub(crate) struct Scalar;

impl Kernel for Scalar {
    #[inline(always)]
    fn add(v: &mut [f32], w: &[f32], bounds: Bounds<f32>) -> u64 {
        Self::decay_add(v, w, 1.0, bounds)
    }

    #[inline(always)]
    fn decay_add(v: &mut [f32], w: &[f32], factor: f32, bounds: Bounds<f32>) -> u64 {
        let mut mask = 0;
        for (j, (v, w)) in v.iter_mut().zip(w).enumerate() {
            let u = *v * factor + w;
            mask |= u64::from(u >= bounds.fires_at) << j;
            // v_min < θ, so a neuron that will fire keeps its u here.
            *v = if bounds.v_min > u { bounds.v_min } else { u };
        }
        mask
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
