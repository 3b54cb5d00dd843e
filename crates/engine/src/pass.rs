//! The loop over events: a list of events through one edge, into the list of spikes they cause.
//!
//! For each event, in order, and each row of positions that it reaches, the weights are added to
//! the potentials in blocks ([`crate::kernel`]), and whoever reaches the threshold fires:
//!
//! ```text
//! n = ⌊u/θ⌋ (multi spike) or 1;   v = max(u − n·θ (soft reset) or 0 (hard reset), v_min)
//! ```
//!
//! The spikes of one event stand in (channel, y, x) order in the list that goes on. A list of fixed
//! capacity is all the memory this needs: when it could overflow, the pass stops and says where.

use crate::edge::Edge;
use crate::kernel::{BLOCK, Bounds, Kernel};
use crate::layer::{Potentials, Rule, State, gcd};
use crate::table::Table;

/// Spikes of one neuron at one moment, on their way along the edges that leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hop {
    /// Channel in the upper 32 bits, y·width + x in the lower: neurons fire in this order.
    pub place: u64,
    /// How many.
    pub spikes: u32,
    /// Which event of the chunk caused them.
    pub cause: u32,
}

impl Hop {
    #[inline]
    pub fn new(channel: usize, position: usize, spikes: u32, cause: u32) -> Self {
        Self { place: (channel as u64) << 32 | position as u64, spikes, cause }
    }

    #[inline]
    pub fn channel(self) -> usize {
        (self.place >> 32) as usize
    }

    /// y·width + x.
    #[inline]
    pub fn position(self) -> usize {
        (self.place & 0xffff_ffff) as usize
    }
}

/// How far a pass has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// Hops that have been carried whole.
    pub hops: usize,
    /// Spikes of the next one that have been carried.
    pub spikes: u32,
    /// Weights added.
    pub ops: u64,
}

/// Which events go along which edge into which layer.
pub(crate) struct Pass<'a> {
    pub rule: &'a Rule,
    pub state: &'a mut State,
    pub edge: &'a Edge,
    pub table: &'a Table,
    /// The events.
    pub hops: &'a [Hop],
    /// Where to begin.
    pub from: Progress,
    /// Times of the chunk's events in µs, by cause.
    pub times: &'a [u64],
    /// Who fires. The pass ends where less than the layer's reach is free.
    pub out: &'a mut Vec<Hop>,
}

/// What stays the same over a pass, apart from the numbers.
struct Walk<'a> {
    rule: &'a Rule,
    edge: &'a Edge,
    hops: &'a [Hop],
    from: Progress,
    times: &'a [u64],
    out: &'a mut Vec<Hop>,
}

/// Carries a pass as far as its list of spikes allows.
#[inline(always)]
pub(crate) fn run<K: Kernel>(pass: Pass<'_>) -> Progress {
    let Pass { rule, state, edge, table, hops, from, times, out } = pass;
    let walk = Walk { rule, edge, hops, from, times, out };
    let bounds = Bounds { fires_at: rule.fires_at, v_min: rule.v_min };
    let hit_us = &mut state.hit_us;
    let fire = |v: &mut f32| {
        let n = if rule.multi { (*v / rule.threshold).trunc() } else { 1.0 };
        let reset = if rule.hard { 0.0 } else { *v - n * rule.threshold };
        *v = reset.max(rule.v_min);
        n as u32
    };
    match (&mut state.potentials, table, &rule.decay) {
        (Potentials::Float(v), Table::Float(w), None) => {
            walk.go(v, w, BLOCK, |v, w, _, _, _| K::add(v, w, bounds), fire)
        }
        (Potentials::Float(v), Table::Float(w), Some(decay)) if decay.cell <= BLOCK => {
            let cell = decay.cell;
            let cells = |v: &mut [f32], w: &[f32], _: usize, at: usize, t_us: u64| {
                let (mut mask, mut k, mut hit) = (0, 0, at / cell);
                while k < v.len() {
                    let factor = decay.since(&mut hit_us[hit], t_us);
                    mask |= K::decay_add(&mut v[k..k + cell], &w[k..k + cell], factor, bounds) << k;
                    (k, hit) = (k + cell, hit + 1);
                }
                mask
            };
            walk.go(v, w, BLOCK / cell * cell, cells, fire)
        }
        (Potentials::Float(v), Table::Float(w), Some(decay)) => {
            // Blocks that part a cell share its factor.
            let cell = decay.cell;
            let mut factor = 1.0;
            let parts = |v: &mut [f32], w: &[f32], k: usize, at: usize, t_us: u64| {
                if k.is_multiple_of(cell) {
                    factor = decay.since(&mut hit_us[at / cell], t_us);
                }
                K::decay_add(v, w, factor, bounds)
            };
            walk.go(v, w, gcd(cell, BLOCK), parts, fire)
        }
        (Potentials::Small(v), Table::Small(w), _) => {
            let s = rule.small;
            let fire = |v: &mut i16| {
                let n = if rule.multi { *v / s.threshold } else { 1 };
                // n·θ ≤ v, so neither the product nor the difference overflows.
                let reset = if rule.hard { 0 } else { *v - n * s.threshold };
                *v = reset.max(s.bounds.v_min);
                n as u32
            };
            walk.go(v, w, BLOCK, |v, w, _, _, _| K::add_small(v, w, s.bounds), fire)
        }
        (Potentials::Sum(v), Table::Small(w), _) => walk.go(v, w, BLOCK, |v, w, _, _, _| K::sum_small(v, w), |_| 0),
        // A program has one kind of numbers throughout.
        _ => unreachable!("tables and potentials are made together"),
    }
}

