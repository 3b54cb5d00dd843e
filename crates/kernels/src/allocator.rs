//! A program whose allocator is mimalloc keeps the memory that it once had.
//!
//! An iteration drops its feature maps, some hundred megabytes, and the next takes as many. mimalloc
//! gives what lies free for a second back to the system, in pieces, and every page that comes back is a
//! page fault and 4 KiB of zeros: a sixth of the time of an iteration of a large network. Peak memory is
//! the same: what is kept is what the next iteration takes.

use libmimalloc_sys::{mi_option_set_default, mi_option_t, mi_option_use_numa_nodes};

/// Milliseconds until free memory goes back to the system: `mi_option_purge_delay` of `mimalloc.h`, for
/// which the bindings have no name, the one before `mi_option_use_numa_nodes`.
const PURGE_DELAY: mi_option_t = mi_option_use_numa_nodes - 1;

/// For the start of a program: free memory stays with it, unless `MIMALLOC_PURGE_DELAY` is set.
pub fn keep_free_memory() {
    // SAFETY: writes one entry of the allocator's table of options, which has this index, to an aligned
    // number that others read whole.
    unsafe { mi_option_set_default(PURGE_DELAY, -1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_that_is_set_is_the_delay_of_a_second_and_then_none() {
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_some() {
            return println!("skipped: MIMALLOC_PURGE_DELAY is set and has the last word");
        }
        // SAFETY: reads one entry of the table.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        // What `mimalloc.h` and its documentation give as the default tells that this is the right option.
        assert_eq!(delay(), 1000);
        keep_free_memory();
        assert_eq!(delay(), -1);
    }
}
