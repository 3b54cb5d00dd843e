//! Active inputs: the positions of the non-zero values of a feature map.
//!
//! For each image of `[N, H, W, C]`, each group of [`GROUP`] channels and each pixel in raster
//! order, the list holds the channels that are not zero. An entry is x·G + c in 16 bits, with G the
//! number of channels in the group and c counted from the group's first. The entries of
//! neighbouring pixels of a row are adjacent and index one contiguous range of weight rows, which
//! fits the L1 cache. If all active values of a batch are 1 (spikes of one step), no values are
//! stored; counts (after a temporal sum) and real numbers store theirs.

use crate::cpu::grain::FineGrained;
use crate::cpu::simd::Isa;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::{Extension, InstructionSet};
use rayon::prelude::*;

/// Values that the encoder processes per vector step.
const STEP: usize = 32;

/// Channels per group.
pub const GROUP: usize = 64;

/// Zero entries after the last entry, because kernels read ahead.
pub const AHEAD: usize = 4;

/// Active inputs of one image.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// The index at which the entries of each group and pixel begin, and the end of the last.
    pub starts: Vec<u32>,
    /// x·G + c for each active value, then [`AHEAD`] zeros.
    pub entries: Vec<u16>,
    /// The active values; empty if all are 1.
    pub values: Vec<f32>,
}

/// Active inputs of a batch.
#[derive(Debug, Clone, Default)]
pub struct Events {
    /// One per image.
    pub images: Vec<Image>,
    /// Whether every active value is 1.
    pub binary: bool,
    /// Number of active values.
    pub active: usize,
    /// Channels of the map.
    channels: usize,
}

/// The groups of a map: for each its first channel and its number of channels.
pub fn groups(channels: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..channels).step_by(GROUP).map(move |first| (first, GROUP.min(channels - first)))
}

impl Image {
    /// Number of active values.
    pub fn active(&self) -> usize {
        self.starts.last().map_or(0, |n| *n as usize)
    }
}

impl Events {
    /// Whether an entry of a map of this width and number of channels fits 16 bits.
    pub fn fit(width: usize, channels: usize) -> bool {
        width * channels.min(GROUP) <= 1 << 16
    }

    /// Encodes a map `[N, H, W, C]` with `pixels` = H·W, without values (see
    /// [`with_values`](Self::with_values)).
    pub fn of(isa: Isa, x: &[f32], pixels: usize, width: usize, channels: usize) -> Self {
        let len = (pixels * channels).max(1);
        let encoded: Vec<(Image, bool)> = x
            .par_chunks(len)
            .fine_grained()
            .map_init(|| vec![0u16; len + STEP], |room, image| encode(isa, image, width, channels, room))
            .collect();
        let binary = encoded.iter().all(|(_, binary)| *binary);
        let images: Vec<Image> = encoded.into_iter().map(|(image, _)| image).collect();
        let active = images.iter().map(Image::active).sum();
        Self { images, binary, active, channels }
    }

    /// Adds the values, unless all are 1. `x` is the map that was encoded.
    pub fn with_values(mut self, x: &[f32]) -> Self {
        if !self.binary {
            let len = (x.len() / self.images.len().max(1)).max(1);
            let channels = self.channels;
            self.images.par_iter_mut().zip(x.par_chunks(len)).for_each(|(image, x)| {
                // Every value is written, and the end advances only if it is active: no branch is
                // mispredicted.
                let mut values = vec![0.0f32; image.active() + 1];
                let mut n = 0;
                for (first, count) in groups(channels) {
                    for &v in x.chunks_exact(channels).flat_map(|pixel| &pixel[first..first + count]) {
                        values[n] = v;
                        n += usize::from(v != 0.0);
                    }
                }
                values.truncate(n);
                image.values = values;
            });
        }
        self
    }

    /// Fraction of active values.
    pub fn density(&self, values: usize) -> f64 {
        self.active as f64 / values.max(1) as f64
    }
}

/// Starts and entries of an image, and whether all its active values are 1. `room` must have space
/// for one entry per value and a vector step.
fn encode(isa: Isa, image: &[f32], width: usize, channels: usize, room: &mut [u16]) -> (Image, bool) {
    let mut starts = Vec::with_capacity(image.len() / channels * groups(channels).count() + 1);
    let (mut n, mut binary) = (0, true);
    for (first, count) in groups(channels) {
        for row in image.chunks_exact(width * channels) {
            match isa.set() {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512
                    if isa.has(Extension::Vbmi2) && channels < STEP && STEP.is_multiple_of(channels) =>
                {
                    // A vector step covers several pixels.
                    for (k, part) in row.chunks(STEP).enumerate() {
                        let (active, ones) = step(part, k * STEP, &mut room[n..]);
                        let before = |c: usize| (active & ((1u32 << c) - 1)).count_ones();
                        starts.extend((0..part.len()).step_by(channels).map(|c| n as u32 + before(c)));
                        n += active.count_ones() as usize;
                        binary &= ones == active;
                    }
                }
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512 if isa.has(Extension::Vbmi2) => {
                    for (x, pixel) in row.chunks_exact(channels).enumerate() {
                        starts.push(n as u32);
                        for (k, part) in pixel[first..first + count].chunks(STEP).enumerate() {
                            let (active, ones) = step(part, x * count + k * STEP, &mut room[n..]);
                            n += active.count_ones() as usize;
                            binary &= ones == active;
                        }
                    }
                }
                _ => {
                    // Without branches, as in `with_values`.
                    for (x, pixel) in row.chunks_exact(channels).enumerate() {
                        starts.push(n as u32);
                        for (c, &v) in pixel[first..first + count].iter().enumerate() {
                            room[n] = (x * count + c) as u16;
                            n += usize::from(v != 0.0);
                            binary &= v == 0.0 || v == 1.0;
                        }
                    }
                }
            }
        }
    }
    starts.push(n as u32);
    let entries = [&room[..n], &[0; AHEAD]].concat();
    (Image { starts, entries, values: Vec::new() }, binary)
}

