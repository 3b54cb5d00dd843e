//! Decoded recordings kept in memory up to a budget, so that the second epoch decodes nothing.

use super::SampleId;
use crate::error::Result;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tickless_events::{Recording, Split};

/// Bytes of decoded recordings that are kept at most.
const BUDGET: u64 = 4 << 30;
/// Bytes of one event in memory: time 8, x 2, y 2, polarity 1.
const EVENT: u64 = 13;

/// One slot per sample.
pub(super) struct Cache {
    train: Vec<OnceLock<Arc<Recording>>>,
    test: Vec<OnceLock<Arc<Recording>>>,
    used: AtomicU64,
}

impl Cache {
    pub(super) fn new([train, test]: [usize; 2]) -> Self {
        let empty = |n| std::iter::repeat_with(OnceLock::new).take(n).collect();
        Self { train: empty(train), test: empty(test), used: AtomicU64::new(0) }
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
        let recording = Arc::new(decode()?);
        let bytes = recording.len() as u64 * EVENT;
        if let Some(slot) = slot
            && self.used.fetch_add(bytes, Ordering::Relaxed) + bytes <= BUDGET
        {
            // Another thread may have been faster; both decoded the same.
            let _ = slot.set(recording.clone());
        } else {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        Ok(recording)
    }
}
