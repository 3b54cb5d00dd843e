//! A convolution layer on the CPU: encodes its input, chooses kernels, keeps what backward needs.
//!
//! Kept of the input are its active values (2 bytes each for spikes) where the weight gradient is
//! to be added up over them, else the input itself.

use super::choice::report;
use super::dense::{self, Indirection};
use super::dense_weight;
use super::events::Events;
use super::gather;
use super::gather_weight;
use super::pack::{Panels, panel_width};
use super::simd::Isa;
use super::{ConvOp, Kept, Kernel};
use super::{narrow, winograd};
use crate::kernels::flex::{from_vec, values};
use crate::kernels::memory::{full, room};
use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::tensor::Shape;
use std::sync::Arc;

/// `[N, H, W, C]` to `[N, OH, OW, Co]`, and what the weight gradient needs if it is wanted.
pub fn forward(input: FlexTensor, weight: FlexTensor, op: ConvOp, keep: bool) -> (FlexTensor, Option<Kept>) {
    let (g, isa) = (op.geometry, Isa::detect());
    let (input, weight) = (input.to_contiguous(), weight.to_contiguous());
    let (x, w) = (values(&input), values(&weight));
    let images = x.len() / g.input_len();
    let panels = Panels::forward(w, &g, panel_width(g.out, gather::PANEL));
    let mut y = room(images * g.output_len());
    let events = op.looks_for_events().then(|| Events::of(isa, x, g.pixels(), g.width, g.channels));
    let density = events.as_ref().map(|e| e.density(x.len()));
    let sparse = |wanted: &dyn Fn(f64) -> bool| density.is_some_and(wanted);
    let (gathers, gathers_weight) = (sparse(&|d| op.kernel.gathers(&g, d)), sparse(&|d| op.kernel.gathers_weight(d)));
    report(&g, images, density, gathers, gathers_weight);
    let wanted = gathers || (keep && gathers_weight);
    let events = events.filter(|_| wanted).map(|e| e.with_values(x));
    match &events {
        Some(e) if gathers => gather::forward(isa, g, e, &panels, &mut y),
        _ => {
            let map = narrow::Map {
                input: [g.channels, g.height, g.width],
                output: [g.out, g.out_height(), g.out_width()],
                kernel: g.kernel,
                stride: g.stride,
                padding: g.padding,
            };
            match op.kernel == Kernel::Auto && map.pays() {
                true => narrow::forward(isa, map, x, &panels, &mut y),
                false => dense::forward(isa, &Indirection::forward(&g), x, &panels, &mut y),
            }
        }
    }
    let shape = Shape::new([images, g.out_height(), g.out_width(), g.out]);
    let kept = keep.then(|| match events {
        Some(e) if gathers_weight => Kept::Events(Arc::new(e)),
        _ => Kept::Values(input),
    });
    // SAFETY: every kernel writes every pixel.
    (from_vec(unsafe { full(y) }, shape), kept)
}

/// Gradient of the input from `[N, OH, OW, Co]`.
pub fn input_gradient(gradient: FlexTensor, weight: FlexTensor, op: ConvOp) -> FlexTensor {
    let (g, isa) = (op.geometry, Isa::detect());
    let (gradient, weight) = (gradient.to_contiguous(), weight.to_contiguous());
    let images = gradient.shape()[0];
    let panels = Panels::backward(values(&weight), &g, panel_width(g.channels, dense::PANEL));
    let mut out = room(images * g.input_len());
    let d = values(&gradient);
    let three = g.kernel == 3 && g.stride == 1 && g.padding <= 2;
    let tiles = three.then(|| winograd::Map::input_gradient(&g)).filter(|m| m.pays(g.out, g.channels));
    let rows = (g.stride == 1 && g.padding < g.kernel).then(|| narrow::Map {
        input: [g.out, g.out_height(), g.out_width()],
        output: [g.channels, g.height, g.width],
        kernel: g.kernel,
        stride: 1,
        padding: g.kernel - 1 - g.padding,
    });
    match (tiles, rows.filter(narrow::Map::pays)) {
        (Some(map), _) if op.kernel == Kernel::Auto => {
            let weights = match winograd::wants_filters(&map, images, g.channels) {
                true => winograd::filters(isa, &panels),
                false => panels,
            };
            winograd::input_gradient(isa, map, d, &weights, &mut out);
        }
        (_, Some(map)) if op.kernel == Kernel::Auto => narrow::forward(isa, map, d, &panels.turned(), &mut out),
        _ => dense::forward(isa, &Indirection::backward(&g), d, &panels, &mut out),
    }
    // SAFETY: every kernel writes every pixel.
    from_vec(unsafe { full(out) }, Shape::new([images, g.height, g.width, g.channels]))
}

/// Gradient of the weight `[Co, C, k, k]` from `[N, OH, OW, Co]`.
pub fn weight_gradient(gradient: FlexTensor, kept: Kept, op: ConvOp) -> FlexTensor {
    let (g, isa) = (op.geometry, Isa::detect());
    let gradient = gradient.to_contiguous();
    let d = values(&gradient);
    let out = match kept {
        Kept::Events(e) => gather_weight::weight_gradient(isa, g, &e, d),
        Kept::Values(x) => dense_weight::weight_gradient(isa, g, &Indirection::forward(&g), values(&x), d),
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        Kept::Device(_) => unreachable!("what this backend keeps is on the host"),
    };
    from_vec(out, Shape::new([g.out, g.channels, g.kernel, g.kernel]))
}
