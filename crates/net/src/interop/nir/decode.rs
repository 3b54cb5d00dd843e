//! Converts the elements of an HDF5 dataset to f64, for every numeric type that HDF5 can describe.
//!
//! An HDF5 float type states the positions of its sign, exponent and mantissa, so one decoder reads
//! f16, bf16, f32 and f64 in either byte order:
//!
//! ```text
//! value = (−1)^s · 1.m · 2^(e − bias)        e = 0:  (−1)^s · 0.m · 2^(1 − bias)
//! ```
//!
//! An HDF5 integer type states its width, its sign and which bits hold the value.

use hdf5_pure::{Datatype, DatatypeByteOrder, FixedPointLayout, FloatingPointLayout};

/// Decodes `bytes`, one value per element.
///
/// # Errors
/// If the elements are not numbers of at most 8 bytes; the message describes their type.
pub(super) fn numbers(bytes: &[u8], datatype: &Datatype) -> Result<Vec<f64>, String> {
    let (size, order, value): (u32, DatatypeByteOrder, Box<dyn Fn(u64) -> f64>) = match datatype {
        Datatype::FloatingPoint { size, byte_order, layout } => {
            let layout = *layout;
            check(*size, layout.bit_offset, layout.bit_precision)?;
            let inside = |location: u8, bits: u8| u16::from(location) + u16::from(bits) <= 64;
            if !inside(layout.exponent_location, layout.exponent_size)
                || !inside(layout.mantissa_location, layout.mantissa_size)
                || !(1..=15).contains(&layout.exponent_size)
                || layout.mantissa_size > 52
            {
                return Err(format!("holds floats of an unknown layout ({layout:?}); store f32"));
            }
            (*size, *byte_order, Box::new(move |bits| float(bits, layout)))
        }
        Datatype::FixedPoint { size, byte_order, layout } => {
            let layout = *layout;
            check(*size, layout.bit_offset, layout.bit_precision)?;
            (*size, *byte_order, Box::new(move |bits| integer(bits, layout)))
        }
        // h5py stores booleans as an enumeration of integers.
        Datatype::Enumeration { base_type, .. } if !matches!(**base_type, Datatype::Enumeration { .. }) => {
            return numbers(bytes, base_type);
        }
        _ => return Err("holds no real numbers; store f32".to_owned()),
    };
    let joined = |element: &[u8]| match order {
        DatatypeByteOrder::LittleEndian => element.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b)),
        _ => element.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)),
    };
    if order == DatatypeByteOrder::Vax {
        return Err("holds numbers in VAX byte order; store f32 in little endian".to_owned());
    }
    Ok(bytes.chunks_exact(size as usize).map(|element| value(joined(element))).collect())
}

/// Returns an error unless the type has 1 to 8 bytes and its bits lie within them.
fn check(size: u32, offset: u16, precision: u16) -> Result<(), String> {
    if !(1..=8).contains(&size) || precision == 0 || u32::from(offset) + u32::from(precision) > 8 * size {
        return Err(format!("holds numbers of {size} bytes, {precision} bits from bit {offset} on; store f32 or f64"));
    }
    Ok(())
}

/// The `count` bits of `bits` that start at bit `at`.
fn field(bits: u64, at: u16, count: u16) -> u64 {
    let bits = bits.checked_shr(at.into()).unwrap_or(0);
    if count >= 64 { bits } else { bits & ((1 << count) - 1) }
}

fn float(bits: u64, l: FloatingPointLayout) -> f64 {
    let sign = if field(bits, l.bit_offset + l.bit_precision - 1, 1) == 1 { -1.0 } else { 1.0 };
    let exponent = field(bits, l.exponent_location.into(), l.exponent_size.into());
    let mantissa = field(bits, l.mantissa_location.into(), l.mantissa_size.into());
    let share = mantissa as f64 / (1u64 << l.mantissa_size) as f64;
    let power = |e: i64| 2f64.powi(e.clamp(-1100, 1100) as i32);
    let bias = i64::from(l.exponent_bias);
    sign * if exponent == (1 << l.exponent_size) - 1 {
        if mantissa == 0 { f64::INFINITY } else { f64::NAN }
    } else if exponent == 0 {
        share * power(1 - bias)
    } else {
        (1.0 + share) * power(exponent as i64 - bias)
    }
}

