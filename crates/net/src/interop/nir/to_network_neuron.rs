//! Converts the arrays of a neuron node to one neuron and the factors of its inputs.
//!
//! A layer of this library has one set of neuron parameters. If thresholds differ, the importer
//! measures each membrane in units of its own threshold, v′ = v·θ₀/θ: the input gets the factor
//! g·θ₀/θ, and the dynamics are the same.
//!
//! Membranes of this library rest, start and reset at 0. If a membrane rests and resets at c, the
//! importer measures its potential from c: v′ = v − c, θ′ = θ − c. A LIF rests at v_leak, an IF at
//! v_reset. If a neuron rests at one potential and resets to another, the importer refuses it.
//! sinabs, snnTorch and Norse themselves read only neurons that rest and reset at 0.

use super::deviation::Deviation;
use super::graph::Tensor;
use super::reader::{Cell, Reader, interpret, same};
use crate::neuron::{Leak, LeakRule, Neuron, Surrogate};
use crate::shape::Shape;

/// The arrays of an `IF`, `LIF` or `CubaLIF` node.
pub(super) struct Numbers<'a> {
    /// τ_syn and w_in of a synaptic current.
    pub synapse: Option<(&'a Tensor, &'a Tensor)>,
    pub tau: Option<&'a Tensor>,
    pub r: &'a Tensor,
    pub leak: Option<&'a Tensor>,
    pub threshold: &'a Tensor,
    pub reset: &'a Tensor,
}

/// The time step of the graph.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Duration of the framework's step.
    pub seconds: f64,
    /// Whether the user chose the duration.
    pub given: bool,
    /// Whether to keep the leak per step or as a time constant.
    pub leak: LeakRule,
    /// Duration of one step at T_max of the run in µs.
    pub run_us: Option<f64>,
}

/// A converted neuron and the factors that the layers before it must take up.
pub(super) struct Made {
    pub neuron: Neuron,
    /// Factor of the inputs, also of those along recurrent connections: one for all, for each channel
    /// or for each neuron; `None` if all are 1.
    pub gains: Option<Vec<f64>>,
    /// Descriptions of the changes.
    pub notes: Vec<Deviation>,
}

/// Broadcasts an array to a layer of `shape`, whose values the graph arranges as `dims` (empty: as
/// `[C, H, W]`): an array of as many values, one value, or one whose dimensions are those of the
/// layer or 1. `None` if it has another shape.
fn spread(t: &Tensor, shape: Shape, dims: &[usize]) -> Option<Vec<f64>> {
    let own = [shape.channels, shape.height, shape.width];
    let dims = if dims.is_empty() { &own } else { dims };
    match t.data.len() {
        n if n == shape.len() => Some(t.data.clone()),
        1 => Some(vec![t.data[0]; shape.len()]),
        _ if t.shape.len() == dims.len() && t.shape.iter().zip(dims).all(|(a, d)| a == d || *a == 1) => {
            let at = |mut i: usize| {
                let (mut index, mut stride) = (0, 1);
                for (a, d) in t.shape.iter().zip(dims).rev() {
                    index += if *a == 1 { 0 } else { i % d * stride };
                    (stride, i) = (stride * a, i / d);
                }
                index
            };
            Some((0..shape.len()).map(|i| t.data[at(i)]).collect())
        }
        _ => None,
    }
}

/// The value of all elements, if they are one.
pub(super) fn same_everywhere(t: &Tensor) -> Option<f64> {
    let first = *t.data.first()?;
    t.data.iter().all(|v| *v == first).then_some(first)
}

/// One value per channel of values that are one for all, one per channel, or one per neuron; `None`
/// if values within a channel differ.
pub(super) fn per_channel(values: &[f64], shape: Shape) -> Option<Vec<f64>> {
    match values.len() {
        1 => Some(vec![values[0]; shape.channels]),
        n if n == shape.channels => Some(values.to_vec()),
        _ => {
            let planes = values.chunks(shape.height * shape.width);
            planes.map(|p| p.iter().all(|v| *v == p[0]).then_some(p[0])).collect()
        }
    }
}

