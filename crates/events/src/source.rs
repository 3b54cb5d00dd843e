//! Reads the bytes of files: with a size limit, decompressed from gzip, or mapped into memory.
//!
//! Parsers take byte slices, so that they also work where no files exist (wasm32) and a fuzzer can
//! call them.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Deref;
use std::path::Path;

use crate::problem::Problem;
use crate::{Error, Result};

/// The largest file, after decompression, that is read into memory: 2 GiB. The limit protects
/// against decompression bombs.
pub const LARGEST: u64 = 2 << 30;

/// The bytes of a file, either in allocated memory or mapped.
pub enum Bytes {
    /// Bytes read into memory.
    Read(Vec<u8>),
    /// The file mapped into memory.
    #[cfg(feature = "mmap")]
    Mapped(memmap2::Mmap),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Read(bytes) => bytes,
            #[cfg(feature = "mmap")]
            Bytes::Mapped(map) => map,
        }
    }
}

impl Bytes {
    /// Tells the system that `range` is not needed for the moment: mapped pages leave this
    /// process's memory, and the system loads them again if they are read again.
    pub(crate) fn release(&self, range: std::ops::Range<usize>) {
        match self {
            #[cfg(feature = "mmap")]
            Bytes::Mapped(map) => crate::mmap::release(map, range),
            Bytes::Read(_) => {
                let _ = range;
            }
        }
    }
}

/// The bytes of a file. They are mapped into memory if the build (feature `mmap`) and the system
/// allow it and the file is not named `.gz`; otherwise they are read.
///
/// # Errors
/// As [`read`].
pub fn bytes(path: &Path) -> Result<Bytes> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(io)?;
    match map(&file) {
        Some(bytes) if !is_gz(path) => Ok(bytes),
        _ => Ok(Bytes::Read(read(path)?)),
    }
}

/// The file mapped into memory, or `None` if the build (feature `mmap`) or the system does not
/// allow it.
pub(crate) fn map(file: &File) -> Option<Bytes> {
    #[cfg(feature = "mmap")]
    return crate::mmap::map(file).map(Bytes::Mapped);
    #[cfg(not(feature = "mmap"))]
    return Some(file).and(None);
}

/// Maps the file for reading in random order; otherwise as [`map`].
#[cfg(feature = "datasets")]
pub(crate) fn map_random(file: &File) -> Option<Bytes> {
    #[cfg(feature = "mmap")]
    return crate::mmap::map_random(file).map(Bytes::Mapped);
    #[cfg(not(feature = "mmap"))]
    return Some(file).and(None);
}

/// Whether the file begins like gzip (RFC 1952: two magic bytes, then 8 for deflate). The file's
/// position is reset to its beginning. Returns false for a pipe, because reading from it would
/// consume the bytes.
pub(crate) fn starts_as_gz(file: &mut File) -> io::Result<bool> {
    if !file.metadata()?.is_file() {
        return Ok(false);
    }
    let mut magic = Vec::new();
    file.by_ref().take(3).read_to_end(&mut magic)?;
    file.rewind()?;
    Ok(magic == [0x1F, 0x8B, 8])
}

/// The decompressed bytes of a gzip file. Concatenated members count as one file, as in gzip
/// itself.
///
/// # Errors
/// [`Error::Unexpected`] in a build without the feature `gz`.
#[cfg(feature = "gz")]
pub(crate) fn gunzipped(file: impl Read + Send + 'static, _: &str) -> Result<impl Read + Send + 'static> {
    Ok(flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, file)))
}

#[cfg(not(feature = "gz"))]
pub(crate) fn gunzipped(_: impl Read + Send + 'static, name: &str) -> Result<io::Empty> {
    gunzip(&[], name).map(|_| io::empty())
}

/// Reads the whole file, and decompresses it if its name ends in `.gz`. A file that is too large is
/// refused before memory is allocated for it.
///
/// # Errors
/// [`Error::Io`]; [`Error::Unexpected`] for a file above [`LARGEST`] or a broken gzip stream.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    if is_gz(path) {
        return read_gz(path, broken_gz);
    }
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(io)?;
    if starts_as_gz(&mut file).map_err(io)? {
        return read_gz(path, broken_gz);
    }
    let len = file.metadata().map_err(io)?.len();
    let bytes = if len > LARGEST { None } else { at_most(file, LARGEST).map_err(io)? };
    bytes.ok_or_else(|| too_large(&path.display().to_string()))
}

