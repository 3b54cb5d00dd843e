//! One clocked step of a neuron, and its adjoint for back-propagation through time.
//!
//! ```text
//! I = current(x)                        the synapse's part of the state, x itself without one
//! u = λ·v + I
//! θ' = threshold()                      the adaptation's part of the state, θ without one
//! s = spikes(u, θ')
//! r = u·[s = 0]  or  u − θ'·s           hard or soft reset
//! v = max(r, v_min)
//! ```
//!
//! The resets [`SoftDelayed`](Reset::SoftDelayed) and [`SoftRepeated`](Reset::SoftRepeated) first
//! take ρ, the spikes at the potential before the step:
//!
//! ```text
//! ρ = spikes(v, θ)
//! u = λ·v + I − θ·ρ
//! r = u  or  u − θ·(s − ρ)              delayed or repeated
//! ```
//!
//! In a dead step ([`refractory`](crate::refractory)) s = 0; a held membrane keeps v. If a neuron
//! has dead steps and cannot fire by itself, then s = 0 also in a step with I = 0. In such closed
//! steps ds/du is 0, and no gradient flows through the number of remaining dead steps:
//!
//! ```text
//! closed:  g_u = g_v·[u > v_min],  g_v ← λ·g_u        held:  g_u = 0,  g_v stays
//! ```
//!
//! Adjoint: g_s is the gradient that reaches the spike from the next layer. The adjoint state holds
//! the gradients g_v, g_i, g_a of the state after step t before the update, and those of the state
//! after step t − 1 after it. d' is the surrogate at u − θ'.
//!
//! ```text
//! g_s ← g_s + β·g_a
//! g_r = g_v·[r > v_min]
//! g_s ← g_s + g_r·∂r/∂s                 ∂r/∂s = −u (hard), −θ' (soft) or −θ/λ (delayed); 0 if detached
//! g_u = g_r·∂r/∂u + g_s·d'              ∂r/∂u = [s = 0] (hard) or 1 (soft)
//! g_θ' = −g_s·d' − g_r·s·[soft]
//! g_v ← λ·g_u,   g_a ← λ_a·(g_a + g_θ'),   g_I = g_u
//! g_i ← c·g_I + g_i,   g_x = g_i,   g_i ← λ_s·g_i        without a synapse g_x = g_I
//! ```
//!
//! Sources: Du et al. (ICLR 2025) for the gradient through the reset; sinabs for the multi-spike
//! neuron and its lower limit; [`model`](crate::model) for synapse and adaptation.

use crate::lane::{Lane, Smooth, StepLane};
use crate::leak::LeakRule;
use crate::model::{Neuron, Reset, SpikeMode};
use crate::refractory::During;
use crate::surrogate::{Surrogate, derivative, integral};

/// The choices of a neuron on which the step branches. If the compiler knows them as constants, a
/// loop has no branches, because every function here is inlined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mode {
    /// Several spikes per update are possible.
    pub multi: bool,
    /// The effect of a spike on the membrane.
    pub reset: Reset,
    /// The neuron fires at u = θ.
    pub equal: bool,
    /// The gradient ignores the path through the reset.
    pub detach: bool,
}

impl Mode {
    /// The mode of the clocked LIF: single spike only above θ, hard reset, gradient through the
    /// reset.
    pub const LIF: Mode = Mode { multi: false, reset: Reset::Hard, equal: false, detach: false };

    /// The mode of `neuron`.
    #[inline(always)]
    pub fn of(neuron: &Neuron) -> Self {
        Self {
            multi: neuron.spikes == SpikeMode::Multi,
            reset: neuron.reset,
            equal: neuron.fire_at_threshold,
            detach: neuron.detach_reset,
        }
    }
}

/// The constants of a neuron at one number of steps.
#[derive(Debug, Clone, Copy)]
pub struct Constants<L = f32> {
    /// λ of one step.
    pub lambda: L,
    /// θ.
    pub theta: L,
    /// Lower limit of the membrane; −∞ if the neuron has none.
    pub v_min: L,
    /// λ_s and c of the synapse; unused without a synapse.
    pub synapse: (L, L),
    /// λ_a and β of the adaptation; unused without adaptation.
    pub adaptation: (L, L),
    /// The dead steps after a spike; `None` if the neuron has none.
    pub dead: Option<Dead>,
}