/// The factors of a node, one per channel; `None` if they are not.
pub(super) fn channel_values(t: &Tensor, shape: Shape, dims: &[usize]) -> Option<Vec<f64>> {
    per_channel(&spread_to(t, distinct(t, shape), shape, dims)?, shape)
}

/// How many values of a layer an array can tell apart: 1, one for each channel, or all.
fn distinct(t: &Tensor, shape: Shape) -> usize {
    match t.data.len() {
        1 => 1,
        n if n == shape.channels && t.shape.len() > 1 && t.shape[1..].iter().all(|d| *d == 1) => n,
        _ => shape.len(),
    }
}

/// Broadcasts an array to `count` values: 1, one for each channel, or all. A layer may be large, so
/// no more values are made than the arrays of a node tell apart.
fn spread_to(t: &Tensor, count: usize, shape: Shape, dims: &[usize]) -> Option<Vec<f64>> {
    match count {
        n if n == t.data.len() => Some(t.data.clone()),
        n if t.data.len() == 1 => Some(vec![t.data[0]; n]),
        _ => spread(t, shape, dims),
    }
}

/// The neuron that `reader` (`None`: plain NIR) runs for a node of the given shape.
///
/// # Errors
/// If the arrays are invalid or no neuron here behaves alike; the message states the remedy.
pub(super) fn neuron(
    reader: Option<Reader>,
    step: Step,
    n: &Numbers,
    shape: Shape,
    dims: &[usize],
) -> Result<Made, String> {
    let dt = step.seconds;
    let arrays =
        [Some(n.r), Some(n.threshold), Some(n.reset), n.tau, n.leak, n.synapse.map(|s| s.0), n.synapse.map(|s| s.1)];
    let count = arrays.into_iter().flatten().map(|t| distinct(t, shape)).max().unwrap_or(1);
    let per_neuron = |what: &str, t: &Tensor| {
        spread_to(t, count, shape, dims)
            .ok_or_else(|| format!("`{what}` has the shape {:?} for a layer of {shape}; {SHAPES}", t.shape))
    };
    let (r, threshold, reset) =
        (per_neuron("r", n.r)?, per_neuron("v_threshold", n.threshold)?, per_neuron("v_reset", n.reset)?);
    let tau = n.tau.map(|t| per_neuron("tau", t)).transpose()?;
    let leak = n.leak.map(|t| per_neuron("v_leak", t)).transpose()?;
    let synapse = match n.synapse {
        Some((tau, w_in)) => Some((per_neuron("tau_syn", tau)?, per_neuron("w_in", w_in)?)),
        None => None,
    };
    let mut notes = Vec::new();
    let mut rest = Vec::with_capacity(count);
    for i in 0..count {
        rest.push(rests_at(reader, leak.as_ref().map(|l| l[i]), reset[i], threshold[i])?);
    }
    if let Some(c) = rest.iter().find(|c| **c != 0.0) {
        notes.push(format!("its membrane rests, starts and resets at {c}; the potential is counted from there").into());
    }
    let cell = |i: usize| Cell {
        synapse: synapse.as_ref().map(|(tau, w_in)| (tau[i], w_in[i])),
        tau: tau.as_ref().map(|t| t[i]),
        r: r[i],
        threshold: threshold[i] - rest[i],
    };
    let first = interpret(reader, cell(0), dt)?;
    let mut gains = Vec::with_capacity(count);
    for i in 0..count {
        let interpretation = interpret(reader, cell(i), dt)?;
        let currents = |c: Cell| c.synapse.map(|s| s.0);
        for (what, a, b) in [("tau", cell(0).tau, cell(i).tau), ("tau_syn", currents(cell(0)), currents(cell(i)))] {
            if let (Some(a), Some(b)) = (a, b)
                && !same(a, b)
            {
                return Err(format!(
                    "its neurons 0 and {i} leak differently (`{what}` {a} and {b}); give a layer one time constant"
                ));
            }
        }
        gains.push(
            interpretation.gain * exact_charge(reader, step, cell(i))? * first.threshold / interpretation.threshold,
        );
    }
    if let Some(lambda) = first.synapse
        && !(lambda > 0.0 && lambda < 1.0)
    {
        return Err(format!("a step of {dt} s is not shorter than `tau_syn`; shorten the step (`dt`)"));
    }
    if first.lambda.is_nan() || first.lambda <= 0.0 {
        return Err(format!("a step of {dt} s is not shorter than its time constant; shorten the step (`dt`)"));
    }
    if !gains.iter().all(|g| *g > 0.0 && g.is_finite()) {
        return Err(
            "`r` (and `w_in`) must be above 0 and finite; put a sign or a factor into the weights before".to_owned()
        );
    }
    let neuron = Neuron {
        threshold: first.threshold as f32,
        leak: leaks(reader, step, cell(0).tau, first.lambda, &mut notes),
        synapse: match (cell(0).synapse, first.synapse, step.leak) {
            (Some((tau, _)), _, LeakRule::Time) => Some(Leak::Time(tau * 1e6)),
            (_, Some(lambda), LeakRule::Step) => Some(Leak::Step(lambda as f32)),
            _ => None,
        },
        adaptation: None,
        refractory: None,
        spikes: first.spikes,
        reset: first.reset,
        v_min: first.v_min.map(|v| v as f32),
        fire_at_threshold: first.fire_at_threshold,
        detach_reset: reader == Some(Reader::SnnTorch),
        surrogate: reader.map_or(Surrogate::Triangle, Reader::surrogate),
    };
    if !(neuron.threshold > 0.0 && neuron.threshold.is_finite()) {
        return Err(format!("`v_threshold`: {} is no f32 above 0", first.threshold));
    }
    let gains = if gains.iter().all(|g| same(*g, 1.0)) { None } else { Some(gains) };
    Ok(Made { neuron, gains, notes })
}