/// Makes the error for a broken gzip stream, given the file's name.
type Broken = fn(&str, io::Error) -> Error;

/// Reads and decompresses the whole of a gzip file, whatever its name is. `broken` makes the error
/// for a broken stream.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_gz(path: &Path, broken: Broken) -> Result<Vec<u8>> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let name = path.display().to_string();
    let file = File::open(path).map_err(io)?;
    // A pipe can be read only once, so its size cannot be determined first.
    match file.metadata().map_err(io)?.is_file() {
        true => unpacked(|| File::open(path).map_err(io), &name, broken),
        false => unpacked_once(file, &name, broken),
    }
}

/// The size of the buffers that [`at_most`] reads into.
const PIECE: u64 = 16 << 20;

/// Reads all bytes of `from`, or returns `None` if there are more than `most`. The bytes are read
/// into buffers of fixed size first, because a growing vector would need up to three times the
/// memory.
pub(crate) fn at_most(mut from: impl Read, most: u64) -> io::Result<Option<Vec<u8>>> {
    let (mut pieces, mut total) = (Vec::new(), 0);
    loop {
        let mut piece = Vec::new();
        let n = from.by_ref().take(PIECE).read_to_end(&mut piece)? as u64;
        total += n;
        if total > most {
            return Ok(None);
        }
        pieces.push(piece);
        if n < PIECE {
            break;
        }
    }
    if let [only] = &mut pieces[..] {
        return Ok(Some(std::mem::take(only)));
    }
    // Each buffer is freed as soon as it is copied, and the system provides pages of `all` only
    // when they are written, so the two copies never exist in full at the same time.
    let mut all = Vec::with_capacity(total as usize);
    pieces.into_iter().for_each(|piece| all.extend_from_slice(&piece));
    Ok(Some(all))
}

/// Up to this size, bytes are decompressed into memory without determining their total size first.
#[cfg(feature = "gz")]
const FEW: u64 = 64 << 20;

/// The decompressed bytes of the source that `open` returns, which may be opened several times. If
/// the content is large, its size is determined in a first pass, so that nothing is allocated for a
/// decompression bomb.
#[cfg(feature = "gz")]
fn unpacked<R: Read>(open: impl Fn() -> Result<R>, name: &str, broken: Broken) -> Result<Vec<u8>> {
    let reader = || open().map(|from| flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, from)));
    let broken = |e| broken(name, e);
    if let Some(bytes) = at_most(reader()?, FEW).map_err(broken)? {
        return Ok(bytes);
    }
    let total = io::copy(&mut reader()?.take(LARGEST + 1), &mut io::sink()).map_err(broken)?;
    let bytes = if total > LARGEST { None } else { at_most(reader()?, LARGEST).map_err(broken)? };
    bytes.ok_or_else(|| too_large(name))
}

/// As [`unpacked`], for a source that can be read only once.
#[cfg(feature = "gz")]
fn unpacked_once(from: impl Read, name: &str, broken: Broken) -> Result<Vec<u8>> {
    let reader = flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, from));
    at_most(reader, LARGEST).map_err(|e| broken(name, e))?.ok_or_else(|| too_large(name))
}

fn broken_gz(name: &str, e: io::Error) -> Error {
    Error::unexpected(
        name,
        Problem::Broken { what: "broken gzip stream", reason: e.to_string() },
        "download the file again",
    )
}

/// The first `most` bytes after decompression, and the total size. The size is `None` if the file
/// is compressed and longer than `most`.
///
/// # Errors
/// As [`read`].
#[cfg(feature = "datasets")]
pub(crate) fn head(path: &Path, most: usize) -> Result<(Vec<u8>, Option<u64>)> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    let mut head = Vec::new();
    if is_gz(path) || starts_as_gz(&mut file).map_err(io)? {
        let name = path.display().to_string();
        // The error of a broken stream is reported later, when the whole file is read.
        let _ = gunzipped(file, &name)?.take(most as u64).read_to_end(&mut head);
        let len = (head.len() < most).then_some(head.len() as u64);
        return Ok((head, len));
    }
    file.take(most as u64).read_to_end(&mut head).map_err(io)?;
    Ok((head, Some(len)))
}

/// A reader of the file's bytes, decompressed if the file is gzip.
///
/// # Errors
/// As [`read`].
#[cfg(feature = "datasets")]
pub(crate) fn reader(path: &Path) -> Result<Box<dyn Read>> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(io)?;
    if is_gz(path) || starts_as_gz(&mut file).map_err(io)? {
        return Ok(Box::new(gunzipped(file, &path.display().to_string())?));
    }
    Ok(Box::new(file))
}

