//! Turns requests to stop into a flag: Ctrl-C, SIGTERM, and SIGHUP when a terminal is closed.
//!
//! The first Ctrl-C or SIGTERM sets the flag; the second ends the process at once. A second SIGHUP
//! does not, because a closing terminal often sends more than one. A process that was started with
//! SIGHUP ignored (`nohup tickless train …`) keeps ignoring it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of a process that was stopped by the user.
const STOPPED: i32 = 130;

/// Sets `stop` when the user asks to stop, then calls `told` on another thread.
///
/// If a handler cannot be installed, the signal ends the process; checkpoints stay whole even then.
pub fn watch(stop: Arc<AtomicBool>, told: impl Fn() + Clone + Send + 'static) {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGTERM};
        let wanted = if is_ignored(SIGHUP) { vec![SIGTERM] } else { vec![SIGTERM, SIGHUP] };
        if let Ok(mut signals) = signal_hook::iterator::Signals::new(wanted) {
            let (stop, told) = (stop.clone(), told.clone());
            std::thread::spawn(move || signals.forever().for_each(|s| request(&stop, s != SIGHUP, &told)));
        }
    }
    let _ = ctrlc::set_handler(move || request(&stop, true, &told));
}

/// Handles one request. If `insists`, a second request ends the process.
fn request(stop: &AtomicBool, insists: bool, told: &impl Fn()) {
    match stop.swap(true, Ordering::SeqCst) {
        false => told(),
        true if insists => end(),
        true => {}
    }
}

/// Ends the process at once and removes incomplete files.
pub fn end() -> ! {
    tickless_files::abandon_all();
    std::process::exit(STOPPED)
}

/// Whether this process was started with the signal ignored. False if the system does not say.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
