//! A layer of spiking neurons driven by events.
//!
//! Every neuron that an event at time t reaches, with its weight w:
//!
//! ```text
//! u = v·exp(−(t − t_last)/τ) + w              t_last: when an event last reached it; no leak: τ = ∞
//! single spike:  n = 1 if u > θ (u ≥ θ where `fire_at_threshold`), else 0
//! multi spike:   n = ⌊u/θ⌋ where u reaches θ so, else 0
//! soft reset:    v = u − n·θ          hard reset:  v = 0 where n > 0, else u
//! lower limit:   v = max(v, v_min)
//! ```
//!
//! Source: Du et al., ICLR 2025 (arXiv 2503.17394), and sinabs' IAF, with one event a
//! step. Potentials are f32, as in training; the decay factor is computed in f64 and rounded once.
//! State lies as `[y][x][c]`, so that one event adds contiguous weights to contiguous state.
//! A neuron that no event reaches is left alone: it does not decay, fire or meet its limit.

use crate::edge::Edge;
use crate::error::{Error, Result};
use std::ops::Range;
use tickless_net::{Neuron, Reset, Shape, SpikeMode};

/// What a layer's neurons do, and where their spikes go.
#[derive(Debug)]
pub(crate) struct Rule {
    pub shape: Shape,
    pub threshold: f32,
    /// The smallest potential that fires: θ, or the next float above it where equality does not.
    fires_at: f32,
    /// Lower limit, −∞ for none.
    v_min: f32,
    multi: bool,
    hard: bool,
    /// Time constant in µs; `None` without a leak.
    pub tau_us: Option<f64>,
    /// Channels that share one time of the last hit, because every edge reaches them together.
    cell: usize,
    /// Most neurons that one event reaches.
    reach: usize,
    /// The edges that leave this layer.
    pub edges: Range<usize>,
}

/// A neuron that fired: its place, ordered by (channel, y, x), and its number of spikes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fired {
    place: u64,
    pub spikes: u32,
}

impl Fired {
    fn new(c: usize, y: usize, x: usize, spikes: u32) -> Self {
        Self { place: (c as u64) << 32 | (y as u64) << 16 | x as u64, spikes }
    }

    /// Channel, row, column.
    #[inline]
    pub fn place(self) -> (usize, usize, usize) {
        ((self.place >> 32) as usize, (self.place >> 16 & 0xffff) as usize, (self.place & 0xffff) as usize)
    }
}

/// What a layer's neurons remember.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// Membrane potentials, `[y][x][c]`.
    v: Vec<f32>,
    /// When an event last reached each cell, in µs; empty without a leak.
    hit_us: Vec<u64>,
    /// Who fired for the event that came last, in order.
    pub fired: Vec<Fired>,
}

