//! Decides when a test calls a computation hung.
//!
//! If a parser loops for ever or a command ignores a signal, a test must fail instead of stopping
//! the whole suite. The limit is far above the time that any of them needs on a busy machine,
//! because a test asserts that the work ends, not how fast it is.

use std::time::{Duration, Instant};

/// The time after which a test calls a computation hung.
pub const HUNG_AFTER: Duration = Duration::from_secs(180);

/// Runs `work` and returns its result.
///
/// # Panics
/// If `work` took longer than [`HUNG_AFTER`]; the message names `what`.
pub fn ends<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    let taken = begun.elapsed();
    assert!(taken < HUNG_AFTER, "{what} took {taken:?}");
    result
}
