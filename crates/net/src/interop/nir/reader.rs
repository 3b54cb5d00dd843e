//! Describes how each framework runs a neuron node.
//!
//! With the step Δt and the node's parameters, the reader's neuron computes u = λ·v + g·x in each
//! step, followed by spikes, reset and limit as in [`crate::neuron`]:
//!
//! | reader | IF | LIF | fires | spikes | reset | limit |
//! |---|---|---|---|---|---|---|
//! | sinabs 3.1 | λ = 1, g = 1 (r is not read) | λ = exp(−1/τ), g = 1 | u ≥ θ | ⌊u/θ⌋ | −θ·n | IF −θ, LIF none |
//! | snnTorch 1.0 | λ = 0.9 (!), g = 1, r must be 1 | λ = 1 − Δt/τ, g = r·Δt/τ | u > θ | one | IF −θ, LIF to 0 | none |
//! | SpikingJelly 2.0 | λ = 1, r must be 1/Δt | λ = 1 − Δt/τ, r must be 1 or τ/Δt | u ≥ θ | one | to 0 | none |
//! | Norse 1.1 | λ = 1, g = 1 (r is not read) | λ = 1 − Δt/τ, g = Δt/τ (r is not read) | u > θ | one | to 0 | none |
//! | plain NIR | λ = 1, g = r·Δt | λ = 1 − Δt/τ, g = r·Δt/τ | u > θ | one | to 0 | none |
//!
//! `CubaLIF` is i = λ_s·i + x and u = λ·v + g·i with λ_s = 1 − Δt/τ_syn, λ = 1 − Δt/τ_mem and
//! g = w_in·Δt/τ_syn · r·Δt/τ_mem in plain NIR and Norse. snnTorch takes only r = τ_mem/Δt, SpikingJelly
//! also only w_in = τ_syn/Δt, and sinabs does not read the node.
//!
//! Source: the import functions of these packages; golden `*.nir`.

use super::deviation::Deviation;
use crate::layer::PoolKind;
use crate::neuron::{Neuron, Reset, SpikeMode, Surrogate};
use tickless_words::words;

/// A framework that reads NIR graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reader {
    /// sinabs, which the Speck tool chain uses.
    Sinabs,
    /// snnTorch.
    SnnTorch,
    /// SpikingJelly.
    SpikingJelly,
    /// Norse.
    Norse,
}

impl Reader {
    /// Every reader.
    pub const ALL: [Reader; 4] = [Reader::Sinabs, Reader::SnnTorch, Reader::SpikingJelly, Reader::Norse];

    /// The framework's name as its authors spell it.
    pub fn name(self) -> &'static str {
        match self {
            Reader::Sinabs => "sinabs",
            Reader::SnnTorch => "snnTorch",
            Reader::SpikingJelly => "SpikingJelly",
            Reader::Norse => "Norse",
        }
    }

    /// The step Δt in seconds that the framework assumes (1 for sinabs, which counts τ in steps).
    pub fn dt(self) -> f64 {
        match self {
            Reader::Sinabs => 1.0,
            Reader::SnnTorch | Reader::SpikingJelly => 1e-4,
            Reader::Norse => 1e-3,
        }
    }

    /// Whether the framework reads `Conv1d` from a file; the others read `Conv2d` with one row.
    pub(super) fn reads_conv1d(self) -> bool {
        self == Reader::SpikingJelly
    }

    /// The kind of pooling that the framework supports; it does not support the other kind.
    pub(super) fn pooling(self) -> PoolKind {
        match self {
            Reader::Sinabs | Reader::Norse => PoolKind::Sum,
            Reader::SnnTorch | Reader::SpikingJelly => PoolKind::Average,
        }
    }

    /// The default surrogate gradient of the framework's neurons.
    pub(super) fn surrogate(self) -> Surrogate {
        match self {
            Reader::Sinabs => Surrogate::SingleExponential { width: 0.5 },
            Reader::SnnTorch => Surrogate::Arctangent { alpha: 2.0 },
            Reader::SpikingJelly => Surrogate::Sigmoid { alpha: 4.0 },
            Reader::Norse => Surrogate::Triangle,
        }
    }
}

words!(Reader, "reader of NIR graphs", {
    Sinabs = "sinabs",
    SnnTorch = "snntorch",
    SpikingJelly = "spikingjelly",
    Norse = "norse",
});

/// The parameters of one neuron of a node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    /// τ_syn and w_in of a synaptic current.
    pub synapse: Option<(f64, f64)>,
    /// τ of a LIF; `None` for an IF.
    pub tau: Option<f64>,
    pub r: f64,
    pub threshold: f64,
}

/// The neuron that a reader runs for a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interpretation {
    pub lambda: f64,
    /// λ_s of a synaptic current.
    pub synapse: Option<f64>,
    pub gain: f64,
    pub threshold: f64,
    pub spikes: SpikeMode,
    pub reset: Reset,
    pub fire_at_threshold: bool,
    pub v_min: Option<f64>,
}

/// Whether two values are equal within the precision of f32.
pub(super) fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs())
}