/// The dead steps after a spike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dead {
    /// Number of dead steps, k − 1, at least 1.
    pub steps: u32,
    /// Whether the membrane keeps its potential in dead steps.
    pub hold: bool,
    /// Whether the neuron fires only in steps with input, because it cannot fire by itself.
    pub needs_input: bool,
}

impl Dead {
    /// The dead steps of `neuron`, with the arguments of [`Constants::at`]; `Some(None)` if it has
    /// none, `None` if `step_us` is missing but needed.
    pub fn at(
        neuron: &Neuron,
        rule: LeakRule,
        t_max: usize,
        steps: usize,
        step_us: Option<f64>,
    ) -> Option<Option<Self>> {
        let dead = neuron.interval(rule, t_max, steps, step_us)? - 1;
        let hold = neuron.refractory.is_some_and(|r| r.during == During::Hold);
        let rest = |steps: u32| Self { steps, hold, needs_input: !neuron.fires_by_itself() };
        Some((dead > 0).then(|| rest(dead as u32)))
    }
}

impl Constants {
    /// The constants of `neuron` at this λ, if the membrane is its only state.
    pub fn new(neuron: &Neuron, lambda: f32) -> Self {
        Self::fixed(lambda, neuron.threshold, neuron.v_min.unwrap_or(f32::NEG_INFINITY))
    }

    /// The constants of `neuron` if a recording that has `t_max` steps in training is run in
    /// `steps` steps. `None` if a time constant or a period in µs needs `step_us` and it is missing
    /// ([`Leak::lambda`](crate::Leak::lambda)).
    pub fn at(neuron: &Neuron, rule: LeakRule, t_max: usize, steps: usize, step_us: Option<f64>) -> Option<Self> {
        let mut all = Self::new(neuron, neuron.lambda(rule, t_max, steps, step_us)?);
        all.dead = Dead::at(neuron, rule, t_max, steps, step_us)?;
        if let Some(leak) = neuron.synapse {
            let decay = leak.lambda(rule, t_max, steps, step_us)?;
            let trained = leak.lambda(rule, t_max, t_max, step_us)?;
            all.synapse = (decay, charge(decay, trained));
        }
        if let Some(adaptation) = neuron.adaptation {
            all.adaptation = (adaptation.leak.lambda(rule, t_max, steps, step_us)?, adaptation.increment);
        }
        Some(all)
    }

    /// Converts every constant by `lane`.
    pub fn map<L>(self, lane: impl Fn(f32) -> L) -> Constants<L> {
        Constants {
            lambda: lane(self.lambda),
            theta: lane(self.theta),
            v_min: lane(self.v_min),
            synapse: (lane(self.synapse.0), lane(self.synapse.1)),
            adaptation: (lane(self.adaptation.0), lane(self.adaptation.1)),
            dead: self.dead,
        }
    }
}

impl<L: Clone> Constants<L> {
    /// Constants λ, θ and v_min without synapse, adaptation and dead steps.
    pub fn fixed(lambda: L, theta: L, v_min: L) -> Self {
        let unread = (theta.clone(), theta.clone());
        Self { lambda, theta, v_min, synapse: unread.clone(), adaptation: unread, dead: None }
    }
}

/// c, the factor of the current that gives a spike the same charge as at the decay `trained`.
pub fn charge(decay: f32, trained: f32) -> f32 {
    if decay == trained { 1.0 } else { ((1.0 - f64::from(decay)) / (1.0 - f64::from(trained))) as f32 }
}

/// The state of a neuron between steps: the membrane, and the optional parts that the neuron has.
/// The adjoint of a state has the same type.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct State<L, I = (), A = (), R = ()> {
    /// Membrane potential after the spike.
    pub v: L,
    /// Synaptic current: [`Current`], or `()` if the neuron has no synapse.
    pub synapse: I,
    /// Amount added to the threshold: [`Raised`], or `()` if the neuron does not adapt.
    pub adaptation: A,
    /// Remaining dead steps: [`Waiting`], or `()` if the neuron has none. This part has no adjoint.
    pub refractory: R,
}

impl<L> State<L> {
    /// The state of a neuron whose only state is the membrane.
    #[inline(always)]
    pub fn membrane(v: L) -> Self {
        Self { v, synapse: (), adaptation: (), refractory: () }
    }
}

/// The synaptic current i.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Current<L>(pub L);

/// The amount a that spikes have added to the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Raised<L>(pub L);

/// The number of remaining dead steps.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Waiting<L>(pub L);

