//! The loop over events: processes a list of events along one edge and appends the resulting
//! spikes.
//!
//! For each event, in order, and each row of positions that it reaches, the pass adds the weights
//! to the potentials in blocks ([`crate::kernel`]). Each neuron that reaches the threshold fires:
//!
//! ```text
//! n = ⌊u/θ⌋ (multi spike) or 1;   v = max(u − n·θ (soft reset) or 0 (hard reset), v_min)
//! ```
//!
//! During its refractory period a neuron neither fires nor is reset.
//!
//! All additions of an event come before its spikes, because a branch on whether a neuron fires is
//! often mispredicted and would stall the additions after it. On small networks an event is a few
//! vector additions, so the code around them dominates. The loop over events is therefore small
//! enough for its variables to stay in registers ([`fire`] is not inlined), and the bounds of one
//! [`Patch`] are checked once.
//!
//! The whole loop is compiled once per instruction set ([`carry`]). The spikes of one event are in
//! (channel, y, x) order in the output list. The pass allocates no memory: the capacity of the list
//! is fixed, and if the next event could exceed it, the pass stops and returns its position.

mod act;
mod fire;
mod timed;

use crate::edge::Edge;
use crate::hop::Hop;
#[cfg(target_arch = "aarch64")]
use crate::kernel::Neon;
use crate::kernel::patch::{Patch, add_patch};
#[cfg(target_arch = "x86_64")]
use crate::kernel::{Avx2, Avx512};
use crate::kernel::{BLOCK, Kernel, Scalar};
use crate::layer::{LayerState, Potentials, Rule};
use crate::table::Table;
use act::{Act, Leaky, Parted, Plain, Resting, Short, Sums};
use fire::{Fires, in_order};
use std::cell::Cell;
use std::marker::PhantomData;
use tickless_simd::by_isa;

/// The position of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Carried {
    /// Number of completed hops.
    pub hops: usize,
    /// Number of completed spikes of the next hop.
    pub spikes: u32,
    /// Number of weights added.
    pub ops: u64,
}

/// The input of a pass: events, edge and target layer.
pub(crate) struct Pass<'a> {
    pub rule: &'a Rule,
    pub state: &'a mut LayerState,
    pub edge: &'a Edge,
    pub table: &'a Table,
    /// The events.
    pub hops: &'a [Hop],
    /// The position at which to start.
    pub from: Carried,
    /// Times of the chunk's events in µs, by cause.
    pub times: &'a [u64],
    /// The output list. The pass stops if its free capacity is less than the layer's reach.
    pub out: &'a mut Vec<Hop>,
}

/// The parts of a pass that do not depend on the type of the numbers.
struct Walk<'a> {
    rule: &'a Rule,
    edge: &'a Edge,
    hops: &'a [Hop],
    from: Carried,
    times: &'a [u64],
    out: &'a mut Vec<Hop>,
}