fn integer(bits: u64, l: FixedPointLayout) -> f64 {
    let value = field(bits, l.bit_offset, l.bit_precision);
    let unused = 64 - u32::from(l.bit_precision);
    if l.signed { ((value << unused) as i64 >> unused) as f64 } else { value as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float_type(size: u32, byte_order: DatatypeByteOrder, exponent: u8, bias: u32) -> Datatype {
        let bits = 8 * size as u8;
        let layout = FloatingPointLayout {
            bit_offset: 0,
            bit_precision: bits.into(),
            exponent_location: bits - 1 - exponent,
            exponent_size: exponent,
            mantissa_location: 0,
            mantissa_size: bits - 1 - exponent,
            exponent_bias: bias,
        };
        Datatype::FloatingPoint { size, byte_order, layout }
    }

    #[test]
    fn halves_of_both_kinds_and_orders_have_the_values_of_ieee_754() {
        // f16: 1.5, −2, the largest finite value, the smallest normal and subnormal values, and −0.
        let f16: [(u16, f64); 6] = [
            (0x3e00, 1.5),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 2f64.powi(-14)),
            (0x0001, 2f64.powi(-24)),
            (0x8000, -0.0),
        ];
        let little: Vec<u8> = f16.iter().flat_map(|v| v.0.to_le_bytes()).collect();
        let big: Vec<u8> = f16.iter().flat_map(|v| v.0.to_be_bytes()).collect();
        let want: Vec<f64> = f16.iter().map(|v| v.1).collect();
        assert_eq!(numbers(&little, &float_type(2, DatatypeByteOrder::LittleEndian, 5, 15)).unwrap(), want);
        assert_eq!(numbers(&big, &float_type(2, DatatypeByteOrder::BigEndian, 5, 15)).unwrap(), want);
        // bf16 is the upper half of an f32.
        let bf16: Vec<u8> = [1.5f32, -0.0078125, 3e38].iter().flat_map(|v| v.to_be_bytes()[..2].to_vec()).collect();
        let read = numbers(&bf16, &float_type(2, DatatypeByteOrder::BigEndian, 8, 127)).unwrap();
        assert_eq!(read[..2], [1.5, -0.0078125]);
        assert_eq!(read[2], f64::from(f32::from_bits(3e38f32.to_bits() & 0xffff_0000)));
        let infinite = numbers(&[0x00, 0x7c], &float_type(2, DatatypeByteOrder::LittleEndian, 5, 15)).unwrap();
        assert_eq!(infinite, [f64::INFINITY]);
    }

    #[test]
    fn wide_floats_come_back_bit_for_bit() {
        for v in [0.1, -1e300, 5e-324, 1e-310, f64::MAX, f64::MIN_POSITIVE] {
            let ty = float_type(8, DatatypeByteOrder::BigEndian, 11, 1023);
            assert_eq!(numbers(&v.to_be_bytes(), &ty).unwrap(), [v]);
        }
        for v in [0.1f32, -3e-45, f32::MAX] {
            let ty = float_type(4, DatatypeByteOrder::LittleEndian, 8, 127);
            assert_eq!(numbers(&v.to_le_bytes(), &ty).unwrap(), [f64::from(v)]);
        }
    }

    #[test]
    fn integers_keep_their_sign_in_every_width() {
        let ty = |size: u32, signed: bool, byte_order| Datatype::FixedPoint {
            size,
            byte_order,
            layout: FixedPointLayout { signed, bit_offset: 0, bit_precision: 8 * size as u16 },
        };
        let (little, big) = (DatatypeByteOrder::LittleEndian, DatatypeByteOrder::BigEndian);
        assert_eq!(numbers(&[0xfe, 0x03], &ty(1, true, little)).unwrap(), [-2.0, 3.0]);
        assert_eq!(numbers(&[0xfe, 0x03], &ty(1, false, little)).unwrap(), [254.0, 3.0]);
        assert_eq!(numbers(&(-70_000i32).to_be_bytes(), &ty(4, true, big)).unwrap(), [-70_000.0]);
        assert_eq!(numbers(&u64::MAX.to_le_bytes(), &ty(8, false, little)).unwrap(), [u64::MAX as f64]);
    }

    #[test]
    fn a_type_that_holds_no_numbers_is_named() {
        let text = Datatype::Opaque { size: 4, tag: Vec::new() };
        let problem = numbers(&[0; 4], &text).unwrap_err();
        assert!(problem.contains("f32"), "{problem}");
    }
}
