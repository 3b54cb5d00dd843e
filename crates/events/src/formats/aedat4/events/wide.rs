//! Converts the events of AEDAT4 to columns with AVX-512, 32 events per step. It gives the same
//! columns as the scalar form `aedat4::events::Elements`.
//!
//! A register holds four events. From two registers, one permutation selects the eight times and
//! another the eight pixels (x, y and polarity). From two registers of pixels, one permutation
//! selects the columns and rows.
//!
//! The module needs `unsafe` to set the number of stored events, and to call a function that is
//! compiled for AVX-512; an [`Isa`] proves that the processor has these instructions.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use tickless_simd::InstructionSet;
use tickless_simd::Isa;

use crate::Columns;

/// Appends a prefix of `elements` to `out`, as `aedat4::events::Elements` does. Returns the number
/// of appended events, the bitwise or of their times and that of their pixels. If the instruction
/// set is not AVX-512, it appends none.
#[inline]
pub fn elements(isa: Isa, elements: &[[u8; 16]], out: &mut Columns) -> (usize, (u64, u64)) {
    match isa.set() {
        // SAFETY: an `Isa` exists only for a set that the processor has.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { avx512::elements(elements, out) },
        _ => (0, (0, 0)),
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use crate::Columns;
    use crate::formats::prefetch::prefetch_a_page_ahead;
    use crate::formats::store::{self, coordinates, lengthen, load, polarities, times};

    /// Number of events in a group.
    const GROUP: usize = 32;

    /// Appends all whole groups of `elements` to `out`. Returns the number of appended events, the
    /// bitwise or of their times and that of their pixels.
    #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub fn elements(elements: &[[u8; 16]], out: &mut Columns) -> (usize, (u64, u64)) {
        let (groups, _) = elements.as_chunks::<GROUP>();
        let room = store::room(out, groups.len() * GROUP);
        let even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
        let odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
        // A pixel has 8 bytes: 2 bytes of column, 2 bytes of row, then the polarity.
        let mut of = [0; 64];
        for (i, to) in of.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *to = ((i % 16 * 4 + i / 16) as u16).to_le_bytes();
        }
        let xs_ys = load(&of);
        let polarity = _mm512_set1_epi64(0xFF << 32);
        let (mut all_times, mut all_pixels) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        let (t, x) = (room.t.as_chunks_mut::<GROUP>().0, room.x.as_chunks_mut().0);
        let (y, on) = (room.y.as_chunks_mut().0, room.on.as_chunks_mut().0);
        let mut n = 0;
        for ((((group, t), x), y), on) in groups.iter().zip(t).zip(x).zip(y).zip(on) {
            let (pairs, _) = group.as_flattened().as_chunks::<128>();
            let mut pixels = [_mm512_setzero_si512(); 4];
            for ((pair, t), pixels) in pairs.iter().zip(t.as_chunks_mut().0).zip(&mut pixels) {
                let [a, b] = pair.as_chunks().0 else { break };
                prefetch_a_page_ahead(a);
                prefetch_a_page_ahead(b);
                let (a, b) = (load(a), load(b));
                let time = _mm512_permutex2var_epi64(a, even, b);
                *pixels = _mm512_permutex2var_epi64(a, odd, b);
                times(t, time);
                all_times = _mm512_or_si512(all_times, time);
                all_pixels = _mm512_or_si512(all_pixels, *pixels);
            }
            let [a, b, c, d] = pixels;
            // Each of these registers holds 16 columns, then 16 rows.
            let (front, back) = (_mm512_permutex2var_epi16(a, xs_ys, b), _mm512_permutex2var_epi16(c, xs_ys, d));
            coordinates(x, _mm512_shuffle_i64x2::<0b01_00_01_00>(front, back));
            coordinates(y, _mm512_shuffle_i64x2::<0b11_10_11_10>(front, back));
            let is_on = pixels.map(|pixels| _mm512_test_epi64_mask(pixels, polarity));
            polarities(on, u32::from_le_bytes(is_on));
            n += GROUP;
        }
        // SAFETY: for each group that the loop counted, it has written a whole group of each
        // column.
        unsafe { lengthen(out, n) };
        (n, (_mm512_reduce_or_epi64(all_times) as u64, _mm512_reduce_or_epi64(all_pixels) as u64))
    }
}
