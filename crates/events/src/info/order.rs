//! How many events sorting by time moves, of a recording of any length in the memory of a million
//! events, without a temporary file.
//!
//! An event is moved if its rank (how many events come before it once all are sorted stably) is not
//! its index. The times are read several times over. One pass counts the events in each of some
//! thousand equal bins of time, which gives the rank of each bin's first event; the next passes
//! collect bins and sort each as soon as its last event has come. Where the disorder is local, few
//! bins are open at any time and one such pass is enough. A bin that does not fit is left to a
//! later pass, and one with more events than fit at all is cut into bins itself.

use crate::Result;

/// Bins of a pass.
const BINS: u64 = 4096;
/// Events that are collected at a time: 16 bytes each.
const MOST: usize = 1 << 20;

/// Reads all times in their order, and gives each piece of them to what it is called with.
pub type Pass<'a> = dyn FnMut(&mut dyn FnMut(&[u64])) -> Result<()> + 'a;

/// Times of a range, and the rank of the first.
struct Range {
    low: u64,
    high: u64,
    rank: u64,
}

/// The number of events that sorting moves. `low` and `high` are the smallest and the largest time;
/// `pass` reads all times in their order, in pieces.
///
/// # Errors
/// Those of `pass`.
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

/// The bins of a range of times.
struct Bins {
    low: u64,
    high: u64,
    /// Times of a bin.
    width: u64,
    /// Events that may be held.
    most: usize,
    bins: Vec<Bin>,
    /// Bins that are not done.
    left: usize,
    /// Events held by all bins.
    held: usize,
    /// Bins that hold events, in the order in which their first ones came.
    open: Vec<usize>,
    moved: u64,
}

#[derive(Default)]
struct Bin {
    /// Rank of the first event.
    rank: u64,
    /// Events of the bin.
    events: u64,
    state: State,
    /// Time and index of the events that have come in this pass.
    held: Vec<(u64, u64)>,
    /// Events of a single time that have come: they need not be held, their order is that of the file.
    seen: u64,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum State {
    /// Nothing to do, or done.
    #[default]
    Done,
    /// To be collected.
    Left,
    /// To be collected in a later pass.
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

    /// Follows the counting: finds the ranks; returns the bins that have to be cut.
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
                bin.state = State::Left;
                self.left += 1;
            }
        }
        cut
    }

    fn collect(&mut self, t: u64, index: u64) {
        let Some(i) = self.at(t) else { return };
        let bin = &mut self.bins[i];
        if bin.state != State::Left {
            return;
        }
        if self.width == 1 {
            self.moved += u64::from(bin.rank + bin.seen != index);
            bin.seen += 1;
            if bin.seen == bin.events {
                bin.state = State::Done;
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
            bin.state = State::Done;
            self.left -= 1;
            self.open.retain(|&open| open != i);
        }
        // Never the bin that has been open the longest: it fits, so each pass ends at least one.
        while self.held > self.most && self.open.len() > 1 {
            if let Some(last) = self.open.pop() {
                let bin = &mut self.bins[last];
                self.held -= bin.held.len();
                bin.held = Vec::new();
                bin.state = State::Later;
            }
        }
    }

    fn end_pass(&mut self) {
        // A file that has become shorter since it was counted leaves bins that never end.
        for &i in &self.open {
            self.bins[i].held = Vec::new();
            self.bins[i].state = State::Done;
            self.left -= 1;
        }
        self.open.clear();
        self.held = 0;
        for bin in self.bins.iter_mut().filter(|bin| bin.state == State::Later) {
            bin.state = State::Left;
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