/// Writes the entries of at most [`STEP`] values, the first of which has the entry `base`. Returns
/// masks of the values that are active and of those that are 1.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn step(part: &[f32], base: usize, room: &mut [u16]) -> (u32, u32) {
    let mut last = [0.0f32; STEP];
    let whole = part.first_chunk().unwrap_or_else(|| {
        last[..part.len()].copy_from_slice(part);
        &last
    });
    let into = room.first_chunk_mut().expect("room for all values and a step");
    // SAFETY: the caller has checked `Isa::has`.
    unsafe { x86::compress(whole, base as u16, into) }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::STEP;
    use std::arch::x86_64::*;

    /// Writes `base` + i for every active value i; the rest of `into` is unspecified. Returns masks
    /// of the values that are active and of those that are 1.
    ///
    /// # Safety
    /// The machine must have avx512f, avx512bw and avx512vbmi2.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
    pub unsafe fn compress(part: &[f32; STEP], base: u16, into: &mut [u16; STEP]) -> (u32, u32) {
        // SAFETY: two loads of 16 values and one store of 32 values, all inside the arrays.
        unsafe {
            let (a, b) = (_mm512_loadu_ps(part.as_ptr()), _mm512_loadu_ps(part.as_ptr().add(16)));
            let (zero, one) = (_mm512_setzero_ps(), _mm512_set1_ps(1.0));
            let active = u32::from(_mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(a, zero))
                | u32::from(_mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(b, zero)) << 16;
            let ones = u32::from(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, one))
                | u32::from(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(b, one)) << 16;
            let lanes = _mm512_add_epi16(_mm512_set1_epi16(base as i16), _mm512_loadu_si512(LANES.as_ptr().cast()));
            _mm512_storeu_si512(into.as_mut_ptr().cast(), _mm512_maskz_compress_epi16(active, lanes));
            (active, ones)
        }
    }

    /// 0 … 31.
    static LANES: [u16; STEP] = {
        let mut lanes = [0; STEP];
        let mut i = 0;
        while i < STEP {
            lanes[i] = i as u16;
            i += 1;
        }
        lanes
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map in which about a third of the values are active, some of them counts.
    fn map(pixels: usize, channels: usize, counts: bool) -> Vec<f32> {
        let value = |i: usize| match i * 7 % 11 {
            0..=2 => 1.0,
            3 if counts => 2.0,
            _ => 0.0,
        };
        (0..2 * pixels * channels).map(value).collect()
    }

    #[test]
    fn every_instruction_set_finds_the_active_values_in_order() {
        for (width, height, channels, counts) in [
            (5, 3, 64, false),
            (5, 3, 64, true),
            (4, 4, 32, false),
            (3, 2, 7, true),
            (34, 3, 2, true),
            (5, 4, 8, false),
            (3, 3, 16, true),
            (1, 1, 512, false),
            (3, 2, 70, true),
            (2, 3, 128, false),
            (2, 2, 200, true),
        ] {
            let x = map(width * height, channels, counts);
            for isa in Isa::available() {
                let e = Events::of(isa, &x, width * height, width, channels).with_values(&x);
                assert_eq!(e.binary, !counts);
                let mut seen = vec![0.0f32; x.len()];
                for (n, image) in e.images.iter().enumerate() {
                    assert_eq!(image.entries[image.active()..], [0; AHEAD]);
                    for (g, (first, count)) in groups(channels).enumerate() {
                        let starts = &image.starts[g * width * height..];
                        for pixel in 0..width * height {
                            for k in starts[pixel] as usize..starts[pixel + 1] as usize {
                                let c = usize::from(image.entries[k]) - pixel % width * count;
                                let at = (n * width * height + pixel) * channels + first + c;
                                seen[at] = if e.binary { 1.0 } else { image.values[k] };
                            }
                        }
                    }
                }
                assert_eq!(seen, x, "{isa:?}");
                assert_eq!(e.active, x.iter().filter(|v| **v != 0.0).count());
            }
        }
    }

    #[test]
    fn what_is_no_number_is_active_and_not_a_spike() {
        let mut x = vec![0.0f32; 64];
        x[40] = f32::NAN;
        for isa in Isa::available() {
            let e = Events::of(isa, &x, 1, 1, 64).with_values(&x);
            assert!(!e.binary && e.images[0].entries[..1] == [40] && e.active == 1 && e.images[0].values[0].is_nan());
        }
    }
}
