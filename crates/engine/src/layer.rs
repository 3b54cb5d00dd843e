//! A layer of spiking neurons driven by events.
//!
//! For every neuron that an event at time t reaches with a weight w:
//!
//! ```text
//! u = v·exp(−(t − t_last)/τ) + w          t_last: last time an event reached it; no leak: τ = ∞
//! single spike:  n = 1 if u > θ (u ≥ θ with `fire_at_threshold`), else 0
//! multi spike:   n = ⌊u/θ⌋ if u reaches θ in this sense, else 0
//! soft reset:    v = u − n·θ          hard reset:  v = 0 if n > 0, else u
//! lower limit:   v = max(v, v_min)
//! refractory:    n = 0 and no reset before t₀ + D; t₀: its last spike, D: its period in µs
//! ```
//!
//! Source: Du et al., ICLR 2025 (arXiv 2503.17394), and sinabs' IAF with one event per step.
//! Potentials are f32, as in training, or 16-bit integers. Their layout is `[y][x][c]`, so one
//! event adds contiguous weights to contiguous potentials. The engine does not touch a neuron that
//! no event reaches: such a neuron neither decays nor fires. The module `pass` processes the events.
//!
//! These equations are the fast form. A layer uses it if the membrane potential is the only state
//! of its neurons ([`Neuron::is_plain`]), apart from a refractory period. If a neuron is above its
//! threshold when the period ends, it fires at the next event that reaches it. If the membrane is
//! held, w = 0 during the period. Neurons with a synaptic current or an adaptive threshold, or with
//! a leak and a soft reset whose membrane is held, use the general form, [`tickless_neuron::between`]: all their variables decay
//! exactly, and the layer keeps a queue (`Due`) of the times at which neurons fire by themselves.

use crate::decay::Decay;
use crate::due::Due;
use crate::edge::{Edge, gcd};
use crate::error::{Error, Result};
use crate::hop::Hop;
use crate::kernel::Bounds;
use std::ops::Range;
use tickless_net::{During, Neuron, Reset, Shape};
use tickless_neuron::between::{Memory, Timed};
use tickless_neuron::quantised::Levels;
use tickless_neuron::step::Mode;
use tickless_simd::Aligned;

/// Capacity for spikes to the next layer, in addition to those that one event can cause.
const QUEUE: usize = 1024;

/// The parameters of a layer's neurons and the edges that leave the layer.
#[derive(Debug)]
pub(crate) struct Rule {
    pub shape: Shape,
    pub threshold: f32,
    /// The smallest potential that fires: θ, or the next larger float if u = θ does not fire.
    pub fires_at: f32,
    /// Lower limit of the potential; −∞ for none.
    pub v_min: f32,
    /// Threshold and limits in 8-bit programs.
    pub small: Small,
    pub mode: Mode,
    /// The leak in the fast form; `None` if the neurons do not leak.
    pub decay: Option<Decay>,
    /// The refractory period in µs in the fast form; `None` if the neurons have none.
    pub dead_us: Option<u64>,
    /// Whether the membrane keeps its potential during the refractory period in the fast form.
    pub holds: bool,
    /// The constants of the general form; `None` in the fast form.
    pub timed: Option<Timed>,
    /// Largest number of neurons that one event reaches.
    pub reach: usize,
    /// Channel (upper 32 bits) and column of each neuron in a row that an event reaches.
    pub lanes: Vec<u64>,
    /// The edges that leave this layer.
    pub edges: Range<usize>,
}

/// Threshold and limits in units of the quantised weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Small {
    pub levels: Levels,
    pub bounds: Bounds<i16>,
    /// Number of units that correspond to 1.
    pub scale: f32,
}

impl Small {
    pub const NONE: Small = Small {
        levels: Levels { threshold: i16::MAX, v_min: i16::MIN },
        bounds: Bounds { fires_at: i16::MAX, v_min: i16::MIN },
        scale: 1.0,
    };
}

/// Membrane potentials, or the sums of an accumulating readout, `[y][x][c]`.
#[derive(Debug, Clone)]
pub(crate) enum Potentials {
    Float(Aligned<f32>),
    Small(Aligned<i16>),
    /// The sums of the readout of an 8-bit program.
    Sum(Aligned<i32>),
    /// All variables of neurons in the general form.
    Timed(Vec<Memory>),
}

