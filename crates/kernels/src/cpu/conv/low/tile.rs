//! Dense convolution of packed values: the tile of [`dense`](super::super::dense) with four or two
//! inputs per step, and sums in the type that the format needs.
//!
//! Between passes over parts of the weights, the bits of the sums are stored in the output. The
//! last pass converts them to f32.

use super::dot::{self, Dot};
use crate::cpu::conv::dense::Indirection;
use crate::cpu::conv::gather::group;
use crate::cpu::grain::FineGrained;
use crate::cpu::simd::{Extension, InstructionSet, Isa, LANES};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Output channels per panel.
pub const PANEL: usize = 64;

/// Units of weights per pass over the pixels: a part of an L2 cache.
const PASS_UNITS: usize = 48 << 10;

/// The values in a 32-bit unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Four inputs from 0 to 255, or four weights from −128 to 127.
    Int8,
    /// Two bf16.
    Bf16,
}

impl Format {
    /// Whether this machine has instructions for the format that `isa` allows.
    pub fn in_hardware(self, isa: Isa) -> bool {
        match self {
            Format::Int8 => isa.set() >= InstructionSet::Avx2,
            Format::Bf16 => isa.has(Extension::Bf16),
        }
    }

    /// Whether one instruction adds four products; if not, 8 bits use [`avx2`](super::avx2).
    #[cfg(target_arch = "x86_64")]
    fn has_vnni(isa: Isa) -> bool {
        isa.has(Extension::Vnni)
    }

    /// The names of the instructions, for messages.
    pub fn instructions(self) -> &'static str {
        match self {
            Format::Int8 => "AVX-512 VNNI or AVX2",
            Format::Bf16 => "AVX-512 BF16",
        }
    }

    /// Inputs per unit.
    pub fn inputs(self) -> usize {
        match self {
            Format::Int8 => 4,
            Format::Bf16 => 2,
        }
    }
}

/// Packed weights, `[panel][tap][unit][width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitPanels {
    /// The format of the units.
    pub format: Format,
    /// The units.
    pub data: Vec<u32>,
    /// Output channels per panel, a multiple of 16.
    pub width: usize,
    /// Units per tap.
    pub units: usize,
    /// Output channels.
    pub outputs: usize,
    /// Taps of the kernel.
    pub taps: usize,
    /// The factor of each output channel's sum, for whole panels; empty unless 8 bits.
    pub factors: Vec<f32>,
}

impl UnitPanels {
    fn panel(&self, p: usize) -> &[u32] {
        let len = self.taps * self.units * self.width;
        &self.data[p * len..(p + 1) * len]
    }
}

struct Job<'a> {
    map: &'a Indirection,
    weights: &'a UnitPanels,
    zeros: &'a [u32],
    /// `[images, pixels_in, units]`.
    x: &'a [u32],
    /// The largest input, if the kernel depends on it; else 255.
    most: u8,
    /// `[images, pixels_out, outputs]`.
    out: &'a mut [MaybeUninit<f32>],
}

/// Computes `[N, pixels_out, outputs]` from `[N, pixels_in, units]` and writes all of `out`. It
/// runs in hardware if the machine has the instructions and `isa` allows them, else in the scalar
/// form.
pub fn forward(isa: Isa, map: &Indirection, x: &[u32], weights: &UnitPanels, out: &mut [MaybeUninit<f32>]) {
    let (x_len, out_len) = (map.pixels_in * weights.units, map.pixels_out * weights.outputs);
    let group = group(x.len() / x_len.max(1), map.pixels_out);
    let zeros = vec![0u32; weights.units];
    let parts = out.par_chunks_mut((group * out_len).max(1)).zip(x.par_chunks((group * x_len).max(1))).fine_grained();
    parts.for_each(|(out, x)| run(isa, &mut Job { map, weights, zeros: &zeros, x, most: u8::MAX, out }));
}

