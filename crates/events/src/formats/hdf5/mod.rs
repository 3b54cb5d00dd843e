//! Reads the subset of HDF5 that stores events: one-dimensional data sets in nested groups.
//!
//! The file is read from a slice (usually mapped into memory), so that only decompressed data are
//! copied. Broken and malicious files give errors with an offset: every address and size is checked
//! against the file, every index may visit an address only once, and no size is trusted for an
//! allocation before it has been checked. Source: the "HDF5 File Format Specification, Version 3.0"
//! of The HDF Group; the files of this module cite its sections.
//!
//! Supported are: superblocks 0 to 3; object headers 1 and 2; groups as symbol tables and as links
//! in the header; numbers, strings, compounds and sequences of variable length; contiguous, compact
//! and chunked storage with every index that a one-dimensional data set can have; and the filters
//! deflate, shuffle, Fletcher-32, LZF, Blosc (with BloscLZ, LZ4, zlib and Zstd), LZ4, Zstd (a
//! feature) and ECF. Groups of many links in a fractal heap, external and virtual storage, and
//! other filters are not supported; the error names them.

mod attribute;
mod blosc;
mod checksum;
mod chunks;
mod codecs;
mod datatype;
mod extensible;
mod filters;
mod heap;
mod layout;
mod links;
mod lz4;
mod lzf;
mod object;
mod packed;
mod storage;
mod superblock;
pub(crate) mod write;

pub(crate) use chunks::Chunk;
pub(crate) use datatype::{Class, Datatype};
pub(crate) use filters::decoded;
pub(crate) use heap::Heaps;
pub(crate) use layout::Dataset;
pub(crate) use storage::Layout;

use super::cursor::Cursor;
use crate::{Error, Problem, Result};

/// The first bytes of every superblock.
pub(crate) const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// An open file: its bytes from the superblock on, and the widths of its numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File<'a> {
    bytes: &'a [u8],
    /// Number of bytes before the superblock (the user block), for offsets in errors.
    base: u64,
    name: &'a str,
    /// Width of an address in bytes ("size of offsets").
    offset: usize,
    /// Width of a size in bytes ("size of lengths").
    length: usize,
    /// Address of the root group's object header.
    root: u64,
}