/// The state of a layer.
#[derive(Debug, Clone)]
pub(crate) struct LayerState {
    pub potentials: Potentials,
    /// Time at which an event last reached each cell, in µs; empty if the neurons do not leak.
    pub hit_us: Vec<u64>,
    /// End of each neuron's refractory period in µs; empty without one and in the general form.
    pub ready_us: Vec<u64>,
    /// Neurons that will fire by themselves, and their times; empty in the fast form.
    pub due: Due,
    /// Spikes for the next layers. `deliver` takes the list out while it delivers them.
    pub queue: Vec<Hop>,
}

impl Rule {
    /// The rule of one layer.
    ///
    /// # Errors
    /// If a parameter of the neuron is invalid, or if one is per step and `step_us` is missing.
    pub fn new(name: &str, n: &Neuron, step_us: Option<f64>, shape: Shape, edges: Range<usize>) -> Result<Self> {
        let v_min = n.v_min.unwrap_or(f32::NEG_INFINITY);
        if !(n.threshold > 0.0 && n.threshold.is_finite()) {
            return Err(Error::layer(
                name,
                format!("threshold {} is not a positive number; use e.g. 1.0", n.threshold),
            ));
        }
        if v_min.is_nan() || v_min >= n.threshold {
            return Err(Error::layer(name, format!("v_min {v_min} must lie below the threshold {}", n.threshold)));
        }
        let tau = n.tau_us(step_us).ok_or_else(|| {
            Error::layer(
                name,
                "leaks per step, and an event-driven run has no step: give `step_us` (mean span of the training recordings / T_max) or a leak in µs",
            )
        })?;
        if n.leak.leaks() && !(tau > 0.0 && tau.is_finite()) {
            return Err(Error::layer(
                name,
                format!("time constant {tau} µs is not a positive number; check the leak and `step_us`"),
            ));
        }
        let dead_us = match n.refractory {
            None => None,
            Some(refractory) => Some(refractory.us(step_us).ok_or_else(|| {
                Error::layer(
                    name,
                    "has a refractory period in steps, and an event-driven run has no step: give `step_us` (mean span of the training recordings / T_max) or the period in µs",
                )
            })?),
        };
        let held = n.refractory.is_some_and(|r| r.during == During::Hold);
        if !n.is_plain() {
            n.check().map_err(|e| Error::layer(name, e.to_string()))?;
        }
        // A cell of neurons leaks with one factor. A potential that is held keeps its value under any
        // factor only if it is the 0 of a hard reset.
        let zero = n.reset == Reset::Hard && v_min <= 0.0;
        let timed = if n.without_refractory().is_plain() && (!held || !n.leaks() || zero) {
            None
        } else {
            let timed = Timed::new(n, step_us).ok_or_else(|| {
                Error::layer(
                    name,
                    "has a synaptic current, whose charge belongs to a step: give `step_us` (mean span of the training recordings / T_max)",
                )
            })?;
            Some(timed)
        };
        Ok(Self {
            shape,
            threshold: n.threshold,
            fires_at: if n.fire_at_threshold { n.threshold } else { n.threshold.next_up() },
            v_min,
            small: Small::NONE,
            mode: Mode::of(n),
            decay: (timed.is_none() && n.leaks()).then(|| Decay::new(tau, shape.channels)),
            dead_us: dead_us.filter(|_| timed.is_none()),
            holds: held && timed.is_none(),
            timed,
            reach: 0,
            lanes: Vec::new(),
            edges,
        })
    }

    /// The rule of an accumulating readout: its neurons never fire and have no limit.
    pub fn readout(shape: Shape) -> Self {
        Self {
            shape,
            threshold: f32::INFINITY,
            // Every comparison with NaN is false, so no sum fires, not even an infinite one.
            fires_at: f32::NAN,
            v_min: f32::NEG_INFINITY,
            small: Small::NONE,
            mode: Mode { multi: false, reset: Reset::Soft, equal: true, detach: false },
            decay: None,
            dead_us: None,
            holds: false,
            timed: None,
            reach: 0,
            lanes: Vec::new(),
            edges: 0..0,
        }
    }

