//! Decodes events of AEDAT4 with AVX-512, 32 at a time; the scalar counterpart is
//! `aedat4::events::Elements`.
//!
//! Two registers with four events each are permuted into one register of times and one of pixels.
//! Two registers of pixels are permuted into one register of columns and rows.
//!
//! The only `unsafe` operation is setting the number of written events.

use std::arch::x86_64::*;

use super::prefetch;
use super::store::{self, coordinates, lengthen, load, polarities, times};
use crate::Columns;

/// Number of events in a group.
const GROUP: usize = 32;

/// Appends the events of all whole groups, from the front. Returns their number, and the bitwise or
/// of all their times and of all their pixels.
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
pub fn elements(elements: &[[u8; 16]], out: &mut Columns) -> (usize, (u64, u64)) {
    let (groups, _) = elements.as_chunks::<GROUP>();
    let room = store::room(out, groups.len() * GROUP);
    let even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    let odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
    // Column and row are two 16-bit quarters of the 8 bytes of a pixel.
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
            prefetch(a);
            prefetch(b);
            let (a, b) = (load(a), load(b));
            let time = _mm512_permutex2var_epi64(a, even, b);
            *pixels = _mm512_permutex2var_epi64(a, odd, b);
            times(t, time);
            all_times = _mm512_or_si512(all_times, time);
            all_pixels = _mm512_or_si512(all_pixels, *pixels);
        }
        let [a, b, c, d] = pixels;
        // Each of the two registers has 16 columns and 16 rows.
        let (front, back) = (_mm512_permutex2var_epi16(a, xs_ys, b), _mm512_permutex2var_epi16(c, xs_ys, d));
        coordinates(x, _mm512_shuffle_i64x2::<0b01_00_01_00>(front, back));
        coordinates(y, _mm512_shuffle_i64x2::<0b11_10_11_10>(front, back));
        let is_on = pixels.map(|pixels| _mm512_test_epi64_mask(pixels, polarity));
        polarities(on, u32::from_le_bytes(is_on));
        n += GROUP;
    }
    // SAFETY: for each group that the loop counted, it wrote the group in each column within its
    // room.
    unsafe { lengthen(out, n) };
    (n, (_mm512_reduce_or_epi64(all_times) as u64, _mm512_reduce_or_epi64(all_pixels) as u64))
}