impl Walk<'_> {
    /// `add(potentials, weights, place in the row, place in the layer, time)` takes a block of at
    /// most `block` neurons and gives the mask of those that fire.
    #[inline(always)]
    fn go<V, W>(
        self,
        v: &mut [V],
        w: &[W],
        block: usize,
        mut add: impl FnMut(&mut [V], &[W], usize, usize, u64) -> u64,
        fire: impl Fn(&mut V) -> u32,
    ) -> Progress {
        let Walk { rule, edge, hops, from: mut done, times, out } = self;
        while let Some(&hop) = hops.get(done.hops) {
            let place = edge.places[hop.position()];
            let (first, table) = edge.channel(hop.channel(), &place);
            let t_us = times[hop.cause as usize];
            while done.spikes < hop.spikes {
                if out.capacity() - out.len() < rule.reach {
                    return done;
                }
                let begun = out.len();
                for row in 0..place.rows as usize {
                    for segment in 0..place.segments as usize {
                        let at = place.state as usize + first + row * edge.row_state + segment * edge.channels;
                        let from = table + row * place.row_weights as usize + segment * edge.width;
                        let len = place.len as usize;
                        let (v, w) = (&mut v[at..at + len], &w[from..from + len]);
                        let base =
                            (first as u64) << 32 | (place.target as usize + row * edge.row_target + segment) as u64;
                        let mut k = 0;
                        while k < len {
                            let end = (k + block).min(len);
                            let part = &mut v[k..end];
                            let mut mask = add(part, &w[k..end], k, at + k, t_us);
                            while mask != 0 {
                                let j = mask.trailing_zeros() as usize;
                                mask &= mask - 1;
                                let spikes = fire(&mut part[j]);
                                out.push(Hop { place: base + rule.lanes[k + j], spikes, cause: hop.cause });
                            }
                            k = end;
                        }
                    }
                }
                in_order(&mut out[begun..]);
                done.ops += u64::from(place.ops);
                done.spikes += 1;
            }
            done.hops += 1;
            done.spikes = 0;
        }
        done
    }
}

/// Sorts the neurons that one event made fire; mostly they are none or few.
#[inline(always)]
fn in_order(fired: &mut [Hop]) {
    if fired.len() > 16 {
        return fired.sort_unstable_by_key(|f| f.place);
    }
    for i in 1..fired.len() {
        let hop = fired[i];
        let mut at = i;
        while at > 0 && fired[at - 1].place > hop.place {
            fired[at] = fired[at - 1];
            at -= 1;
        }
        fired[at] = hop;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fired_neurons_stand_in_order_of_place(places in prop::collection::vec(0u64..1 << 40, 0..40)) {
            let mut hops: Vec<Hop> = places.iter().map(|&place| Hop { place, spikes: 1, cause: 0 }).collect();
            in_order(&mut hops);
            let mut sorted = places.clone();
            sorted.sort_unstable();
            prop_assert_eq!(hops.iter().map(|h| h.place).collect::<Vec<_>>(), sorted);
        }
    }
}
