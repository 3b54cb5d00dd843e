//! Reads the members of a tar archive with bounded memory: an entry that describes a member (a long
//! name or a list of properties) is refused if its header states an implausible length.
//!
//! A header has 512 bytes. Entries that describe the same member may precede it: `L` contains its
//! name (GNU), `x` properties such as its name (pax), `K` the target of a link. `g` contains
//! properties of all members and is ignored. Source: POSIX.1-2017, pax; GNU tar, "Basic Tar
//! Format".

use std::io::{self, Read};

use crate::problem::{ArchiveProblem, Problem};
use tar::{Entry, EntryType, PaxExtensions};

/// The longest name that is accepted; systems limit paths to 4,096 bytes.
const LONGEST_NAME: u64 = 1 << 12;
/// The longest list of properties that is accepted, in bytes.
const LONGEST_PROPERTIES: u64 = 1 << 18;

/// The type of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plain file.
    File,
    /// A folder.
    Folder,
    /// A link, a device, or a sparse file.
    Other,
}

/// The reason why an archive is refused: the entry and its problem.
#[derive(Debug)]
pub struct Refusal {
    pub entry: String,
    pub problem: Problem,
}

/// The reason why reading the members ended with an error.
#[derive(Debug)]
pub enum Fault<E> {
    /// The bytes are not a tar archive, or reading them failed.
    Broken(io::Error),
    /// An entry exceeds a limit or is of a refused type.
    Refused(Refusal),
    /// An error of the caller's function.
    Own(E),
}

impl<E> From<io::Error> for Fault<E> {
    fn from(e: io::Error) -> Self {
        Fault::Broken(e)
    }
}

/// Calls `take` with the name, the type and the content of each member. Returns the reader, at the
/// end of the archive.
///
/// # Errors
/// See [`Fault`].
pub fn each<R: Read, E>(
    from: R,
    mut take: impl FnMut(&str, Kind, &mut dyn Read) -> Result<(), E>,
) -> Result<R, Fault<E>> {
    let mut tar = tar::Archive::new(from);
    let mut name = None;
    let mut described = false;
    for entry in tar.entries()?.raw(true) {
        let mut entry = entry?;
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                let bytes = bounded(&mut entry, LONGEST_NAME, "a name")?;
                let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
                name = Some(text(&bytes[..end])?);
                described = true;
            }
            EntryType::XHeader => {
                let bytes = bounded(&mut entry, LONGEST_PROPERTIES, "a list of properties")?;
                // If both exist, the GNU name takes precedence over the pax name.
                name = name.or(path_of(&bytes)?);
                described = true;
            }
            // The content of these entries is skipped, because nothing in it is needed.
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            kind => {
                let name = match name.take() {
                    Some(name) => name,
                    None => text(&entry.path_bytes())?,
                };
                described = false;
                let kind = match kind {
                    EntryType::Regular | EntryType::Continuous => Kind::File,
                    EntryType::Directory => Kind::Folder,
                    _ => Kind::Other,
                };
                take(&name, kind, &mut entry).map_err(Fault::Own)?;
            }
        }
    }
    if described {
        return Err(refused(name.as_deref().unwrap_or("(the end)"), ArchiveProblem::NotFollowed));
    }
    Ok(tar.into_inner())
}

fn refused<E>(entry: &str, problem: impl Into<Problem>) -> Fault<E> {
    Fault::Refused(Refusal { entry: entry.into(), problem: problem.into() })
}

/// The content of an entry; an error if its header states more than `limit` bytes.
fn bounded<E>(entry: &mut Entry<'_, impl Read>, limit: u64, what: &'static str) -> Result<Vec<u8>, Fault<E>> {
    let size = entry.size();
    if size > limit {
        return Err(refused("(an entry)", ArchiveProblem::LongEntry { what, size, limit }));
    }
    let mut bytes = Vec::new();
    entry.take(limit).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < size {
        return Err(Fault::Broken(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

fn text<E>(name: &[u8]) -> Result<String, Fault<E>> {
    match std::str::from_utf8(name) {
        Ok(name) => Ok(name.into()),
        Err(_) => Err(refused(&String::from_utf8_lossy(name), "a name that is no text")),
    }
}

/// The path in a list of properties. Properties for a size or for a sparse file are refused,
/// because programs that ignore them would read another content.
fn path_of<E>(properties: &[u8]) -> Result<Option<String>, Fault<E>> {
    let mut path = None;
    for property in PaxExtensions::new(properties) {
        let property = property?;
        match property.key_bytes() {
            b"path" => path = Some(text(property.value_bytes())?),
            b"size" => return Err(refused("(an entry)", ArchiveProblem::SizeElsewhere)),
            key if key.starts_with(b"GNU.sparse") => {
                return Err(refused("(an entry)", ArchiveProblem::Holes));
            }
            _ => {}
        }
    }
    Ok(path)
}
