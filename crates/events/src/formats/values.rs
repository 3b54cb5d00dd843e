//! Reads the values of one column: numbers of any type at equal steps. NumPy arrays and HDF5
//! compounds share this code, so that both refuse negative numbers and numbers that are too large.

use super::TimeUnit;
use crate::{Error, Problem, Result};

/// A type of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    kind: NumberKind,
    size: usize,
    big: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberKind {
    Signed,
    /// Includes Booleans of one byte.
    Unsigned,
    Float,
}

impl Number {
    /// The type for a letter and a size, as NumPy names it; `None` if the type is not a supported
    /// number.
    pub fn new(letter: char, size: usize, big: bool) -> Option<Number> {
        let kind = match (letter, size) {
            ('i', 1 | 2 | 4 | 8) => NumberKind::Signed,
            ('u', 1 | 2 | 4 | 8) | ('b' | '?', 1) => NumberKind::Unsigned,
            ('f', 2 | 4 | 8) => NumberKind::Float,
            _ => return None,
        };
        Some(Number { kind, size, big })
    }

    /// Size in bytes.
    pub fn size(self) -> usize {
        self.size
    }

    /// Whether it is a floating-point number.
    pub fn is_float(self) -> bool {
        self.kind == NumberKind::Float
    }
}

/// The location of values: value i begins at `first + i·step` of `bytes`.
#[derive(Clone, Copy)]
pub struct ValueBytes<'a> {
    pub file: &'a str,
    pub bytes: &'a [u8],
    /// Offset of `bytes` in the file.
    pub base: u64,
    /// Whether `bytes` were decompressed from data that begin at `base`.
    pub packed: bool,
    pub first: usize,
    pub step: usize,
    /// The name of the value in error messages.
    pub what: &'static str,
}

impl ValueBytes<'_> {
    /// Reads as many values as `to` has elements. `read` converts a value, or returns its text for
    /// an error message.
    #[inline(always)]
    fn each<const N: usize, T>(&self, to: &mut [T], read: impl Fn([u8; N]) -> Result<T, String>) -> Result<()> {
        let mut rest = self.bytes.get(self.first..).unwrap_or_default();
        for (i, slot) in to.iter_mut().enumerate() {
            let Some(&value) = rest.first_chunk() else {
                return Err(self.fault(i, "truncated".into()));
            };
            *slot = read(value).map_err(|found| self.fault(i, Problem::OutOfRange { value: self.what, found }))?;
            rest = rest.get(self.step..).unwrap_or_default();
        }
        Ok(())
    }

    #[cold]
    fn fault(&self, i: usize, problem: Problem) -> Error {
        let at = if self.packed { 0 } else { self.first + i * self.step };
        Error::malformed(self.file, self.base.saturating_add(at as u64), problem, "check what the columns mean")
    }
}

/// Calls `$place.each` with a function that reads the type `$number`.
macro_rules! by_type {
    ($number:expr, $place:expr, $to:expr, |$value:ident: $wide:ty| $read:expr, [$($kind:ident $size:literal $type:ty),*]) => {
        match ($number.kind, $number.size, $number.big) {
            $(
                (NumberKind::$kind, $size, false) => $place.each($to, |b| {
                    let $value = <$type>::from_le_bytes(b) as $wide;
                    $read
                }),
                (NumberKind::$kind, $size, true) => $place.each($to, |b| {
                    let $value = <$type>::from_be_bytes(b) as $wide;
                    $read
                }),
            )*
            _ => Err($place.fault(0, "an unknown type of number".into())),
        }
    };
}

/// Reads floating-point numbers of 16, 32 or 64 bits as f64, which represents all of them exactly.
fn floats<T>(
    number: Number,
    place: ValueBytes<'_>,
    to: &mut [T],
    read: impl Fn(f64) -> Result<T, String>,
) -> Result<()> {
    match (number.kind, number.size, number.big) {
        (NumberKind::Float, 2, false) => place.each(to, |b| read(half(u16::from_le_bytes(b)))),
        (NumberKind::Float, 2, true) => place.each(to, |b| read(half(u16::from_be_bytes(b)))),
        _ => by_type!(number, place, to, |v: f64| read(v), [Float 4 f32, Float 8 f64]),
    }
}

