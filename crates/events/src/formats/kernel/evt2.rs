//! Decodes words of EVT2 with AVX-512, 32 at a time; the scalar counterpart is `evt2::Piece`.
//!
//! The loop decodes all words of a group as events, because most of them are, and writes them after
//! the previous events. It then counts only those before the first other word, and the next group
//! starts after that word.
//!
//! The only `unsafe` operation is setting the number of written events.

use std::arch::x86_64::*;

use super::prefetch;
use super::store::{self, coordinates, lengthen, load, narrow, polarities, times, which};
use crate::Columns;
use crate::formats::evt::High;
use crate::formats::evt2::other;

/// Number of words in a group.
const GROUP: usize = 32;

/// Appends the events of words, from the front. Returns the number of processed words: all except
/// fewer than [`GROUP`] at the end, and none if no time is known yet.
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
pub fn evt2(words: &[[u8; 4]], high: &mut High, out: &mut Columns) -> usize {
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
        prefetch(a);
        prefetch(b);
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
    // SAFETY: the first `n` elements of each column are written within its room, because the loop
    // writes whole groups, each directly after the events counted before.
    unsafe { lengthen(out, n) };
    done
}
