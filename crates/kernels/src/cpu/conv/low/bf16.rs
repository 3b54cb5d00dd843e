//! bf16 operands: the upper half of an f32, rounded to nearest, ties to even. Sums are f32.
//!
//! Spikes and counts up to 256 are exact. Other values keep 8 bits, so their relative error is at
//! most 2⁻⁸. The same bound holds for the product of a count and a weight; for the product of two
//! rounded values the bound is 2⁻⁷ + 2⁻¹⁶.

use super::tile::{Format, UnitPanels};
use crate::cpu::conv::pack::Panels;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::InstructionSet;
use crate::cpu::simd::Isa;
use rayon::prelude::*;

/// Bit position of the first of two values in a unit, in memory order.
const FIRST: u32 = if cfg!(target_endian = "big") { 16 } else { 0 };

/// The bf16 bits of a value.
#[inline(always)]
pub fn round(v: f32) -> u16 {
    let bits = v.to_bits();
    let up = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    // A NaN must stay a NaN: rounding could carry into an infinity or a zero.
    let odd = bits & 0x7fff_ffff > 0x7f80_0000;
    ((if odd { bits | 0x0040_0000 } else { up }) >> 16) as u16
}

/// Packs inputs into units, `[pixels, units]`.
pub fn encode(isa: Isa, x: &[f32], channels: usize) -> Vec<u32> {
    let units = channels.div_ceil(2);
    let mut all = vec![0u32; x.len() / channels.max(1) * units];
    let pixels = (16 << 10) / channels.max(1) + 1;
    all.par_chunks_mut((pixels * units).max(1)).zip(x.par_chunks((pixels * channels).max(1))).for_each(|(into, x)| {
        let into: &mut [u16] = bytemuck::cast_slice_mut(into);
        match channels.is_multiple_of(2) {
            true => halves(isa, x, into),
            false => {
                for (into, x) in into.chunks_exact_mut(units * 2).zip(x.chunks_exact(channels)) {
                    halves(isa, x, &mut into[..channels]);
                }
            }
        }
    });
    all
}

fn halves(isa: Isa, x: &[f32], into: &mut [u16]) {
    #[inline(always)]
    fn body(x: &[f32], into: &mut [u16]) {
        x.iter().zip(into).for_each(|(x, into)| *into = round(*x));
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn avx512(x: &[f32], into: &mut [u16]) {
        body(x, into);
    }
    match isa.set() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the guard has detected the instruction set.
        InstructionSet::Avx512 => unsafe { avx512(x, into) },
        _ => body(x, into),
    }
}

/// Packs weights, in panels for the forward pass or for the input gradient.
pub fn pack(panels: &Panels) -> UnitPanels {
    let Panels { width, inputs, outputs, taps, .. } = *panels;
    let units = inputs.div_ceil(2);
    let mut data = vec![0u32; panels.count() * taps * units * width];
    let taps_of = data.par_chunks_mut((units * width).max(1)).zip(panels.data.par_chunks((inputs * width).max(1)));
    taps_of.for_each(|(into, from)| {
        for (into, from) in into.chunks_exact_mut(width).zip(from.chunks(2 * width)) {
            let (low, high) = from.split_at(width);
            into.iter_mut().zip(low).for_each(|(into, v)| *into = u32::from(round(*v)) << FIRST);
            into.iter_mut().zip(high).for_each(|(into, v)| *into |= u32::from(round(*v)) << (16 - FIRST));
        }
    });
    UnitPanels { format: Format::Bf16, data, width, units, outputs, taps, factors: Vec::new() }
}