/// Determines whether a neuron may fire, and what its membrane does if it may not.
pub trait Gate<L> {
    /// Potential of this step. `u` is the potential if the neuron may fire, `v` the one before the
    /// step.
    fn potential(&self, u: L, v: &L, c: &Constants<L>) -> L;
    /// Spikes of this step. `spikes` are the spikes if the neuron may fire.
    fn spikes(&self, spikes: L, current: &L, c: &Constants<L>) -> L;
    /// Updates the remaining dead steps after the spikes of this step.
    fn after(&mut self, spikes: &L, c: &Constants<L>);
}

/// Converts an input to a current.
pub trait Synapse<L> {
    /// The current I for the input `x`.
    fn current(&mut self, x: L, c: &Constants<L>) -> L;
    /// The gradient of the input from the gradient `g` of I; `self` is the adjoint.
    fn adjoint(&mut self, g: L, c: &Constants<L>) -> L;
}

/// Determines the threshold.
pub trait Threshold<L> {
    /// The threshold θ' of this step.
    fn threshold(&self, c: &Constants<L>) -> L;
    /// Updates the threshold after the spikes of this step.
    fn after(&mut self, spikes: &L, c: &Constants<L>);
    /// Adds to the gradient `g_s` of the spikes the part that reaches them through the thresholds
    /// of later steps; `self` is the adjoint.
    fn through_spikes(&self, g_s: L, c: &Constants<L>) -> L;
    /// Moves the adjoint to the previous step; `g` returns the gradient of θ'.
    fn adjoint(&mut self, g: impl FnOnce() -> L, c: &Constants<L>);
}

impl<L> Gate<L> for () {
    #[inline(always)]
    fn potential(&self, u: L, _: &L, _: &Constants<L>) -> L {
        u
    }

    #[inline(always)]
    fn spikes(&self, spikes: L, _: &L, _: &Constants<L>) -> L {
        spikes
    }

    #[inline(always)]
    fn after(&mut self, _: &L, _: &Constants<L>) {}
}

impl<L: StepLane> Gate<L> for Waiting<L> {
    #[inline(always)]
    fn potential(&self, u: L, v: &L, c: &Constants<L>) -> L {
        match c.dead {
            Some(Dead { hold: true, .. }) => L::select(&self.0.above(&u.like(0.0)), v.clone(), u),
            _ => u,
        }
    }

    #[inline(always)]
    fn spikes(&self, spikes: L, current: &L, c: &Constants<L>) -> L {
        let Some(Dead { needs_input, .. }) = c.dead else { return spikes };
        let zero = spikes.like(0.0);
        let alive = L::select(&self.0.above(&zero), zero.clone(), spikes);
        if !needs_input {
            return alive;
        }
        let with_input = L::select(&(-current.clone()).above(&zero), alive.clone(), zero.clone());
        L::select(&current.above(&zero), alive, with_input)
    }

    #[inline(always)]
    fn after(&mut self, spikes: &L, c: &Constants<L>) {
        let Some(Dead { steps, .. }) = c.dead else { return };
        let zero = spikes.like(0.0);
        let fewer = (self.0.clone() - spikes.like(1.0)).larger(zero.clone());
        self.0 = L::select(&spikes.above(&zero), spikes.like(steps as f32), fewer);
    }
}

impl<L> Synapse<L> for () {
    #[inline(always)]
    fn current(&mut self, x: L, _: &Constants<L>) -> L {
        x
    }

    #[inline(always)]
    fn adjoint(&mut self, g: L, _: &Constants<L>) -> L {
        g
    }
}

impl<L: StepLane> Synapse<L> for Current<L> {
    #[inline(always)]
    fn current(&mut self, x: L, c: &Constants<L>) -> L {
        let (decay, charge) = c.synapse.clone();
        self.0 = decay * self.0.clone() + x;
        charge * self.0.clone()
    }

    #[inline(always)]
    fn adjoint(&mut self, g: L, c: &Constants<L>) -> L {
        let (decay, charge) = c.synapse.clone();
        let g_i = charge * g + self.0.clone();
        self.0 = decay * g_i.clone();
        g_i
    }
}

impl<L: StepLane> Threshold<L> for () {
    #[inline(always)]
    fn threshold(&self, c: &Constants<L>) -> L {
        c.theta.clone()
    }

    #[inline(always)]
    fn after(&mut self, _: &L, _: &Constants<L>) {}

    #[inline(always)]
    fn through_spikes(&self, g_s: L, _: &Constants<L>) -> L {
        g_s
    }

