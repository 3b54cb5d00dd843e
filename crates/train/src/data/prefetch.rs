//! Batches prepared by another thread while the network trains on the one before.

use super::{Batch, SampleId, Source};
use crate::error::Result;
use std::sync::mpsc::sync_channel;

/// Batches that may wait to be used.
const AHEAD: usize = 2;

/// Calls `consume` with every batch of `order` (chunks of `size`), in order; a last chunk that
/// is not whole is left out if `whole`. Preparation runs ahead in a thread of its own.
///
/// # Errors
/// The first error of either side; nothing more is prepared after it.
pub fn prefetch(
    source: &Source,
    order: &[SampleId],
    size: usize,
    whole: bool,
    steps: usize,
    augment: Option<(u64, u64)>,
    consume: impl FnMut(usize, Batch) -> Result<()>,
) -> Result<()> {
    let chunks = if whole { order.chunks_exact(size).collect() } else { order.chunks(size).collect() };
    prefetch_each(source, chunks, steps, augment, consume)
}

/// As [`prefetch`], with each batch's samples given.
///
/// # Errors
/// As [`prefetch`].
pub fn prefetch_each(
    source: &Source,
    chunks: Vec<&[SampleId]>,
    steps: usize,
    augment: Option<(u64, u64)>,
    mut consume: impl FnMut(usize, Batch) -> Result<()>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let (send, receive) = sync_channel(AHEAD);
        scope.spawn(move || {
            for chunk in chunks {
                let batch = source.batch(chunk, steps, augment);
                let failed = batch.is_err();
                // A closed channel means the consumer has stopped: nothing is wanted any more.
                if send.send(batch).is_err() || failed {
                    return;
                }
            }
        });
        for (k, batch) in receive.iter().enumerate() {
            consume(k, batch?)?;
        }
        Ok(())
    })
}
