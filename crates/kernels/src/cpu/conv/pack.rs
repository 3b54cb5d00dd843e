//! Weight layouts. A layer stores `[co, ci, ky, kx]`. The kernels read panels of `width` output
//! channels, so that the channels of a register are adjacent: `[panel][tap][input][width]`, or
//! `[panel][group][tap][input of the group][width]` for sparse kernels. The last panel is padded
//! with zeros.
//!
//! Packing is a transposition between addresses that are often a power of two apart, which compete
//! for the same cache sets. A block therefore goes through a small buffer and leaves it in whole
//! cache lines.

use super::events::GROUP;
use crate::cpu::memory::{full, room};
use crate::cpu::simd::LANES;
use crate::operators::Geometry;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Weights packed in panels.
#[derive(Debug, Clone)]
pub struct Panels {
    /// `[panel][tap][input][width]`, or by groups of inputs if packed by [`Panels::gathered`].
    pub data: Vec<f32>,
    /// Output channels per panel, a multiple of 16.
    pub width: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Taps of the kernel.
    pub taps: usize,
}

impl Panels {
    /// Panel number `p`.
    pub fn panel(&self, p: usize) -> &[f32] {
        let len = self.taps * self.inputs * self.width;
        &self.data[p * len..(p + 1) * len]
    }

    /// Number of panels.
    pub fn count(&self) -> usize {
        self.outputs.div_ceil(self.width)
    }

    /// Packs for the forward pass over all inputs: outputs are `co`, inputs `ci`.
    pub fn forward(weight: &[f32], g: &Geometry, width: usize) -> Self {
        let (outputs, inputs, taps) = (g.out, g.channels, g.taps());
        let fill = |p: usize, into: &mut [MaybeUninit<f32>]| forward_panel(weight, g, width, p, inputs, into);
        Self { data: build(outputs.div_ceil(width), taps * inputs * width, fill), width, inputs, outputs, taps }
    }

    /// Packs for the forward pass over active inputs, by groups of inputs.
    pub fn gathered(weight: &[f32], g: &Geometry, width: usize) -> Self {
        let (outputs, inputs, taps) = (g.out, g.channels, g.taps());
        let fill = |p: usize, into: &mut [MaybeUninit<f32>]| forward_panel(weight, g, width, p, GROUP, into);
        Self { data: build(outputs.div_ceil(width), taps * inputs * width, fill), width, inputs, outputs, taps }
    }

    /// Packs for the input gradient: outputs are `ci`, inputs `co`; the order of the taps is
    /// unchanged.
    pub fn backward(weight: &[f32], g: &Geometry, width: usize) -> Self {
        let (outputs, inputs, taps) = (g.channels, g.out, g.taps());
        let fill = |p: usize, into: &mut [MaybeUninit<f32>]| backward_panel(weight, g, width, p, into);
        Self { data: build(outputs.div_ceil(width), taps * inputs * width, fill), width, inputs, outputs, taps }
    }

    /// Reverses the order of the taps.
    pub fn turned(mut self) -> Self {
        let (tap, panel) = (self.inputs * self.width, self.taps * self.inputs * self.width);
        for panel in self.data.chunks_exact_mut(panel.max(1)) {
            for t in 0..self.taps / 2 {
                let (a, b) = panel.split_at_mut((self.taps - 1 - t) * tap);
                a[t * tap..(t + 1) * tap].swap_with_slice(&mut b[..tap]);
            }
        }
        self
    }
}

/// Builds panels of `len` values; `fill` writes every value of a panel.
fn build(panels: usize, len: usize, fill: impl Fn(usize, &mut [MaybeUninit<f32>]) + Sync) -> Vec<f32> {
    let mut data = room(panels * len);
    data.par_chunks_mut(len.max(1)).enumerate().for_each(|(p, into)| fill(p, into));
    // SAFETY: `fill` has written every value of every panel.
    unsafe { full(data) }
}

/// Packs one panel for the forward pass over active inputs.
pub fn one_gathered(weight: &[f32], g: &Geometry, width: usize, panel: usize) -> Vec<f32> {
    let mut data = room(g.taps() * g.channels * width);
    forward_panel(weight, g, width, panel, GROUP, &mut data);
    // SAFETY: `forward_panel` has written every value.
    unsafe { full(data) }
}

/// Inputs per block that is transposed through the buffer.
const BLOCK: usize = 8;

/// Writes all of a panel for the forward pass, with inputs in groups of `group`.
fn forward_panel(
    weight: &[f32],
    g: &Geometry,
    width: usize,
    panel: usize,
    group: usize,
    into: &mut [MaybeUninit<f32>],
) {
    let (taps, ci, first) = (g.taps(), g.channels, panel * width);
    // `[input][tap][output]` for `BLOCK` inputs and sixteen outputs.
    let mut lines = vec![[0.0f32; LANES]; BLOCK * taps];
    for block in (0..width).step_by(LANES) {
        let outputs = g.out.saturating_sub(first + block).min(LANES);
        if outputs < LANES {
            lines.fill([0.0; LANES]);
        }
        for (start, size) in (0..ci).step_by(group.max(1)).map(|start| (start, group.min(ci - start))) {
            for c0 in (start..start + size).step_by(BLOCK) {
                let count = BLOCK.min(start + size - c0);
                for j in 0..outputs {
                    let from = &weight[((first + block + j) * ci + c0) * taps..][..count * taps];
                    for (line, v) in lines.iter_mut().zip(from) {
                        line[j] = *v;
                    }
                }
                for (c, lines) in lines.chunks_exact(taps).take(count).enumerate() {
                    for (tap, line) in lines.iter().enumerate() {
                        let row = start * taps + tap * size + c0 - start + c;
                        into[row * width + block..][..LANES].write_copy_of_slice(line);
                    }
                }
            }
        }
    }
}

/// Writes all of a panel for the input gradient.
fn backward_panel(weight: &[f32], g: &Geometry, width: usize, panel: usize, into: &mut [MaybeUninit<f32>]) {
    let (taps, ci, first) = (g.taps(), g.channels, panel * width);
    let rows = width.min(ci - first);
    // `[tap][output]` of one input.
    let mut lines = vec![0.0f32; taps * width];
    for o in 0..g.out {
        let from = &weight[(o * ci + first) * taps..][..rows * taps];
        for (j, from) in from.chunks_exact(taps).enumerate() {
            for (line, v) in lines.chunks_exact_mut(width).zip(from) {
                line[j] = *v;
            }
        }
        for (tap, line) in lines.chunks_exact(width).enumerate() {
            into[(tap * g.out + o) * width..][..width].write_copy_of_slice(line);
        }
    }
}

/// Copies `[panel][pixel][width]` to `[pixel][outputs]`.
pub fn interleave(columns: &[MaybeUninit<f32>], outputs: usize, width: usize, out: &mut [MaybeUninit<f32>]) {
    let pixels = out.len() / outputs.max(1);
    out.par_chunks_mut(outputs.max(1)).enumerate().with_min_len(64).for_each(|(pixel, row)| {
        for (p, row) in row.chunks_mut(width).enumerate() {
            row.copy_from_slice(&columns[(p * pixels + pixel) * width..][..row.len()]);
        }
    });
}

/// Width of a panel for this many output channels: whole registers, at most `most`.
pub fn panel_width(outputs: usize, most: usize) -> usize {
    outputs.next_multiple_of(16).min(most)
}
