//! Makes the mimalloc allocator keep freed memory instead of returning it to the operating system.
//!
//! A training iteration frees some hundred megabytes of feature maps, and the next iteration
//! allocates as many. By default mimalloc returns memory that has been free for one second to the
//! system, piece by piece. Every page that is allocated again then costs a page fault and zeroing
//! 4 KiB: a sixth of the iteration time of a large network. Keeping the memory does not raise the
//! peak, because the next iteration allocates it again.

use libmimalloc_sys::{mi_option_set_default, mi_option_t, mi_option_use_numa_nodes};

/// `mi_option_purge_delay` of `mimalloc.h`: how many milliseconds memory stays free before mimalloc
/// returns it to the system. The bindings do not name this option; it is the one before
/// `mi_option_use_numa_nodes`.
const PURGE_DELAY: mi_option_t = mi_option_use_numa_nodes - 1;

/// Makes mimalloc keep freed memory, unless the environment sets `MIMALLOC_PURGE_DELAY`. Call it at
/// the start of the program.
pub fn keep_free_memory() {
    // SAFETY: the call writes one entry of mimalloc's option table at a valid index. The entry is
    // an aligned number, which other threads read atomically.
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
        // SAFETY: the call reads one entry of the option table.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        // `mimalloc.h` documents 1000 as the default, so this value identifies the right option.
        assert_eq!(delay(), 1000);
        keep_free_memory();
        assert_eq!(delay(), -1);
    }
}