    /// Records an edge that ends at this layer.
    pub fn add_input(&mut self, edge: &Edge) {
        if let Some(decay) = &mut self.decay {
            decay.cell = gcd(decay.cell, edge.width);
        }
        self.reach = self.reach.max(edge.footprints.iter().map(|p| p.ops() as usize).max().unwrap_or(0));
        let longest = edge.footprints.iter().map(|p| p.len as usize).max().unwrap_or(0);
        let channels = self.shape.channels;
        self.lanes.extend((self.lanes.len()..longest).map(|j| ((j % channels) as u64) << 32 | (j / channels) as u64));
    }

    /// The rank in (channel, y, x) order of the neuron at index `at` of the state.
    pub fn rank(&self, at: usize) -> usize {
        let positions = self.shape.height * self.shape.width;
        at % self.shape.channels * positions + at / self.shape.channels
    }

    /// The index in the state of the neuron with this rank.
    pub fn place(&self, rank: usize) -> usize {
        let positions = self.shape.height * self.shape.width;
        rank % positions * self.shape.channels + rank / positions
    }

    /// The state at rest; `small` for 8-bit programs, `sums` for a readout that accumulates.
    pub fn state(&self, small: bool, sums: bool) -> LayerState {
        let len = self.shape.len();
        let cells = self.decay.as_ref().map_or(0, |d| len / d.cell);
        let potentials = match (small, sums) {
            _ if self.timed.is_some() => Potentials::Timed(vec![Memory::default(); len]),
            (false, _) => Potentials::Float(Aligned::zeros(len)),
            (true, false) => Potentials::Small(Aligned::zeros(len)),
            (true, true) => Potentials::Sum(Aligned::zeros(len)),
        };
        let room = if sums { self.reach } else { self.reach + QUEUE };
        let due = if self.timed.is_some() { Due::new(len) } else { Due::default() };
        let ready_us = vec![0; if self.dead_us.is_some() { len } else { 0 }];
        LayerState { potentials, hit_us: vec![0; cells], ready_us, due, queue: Vec::with_capacity(room) }
    }

    /// Membrane potentials in (channel, y, x) order at `t_us`, in the units of the network.
    pub fn membranes(&self, state: &LayerState, t_us: u64) -> Vec<f32> {
        let Shape { channels, height, width } = self.shape;
        let factor = |at: usize| {
            let decay = self.decay.as_ref();
            decay.map_or(1.0, |d| d.factor(t_us.saturating_sub(state.hit_us[at / d.cell])))
        };
        let places = (0..channels).flat_map(|c| (0..height * width).map(move |p| p * channels + c));
        places
            .map(|at| match &state.potentials {
                Potentials::Float(v) => v[at] * factor(at),
                Potentials::Small(v) => f32::from(v[at]) / self.small.scale,
                Potentials::Sum(v) => v[at] as f32 / self.small.scale,
                Potentials::Timed(v) => self.timed.map_or(0.0, |t| t.potential(&v[at], t_us) as f32),
            })
            .collect()
    }
}

impl LayerState {
    /// Memory in use, in bytes.
    pub fn bytes(&self) -> usize {
        let potentials = match &self.potentials {
            Potentials::Float(v) => v.len() * 4,
            Potentials::Small(v) => v.len() * 2,
            Potentials::Sum(v) => v.len() * 4,
            Potentials::Timed(v) => v.capacity() * size_of::<Memory>(),
        };
        let times = (self.hit_us.capacity() + self.ready_us.capacity()) * 8;
        potentials + self.due.bytes() + times + self.queue.capacity() * size_of::<Hop>()
    }

    /// Returns to rest without freeing memory.
    pub fn reset(&mut self) {
        match &mut self.potentials {
            Potentials::Float(v) => v.fill(0.0),
            Potentials::Small(v) => v.fill(0),
            Potentials::Sum(v) => v.fill(0),
            Potentials::Timed(v) => v.fill(Memory::default()),
        }
        self.due.clear();
        self.hit_us.fill(0);
        self.ready_us.fill(0);
        self.queue.clear();
    }
}
