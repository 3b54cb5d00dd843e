//! The comparison of two lists of values whose sums were formed in different orders.

/// Asserts that no value deviates by more than `relative` times the largest expected one, which
/// counts as 0.001 at least.
///
/// # Panics
/// If a value deviates by more, or if there are not as many as expected.
#[track_caller]
pub fn close(what: &str, got: &[f32], want: &[f32], relative: f32) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (i, (x, y)) in got.iter().zip(want).enumerate() {
        assert!((x - y).abs() <= relative * largest, "{what}: value {i} is {x}, expected {y} (largest {largest})");
    }
}
