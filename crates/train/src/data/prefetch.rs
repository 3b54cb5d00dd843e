//! Prepares batches on another thread while the network trains on the batch before.

use super::{Batch, BatchRequest, SampleId, Source};
use crate::error::Result;
use std::sync::mpsc::sync_channel;

/// Number of prepared batches that may wait.
const AHEAD: usize = 2;

/// Calls `consume` with the index and value of every batch of `order` (chunks of `size` samples),
/// in order. If `whole`, a last chunk with fewer samples is left out. A second thread prepares the
/// batches; `steps` and `augment` are those of [`Source::batch`].
///
/// # Errors
/// The first error of preparation or of `consume`; both stop at it.
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
    prefetch_each(source, chunks, |_| BatchRequest::frames(steps, augment), consume)
}

/// As [`prefetch`], but the caller gives the samples of each batch. `request` returns the content
/// of the batch with this index.
///
/// # Errors
/// As [`prefetch`].
pub fn prefetch_each(
    source: &Source,
    chunks: Vec<&[SampleId]>,
    request: impl Fn(usize) -> BatchRequest + Send,
    mut consume: impl FnMut(usize, Batch) -> Result<()>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let (send, receive) = sync_channel(AHEAD);
        scope.spawn(move || {
            for (k, chunk) in chunks.into_iter().enumerate() {
                let batch = source.batch_of(chunk, request(k));
                let failed = batch.is_err();
                // The channel is closed if the consumer has stopped, so no more batches are needed.
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
