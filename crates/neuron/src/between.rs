//! The neuron without a clock: exact decay between events, and when it fires by itself.
//!
//! With time constants τ, τ_s and τ_a of membrane, synaptic current and adaptation, between events
//!
//! ```text
//! di/dt = −i/τ_s        da/dt = −a/τ_a        dv/dt = −v/τ + κ·i/τ_s
//! v(t) = v₀·E + κ·i₀·(E_s − E)·τ/(τ_s − τ)       E = e^(−t/τ),  E_s = e^(−t/τ_s)
//! ```
//!
//! κ = 1/(1 − λ_s), λ_s the synapse's decay of one step at T_max: one input spike brings the
//! charge that it brings in a clocked run ([`charge`](crate::step::charge)). An input spike of
//! weight w adds w to i, or to v where the neuron has no synapse. A spike and its reset are those
//! of [`crate::step::step`].
//!
//! A neuron fires by itself where its current drives v through the threshold, or where the
//! threshold falls below v. Times are whole µs, so it fires at the first whole µs at which v
//! reaches the threshold ([`Timed::due`]). Where a single-spike neuron without a synapse stays
//! above the threshold after a soft reset, it fires again at the next input, as a plain neuron
//! does.
//!
//! Equal time constants τ_s = τ have another solution, t·e^(−t/τ); τ_s is then moved by a
//! millionth, which is less than what f32 leaves of a decay per step.

use crate::first_root::{Term, first_rise};
use crate::lane::Lane;
use crate::model::{LeakRule, Neuron};
use crate::step::{Constants, Mode, Raised, State, Threshold, charged, step};

/// Time constants behind which nothing is left of a variable.
const GONE: f64 = 60.0;

/// The smallest relative difference of the rates of membrane and current.
const APART: f64 = 1e-6;

/// A neuron's constants in time. Rates are 1/τ in 1/µs; 0 where nothing decays.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    mode: Mode,
    /// Decay is computed apart, so that λ and λ_a are 1.
    constants: Constants<f64>,
    membrane: f64,
    synapse: Option<Charge>,
    adaptation: f64,
}

/// How a current charges the membrane.
#[derive(Debug, Clone, Copy)]
struct Charge {
    rate: f64,
    /// κ·(1/τ_s)/(1/τ − 1/τ_s).
    gain: f64,
    /// κ.
    total: f64,
}

/// What one neuron remembers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Memory {
    /// Membrane and adaptation as they were at `at_us`.
    state: State<f64, (), Raised<f64>>,
    /// Synaptic current.
    current: f64,
    /// When they were, in µs.
    at_us: u64,
}

impl Timed {
    /// Of this neuron, with steps of `step_us` µs at T_max; `None` where a decay per step, or a
    /// synapse, meets no `step_us`. A learned leak counts with its starting value.
    pub fn new(neuron: &Neuron, step_us: Option<f64>) -> Option<Self> {
        let rate = |tau: f64| 1.0 / tau;
        let membrane = rate(neuron.tau_us(step_us)?);
        let synapse = match neuron.synapse {
            None => None,
            Some(leak) => {
                let own = rate(leak.tau_us(step_us)?);
                let near = (own - membrane).abs() < APART * membrane;
                let rate = if near { membrane * (1.0 + APART) } else { own };
                let decay = leak.lambda(LeakRule::Step, 1, 1, step_us)?;
                let total = 1.0 / (1.0 - f64::from(decay));
                Some(Charge { rate, gain: total * rate / (membrane - rate), total })
            }
        };
        let (adaptation, increment) = match neuron.adaptation {
            None => (0.0, 0.0),
            Some(a) => (rate(a.leak.tau_us(step_us)?), a.increment),
        };
        let v_min = neuron.v_min.map_or(f64::NEG_INFINITY, f64::from);
        let mut constants = Constants::fixed(1.0, f64::from(neuron.threshold), v_min);
        constants.adaptation = (1.0, increment.into());
        Some(Self { mode: Mode::of(neuron), constants, membrane, synapse, adaptation })
    }

    /// Decays a neuron to time `t_us`, which must not lie before its own.
    pub fn advance(&self, memory: &mut Memory, t_us: u64) {
        let dt = t_us.saturating_sub(memory.at_us) as f64;
        memory.at_us = t_us;
        if dt == 0.0 {
            return;
        }
        let left = (-self.membrane * dt).exp();
        memory.state.v *= left;
        if let Some(Charge { rate, gain, .. }) = self.synapse {
            let current = (-rate * dt).exp();
            memory.state.v += gain * memory.current * (current - left);
            memory.current *= current;
        }
        memory.state.adaptation.0 *= (-self.adaptation * dt).exp();
    }

