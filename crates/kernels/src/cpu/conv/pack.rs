//! Weight layouts. A layer keeps `[co, ci, ky, kx]`; the kernels want the channels that a register
//! holds side by side: panels of `width` output channels, `[panel][tap][input][width]`, the last
//! panel filled up with zeros; for active inputs `[panel][group][tap][input of the group][width]`.
//!
//! Both are transpositions between places a power of two apart, which fall on the same lines of a cache: a
//! block goes through a small buffer, and whole lines leave it.

use super::events::GROUP;
use crate::cpu::memory::{full, room};
use crate::cpu::simd::LANES;
use crate::operators::Geometry;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Weights in panels.
#[derive(Debug, Clone)]
pub struct Panels {
    /// `[panel][tap][input][width]`.
    pub data: Vec<f32>,
    /// Channels of a panel, a multiple of 16.
    pub width: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Taps.
    pub taps: usize,
}

impl Panels {
    /// The panel of number `p`.
    pub fn panel(&self, p: usize) -> &[f32] {
        let len = self.taps * self.inputs * self.width;
        &self.data[p * len..(p + 1) * len]
    }

    /// Number of panels.
    pub fn count(&self) -> usize {
        self.outputs.div_ceil(self.width)
    }

    /// For the forward pass: outputs are `co`, inputs `ci`.
    pub fn forward(weight: &[f32], g: &Geometry, width: usize) -> Self {
        let (outputs, inputs, taps) = (g.out, g.channels, g.taps());
        let fill = |p: usize, into: &mut [MaybeUninit<f32>]| forward_panel(weight, g, width, p, inputs, into);
        Self { data: build(outputs.div_ceil(width), taps * inputs * width, fill), width, inputs, outputs, taps }
    }

    /// For the forward pass over active inputs, by groups of inputs.
    pub fn gathered(weight: &[f32], g: &Geometry, width: usize) -> Self {
        let (outputs, inputs, taps) = (g.out, g.channels, g.taps());
        let fill = |p: usize, into: &mut [MaybeUninit<f32>]| forward_panel(weight, g, width, p, GROUP, into);
        Self { data: build(outputs.div_ceil(width), taps * inputs * width, fill), width, inputs, outputs, taps }
    }

    /// For the input gradient: outputs are `ci`, inputs `co`; the tap keeps its number.
    pub fn backward(weight: &[f32], g: &Geometry, width: usize) -> Self {
        let (outputs, inputs, taps) = (g.channels, g.out, g.taps());
        let fill = |p: usize, into: &mut [MaybeUninit<f32>]| backward_panel(weight, g, width, p, into);
        Self { data: build(outputs.div_ceil(width), taps * inputs * width, fill), width, inputs, outputs, taps }
    }

    /// The same with taps counted from the far end.
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

/// Panels of `len` values, each written whole by `fill`.
fn build(panels: usize, len: usize, fill: impl Fn(usize, &mut [MaybeUninit<f32>]) + Sync) -> Vec<f32> {
    let mut data = room(panels * len);
    data.par_chunks_mut(len.max(1)).enumerate().for_each(|(p, into)| fill(p, into));
    // SAFETY: every panel was written.
    unsafe { full(data) }
}

/// One panel for the forward pass over active inputs.
pub fn one_gathered(weight: &[f32], g: &Geometry, width: usize, panel: usize) -> Vec<f32> {
    let mut data = room(g.taps() * g.channels * width);
    forward_panel(weight, g, width, panel, GROUP, &mut data);
    // SAFETY: the panel was written.
    unsafe { full(data) }
}

/// Inputs of a block of weights that is brought to its place at a time.
const BLOCK: usize = 8;

/// Writes all of a panel for the forward pass; inputs are together in groups of `group`.
fn forward_panel(
    weight: &[f32],
    g: &Geometry,
    width: usize,
    panel: usize,
    group: usize,
    into: &mut [MaybeUninit<f32>],
) {
    let (taps, ci, first) = (g.taps(), g.channels, panel * width);
    // `[input][tap][output]` of some inputs and sixteen outputs.
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

/// Brings `[panel][pixel][width]` to `[pixel][outputs]`.
pub fn interleave(columns: &[MaybeUninit<f32>], outputs: usize, width: usize, out: &mut [MaybeUninit<f32>]) {
    let pixels = out.len() / outputs.max(1);
    out.par_chunks_mut(outputs.max(1)).enumerate().with_min_len(64).for_each(|(pixel, row)| {
        for (p, row) in row.chunks_mut(width).enumerate() {
            row.copy_from_slice(&columns[(p * pixels + pixel) * width..][..row.len()]);
        }
    });
}

/// Width of a panel for this many output channels: up to `most`, in whole registers.
pub fn panel_width(outputs: usize, most: usize) -> usize {
    outputs.next_multiple_of(16).min(most)
}
