//! Dense convolution at low precision: more products an instruction, for the layers that are not sparse
//! enough to add up active inputs only.
//!
//! Inputs and weights are packed into units of 32 bits ([`int8`]: four, [`bf16`]: two) along the channels
//! of a pixel, and [`tile`] runs over units as the f32 kernel runs over inputs. Every value is computed in
//! an order that does not depend on the number of threads.

pub mod bf16;
pub mod dot;
pub mod int8;
pub mod tile;

pub use tile::Format;

use super::dense::Indirection;
use super::geometry::Geometry;
use super::pack::{Panels, panel_width};
use super::simd::Isa;
use crate::kernels::memory::{full, room};

/// Output `[N, OH, OW, Co]` of `[N, H, W, C]` and weights `[Co, C, k, k]`; `None` where inputs or weights have no
/// such form (8 bits only).
pub fn forward(isa: Isa, format: Format, g: &Geometry, x: &[f32], w: &[f32]) -> Option<Vec<f32>> {
    let width = panel_width(g.out, tile::PANEL);
    let (units, weights) = match format {
        Format::Int8 => {
            let (units, factor) = int8::encode(isa, x, g.channels)?;
            (units, int8::quantise(isa, w, g, width, factor)?)
        }
        Format::Bf16 => (bf16::encode(isa, x, g.channels), bf16::pack(&Panels::forward(w, g, width))),
    };
    let mut y = room(x.len() / g.input_len().max(1) * g.output_len());
    tile::forward(isa, &Indirection::forward(g), &units, &weights, &mut y);
    // SAFETY: the kernel writes every pixel.
    Some(unsafe { full(y) })
}

/// Gradient of the input `[N, H, W, C]` in bf16, from that of the output and weights in panels for it.
pub fn input_gradient(isa: Isa, g: &Geometry, gradient: &[f32], panels: &Panels) -> Vec<f32> {
    let (units, weights) = (bf16::encode(isa, gradient, g.out), bf16::pack(panels));
    let mut out = room(gradient.len() / g.output_len().max(1) * g.input_len());
    tile::forward(isa, &Indirection::backward(g), &units, &weights, &mut out);
    // SAFETY: the kernel writes every pixel.
    unsafe { full(out) }
}

/// The fraction of active values, of a sample spread over all of them.
pub fn density(x: &[f32]) -> f64 {
    const RUN: usize = 1024;
    const RUNS: usize = 64;
    let step = (x.len() / RUNS).max(RUN);
    let runs = x.chunks(step).map(|c| &c[..c.len().min(RUN)]);
    let (active, all) = runs.fold((0usize, 0usize), |(active, all), run| {
        (active + run.iter().map(|v| usize::from(*v != 0.0)).sum::<usize>(), all + run.len())
    });
    active as f64 / all.max(1) as f64
}
