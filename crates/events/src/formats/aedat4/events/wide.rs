//! Events of AEDAT4 with AVX-512, 32 at a time; the scalar twin is `aedat4::events::Elements`.
//!
//! Of two registers of four events, one permutation takes the times and another the pixels; of two
//! registers of pixels, one takes the columns and rows.
//!
//! Unsafe: the count of what was written, and the call of a function that is compiled for
//! instructions which an [`Isa`] says that the processor has.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use tickless_simd::InstructionSet;
use tickless_simd::Isa;

use crate::Columns;

/// Appends events from the front on, as `aedat4::events::Elements` does. Returns how many (it may
/// leave any number, and leaves all unless the set is AVX-512), and all bits that their times and
/// their pixels have.
#[inline]
pub fn elements(isa: Isa, elements: &[[u8; 16]], out: &mut Columns) -> (usize, (u64, u64)) {
    match isa.set() {
        // SAFETY: an `Isa` is a set that the processor has.
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

    /// Events of a group.
    const GROUP: usize = 32;

    /// Appends events from the front on, as many as there are whole groups; returns how many that is,
    /// and all bits that their times and their pixels have.
    #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub fn elements(elements: &[[u8; 16]], out: &mut Columns) -> (usize, (u64, u64)) {
        let (groups, _) = elements.as_chunks::<GROUP>();
        let room = store::room(out, groups.len() * GROUP);
        let even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
        let odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
        // Column and row are two quarters of 8 bytes.
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
            // 16 columns and 16 rows each.
            let (front, back) = (_mm512_permutex2var_epi16(a, xs_ys, b), _mm512_permutex2var_epi16(c, xs_ys, d));
            coordinates(x, _mm512_shuffle_i64x2::<0b01_00_01_00>(front, back));
            coordinates(y, _mm512_shuffle_i64x2::<0b11_10_11_10>(front, back));
            let is_on = pixels.map(|pixels| _mm512_test_epi64_mask(pixels, polarity));
            polarities(on, u32::from_le_bytes(is_on));
            n += GROUP;
        }
        // SAFETY: the loop has written a group of each column, within its room, for each it counted.
        unsafe { lengthen(out, n) };
        (n, (_mm512_reduce_or_epi64(all_times) as u64, _mm512_reduce_or_epi64(all_pixels) as u64))
    }
}