    #[inline(always)]
    fn adjoint(&mut self, _: impl FnOnce() -> L, _: &Constants<L>) {}
}

impl<L: StepLane> Threshold<L> for Raised<L> {
    #[inline(always)]
    fn threshold(&self, c: &Constants<L>) -> L {
        c.theta.clone() + c.adaptation.0.clone() * self.0.clone()
    }

    #[inline(always)]
    fn after(&mut self, spikes: &L, c: &Constants<L>) {
        let (decay, increment) = c.adaptation.clone();
        self.0 = decay * self.0.clone() + increment * spikes.clone();
    }

    #[inline(always)]
    fn through_spikes(&self, g_s: L, c: &Constants<L>) -> L {
        g_s + c.adaptation.1.clone() * self.0.clone()
    }

    #[inline(always)]
    fn adjoint(&mut self, g: impl FnOnce() -> L, c: &Constants<L>) {
        self.0 = c.adaptation.0.clone() * (self.0.clone() + g());
    }
}

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fired<L> {
    /// Number of spikes.
    pub spikes: L,
    /// Potential u before the spike.
    pub u: L,
}

/// Number of spikes at the potential `u` and the threshold `theta`.
#[inline(always)]
pub fn spikes<L: StepLane>(mode: Mode, u: &L, theta: &L) -> L {
    let fires = if mode.equal { u.at_least(theta) } else { u.above(theta) };
    let count = if mode.multi { (u.clone() / theta.clone()).truncated() } else { u.like(1.0) };
    L::select(&fires, count, u.like(0.0))
}

/// Potential after the reset of this step's spikes and before the lower limit.
#[inline(always)]
pub fn reset<L: StepLane>(mode: Mode, u: L, s: &L, theta: &L) -> L {
    match mode.reset {
        Reset::Hard => u.zero_where(s),
        Reset::Soft | Reset::SoftRepeated => u - theta.clone() * s.clone(),
        Reset::SoftDelayed => u,
    }
}

/// Potential after the reset and the lower limit.
#[inline(always)]
pub fn settled<L: StepLane>(mode: Mode, u: L, s: &L, theta: &L, v_min: &L) -> L {
    reset(mode, u, s, theta).larger(v_min.clone())
}

/// Potential u = λ·v + I before the spike.
#[inline(always)]
pub fn charged<L: Lane>(v: L, lambda: &L, current: L) -> L {
    lambda.clone() * v + current
}

/// Computes one step with the input `x`; the spikes have no gradient.
#[inline(always)]
pub fn step<L: StepLane, I: Synapse<L>, A: Threshold<L>, R: Gate<L>>(
    mode: Mode,
    c: &Constants<L>,
    state: &mut State<L, I, A, R>,
    x: L,
) -> Fired<L> {
    stepped(mode, c, state, x, |s, _| s)
}

/// Computes one step whose spikes have the surrogate's gradient, for lanes that record a graph.
#[inline(always)]
pub fn step_recorded<L: Smooth, I: Synapse<L>, A: Threshold<L>, R: Gate<L>>(
    mode: Mode,
    surrogate: Surrogate,
    theta: f32,
    c: &Constants<L>,
    state: &mut State<L, I, A, R>,
    x: L,
) -> Fired<L> {
    stepped(mode, c, state, x, |s, d| L::spikes_as(s, || integral(surrogate, d, theta)))
}

/// Computes one step of a plain neuron without dead steps: (spikes, u, potential after the step).
/// For code that need not be fast.
pub fn plain_step(neuron: &Neuron, lambda: f32, v: f32, current: f32) -> (f32, f32, f32) {
    let mut state = State::membrane(v);
    let fired = step(Mode::of(neuron), &Constants::new(neuron, lambda), &mut state, current);
    (fired.spikes, fired.u, state.v)
}

