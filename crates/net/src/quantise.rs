//! Quantises weights, threshold and lower limit of a layer jointly, as a Speck-class chip needs it:
//! 8-bit weights, 16-bit threshold, lower limit and membrane, and one scale for all of them.
//!
//! From the largest and smallest value of a set, its scale for b bits is
//!
//! ```text
//! s = (2^(b−1) − 1)/|max|   if |min| ≤ |max|·2^(b−1)/(2^(b−1) − 1)
//! s = 2^(b−1)/|min|         otherwise
//! scale = min(s of the weights with b = 8, s of {v_min, θ} with b = 16)
//! w_q = round(w·scale)      θ_q = round(θ·scale)      v_min_q = round(v_min·scale)
//! ```
//!
//! Halves round to even, and all arithmetic is f32. An unset lower limit counts as −2¹⁵ before
//! scaling, so the scale is at most 1. Source: the chip back end of sinabs 3.1.3 (`discretize.py`);
//! golden `speck_quant`.

use crate::error::{Error, Result};

/// The value that replaces an unset lower limit.
const UNSET_LIMIT: f32 = -32_768.0;

/// A layer in the chip's integers: each is the f32 value times [`scale`](Self::scale), rounded.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantisedLayer {
    /// Weights, in the order of the argument.
    pub weights: Vec<i8>,
    /// Threshold, at least 1.
    pub threshold: i16,
    /// Lower limit of the membrane, at most 0.
    pub v_min: i16,
    /// Integers per unit of the f32 network.
    pub scale: f32,
}

/// The common scale of a layer; infinite if every value is zero.
pub fn joint_scale(weights: &[f32], threshold: f32, v_min: Option<f32>) -> f32 {
    let state = [v_min.unwrap_or(UNSET_LIMIT), threshold];
    scale_of(weights, 8).min(scale_of(&state, 16))
}

/// Quantises the weights that drive one layer of neurons together with its threshold and lower
/// limit. If several branches drive the same neurons, the caller passes all their weights as one
/// slice, because they share a scale. The caller must have multiplied factors of average pooling
/// (1/k²) into the weights.
///
/// ```
/// use tickless_net::quantise::quantise_layer;
/// let q = quantise_layer("conv1", &[0.5, -0.25, 1.0], 1.0, Some(-1.0))?;
/// assert_eq!((q.weights.as_slice(), q.threshold, q.v_min), ([64, -32, 127].as_slice(), 127, -127));
/// # Ok::<(), tickless_net::Error>(())
/// ```
///
/// # Errors
/// If a value is not finite, the threshold is not above 0 or the limit is above 0; if the threshold
/// would round to 0; if the limit is unset and would reduce the scale, because the weights would
/// lose resolution. Every message names `layer`.
pub fn quantise_layer(layer: &str, weights: &[f32], threshold: f32, v_min: Option<f32>) -> Result<QuantisedLayer> {
    let refuse = |problem: String| Err(Error::layer(layer, problem));
    if let Some(i) = weights.iter().position(|w| !w.is_finite()) {
        return refuse(format!("weight {i} is {}, which no integer stands for; train the network anew", weights[i]));
    }
    if !(threshold > 0.0 && threshold.is_finite()) {
        return refuse(format!("the threshold must be a number above 0, got {threshold}"));
    }
    if let Some(v) = v_min.filter(|v| !(v.is_finite() && *v <= 0.0)) {
        return refuse(format!("`v_min` must be at most 0, got {v}"));
    }
    let scale = joint_scale(weights, threshold, v_min);
    if v_min.is_none() && scale < joint_scale(weights, threshold, Some(0.0)) {
        return refuse(format!(
            "no `v_min` is set: it would stand as {UNSET_LIMIT} beside weights and threshold, hold their joint scale \
             at {scale} and round the weights away; set `v_min`, for instance to −{threshold}"
        ));
    }
    let scaled = scale_by(weights, threshold, v_min, scale);
    if scaled.threshold < 1 {
        let strongest = weights.iter().fold(0.0f32, |m, w| m.max(w.abs()));
        return refuse(format!(
            "the threshold {threshold} rounds to 0 beside a weight of {strongest}; \
             scale the weights down or clip the largest"
        ));
    }
    Ok(scaled)
}

