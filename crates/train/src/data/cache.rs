//! Keeps decoded recordings in memory up to a budget, so that later epochs do not decode them.
//!
//! The budget counts the memory that recordings allocate, which may exceed what their events need,
//! and the bytes that a cache on disk has mapped: one budget limits both.

use super::SampleId;
use crate::error::Result;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tickless_events::{Recording, Split};

/// Largest number of bytes that decoded recordings may take.
const BUDGET: u64 = 4 << 30;
/// Bytes of a recording besides its events: slot, reference counts and column headers.
const HEAD: u64 = 160;

/// One slot per sample of each part.
pub(super) struct Cache {
    train: Vec<OnceLock<Arc<Recording>>>,
    test: Vec<OnceLock<Arc<Recording>>>,
    /// Bytes taken by the recordings and by the mapped cache.
    used: AtomicU64,
    kept: AtomicUsize,
    budget: u64,
}

/// Memory that decoded recordings take, and their budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// Number of recordings in memory.
    pub recordings: usize,
    /// Bytes that they and a mapped cache take.
    pub bytes: u64,
    /// Bytes that they and a mapped cache may take.
    pub budget: u64,
}

impl Cache {
    /// A cache for parts of these lengths (training, test); a mapped cache on disk has already
    /// taken `mapped` bytes of the budget.
    pub(super) fn new(lengths: [usize; 2], mapped: u64) -> Self {
        Self::with_budget(lengths, mapped, BUDGET)
    }

    fn with_budget([train, test]: [usize; 2], mapped: u64, budget: u64) -> Self {
        let empty = |n| std::iter::repeat_with(OnceLock::new).take(n).collect();
        let (used, kept) = (AtomicU64::new(mapped), AtomicUsize::new(0));
        Self { train: empty(train), test: empty(test), used, kept, budget }
    }

    pub(super) fn kept(&self) -> Kept {
        let recordings = self.kept.load(Ordering::Relaxed);
        Kept { recordings, bytes: self.used.load(Ordering::Relaxed), budget: self.budget }
    }

    pub(super) fn get(&self, id: SampleId, decode: impl FnOnce() -> Result<Recording>) -> Result<Arc<Recording>> {
        let slots = match id.split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        };
        let slot = slots.get(id.index);
        if let Some(kept) = slot.and_then(OnceLock::get) {
            return Ok(kept.clone());
        }
        let mut recording = decode()?;
        let Some(slot) = slot else { return Ok(Arc::new(recording)) };
        // Decoders reserve memory for more events than some recordings have.
        recording.shrink_to_fit();
        let bytes = recording.memory() as u64 + HEAD;
        let recording = Arc::new(recording);
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        // Another thread may have stored the same recording first; this copy is then not counted.
        if before.saturating_add(bytes) <= self.budget && slot.set(recording.clone()).is_ok() {
            self.kept.fetch_add(1, Ordering::Relaxed);
        } else {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        Ok(recording)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickless_events::{Event, Sensor};

    /// A recording of 1,000 events with memory reserved for 100,000.
    fn recording() -> Result<Recording> {
        let mut events = tickless_events::Columns::with_capacity(100_000);
        events.extend((0..1000).map(|t_us| Event { t_us, x: 1, y: 2, on: true }));
        Ok(Recording::from_columns(Sensor::NMNIST, events)?.0)
    }

    #[test]
    fn the_budget_holds_what_the_recordings_take_and_what_is_mapped() {
        let id = |index| SampleId { split: Split::Train, index };
        for (mapped, fit) in [(0, 3), (20_000, 1), (50_000, 0)] {
            let cache = Cache::with_budget([5, 0], mapped, 40_000);
            let read: Vec<Arc<Recording>> = (0..5).map(|i| cache.get(id(i), recording).unwrap()).collect();
            assert!(read.iter().all(|r| r.memory() < 13_100), "what was reserved is given back");
            let kept = cache.kept();
            assert_eq!(kept.recordings, fit, "{mapped} bytes mapped");
            let taken: usize = read[..fit].iter().map(|r| r.memory() + HEAD as usize).sum();
            assert_eq!(kept.bytes, mapped + taken as u64);
            assert!(kept.bytes <= kept.budget || fit == 0);
            // A stored recording is neither decoded nor counted again.
            for (i, first) in read.iter().enumerate().take(fit) {
                let again = cache.get(id(i), || panic!("decoded again")).unwrap();
                assert!(Arc::ptr_eq(&again, first));
            }
            assert_eq!(cache.kept(), kept);
        }
    }
}
