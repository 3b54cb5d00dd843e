//! The IDX format of MNIST and similar data sets: images (magic 2051) and labels (magic 2049).
//!
//! A file consists of big endian u32 numbers (the magic number, the count and, for images, rows and
//! columns) and of u8 values. Before anything is allocated, the sizes in the header are compared
//! with the length of the file.

use super::Probe;
use crate::problem::{HeaderProblem, Problem, Truncation};
use crate::{Error, Result};

const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;

/// Grey u8 images of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxImages {
    /// Number of images.
    pub count: usize,
    /// Height of an image in pixels.
    pub height: usize,
    /// Width of an image in pixels.
    pub width: usize,
    /// All pixels, `[count, height, width]`.
    pub pixels: Vec<u8>,
}

impl IdxImages {
    /// The pixels of image `index`, row by row.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        let size = self.height * self.width;
        self.pixels.get(index.checked_mul(size)?..index.checked_add(1)?.checked_mul(size)?)
    }
}

/// The two kinds of IDX files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file of images.
    Images,
    /// A file of labels.
    Labels,
}

/// The kind of an IDX file by its magic number; `None` for other files.
pub fn kind(bytes: &[u8]) -> Option<Kind> {
    match u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) {
        IMAGES => Some(Kind::Images),
        LABELS => Some(Kind::Labels),
        _ => None,
    }
}

/// The kind of an IDX file by the name that its publishers give it: `train-images-idx3-ubyte`.
pub fn named(file: &str) -> Option<Kind> {
    let name = file.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    if name.ends_with("idx3-ubyte") {
        Some(Kind::Images)
    } else if name.ends_with("idx1-ubyte") {
        Some(Kind::Labels)
    } else {
        None
    }
}

/// Whether a file has a magic number and, if its length is known, as many values as its header
/// states. The magic number alone is not enough, because a recording may begin with the same four
/// bytes.
pub fn fits(probe: &Probe<'_>) -> bool {
    let sizes = match kind(probe.head) {
        Some(Kind::Images) => 3,
        Some(Kind::Labels) => 1,
        None => return false,
    };
    let (Some(header), Some(len)) = (probe.head.get(4..4 + 4 * sizes), probe.len) else { return probe.len.is_none() };
    let sizes_of = header.as_chunks::<4>().0.iter().map(|&size| u128::from(u32::from_be_bytes(size)));
    sizes_of.fold(1u128, u128::saturating_mul) + 4 + 4 * sizes as u128 == u128::from(len)
}

/// Count, height and width of the images in a file of `len` bytes, from its first bytes.
///
/// # Errors
/// As [`images`].
pub fn image_sizes(head: &[u8], len: u64, file: &str) -> Result<[usize; 3]> {
    header(head, len, IMAGES, file)
}

/// Parses a file of images. The bytes are moved into the result, to avoid copying 47 MB.
///
/// # Errors
/// [`Error::Malformed`] for another magic number, or if the header does not match the length.
pub fn images(mut bytes: Vec<u8>, file: &str) -> Result<IdxImages> {
    let [count, height, width] = header(&bytes, bytes.len() as u64, IMAGES, file)?;
    bytes.drain(..16);
    Ok(IdxImages { count, height, width, pixels: bytes })
}

/// Parses a file of labels.
///
/// # Errors
/// As [`images`].
pub fn labels(mut bytes: Vec<u8>, file: &str) -> Result<Vec<u8>> {
    header::<1>(&bytes, bytes.len() as u64, LABELS, file)?;
    bytes.drain(..8);
    Ok(bytes)
}

