//! Spike difference: the distance between the outputs of two runs.
//!
//! ```text
//! SD(s0, s) = Σ|s0[i] − s[i]| / Σ s0[i]        0/0 = 0,  x/0 = ∞
//! ```
//!
//! s0 is the reference. Source: the spike difference of Du et al., ICLR 2025 (arXiv 2503.17394). If
//! the reference is silent and the other output is not, the result is infinite, so that it does not
//! pass for agreement.

/// SD of `s` from the reference `s0`. Missing values of the shorter slice count as zero.
///
/// ```
/// use tickless_engine::spike_difference;
/// assert_eq!(spike_difference(&[4.0, 0.0], &[3.0, 1.0]), 0.5);
/// assert_eq!(spike_difference(&[0.0, 0.0], &[0.0, 0.0]), 0.0);
/// assert_eq!(spike_difference(&[0.0, 0.0], &[0.0, 1.0]), f64::INFINITY);
/// ```
pub fn spike_difference(s0: &[f64], s: &[f64]) -> f64 {
    let count = |v: &[f64], i: usize| v.get(i).copied().unwrap_or(0.0);
    let apart: f64 = (0..s0.len().max(s.len())).map(|i| (count(s0, i) - count(s, i)).abs()).sum();
    let total: f64 = s0.iter().sum();
    if apart == 0.0 {
        0.0
    } else if total == 0.0 {
        f64::INFINITY
    } else {
        apart / total
    }
}
