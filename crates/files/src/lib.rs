//! Files that appear whole or not at all, and locks that end with their process.
//!
//! Every file that Tickless writes goes through [`NewFile`] (or [`write()`], for bytes that are already
//! in memory). The content is written into a temporary file beside the target, synced, and renamed
//! over the target, and the folder is synced. A reader, a crash or a full disk at any moment
//! therefore meets the old file or the new one, never half of one.
//!
//! * Every writer has a temporary file of its own, so two writers of one target never mix their bytes:
//!   the last rename decides. Writers that read, change and write a file take a [`Lock`] first.
//! * No name that a writer makes up is followed if somebody has put a symbolic link there.
//! * A target that is a device, a FIFO or a socket is written into, as a shell's `>` does, because a
//!   rename would replace it.
//! * Errors are [`std::io::Error`]; the caller knows the path that it passed and names it.
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let target = folder.path().join("numbers.txt");
//! tickless_files::write(&target, b"1 2 3")?;
//! assert_eq!(std::fs::read(&target)?, b"1 2 3");
//! # Ok::<(), std::io::Error>(())
//! ```
// Printing panics if standard output or standard error cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![deny(unsafe_code)]

mod lock;
mod new_file;
mod temporary;

pub use lock::{Lock, open_no_follow};
pub use new_file::{NewFile, abandon_all, rename, write, write_following};
pub use temporary::sweep;

/// Adds `O_NOFOLLOW`: an open fails if its last component is a symbolic link.
fn no_follow(options: &mut std::fs::OpenOptions) -> &mut std::fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}
