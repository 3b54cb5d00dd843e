//! Common parts of the decompressors: reading compressed bytes, and copies within the output.

use crate::problem::Problem;

/// The compressed bytes that have not been read.
pub struct Packed<'a>(pub &'a [u8]);

impl<'a> Packed<'a> {
    /// Whether all bytes have been read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Problem> {
        let (&first, rest) = self.0.split_first().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(first)
    }

    /// Reads the next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or_else(truncated)?;
        self.0 = rest;
        Ok(taken)
    }
}

fn truncated() -> Problem {
    Problem::TruncatedStream
}

/// Appends `n` bytes that begin `distance` bytes before the end of `out`. If `n` exceeds
/// `distance`, the copy includes bytes that it has just appended, so they repeat.
#[inline]
pub fn copy(out: &mut Vec<u8>, distance: usize, n: usize) -> Result<(), Problem> {
    let start = out.len().checked_sub(distance).ok_or(Problem::CopyFromBefore)?;
    if distance >= n {
        out.extend_from_within(start..start + n);
    } else {
        (start..start + n).for_each(|i| out.push(out[i]));
    }
    Ok(())
}