/// The `N` sizes of the header; an error if they do not match `len`, the length of the file.
fn header<const N: usize>(bytes: &[u8], len: u64, magic: u32, file: &str) -> Result<[usize; N]> {
    let word = |i: usize| {
        let four = bytes.get(4 * i..4 * i + 4).and_then(|b| b.try_into().ok());
        four.map(u32::from_be_bytes).ok_or_else(|| {
            let problem = Truncation::Header { found: bytes.len() as u64, expected: 4 + 4 * N as u64 };
            Error::malformed(file, bytes.len() as u64, problem, "get the file again")
        })
    };
    let found = word(0)?;
    if found != magic {
        let (found, expected) = (found.to_string(), magic.to_string());
        let problem = Problem::Expected { what: "magic number {}", found, expected };
        let remedy = "give the unpacked or .gz file of MNIST, images and labels not swapped";
        return Err(Error::malformed(file, 0, problem, remedy));
    }
    let mut sizes = [0; N];
    let mut claimed = 1u128;
    for (i, size) in sizes.iter_mut().enumerate() {
        *size = word(i + 1)? as usize;
        claimed = claimed.saturating_mul(*size as u128);
    }
    let held = u128::from(len.saturating_sub(4 + 4 * N as u64));
    if claimed != held {
        let unit = if magic == LABELS { "labels" } else { "pixels" };
        let problem: Problem = match held < claimed {
            true => Truncation::Claim { claimed, held, unit }.into(),
            false => HeaderProblem::Surplus { claimed, held, unit }.into(),
        };
        return Err(Error::malformed(file, 4, problem, "get the file again"));
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tickless_testing::assert_problem;

    use super::*;

    fn file(words: &[u32], values: &[u8]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_be_bytes()).chain(values.iter().copied()).collect()
    }

    #[test]
    fn images_and_labels_are_read() {
        let parsed = images(file(&[2051, 2, 1, 3], &[1, 2, 3, 4, 5, 6]), "x").unwrap();
        assert_eq!((parsed.count, parsed.height, parsed.width), (2, 1, 3));
        assert_eq!(parsed.image(1), Some(&[4, 5, 6][..]));
        assert_eq!((parsed.image(2), parsed.image(usize::MAX)), (None, None));
        assert_eq!(labels(file(&[2049, 2], &[7, 9]), "x").unwrap(), [7, 9]);
    }

    #[test]
    fn the_sizes_of_images_stand_in_the_first_bytes() {
        let bytes = file(&[IMAGES, 3, 2, 1], &[7; 6]);
        let (head, len) = (&bytes[..16], bytes.len() as u64);
        assert_eq!(image_sizes(head, len, "x").unwrap(), [3, 2, 1]);
        let whole = images(bytes[..21].to_vec(), "x").unwrap_err().to_string();
        assert_eq!(image_sizes(head, len - 1, "x").unwrap_err().to_string(), whole);
        assert!(image_sizes(&head[..9], 9, "x").is_err() && image_sizes(&[], 0, "x").is_err());
    }

    #[test]
    fn a_hostile_header_is_refused_without_allocating() {
        for sizes in [[1 << 30, 1 << 10, 1], [u32::MAX; 3], [1 << 31, 1 << 31, 4]] {
            let [a, b, c] = sizes;
            let error = images(file(&[2051, a, b, c], &[0; 8]), "x").unwrap_err();
            assert!(error.to_string().starts_with("x: byte 4: "), "{error}");
            let claim =
                |p: &Problem| matches!(p, Problem::Truncated(Truncation::Claim { held: 8, unit: "pixels", .. }));
            assert!(error.problem().is_some_and(claim), "{error}");
        }
        assert!(labels(file(&[2049, u32::MAX], &[0; 8]), "x").is_err());
    }

    #[test]
    fn swapped_files_are_told_apart() {
        let error = images(file(&[2049, 0], &[]), "x").unwrap_err();
        let (found, expected) = ("2049".into(), "2051".into());
        assert_problem!(error, Problem::Expected { what: "magic number {}", found, expected });
    }

    proptest! {
        #[test]
        fn every_truncation_is_refused(cut in 0usize..22) {
            let whole = file(&[2051, 2, 1, 3], &[1, 2, 3, 4, 5, 6]);
            prop_assert!(images(whole[..cut].to_vec(), "x").is_err());
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            kind(&bytes);
            if let Ok(parsed) = images(bytes.clone(), "x") {
                prop_assert_eq!(parsed.pixels.len() + 16, bytes.len());
            }
            let _ = labels(bytes, "x");
        }
    }
}
