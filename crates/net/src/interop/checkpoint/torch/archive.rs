//! The zip archive of a PyTorch file. Members are views of the file's bytes: `torch.save` stores
//! them without compression, so an archive cannot unfold to more than its own length.

use super::super::error::refused;
use super::super::tensor::{Number, Storage};
use crate::error::Result;
use flate2::Crc;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;
use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

/// Longest pickle; that of a network with ten thousand tensors has 2 MB. While a pickle runs, its
/// values take up to 40 bytes for each byte of it.
const LONGEST_PICKLE: usize = 16 << 20;

struct Member {
    bytes: Range<usize>,
    checksum: u32,
    /// Whether the checksum has been compared.
    checked: bool,
}

/// An open archive.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    root: String,
    pickle: &'a [u8],
    /// The storages by key.
    storages: RefCell<BTreeMap<String, Member>>,
    big_endian: bool,
}

impl<'a> Archive<'a> {
    /// Opens an archive and finds its members.
    pub fn open(bytes: &'a [u8], file: &Path) -> Result<Self> {
        let broken =
            |e: zip::result::ZipError| refused(file, format!("is a damaged zip archive ({e}); get the file again"));
        // PyTorch's archives start with the file. If `zip` had to detect the start, it would take the
        // second entry of the index for the first if the first is as long as the records between index
        // and end, which is so for a file of `torch.save` whose name has 21 letters.
        let start = Config { archive_offset: ArchiveOffset::Known(0) };
        let mut zip = ZipArchive::with_config(start, Cursor::new(bytes)).map_err(broken)?;
        // TorchScript compresses members, so it is recognised before their compression is checked.
        for i in 0..zip.len() {
            let member = zip.by_index_raw(i).map_err(broken)?;
            let name = member.name().map_err(broken)?;
            if name.contains("/code/") || name.ends_with("constants.pkl") {
                let problem = format!(
                    "is a TorchScript archive (it has `{name}`); save its tensors: \
                     torch.save(torch.jit.load(FILE).state_dict(), 'new.pt')"
                );
                return Err(refused(file, problem));
            }
        }
        let mut members = BTreeMap::new();
        let mut total = 0usize;
        for i in 0..zip.len() {
            let member = zip.by_index_raw(i).map_err(broken)?;
            let name = member.name().map_err(broken)?.to_string();
            if member.encrypted() || member.compression() != CompressionMethod::Stored {
                let problem = format!(
                    "member `{name}` is compressed or encrypted, torch.save writes neither; save the file again with torch.save"
                );
                return Err(refused(file, problem));
            }
            let place = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            let start = place(member.data_start().unwrap_or(u64::MAX));
            let (size, stored) = (place(member.size()), place(member.compressed_size()));
            let end = start.checked_add(size).filter(|end| *end <= bytes.len() && size == stored);
            let Some(end) = end else {
                return Err(refused(
                    file,
                    format!("truncated: member `{name}` ends behind the end; get the file again"),
                ));
            };
            total = total.saturating_add(size);
            if total > bytes.len() {
                return Err(refused(file, format!("member `{name}` overlaps other members; get the file again")));
            }
            members.insert(name, Member { bytes: start..end, checksum: member.crc32(), checked: false });
        }
        let pickle = members.keys().find(|n| *n == "data.pkl" || n.ends_with("/data.pkl"));
        let Some(root) = pickle.and_then(|n| n.strip_suffix("data.pkl")).map(str::to_owned) else {
            let problem = "is a zip archive without `data.pkl`, so not a file of torch.save; give such a file";
            return Err(refused(file, problem));
        };
        let mut archive =
            Self { bytes, pickle: &[], storages: RefCell::default(), big_endian: false, root: format!("{root}data/") };
        let record = |members: &mut BTreeMap<String, Member>, name: &str| -> Result<Option<&'a [u8]>> {
            let Some(mut member) = members.remove(&format!("{root}{name}")) else { return Ok(None) };
            check(bytes, &format!("{root}{name}"), &mut member).map_err(|e| refused(file, e))?;
            Ok(bytes.get(member.bytes))
        };
        archive.pickle = record(&mut members, "data.pkl")?.unwrap_or_default();
        if archive.pickle.len() > LONGEST_PICKLE {
            let problem =
                format!("its `data.pkl` has {} bytes, at most {LONGEST_PICKLE} are read", archive.pickle.len());
            return Err(refused(file, problem));
        }
        archive.big_endian = match record(&mut members, "byteorder")? {
            None | Some(b"little") => false,
            Some(b"big") => true,
            Some(_) => {
                return Err(refused(file, "its member `byteorder` says neither little nor big; get the file again"));
            }
        };
        let prefix = archive.root.clone();
        let storages = members.into_iter().filter_map(|(n, m)| Some((n.strip_prefix(&prefix)?.to_owned(), m)));
        archive.storages = RefCell::new(storages.collect());
        Ok(archive)
    }

    /// The bytes of `data.pkl`.
    pub fn pickle(&self) -> &'a [u8] {
        self.pickle
    }

    /// The storage with this key, which has to hold `len` numbers.
    pub fn storage(&self, key: &str, number: Number, len: usize) -> std::result::Result<Storage, String> {
        let mut storages = self.storages.borrow_mut();
        let name = format!("{}{key}", self.root);
        let member = storages.get_mut(key).ok_or_else(|| format!("member `{name}` is missing; get the file again"))?;
        check(self.bytes, &name, member)?;
        let needed = len.checked_mul(number.size());
        if needed.is_none_or(|n| n > member.bytes.len()) {
            return Err(format!(
                "member `{name}` has {} bytes, {len} numbers of {number} do not fit; get the file again",
                member.bytes.len()
            ));
        }
        let start = member.bytes.start;
        Ok(Storage { bytes: start..start + needed.unwrap_or(0), number, big_endian: self.big_endian })
    }
}

/// Compares the checksum of a member, once.
fn check(bytes: &[u8], name: &str, member: &mut Member) -> std::result::Result<(), String> {
    if member.checked {
        return Ok(());
    }
    let mut crc = Crc::new();
    crc.update(bytes.get(member.bytes.clone()).unwrap_or_default());
    if crc.sum() != member.checksum {
        return Err(format!(
            "member `{name}` does not match its checksum; get the file again, or save it with checksums \
             (torch.serialization.set_crc32_options(True))"
        ));
    }
    member.checked = true;
    Ok(())
}
