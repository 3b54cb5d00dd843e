//! A tensor of a checkpoint: a strided view of bytes of the file.
//!
//! Element (i₁, …, iₙ) is number offset + Σ iₖ·strideₖ of its storage. Several tensors may view one
//! storage. The view is checked when it is made, and values are copied only when they are asked for
//! ([`Tensor::to_array`]). A file with huge declared sizes therefore costs no memory until a
//! network asks for a tensor of that size.

use super::half;
use crate::weights::Array;
use std::ops::Range;
use tickless_words::words;

/// The type of a tensor's numbers, with PyTorch's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Number {
    /// `float32`.
    F32,
    /// `float64`.
    F64,
    /// `float16`.
    F16,
    /// `bfloat16`.
    Bf16,
    /// `int8`.
    I8,
    /// `int16`.
    I16,
    /// `int32`.
    I32,
    /// `int64`.
    I64,
    /// `uint8`.
    U8,
    /// `uint16`.
    U16,
    /// `uint32`.
    U32,
    /// `uint64`.
    U64,
    /// `bool`, one byte each.
    Bool,
    /// `complex64`: a real and an imaginary f32. A file may hold such tensors, and no weight is one.
    Complex64,
    /// `complex128`: a real and an imaginary f64.
    Complex128,
}

impl Number {
    /// Size of a number in bytes.
    pub const fn size(self) -> usize {
        match self {
            Number::Complex128 => 16,
            Number::F64 | Number::I64 | Number::U64 | Number::Complex64 => 8,
            Number::F32 | Number::I32 | Number::U32 => 4,
            Number::F16 | Number::Bf16 | Number::I16 | Number::U16 => 2,
            Number::I8 | Number::U8 | Number::Bool => 1,
        }
    }

    /// Whether the numbers are real, so that they can be weights.
    pub const fn is_real(self) -> bool {
        !matches!(self, Number::Complex64 | Number::Complex128)
    }
}

words!(serde Number, "type of number", {
    F32 = "float32",
    F64 = "float64",
    F16 = "float16",
    Bf16 = "bfloat16",
    I8 = "int8",
    I16 = "int16",
    I32 = "int32",
    I64 = "int64",
    U8 = "uint8",
    U16 = "uint16",
    U32 = "uint32",
    U64 = "uint64",
    Bool = "bool",
    Complex64 = "complex64",
    Complex128 = "complex128",
});

/// The bytes of a storage within the file, and how its numbers are stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Storage {
    /// Where the bytes lie in the file.
    pub bytes: Range<usize>,
    /// The type of the numbers.
    pub number: Number,
    /// Whether a number's most significant byte comes first.
    pub big_endian: bool,
}

impl Storage {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.number.size()
    }
}

/// A view of a storage of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tensor {
    storage: Storage,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

/// Largest number of elements of a tensor whose values are copied (4 GB of f32).
const LARGEST: usize = 1 << 30;

impl Tensor {
    /// A view of a storage.
    ///
    /// # Errors
    /// If shape and strides differ in length, or an element lies outside the storage.
    pub(super) fn new(storage: Storage, offset: usize, shape: Vec<usize>, strides: Vec<usize>) -> Result<Self, String> {
        if shape.len() != strides.len() {
            return Err(format!("has {} sides and {} strides", shape.len(), strides.len()));
        }
        let has = storage.len();
        let elements = shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
        if elements.is_none() {
            return Err(format!("has the shape {shape:?}, more elements than a machine can address"));
        }
        if elements != Some(0) {
            let steps = shape.iter().zip(&strides);
            let last =
                steps.into_iter().try_fold(offset, |at, (n, stride)| at.checked_add((n - 1).checked_mul(*stride)?));
            if last.is_none_or(|last| last >= has) {
                return Err(format!(
                    "reaches outside its storage: shape {shape:?}, strides {strides:?} and offset {offset} in {has} numbers"
                ));
            }
        }
        Ok(Self { storage, offset, shape, strides })
    }

    /// The contiguous view of a whole storage.
    ///
    /// # Errors
    /// If the storage has too few numbers for the shape.
    pub(super) fn contiguous(storage: Storage, shape: Vec<usize>) -> Result<Self, String> {
        let mut strides = vec![1usize; shape.len()];
        for i in (1..shape.len()).rev() {
            strides[i - 1] = strides[i].saturating_mul(shape[i].max(1));
        }
        Self::new(storage, 0, shape, strides)
    }