/// Quantises the weights of an accumulating readout, which has neither threshold nor limit. Returns
/// the integers and their scale: how many integers correspond to 1. If all weights are zero, the
/// scale is 1.
///
/// # Errors
/// If a weight is not finite; the message names `layer`.
pub fn quantise_readout(layer: &str, weights: &[f32]) -> Result<(Vec<i8>, f32)> {
    if let Some(i) = weights.iter().position(|w| !w.is_finite()) {
        let problem = format!("weight {i} is {}, which no integer stands for; train the network anew", weights[i]);
        return Err(Error::layer(layer, problem));
    }
    let scale = scale_of(weights, 8);
    let scale = if scale.is_finite() { scale } else { 1.0 };
    Ok((weights.iter().map(|&w| (w * scale).round_ties_even() as i8).collect(), scale))
}

/// Rounds all values at the given scale.
fn scale_by(weights: &[f32], threshold: f32, v_min: Option<f32>, scale: f32) -> QuantisedLayer {
    // The cast saturates, so a product that rounding of the scale moves out of range stays in
    // range.
    let round = |v: f32| (v * scale).round_ties_even();
    QuantisedLayer {
        weights: weights.iter().map(|&w| round(w) as i8).collect(),
        threshold: round(threshold) as i16,
        v_min: round(v_min.unwrap_or(UNSET_LIMIT)) as i16,
        scale,
    }
}

/// The largest scale at which all values fit into `bits` bits.
fn scale_of(values: &[f32], bits: u32) -> f32 {
    let (low, high) = (2f32.powi(bits as i32 - 1), 2f32.powi(bits as i32 - 1) - 1.0);
    let first = values.first().copied().unwrap_or(0.0);
    let (min, max) = values.iter().fold((first, first), |(a, b), &v| (a.min(v), b.max(v)));
    if min.abs() <= max.abs() * (low / high) { high / max.abs() } else { low / min.abs() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_unset_limit_is_refused_only_where_it_costs_resolution() {
        assert!(quantise_layer("l", &[0.7, -0.2], 1.0, None).is_err());
        let q = quantise_layer("l", &[700.0, -200.0], 1000.0, None).unwrap();
        assert_eq!((q.weights.as_slice(), q.v_min), ([127, -36].as_slice(), -5945));
    }

    #[test]
    fn a_threshold_that_rounds_to_nothing_is_refused() {
        let e = quantise_layer("l", &[1000.0], 1.0, Some(-1.0)).unwrap_err();
        let Error::Layer { layer, problem } = &e else { panic!("{e}") };
        assert!(layer == "l" && problem.contains("1000;"), "{e}");
    }

    #[test]
    fn values_that_are_no_numbers_are_refused() {
        assert!(quantise_layer("l", &[0.0, f32::NAN], 1.0, Some(-1.0)).is_err());
        assert!(quantise_layer("l", &[0.5], f32::INFINITY, Some(-1.0)).is_err());
        assert!(quantise_layer("l", &[0.5], 0.0, Some(-1.0)).is_err());
        assert!(quantise_layer("l", &[0.5], 1.0, Some(0.5)).is_err());
    }

    proptest! {
        #[test]
        fn every_value_is_within_half_a_step_and_one_set_fills_its_range(
            weights in prop::collection::vec(-4.0f32..4.0, 1..64),
            threshold in 0.25f32..8.0,
            v_min in -8.0f32..=0.0,
        ) {
            let q = quantise_layer("l", &weights, threshold, Some(v_min)).unwrap();
            let near = |q: f32, v: f32| (q - v * q_scale(&weights, threshold, v_min)).abs() <= 0.501;
            prop_assert!(weights.iter().zip(&q.weights).all(|(&w, &i)| near(f32::from(i), w)));
            prop_assert!(near(f32::from(q.threshold), threshold) && near(f32::from(q.v_min), v_min));
            let full = q.weights.iter().any(|&w| w.unsigned_abs() >= 127)
                || q.threshold == i16::MAX || q.v_min.unsigned_abs() >= 32_767;
            prop_assert!(full, "no value uses the full range: {q:?}");
        }
    }

    fn q_scale(weights: &[f32], threshold: f32, v_min: f32) -> f32 {
        joint_scale(weights, threshold, Some(v_min))
    }
}
