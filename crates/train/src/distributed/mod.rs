//! Data-parallel training: several workers train one network, and each runs its part of every
//! batch.
//!
//! The result is that of one worker with the whole batch. A batch of B samples is cut into
//! consecutive parts, worker r of P takes samples B·r/P to B·(r+1)/P, and the workers sum four
//! things:
//!
//! ```text
//! batch norm forward    n, Σ x, Σ x²  of every channel       (f64; hence μ, σ² of the whole batch)
//! batch norm backward   Σ G, Σ G·x̂   of every channel       (f64)
//! gradients             g = Σ_r (B_r/B)·g_r                   (once an iteration)
//! loss and accuracy     L = Σ_r (B_r/B)·L_r, counts
//! ```
//!
//! Order, augmentation and temporal configurations need no message, because every worker draws
//! them from the seed and the position (see [`crate::seed`]). The weights stay equal to the bit,
//! because every worker gets sums that were added in rank order.
//!
//! A [`Group`] connects the workers: [`threads`] of this process, or processes on several hosts
//! (`mpi`, behind the feature of that name). Burn 0.22 has distributed training of its own
//! (`burn::tensor::distributed`), but it reduces tensors of CUDA devices through NCCL only: on the
//! CPU's backend `all_reduce` is `unimplemented!()`, and Vulkan is not supported. Workers on GPUs
//! therefore send their sums through the host as all workers do: the moments of norms and, once an
//! iteration, the gradients.

mod batch;
mod gradients;
pub mod launch;
#[cfg(feature = "mpi")]
pub mod mpi;
mod norm;
pub mod threads;

pub(crate) use batch::WholeBatch;
pub(crate) use gradients::sum_gradients;
pub(crate) use norm::{Normalised, batch_norm};

use crate::error::Result;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// Workers that train one network together. Every worker must call the same operations in the same
/// order.
///
/// # Errors
/// Once a worker has left, every operation fails with [`crate::Error::WorkerLeft`].
pub trait Group: Debug + Send + Sync {
    /// This worker's rank, from 0.
    fn rank(&self) -> usize;

    /// Number of workers.
    fn size(&self) -> usize;

    /// All-reduce: replaces each value by its sum over the workers. The values are added in rank
    /// order, so every worker gets the same bits.
    fn sum_f64(&self, values: &mut [f64]) -> Result<()>;

    /// As [`sum_f64`](Self::sum_f64); the values are added in f64 and rounded once.
    fn sum_f32(&self, values: &mut [f32]) -> Result<()>;

    /// Replaces the bytes by those of rank 0.
    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<()>;

    /// Waits until every worker has called this.
    fn barrier(&self) -> Result<()>;
}

/// This worker's rank in a group of workers; the default is [`alone`](Self::alone), for which every
/// operation returns at once.
#[derive(Debug, Clone, Default)]
pub struct Ranks(Option<Arc<dyn Group>>);

/// Equal if both are the same rank of the same group.
impl PartialEq for Ranks {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Ranks {
    /// The only worker.
    pub fn alone() -> Self {
        Self(None)
    }

    /// A member of a group; a group of one gives [`alone`](Self::alone).
    pub fn of(group: Arc<dyn Group>) -> Self {
        Self((group.size() > 1).then_some(group))
    }

    /// Whether there are no other workers.
    pub fn is_alone(&self) -> bool {
        self.0.is_none()
    }

    /// This worker's rank, from 0.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |g| g.rank())
    }

    /// Whether this worker has rank 0, which writes the files and reports to the user.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Number of workers.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |g| g.size())
    }

    /// This worker's part of `n` items. Parts are consecutive, and their lengths differ by at most
    /// 1.
    pub fn share(&self, n: usize) -> Range<usize> {
        let (r, p) = (self.rank(), self.size());
        n * r / p..n * (r + 1) / p
    }

    /// Sums over the workers; see [`Group::sum_f64`].
    ///
    /// # Errors
    /// If a worker has left.
    pub fn sum_f64(&self, values: &mut [f64]) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |g| g.sum_f64(values))
    }

    /// Sums over the workers; see [`Group::sum_f32`].
    ///
    /// # Errors
    /// If a worker has left.
    pub fn sum_f32(&self, values: &mut [f32]) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |g| g.sum_f32(values))
    }

    /// Calls `make` on rank 0 only and returns its bytes on every worker.
    ///
    /// # Errors
    /// The error of `make` (on rank 0), or if a worker has left.
    pub fn from_first(&self, make: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        let mut bytes = if self.is_first() { make()? } else { Vec::new() };
        self.0.as_ref().map_or(Ok(()), |g| g.broadcast(&mut bytes))?;
        Ok(bytes)
    }

    /// Waits until every worker has called this.
    ///
    /// # Errors
    /// If a worker has left.
    pub fn barrier(&self) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |g| g.barrier())
    }

    /// Runs `work` on rank 0 and afterwards on all other workers, which may use what rank 0 has
    /// written.
    ///
    /// # Errors
    /// The error of `work`, or if a worker has left.
    pub fn first_then_all<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.is_first() {
            let done = work()?;
            self.barrier()?;
            return Ok(done);
        }
        self.barrier()?;
        work()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alone_has_everything_and_changes_nothing() {
        let alone = Ranks::alone();
        let mut values = [0.1f64, -3.0];
        alone.sum_f64(&mut values).unwrap();
        assert_eq!(values, [0.1, -3.0]);
        assert_eq!((alone.share(7), alone.rank(), alone.size()), (0..7, 0, 1));
        assert_eq!(alone.from_first(|| Ok(vec![1, 2])).unwrap(), [1, 2]);
    }

    #[test]
    fn shares_are_consecutive_and_leave_nothing_out() {
        for p in 1..6 {
            let parts = threads::run(p, 1, |ranks| Ok(ranks.share(11))).unwrap();
            assert_eq!(parts.iter().flat_map(Clone::clone).collect::<Vec<_>>(), (0..11).collect::<Vec<_>>());
            assert!(parts.iter().all(|s| s.len().abs_diff(11 / p) <= 1));
        }
    }
}
