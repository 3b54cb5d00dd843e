//! Continues a clock that wraps around to 0: 32 bits in DAT and AEDAT 2.0 (after 71.6 minutes), 23
//! bits in N-MNIST's files (after 8.4 s).
//!
//! If a time falls by half of the clock's range or more, the clock has overflowed, and the range is
//! added to all later times. A smaller fall is disorder and is kept: sorting moves those events.
//! Near an overflow both occur: a late event from before the overflow appears as a rise by nearly
//! the whole range, so it gets the time from before the overflow.

/// The state of a clock of `BITS` bits. See the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock<const BITS: u32> {
    literal: bool,
    /// The last time, as stored.
    last: Option<u64>,
    /// Number of overflows before the last time.
    turns: u64,
    /// Number of overflows found.
    overflows: u64,
}

impl<const BITS: u32> Clock<BITS> {
    const RANGE: u64 = 1 << BITS;
    /// The smallest fall that counts as an overflow.
    const HALF: u64 = Self::RANGE / 2;
    /// The longest delay of an event from before an overflow that comes after it: 16.8 s for 32
    /// bits. A pause of nearly the whole range after an overflow looks the same, but is rarer than
    /// disorder.
    const LATEST: u64 = Self::RANGE >> 8;

    /// Creates a clock before its first event. If `literal` is true, times stay as stored.
    pub fn new(literal: bool) -> Clock<BITS> {
        Clock { literal, ..Clock::default() }
    }

    /// Number of overflows of the clock so far.
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// Continues the next times of the file in place. All must be below the clock's range.
    #[inline(always)]
    pub fn follow(&mut self, times: &mut [u64]) {
        let (Some(&first), Some(&end), false) = (times.first(), times.last(), self.literal) else { return };
        // A fall or rise by half the range changes the highest bit, which hardly ever occurs within
        // a block. Two reductions that the compiler vectorises rule it out.
        let before = self.last.unwrap_or(first);
        let (mut any, mut all) = (before, before);
        for &t in &*times {
            any |= t;
            all &= t;
        }
        if (any ^ all) & Self::HALF != 0 {
            return self.follow_each(times);
        }
        self.last = Some(end);
        if self.turns > 0 {
            times.iter_mut().for_each(|t| *t += self.turns * Self::RANGE);
        }
    }

    #[cold]
    #[inline(never)]
    fn follow_each(&mut self, times: &mut [u64]) {
        for t in times {
            let last = self.last.replace(*t).unwrap_or(*t);
            if last.saturating_sub(*t) >= Self::HALF {
                self.turns += 1;
                self.overflows = self.overflows.max(self.turns);
            } else if self.turns > 0 && t.saturating_sub(last) >= Self::RANGE - Self::LATEST {
                self.turns -= 1;
            }
            *t += self.turns * Self::RANGE;
        }
    }

    /// For writers: the value to store for `t_us`, or `None` if this clock would not restore it to
    /// `t_us`.
    pub fn store(&mut self, t_us: u64) -> Option<u64> {
        let stored = t_us % Self::RANGE;
        let mut found = [stored];
        self.follow(&mut found);
        (found[0] == t_us).then_some(stored)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RANGE: u64 = 1 << 32;
    const HALF: u64 = RANGE / 2;

    fn follow(stored: &[u64], blocks: usize) -> (Vec<u64>, u64) {
        let (mut clock, mut times) = (Clock::<32>::default(), stored.to_vec());
        times.chunks_mut(blocks).for_each(|block| clock.follow(block));
        (times, clock.overflows())
    }

    #[test]
    fn a_fall_of_half_the_range_is_an_overflow_and_less_is_disorder() {
        let end = RANGE - 1;
        for (stored, times, overflows) in [
            (vec![end, 3, 9], vec![end, RANGE + 3, RANGE + 9], 1),
            (vec![HALF, 0], vec![HALF, RANGE], 1),
            (vec![HALF, 1], vec![HALF, 1], 0),
            (vec![HALF - 1, 0, 5], vec![HALF - 1, 0, 5], 0),
            // A rise by more than half the range is not an overflow, neither before nor after one.
            (vec![0, end, 1, HALF + 2], vec![0, end, RANGE + 1, RANGE + HALF + 2], 1),
            // A late event from before the overflow.
            (vec![end - 9, 2, end - 4, 3], vec![end - 9, RANGE + 2, end - 4, RANGE + 3], 1),
            (vec![end, 0, end, 0, HALF + 9, 7], vec![end, RANGE, end, RANGE, RANGE + HALF + 9, 2 * RANGE + 7], 2),
        ] {
            for blocks in 1..=stored.len() {
                assert_eq!(follow(&stored, blocks), (times.clone(), overflows), "{stored:?} in {blocks}");
            }
        }
    }

    #[test]
    fn literal_times_stay_as_they_are_stored() {
        let (mut clock, mut times) = (Clock::<32>::new(true), [RANGE - 1, 0]);
        clock.follow(&mut times);
        assert_eq!((times, clock.overflows()), ([RANGE - 1, 0], 0));
    }

    #[test]
    fn a_writer_is_told_which_times_come_back() {
        let mut clock = Clock::<32>::new(false);
        let times = [HALF + 9, 3, RANGE + 4, 5 * RANGE];
        assert_eq!(times.map(|t| clock.store(t)), [Some(HALF + 9), None, Some(4), None]);
    }

    proptest! {
        #[test]
        fn rising_times_are_found_again(first in 0..RANGE, gaps in prop::collection::vec(0..HALF, 0..60), blocks in 1usize..70) {
            let times: Vec<u64> = gaps.iter().scan(first, |t, gap| { *t += gap; Some(*t) }).collect();
            let stored: Vec<u64> = times.iter().map(|t| t % RANGE).collect();
            let turns = times.first().map_or(0, |t| t / RANGE);
            let (found, _) = follow(&stored, blocks);
            prop_assert_eq!(found, times.iter().map(|t| t - turns * RANGE).collect::<Vec<_>>());
        }
    }
}