/// Turns an I/O error of a [`reader`] into the error of the system or of a broken gzip stream.
#[cfg(feature = "datasets")]
pub(crate) fn broken(path: &Path, e: io::Error) -> Error {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match e.kind() {
        InvalidData | InvalidInput | UnexpectedEof => broken_gz(&path.display().to_string(), e),
        _ => Error::Io { path: path.to_path_buf(), source: e },
    }
}

/// Whether the name ends in `.gz`.
pub fn is_gz(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"))
}

fn too_large(name: &str) -> Error {
    Error::unexpected(name, Problem::TooMuch, "give the file that the data set publishes")
}

/// Decompresses gzip `bytes`; at most [`LARGEST`] bytes may result.
#[cfg(feature = "gz")]
pub(crate) fn gunzip(bytes: &[u8], name: &str) -> Result<Vec<u8>> {
    unpacked(|| Ok(bytes), name, broken_gz)
}

#[cfg(not(feature = "gz"))]
pub(crate) fn gunzip(_: &[u8], name: &str) -> Result<Vec<u8>> {
    let problem = "compressed, and this build reads no gzip";
    Err(Error::unexpected(name, problem, "gunzip it, or build with the feature `gz`"))
}

#[cfg(not(feature = "gz"))]
fn unpacked<R: Read>(_: impl Fn() -> Result<R>, name: &str, _: Broken) -> Result<Vec<u8>> {
    gunzip(&[], name)
}

#[cfg(not(feature = "gz"))]
fn unpacked_once(_: impl Read, name: &str, _: Broken) -> Result<Vec<u8>> {
    gunzip(&[], name)
}

#[cfg(all(test, feature = "gz"))]
mod tests {
    use tickless_testing::assert_problem;

    use std::io::Write;

    use super::*;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn a_gz_file_reads_like_the_plain_one() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, packed) = (folder.path().join("a.bin"), folder.path().join("a.bin.gz"));
        std::fs::write(&plain, b"hello hello hello").unwrap();
        std::fs::write(&packed, [gz(b"hello "), gz(b"hello hello")].concat()).unwrap();
        assert_eq!(read(&plain).unwrap(), read(&packed).unwrap());
        let unnamed = folder.path().join("a.bin");
        std::fs::rename(&packed, &unnamed).unwrap();
        assert_eq!(read(&unnamed).unwrap(), b"hello hello hello", "its first bytes say that it is gzip");
    }

    #[test]
    fn truncated_and_corrupt_gzip_name_the_file() {
        let whole = gz(&(0..2000u32).flat_map(|i| i.to_le_bytes()).collect::<Vec<_>>());
        for cut in [0, 1, 9, 11, whole.len() / 2, whole.len() - 1] {
            let result = gunzip(&whole[..cut], "x.gz");
            // Zero bytes decompress to an empty file; every other truncation is an error.
            if cut > 0 {
                let error = result.unwrap_err();
                let broken = |p: &Problem| matches!(p, Problem::Broken { what: "broken gzip stream", .. });
                assert!(error.problem().is_some_and(broken) && error.to_string().starts_with("x.gz: "), "{error}");
            }
        }
        let mut corrupt = whole;
        let at = corrupt.len() - 6;
        corrupt[at] ^= 1;
        assert!(gunzip(&corrupt, "x.gz").is_err());
    }

    #[test]
    fn a_bomb_is_counted_before_anything_is_kept() {
        // 2 GiB and a byte, in members of 1 MiB.
        let member = gz(&vec![0; 1 << 20]);
        let bomb: Vec<u8> = member.repeat(2048).into_iter().chain(gz(b"x")).collect();
        let error = gunzip(&bomb, "x.gz").unwrap_err();
        assert_problem!(error, at "x.gz: ", Problem::TooMuch);
    }

    #[test]
    fn bytes_are_read_up_to_the_limit_and_no_further() {
        for n in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 7] {
            let bytes: Vec<u8> = (0..n).map(|i| (i % 251) as u8).collect();
            assert!(at_most(&bytes[..], n).unwrap().is_some_and(|read| read == bytes), "{n}");
            assert!(n == 0 || at_most(&bytes[..], n - 1).unwrap().is_none(), "{n}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nowhere/a.bin")).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/a.bin: "), "{error}");
    }
}
