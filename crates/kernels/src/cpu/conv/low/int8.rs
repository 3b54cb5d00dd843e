//! 8-bit operands: weights rounded to i8 with one scale per output channel, inputs exact in u8,
//! sums exact in i32.
//!
//! ```text
//! q[co, ·] = round(w[co, ·]·s[co])   s[co]: the largest at which they fit in i8
//! y[co]    = (Σ x·f · q[co])·(1/(s[co]·f))
//! ```
//!
//! Inputs are spikes and counts (f = 1) or their means over 2×2 or 4×4 tiles (f = 4, 16), with x·f
//! up to 255; other inputs are not encoded, and the layer stays in f32. The error of a weight is at
//! most half a step, so the error of y is at most `Σ|x|/(2·s[co])`, with `s[co] ≥ 127/max|w[co, ·]|`.
//! Weights are rounded as for a chip (`tickless_net::quantise`).

use super::tile::{Format, UnitPanels};
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::InstructionSet;
use crate::cpu::simd::Isa;
use crate::operators::Geometry;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// Factors that may turn inputs into whole numbers, tried in this order.
const FACTORS: [f32; 3] = [1.0, 4.0, 16.0];

/// Adding this to a small number leaves the number in the low bits, rounded with ties to even.
const ROUNDER: f32 = 12_582_912.0;

/// Most inputs of a layer; with more, a sum could overflow 32 bits: 2³¹/(255·128).
const MOST_INPUTS: usize = 65_000;

/// Whether the sums of this layer cannot overflow.
pub fn fits(g: &Geometry) -> bool {
    g.taps() * g.channels <= MOST_INPUTS
}

/// Packs inputs into units, `[pixels, units]`, and returns the factor f that made them whole
/// numbers; `None` if no factor does.
pub fn encode(isa: Isa, x: &[f32], channels: usize) -> Option<(Vec<u32>, f32)> {
    FACTORS.iter().find_map(|&f| encode_with(isa, x, channels, f).map(|units| (units, f)))
}

fn encode_with(isa: Isa, x: &[f32], channels: usize, factor: f32) -> Option<Vec<u32>> {
    // Most inputs that are not whole numbers show it in the first values, before memory is
    // allocated.
    let mut first = [0u8; 1024];
    let head = &x[..x.len().min(first.len())];
    if !bytes(isa, head, &mut first[..head.len()], factor) {
        return None;
    }
    let units = channels.div_ceil(4);
    let mut all = vec![0u32; x.len() / channels.max(1) * units];
    let whole = AtomicBool::new(true);
    let pixels = (16 << 10) / channels.max(1) + 1;
    all.par_chunks_mut((pixels * units).max(1)).zip(x.par_chunks(pixels * channels)).for_each(|(into, x)| {
        if !whole.load(Ordering::Relaxed) {
            return;
        }
        let into: &mut [u8] = bytemuck::cast_slice_mut(into);
        let ok = match channels.is_multiple_of(4) {
            true => bytes(isa, x, into, factor),
            false => {
                let rows = into.chunks_exact_mut(units * 4).zip(x.chunks_exact(channels));
                rows.fold(true, |ok, (into, x)| ok & bytes(isa, x, &mut into[..channels], factor))
            }
        };
        if !ok {
            whole.store(false, Ordering::Relaxed);
        }
    });
    whole.into_inner().then_some(all)
}

