//! Fires neurons after an event and sorts their spikes.

use super::act::Act;
use crate::hop::Hop;
use crate::kernel::patch::Patch;

/// The patch of an event and the positions of its neurons.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fires<'a> {
    pub patch: &'a Patch,
    /// Number of neurons per block; the last block of a row may have fewer.
    pub block: usize,
    /// Position of the first target, and positions from one row to the next.
    pub target: usize,
    pub row_target: usize,
    /// See [`Rule::lanes`](crate::layer::Rule).
    pub lanes: &'a [u64],
    pub cause: u32,
}

impl Fires<'_> {
    /// Fires the neurons whose bits are set in the masks of the patch's blocks.
    ///
    /// The function has a single loop over all neurons, so the processor mispredicts at most one
    /// loop exit. It is not inlined, so that the loop over events keeps its variables in registers.
    #[inline(never)]
    pub fn emit<A: Act>(&self, act: &A, v: &mut [A::V], t_us: u64, masks: &mut [u64], out: &mut Vec<Hop>) {
        let Fires { patch, block, target, row_target, lanes, cause } = *self;
        let begun = out.len();
        let blocks = if patch.len <= block { 1 } else { patch.len.div_ceil(block) };
        let mut some = masks.iter().rev().fold(0u64, |some, m| some << 1 | u64::from(*m != 0));
        while some != 0 {
            let b = some.trailing_zeros() as usize;
            let j = masks[b].trailing_zeros() as usize;
            masks[b] &= masks[b] - 1;
            some = if masks[b] == 0 { some & (some - 1) } else { some };
            let (row, k) = if blocks == 1 { (b, j) } else { (b / blocks, b % blocks * block + j) };
            let at = patch.at + row * patch.row_state + k;
            let spikes = act.fire(&mut v[at], at, t_us);
            out.push(Hop { place: (target + row * row_target) as u64 + lanes[k], spikes, cause });
        }
        in_order(&mut out[begun..]);
    }
}

/// Sorts the neurons that one event fired, of which there are usually none or few. Branches on
/// their order would be mispredicted, so up to four are sorted without branches.
#[inline(always)]
pub(super) fn in_order(fired: &mut [Hop]) {
    match fired {
        [] | [_] => {}
        [a, b] => swap(a, b),
        [a, b, c] => {
            swap(a, b);
            swap(b, c);
            swap(a, b);
        }
        [a, b, c, d] => {
            swap(a, b);
            swap(c, d);
            swap(a, c);
            swap(b, d);
            swap(b, c);
        }
        more => more.sort_unstable_by_key(|f| f.place),
    }
}

/// Swaps two hops if they are out of order.
#[inline(always)]
fn swap(a: &mut Hop, b: &mut Hop) {
    let mask = u64::from(a.place > b.place).wrapping_neg();
    let (place, spikes) = ((a.place ^ b.place) & mask, (a.spikes ^ b.spikes) & mask as u32);
    (a.place, b.place) = (a.place ^ place, b.place ^ place);
    (a.spikes, b.spikes) = (a.spikes ^ spikes, b.spikes ^ spikes);
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
