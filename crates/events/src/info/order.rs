//! Counts the events that sorting by time would move, for a recording of any length. Memory is
//! bounded by about a million events, and no temporary file is needed.
//!
//! An event moves if its rank (its index after a stable sort) differs from its index. The times are
//! read several times. The first pass counts the events in each of some thousand equal bins of
//! time, which gives the rank of each bin's first event. The following passes collect the events of
//! bins and sort each bin as soon as its last event has been read. If events are out of order only
//! locally, few bins are open at a time and one such pass is enough. A bin that does not fit in
//! memory beside the others waits for a later pass, and a bin that does not fit alone is divided
//! into bins itself.

use crate::Result;

/// Number of bins of a pass.
const BINS: u64 = 4096;
/// Number of events that are held in memory at most, 16 bytes each.
const MOST: usize = 1 << 20;

/// Reads all times in file order and calls its argument with each piece of them.
pub type Pass<'a> = dyn FnMut(&mut dyn FnMut(&[u64])) -> Result<()> + 'a;

/// An inclusive range of times, and the rank of the first event in it.
struct Range {
    low: u64,
    high: u64,
    rank: u64,
}

/// Returns the number of events that sorting moves. `low` and `high` are the smallest and the
/// largest time; `pass` reads all times in file order, in pieces.
///
/// # Errors
/// Any error of `pass`.
pub fn moved(low: u64, high: u64, pass: &mut Pass<'_>) -> Result<u64> {
    count(low, high, MOST, pass)
}

fn count(low: u64, high: u64, most: usize, pass: &mut Pass<'_>) -> Result<u64> {
    let mut moved = 0;
    let mut ranges = vec![Range { low, high, rank: 0 }];
    while let Some(range) = ranges.pop() {
        let mut bins = Bins::new(&range, most);
        pass(&mut |times| times.iter().for_each(|&t| bins.count(t)))?;
        ranges.extend(bins.begin());
        while bins.left > 0 {
            let mut index = 0;
            pass(&mut |times| {
                for &t in times {
                    bins.collect(t, index);
                    index += 1;
                }
            })?;
            bins.end_pass();
        }
        moved += bins.moved;
    }
    Ok(moved)
}

/// The equal bins of a range of times, and what the current pass has collected.
struct Bins {
    low: u64,
    high: u64,
    /// Length of a bin, in time units.
    width: u64,
    /// Number of events that may be held at a time.
    most: usize,
    bins: Vec<Bin>,
    /// Number of bins that are not finished.
    left: usize,
    /// Number of events that all bins hold.
    held: usize,
    /// Bins that hold events, in the order in which they received their first.
    open: Vec<usize>,
    moved: u64,
}

#[derive(Default)]
struct Bin {
    /// Rank of the bin's first event.
    rank: u64,
    /// Number of events in the bin.
    events: u64,
    state: BinState,
    /// Time and index of the events that this pass has collected.
    held: Vec<(u64, u64)>,
    /// Number of events read so far, for a bin that contains a single time. Its events need not be
    /// held, because a stable sort keeps them in file order.
    seen: u64,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum BinState {
    /// The bin has no events, or all have been counted.
    #[default]
    Done,
    /// This pass collects the bin.
    Left,
    /// A later pass collects the bin.
    Later,
}

impl Bins {
    fn new(range: &Range, most: usize) -> Bins {
        let width = (range.high - range.low) / BINS + 1;
        let n = (range.high - range.low) / width + 1;
        let mut bins: Vec<Bin> = std::iter::repeat_with(Bin::default).take(n as usize).collect();
        bins[0].rank = range.rank;
        let (low, high) = (range.low, range.high);
        Bins { low, high, width, most, bins, left: 0, held: 0, open: Vec::new(), moved: 0 }
    }

    fn at(&self, t: u64) -> Option<usize> {
        (self.low..=self.high).contains(&t).then(|| ((t - self.low) / self.width) as usize)
    }

    fn count(&mut self, t: u64) {
        if let Some(bin) = self.at(t) {
            self.bins[bin].events += 1;
        }
    }

