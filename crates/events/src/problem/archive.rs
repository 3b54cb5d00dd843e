//! The problems of archives and of their members.

/// Why a member of an archive, or the archive, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveProblem {
    /// The name begins at the root of the file system.
    #[error("an absolute name")]
    Absolute,
    /// The name leads out of the folder to which the archive is unpacked.
    #[error("a name that leads out of its folder")]
    LeadsOutOfFolder,
    /// The name leads out of the archive.
    #[error("the name leads out of the archive")]
    LeadsOut,
    /// The name contains a colon or control characters, which some systems do not accept.
    #[error("a name that is not portable")]
    NotPortable,
    /// The entry is neither a plain file nor a folder.
    #[error("a link or a device")]
    LinkOrDevice,
    /// The member is a symbolic link.
    #[error("a symbolic link, which holds the name of another file")]
    Link,
    /// Two entries have one path.
    #[error("is there twice")]
    Twice,
    /// An entry describes a member that does not follow it.
    #[error("is described, and does not follow")]
    NotFollowed,
    /// An entry that describes a member is longer than such an entry can be.
    #[error("{what} of {size} bytes; at most {limit} are read")]
    LongEntry {
        /// What the entry holds.
        what: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The largest size in bytes that is read.
        limit: u64,
    },
    /// The size of a member is not in its header.
    #[error("a size outside its header (above 8 GiB)")]
    SizeElsewhere,
    /// A sparse file.
    #[error("a file with holes")]
    Holes,
    /// The archive unpacks to more bytes than an archive of its size may hold.
    #[error("with it the files grow beyond what an archive of this size may hold")]
    Grows,
    /// The entries that are skipped have more bytes than an archive of this size may hold.
    #[error("a broken archive ({reason})")]
    GrowsUnseen {
        /// The reader's reason.
        reason: String,
    },
    /// The archive has too many entries.
    #[error("is beyond the limit of {limit} entries")]
    Entries {
        /// The largest number of entries.
        limit: u64,
    },
    /// A member is larger than a recording can be.
    #[error("more than {limit_mb} MB out of {packed_kb} KB, no recording is that long")]
    Bomb {
        /// The largest accepted size in units of 2²⁰ bytes.
        limit_mb: u64,
        /// The compressed size in units of 2¹⁰ bytes.
        packed_kb: u64,
    },
    /// The member is encrypted.
    #[error("encrypted")]
    Encrypted,
    /// The member is compressed with a method that is not read.
    #[error("packed with {method}")]
    Method {
        /// The method.
        method: String,
    },
    /// An archive in an archive in an archive.
    #[error("an archive in an archive in an archive")]
    Nested,
    /// The archives in an archive refer to the same bytes.
    #[error("archives that share their bytes")]
    SharedBytes,
    /// An archive in an archive is compressed, so it cannot be read in place.
    #[error("an archive that is compressed inside another archive")]
    Compressed,
}
