//! The members of a tar, with what stands before a member bounded: a long name or a list of
//! properties is read only if its header claims a length that such a thing can have.
//!
//! A header is 512 bytes. Before it may stand entries that say more of the same member: `L` its name
//! (GNU), `x` properties such as its name (pax), `K` where a link leads. `g` holds properties of all
//! members, which we do not need. Source: POSIX.1-2017, pax; GNU tar, "Basic Tar Format".

use std::io::{self, Read};

use tar::{Entry, EntryType, PaxExtensions};

/// The longest name that is read; a system's own limit on paths is 4,096 bytes.
const LONGEST_NAME: u64 = 1 << 12;
/// The longest list of properties that is read.
const LONGEST_PROPERTIES: u64 = 1 << 18;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plain file.
    File,
    /// A folder.
    Folder,
    /// A link, a device, a file with holes.
    Other,
}

/// Why a tar is refused: the entry, and what is wrong with it.
#[derive(Debug)]
pub struct Refusal {
    pub entry: String,
    pub problem: String,
}

/// What ends the walk.
#[derive(Debug)]
pub enum Fault<E> {
    /// The bytes are no tar, or reading them failed.
    Broken(io::Error),
    /// An entry asks for what no member needs.
    Refused(Refusal),
    /// The caller's own.
    Own(E),
}

impl<E> From<io::Error> for Fault<E> {
    fn from(e: io::Error) -> Self {
        Fault::Broken(e)
    }
}

/// Calls `take` with name, kind and content of each member; returns what follows the tar's end.
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
                // A name of GNU's kind comes before one of pax.
                name = name.or(path_of(&bytes)?);
                described = true;
            }
            // What they say is not needed; their content is passed by.
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
        return Err(refused(name.as_deref().unwrap_or("(the end)"), "is described, and does not follow".into()));
    }
    Ok(tar.into_inner())
}

fn refused<E>(entry: &str, problem: String) -> Fault<E> {
    Fault::Refused(Refusal { entry: entry.into(), problem })
}

/// The content of an entry, if it claims at most `most` bytes.
fn bounded<E>(entry: &mut Entry<'_, impl Read>, most: u64, what: &str) -> Result<Vec<u8>, Fault<E>> {
    let size = entry.size();
    if size > most {
        return Err(refused("(an entry)", format!("{what} of {size} bytes; at most {most} are read")));
    }
    let mut bytes = Vec::new();
    entry.take(most).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < size {
        return Err(Fault::Broken(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

fn text<E>(name: &[u8]) -> Result<String, Fault<E>> {
    match std::str::from_utf8(name) {
        Ok(name) => Ok(name.into()),
        Err(_) => Err(refused(&String::from_utf8_lossy(name), "a name that is no text".into())),
    }
}

/// The name among properties. A size, or holes, would tell another reader of another content.
fn path_of<E>(properties: &[u8]) -> Result<Option<String>, Fault<E>> {
    let mut path = None;
    for property in PaxExtensions::new(properties) {
        let property = property?;
        match property.key_bytes() {
            b"path" => path = Some(text(property.value_bytes())?),
            b"size" => return Err(refused("(an entry)", "a size outside its header (above 8 GiB)".into())),
            key if key.starts_with(b"GNU.sparse") => {
                return Err(refused("(an entry)", "a file with holes".into()));
            }
            _ => {}
        }
    }
    Ok(path)
}