#[inline(always)]
fn stepped<L: StepLane, I: Synapse<L>, A: Threshold<L>, R: Gate<L>>(
    mode: Mode,
    c: &Constants<L>,
    state: &mut State<L, I, A, R>,
    x: L,
    record: impl Fn(L, L) -> L,
) -> Fired<L> {
    let current = state.synapse.current(x, c);
    let u = charged(state.v.clone(), &c.lambda, current.clone());
    let u = state.refractory.potential(u, &state.v, c);
    let theta = state.adaptation.threshold(c);
    let recorded = |v: &L| record(spikes(mode, v, &theta), v.clone() - theta.clone());
    // θ·ρ, if the reset takes it off before the spikes.
    let before = match mode.reset {
        Reset::Hard | Reset::Soft => None,
        Reset::SoftDelayed if !mode.detach => Some(theta.clone() * recorded(&state.v)),
        Reset::SoftDelayed | Reset::SoftRepeated => Some(theta.clone() * spikes(mode, &state.v, &theta).detach()),
    };
    let u = match &before {
        Some(before) => u - before.clone(),
        None => u,
    };
    let s = state.refractory.spikes(recorded(&u), &current, c);
    let through = if mode.detach { s.clone().detach() } else { s.clone() };
    let left = match before {
        Some(before) if mode.reset == Reset::SoftRepeated => u.clone() + before,
        _ => u.clone(),
    };
    state.v = settled(mode, left, &through, &theta, &c.v_min);
    state.adaptation.after(&s, c);
    state.refractory.after(&s, c);
    Fired { spikes: s, u }
}

/// Gradient of the input of a step in which the neuron may fire, from the gradient `g_s` of its
/// spikes. `u` and `theta` are the potential and the threshold of the step, `width` is the neuron's
/// own θ.
#[inline(always)]
pub fn adjoint<L: Smooth, I: Synapse<L>, A: Threshold<L>, R>(
    mode: Mode,
    surrogate: Surrogate,
    c: &Constants<L>,
    adjoint: &mut State<L, I, A, R>,
    (u, theta): (&L, &L),
    g_s: L,
    width: f32,
) -> L {
    let slope = derivative(surrogate, u.clone() - theta.clone(), width);
    adjoint_of_slope(mode, c, adjoint, (u, theta), slope, g_s)
}

/// [`adjoint`] with a given value of the surrogate, `slope`.
#[inline(always)]
pub fn adjoint_of_slope<L: StepLane, I: Synapse<L>, A: Threshold<L>, R>(
    mode: Mode,
    c: &Constants<L>,
    adjoint: &mut State<L, I, A, R>,
    (u, theta): (&L, &L),
    slope: L,
    g_s: L,
) -> L {
    let zero = u.like(0.0);
    let s = spikes(mode, u, theta);
    let r = reset(mode, u.clone(), &s, theta);
    let g_s = adjoint.adaptation.through_spikes(g_s, c);
    let g_r = L::select(&r.above(&c.v_min), adjoint.v.clone(), zero.clone());
    let (dr_du, dr_ds) = match mode.reset {
        Reset::Hard => (L::select(&s.above(&zero), zero.clone(), u.like(1.0)), -u.clone()),
        Reset::Soft | Reset::SoftRepeated => (u.like(1.0), -theta.clone()),
        // The next step subtracts θ from λ·u.
        Reset::SoftDelayed => (u.like(1.0), -(theta.clone() / c.lambda.clone())),
    };
    let through_reset = if mode.detach { zero.clone() } else { g_r.clone() * dr_ds };
    let through_spike = (g_s + through_reset) * slope;
    let g_u = g_r.clone() * dr_du + through_spike.clone();
    adjoint.adaptation.adjoint(
        || {
            let soft = if mode.reset == Reset::Hard { zero } else { g_r * s };
            -through_spike - soft
        },
        c,
    );
    adjoint.v = c.lambda.clone() * g_u.clone();
    adjoint.synapse.adjoint(g_u, c)
}

/// Gradient of the input of a step in which the neuron may not fire; `held` says whether its
/// membrane keeps its potential.
#[inline(always)]
pub fn adjoint_closed<L: StepLane, I: Synapse<L>, A: Threshold<L>, R>(
    held: bool,
    c: &Constants<L>,
    adjoint: &mut State<L, I, A, R>,
    u: &L,
) -> L {
    let zero = u.like(0.0);
    adjoint.adaptation.adjoint(|| zero.clone(), c);
    let kept = L::select(&u.above(&c.v_min), adjoint.v.clone(), zero.clone());
    let g_u = if held {
        adjoint.v = kept;
        zero
    } else {
        adjoint.v = c.lambda.clone() * kept.clone();
        kept
    };
    adjoint.synapse.adjoint(g_u, c)
}

/// The state of any neuron, for code that learns only at run time which parts the neuron has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnyState<L>(pub AnyParts<L>);

/// A state whose parts are optional.
pub type AnyParts<L> = State<L, Option<Current<L>>, Option<Raised<L>>, Option<Waiting<L>>>;