/// The potential at which a membrane rests, starts and resets.
fn rests_at(reader: Option<Reader>, leak: Option<f64>, reset: f64, threshold: f64) -> Result<f64, String> {
    if leak.unwrap_or(0.0) == 0.0 && reset == 0.0 {
        return Ok(0.0);
    }
    let values = leak.map_or(String::new(), |l| format!("`v_leak` is {l} and ")) + &format!("`v_reset` is {reset}");
    if let Some(reader @ (Reader::Sinabs | Reader::SnnTorch | Reader::Norse)) = reader {
        return Err(format!("{values}, and {} runs only neurons where both are 0; give them 0", reader.name()));
    }
    let rest = leak.unwrap_or(reset);
    if !same(rest, reset) {
        return Err(format!("{values}: a neuron here rests and resets at one potential; give them one value"));
    }
    if rest >= threshold {
        return Err(format!(
            "{values}, not below `v_threshold` {threshold}: it fires without input, which no neuron here does; raise \
             the threshold"
        ));
    }
    Ok(rest)
}

/// What an array of a neuron node may be.
const SHAPES: &str = "give one number, or an array that its dimensions broadcast to the layer's";

/// The charge that a current over one step adds with exact decay, relative to Euler's rule.
///
/// ```text
/// exact:  1 − e^(−Δt/τ)        Euler:  Δt/τ
/// ```
///
/// If τ is kept in seconds, the membrane decays exactly, so the charge must be exact too: a
/// constant input then drives the membrane to the same potential as in the framework.
///
/// A synaptic current spreads the charge over its own decay. In all it brings the membrane the
/// charge w/(1 − λ_s), where λ_s is its decay in one step of the run (`neuron::between`), so the
/// weight w takes up this factor in place of that of the framework's step.
///
/// # Errors
/// If the neuron has a synapse and the duration of a step of the run is unknown.
fn exact_charge(reader: Option<Reader>, step: Step, cell: Cell) -> Result<f64, String> {
    if step.leak != LeakRule::Time || reader == Some(Reader::Sinabs) {
        return Ok(1.0);
    }
    let lost = |x: f64| -(-x).exp_m1();
    Ok(match (cell.synapse, cell.tau) {
        (Some((tau, _)), _) => {
            let Some(us) = step.run_us else {
                return Err("its synaptic current needs the duration of a step at T_max (`step_us`)".to_owned());
            };
            lost(us / (tau * 1e6)) / (step.seconds / tau)
        }
        (None, Some(tau)) => lost(step.seconds / tau) / (step.seconds / tau),
        (None, None) => 1.0,
    })
}