    /// An input of weight `w` at `t_us`; gives the spikes that it causes at once.
    pub fn receive(&self, memory: &mut Memory, t_us: u64, w: f32) -> u32 {
        self.advance(memory, t_us);
        if self.synapse.is_some() {
            memory.current += f64::from(w);
            return 0;
        }
        step(self.mode, &self.constants, &mut memory.state, w.into()).spikes as u32
    }

    /// Lets the neuron fire at `t_us` if its potential reaches the threshold then; gives how often.
    pub fn fire(&self, memory: &mut Memory, t_us: u64) -> u32 {
        self.advance(memory, t_us);
        step(self.mode, &self.constants, &mut memory.state, 0.0).spikes as u32
    }

    /// The membrane potential at `t_us` if the neuron does not fire until then; a time that has
    /// passed counts as the neuron's own.
    pub fn potential(&self, memory: &Memory, t_us: u64) -> f64 {
        let mut later = *memory;
        self.advance(&mut later, t_us.max(memory.at_us));
        later.state.v
    }

    /// v − θ' of a neuron at its own time.
    fn excess(&self, memory: &Memory) -> f64 {
        memory.state.v - memory.state.adaptation.threshold(&self.constants)
    }

    fn reaches(&self, memory: &Memory) -> bool {
        let excess = self.excess(memory);
        if self.mode.equal { excess >= 0.0 } else { excess > 0.0 }
    }

    /// The most that the membrane reaches from now on, or a little more.
    fn peak(&self, v: f64, current: f64) -> f64 {
        let Some(Charge { rate, gain, total }) = self.synapse else { return v };
        let rough = v.max(0.0) + (total * current).max(0.0);
        if self.membrane == 0.0 || rough < self.constants.theta {
            return rough;
        }
        // v(t) = a·e^(−t/τ) + b·e^(−t/τ_s) turns once, where a/τ·e^(−t/τ) = −b/τ_s·e^(−t/τ_s).
        let (a, b) = (v - gain * current, gain * current);
        let turn = (-a * self.membrane / (b * rate)).ln() / (self.membrane - rate);
        if turn > 0.0 {
            let most = a * (-self.membrane * turn).exp() + b * (-rate * turn).exp();
            most.max(v) * (1.0 + 1e-9)
        } else if turn <= 0.0 || b == 0.0 {
            v
        } else {
            // The logarithm of a negative number: the membrane never turns.
            rough
        }
    }

    /// The first whole µs after the neuron's own time at which it fires without an input; `None`
    /// if it never does.
    pub fn due(&self, memory: &Memory) -> Option<u64> {
        let State { v, adaptation: Raised(raised), .. } = memory.state;
        let theta = self.constants.theta;
        // Most neurons stay below even the threshold at rest.
        if self.peak(v, memory.current) < theta {
            return None;
        }
        let at = |us: u64| {
            let mut later = *memory;
            self.advance(&mut later, memory.at_us.saturating_add(us));
            self.reaches(&later)
        };
        if self.reaches(memory) {
            return (self.synapse.is_some() && at(1)).then(|| memory.at_us.saturating_add(1));
        }
        let mut terms: [Term; 4] = [(-theta, 0.0), (v, self.membrane), (0.0, 0.0), (0.0, 0.0)];
        let mut count = 2;
        let mut slowest = if self.membrane > 0.0 { self.membrane } else { f64::INFINITY };
        if let Some(Charge { rate, gain, .. }) = self.synapse {
            terms[1].0 -= gain * memory.current;
            terms[count] = (gain * memory.current, rate);
            (count, slowest) = (count + 1, slowest.min(rate));
        }
        if raised > 0.0 {
            terms[count] = (-raised, self.adaptation);
            (count, slowest) = (count + 1, slowest.min(self.adaptation));
        }
        let end = GONE / slowest;
        // Without a leak of its own the membrane's term is a constant.
        let rise = if self.membrane == 0.0 {
            terms[1].0 -= theta;
            first_rise(&terms[1..count], end)
        } else {
            first_rise(&terms[..count], end)
        }?;
        let whole = rise as u64;
        (whole.max(1)..=whole + 2).find(|us| at(*us)).map(|us| memory.at_us.saturating_add(us))
    }

