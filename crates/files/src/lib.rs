//! Writes files completely or not at all, and provides locks that end with their process.
//!
//! Tickless writes every file through [`NewFile`], or through [`write()`] if the bytes are already
//! in memory. The content is written to a temporary file beside the target and synced; then the
//! temporary file is renamed to the target, and the folder is synced. After a crash or with a full
//! disk, a reader therefore finds either the old file or the new one, never a part of one.
//!
//! * Each writer has its own temporary file. If two writers replace the same target, their bytes
//!   never mix, and the last rename wins. A writer that reads, changes and writes a file must take
//!   a [`Lock`] first.
//! * If somebody has put a symbolic link at a name that a writer made up, the link is not followed.
//! * If the target is a device, a FIFO or a socket, the content is written into it, as a shell's
//!   `>` does, because a rename would replace the target.
//! * Errors are [`std::io::Error`] without the path; the caller knows the path and adds it.
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let target = folder.path().join("numbers.txt");
//! tickless_files::write(&target, b"1 2 3")?;
//! assert_eq!(std::fs::read(&target)?, b"1 2 3");
//! # Ok::<(), std::io::Error>(())
//! ```
// The print macros panic if standard output or standard error cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![deny(unsafe_code)]

mod lock;
mod new_file;
mod temporary;

pub use lock::{Lock, open_no_follow};
pub use new_file::{NewFile, abandon_all, rename, write, write_following};
pub use temporary::sweep;

/// Adds `O_NOFOLLOW`, so that opening fails if the path's last component is a symbolic link.
fn no_follow(options: &mut std::fs::OpenOptions) -> &mut std::fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}
