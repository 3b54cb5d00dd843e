//! Who fires after an event, how often, and in which order.

use super::act::Act;
use super::patch::Patch;
use crate::hop::Hop;

/// Where the neurons of a patch lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fires<'a> {
    pub patch: &'a Patch,
    /// Neurons of a block, but for the last of a row.
    pub block: usize,
    /// Position of the first, and from one row to the next.
    pub target: usize,
    pub row_target: usize,
    /// As [`Rule::lanes`](crate::layer::Rule).
    pub lanes: &'a [u64],
    pub cause: u32,
}

impl Fires<'_> {
    /// Lets those fire whom the masks of the patch's blocks name.
    ///
    /// One loop over all of them, so that their number is one guess of the processor's; and a function
    /// of its own, so that the loop over events keeps its numbers in registers.
    #[inline(never)]
    pub fn emit<A: Act>(&self, act: &A, v: &mut [A::V], masks: &mut [u64], out: &mut Vec<Hop>) {
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
            let spikes = act.fire(&mut v[patch.at + row * patch.row_state + k]);
            out.push(Hop { place: (target + row * row_target) as u64 + lanes[k], spikes, cause });
        }
        in_order(&mut out[begun..]);
    }
}

/// Sorts the neurons that one event made fire; mostly they are none or few. Their order is as hard
/// to foresee as their number, so the few are sorted without branches.
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

/// Swaps two if they are out of order.
#[inline(always)]
fn swap(a: &mut Hop, b: &mut Hop) {
    let wrong = u64::from(a.place > b.place).wrapping_neg();
    let (place, spikes) = ((a.place ^ b.place) & wrong, (a.spikes ^ b.spikes) & wrong as u32);
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