impl<L: Clone> AnyState<L> {
    /// The state at rest, with `zero` in every variable that the neuron has.
    pub fn at_rest(neuron: &Neuron, zero: L) -> Self {
        let synapse = neuron.synapse.map(|_| Current(zero.clone()));
        let adaptation = neuron.adaptation.map(|_| Raised(zero.clone()));
        let refractory = neuron.refractory.map(|_| Waiting(zero.clone()));
        Self(State { v: zero, synapse, adaptation, refractory })
    }
}

impl<L: StepLane> Gate<L> for Option<Waiting<L>> {
    #[inline(always)]
    fn potential(&self, u: L, v: &L, c: &Constants<L>) -> L {
        match self {
            Some(part) => part.potential(u, v, c),
            None => u,
        }
    }

    #[inline(always)]
    fn spikes(&self, spikes: L, current: &L, c: &Constants<L>) -> L {
        match self {
            Some(part) => part.spikes(spikes, current, c),
            None => spikes,
        }
    }

    #[inline(always)]
    fn after(&mut self, spikes: &L, c: &Constants<L>) {
        if let Some(part) = self {
            part.after(spikes, c);
        }
    }
}

impl<L: StepLane> Synapse<L> for Option<Current<L>> {
    #[inline(always)]
    fn current(&mut self, x: L, c: &Constants<L>) -> L {
        match self {
            Some(part) => part.current(x, c),
            None => x,
        }
    }

    #[inline(always)]
    fn adjoint(&mut self, g: L, c: &Constants<L>) -> L {
        match self {
            Some(part) => part.adjoint(g, c),
            None => g,
        }
    }
}

impl<L: StepLane> Threshold<L> for Option<Raised<L>> {
    #[inline(always)]
    fn threshold(&self, c: &Constants<L>) -> L {
        match self {
            Some(part) => part.threshold(c),
            None => ().threshold(c),
        }
    }

    #[inline(always)]
    fn after(&mut self, spikes: &L, c: &Constants<L>) {
        if let Some(part) = self {
            part.after(spikes, c);
        }
    }

    #[inline(always)]
    fn through_spikes(&self, g_s: L, c: &Constants<L>) -> L {
        match self {
            Some(part) => part.through_spikes(g_s, c),
            None => g_s,
        }
    }