by_isa! {
    /// Processes a pass as far as the capacity of its output allows; compiled per instruction set.
    pub(crate) fn carry(pass: Pass<'_>) -> Carried =
        run::<portable Scalar, neon Neon, avx2 Avx2, avx512 Avx512>;
}

/// [`carry`], generic over the form of the arithmetic.
#[inline(always)]
fn run<K: Kernel>(pass: Pass<'_>) -> Carried {
    let Pass { rule, state, edge, table, hops, from, times, out } = pass;
    let walk = Walk { rule, edge, hops, from, times, out };
    let plain = Plain::<K>::new(rule);
    let LayerState { potentials, hit_us, ready_us, due, .. } = state;
    let (hit_us, ready_us) = (&mut hit_us[..], &mut ready_us[..]);
    match (potentials, table, &rule.decay) {
        (Potentials::Timed(memories), Table::Float(w), _) => walk.timed(memories, w, due),
        (Potentials::Float(v), Table::Float(w), None) => walk.rest::<K, _>(v, w, plain, ready_us),
        (Potentials::Float(v), Table::Float(w), Some(decay)) => {
            let decay = decay.tables();
            match decay.cell {
                8 => walk.rest::<K, _>(v, w, Leaky::<K, 8> { plain, decay, hit_us }, ready_us),
                16 => walk.rest::<K, _>(v, w, Leaky::<K, 16> { plain, decay, hit_us }, ready_us),
                32 => walk.rest::<K, _>(v, w, Leaky::<K, 32> { plain, decay, hit_us }, ready_us),
                ..=BLOCK => walk.rest::<K, _>(v, w, Leaky::<K, 0> { plain, decay, hit_us }, ready_us),
                _ => walk.rest::<K, _>(v, w, Parted::new(Leaky { plain, decay, hit_us }), ready_us),
            }
        }
        (Potentials::Small(v), Table::Small(w), _) => walk.rest::<K, _>(v, w, Short::<K>::new(rule), ready_us),
        (Potentials::Sum(v), Table::Small(w), _) => walk.go(v, w, Sums::<K>::new()),
        // All numbers of a program have the same kind.
        _ => unreachable!("tables and potentials are made together"),
    }
}

impl Walk<'_> {
    /// Calls [`go`](Self::go), with the refractory period if the rule has one.
    #[inline(always)]
    fn rest<K: Kernel, A: Act>(self, v: &mut [A::V], w: &[A::W], act: A, ready_us: &mut [u64]) -> Carried {
        match self.rule.dead_us {
            None => self.go(v, w, act),
            Some(dead_us) => {
                let (ready_us, kernel) = (Cell::from_mut(ready_us).as_slice_of_cells(), PhantomData);
                if self.rule.holds {
                    self.go(v, w, Resting::<_, K, true> { act, dead_us, ready_us, kernel })
                } else {
                    self.go(v, w, Resting::<_, K, false> { act, dead_us, ready_us, kernel })
                }
            }
        }
    }

    #[inline(always)]
    fn go<A: Act>(self, v: &mut [A::V], w: &[A::W], act: A) -> Carried {
        if self.edge.whole && act.block() > BLOCK / 2 { self.patches(v, w, act) } else { self.pieces(v, w, act) }
    }

    /// The loop for edges whose events each reach one patch.
    #[inline(always)]
    fn patches<A: Act>(self, v: &mut [A::V], w: &[A::W], mut act: A) -> Carried {
        let Walk { rule, edge, hops, from: mut done, times, out } = self;
        let block = act.block();
        let mut masks = [0; BLOCK];
        while let Some(&hop) = hops.get(done.hops) {
            let footprint = &edge.footprints[hop.position()];
            let patch = Patch {
                at: footprint.state as usize,
                from: footprint.weight as usize + hop.channel() * footprint.channel_weights as usize,
                rows: footprint.rows as usize,
                len: footprint.len as usize,
                row_state: edge.row_state,
                row_weights: footprint.row_weights as usize,
            };
            let t_us = if A::TIMED { times[hop.cause as usize] } else { 0 };
            while done.spikes < hop.spikes {
                if out.capacity() - out.len() < rule.reach {
                    return done;
                }
                let (count, any) = add_patch(&mut act, v, w, &patch, block, t_us, &mut masks);
                if any != 0 {
                    let (target, row_target) = (footprint.target as usize, edge.row_target);
                    let fires =
                        Fires { patch: &patch, block, target, row_target, lanes: &rule.lanes, cause: hop.cause };
                    fires.emit(&act, v, t_us, &mut masks[..count], out);
                }
                done.ops += footprint.ops();
                done.spikes += 1;
            }
            done.hops += 1;
            done.spikes = 0;
        }
        done
    }

    /// The loop for events that reach separate segments of rows, or more than one patch.
    #[inline(always)]
    fn pieces<A: Act>(self, v: &mut [A::V], w: &[A::W], mut act: A) -> Carried {
        let Walk { rule, edge, hops, from: mut done, times, out } = self;
        let block = act.block();
        while let Some(&hop) = hops.get(done.hops) {
            let footprint = edge.footprints[hop.position()];
            let (first, table) = edge.channel(hop.channel(), &footprint);
            let t_us = times[hop.cause as usize];
            while done.spikes < hop.spikes {
                if out.capacity() - out.len() < rule.reach {
                    return done;
                }
                let begun = out.len();
                for row in 0..footprint.rows as usize {
                    for segment in 0..footprint.segments as usize {
                        let at = footprint.state as usize + first + row * edge.row_state + segment * edge.segment_state;
                        let from = table + row * footprint.row_weights as usize + segment * edge.width;
                        let len = footprint.len as usize;
                        let (v, w) = (&mut v[at..at + len], &w[from..from + len]);
                        let base = (first as u64) << 32
                            | (footprint.target as usize + row * edge.row_target + segment * edge.segment_target)
                                as u64;
                        let (mut k, cell) = (0, act.cell(at));
                        while k < len {
                            let end = (k + block).min(len);
                            let part = &mut v[k..end];
                            let mut mask = act.add(part, &w[k..end], at + k, k, cell, t_us);
                            while mask != 0 {
                                let j = mask.trailing_zeros() as usize;
                                mask &= mask - 1;
                                let spikes = act.fire(&mut part[j], at + k + j, t_us);
                                out.push(Hop { place: base + rule.lanes[k + j], spikes, cause: hop.cause });
                            }
                            k = end;
                        }
                    }
                }
                in_order(&mut out[begun..]);
                done.ops += footprint.ops();
                done.spikes += 1;
            }
            done.hops += 1;
            done.spikes = 0;
        }
        done
    }
}
