//! The loop over events: a list of events through one edge, into the list of spikes they cause.
//!
//! For each event, in order, and each row of positions that it reaches, the pass adds the weights to
//! the potentials in blocks ([`crate::kernel`]); each neuron that reaches the threshold fires:
//!
//! ```text
//! n = ⌊u/θ⌋ (multi spike) or 1;   v = max(u − n·θ (soft reset) or 0 (hard reset), v_min)
//! ```
//!
//! All additions of an event come before its spikes, because a branch on "does it fire" is often
//! mispredicted and would stall the additions behind it. On small networks an event is a few vector
//! additions, so the code around them costs most: the loop over events is small enough for its
//! numbers to stay in registers ([`fire`] is a function of its own), and the bounds of one [`Patch`]
//! are checked once.
//!
//! The whole loop is compiled once for each instruction set ([`carry`]). The spikes of one event
//! stand in (channel, y, x) order in the list that goes on. The pass needs no memory but that list,
//! whose capacity is fixed: if the next event could overflow it, the pass stops and says where.

mod act;
mod fire;
#[allow(unsafe_code, reason = "the bounds of a patch are asserted once for all of its rows")]
mod patch;
mod timed;

use crate::edge::Edge;
use crate::hop::Hop;
#[cfg(target_arch = "aarch64")]
use crate::kernel::Neon;
#[cfg(target_arch = "x86_64")]
use crate::kernel::{Avx2, Avx512};
use crate::kernel::{BLOCK, Kernel, Scalar};
use crate::layer::{LayerState, Potentials, Rule};
use crate::table::Table;
use act::{Act, Leaky, Parted, Plain, Short, Sums};
use fire::{Fires, in_order};
use patch::{Patch, take};
use tickless_simd::by_isa;

/// How far a pass has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Carried {
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
    pub state: &'a mut LayerState,
    pub edge: &'a Edge,
    pub table: &'a Table,
    /// The events.
    pub hops: &'a [Hop],
    /// Where to begin.
    pub from: Carried,
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
    from: Carried,
    times: &'a [u64],
    out: &'a mut Vec<Hop>,
}

by_isa! {
    /// Carries a pass as far as its list of spikes allows, compiled for this instruction set.
    pub(crate) fn carry(pass: Pass<'_>) -> Carried =
        run::<portable Scalar, neon Neon, avx2 Avx2, avx512 Avx512>;
}

/// [`carry`], generic over the form of the arithmetic.
#[inline(always)]
fn run<K: Kernel>(pass: Pass<'_>) -> Carried {
    let Pass { rule, state, edge, table, hops, from, times, out } = pass;
    let walk = Walk { rule, edge, hops, from, times, out };
    let plain = Plain::<K>::new(rule);
    let LayerState { potentials, hit_us, due, .. } = state;
    let hit_us = &mut hit_us[..];
    match (potentials, table, &rule.decay) {
        (Potentials::Timed(memories), Table::Float(w), _) => walk.timed(memories, w, due),
        (Potentials::Float(v), Table::Float(w), None) => walk.go(v, w, plain),
        (Potentials::Float(v), Table::Float(w), Some(decay)) => {
            let decay = decay.tables();
            match decay.cell {
                8 => walk.go(v, w, Leaky::<K, 8> { plain, decay, hit_us }),
                16 => walk.go(v, w, Leaky::<K, 16> { plain, decay, hit_us }),
                32 => walk.go(v, w, Leaky::<K, 32> { plain, decay, hit_us }),
                ..=BLOCK => walk.go(v, w, Leaky::<K, 0> { plain, decay, hit_us }),
                _ => walk.go(v, w, Parted::new(Leaky { plain, decay, hit_us })),
            }
        }
        (Potentials::Small(v), Table::Small(w), _) => walk.go(v, w, Short::<K>::new(rule)),
        (Potentials::Sum(v), Table::Small(w), _) => walk.go(v, w, Sums::<K>::new()),
        // A program has one kind of numbers throughout.
        _ => unreachable!("tables and potentials are made together"),
    }
}

impl Walk<'_> {
    #[inline(always)]
    fn go<A: Act>(self, v: &mut [A::V], w: &[A::W], act: A) -> Carried {
        if self.edge.whole && act.block() > BLOCK / 2 { self.patches(v, w, act) } else { self.pieces(v, w, act) }
    }

    /// Where what an event reaches is one patch.
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
                let (count, any) = take(&mut act, v, w, &patch, block, t_us, &mut masks);
                if any != 0 {
                    let (target, row_target) = (footprint.target as usize, edge.row_target);
                    let fires =
                        Fires { patch: &patch, block, target, row_target, lanes: &rule.lanes, cause: hop.cause };
                    fires.emit(&act, v, &mut masks[..count], out);
                }
                done.ops += footprint.ops();
                done.spikes += 1;
            }
            done.hops += 1;
            done.spikes = 0;
        }
        done
    }

    /// Where an event reaches pieces of rows that do not lie together, or more than one patch.
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
                        let at = footprint.state as usize + first + row * edge.row_state + segment * edge.channels;
                        let from = table + row * footprint.row_weights as usize + segment * edge.width;
                        let len = footprint.len as usize;
                        let (v, w) = (&mut v[at..at + len], &w[from..from + len]);
                        let base =
                            (first as u64) << 32 | (footprint.target as usize + row * edge.row_target + segment) as u64;
                        let (mut k, cell) = (0, act.cell(at));
                        while k < len {
                            let end = (k + block).min(len);
                            let part = &mut v[k..end];
                            let mut mask = act.add(part, &w[k..end], k, cell, t_us);
                            while mask != 0 {
                                let j = mask.trailing_zeros() as usize;
                                mask &= mask - 1;
                                let spikes = act.fire(&mut part[j]);
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
