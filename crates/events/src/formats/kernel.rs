//! Compiles the decoders' loops for wide vectors and selects the widest that the machine has.
//!
//! A [`Loop`] is safe code that is compiled three times on x86-64: for the baseline, for AVX2 and
//! for AVX-512; [`Vectors::run`] calls the widest one that the machine has. The words of EVT3 do
//! not fit a [`Loop`], because each depends on the words before it. [`Vectors::evt3`] therefore
//! uses AVX-512 instructions directly; its scalar counterpart is `evt3::frequent`.
//!
//! The decoders for words of EVT2 and events of AEDAT4 use such instructions too and write to
//! uninitialised memory (`kernel/`). Their scalar counterparts, compiled for AVX-512, process the
//! rest. For DAT the same method was not faster (`benches/RESULTS.md`).
//!
//! This file, `kernel/` and `aedat4/kernel.rs` are the only parts of the formats with `unsafe`
//! code. Here it calls functions compiled for instructions that the machine has, and loads and
//! stores whole arrays.
#![allow(unsafe_code)]

#[cfg(all(feature = "aedat4", target_arch = "x86_64"))]
mod elements;
#[cfg(target_arch = "x86_64")]
mod evt2;
#[cfg(target_arch = "x86_64")]
mod store;

use super::evt::High;
use super::evt3::{BLOCK, State};
use crate::Columns;

/// A loop in safe code. `run` and every function that it calls must be `#[inline(always)]`.
pub trait Loop {
    /// The result of the loop.
    type Out;

    /// Runs the loop.
    fn run(self) -> Self::Out;
}

/// A vector width that the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vectors(Width);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Any,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// Prefetches the 64 bytes one page after `these`, because the decoder will soon read them. The
/// hardware's own prefetcher stops at the end of a page.
#[inline(always)]
pub fn prefetch<T>(these: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is only a hint, and it is valid for any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(these).cast::<i8>().wrapping_add(4096)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = these;
}

impl Vectors {
    /// All widths that this machine has, the narrowest first.
    pub fn available() -> impl DoubleEndedIterator<Item = Vectors> {
        let mut all = [Some(Width::Any), None, None];
        #[cfg(target_arch = "x86_64")]
        {
            macro_rules! has {
                ($($feature:tt)*) => { $(is_x86_feature_detected!($feature) &&)* true };
            }
            if has!("avx2" "bmi1" "bmi2" "lzcnt" "popcnt") {
                all[1] = Some(Width::Avx2);
                if has!("avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl") {
                    all[2] = Some(Width::Avx512);
                }
            }
        }
        all.into_iter().flatten().map(Vectors)
    }

    /// The widest vectors that this machine has.
    pub fn widest() -> Vectors {
        Vectors::available().next_back().unwrap_or(Vectors(Width::Any))
    }

    /// Runs a loop in the version compiled for these vectors.
    #[inline]
    pub fn run<L: Loop>(self, it: L) -> L::Out {
        match self.0 {
            Width::Any => it.run(),
            // SAFETY (both): `available` checked that the machine has these instructions.
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 => unsafe { x86::avx2(it) },
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => unsafe { x86::avx512(it) },
        }
    }

    /// Appends the events of EVT2 words like `evt2::Piece`, from the front; returns the number of
    /// processed words. The caller passes the rest to `evt2::Piece`.
    #[inline]
    pub fn evt2(self, words: &[[u8; 4]], high: &mut High, out: &mut Columns) -> usize {
        match self.0 {
            // SAFETY: as in `run`.
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => unsafe { evt2::evt2(words, high, out) },
            _ => 0,
        }
    }

    /// Appends events of AEDAT4 like `aedat4::events::Elements`, from the front. Returns the number
    /// of processed events, and the bitwise or of all their times and of all their pixels. The
    /// caller passes the rest to `Elements`.
    #[cfg(feature = "aedat4")]
    #[inline]
    pub fn elements(self, elements: &[[u8; 16]], out: &mut Columns) -> (usize, (u64, u64)) {
        match self.0 {
            // SAFETY: as in `run`.
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => unsafe { elements::elements(elements, out) },
            _ => (0, (0, 0)),
        }
    }

    /// Decodes EVT3 words like `evt3::frequent`, from the front. The caller passes the rest to
    /// `frequent`.
    #[inline]
    pub fn evt3(self, packed: &mut [u64; BLOCK], n: usize, words: &[[u8; 2]], state: State) -> (usize, usize, State) {
        match self.0 {
            // SAFETY: as in `run`.
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => unsafe { x86::evt3(packed, n, words, state) },
            _ => (0, n, state),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Loop, prefetch};
    use crate::formats::evt3::{ADDR_X, ADDR_Y, BLOCK, HIGH, LOW, RARE, State, TIME_HIGH, TIME_LOW, Y};

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub fn avx2<L: Loop>(it: L) -> L::Out {
        it.run()
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub fn avx512<L: Loop>(it: L) -> L::Out {
        it.run()
    }

    /// Decodes sixteen words at a time. An event needs the last row and time before it. A 16-bit
    /// mask marks the words that set the row (or time). Each lane keeps the mask bits up to its
    /// own, and the number of leading zeros gives the lane of the last one. If no bit is left, the
    /// number selects the last lane of the result of the previous 16 words.
    #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub fn evt3(packed: &mut [u64; BLOCK], mut n: usize, words: &[[u8; 2]], state: State) -> (usize, usize, State) {
        let up_to_lane: [u32; 16] = std::array::from_fn(|i| (2 << i) - 1);
        let up_to_lane = load_32(&up_to_lane);
        let last_lane = _mm512_set1_epi32(31);
        let stops = _mm512_set1_epi32((RARE | 1 << TIME_HIGH) as i32);
        let kind_is = |kinds, kind: u16| _mm512_cmpeq_epi32_mask(kinds, _mm512_set1_epi32(kind.into()));
        let (mut y, mut low) = (_mm512_set1_epi32(state.y as i32), _mm512_set1_epi32((state.low >> LOW) as i32));
        let (mut high, mut done) = (state.high, 0);
        while let (Some(group), Some(to)) = (words[done..].first_chunk(), packed.get_mut(n..n + 16)) {
            prefetch(group);
            let group = load_16(group);
            let kinds = _mm512_srli_epi32::<12>(group);
            let values = _mm512_and_epi32(group, _mm512_set1_epi32(0xFFF));
            // The words before the first one that is neither an event nor a row nor a low time.
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
            // Rare, because most events come with their own row and time.
            if count > 8 {
                let (places, lows) = (_mm512_extracti64x4_epi64::<1>(places), _mm512_extracti64x4_epi64::<1>(lows));
                store(&mut to[1], event(places, lows));
            }
            n += count;
            // A branch instead of a select, because the next load must not wait for this result.
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
        (done, n, State { y: last(y).into(), low: u64::from(last(low)) << LOW, high })
    }

    /// Loads sixteen 16-bit numbers and extends them to 32 bits.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_16(from: &[[u8; 2]; 16]) -> __m512i {
        // SAFETY: the array has 32 bytes.
        _mm512_cvtepu16_epi32(unsafe { _mm256_loadu_si256(from.as_ptr().cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_32(from: &[u32; 16]) -> __m512i {
        // SAFETY: the array has 64 bytes.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(to: &mut [u64; 8], lanes: __m512i) {
        // SAFETY: the array has 64 bytes.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), lanes) }
    }
}
