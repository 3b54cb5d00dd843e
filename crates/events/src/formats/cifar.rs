//! The binary records of CIFAR-10 (3,073 bytes) and CIFAR-100 (3,074 bytes).
//!
//! A record is one label byte (CIFAR-100: a coarse and a fine one), then 32×32 pixels each of red,
//! green and blue. The format has no header; the size of the file determines the number of records.

use std::io::Read;

use crate::problem::{Problem, Truncation};
use crate::{Error, Result};

/// Height and width of an image in pixels.
pub const SIDE: usize = 32;
/// Size of an image in bytes, `[3, 32, 32]`.
pub const PIXELS: usize = 3 * SIDE * SIDE;

/// The two kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One label, 0..10.
    Cifar10,
    /// A coarse label, 0..20, and a fine one, 0..100.
    Cifar100,
}

impl Kind {
    /// Size of a record in bytes.
    pub fn record(self) -> usize {
        PIXELS + self.labels()
    }

    /// Number of (fine) classes.
    pub fn classes(self) -> usize {
        match self {
            Kind::Cifar10 => 10,
            Kind::Cifar100 => 100,
        }
    }

    fn labels(self) -> usize {
        match self {
            Kind::Cifar10 => 1,
            Kind::Cifar100 => 2,
        }
    }

    /// Whether a file that begins with these bytes is probably of this kind, even if it is damaged:
    /// either all records are valid, or it has at least three whole records and three in four have
    /// valid labels. A single valid label is no evidence, because one in 26 random bytes is one.
    /// Blank records are no evidence either, because a file of zeros contains them too.
    pub fn begins(self, head: &[u8]) -> bool {
        if self.blank(head) {
            return false;
        }
        let records = head.chunks_exact(self.record());
        let right = |record: &&[u8]| check(record, self, "").is_ok();
        let most = 4 * records.clone().filter(right).count() >= 3 * records.len();
        self.fits(head) || records.len() >= 3 && most
    }

    /// Whether a file of these bytes can be of this kind: it consists of whole records, all labels
    /// are valid, and the records are not blank.
    pub fn fits(self, bytes: &[u8]) -> bool {
        !bytes.is_empty() && check(bytes, self, "").is_ok() && !self.blank(bytes)
    }

    /// Whether the records are too uniform to identify the format: all have the same label, and in
    /// at least half of them all pixels are equal. A single record is blank only if all its bytes
    /// are 0.
    fn blank(self, bytes: &[u8]) -> bool {
        let records = bytes.chunks_exact(self.record());
        let (labels, n) = (self.labels(), records.len());
        let Some(first) = bytes.get(..labels) else { return false };
        let constant = |record: &&[u8]| record[labels..].iter().all(|b| *b == record[labels]);
        let zeros = n > 1 || bytes.iter().all(|b| *b == 0);
        zeros && records.clone().all(|record| &record[..labels] == first) && 2 * records.filter(constant).count() >= n
    }
}

/// The records of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    kind: Kind,
    bytes: Vec<u8>,
}

impl Records {
    /// Verifies the size and every label.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the offset of the incomplete record or of the invalid label.
    pub fn parse(bytes: Vec<u8>, kind: Kind, file: &str) -> Result<Records> {
        check(&bytes, kind, file)?;
        Ok(Records { kind, bytes })
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.kind.record()
    }

    /// Whether the file has no records.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn record(&self, index: usize) -> Option<&[u8]> {
        let size = self.kind.record();
        self.bytes.get(index.checked_mul(size)?..index.checked_add(1)?.checked_mul(size)?)
    }

    /// The (fine) label of record `index`.
    pub fn label(&self, index: usize) -> Option<usize> {
        self.record(index).map(|r| r[self.kind.labels() - 1].into())
    }

    /// The pixels of record `index`, `[3, 32, 32]`.
    pub fn pixels(&self, index: usize) -> Option<&[u8]> {
        self.record(index).map(|r| &r[self.kind.labels()..])
    }
}

/// Counts the records of a reader and verifies each as [`Records::parse`] does, in the memory of a
/// few records. `broken` makes the error if reading fails.
///
/// # Errors
/// As [`Records::parse`].
pub fn count(mut from: impl Read, kind: Kind, file: &str, broken: impl Fn(std::io::Error) -> Error) -> Result<usize> {
    const RECORDS: usize = 64;
    let (size, mut piece, mut done) = (kind.record(), Vec::new(), 0);
    loop {
        piece.clear();
        from.by_ref().take((RECORDS * size) as u64).read_to_end(&mut piece).map_err(&broken)?;
        check_at(&piece, done * size, kind, file)?;
        done += piece.len() / size;
        if piece.len() < RECORDS * size {
            return Ok(done);
        }
    }
}

fn check(bytes: &[u8], kind: Kind, file: &str) -> Result<()> {
    check_at(bytes, 0, kind, file)
}

