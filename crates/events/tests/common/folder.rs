//! Builds folders for tests.

use std::fs;
use std::path::Path;

/// The name and the bytes of a file.
pub type File = (String, Vec<u8>);

/// Writes files into a folder.
pub fn folder(root: &Path, files: &[File]) {
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}