/// The neuron that `reader` (`None`: plain NIR) runs for a cell at steps of `dt` seconds.
///
/// # Errors
/// If a parameter is invalid or the reader refuses the cell; the message states the reason.
pub(super) fn interpret(reader: Option<Reader>, cell: Cell, dt: f64) -> Result<Interpretation, String> {
    let Cell { synapse, tau, r, threshold } = cell;
    if let Some((tau_syn, _)) = synapse.filter(|s| s.0.is_nan() || s.0 <= 0.0) {
        return Err(format!("`tau_syn` is {tau_syn}; give a value above 0"));
    }
    if !(threshold > 0.0 && tau.is_none_or(|t| t > 0.0)) {
        let tau = tau.map_or(String::new(), |t| format!(" and `tau` is {t}"));
        return Err(format!("`v_threshold` is {threshold}{tau}; give values above 0"));
    }
    let single = Interpretation {
        lambda: tau.map_or(1.0, |t| 1.0 - dt / t),
        synapse: synapse.map(|(tau_syn, _)| 1.0 - dt / tau_syn),
        gain: r * dt / tau.unwrap_or(1.0) * synapse.map_or(1.0, |(tau_syn, w_in)| w_in * dt / tau_syn),
        threshold,
        spikes: SpikeMode::Single,
        reset: Reset::Hard,
        fire_at_threshold: false,
        v_min: None,
    };
    if let Some((tau_syn, w_in)) = synapse {
        let needs = |name: &str, has: f64, wants: f64| match same(has, wants) {
            true => Ok(()),
            false => Err(format!("refuses {name} = {has}; it needs {wants}")),
        };
        let membrane = tau.unwrap_or(f64::INFINITY);
        match reader {
            None | Some(Reader::Norse) => {}
            Some(Reader::Sinabs) => return Err("does not read `CubaLIF`".to_owned()),
            Some(Reader::SnnTorch) => needs("r", r, membrane / dt)?,
            Some(Reader::SpikingJelly) => {
                needs("r", r, membrane / dt)?;
                needs("w_in", w_in, tau_syn / dt)?;
            }
        }
        return Ok(Interpretation { fire_at_threshold: reader == Some(Reader::SpikingJelly), ..single });
    }
    Ok(match (reader, tau) {
        (None, _) | (Some(Reader::SnnTorch), Some(_)) => single,
        (Some(Reader::Sinabs), _) => Interpretation {
            lambda: tau.map_or(1.0, |t| (-1.0 / t).exp()),
            gain: 1.0,
            spikes: SpikeMode::Multi,
            reset: Reset::Soft,
            fire_at_threshold: true,
            v_min: if tau.is_none() { Some(-threshold) } else { None },
            ..single
        },
        (Some(Reader::SnnTorch), None) if r == 1.0 => {
            Interpretation { lambda: 0.9, gain: 1.0, reset: Reset::Soft, ..single }
        }
        (Some(Reader::SnnTorch), None) => return Err(format!("refuses r = {r}; it needs 1")),
        (Some(Reader::SpikingJelly), None) if !same(r * dt, 1.0) => {
            return Err(format!("refuses r = {r}; it needs 1/Δt = {}", 1.0 / dt));
        }
        (Some(Reader::SpikingJelly), Some(t)) if !same(r, 1.0) && !same(r, t / dt) => {
            return Err(format!("refuses r = {r}; it needs 1 or τ/Δt = {}", t / dt));
        }
        (Some(Reader::SpikingJelly), _) => Interpretation { fire_at_threshold: true, ..single },
        (Some(Reader::Norse), _) => Interpretation { gain: tau.map_or(1.0, |t| dt / t), ..single },
    })
}

/// Describes how `interpretation` differs from `meant`, whose membrane decays by `lambda` in a step,
/// and whose synaptic current by `synapse`.
pub(super) fn differences(
    meant: &Neuron,
    lambda: f64,
    synapse: Option<f64>,
    interpretation: &Interpretation,
) -> Vec<Deviation> {
    let mut all = Vec::new();
    let theta = f64::from(meant.threshold);
    if !same(interpretation.lambda, lambda) {
        all.push(Deviation::Leak { theirs: interpretation.lambda, ours: lambda });
    }
    if let (Some(theirs), Some(ours)) = (interpretation.synapse, synapse)
        && !same(theirs, ours)
    {
        all.push(Deviation::CurrentLeak { theirs, ours });
    }
    if !same(interpretation.gain / interpretation.threshold, 1.0 / theta) {
        let factor = interpretation.gain / interpretation.threshold * theta;
        all.push(Deviation::Gain { factor });
    }
    match (meant.spikes, interpretation.spikes) {
        (SpikeMode::Multi, SpikeMode::Single) => all.push(Deviation::OneSpike),
        (SpikeMode::Single, SpikeMode::Multi) => all.push(Deviation::ManySpikes),
        _ => {}
    }
    match (meant.reset, interpretation.reset) {
        (Reset::Soft, Reset::Hard) => all.push(Deviation::ResetToZero),
        (Reset::Hard, Reset::Soft) => all.push(Deviation::ResetByThreshold),
        _ => {}
    }
    match (meant.fire_at_threshold, interpretation.fire_at_threshold) {
        (true, false) => all.push(Deviation::SilentAtThreshold),
        (false, true) => all.push(Deviation::FiresAtThreshold),
        _ => {}
    }
    // A limit is a membrane potential, so it scales with the gain.
    let theirs = interpretation.v_min.map(|v| v / interpretation.threshold * theta);
    let ours = meant.v_min.map(f64::from);
    if match (ours, theirs) {
        (Some(a), Some(b)) => !same(a, b),
        (a, b) => a != b,
    } {
        all.push(Deviation::LowerLimit { theirs, ours });
    }
    if let Some(refractory) = meant.refractory {
        all.push(Deviation::Refractory { ours: refractory });
    }
    all
}
