//! Runs a pass on a thread of rayon's pool.
//!
//! A pass is some hundred parallel loops, one after the other. If the caller is outside the pool,
//! each loop wakes the pool, runs there while the caller sleeps, and wakes the caller. If the
//! caller is a thread of the pool, it computes the first part of each loop itself, and the code
//! between loops stays on that thread. On two cores a small network trains some 5 % faster so
//! (`benches/RESULTS.md`).

use burn::tensor::Device;

/// Runs `work` on a thread of the pool, where the device is the CPU. Nothing in it may wait for
/// work that needs the same pool; a GPU's queue belongs to the thread that fills it, which is not
/// changed.
pub(crate) fn on_compute_thread<T: Send>(device: &Device, work: impl FnOnce() -> T + Send) -> T {
    if *device == Device::flex() { rayon::scope(|_| work()) } else { work() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_on_a_thread_of_the_pool_and_stays_in_the_pool_it_is_in() {
        assert_eq!(rayon::current_thread_index(), None);
        assert!(on_compute_thread(&Device::flex(), rayon::current_thread_index).is_some());
        let own = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(own.install(|| on_compute_thread(&Device::flex(), rayon::current_num_threads)), 3);
    }
}
