//! Words of EVT2 with AVX-512, 32 at a time; the scalar twin is `evt2::Piece`.
//!
//! Each group is decoded as if all its words were events, as most words are, and written behind the
//! events before; the events before its first other word count, and the next group begins behind
//! that word.
//!
//! Unsafe: the count of what was written, and the call of a function that is compiled for
//! instructions which an [`Isa`] says that the processor has.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use tickless_simd::InstructionSet;
use tickless_simd::Isa;

use crate::Columns;
use crate::formats::evt::High;

/// Appends the events of words from the front on, as `evt2::Piece` does, and returns how many words
/// it took: it may leave any number, and leaves all unless the set is AVX-512.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn events(isa: Isa, words: &[[u8; 4]], high: &mut High, out: &mut Columns) -> usize {
    match isa.set() {
        // SAFETY: an `Isa` is a set that the processor has.
        InstructionSet::Avx512 => unsafe { avx512::events(words, high, out) },
        _ => 0,
    }
}

/// Leaves all words to `evt2::Piece`, because this target has no AVX-512.
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

    /// Words of a group.
    const GROUP: usize = 32;

    /// Appends the events of words from the front on; returns how many words it took: all but some of
    /// the last [`GROUP`], and none before the first time.
    #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub fn events(words: &[[u8; 4]], high: &mut High, out: &mut Columns) -> usize {
        let Some(mut base) = high.base_us else { return 0 };
        // A word is at most one event.
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
        // SAFETY: the first `n` of each column are written, within its room: whole groups, each behind
        // the events counted before.
        unsafe { lengthen(out, n) };
        done
    }
}
