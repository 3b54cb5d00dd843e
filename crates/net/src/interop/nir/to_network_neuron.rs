//! The arrays of a neuron node → one neuron and the factors that its inputs get.
//!
//! A layer here has one neuron. Where thresholds differ, the membrane of each is counted in units of
//! its own threshold: v′ = v·θ₀/θ, so the input gets the factor g·θ₀/θ, and nothing else changes.

use super::node::Tensor;
use super::reader::{Cell, Reader, hear, same};
use crate::neuron::{Leak, Neuron, Surrogate};
use crate::shape::Shape;

/// The arrays of an IF or LIF.
pub(super) struct Numbers<'a> {
    pub tau: Option<&'a Tensor>,
    pub r: &'a Tensor,
    pub leak: Option<&'a Tensor>,
    pub threshold: &'a Tensor,
    pub reset: &'a Tensor,
}

/// One value for each value of `shape`: the array as it is, one value for all, or one for each channel.
pub(super) fn spread(t: &Tensor, shape: Shape) -> Option<Vec<f64>> {
    let plane = shape.height * shape.width;
    match t.data.len() {
        n if n == shape.len() => Some(t.data.clone()),
        1 => Some(vec![t.data[0]; shape.len()]),
        n if n == shape.channels && t.shape.first() == Some(&n) && t.shape.len() == 3 => {
            Some(t.data.iter().flat_map(|&v| std::iter::repeat_n(v, plane)).collect())
        }
        _ => None,
    }
}

/// One value for each channel, if all of a channel are equal.
pub(super) fn per_channel(values: &[f64], shape: Shape) -> Option<Vec<f64>> {
    let planes = values.chunks(shape.height * shape.width);
    planes.map(|p| p.iter().all(|v| *v == p[0]).then_some(p[0])).collect()
}

/// The neuron of `reader` and, unless they are all 1, the factors of its inputs.
///
/// # Errors
/// Says what is wrong and what to do.
pub(super) fn neuron(
    reader: Option<Reader>,
    dt: f64,
    n: &Numbers,
    shape: Shape,
) -> Result<(Neuron, Option<Vec<f64>>), String> {
    let all = |what: &str, t: &Tensor| {
        spread(t, shape).ok_or_else(|| format!("`{what}` has the shape {:?} for a layer of {shape}", t.shape))
    };
    for (what, t) in [("v_leak", n.leak), ("v_reset", Some(n.reset))] {
        if let Some(v) = t.and_then(|t| t.data.iter().find(|v| **v != 0.0)) {
            return Err(format!("`{what}` is {v}; membranes rest at 0 here, so shift threshold and potentials by it"));
        }
    }
    let (r, threshold) = (all("r", n.r)?, all("v_threshold", n.threshold)?);
    let tau = n.tau.map(|t| all("tau", t)).transpose()?;
    let cell = |i: usize| Cell { tau: tau.as_ref().map(|t| t[i]), r: r[i], threshold: threshold[i] };
    let first = hear(reader, cell(0), dt)?;
    let mut gains = Vec::with_capacity(shape.len());
    for i in 0..shape.len() {
        let heard = hear(reader, cell(i), dt)?;
        if !same(heard.lambda, first.lambda) {
            return Err(format!("neurons 0 and {i} leak differently; give a layer one time constant"));
        }
        gains.push(heard.gain * first.threshold / heard.threshold);
    }
    if first.lambda.is_nan() || first.lambda <= 0.0 {
        return Err(format!("a step of {dt} s is not shorter than its time constant; shorten the step (`dt`)"));
    }
    if !gains.iter().all(|g| *g > 0.0 && g.is_finite()) {
        return Err("`r` must be above 0".to_owned());
    }
    let lambda = first.lambda as f32;
    let neuron = Neuron {
        threshold: first.threshold as f32,
        leak: if lambda == 1.0 { Leak::None } else { Leak::Step(lambda) },
        synapse: None,
        adaptation: None,
        spikes: first.spikes,
        reset: first.reset,
        v_min: first.v_min.map(|v| v as f32),
        fire_at_threshold: first.fire_at_threshold,
        detach_reset: reader == Some(Reader::SnnTorch),
        surrogate: reader.map_or(Surrogate::Triangle, Reader::surrogate),
    };
    if !(neuron.threshold > 0.0 && neuron.threshold.is_finite()) {
        return Err(format!("the threshold {} is no f32 above 0", first.threshold));
    }
    Ok((neuron, if gains.iter().all(|g| same(*g, 1.0)) { None } else { Some(gains) }))
}

/// A membrane in units of a gain: θ/g, v_min/g.
pub(super) fn divide(neuron: &mut Neuron, gain: f64) {
    for v in std::iter::once(&mut neuron.threshold).chain(&mut neuron.v_min) {
        *v = (f64::from(*v) / gain) as f32;
    }
}
