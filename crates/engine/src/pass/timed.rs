//! The general form of the loop over events, for neurons with a synaptic current or an adaptive
//! threshold, or whose membrane is held ([`tickless_neuron::between`]). It processes one neuron at
//! a time.
//!
//! Every neuron that an event reaches decays to the event's time and adds its weight. The loop then
//! computes the next time at which the neuron fires by itself.

use super::{Carried, Walk, in_order};
use crate::due::Due;
use crate::hop::Hop;
use tickless_neuron::between::Memory;

impl Walk<'_> {
    /// Processes the events as far as the capacity of the output allows.
    #[inline(never)]
    pub(super) fn timed(self, memories: &mut [Memory], w: &[f32], due: &mut Due) -> Carried {
        let Walk { rule, edge, hops, from: mut done, times, out } = self;
        let Some(timed) = &rule.timed else { unreachable!("such memories are made for the general form") };
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
                        for (at, w) in (at..at + len).zip(&w[from..from + len]) {
                            let memory = &mut memories[at];
                            let spikes = timed.receive(memory, t_us, *w);
                            due.set(rule.rank(at), timed.due(memory));
                            if spikes > 0 {
                                let channels = rule.shape.channels;
                                out.push(Hop::new(at % channels, at / channels, spikes, hop.cause));
                            }
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