/// Verifies records that begin at offset `base` of the file.
fn check_at(bytes: &[u8], base: usize, kind: Kind, file: &str) -> Result<()> {
    let size = kind.record();
    let records = bytes.chunks_exact(size);
    let rest = records.remainder().len();
    if rest != 0 {
        let at = (base + bytes.len() - rest) as u64;
        let (found, expected) = (rest as u64, size as u64);
        let problem = Truncation::Size { part: "the last record".into(), found, expected };
        return Err(Error::malformed(file, at, problem, "get the file again"));
    }
    let limits: &[u8] = match kind {
        Kind::Cifar10 => &[10],
        Kind::Cifar100 => &[20, 100],
    };
    for (i, record) in records.enumerate() {
        for (j, (&label, &limit)) in record.iter().zip(limits).enumerate() {
            if label >= limit {
                let expected = format!("less than {limit}");
                let problem = Problem::Expected { what: "label {}", found: label.to_string(), expected };
                let remedy = format!("give a file of {size}-byte records");
                return Err(Error::malformed(file, (base + i * size + j) as u64, problem, remedy));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tickless_testing::assert_problem;

    use super::*;

    fn two(kind: Kind, labels: [u8; 2]) -> Vec<u8> {
        let record = |label: u8| {
            let coarse = (kind == Kind::Cifar100).then_some(3);
            coarse.into_iter().chain([label]).chain(std::iter::repeat_n(label, PIXELS))
        };
        record(labels[0]).chain(record(labels[1])).collect()
    }

    #[test]
    fn labels_and_pixels_are_read() {
        for kind in [Kind::Cifar10, Kind::Cifar100] {
            let records = Records::parse(two(kind, [4, 9]), kind, "x").unwrap();
            assert_eq!((records.len(), records.label(1), records.label(2)), (2, Some(9), None));
            assert_eq!(records.pixels(0).unwrap(), [4; PIXELS]);
        }
    }

    #[test]
    fn a_wrong_label_names_its_byte() {
        let error = Records::parse(two(Kind::Cifar10, [4, 10]), Kind::Cifar10, "x").unwrap_err();
        let label = |found: &str, expected: &str| Problem::Expected {
            what: "label {}",
            found: found.into(),
            expected: expected.into(),
        };
        assert_problem!(error, at "x: byte 3073: ", label("10", "less than 10"));
        let hundred = two(Kind::Cifar100, [99, 100]);
        let error = Records::parse(hundred, Kind::Cifar100, "x").unwrap_err();
        assert_problem!(error, at "x: byte 3075: ", label("100", "less than 100"));
    }

    #[test]
    fn blank_records_are_no_evidence() {
        for kind in [Kind::Cifar10, Kind::Cifar100] {
            for n in [1, 2, 20] {
                let mut zeros = vec![0; n * kind.record()];
                assert!(!kind.fits(&zeros) && !kind.begins(&zeros), "{n}");
                // One different byte does not make several records valid either.
                *zeros.last_mut().unwrap() = 1;
                assert!(n == 1 || !kind.begins(&zeros), "{n}");
            }
            let threes = vec![3; 4 * kind.record()];
            assert!(!kind.fits(&threes) && !kind.begins(&threes));
            assert!(kind.begins(&two(kind, [4, 9])));
        }
        assert!(!Kind::Cifar10.begins(&[0; 64 << 10]));
    }

    #[test]
    fn records_are_counted_as_they_are_parsed() {
        let broken = |e: std::io::Error| Error::unexpected("x", e.to_string(), "");
        let count = |bytes: &[u8]| count(bytes, Kind::Cifar10, "x", broken);
        let mut bytes: Vec<u8> = two(Kind::Cifar10, [4, 9]).repeat(70);
        assert_eq!(count(&bytes).unwrap(), 140);
        assert_eq!(count(&[]).unwrap(), 0);
        bytes[130 * 3073] = 10;
        let error = Records::parse(bytes.clone(), Kind::Cifar10, "x").unwrap_err().to_string();
        assert_eq!(count(&bytes).unwrap_err().to_string(), error);
        let cut = &bytes[..100 * 3073 + 5];
        let error = Records::parse(cut.to_vec(), Kind::Cifar10, "x").unwrap_err().to_string();
        assert_eq!(count(cut).unwrap_err().to_string(), error);
    }

    proptest! {
        #[test]
        fn every_truncation_names_the_record(cut in 1usize..6146) {
            prop_assume!(cut != 3073);
            let bytes = two(Kind::Cifar10, [0, 1])[..cut].to_vec();
            let error = Records::parse(bytes, Kind::Cifar10, "x").unwrap_err().to_string();
            let start = format!("x: byte {}: truncated", cut / 3073 * 3073);
            prop_assert!(error.starts_with(&start), "{}", error);
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(bytes.is_empty() || !Kind::Cifar10.fits(&bytes));
            prop_assert!(bytes.is_empty() || !Kind::Cifar100.fits(&bytes));
        }
    }
}
