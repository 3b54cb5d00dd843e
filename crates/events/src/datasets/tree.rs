//! Lists the files of a data set: those of a folder and its sub-folders, and those in zip archives.
//! An archive counts as a folder with the archive's name.
//!
//! Only names are read. Member `c/d.bin` of `a/b.zip` gets the path `a/b/c/d.bin`. An archive may
//! contain another one if it is stored without compression. If `b.zip` lies beside a folder `b`,
//! the archive has been unpacked there and is ignored.

use std::path::Path;
use std::sync::Arc;

use super::archive::Archive;
use super::files;
use super::location::RecordingLocation;
use crate::problem::{ArchiveProblem, DatasetProblem, Problem};
use crate::{Error, Result};

/// The deepest nesting of folders.
const DEEPEST: usize = 12;
/// The deepest nesting of archives.
const DEEPEST_ARCHIVE: usize = 2;

/// A file of the data set.
pub struct Leaf {
    /// Its path below the root, with `/` as separator.
    pub path: Box<str>,
    /// The place at which it is stored.
    pub place: RecordingLocation,
}

/// Lists all files below `root`, a folder or a zip archive, in no particular order.
///
/// # Errors
/// [`Error::Io`]; [`Error::Unexpected`] for an archive that is broken or malicious, for an empty
/// folder (otherwise the user would not notice a class without recordings), for a link to a file or
/// folder that is listed itself, and for folders that are nested too deep.
pub fn list(root: &Path) -> Result<Vec<Leaf>> {
    let mut leaves = Vec::new();
    if root.is_dir() {
        // If the root cannot be resolved, listing it fails too and reports the error.
        folder(root, &root.canonicalize().unwrap_or_else(|_| root.to_owned()), "", 0, &mut leaves)?;
    } else {
        members(Archive::open(root)?, "", 1, &mut leaves)?;
    }
    Ok(leaves)
}

fn folder(path: &Path, root: &Path, below: &str, depth: usize, leaves: &mut Vec<Leaf>) -> Result<()> {
    let refuse =
        |problem: Problem, remedy: &'static str| Err(Error::unexpected(path.display().to_string(), problem, remedy));
    if depth > DEEPEST {
        return refuse("folders too deep in each other".into(), "give a folder nearer to the recordings");
    }
    // Cyclic links are refused where they occur, because walking several of them takes exponential
    // time before the depth limit is reached.
    if depth > 0 && path.is_symlink() && leads_back(path) {
        return refuse(DatasetProblem::LinkBack.into(), "remove it");
    }
    let entries = files::entries(path)?;
    if entries.is_empty() {
        return refuse(DatasetProblem::Empty.into(), "remove it, or put its recordings there");
    }
    let archive = |p: &&std::path::PathBuf| p.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip")) && p.is_file();
    let unpacked = |p: &Path| p.with_extension("").is_dir();
    // The archive may have been unpacked into its own folder; its recordings would then count
    // twice.
    if entries.iter().any(|p| p.is_dir())
        && let Some(left) = entries.iter().find(|p| archive(p) && !unpacked(p))
    {
        let remedy = "move the archive away if it is unpacked, or unpack it";
        return Err(Error::unexpected(left.display().to_string(), DatasetProblem::ArchiveBeside, remedy));
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
        // A link to a file or folder outside the data set is followed.
        if entry.is_symlink()
            && !leads_back(&entry)
            && let Ok(target) = entry.canonicalize()
            && target.starts_with(root)
        {
            let problem = DatasetProblem::LinkInside { target: target.display().to_string() };
            return Err(Error::unexpected(entry.display().to_string(), problem, "remove the link"));
        }
        if entry.is_dir() {
            folder(&entry, root, &format!("{below}/"), depth + 1, leaves)?;
        } else if let Some(stem) = zip_stem(&below) {
            members(Archive::open(&entry)?, &format!("{stem}/"), 1, leaves)?;
        } else {
            leaves.push(Leaf { path: below.into(), place: RecordingLocation::File(entry) });
        }
    }
    Ok(())
}

/// Whether the link's target contains the link.
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
        if archive.is_link(index) {
            let problem = ArchiveProblem::Link;
            return Err(Error::unexpected(
                archive.label(index),
                problem,
                "pack the archive again with the file itself",
            ));
        }
        let path = format!("{below}{name}");
        let Some(stem) = zip_stem(&path) else {
            leaves.push(Leaf { path: path.into(), place: RecordingLocation::Member(archive.clone(), index) });
            continue;
        };
        let inner = archive.inner(index)?;
        // The inner archives together must not be larger than the outer one. Otherwise inner
        // archives that share their bytes, at several levels, could list more files than fit in
        // memory.
        inside = inside.saturating_add(inner.size());
        let problem = match () {
            _ if depth >= DEEPEST_ARCHIVE => ArchiveProblem::Nested,
            _ if inside > archive.size() => ArchiveProblem::SharedBytes,
            _ => {
                members(inner, &format!("{stem}/"), depth + 1, leaves)?;
                continue;
            }
        };
        return Err(Error::unexpected(archive.label(index), problem, "unpack the outer archive"));
    }
    Ok(())
}

/// The name without its extension `.zip`; `None` if it has another extension.
fn zip_stem(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    extension.eq_ignore_ascii_case("zip").then_some(stem)
}
