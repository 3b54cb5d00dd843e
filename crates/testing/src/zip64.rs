//! Zip archives as writers store them that always use the records for large archives.
//!
//! Between its index and its end, such an archive has the record of the end for large archives (56
//! bytes) and the locator of this record (20 bytes). `torch.save` writes them always, most writers only
//! if an archive is large.

/// The same archive with these records; `bytes` is an archive of few entries without a comment.
///
/// # Panics
/// If `bytes` is shorter than the end of an archive.
pub fn with_zip64_records(bytes: &[u8]) -> Vec<u8> {
    let (front, end) = bytes.split_at(bytes.len() - 22);
    let entries = u64::from(u16::from_le_bytes([end[10], end[11]]));
    let number = |at: usize| u64::from(u32::from_le_bytes([end[at], end[at + 1], end[at + 2], end[at + 3]]));
    let (size, index) = (number(12), number(16));
    let mut all = front.to_vec();
    all.extend(b"PK\x06\x06");
    all.extend(44u64.to_le_bytes());
    // Version of the writer, version needed, this disk, the disk of the index.
    all.extend([0x1e, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    [entries, entries, size, index].iter().for_each(|n| all.extend(n.to_le_bytes()));
    all.extend(b"PK\x06\x07\0\0\0\0");
    all.extend((front.len() as u64).to_le_bytes());
    all.extend(1u32.to_le_bytes());
    all.extend(end);
    all
}