fn run(isa: Isa, job: &mut Job<'_>) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn vnni(job: &mut Job<'_>) {
        // SAFETY: this function is compiled for the instruction set, and the job upholds the body's
        // own conditions.
        unsafe { body::<dot::Vnni>(job) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn bf16(job: &mut Job<'_>) {
        // SAFETY: as above.
        unsafe { body::<dot::Bf16>(job) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn avx2(job: &mut Job<'_>) {
        // SAFETY: as above.
        unsafe {
            job.most = super::avx2::largest(job.x);
            body::<super::avx2::Avx2>(job);
        }
    }
    match (job.weights.format, job.weights.format.in_hardware(isa)) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `in_hardware` has detected the instruction set.
        (Format::Int8, true) if !Format::has_vnni(isa) => unsafe { avx2(job) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `in_hardware` and `has_vnni` have detected the instruction set.
        (Format::Int8, true) => unsafe { vnni(job) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `in_hardware` has detected the instruction set.
        (Format::Bf16, true) => unsafe { bf16(job) },
        // SAFETY: the scalar form needs no instruction set.
        (Format::Int8, _) => unsafe { body::<dot::PlainInt8>(job) },
        // SAFETY: the scalar form needs no instruction set.
        (Format::Bf16, _) => unsafe { body::<dot::PlainBf16>(job) },
    }
}

#[inline(always)]
unsafe fn body<D: Dot>(job: &mut Job<'_>) {
    // SAFETY: the caller upholds the conditions of `Dot`.
    unsafe {
        match job.weights.width / LANES {
            1 => panels::<D, 12, 1>(job),
            2 => panels::<D, 12, 2>(job),
            3 => panels::<D, 8, 3>(job),
            4 => panels::<D, 6, 4>(job),
            w => unreachable!("panels are 16 to 64 wide, not {}", w * LANES),
        }
    }
}

/// The part of the weights that one pass reads.
struct Slice {
    panel: usize,
    taps: (usize, usize),
    units: (usize, usize),
}

#[inline(always)]
unsafe fn panels<D: Dot, const MR: usize, const NV: usize>(job: &mut Job<'_>) {
    let (w, width) = (job.weights, NV * LANES);
    // A pass covers whole taps or, with many inputs, a part of one tap.
    let units = w.units.min(PASS_UNITS / width);
    let together = if units < w.units { 1 } else { (PASS_UNITS / width / units.max(1)).clamp(1, w.taps) };
    for panel in 0..w.outputs.div_ceil(width) {
        for first in (0..w.taps).step_by(together) {
            for from in (0..w.units).step_by(units) {
                let (taps, units) = ((first, (first + together).min(w.taps)), (from, (from + units).min(w.units)));
                // SAFETY: as above.
                unsafe { pass::<D, MR, NV>(job, &Slice { panel, taps, units }) };
            }
        }
    }
}

#[inline(always)]
unsafe fn pass<D: Dot, const MR: usize, const NV: usize>(job: &mut Job<'_>, slice: &Slice) {
    let (w, map) = (job.weights, job.map);
    let (width, slots) = (NV * LANES, map.pixel.len());
    let images = job.out.len() / (map.pixels_out * w.outputs);
    let panel = w.panel(slice.panel).as_ptr();
    let from = slice.panel * width;
    let channels = width.min(w.outputs - from);
    let is_first = slice.taps.0 == 0 && slice.units.0 == 0;
    let is_last = slice.taps.1 == w.taps && slice.units.1 == w.units;
    let depth = slice.units.1 - slice.units.0;
    let all = images * slots;
    let mut at = 0;
    while at < all {
        // As in `dense`, a tile takes the same slot of all images before the next slot.
        let n = MR.min(all - at);
        let mut place = [(0usize, 0usize); MR];
        for (i, place) in place.iter_mut().enumerate() {
            let k = (at + i).min(all - 1);
            *place = (k % images, k / images);
        }
        let row = |i: usize| (place[i].0 * map.pixels_out + map.pixel[place[i].1] as usize) * w.outputs + from;
        // SAFETY: every place is a slot and an image of the job. The table holds pixels inside the
        // input, or −1 for the row of zeros. A row of `out` has `channels` values from `from` on,
        // which the first pass has written. The factors fill whole panels.
        unsafe {
            let mut acc = [[D::zero(); NV]; MR];
            if !is_first {
                for (i, acc) in acc.iter_mut().enumerate().take(n) {
                    *acc = load::<D, NV>(job.out.get_unchecked(row(i)..row(i) + channels));
                }
            }
            for tap in slice.taps.0..slice.taps.1 {
                let mut rows = [job.zeros.as_ptr(); MR];
                let mut any = false;
                for (i, row) in rows.iter_mut().enumerate() {
                    let meets = map.meets(place[i].1, tap);
                    if meets >= 0 {
                        any = true;
                        let pixel = place[i].0 * map.pixels_in + meets as usize;
                        *row = job.x.as_ptr().add(pixel * w.units + slice.units.0);
                    }
                }
                if any {
                    let b = panel.add((tap * w.units + slice.units.0) * width);
                    D::product::<MR, NV>(&mut acc, &rows, b, depth, job.most);
                }
            }
            for (i, acc) in acc.iter_mut().enumerate().take(n) {
                if is_last && w.format == Format::Int8 {
                    for (j, a) in acc.iter_mut().enumerate() {
                        *a = a.finish(w.factors.as_ptr().add(from + j * LANES));
                    }
                }
                store::<D, NV>(acc, job.out.get_unchecked_mut(row(i)..row(i) + channels));
            }
        }
        at += n;
    }
}

/// Loads sums from a row that may be shorter than `NV` registers.
///
/// # Safety
/// See [`Dot`]. The row must be initialised.
#[inline(always)]
unsafe fn load<D: Dot, const NV: usize>(y: &[MaybeUninit<f32>]) -> [D; NV] {
    // SAFETY: loads read from `y` if it is long enough, else from a buffer that is.
    unsafe {
        let mut acc = [D::zero(); NV];
        if y.len() == NV * LANES {
            for (j, a) in acc.iter_mut().enumerate() {
                *a = D::load(y.as_ptr().cast::<u32>().add(j * LANES));
            }
        } else {
            let mut buffer = [[0u32; LANES]; NV];
            for (into, from) in buffer.as_flattened_mut().iter_mut().zip(y) {
                *into = from.assume_init().to_bits();
            }
            for (a, b) in acc.iter_mut().zip(&buffer) {
                *a = D::load(b.as_ptr());
            }
        }
        acc
    }
}

/// Stores sums to a row that may be shorter than `NV` registers.
///
/// # Safety
/// See [`Dot`].
#[inline(always)]
unsafe fn store<D: Dot, const NV: usize>(acc: &[D; NV], y: &mut [MaybeUninit<f32>]) {
    // SAFETY: stores write to `y` if it is long enough, else to a buffer that is.
    unsafe {
        if y.len() == NV * LANES {
            for (j, a) in acc.iter().enumerate() {
                a.store(y.as_mut_ptr().cast::<u32>().add(j * LANES));
            }
        } else {
            let mut buffer = [[0u32; LANES]; NV];
            for (a, b) in acc.iter().zip(&mut buffer) {
                a.store(b.as_mut_ptr());
            }
            for (into, from) in y.iter_mut().zip(buffer.as_flattened()) {
                into.write(f32::from_bits(*from));
            }
        }
    }
}
