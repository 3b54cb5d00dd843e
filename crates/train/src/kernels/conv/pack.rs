//! Weight layouts. A layer keeps `[co, ci, ky, kx]`; the kernels want the channels that a register
//! holds side by side: panels of `width` output channels, `[panel][tap][input][width]`, the last
//! panel filled up with zeros.

use super::geometry::Geometry;
use crate::kernels::memory::{full, room};
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
        let fill = |p: usize, into: &mut [MaybeUninit<f32>]| forward_panel(weight, g, width, p, into);
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

/// One panel for the forward pass.
pub fn one_forward(weight: &[f32], g: &Geometry, width: usize, panel: usize) -> Vec<f32> {
    let mut data = room(g.taps() * g.channels * width);
    forward_panel(weight, g, width, panel, &mut data);
    // SAFETY: the panel was written.
    unsafe { full(data) }
}

/// Writes all of a panel for the forward pass.
fn forward_panel(weight: &[f32], g: &Geometry, width: usize, panel: usize, into: &mut [MaybeUninit<f32>]) {
    let (taps, ci, first) = (g.taps(), g.channels, panel * width);
    let rows = width.min(g.out - first);
    if rows < width {
        into.fill(MaybeUninit::new(0.0));
    }
    // Sixteen channels at a time: reads run along each channel's weights, writes fill a line.
    for block in (0..rows).step_by(16) {
        for c in 0..ci {
            for j in block..rows.min(block + 16) {
                let from = &weight[((first + j) * ci + c) * taps..][..taps];
                for (tap, v) in from.iter().enumerate() {
                    into[(tap * ci + c) * width + j].write(*v);
                }
            }
        }
    }
}

/// Writes all of a panel for the input gradient.
fn backward_panel(weight: &[f32], g: &Geometry, width: usize, panel: usize, into: &mut [MaybeUninit<f32>]) {
    let (taps, ci, first) = (g.taps(), g.channels, panel * width);
    let rows = width.min(ci - first);
    if rows < width {
        into.fill(MaybeUninit::new(0.0));
    }
    for o in 0..g.out {
        let from = &weight[(o * ci + first) * taps..][..rows * taps];
        for (j, from) in from.chunks_exact(taps).enumerate() {
            for (tap, v) in from.iter().enumerate() {
                into[(tap * g.out + o) * width + j].write(*v);
            }
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
