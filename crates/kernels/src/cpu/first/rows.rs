//! Active inputs by channel: for each image of `[N, C, H, W]`, each channel and each row, the
//! inputs that are not zero.
//!
//! Unlike [`crate::cpu::conv::events`] this encoding reads channels-first maps, the layout of
//! recordings, and keeps the inputs of a channel together, because the weight gradient holds the
//! sums of one channel in registers. The place of an input is where its run of outputs begins in a
//! band (see [`super::taps`]), so kernels need no index arithmetic.

use crate::cpu::grain::FineGrained;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::InstructionSet;
use crate::cpu::simd::{Isa, LANES};
use crate::operators::Geometry;
use rayon::prelude::*;
use std::ops::Range;

/// The active inputs of one image.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// The index at which the inputs of channel c, row y begin, at position c·H + y, and the end of
    /// the last row.
    starts: Vec<u32>,
    /// y·pitch + x·Co for each active input.
    places: Vec<u32>,
    values: Vec<f32>,
}

/// The active inputs of a batch.
#[derive(Debug, Clone, Default)]
pub struct Rows(Vec<Image>);

impl Image {
    /// Places and values of these rows; the row of channel c, row y has the number c·H + y.
    #[inline(always)]
    pub(super) fn rows(&self, rows: Range<usize>) -> (&[u32], &[f32]) {
        let (a, b) = (self.starts[rows.start] as usize, self.starts[rows.end] as usize);
        (&self.places[a..b], &self.values[a..b])
    }
}

impl Rows {
    /// Encodes a map `[N, C, H, W]`. Rows of outputs are `pitch` values apart.
    pub(super) fn of(isa: Isa, x: &[f32], g: &Geometry, pitch: usize) -> Self {
        assert!(g.height * pitch < 1 << 32, "a place is 32 bits");
        let room = || (vec![0u32; g.input_len() + LANES], vec![0.0f32; g.input_len() + LANES]);
        let images = x.par_chunks(g.input_len().max(1)).fine_grained().map_init(room, |(places, values), x| {
            let mut starts = Vec::with_capacity(g.height * g.channels + 1);
            let mut n = 0;
            for (row, line) in x.chunks_exact(g.width).enumerate() {
                starts.push(n as u32);
                let first = (row % g.height * pitch) as u32;
                n += find(isa, line, first, g.out as u32, &mut places[n..], &mut values[n..]);
            }
            starts.push(n as u32);
            Image { starts, places: places[..n].to_vec(), values: values[..n].to_vec() }
        });
        Self(images.collect())
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.0.len()
    }

    /// Fraction of active inputs.
    pub fn density(&self, g: &Geometry) -> f64 {
        let active: usize = self.0.iter().map(|i| i.values.len()).sum();
        active as f64 / (self.0.len() * g.input_len()).max(1) as f64
    }

    #[inline(always)]
    pub(super) fn image(&self, n: usize) -> &Image {
        &self.0[n]
    }
}

/// Writes the active values of a line, and for each its place `first` + x·`step`. Returns their
/// number. The buffers need room for the line and one register.
fn find(isa: Isa, line: &[f32], first: u32, step: u32, places: &mut [u32], values: &mut [f32]) -> usize {
    assert!(places.len() >= line.len() + LANES && values.len() >= line.len() + LANES);
    match isa.set() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Isa` values come from detection, and the assertion checks the room.
        InstructionSet::Avx512 => unsafe { x86::find(line, first, step, places, values) },
        _ => {
            // Every value is written, and the end advances only if it is active: no branch is
            // mispredicted.
            let (mut n, mut place) = (0, first);
            for &v in line {
                (places[n], values[n]) = (place, v);
                n += usize::from(v != 0.0);
                place += step;
            }
            n
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::LANES;
    use std::arch::x86_64::*;

    /// The same as the scalar form, sixteen values at a time.
    ///
    /// # Safety
    /// The machine must have avx512f; `places` and `values` must have room for the line and one
    /// register.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn find(line: &[f32], first: u32, step: u32, places: &mut [u32], values: &mut [f32]) -> usize {
        // SAFETY: a masked load reads what is left of the line. A store writes a register at index
        // n, and n is at most the number of values read before.
        unsafe {
            let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let mut place = _mm512_add_epi32(
                _mm512_set1_epi32(first as i32),
                _mm512_mullo_epi32(lanes, _mm512_set1_epi32(step as i32)),
            );
            let next = _mm512_set1_epi32((step as usize * LANES) as i32);
            let mut n = 0;
            for part in line.chunks(LANES) {
                let here = ((1u32 << part.len()) - 1) as u16;
                let v = _mm512_maskz_loadu_ps(here, part.as_ptr());
                let active = _mm512_mask_cmp_ps_mask::<_CMP_NEQ_UQ>(here, v, _mm512_setzero_ps());
                _mm512_storeu_si512(places.as_mut_ptr().add(n).cast(), _mm512_maskz_compress_epi32(active, place));
                _mm512_storeu_ps(values.as_mut_ptr().add(n), _mm512_maskz_compress_ps(active, v));
                n += active.count_ones() as usize;
                place = _mm512_add_epi32(place, next);
            }
            n
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_finds_the_active_values_of_each_row_in_order() {
        for (width, height, channels) in [(34, 5, 2), (16, 3, 1), (1, 4, 3), (33, 2, 4)] {
            let g = Geometry { channels, height, width, out: 3, kernel: 3, stride: 1, padding: 1 };
            let x: Vec<f32> = (0..2 * g.input_len()).map(|i| [0.0, 0.0, 2.0, 0.0, -0.5][i * 7 % 11 % 5]).collect();
            for isa in Isa::available() {
                let rows = Rows::of(isa, &x, &g, 1000);
                for (n, image) in x.chunks(g.input_len()).enumerate() {
                    for (row, line) in image.chunks(width).enumerate() {
                        let place = |x: usize| (row % height * 1000 + x * 3) as u32;
                        let expected: Vec<(u32, f32)> =
                            line.iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(x, v)| (place(x), *v)).collect();
                        let (places, values) = rows.image(n).rows(row..row + 1);
                        let seen: Vec<(u32, f32)> = places.iter().copied().zip(values.iter().copied()).collect();
                        assert_eq!(seen, expected, "{isa:?} {g:?} {n} {row}");
                    }
                }
            }
        }
    }
}
