//! Decodes rows, times and single events of EVT3 with AVX-512, sixteen words per step. It decodes
//! the same words as the scalar form [`frequent`](super::frequent).
//!
//! The kernel is written with intrinsics, because each word depends on those before it and the
//! compiler therefore cannot vectorise a plain loop. The kernel stops at a word of a rare type
//! ([`RARE`](super::RARE)), at a TIME_HIGH that falls, if fewer than sixteen words are left, and if
//! the block has no room for sixteen events. The scalar form decodes the words after that.
//!
//! The module needs `unsafe` to load and store whole arrays, and to call a function that is
//! compiled for AVX-512; an [`Isa`] proves that the processor has these instructions.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use tickless_simd::InstructionSet;
use tickless_simd::Isa;

use super::{BLOCK, Fields};

/// Decodes a prefix of `words` as [`frequent`](super::frequent) does, and writes the events to
/// `packed` from index `n`. Returns the number of decoded words, the number of packed events and
/// the new state. If the instruction set is not AVX-512, it decodes no word.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn frequent(
    isa: Isa,
    packed: &mut [u64; BLOCK],
    n: usize,
    words: &[[u8; 2]],
    state: Fields,
) -> (usize, usize, Fields) {
    match isa.set() {
        // SAFETY: an `Isa` exists only for a set that the processor has.
        InstructionSet::Avx512 => unsafe { avx512::words(packed, n, words, state) },
        _ => (0, n, state),
    }
}

/// Decodes no word, because this target has no AVX-512.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(super) fn frequent(_: Isa, _: &mut [u64; BLOCK], n: usize, _: &[[u8; 2]], state: Fields) -> (usize, usize, Fields) {
    (0, n, state)
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::super::{ADDR_X, ADDR_Y, BLOCK, Fields, HIGH, LOW, RARE, TIME_HIGH, TIME_LOW, Y};
    use crate::formats::prefetch::prefetch_a_page_ahead;

    /// Decodes sixteen words per step.
    ///
    /// An event needs the last row and the last low time before it. Each lane finds the lane of
    /// that word as follows: a mask of 16 bits marks the words that set the field, the lane clears
    /// the bits above its own, and the leading zeros of the rest give the highest set bit. If no
    /// bit is set, the index becomes 63, which selects the last lane of the previous step's result.
    #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(in super::super) fn words(
        packed: &mut [u64; BLOCK],
        mut n: usize,
        words: &[[u8; 2]],
        state: Fields,
    ) -> (usize, usize, Fields) {
        let up_to_lane: [u32; 16] = std::array::from_fn(|i| (2 << i) - 1);
        let up_to_lane = load_32(&up_to_lane);
        let last_lane = _mm512_set1_epi32(31);
        let stops = _mm512_set1_epi32((RARE | 1 << TIME_HIGH) as i32);
        let kind_is = |kinds, kind: u16| _mm512_cmpeq_epi32_mask(kinds, _mm512_set1_epi32(kind.into()));
        let (mut y, mut low) = (_mm512_set1_epi32(state.y as i32), _mm512_set1_epi32((state.low >> LOW) as i32));
        let (mut high, mut done) = (state.high, 0);
        while let (Some(group), Some(to)) = (words[done..].first_chunk(), packed.get_mut(n..n + 16)) {
            prefetch_a_page_ahead(group);
            let group = load_16(group);
            let kinds = _mm512_srli_epi32::<12>(group);
            let values = _mm512_and_epi32(group, _mm512_set1_epi32(0xFFF));
            // The lanes before the first word that is rare or a TIME_HIGH.
            let stop = _mm512_test_epi32_mask(_mm512_srlv_epi32(stops, kinds), _mm512_set1_epi32(1));
            let before = stop.wrapping_sub(1) & !stop;
            let events = kind_is(kinds, ADDR_X) & before;
            let last = |those: __mmask16| {
                let those = _mm512_and_epi32(_mm512_set1_epi32(those.into()), up_to_lane);
                _mm512_xor_epi32(_mm512_lzcnt_epi32(those), last_lane)
            };
            let rows = _mm512_slli_epi32::<Y>(_mm512_and_epi32(values, _mm512_set1_epi32(0x7FF)));
            y = _mm512_permutex2var_epi32(rows, last(kind_is(kinds, ADDR_Y) & before), y);
            low = _mm512_permutex2var_epi32(values, last(kind_is(kinds, TIME_LOW) & before), low);
            let places = _mm512_maskz_compress_epi32(events, _mm512_or_epi32(y, values));
            let lows = _mm512_maskz_compress_epi32(events, low);
            let (to, high_lanes) = (to.as_chunks_mut().0, _mm512_set1_epi64(high as i64));
            let event = |place, low| {
                let low = _mm512_slli_epi64::<LOW>(_mm512_cvtepu32_epi64(low));
                _mm512_or_epi64(_mm512_or_epi64(_mm512_cvtepu32_epi64(place), low), high_lanes)
            };
            store(&mut to[0], event(_mm512_castsi512_si256(places), _mm512_castsi512_si256(lows)));
            let count = events.count_ones() as usize;
            // More than eight events in sixteen words are rare, because most events have a row or a
            // time word of their own.
            if count > 8 {
                let (places, lows) = (_mm512_extracti64x4_epi64::<1>(places), _mm512_extracti64x4_epi64::<1>(lows));
                store(&mut to[1], event(places, lows));
            }
            n += count;
            // A branch instead of a computed step, because the processor predicts the branch and
            // loads the next words before this step is finished.
            if stop == 0 {
                done += 16;
            } else {
                done += stop.trailing_zeros() as usize;
                let w = u16::from_le_bytes(words[done]);
                let (kind, value) = (w >> 12, u64::from(w & 0xFFF) << HIGH);
                if kind != TIME_HIGH || value < high {
                    break;
                }
                if value != high {
                    low = _mm512_setzero_si512();
                }
                high = value;
                done += 1;
            }
        }
        let last = |lanes| _mm512_cvtsi512_si32(_mm512_permutexvar_epi32(last_lane, lanes)) as u32;
        (done, n, Fields { y: last(y).into(), low: u64::from(last(low)) << LOW, high })
    }

    /// Loads sixteen 16-bit words, each zero-extended to 32 bits.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_16(from: &[[u8; 2]; 16]) -> __m512i {
        // SAFETY: `from` refers to 32 bytes, and the load needs no alignment.
        _mm512_cvtepu16_epi32(unsafe { _mm256_loadu_si256(from.as_ptr().cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_32(from: &[u32; 16]) -> __m512i {
        // SAFETY: `from` refers to 64 bytes, and the load needs no alignment.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(to: &mut [u64; 8], lanes: __m512i) {
        // SAFETY: `to` refers to 64 bytes, and the store needs no alignment.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), lanes) }
    }
}
