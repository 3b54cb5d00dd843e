//! [`WholeBatch`]: the batch that workers share, for the norms of one pass.
//!
//! Batch norm normalises by the whole batch, of which each worker has a part. In the forward pass
//! [`WholeBatch::moments`] combines the moments of all parts; in the backward pass the autodiff
//! rule passes Σ G and Σ G·(x − μ) to a [`Reduction`], which sums them over the workers. Burn's
//! backward pass cannot return an error, so the first failure is stored until the caller asks
//! [`WholeBatch::check`].

use super::Ranks;
use crate::error::{Error, Result};
use std::sync::{Arc, Mutex, PoisonError};
use tickless_kernels::Moments;
use tickless_kernels::operators::{Reduction, SharedBatch};

/// The batch of one pass over all workers.
#[derive(Debug, Default)]
pub(crate) struct WholeBatch {
    ranks: Ranks,
    /// The first error of the backward pass.
    failure: Mutex<Option<Error>>,
}

impl WholeBatch {
    /// The batch that these workers share.
    pub(crate) fn of(ranks: &Ranks) -> Arc<Self> {
        Arc::new(Self { ranks: ranks.clone(), failure: Mutex::default() })
    }

    /// Whether this worker has the whole batch.
    pub(crate) fn is_here(&self) -> bool {
        self.ranks.is_alone()
    }

    /// The place in the whole batch of the first of this worker's `own` samples.
    ///
    /// # Errors
    /// If a worker has left.
    pub(crate) fn first_sample(&self, own: usize) -> Result<usize> {
        if self.is_here() {
            return Ok(0);
        }
        let mut all = [own as f64];
        self.total(&mut all)?;
        Ok(self.ranks.share(all[0] as usize).start)
    }

    /// The operation with which a backward pass sums over the batch.
    pub(crate) fn reduction(self: &Arc<Self>) -> Reduction {
        if self.is_here() { Reduction::whole() } else { Reduction::over(self.clone()) }
    }

    /// All-reduce: replaces each value by its sum over the workers.
    ///
    /// # Errors
    /// If a worker has left.
    pub(crate) fn total(&self, values: &mut [f64]) -> Result<()> {
        self.ranks.sum_f64(values)
    }

    /// Replaces the moments of this worker's part by those of the whole batch.
    ///
    /// # Errors
    /// If a worker has left; the moments then stay as they were.
    pub(crate) fn moments(&self, all: &mut [Option<Moments>]) -> Result<()> {
        if self.is_here() || all.iter().all(Option::is_none) {
            return Ok(());
        }
        let mut sums: Vec<f64> = Vec::new();
        for m in all.iter().flatten() {
            sums.push(m.count);
            sums.extend(m.mean.iter().map(|mean| m.count * mean));
            sums.extend(m.mean.iter().zip(&m.variance).map(|(mean, v)| m.count * (v + mean * mean)));
        }
        self.total(&mut sums)?;
        let mut rest = sums.as_slice();
        for m in all.iter_mut().flatten() {
            let channels = m.mean.len();
            let (own, others) = rest.split_at(1 + 2 * channels);
            m.count = own[0];
            let (sum, square) = own[1..].split_at(channels);
            m.mean = sum.iter().map(|s| s / m.count).collect();
            m.variance = square.iter().zip(&m.mean).map(|(q, mean)| (q / m.count - mean * mean).max(0.0)).collect();
            rest = others;
        }
        Ok(())
    }

    /// Returns the error that the backward pass could not return. The caller must call this after
    /// the backward pass, before it uses the gradients.
    ///
    /// # Errors
    /// If a worker has left during the pass.
    pub(crate) fn check(&self) -> Result<()> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

impl SharedBatch for WholeBatch {
    fn sum(&self, values: &mut [f64]) {
        if let Err(error) = self.total(values) {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributed::Group;

    /// A group whose other worker has left.
    #[derive(Debug)]
    struct Left;

    impl Group for Left {
        fn rank(&self) -> usize {
            0
        }

        fn size(&self) -> usize {
            2
        }

        fn sum_f64(&self, _: &mut [f64]) -> Result<()> {
            Err(Error::WorkerLeft { rank: 1 })
        }

        fn sum_f32(&self, _: &mut [f32]) -> Result<()> {
            Err(Error::WorkerLeft { rank: 1 })
        }

        fn broadcast(&self, _: &mut Vec<u8>) -> Result<()> {
            Err(Error::WorkerLeft { rank: 1 })
        }

        fn barrier(&self) -> Result<()> {
            Err(Error::WorkerLeft { rank: 1 })
        }
    }

    #[test]
    fn a_worker_that_leaves_is_an_error_of_the_moments_and_of_the_backward_pass() {
        let batch = WholeBatch::of(&Ranks::of(Arc::new(Left)));
        let moments = Moments { mean: vec![1.0], variance: vec![2.0], count: 3.0 };
        let mut all = [Some(moments), None];
        assert!(matches!(batch.moments(&mut all), Err(Error::WorkerLeft { rank: 1 })));
        assert_eq!(all[0].as_ref().map(|m| m.count), Some(3.0));
        assert!(batch.check().is_ok());
        let mut values = [1.0, 2.0];
        SharedBatch::sum(&*batch, &mut values);
        assert_eq!(values, [1.0, 2.0]);
        assert!(matches!(batch.check(), Err(Error::WorkerLeft { rank: 1 })));
    }
}