    /// Computes the rank of each bin after the counting pass. Returns the bins that do not fit in
    /// memory and must be divided.
    fn begin(&mut self) -> Vec<Range> {
        let (mut rank, mut cut) = (self.bins[0].rank, Vec::new());
        for (i, bin) in self.bins.iter_mut().enumerate() {
            bin.rank = rank;
            rank += bin.events;
            if self.width > 1 && bin.events > self.most as u64 {
                let low = self.low + i as u64 * self.width;
                let high = low.saturating_add(self.width - 1).min(self.high);
                cut.push(Range { low, high, rank: bin.rank });
            } else if bin.events > 0 {
                bin.state = BinState::Left;
                self.left += 1;
            }
        }
        cut
    }

    fn collect(&mut self, t: u64, index: u64) {
        let Some(i) = self.at(t) else { return };
        let bin = &mut self.bins[i];
        if bin.state != BinState::Left {
            return;
        }
        if self.width == 1 {
            self.moved += u64::from(bin.rank + bin.seen != index);
            bin.seen += 1;
            if bin.seen == bin.events {
                bin.state = BinState::Done;
                self.left -= 1;
            }
            return;
        }
        if bin.held.is_empty() {
            self.open.push(i);
        }
        bin.held.push((t, index));
        self.held += 1;
        if bin.held.len() as u64 == bin.events {
            bin.held.sort_unstable();
            let ranked = (bin.rank..).zip(&bin.held);
            self.moved += ranked.filter(|(rank, (_, index))| rank != index).count() as u64;
            self.held -= bin.held.len();
            bin.held = Vec::new();
            bin.state = BinState::Done;
            self.left -= 1;
            self.open.retain(|&open| open != i);
        }
        // If too many events are held, the most recently opened bins wait for a later pass. The bin
        // that has been open longest is kept: it fits in memory, so each pass finishes at least one
        // bin.
        while self.held > self.most && self.open.len() > 1 {
            if let Some(last) = self.open.pop() {
                let bin = &mut self.bins[last];
                self.held -= bin.held.len();
                bin.held = Vec::new();
                bin.state = BinState::Later;
            }
        }
    }

    fn end_pass(&mut self) {
        // If the file has been shortened since the counting pass, a bin never receives its last
        // event; such bins are closed here so that the loop ends.
        for &i in &self.open {
            self.bins[i].held = Vec::new();
            self.bins[i].state = BinState::Done;
            self.left -= 1;
        }
        self.open.clear();
        self.held = 0;
        for bin in self.bins.iter_mut().filter(|bin| bin.state == BinState::Later) {
            bin.state = BinState::Left;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Columns, Event};

    fn found(times: &[u64], most: usize) -> (u64, usize) {
        let mut passes = 0;
        let (low, high) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
        let moved = count(low, high, most, &mut |take| {
            passes += 1;
            times.chunks(7).for_each(take);
            Ok(())
        });
        (moved.unwrap(), passes)
    }

    fn expected(times: &[u64]) -> u64 {
        let columns: Columns = times.iter().map(|&t_us| Event { t_us, x: 0, y: 0, on: true }).collect();
        columns.moved_by_sorting() as u64
    }

    #[test]
    fn local_disorder_takes_two_passes_however_long_the_recording_is() {
        let times: Vec<u64> = (0..100_000u64).map(|i| if i % 50 == 7 { 10 * i - 35 } else { 10 * i }).collect();
        assert_eq!(found(&times, 1000), (expected(&times), 2));
    }

    #[test]
    fn a_recording_that_begins_again_is_counted_in_a_bounded_memory() {
        let times: Vec<u64> = (0..20_000).chain(0..20_000).collect();
        let (moved, passes) = found(&times, 1000);
        assert_eq!(moved, expected(&times));
        assert!(passes <= 2 * 40_000 / 1000, "{passes} passes");
    }

    proptest! {
        #[test]
        fn the_number_is_that_of_sorting_in_memory(
            times in prop::collection::vec(prop_oneof![0u64..40, 0u64..1 << 20, any::<u64>()], 1..300),
            most in 1usize..40,
        ) {
            prop_assert_eq!(found(&times, most).0, expected(&times));
        }
    }
}