impl<'a> File<'a> {
    /// Finds the superblock and reads it.
    pub fn open(bytes: &'a [u8], name: &'a str) -> Result<File<'a>> {
        superblock::open(bytes, name)
    }

    /// The data set at a path such as `CD/events`; `None` if a part of the path does not exist.
    pub fn dataset(&self, path: &str) -> Result<Option<Dataset>> {
        match self.find(path)? {
            Some(address) => layout::dataset(self, address).map(Some),
            None => Ok(None),
        }
    }

    /// The address of the root group.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// The data set at an address.
    pub fn dataset_at(&self, address: u64) -> Result<Dataset> {
        layout::dataset(self, address)
    }

    /// The names in the group at an address, with the addresses of their objects; empty if it is
    /// not a group.
    pub fn links(&self, address: u64) -> Result<Vec<(String, u64)>> {
        let links = links::of(self, &object::read(self, address)?)?;
        Ok(links.iter().map(|link| (String::from_utf8_lossy(link.name).into_owned(), link.address)).collect())
    }

    /// The address of the object at a path; `None` if a part of the path does not exist.
    fn find(&self, path: &str) -> Result<Option<u64>> {
        let mut address = self.root;
        for part in path.split('/') {
            let links = links::of(self, &object::read(self, address)?)?;
            match links.into_iter().find(|link| link.name == part.as_bytes()) {
                Some(link) => address = link.address,
                None => return Ok(None),
            }
        }
        Ok(Some(address))
    }

    /// A text attribute of the root group.
    pub fn root_text(&self, name: &str) -> Result<Option<String>> {
        attribute::text(self, &object::read(self, self.root)?, name)
    }

    /// A text attribute of the data set at an address.
    pub fn text_at(&self, address: u64, name: &str) -> Result<Option<String>> {
        attribute::text(self, &object::read(self, address)?, name)
    }

    /// The names in the root group, for error messages.
    pub fn root_names(&self) -> Result<Vec<String>> {
        let links = links::of(self, &object::read(self, self.root)?)?;
        Ok(links.iter().map(|link| String::from_utf8_lossy(link.name).into_owned()).collect())
    }

    /// A cursor that begins at an address.
    fn at(&self, address: u64, what: &'static str) -> Result<Cursor<'a>> {
        let rest = usize::try_from(address).ok().and_then(|a| self.bytes.get(a..));
        let rest = rest.filter(|rest| !rest.is_empty());
        rest.map(|rest| self.cursor(rest, address, what)).ok_or_else(|| {
            let problem = format!("{what} begins behind the end of the file, which has {} bytes", self.bytes.len());
            self.fault(address, problem)
        })
    }

    /// The `size` bytes at an address.
    pub fn range(&self, address: u64, size: u64, what: &'static str) -> Result<&'a [u8]> {
        let mut cursor = self.at(address, what)?;
        match usize::try_from(size) {
            Ok(size) => cursor.take(size),
            Err(_) => Err(cursor.fault(format!("{what} claims {size} bytes"))),
        }
    }

    /// The `size` bytes of metadata at an address without the last four, which are the checksum of
    /// the others and are verified.
    fn checked(&self, address: u64, size: u64, what: &'static str) -> Result<&'a [u8]> {
        let bytes = self.range(address, size, what)?;
        match bytes.split_last_chunk() {
            Some((data, &sum)) if checksum::lookup3(data) == u32::from_le_bytes(sum) => Ok(data),
            _ => Err(self.fault(address, Problem::Checksum { of: Some(what) })),
        }
    }

    /// As [`File::at`], after verifying and skipping the four letters at the address.
    fn signed(&self, address: u64, signature: [u8; 4], what: &'static str) -> Result<Cursor<'a>> {
        let mut cursor = self.at(address, what)?;
        if cursor.take(4)? != signature {
            let letters = String::from_utf8_lossy(&signature).into_owned();
            return Err(self.fault(address, format!("{what} does not begin with {letters}")));
        }
        Ok(cursor)
    }

    /// A cursor on `bytes`, which lie at an address.
    fn cursor(&self, bytes: &'a [u8], address: u64, what: &'static str) -> Cursor<'a> {
        Cursor::new(bytes, self.base.saturating_add(address), self.name, what)
    }

    /// Reads an address.
    fn address(&self, from: &mut Cursor) -> Result<u64> {
        from.unsigned(self.offset)
    }

    /// Reads a size.
    fn size(&self, from: &mut Cursor) -> Result<u64> {
        from.unsigned(self.length)
    }

    /// Whether an address is undefined, that is, has all bits set.
    fn is_nowhere(&self, address: u64) -> bool {
        address == u64::MAX >> (64 - 8 * self.offset)
    }

    /// The error for invalid data at an address.
    pub fn fault(&self, address: u64, problem: impl Into<Problem>) -> Error {
        Error::malformed(self.name, self.base.saturating_add(address), problem, "get the file again")
    }

    /// The error for valid data at an address that this reader does not support.
    fn unknown(&self, address: u64, problem: impl Into<Problem>) -> Error {
        let remedy = "copy the data into a plain file with h5repack or h5py";
        Error::malformed(self.name, self.base.saturating_add(address), problem, remedy)
    }

    /// The error for valid data at an address that are not events in the layout that the caller
    /// reads.
    pub fn other_layout(&self, address: u64, problem: impl Into<Problem>) -> Error {
        let remedy = "store x, y, t and p each as one row of numbers in one group, for example with h5py";
        Error::malformed(self.name, self.base.saturating_add(address), problem, remedy)
    }

    /// The error for elements of the data set at an address that were never written. Such elements
    /// have the fill value, which is not an event.
    pub fn unwritten(&self, address: u64, which: std::fmt::Arguments<'_>) -> Error {
        let problem = Problem::Unwritten { which: which.to_string() };
        let remedy = "cut the data sets to what was written, or get the file again";
        Error::malformed(self.name, self.base.saturating_add(address), problem, remedy)
    }

    /// The offset in the file of an address.
    pub fn offset_of(&self, address: u64) -> u64 {
        self.base.saturating_add(address)
    }

    /// The name in error messages.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Number of bytes from the superblock on.
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// Whether objects exist at all these paths.
pub(crate) fn holds(bytes: &[u8], paths: &[&str]) -> bool {
    let Ok(file) = File::open(bytes, "") else { return false };
    paths.iter().all(|path| matches!(file.find(path), Ok(Some(_))))
}

/// Whether the bytes contain the HDF5 signature at an allowed offset (a user block may precede it).
pub(crate) fn is_hdf5(head: &[u8]) -> bool {
    superblock::place(head).is_some()
}