    #[inline(always)]
    fn adjoint(&mut self, g: impl FnOnce() -> L, c: &Constants<L>) {
        if let Some(part) = self {
            part.adjoint(g, c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Leak, Refractory};
    use proptest::prelude::*;

    fn one(neuron: &Neuron, lambda: f32, v: f32, current: f32) -> (f32, f32) {
        let (spikes, _, after) = plain_step(neuron, lambda, v, current);
        (spikes, after)
    }

    #[test]
    fn a_current_of_3_2_makes_a_multi_spike_neuron_fire_three_times() {
        let (s, v) = one(&Neuron::if_multi(), 1.0, 0.0, 3.2);
        assert_eq!(s, 3.0);
        assert!((v - 0.2).abs() < 1e-6);
    }

    #[test]
    fn equality_fires_only_where_the_description_says_so() {
        assert_eq!(one(&Neuron::lif(), 0.5, 0.0, 1.0).0, 0.0);
        assert_eq!(one(&Neuron::if_multi(), 1.0, 0.0, 1.0).0, 1.0);
    }

    #[test]
    fn the_lower_limit_holds_after_any_current() {
        assert_eq!(one(&Neuron::if_multi(), 1.0, 0.0, -7.0).1, -1.0);
    }

    fn constants(neuron: &Neuron, t: usize) -> Constants<f64> {
        Constants::at(neuron, LeakRule::Time, 10, t, Some(1000.0)).unwrap().map(f64::from)
    }

    #[test]
    fn a_synapse_brings_the_same_charge_at_every_t() {
        let neuron = Neuron { leak: Leak::None, threshold: 1e9, ..Neuron::cuba_lif() };
        for t in [1, 3, 10, 77, 1000] {
            let c = constants(&neuron, t);
            let mut state = AnyState::at_rest(&neuron, 0.0f64);
            step(Mode::of(&neuron), &c, &mut state.0, 0.75);
            for _ in 0..60 * t {
                step(Mode::of(&neuron), &c, &mut state.0, 0.0);
            }
            // λ_s(T_max) = ½, so the geometric series of the training steps sums to 2.
            assert!((state.0.v - 1.5).abs() < 1e-5, "T = {t}: {}", state.0.v);
        }
    }

    /// Neurons whose adjoint is checked: every model, both resets, limit, detached reset, dead
    /// steps.
    fn neurons() -> Vec<Neuron> {
        let mut all: Vec<Neuron> = Neuron::KNOWN.map(|k| k.1).to_vec();
        let both = Neuron { adaptation: Neuron::adaptive_lif().adaptation, ..Neuron::cuba_lif() };
        all.push(both);
        for n in all.clone() {
            all.push(Neuron { reset: Reset::Soft, ..n });
            all.push(Neuron { detach_reset: true, surrogate: Surrogate::Sigmoid { alpha: 3.0 }, ..n });
            if n.synapse.is_none() {
                all.push(Neuron { v_min: Some(-0.3), ..n });
            }
            if n.adaptation.is_none() {
                all.push(Neuron { reset: Reset::SoftDelayed, ..n });
                all.push(Neuron { reset: Reset::SoftDelayed, detach_reset: true, ..n });
                all.push(Neuron { reset: Reset::SoftRepeated, v_min: None, ..n });
            }
        }
        let may_rest = |n: &Neuron| n.spikes == SpikeMode::Single && n.reset.is_immediate();
        let single: Vec<Neuron> = all.iter().copied().filter(may_rest).collect();
        for during in [During::Integrate, During::Hold] {
            let refractory = Some(Refractory { during, ..Refractory::steps(1.5) });
            all.extend(single.iter().map(|n| Neuron { refractory, ..*n }));
        }
        all
    }

    /// A dual number: a value and its derivative along one direction. It differentiates the same
    /// step in forward mode, with the surrogate as the slope of a spike.
    #[derive(Debug, Clone, Copy)]
    struct Dual(f64, f64);

    impl std::ops::Add for Dual {
        type Output = Self;
        fn add(self, o: Self) -> Self {
            Dual(self.0 + o.0, self.1 + o.1)
        }
    }
    impl std::ops::Sub for Dual {
        type Output = Self;
        fn sub(self, o: Self) -> Self {
            Dual(self.0 - o.0, self.1 - o.1)
        }
    }
    impl std::ops::Mul for Dual {
        type Output = Self;
        fn mul(self, o: Self) -> Self {
            Dual(self.0 * o.0, self.1 * o.0 + self.0 * o.1)
        }
    }
    impl std::ops::Div for Dual {
        type Output = Self;
        fn div(self, o: Self) -> Self {
            Dual(self.0 / o.0, (self.1 - self.0 / o.0 * o.1) / o.0)
        }
    }
    impl std::ops::Neg for Dual {
        type Output = Self;
        fn neg(self) -> Self {
            Dual(-self.0, -self.1)
        }
    }
    impl Lane for Dual {
        type Mask = bool;
        fn at_least(&self, other: &Self) -> bool {
            self.0 >= other.0
        }
        fn larger(self, other: Self) -> Self {
            if self.0 > other.0 { self } else { other }
        }
    }
    impl StepLane for Dual {
        fn like(&self, value: f32) -> Self {
            Dual(value.into(), 0.0)
        }
        fn above(&self, other: &Self) -> bool {
            self.0 > other.0
        }
        fn select(mask: &bool, yes: Self, no: Self) -> Self {
            if *mask { yes } else { no }
        }
        fn truncated(self) -> Self {
            Dual(self.0.trunc(), 0.0)
        }
        fn detach(self) -> Self {
            Dual(self.0, 0.0)
        }
        fn spikes_as(spikes: Self, integral: impl FnOnce() -> Self) -> Self {
            Dual(spikes.0, integral().1)
        }
        fn zero_where(self, spikes: &Self) -> Self {
            let kept = if spikes.0 > 0.0 { Dual(0.0, 0.0) } else { self };
            Dual(kept.0, kept.1 - self.0 * spikes.1)
        }
    }
    impl Smooth for Dual {
        fn magnitude(self) -> Self {
            Dual(self.0.abs(), self.1 * self.0.signum())
        }
        fn exponential(self) -> Self {
            Dual(self.0.exp(), self.1 * self.0.exp())
        }
        fn arctangent(self) -> Self {
            Dual(self.0.atan(), self.1 / (1.0 + self.0 * self.0))
        }
        fn error_function(self) -> Self {
            let slope = 2.0 / std::f64::consts::PI.sqrt() * (-self.0 * self.0).exp();
            Dual(libm::erf(self.0), self.1 * slope)
        }
    }

    /// Gradient of Σ_t w[t]·s[t] with respect to every input, computed by the adjoint.
    fn backward(neuron: &Neuron, c: &Constants<f64>, x: &[f64], w: &[f64]) -> Vec<f64> {
        let mode = Mode::of(neuron);
        let mut state = AnyState::at_rest(neuron, 0.0);
        let mut seen = Vec::new();
        for x in x {
            let theta = state.0.adaptation.threshold(c);
            let dead = state.0.refractory.is_some_and(|r| r.0 > 0.0);
            let closed = dead || c.dead.is_some_and(|d| d.needs_input && *x == 0.0);
            let held = dead && c.dead.is_some_and(|d| d.hold);
            seen.push((step(mode, c, &mut state.0, *x).u, theta, closed, held));
        }
        let mut adjoint_state = AnyState::at_rest(neuron, 0.0);
        let mut g = vec![0.0; x.len()];
        for t in (0..x.len()).rev() {
            let (u, theta, closed, held) = &seen[t];
            let back = &mut adjoint_state.0;
            g[t] = match closed {
                true => adjoint_closed(*held, c, back, u),
                false => adjoint(mode, neuron.surrogate, c, back, (u, theta), w[t], neuron.threshold),
            };
        }
        g
    }

    proptest! {
        #[test]
        fn the_adjoint_is_the_derivative_of_the_recorded_step(
            x in prop::collection::vec(prop_oneof![4 => -0.8f64..1.6, 1 => Just(0.0)], 1..12), w in prop::collection::vec(-1.0f64..1.0, 12), t in 1usize..40,
        ) {
            for neuron in neurons() {
                let c = constants(&neuron, t);
                let g = backward(&neuron, &c, &x, &w);
                let dual = Constants {
                    lambda: Dual(c.lambda, 0.0),
                    theta: Dual(c.theta, 0.0),
                    v_min: Dual(c.v_min, 0.0),
                    synapse: (Dual(c.synapse.0, 0.0), Dual(c.synapse.1, 0.0)),
                    adaptation: (Dual(c.adaptation.0, 0.0), Dual(c.adaptation.1, 0.0)),
                    dead: c.dead,
                };
                for (k, of_k) in g.iter().enumerate() {
                    let mut state = AnyState::at_rest(&neuron, Dual(0.0, 0.0));
                    let mut sum = 0.0;
                    for (j, (x, w)) in x.iter().zip(&w).enumerate() {
                        let x = Dual(*x, f64::from(u8::from(j == k)));
                        let mode = Mode::of(&neuron);
                        let fired = step_recorded(mode, neuron.surrogate, neuron.threshold, &dual, &mut state.0, x);
                        sum += fired.spikes.1 * w;
                    }
                    prop_assert!((sum - of_k).abs() <= 1e-9 * (1.0 + sum.abs()), "{neuron:?}, x[{k}]: {sum} {of_k}");
                }
            }
        }

        /// If no neuron fires and no limit applies, the membrane is a smooth function of its
        /// inputs.
        #[test]
        fn without_a_spike_the_potential_has_the_finite_difference_of_its_adjoint(
            x in prop::collection::vec(-0.3f64..0.3, 2..10), t in 1usize..40,
        ) {
            for neuron in [Neuron::lif(), Neuron::cuba_lif(), Neuron::adaptive_lif()] {
                let neuron = Neuron { threshold: 1e6, surrogate: Surrogate::Rectangle { width: 1e9 }, ..neuron };
                let c = constants(&neuron, t);
                let last = |x: &[f64]| {
                    let mut state = AnyState::at_rest(&neuron, 0.0);
                    x.iter().map(|x| step(Mode::of(&neuron), &c, &mut state.0, *x).u).last().unwrap()
                };
                // The rectangle's slope is 1e-9 everywhere, so a weight of 1e9 on the last spike
                // yields du/dx.
                let mut w = vec![0.0; x.len()];
                w[x.len() - 1] = 1e9;
                let g = backward(&neuron, &c, &x, &w);
                for (k, of_k) in g.iter().enumerate() {
                    let (mut up, mut down) = (x.clone(), x.clone());
                    up[k] += 1e-4;
                    down[k] -= 1e-4;
                    let difference = (last(&up) - last(&down)) / 2e-4;
                    prop_assert!((difference - of_k).abs() < 1e-6, "{neuron:?}, x[{k}]: {difference} {of_k}");
                }
            }
        }
    }
}
