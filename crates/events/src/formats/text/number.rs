//! Parses decimal numbers exactly, with an optional fraction and exponent.

/// Digits beyond this many are dropped; they are far below 1 µs.
const MOST: u128 = 10u128.pow(30);
/// The largest exponent of ten in 128 bits.
const LARGEST_POWER: i32 = 38;

/// A non-negative number, exactly: `digits` · 10^`exponent`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decimal {
    digits: u128,
    exponent: i32,
    /// Whether digits other than 0 were dropped.
    cut: bool,
}

impl Decimal {
    /// Parses `12`, `0.5`, `.5`, `1e-06`, `1.50E+3`; `None` if the text has a sign or is not a
    /// number.
    pub fn parse(text: &[u8]) -> Option<Decimal> {
        let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
            Some(at) => (&text[..at], exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let mut number = Decimal { digits: 0, exponent, cut: false };
        let (mut fraction, mut count) = (false, 0);
        for &b in mantissa {
            if b == b'.' && !fraction {
                fraction = true;
                continue;
            }
            let digit = b.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            count += 1;
            if number.digits < MOST {
                number.digits = number.digits * 10 + u128::from(digit);
                number.exponent -= i32::from(fraction);
            } else {
                number.exponent += i32::from(!fraction);
                number.cut |= digit > 0;
            }
        }
        (count > 0).then_some(number)
    }

    /// The number, if it is a whole number of at most 64 bits.
    pub fn whole(self) -> Option<u64> {
        let Decimal { digits, exponent, cut } = self;
        if digits == 0 {
            return (!cut).then_some(0);
        }
        if cut || exponent.abs() > LARGEST_POWER {
            return None;
        }
        let power = 10u128.pow(exponent.unsigned_abs());
        let whole =
            if exponent < 0 { digits.is_multiple_of(power).then(|| digits / power) } else { digits.checked_mul(power) };
        u64::try_from(whole?).ok()
    }

    /// The number · 10^`power`, rounded to nearest, ties up; `None` if the result exceeds 64 bits.
    pub fn scaled(self, power: i32) -> Option<u64> {
        let exponent = self.exponent + power;
        let power = |n: u32| 10u128.pow(n);
        let scaled = match exponent {
            _ if self.digits == 0 => 0,
            0..=LARGEST_POWER => self.digits.checked_mul(power(exponent.unsigned_abs()))?,
            _ if exponent > LARGEST_POWER => return None,
            ..0 if -exponent > LARGEST_POWER => 0,
            _ => (self.digits + power(exponent.unsigned_abs() - 1) * 5) / power(exponent.unsigned_abs()),
        };
        u64::try_from(scaled).ok()
    }
}

/// Parses the exponent after `e`.
fn exponent(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    // More than four digits are refused: they could overflow, and no time needs them.
    let digits = Some(digits).filter(|digits| (1..=4).contains(&digits.len()))?;
    let number = digits.iter().try_fold(0, |n, &d| d.is_ascii_digit().then(|| n * 10 + i32::from(d - b'0')));
    number.map(|n| sign * n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(text: &str, power: i32) -> Option<u64> {
        Decimal::parse(text.as_bytes())?.scaled(power)
    }

    #[test]
    fn times_are_rounded_to_the_nearest_microsecond() {
        assert_eq!(us("0.0000005", 6), Some(1));
        assert_eq!(us("0.00000049999999999", 6), Some(0));
        assert_eq!(us("18446744073709551615", 0), Some(u64::MAX));
        assert_eq!(us("18446744073709551615", 6), None);
        assert_eq!((us("1e-06", 6), us("1.0E-5", 6), us("1.5e+3", 0)), (Some(1), Some(10), Some(1500)));
        assert_eq!((us("1500", -3), us("1499", -3), us("1e-300", 6)), (Some(2), Some(1), Some(0)));
        assert_eq!((us(".5", 6), us("5.", 6), us(".5e-3", 6)), (Some(500_000), Some(5_000_000), Some(500)));
        assert_eq!((us("1e300", 0), us("0e300", 6)), (None, Some(0)));
        assert_eq!(us("1.000000000000000000000000000000000000000001", 6), Some(1_000_000));
        for no_number in [
            "",
            ".",
            ".e5",
            "..5",
            "-1",
            "+1",
            "1e",
            "1e+",
            "1.2.3",
            "e5",
            "1e99999",
            "1e66666666666666666666",
            "1e-66666666666",
            "nan",
            "inf",
            "0x1",
        ] {
            assert_eq!(Decimal::parse(no_number.as_bytes()), None, "{no_number}");
        }
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        let whole = |text: &str| Decimal::parse(text.as_bytes()).and_then(Decimal::whole);
        for text in ["96", "96.0", "9.600000000000000000e+01", "960e-1", "000000000000000000000000000000000000096"] {
            assert_eq!(whole(text), Some(96), "{text}");
        }
        for text in ["96.5", "1e-6", "1e300", "1.000000000000000000000000000000000000000001", "99999999999999999999"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
