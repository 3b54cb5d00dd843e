//! What the unpackers share: bytes that are taken from the front, and copies within the output.

/// Packed bytes that are left.
pub struct Packed<'a>(pub &'a [u8]);

impl<'a> Packed<'a> {
    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, String> {
        let (&first, rest) = self.0.split_first().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(first)
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or_else(truncated)?;
        self.0 = rest;
        Ok(taken)
    }
}

fn truncated() -> String {
    "a truncated stream".into()
}

/// Appends `n` bytes that begin `distance` before the end of `out`. They may overlap what is
/// written, which then repeats.
#[inline]
pub fn copy(out: &mut Vec<u8>, distance: usize, n: usize) -> Result<(), String> {
    let start = out.len().checked_sub(distance).ok_or("a copy from before its beginning")?;
    if distance >= n {
        out.extend_from_within(start..start + n);
    } else {
        (start..start + n).for_each(|i| out.push(out[i]));
    }
    Ok(())
}
