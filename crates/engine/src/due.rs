//! A queue of the neurons that will fire by themselves, the earliest first.
//!
//! The queue is a binary heap with at most one entry per neuron. If an event changes the time at
//! which a neuron is due, its entry moves, so the memory never grows. Among neurons that are due in
//! the same µs the one with the lowest rank comes first; ranks are in (channel, y, x) order.

/// The slot of a neuron that is not in the heap.
const NONE: u32 = u32::MAX;

/// The queue of one layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Due {
    /// Time at which each neuron in the heap is due, in µs.
    at_us: Vec<u64>,
    /// Index of each neuron in the heap, or [`NONE`].
    slot: Vec<u32>,
    /// The heap of neurons: no child is due before its parent.
    heap: Vec<u32>,
}

impl Due {
    /// An empty queue for this number of neurons.
    pub fn new(neurons: usize) -> Self {
        Self { at_us: vec![0; neurons], slot: vec![NONE; neurons], heap: Vec::with_capacity(neurons) }
    }

    /// Sets the time at which neuron `rank` is due, or removes the neuron.
    pub fn set(&mut self, rank: usize, due_us: Option<u64>) {
        let slot = self.slot[rank];
        match due_us {
            Some(us) => {
                self.at_us[rank] = us;
                let slot = if slot == NONE {
                    self.heap.push(rank as u32);
                    self.heap.len() - 1
                } else {
                    slot as usize
                };
                self.settle(slot);
            }
            None if slot == NONE => {}
            None => {
                self.slot[rank] = NONE;
                let last = self.heap.pop().unwrap_or(NONE);
                if last as usize != rank {
                    self.heap[slot as usize] = last;
                    self.settle(slot as usize);
                }
            }
        }
    }

    /// The earliest time and its neuron.
    pub fn first(&self) -> Option<(u64, usize)> {
        self.heap.first().map(|&rank| (self.at_us[rank as usize], rank as usize))
    }

    /// Removes all neurons.
    pub fn clear(&mut self) {
        for rank in self.heap.drain(..) {
            self.slot[rank as usize] = NONE;
        }
    }

    /// Memory in use, in bytes.
    pub fn bytes(&self) -> usize {
        self.at_us.capacity() * 8 + (self.slot.capacity() + self.heap.capacity()) * 4
    }

    fn key(&self, slot: usize) -> (u64, u32) {
        let rank = self.heap[slot];
        (self.at_us[rank as usize], rank)
    }

    /// Moves the entry at `slot` up or down until the heap order holds.
    fn settle(&mut self, mut slot: usize) {
        while slot > 0 && self.key(slot) < self.key((slot - 1) / 2) {
            self.heap.swap(slot, (slot - 1) / 2);
            self.slot[self.heap[slot] as usize] = slot as u32;
            slot = (slot - 1) / 2;
        }
        loop {
            let children = [2 * slot + 1, 2 * slot + 2].into_iter().filter(|c| *c < self.heap.len());
            let Some(child) = children.min_by_key(|c| self.key(*c)).filter(|c| self.key(*c) < self.key(slot)) else {
                break;
            };
            self.heap.swap(slot, child);
            self.slot[self.heap[slot] as usize] = slot as u32;
            slot = child;
        }
        self.slot[self.heap[slot] as usize] = slot as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_is_the_earliest_of_those_that_are_due(
            changes in prop::collection::vec((0usize..12, prop::option::of(0u64..20)), 0..200),
        ) {
            let (mut due, mut plain) = (Due::new(12), [None; 12]);
            for (rank, us) in changes {
                due.set(rank, us);
                plain[rank] = us;
                let first = plain.iter().enumerate().filter_map(|(r, us)| us.map(|us| (us, r))).min();
                prop_assert_eq!(due.first(), first);
            }
            due.clear();
            prop_assert_eq!(due.first(), None);
            due.set(3, Some(7));
            prop_assert_eq!(due.first(), Some((7, 3)));
        }
    }
}
