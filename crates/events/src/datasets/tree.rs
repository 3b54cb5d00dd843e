//! The files of a data set, listed: those of a folder and its sub-folders, and those in zip
//! archives, which count as folders of their own name.
//!
//! Only names are read. `a/b.zip` with the member `c/d.bin` gives the path `a/b/c/d.bin`. An
//! archive may lie in another one if it is stored there without compression. `b.zip` beside a folder
//! `b` has been unpacked and is left out.

use std::path::Path;
use std::sync::Arc;

use super::archive::Archive;
use super::files;
use super::place::Place;
use crate::{Error, Result};

/// Folders in each other at most.
const DEEPEST: usize = 12;
/// Archives in each other at most.
const DEEPEST_ARCHIVE: usize = 2;

/// A file of the data set.
pub struct Leaf {
    /// Its path below the root, parted by `/`.
    pub path: Box<str>,
    /// Where its bytes are.
    pub place: Place,
}

/// All files below `root`, a folder or a zip archive, in no particular order.
///
/// # Errors
/// [`Error::Io`], [`Error::Unexpected`] for an archive that cannot be read or is made to do harm, an
/// empty folder (a class without a recording would be overlooked), a link that leads back, and
/// folders that go too deep.
pub fn list(root: &Path) -> Result<Vec<Leaf>> {
    let mut leaves = Vec::new();
    if root.is_dir() {
        folder(root, "", 0, &mut leaves)?;
    } else {
        members(Archive::open(root)?, "", 1, &mut leaves)?;
    }
    Ok(leaves)
}

fn folder(path: &Path, below: &str, depth: usize, leaves: &mut Vec<Leaf>) -> Result<()> {
    let refuse = |problem, remedy| Err(Error::unexpected(path.display().to_string(), problem, remedy));
    if depth > DEEPEST {
        return refuse("folders too deep in each other", "give a folder nearer to the recordings");
    }
    // Found at the link itself, since several would be walked for ever before they are too deep.
    if depth > 0 && path.is_symlink() && leads_back(path) {
        return refuse("a link that leads back to a folder above", "remove it");
    }
    let entries = files::entries(path)?;
    if entries.is_empty() {
        return refuse("an empty folder", "remove it, or put its recordings there");
    }
    let archive = |p: &&std::path::PathBuf| p.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip")) && p.is_file();
    let unpacked = |p: &Path| p.with_extension("").is_dir();
    // An archive may have been unpacked beside itself: its recordings would count twice.
    if entries.iter().any(|p| p.is_dir())
        && let Some(left) = entries.iter().find(|p| archive(p) && !unpacked(p))
    {
        let remedy = "move the archive away if it is unpacked, or unpack it";
        return Err(Error::unexpected(left.display().to_string(), "an archive beside folders", remedy));
    }
    for entry in entries {
        if archive(&&entry) && unpacked(&entry) {
            continue;
        }
        let Some(name) = entry.file_name().and_then(|n| n.to_str()) else {
            let (file, remedy) = (entry.display().to_string(), "rename it");
            return Err(Error::unexpected(file, "a name that is not Unicode", remedy));
        };
        let below = format!("{below}{name}");
        if entry.is_dir() {
            folder(&entry, &format!("{below}/"), depth + 1, leaves)?;
        } else if let Some(stem) = zip_stem(&below) {
            members(Archive::open(&entry)?, &format!("{stem}/"), 1, leaves)?;
        } else {
            leaves.push(Leaf { path: below.into(), place: Place::File(entry) });
        }
    }
    Ok(())
}

/// Whether the folder that a link leads to holds the link.
fn leads_back(link: &Path) -> bool {
    let (Ok(to), Some(Ok(from))) = (link.canonicalize(), link.parent().map(Path::canonicalize)) else { return false };
    from.starts_with(to)
}

fn members(archive: Archive, below: &str, depth: usize, leaves: &mut Vec<Leaf>) -> Result<()> {
    let archive = Arc::new(archive);
    let mut inside = 0u64;
    for index in 0..archive.len() {
        let name = archive.name(index);
        if name.ends_with('/') || name.split('/').any(files::is_litter) {
            continue;
        }
        if name == super::archive::UNREADABLE {
            let problem = format!("member {index} has a name that cannot be read");
            return Err(Error::unexpected(archive.label(index), problem, "pack the archive again"));
        }
        let path = format!("{below}{name}");
        let Some(stem) = zip_stem(&path) else {
            leaves.push(Leaf { path: path.into(), place: Place::Member(archive.clone(), index) });
            continue;
        };
        let inner = archive.inner(index)?;
        // Members that share their bytes, each with archives that do, could list more than fits anywhere.
        inside = inside.saturating_add(inner.size());
        let problem = match () {
            _ if depth >= DEEPEST_ARCHIVE => "an archive in an archive in an archive",
            _ if inside > archive.size() => "archives that share their bytes",
            _ => {
                members(inner, &format!("{stem}/"), depth + 1, leaves)?;
                continue;
            }
        };
        return Err(Error::unexpected(archive.label(index), problem, "unpack the outer archive"));
    }
    Ok(())
}

/// The name without `.zip`, if it ends so.
fn zip_stem(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    extension.eq_ignore_ascii_case("zip").then_some(stem)
}
