//! Zeros for large tensors, written by all threads: one thread alone would spend longer on a layer's output
//! than the layer does.

use rayon::prelude::*;

/// Below this one thread is as fast.
const FEW: usize = 1 << 16;

/// `n` zeros.
pub(super) fn zeros(n: usize) -> Vec<f32> {
    if n < FEW {
        return vec![0.0; n];
    }
    rayon::iter::repeat_n(0.0f32, n).with_min_len(FEW / 4).collect()
}