impl Rule {
    /// The rule of one layer.
    ///
    /// # Errors
    /// If a number of the description makes no neuron, or a leak per step meets no step.
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
        if n.leaks() && !(tau > 0.0 && tau.is_finite()) {
            return Err(Error::layer(
                name,
                format!("time constant {tau} µs is not a positive number; check the leak and `step_us`"),
            ));
        }
        Ok(Self {
            shape,
            threshold: n.threshold,
            fires_at: if n.fire_at_threshold { n.threshold } else { n.threshold.next_up() },
            v_min,
            multi: n.spikes == SpikeMode::Multi,
            hard: n.reset == Reset::Hard,
            tau_us: n.leaks().then_some(tau),
            cell: shape.channels,
            reach: 0,
            edges,
        })
    }

    /// Takes notice of an edge that ends here.
    pub fn hear(&mut self, edge: &Edge) {
        self.cell = gcd(self.cell, edge.width);
        let longest = |spans: &[crate::edge::Span]| spans.iter().map(|s| (s.hi - s.lo) as usize).max().unwrap_or(0);
        self.reach = self.reach.max(longest(&edge.rows) * longest(&edge.cols) * edge.width);
    }

    /// State at rest.
    pub fn state(&self) -> State {
        let cells = if self.tau_us.is_some() { self.shape.len() / self.cell } else { 0 };
        State { v: vec![0.0; self.shape.len()], hit_us: vec![0; cells], fired: Vec::with_capacity(self.reach) }
    }

    /// Adds the weights of one event at (c, y, x) of the edge's source; who fires is in
    /// [`State::fired`] afterwards, in (channel, y, x) order.
    pub fn integrate(&self, state: &mut State, edge: &Edge, table: &[f32], event: (usize, usize, usize), t_us: u64) {
        state.fired.clear();
        let (channels, width) = (self.shape.channels, edge.target_width);
        let State { v, hit_us, fired } = state;
        edge.for_each_segment(table, event, |y, x, first, weights| {
            let at = (y * width + x) * channels + first;
            let v = &mut v[at..at + weights.len()];
            if let Some(tau) = self.tau_us {
                self.decay(v, &mut hit_us[at / self.cell..], tau, t_us);
            }
            if self.add(v, weights) {
                self.fire(v, (first, y, x), fired);
            }
        });
        if fired.len() > 1 {
            fired.sort_unstable_by_key(|f| f.place);
        }
    }

    /// Lazy decay of a segment up to now.
    #[inline]
    fn decay(&self, v: &mut [f32], hit_us: &mut [u64], tau: f64, t_us: u64) {
        for (v, hit) in v.chunks_exact_mut(self.cell).zip(hit_us) {
            if *hit != t_us {
                let factor = decay(t_us - *hit, tau);
                v.iter_mut().for_each(|v| *v *= factor);
                *hit = t_us;
            }
        }
    }

    /// v += w with the lower limit; whether any neuron fires. One pass that needs no branches.
    #[inline]
    fn add(&self, v: &mut [f32], weights: &[f32]) -> bool {
        let (fires_at, v_min) = (self.fires_at, self.v_min);
        let mut any = 0u32;
        for (v, w) in v.iter_mut().zip(weights) {
            let u = *v + w;
            any |= u32::from(u >= fires_at);
            // v_min < θ, so a neuron that will fire keeps its u here.
            *v = if u < v_min { v_min } else { u };
        }
        any != 0
    }

    /// Fires whoever of a segment is above the threshold.
    fn fire(&self, v: &mut [f32], (first, y, x): (usize, usize, usize), fired: &mut Vec<Fired>) {
        for (c, v) in v.iter_mut().enumerate() {
            if *v >= self.fires_at {
                let n = if self.multi { (*v / self.threshold).trunc() } else { 1.0 };
                let reset = if self.hard { 0.0 } else { *v - n * self.threshold };
                *v = reset.max(self.v_min);
                fired.push(Fired::new(first + c, y, x, n as u32));
            }
        }
    }

    /// Membrane potentials in (channel, y, x) order, decayed to `t_us`.
    pub fn membranes(&self, state: &State, t_us: u64) -> Vec<f32> {
        let Shape { channels, height, width } = self.shape;
        let mut out = Vec::with_capacity(self.shape.len());
        for c in 0..channels {
            for at in (0..height * width).map(|p| p * channels + c) {
                let factor =
                    self.tau_us.map_or(1.0, |tau| decay(t_us.saturating_sub(state.hit_us[at / self.cell]), tau));
                out.push(state.v[at] * factor);
            }
        }
        out
    }
}

impl State {
    /// Back to rest, keeping the memory.
    pub fn reset(&mut self) {
        self.v.fill(0.0);
        self.hit_us.fill(0);
        self.fired.clear();
    }
}

/// exp(−Δt/τ), in f64, rounded to f32 once.
#[inline]
fn decay(dt_us: u64, tau_us: f64) -> f32 {
    (-(dt_us as f64) / tau_us).exp() as f32
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
