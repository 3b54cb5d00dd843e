//! Decodes EVT2 with AVX-512, 32 words per step. It decodes the same words as the scalar form
//! `evt2::Piece`.
//!
//! The kernel decodes each group as if all its words were events, because most words are, and
//! stores the events after those of the group before. If the group contains another word, only the
//! events before that word count, and the next group begins after it.
//!
//! The module needs `unsafe` to set the number of stored events, and to call a function that is
//! compiled for AVX-512; an [`Isa`] proves that the processor has these instructions.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use tickless_simd::InstructionSet;
use tickless_simd::Isa;

use crate::Columns;
use crate::formats::evt::High;

/// Decodes a prefix of `words` as `evt2::Piece` does, appends the events to `out`, and returns the
/// number of decoded words. If the instruction set is not AVX-512, it decodes no word.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn events(isa: Isa, words: &[[u8; 4]], high: &mut High, out: &mut Columns) -> usize {
    match isa.set() {
        // SAFETY: an `Isa` exists only for a set that the processor has.
        InstructionSet::Avx512 => unsafe { avx512::events(words, high, out) },
        _ => 0,
    }
}

/// Decodes no word, because this target has no AVX-512.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub fn events(_: Isa, _: &[[u8; 4]], _: &mut High, _: &mut Columns) -> usize {
    0
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::super::other;
    use crate::Columns;
    use crate::formats::evt::High;
    use crate::formats::prefetch::prefetch_a_page_ahead;
    use crate::formats::store::{self, coordinates, lengthen, load, narrow, polarities, times, which};

    /// Number of words in a group.
    const GROUP: usize = 32;

    /// Decodes a prefix of `words`, appends the events to `out`, and returns the number of decoded
    /// words: all but fewer than [`GROUP`] at the end, or none if no word has set the high bits of
    /// the time before.
    #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub fn events(words: &[[u8; 4]], high: &mut High, out: &mut Columns) -> usize {
        let Some(mut base) = high.base_us else { return 0 };
        // Each word yields at most one event.
        let room = store::room(out, words.len());
        let (coordinate, low) = (_mm512_set1_epi32(0x7FF), _mm512_set1_epi32(0x3F));
        let (no_event, is_on) = (_mm512_set1_epi32(0b111 << 29), _mm512_set1_epi32(1 << 28));
        let (mut done, mut n) = (0, 0);
        while let (Some(group), Some(t), Some(x), Some(y), Some(on)) = (
            words[done..].first_chunk::<GROUP>(),
            room.t[n..].first_chunk_mut::<GROUP>(),
            room.x[n..].first_chunk_mut(),
            room.y[n..].first_chunk_mut(),
            room.on[n..].first_chunk_mut(),
        ) {
            let [a, b] = group.as_flattened().as_chunks().0 else { break };
            prefetch_a_page_ahead(a);
            prefetch_a_page_ahead(b);
            let (a, b) = (load(a), load(b));
            let base_lanes = _mm512_set1_epi64(base as i64);
            let time = |lows| _mm512_add_epi64(_mm512_cvtepu32_epi64(lows), base_lanes);
            for (words, to) in [a, b].into_iter().zip(t.as_chunks_mut::<16>().0) {
                let lows = _mm512_and_epi32(_mm512_srli_epi32::<22>(words), low);
                let [front, back] = to.as_chunks_mut().0 else { break };
                times(front, time(_mm512_castsi512_si256(lows)));
                times(back, time(_mm512_extracti64x4_epi64::<1>(lows)));
            }
            let column = |words| _mm512_and_epi32(_mm512_srli_epi32::<11>(words), coordinate);
            coordinates(x, narrow(column(a), column(b)));
            coordinates(y, narrow(_mm512_and_epi32(a, coordinate), _mm512_and_epi32(b, coordinate)));
            polarities(on, which(a, b, is_on));
            if _mm512_test_epi32_mask(_mm512_or_si512(a, b), no_event) == 0 {
                n += GROUP;
                done += GROUP;
            } else {
                let events = which(a, b, no_event).trailing_zeros() as usize;
                n += events;
                other(high, u32::from_le_bytes(group[events]));
                base = high.base_us.unwrap_or(base);
                done += events + 1;
            }
        }
        // SAFETY: the loop has written the first `n` values of each column: it wrote every group as
        // a whole, directly after the events that it had counted.
        unsafe { lengthen(out, n) };
        done
    }
}