    /// The length of each side; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type of the numbers.
    pub fn number(&self) -> Number {
        self.storage.number
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values in row-major order as f32; `file` is the content of the checkpoint. Numbers that
    /// f32 does not have are rounded to the nearest.
    ///
    /// # Errors
    /// If the tensor has more than 2³⁰ elements, or complex ones.
    pub(super) fn to_array(&self, file: &[u8]) -> Result<Array, String> {
        let (elements, number) = (self.elements(), self.storage.number);
        if !number.is_real() {
            return Err(format!("has numbers of type {number}, and weights are real; save its real part: v.real"));
        }
        if elements > LARGEST {
            return Err(format!("has {elements} numbers, at most {LARGEST} are read"));
        }
        let bytes = file.get(self.storage.bytes.clone()).unwrap_or_default();
        let mut data = Vec::with_capacity(elements);
        if elements > 0 {
            self.copy(bytes, self.offset, 0, &mut data);
        }
        Ok(Array { shape: self.shape.clone(), data })
    }

    /// Appends the elements of the sides from `side` on, the first of which is number `at`. The
    /// recursion is as deep as the tensor has sides.
    fn copy(&self, bytes: &[u8], at: usize, side: usize, into: &mut Vec<f32>) {
        match self.shape.get(side) {
            None => into.push(self.value(bytes, at)),
            Some(&n) => (0..n).for_each(|i| self.copy(bytes, at + i * self.strides[side], side + 1, into)),
        }
    }

    fn value(&self, bytes: &[u8], at: usize) -> f32 {
        let size = self.storage.number.size();
        let mut word = [0u8; 16];
        let Some(stored) = bytes.get(at * size..(at + 1) * size) else { return 0.0 };
        word[..size].copy_from_slice(stored);
        if self.storage.big_endian {
            word[..size].reverse();
        }
        let [a, b, c, d, e, f, g, h, ..] = word;
        let eight = [a, b, c, d, e, f, g, h];
        match self.storage.number {
            Number::F32 => f32::from_le_bytes([a, b, c, d]),
            Number::F64 => f64::from_le_bytes(eight) as f32,
            Number::F16 => half::from_f16(u16::from_le_bytes([a, b])),
            Number::Bf16 => half::from_bf16(u16::from_le_bytes([a, b])),
            Number::I8 => f32::from(a as i8),
            Number::I16 => f32::from(i16::from_le_bytes([a, b])),
            Number::I32 => i32::from_le_bytes([a, b, c, d]) as f32,
            Number::I64 => i64::from_le_bytes(eight) as f32,
            Number::U8 => f32::from(a),
            Number::U16 => f32::from(u16::from_le_bytes([a, b])),
            Number::U32 => u32::from_le_bytes([a, b, c, d]) as f32,
            Number::U64 => u64::from_le_bytes(eight) as f32,
            Number::Bool => f32::from(u8::from(a != 0)),
            Number::Complex64 | Number::Complex128 => f32::NAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(bytes: usize, number: Number) -> Storage {
        Storage { bytes: 0..bytes, number, big_endian: false }
    }

    #[test]
    fn strides_and_offset_choose_the_elements() {
        let file: Vec<u8> = (0..12).collect();
        let transposed = Tensor::new(storage(12, Number::U8), 1, vec![2, 3], vec![1, 4]).unwrap();
        assert_eq!(transposed.to_array(&file).unwrap().data, [1.0, 5.0, 9.0, 2.0, 6.0, 10.0]);
        let expanded = Tensor::new(storage(12, Number::U8), 7, vec![2, 2], vec![0, 0]).unwrap();
        assert_eq!(expanded.to_array(&file).unwrap().data, [7.0; 4]);
        let scalar = Tensor::new(storage(12, Number::U8), 11, vec![], vec![]).unwrap();
        assert_eq!((scalar.elements(), scalar.to_array(&file).unwrap().data), (1, vec![11.0]));
        let empty = Tensor::new(storage(0, Number::U8), 0, vec![0, 3], vec![3, 1]).unwrap();
        assert!(empty.to_array(&file).unwrap().data.is_empty());
    }

    #[test]
    fn an_element_outside_the_storage_is_refused() {
        for (offset, shape, strides) in [
            (0, vec![13], vec![1]),
            (12, vec![], vec![]),
            (1, vec![2, 6], vec![6, 1]),
            (0, vec![2], vec![12]),
            (0, vec![3], vec![usize::MAX]),
            (usize::MAX, vec![2], vec![1]),
            (0, vec![usize::MAX, 3], vec![0, 0]),
            (0, vec![2], vec![]),
        ] {
            let e = Tensor::new(storage(12, Number::U8), offset, shape.clone(), strides).unwrap_err();
            assert!(e.contains(&format!("{shape:?}")) || e.contains("strides"), "{e}");
        }
        let huge = Tensor::new(storage(12, Number::U8), 0, vec![1 << 40], vec![0]).unwrap();
        assert!(huge.to_array(&[0; 12]).unwrap_err().contains("most"));
    }

    #[test]
    fn every_type_of_number_is_read_in_both_byte_orders() {
        let cases: [(Number, &[u8], f32); 13] = [
            (Number::F32, &[0, 0, 0xc0, 0x3f], 1.5),
            (Number::F64, &[0, 0, 0, 0, 0, 0, 4, 0xc0], -2.5),
            (Number::F16, &[0, 0xc0], -2.0),
            (Number::Bf16, &[0x80, 0x3f], 1.0),
            (Number::I8, &[0xff], -1.0),
            (Number::I16, &[0xfe, 0xff], -2.0),
            (Number::I32, &[1, 1, 0, 0], 257.0),
            (Number::I64, &[0, 0, 0, 0, 1, 0, 0, 0], 4_294_967_296.0),
            (Number::U8, &[200], 200.0),
            (Number::U16, &[0xfe, 0xff], 65534.0),
            (Number::U32, &[0, 0, 0, 0x80], 2_147_483_648.0),
            (Number::U64, &[0, 0, 0, 0, 0, 0, 0, 0x80], 9_223_372_036_854_775_808.0),
            (Number::Bool, &[2], 1.0),
        ];
        for (number, bytes, value) in cases {
            assert_eq!(number.size(), bytes.len());
            for big_endian in [false, true] {
                let mut bytes = bytes.to_vec();
                if big_endian {
                    bytes.reverse();
                }
                let storage = Storage { big_endian, ..storage(bytes.len(), number) };
                let tensor = Tensor::contiguous(storage, vec![1]).unwrap();
                assert_eq!(tensor.to_array(&bytes).unwrap().data, [value], "{number}, {big_endian}");
            }
        }
    }

    #[test]
    fn complex_numbers_are_kept_apart_and_never_values() {
        let tensor = Tensor::contiguous(storage(32, Number::Complex128), vec![2]).unwrap();
        assert_eq!(tensor.elements(), 2);
        assert!(tensor.to_array(&[0; 32]).unwrap_err().contains("complex128"));
    }
}