/// The neuron of a `Threshold`: one that keeps nothing of its membrane until the next step, or the
/// next µs. Returns the thresholds' factors of the inputs too.
///
/// # Errors
/// If a threshold is not above 0, because such a neuron fires without input.
pub(super) fn threshold(step: Step, threshold: &Tensor, shape: Shape, dims: &[usize]) -> Result<Made, String> {
    let Some(all) = spread_to(threshold, distinct(threshold, shape), shape, dims) else {
        return Err(format!("`threshold` has the shape {:?} for a layer of {shape}; {SHAPES}", threshold.shape));
    };
    let first = all.first().copied().unwrap_or(1.0);
    if let Some(t) = all.iter().find(|t| !(**t > 0.0 && (**t as f32) > 0.0)) {
        return Err(format!(
            "`threshold` is {t}: it fires without input, which no neuron here does; give a threshold above 0"
        ));
    }
    let leak = match step.leak {
        LeakRule::Step => Leak::Step(f32::MIN_POSITIVE),
        LeakRule::Time => Leak::Time(FORGETS_US),
    };
    let neuron = Neuron { threshold: first as f32, leak, ..Neuron::lif() };
    let gains: Vec<f64> = all.iter().map(|t| first / t).collect();
    let gains = if gains.iter().all(|g| *g == 1.0) { None } else { Some(gains) };
    Ok(Made { neuron, gains, notes: Vec::new() })
}

/// The time constant of a neuron that forgets within 1 µs.
const FORGETS_US: f64 = 0.02;

/// The leak of a cell with time constant τ whose framework keeps the fraction `lambda` per step.
fn leaks(reader: Option<Reader>, step: Step, tau: Option<f64>, lambda: f64, notes: &mut Vec<Deviation>) -> Leak {
    let of_step = || if lambda as f32 == 1.0 { Leak::None } else { Leak::Step(lambda as f32) };
    match (tau, step.leak) {
        (Some(tau), LeakRule::Time) if reader != Some(Reader::Sinabs) => Leak::Time(tau * 1e6),
        (Some(tau), LeakRule::Time) if step.given => Leak::Time(tau * step.seconds * 1e6),
        (Some(tau), LeakRule::Time) => {
            notes.push(Deviation::StepsOfRun { tau });
            of_step()
        }
        _ => of_step(),
    }
}

/// Divides the threshold and the lower limit by a gain g, which has the same effect as multiplying
/// the input by g.
///
/// # Errors
/// If the resulting threshold is not a positive finite f32.
pub(super) fn divide(neuron: &mut Neuron, gain: f64) -> Result<(), String> {
    let before = neuron.threshold;
    for v in std::iter::once(&mut neuron.threshold).chain(&mut neuron.v_min) {
        *v = (f64::from(*v) / gain) as f32;
    }
    if neuron.threshold > 0.0 && neuron.threshold.is_finite() {
        return Ok(());
    }
    Err(format!("`v_threshold` {before} over the factor {gain} of its input (r, τ, step, scale) is no f32 above 0"))
}
