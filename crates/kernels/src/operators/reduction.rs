//! Turns sums over a part of a batch into sums over the whole batch.

use super::NormSums;
use std::fmt::Debug;
use std::sync::Arc;

/// A batch that is shared; this computation has one part of it.
pub trait SharedBatch: Debug + Send + Sync {
    /// Replaces sums over this part by the sums over all parts.
    ///
    /// A backward pass cannot return an error. An implementation that fails leaves the values
    /// unchanged and keeps the error for the caller of the backward pass.
    fn sum(&self, values: &mut [f64]);
}

/// The operation that turns sums over a part of a batch into sums over the whole batch.
#[derive(Debug, Clone, Default)]
pub struct Reduction(Option<Arc<dyn SharedBatch>>);

impl Reduction {
    /// The reduction of a part that is the whole batch: it does nothing.
    pub fn whole() -> Self {
        Self(None)
    }

    /// The reduction that calls `batch`.
    pub fn over(batch: Arc<dyn SharedBatch>) -> Self {
        Self(Some(batch))
    }

    /// Replaces the sums by sums over the whole batch, in one call of [`SharedBatch::sum`].
    pub(crate) fn apply<'a>(&self, sums: impl Iterator<Item = &'a mut NormSums>) {
        let Some(batch) = &self.0 else { return };
        let sums: Vec<&mut NormSums> = sums.collect();
        let mut all: Vec<f64> = sums.iter().flat_map(|s| s.shift.iter().chain(&s.product).copied()).collect();
        if all.is_empty() {
            return;
        }
        batch.sum(&mut all);
        let mut rest = all.as_slice();
        for s in sums {
            for part in [&mut s.shift, &mut s.product] {
                let (own, others) = rest.split_at(part.len());
                part.copy_from_slice(own);
                rest = others;
            }
        }
    }
}