/// Writes values times `factor` as bytes. Returns whether all of them are whole numbers up to 255.
fn bytes(isa: Isa, x: &[f32], into: &mut [u8], factor: f32) -> bool {
    #[inline(always)]
    fn body(x: &[f32], into: &mut [u8], factor: f32) -> bool {
        let mut wrong = 0u32;
        for (x, into) in x.iter().zip(into) {
            let scaled = x * factor;
            let rounded = scaled + ROUNDER;
            // A NaN differs from itself.
            wrong |= u32::from(rounded - ROUNDER != scaled) | u32::from(scaled < 0.0) | u32::from(scaled > 255.0);
            *into = rounded.to_bits() as u8;
        }
        wrong == 0
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn avx512(x: &[f32], into: &mut [u8], factor: f32) -> bool {
        body(x, into, factor)
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn avx2(x: &[f32], into: &mut [u8], factor: f32) -> bool {
        body(x, into, factor)
    }
    match isa.set() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the guard has detected the instruction set.
        InstructionSet::Avx512 => unsafe { avx512(x, into, factor) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Isa` values come from detection.
        InstructionSet::Avx2 => unsafe { avx2(x, into, factor) },
        _ => body(x, into, factor),
    }
}

/// Rounds and packs weights `[co, ci, ky, kx]` for the forward pass, for inputs times `factor`;
/// `None` if a weight is not finite.
pub fn quantise(isa: Isa, weight: &[f32], g: &Geometry, width: usize, factor: f32) -> Option<UnitPanels> {
    let (taps, units) = (g.taps(), g.channels.div_ceil(4));
    let (row, len, panels) = (taps * g.channels, taps * units * width, g.out.div_ceil(width));
    let mut data = vec![0u32; panels * len];
    let mut factors = vec![0.0f32; panels * width];
    let finite = AtomicBool::new(true);
    // Sixteen channels at a time: reads run along each channel's weights, and writes fill a cache
    // line.
    let blocks = data.par_chunks_mut(len.max(1)).zip(factors.par_chunks_mut(width)).enumerate();
    blocks.for_each(|(p, (into, factors))| {
        let mut integers = vec![0i8; 16 * units * 4 * taps];
        for (block, factors) in factors.chunks_exact_mut(16).enumerate() {
            let first = p * width + block * 16;
            let channels = g.out.saturating_sub(first).min(16);
            for (j, f) in factors.iter_mut().enumerate().take(channels) {
                let integers = &mut integers[j * units * 4 * taps..][..row];
                match round_row(isa, &weight[(first + j) * row..][..row], integers) {
                    Some(scale) => *f = 1.0 / (scale * factor),
                    None => finite.store(false, Ordering::Relaxed),
                }
            }
            for u in 0..units {
                for j in 0..channels {
                    let from = &integers[(j * units + u) * 4 * taps..][..4 * taps];
                    for tap in 0..taps {
                        let unit = [0, 1, 2, 3].map(|b| from[b * taps + tap] as u8);
                        into[(tap * units + u) * width + block * 16 + j] = u32::from_ne_bytes(unit);
                    }
                }
            }
        }
    });
    let outputs = g.out;
    finite.into_inner().then_some(UnitPanels { format: Format::Int8, data, width, units, outputs, taps, factors })
}

/// Rounds the weights of one output channel to integers and returns the scale, the integer that 1.0
/// becomes; `None` if a weight is not finite.
fn round_row(isa: Isa, weights: &[f32], into: &mut [i8]) -> Option<f32> {
    #[inline(always)]
    fn body(weights: &[f32], into: &mut [i8]) -> Option<f32> {
        let first = weights.first().copied().unwrap_or(0.0);
        let (mut min, mut max, mut odd) = ([first; 16], [first; 16], [0u32; 16]);
        for part in weights.chunks(16) {
            for (i, &w) in part.iter().enumerate() {
                min[i] = if w < min[i] { w } else { min[i] };
                max[i] = if w > max[i] { w } else { max[i] };
                odd[i] |= u32::from(w.to_bits() & 0x7f80_0000 == 0x7f80_0000);
            }
        }
        if odd.contains(&1) {
            return None;
        }
        let min = min.into_iter().fold(first, f32::min).abs();
        let max = max.into_iter().fold(first, f32::max).abs();
        let scale = if min <= max * (128.0 / 127.0) { 127.0 / max } else { 128.0 / min };
        let scale = if scale.is_finite() { scale } else { 1.0 };
        for (w, q) in weights.iter().zip(into) {
            *q = (w * scale + ROUNDER).to_bits() as i8;
        }
        Some(scale)
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn avx512(weights: &[f32], into: &mut [i8]) -> Option<f32> {
        body(weights, into)
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn avx2(weights: &[f32], into: &mut [i8]) -> Option<f32> {
        body(weights, into)
    }
    match isa.set() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the guard has detected the instruction set.
        InstructionSet::Avx512 => unsafe { avx512(weights, into) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Isa` values come from detection.
        InstructionSet::Avx2 => unsafe { avx2(weights, into) },
        _ => body(weights, into),
    }
}