    /// Whether such a neuron ever fires without an input at that moment.
    pub fn fires_by_itself(&self) -> bool {
        self.synapse.is_some() || self.adaptation > 0.0
    }
}

/// A plain membrane that an event reaches, in the fast form: it decays by `factor` if there is one,
/// takes the weight `w` and keeps its lower limit; gives it and where it reaches the threshold. The
/// limit lies below the threshold, so a neuron that will fire has kept its u.
///
/// Takes its lanes by value: LLVM keeps a vector whose address is taken in memory until late.
#[inline(always)]
pub fn arrive<L: Lane>(v: L, w: L, factor: Option<L>, fires_at: L, v_min: L) -> (L, L::Mask) {
    let u = match factor {
        Some(factor) => charged(v, &factor, w),
        None => v + w,
    };
    let fires = u.at_least(&fires_at);
    (v_min.larger(u), fires)
}

/// The number of spikes of a potential that has reached the threshold: the count of
/// [`spikes`](crate::step::spikes) with the comparison known, for u below 2³¹·θ, without a rounding
/// instruction, which not every processor has.
#[inline(always)]
pub fn burst(mode: Mode, u: f32, theta: f32) -> f32 {
    if mode.multi { (u / theta) as i32 as f32 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Adaptation, Leak, Reset, SpikeMode};
    use crate::step::spikes;
    use proptest::prelude::*;

    fn neurons() -> Vec<Neuron> {
        let cuba = Neuron::cuba_lif();
        let adaptive = Neuron::adaptive_lif();
        let both = Neuron { adaptation: adaptive.adaptation, ..cuba };
        let slow = Some(Leak::Step(0.9));
        let fast = Some(Adaptation { increment: 0.5, leak: Leak::Step(0.2) });
        vec![
            cuba,
            Neuron { synapse: slow, ..cuba },
            Neuron { leak: Leak::None, synapse: slow, reset: Reset::Soft, ..cuba },
            Neuron { spikes: SpikeMode::Multi, reset: Reset::Soft, fire_at_threshold: true, ..cuba },
            adaptive,
            Neuron { leak: Leak::Step(0.9), adaptation: fast, ..adaptive },
            both,
            Neuron { synapse: slow, adaptation: fast, reset: Reset::Soft, ..both },
        ]
    }

    const STEP_US: f64 = 1000.0;

    /// Spike times of one neuron: events drained in order, as an engine does.
    fn timed(neuron: &Neuron, inputs: &[(u64, f32)], end: u64) -> Vec<u64> {
        let rule = Timed::new(neuron, Some(STEP_US)).unwrap();
        let (mut memory, mut out) = (Memory::default(), Vec::new());
        let drain = |memory: &mut Memory, until: u64, out: &mut Vec<u64>| {
            while let Some(due) = rule.due(memory).filter(|d| *d <= until) {
                for _ in 0..rule.fire(memory, due) {
                    out.push(due);
                }
            }
        };
        for &(t, w) in inputs {
            drain(&mut memory, t, &mut out);
            for _ in 0..rule.receive(&mut memory, t, w) {
                out.push(t);
            }
        }
        drain(&mut memory, end, &mut out);
        out
    }

    /// Spike times of the clocked neuron with `per` steps of 1 µs·`per`, leak per time.
    fn clocked(neuron: &Neuron, inputs: &[(u64, f32)], end: u64, per_us: u64) -> Vec<u64> {
        let (t_max, steps) = (end / STEP_US as u64, end / per_us);
        let c = Constants::at(neuron, LeakRule::Time, t_max as usize, steps as usize, Some(STEP_US)).unwrap();
        let c = c.map(f64::from);
        let mut state = crate::step::AnyState::at_rest(neuron, 0.0f64);
        let mut out = Vec::new();
        for k in 0..steps {
            let x = inputs.iter().filter(|(t, _)| t / per_us == k).map(|i| f64::from(i.1)).sum();
            for _ in 0..step(Mode::of(neuron), &c, &mut state.0, x).spikes as u64 {
                out.push(k * per_us);
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

        /// The law that ties the two forms: at fine steps the clocked neuron's spikes are those of
        /// the exact one. A step of 2 µs changes a potential by some tenths of a percent, so a
        /// spike lies where thresholds 1 % lower and higher put it.
        #[test]
        fn the_clocked_neuron_at_fine_steps_fires_when_the_exact_one_does(
            gaps in prop::collection::vec(0u64..1500, 1..14), w in prop::collection::vec(0.1f32..0.7, 14),
        ) {
            let end = 20_000;
            let mut t = 100;
            let inputs: Vec<(u64, f32)> =
                gaps.iter().zip(&w).map(|(g, w)| { t += g; (t, *w) }).filter(|i| i.0 < end).collect();
            for neuron in neurons() {
                let with = |f: f32| timed(&Neuron { threshold: neuron.threshold * f, ..neuron }, &inputs, end);
                let (early, late) = (with(0.99), with(1.01));
                // A neuron that fires more often with a lower threshold has a decision too close to call.
                if early.len() != late.len() {
                    continue;
                }
                let fine = clocked(&neuron, &inputs, end, 2);
                prop_assert_eq!(early.len(), fine.len(), "{:?}: {:?} {:?}", neuron, early, fine);
                for (at, (a, b)) in fine.iter().zip(early.iter().zip(&late)) {
                    let (a, b) = (a.min(b), a.max(b));
                    prop_assert!((a - 4..=b + 4).contains(at), "{:?}: {:?} {:?}", neuron, early, fine);
                }
            }
        }

        #[test]
        fn decay_in_two_parts_is_decay_in_one(a in 0u64..5000, b in 0u64..5000, w in -1.0f32..1.0) {
            for neuron in neurons() {
                let rule = Timed::new(&neuron, Some(STEP_US)).unwrap();
                let mut one = Memory::default();
                rule.receive(&mut one, 7, w);
                let mut two = one;
                rule.advance(&mut two, 7 + a);
                rule.advance(&mut two, 7 + a + b);
                rule.advance(&mut one, 7 + a + b);
                prop_assert!((one.state.v - two.state.v).abs() < 1e-8 && (one.current - two.current).abs() < 1e-12);
            }
        }

        /// No µs before the due one reaches the threshold, and the due one does.
        #[test]
        fn due_is_the_first_whole_microsecond_at_which_the_neuron_fires(
            w in 0.2f32..3.0, v in -0.9f64..0.99, raised in 0.0f64..1.0, current in -1.0f64..2.0,
        ) {
            for neuron in neurons() {
                let rule = Timed::new(&neuron, Some(100.0)).unwrap();
                let mut memory = Memory::default();
                memory.state.v = v;
                if neuron.adaptation.is_some() {
                    memory.state.adaptation.0 = raised;
                    memory.state.v = v + raised * f64::from(w) / 3.0;
                }
                if neuron.synapse.is_some() {
                    memory.current = current;
                }
                if rule.reaches(&memory) {
                    continue;
                }
                let first = (1..6000).find(|us| {
                    let mut later = memory;
                    rule.advance(&mut later, *us);
                    rule.reaches(&later)
                });
                prop_assert_eq!(rule.due(&memory), first, "{:?} {:?}", neuron, memory);
            }
        }

        #[test]
        fn a_burst_is_the_count_of_the_step(u in 1.0f32..60_000.0, theta in 0.5f32..1.0, multi: bool) {
            let mode = Mode { multi, hard: false, equal: true, detach: false };
            prop_assert_eq!(burst(mode, u, theta), spikes(mode, &u, &theta));
        }
    }

    #[test]
    fn a_current_crosses_the_threshold_after_its_input_and_not_at_it() {
        let neuron = Neuron { leak: Leak::None, ..Neuron::cuba_lif() };
        // Charge 2·0.8 = 1.6 of which 1 has come after τ_s·ln(1.6/0.6) with τ_s = 1000/ln 2.
        let expected = 500.0 + 1000.0 / 2f64.ln() * (1.6f64 / 0.6).ln();
        let spikes = timed(&neuron, &[(500, 0.8)], 20_000);
        assert_eq!(spikes, [expected.ceil() as u64]);
    }

    #[test]
    fn a_threshold_that_falls_below_the_potential_fires_the_neuron() {
        let adaptation = Some(Adaptation { increment: 1.0, leak: Leak::Step(0.5) });
        let neuron = Neuron { leak: Leak::None, adaptation, ..Neuron::adaptive_lif() };
        // The first input fires and raises θ to 2; the second leaves v = 1.5, which θ' = 1 + 2^(−t/1000)
        // reaches after 1000 µs.
        assert_eq!(timed(&neuron, &[(0, 1.2), (10, 1.5)], 5000), [0, 1001]);
    }
}
