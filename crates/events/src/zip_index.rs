//! Opens the index of a zip archive that starts with its file.
//!
//! If the crate `zip` had to detect where an archive starts, it would take the second entry of the index
//! for the first if the first is as long as the records between the index and the end of the archive,
//! which some writers always store: then the name of the first entry has 30 letters.

use std::io::{Read, Seek};
use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipResult;

/// Reads the index of an archive.
///
/// # Errors
/// If the bytes are no archive, or something stands before it.
pub(crate) fn open<R: Read + Seek>(reader: R) -> ZipResult<ZipArchive<R>> {
    ZipArchive::with_config(Config { archive_offset: ArchiveOffset::Known(0) }, reader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};
    use tickless_testing::zip64::with_zip64_records;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    #[test]
    fn an_archive_is_opened_whatever_the_length_of_its_first_name() {
        for length in 1..80 {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            for name in ["n".repeat(length), "second".to_owned()] {
                zip.start_file(name, SimpleFileOptions::default()).unwrap();
                zip.write_all(b"content").unwrap();
            }
            let bytes = zip.finish().unwrap().into_inner();
            for bytes in [with_zip64_records(&bytes), bytes] {
                let zip = open(Cursor::new(bytes)).unwrap_or_else(|e| panic!("a name of {length} letters: {e}"));
                assert_eq!(zip.len(), 2);
            }
        }
    }
}
