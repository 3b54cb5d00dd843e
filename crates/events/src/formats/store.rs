//! Stores AVX-512 registers in the spare capacity of columns.
//!
//! Safe code can extend a `Vec` only by initialised values. Initialising the memory before the
//! decoder overwrites it takes a tenth of the time of decoding. The decoders therefore write to
//! uninitialised memory ([`room`]) and set the new length afterwards ([`lengthen`]).
//!
//! The module needs `unsafe` to store whole registers in arrays of the same size, and to set the
//! lengths.
#![allow(unsafe_code)]

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use crate::Columns;

/// Uninitialised memory after the last event of each column.
pub struct Room<'a> {
    /// Times in µs.
    pub t: &'a mut [MaybeUninit<u64>],
    /// x of each event.
    pub x: &'a mut [MaybeUninit<u16>],
    /// y of each event.
    pub y: &'a mut [MaybeUninit<u16>],
    /// Polarity of each event.
    pub on: &'a mut [MaybeUninit<bool>],
}

/// Reserves memory for `n` more events and returns it.
pub fn room(out: &mut Columns, n: usize) -> Room<'_> {
    out.reserve(n);
    Room {
        t: &mut out.t_us.spare_capacity_mut()[..n],
        x: &mut out.x.spare_capacity_mut()[..n],
        y: &mut out.y.spare_capacity_mut()[..n],
        on: &mut out.on.spare_capacity_mut()[..n],
    }
}

/// Adds the next `n` events of every column to its length.
///
/// # Safety
/// The caller must have written these events within the memory that [`room`] returned.
pub unsafe fn lengthen(out: &mut Columns, n: usize) {
    // SAFETY: the caller has written `n` values after the length of each column.
    unsafe {
        out.t_us.set_len(out.t_us.len() + n);
        out.x.set_len(out.x.len() + n);
        out.y.set_len(out.y.len() + n);
        out.on.set_len(out.on.len() + n);
    }
}

/// Narrows the 32 lanes of two registers to 16 bits each, in order. All lanes must be below 2¹⁶.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub fn narrow(a: __m512i, b: __m512i) -> __m512i {
    // The pack instruction interleaves quarters of both registers; the permutation restores the
    // order.
    _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), _mm512_packus_epi32(a, b))
}

/// A mask of the 32 lanes of two registers in which at least one of `bits` is set; bit 0 is the
/// first lane of `a`.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn which(a: __m512i, b: __m512i, bits: __m512i) -> u32 {
    u32::from(_mm512_test_epi32_mask(a, bits)) | u32::from(_mm512_test_epi32_mask(b, bits)) << 16
}

/// Stores the times of eight events.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn times(to: &mut [MaybeUninit<u64>; 8], lanes: __m512i) {
    // SAFETY: the array has 64 bytes, and any bits are a valid number.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), lanes) }
}

/// Stores 32 coordinates.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn coordinates(to: &mut [MaybeUninit<u16>; 32], lanes: __m512i) {
    // SAFETY: the array has 64 bytes, and any bits are a valid number.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), lanes) }
}

/// Stores 32 polarities, one per bit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub fn polarities(to: &mut [MaybeUninit<bool>; 32], bits: u32) {
    // SAFETY: the array has 32 bytes, and each stored byte is 0 or 1, which are the values of a
    // `bool`.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm256_maskz_set1_epi8(bits, 1)) }
}

/// Loads 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn load(from: &[u8; 64]) -> __m512i {
    // SAFETY: the array has 64 bytes.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}