/// The value of a 16-bit floating-point number (IEEE 754 binary16): 1 bit of sign, 5 of exponent,
/// 10 of fraction.
pub fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// Reads integers, including floating-point numbers without a fraction. `fit` returns `None` for a
/// number that is out of range.
pub fn integers<T>(number: Number, place: ValueBytes<'_>, to: &mut [T], fit: impl Fn(i64) -> Option<T>) -> Result<()> {
    if number.is_float() {
        let whole = |v: f64| if v.fract() == 0.0 && v.abs() < 9e15 { fit(v as i64) } else { None };
        return floats(number, place, to, |v| whole(v).ok_or_else(|| v.to_string()));
    }
    if let (NumberKind::Unsigned, 8) = (number.kind, number.size) {
        let whole = |v: u64| i64::try_from(v).ok().and_then(&fit);
        return by_type!(number, place, to, |v: u64| whole(v).ok_or_else(|| v.to_string()), [Unsigned 8 u64]);
    }
    by_type!(
        number, place, to, |v: i64| fit(v).ok_or_else(|| v.to_string()),
        [Signed 1 i8, Signed 2 i16, Signed 4 i32, Signed 8 i64, Unsigned 1 u8, Unsigned 2 u16, Unsigned 4 u32]
    )
}

/// Reads times of `unit` as whole µs; floating-point times are rounded to nearest, ties to even.
pub fn times(number: Number, place: ValueBytes<'_>, to: &mut [u64], unit: TimeUnit) -> Result<()> {
    if !number.is_float() {
        return integers(number, place, to, |t| u64::try_from(t).ok().and_then(|t| unit.whole(t)));
    }
    let us = |v: f64| unit.float(v).ok_or_else(|| format!("{v} {unit}"));
    floats(number, place, to, us)
}

/// Reads polarities: 1 is ON; 0 and −1 are OFF.
pub fn polarities(number: Number, place: ValueBytes<'_>, to: &mut [bool]) -> Result<()> {
    integers(number, place, to, |p| match p {
        1 => Some(true),
        0 | -1 => Some(false),
        _ => None,
    })
}

/// Examines `n` floating-point numbers. Returns whether any has a fraction (or is not finite), and
/// whether any differs from 0.
pub fn fractions(number: Number, mut place: ValueBytes<'_>, n: usize) -> Result<(bool, bool)> {
    let (mut values, mut found) = ([0f64; 1024], (false, false));
    for start in (0..n).step_by(values.len()) {
        let values = &mut values[..(n - start).min(1024)];
        floats(number, place, values, Ok)?;
        found.1 |= values.iter().any(|&v| v != 0.0);
        if values.iter().any(|v| v.fract() != 0.0) {
            return Ok((true, true));
        }
        place.first += values.len() * place.step;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_read_as_ieee_754_has_them() {
        let cases = [(0x3C00, 1.0), (0xC000, -2.0), (0x3555, 0.333251953125), (0x0001, 5.960464477539063e-8)];
        for (bits, value) in cases {
            assert_eq!(half(bits), value, "{bits:04x}");
        }
        assert_eq!((half(0x7BFF), half(0x7C00)), (65504.0, f64::INFINITY));
        assert!(half(0x7E00).is_nan());
        for (big, bytes) in [(false, [0x00, 0x3C, 0x00, 0x45]), (true, [0x3C, 0x00, 0x45, 0x00])] {
            let number = Number::new('f', 2, big).unwrap();
            let place = ValueBytes { file: "a", bytes: &bytes, base: 0, packed: false, first: 0, step: 2, what: "x" };
            let mut found = [0u16; 2];
            integers(number, place, &mut found, |v| u16::try_from(v).ok()).unwrap();
            assert_eq!(found, [1, 5]);
        }
    }
}
