//! The 8-bit form of a neuron: 16-bit potentials in units of the layer's quantised weights.
//!
//! If an event has raised the potential v to the threshold θ, the neuron emits n spikes:
//!
//! ```text
//! n = ⌊v/θ⌋ (multi spike) or 1;   v = max(v − n·θ (soft reset) or 0 (hard reset), v_min)
//! ```
//!
//! Chips have no leak, no synaptic current and no adaptive threshold, so this form requires
//! [`Neuron::is_plain`](crate::Neuron::is_plain) and no leak.

use crate::model::Reset;
use crate::step::Mode;

/// Threshold and lower limit, in units of the quantised weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// Threshold θ.
    pub threshold: i16,
    /// Lower limit of the membrane potential.
    pub v_min: i16,
}

/// Fires a neuron whose potential has reached the threshold; returns the number of spikes.
#[inline(always)]
pub fn fire(mode: Mode, levels: Levels, v: &mut i16) -> u32 {
    let n = if mode.multi { *v / levels.threshold } else { 1 };
    // n·θ ≤ v, so neither the product nor the difference overflows.
    let reset = if mode.reset == Reset::Hard { 0 } else { *v - n * levels.threshold };
    *v = reset.max(levels.v_min);
    n as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{Constants, State, step};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_8_bit_form_fires_and_resets_as_the_neuron_does(
            v in 1i16..2000, below in 0i16..2000, multi: bool, hard: bool, threshold in 1i16..200,
        ) {
            let v = v.max(threshold);
            let reset = if hard { Reset::Hard } else { Reset::Soft };
            let mode = Mode { multi, reset, equal: true, detach: false };
            let mut small = v;
            let n = fire(mode, Levels { threshold, v_min: -below }, &mut small);
            let c = Constants::<f64>::fixed(1.0, threshold.into(), (-below).into());
            let mut state = State::membrane(0.0);
            let fired = step(mode, &c, &mut state, f64::from(v));
            prop_assert_eq!((f64::from(n), f64::from(small)), (fired.spikes, state.v));
        }
    }
}
