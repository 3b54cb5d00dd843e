//! A convolution layer on the CPU: encodes its input, chooses kernels, saves the input for
//! backward.
//!
//! If the weight gradient will run on active inputs, only these are saved (2 bytes each for
//! spikes), else the input itself.

use super::Kept;
use super::cache::Packings;
use super::choice::report;
use super::dense::{self, Indirection};
use super::dense_weight;
use super::events::Events;
use super::gather::{self, Weights};
use super::gather_weight;
use super::pack::{Panels, panel_width};
use super::{low, narrow, narrow_weight, precision, winograd};
use crate::cpu::memory::{full, room};
use crate::cpu::simd::{Isa, detect};
use crate::cpu::tensor::{from_vec, values};
use crate::operators::{ConvOp, KernelChoice, Precision};
use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::tensor::Shape;
use std::convert::Infallible;
use std::sync::Arc;

/// Packed weights for the dense forward pass, and for the sparse one.
static PACKED: Packings<(), Panels> = Packings::new();
static GATHERED: Packings<(), Panels> = Packings::new();

/// Convolves `[N, H, W, C]` to `[N, OH, OW, Co]`.
pub(crate) fn output(input: FlexTensor, weight: FlexTensor, op: ConvOp) -> FlexTensor {
    forward(input, weight, op, op.recompute_later).0
}

/// The same; also returns the input as the weight gradient needs it.
pub(crate) fn output_and_input(input: FlexTensor, weight: FlexTensor, op: ConvOp) -> (FlexTensor, Kept) {
    let (y, kept) = forward(input, weight, op, true);
    (y, kept.expect("is kept if it is asked for"))
}

/// Gradients of input and weight from the gradient `[N, OH, OW, Co]`.
pub(crate) fn gradients(gradient: FlexTensor, weight: FlexTensor, input: Kept, op: ConvOp) -> (FlexTensor, FlexTensor) {
    let of_input = gradient.clone();
    // Run in parallel, so that a thread that has finished one gradient steals parts of the other.
    rayon::join(|| input_gradient(of_input, weight, op), || weight_gradient(gradient, input, op))
}

/// Convolves `[N, H, W, C]` to `[N, OH, OW, Co]`. If `keep`, also returns the input as the weight
/// gradient needs it.
///
/// # Panics
/// If `keep` is set and the precision is 8 bits.
pub fn forward(input: FlexTensor, weight: FlexTensor, op: ConvOp, keep: bool) -> (FlexTensor, Option<Kept>) {
    assert!(!keep || op.precision != Precision::Int8, "8 bits are for inference: they have no gradient");
    let (g, isa) = (op.geometry, detect());
    let (input, weight) = (input.to_contiguous(), weight.to_contiguous());
    let x = values(&input);
    let images = x.len() / g.input_len();
    let shape = Shape::new([images, g.out_height(), g.out_width(), g.out]);
    if !keep && let Some(y) = low(isa, op, x, &weight, None, true) {
        return (from_vec(y, shape), None);
    }
    let (few, mut events) = (narrow_weight::pays(&g), None);
    let density = op.looks_for_events().then(|| {
        // Maps of few channels mostly take dense kernels, so the density of a sample of the images
        // decides whether the map is encoded.
        let guess = few.then(|| sampled(x, g.input_len()));
        match guess.filter(|d| op.kernel == KernelChoice::Auto && !op.kernel.gathers(&g, *d)) {
            Some(d) if !keep || !op.kernel.gathers_weight(&g, d, few) => d,
            _ => events.insert(Events::of(isa, x, g.pixels(), g.width, g.channels)).density(x.len()),
        }
    });
    let packed = if keep { low(isa, op, x, &weight, density, false) } else { None };
    let sparse = |wanted: &dyn Fn(f64) -> bool| density.is_some_and(wanted);
    let gathers = packed.is_none() && events.is_some() && sparse(&|d| op.kernel.gathers(&g, d));
    let gathers_weight = events.is_some() && sparse(&|d| op.kernel.gathers_weight(&g, d, few));
    report(&g, images, density, gathers, gathers_weight);
    let wanted = gathers || (keep && gathers_weight);
    let events = events.filter(|_| wanted).map(|e| e.with_values(x));
    let y = packed.unwrap_or_else(|| full_precision(isa, op, x, &weight, events.as_ref().filter(|_| gathers), !keep));
    let kept = keep.then(|| match events {
        Some(e) if gathers_weight => Kept::Events(Arc::new(e)),
        _ => Kept::Values(input),
    });
    (from_vec(y, shape), kept)
}

/// Fraction of active values in every eighth image.
fn sampled(x: &[f32], len: usize) -> f64 {
    let images = || x.chunks_exact(len).step_by(8);
    let active: usize = images().map(|i| i.iter().map(|v| usize::from(*v != 0.0)).sum::<usize>()).sum();
    active as f64 / (images().count() * len).max(1) as f64
}

/// The output in f32, from `events` if given, else from all inputs.
///
/// If `keep`, the packed weight is cached for the next call.
fn full_precision(
    isa: Isa,
    op: ConvOp,
    x: &[f32],
    weight: &FlexTensor,
    events: Option<&Events>,
    keep: bool,
) -> Vec<f32> {
    let (g, images) = (op.geometry, x.len() / op.geometry.input_len());
    let panels = || {
        let pack = || Ok::<_, Infallible>(Panels::forward(values(weight), &g, panel_width(g.out, dense::PANEL)));
        let Ok(panels) = PACKED.packed(weight, &g, (), keep, pack);
        panels
    };
    let gathered = || {
        let pack = || Ok::<_, Infallible>(Panels::gathered(values(weight), &g, panel_width(g.out, gather::PANEL)));
        let Ok(panels) = GATHERED.packed(weight, &g, (), keep, pack);
        panels
    };
    let map = narrow::Map::forward(&g);
    let mut y = room(images * g.output_len());
    match events {
        Some(e) if !keep && gather::few_outputs(&g, images) => {
            gather::forward(isa, g, e, Weights::Plain(values(weight)), &mut y);
        }
        Some(e) => gather::forward(isa, g, e, Weights::Packed(&gathered()), &mut y),
        None if op.kernel == KernelChoice::Auto && map.pays() => narrow::forward(isa, map, x, &panels(), &mut y),
        None => dense::forward(isa, &Indirection::forward(&g), x, &panels(), &mut y),
    }
    // SAFETY: every kernel writes every pixel.
    unsafe { full(y) }
}

/// The output at the requested precision; `None` if that is f32, or if f32 is faster. If `keep`,
/// the packed weight is cached for the next call (inference).
fn low(isa: Isa, op: ConvOp, x: &[f32], weight: &FlexTensor, density: Option<f64>, keep: bool) -> Option<Vec<f32>> {
    let (g, format) = (op.geometry, op.precision.format()?);
    let density = density.unwrap_or_else(|| low::density(x));
    let chosen = precision::choose(format, op.kernel, &g, density, format.in_hardware(isa), !keep);
    let y = chosen.and_then(|()| low::forward(isa, format, &g, x, weight, keep));
    let what = || format!("{}, forward", g.name(x.len() / g.input_len()));
    precision::report(op.precision, what, y.as_ref().map(|_| ()).map_err(|e| *e));
    y.ok()
}

/// Gradient of the input `[N, H, W, C]` from the gradient `[N, OH, OW, Co]`.
pub fn input_gradient(gradient: FlexTensor, weight: FlexTensor, op: ConvOp) -> FlexTensor {
    let (g, isa) = (op.geometry, detect());
    let (gradient, weight) = (gradient.to_contiguous(), weight.to_contiguous());
    let images = gradient.shape()[0];
    let panels = || Panels::backward(values(&weight), &g, panel_width(g.channels, dense::PANEL));
    let d = values(&gradient);
    let shape = Shape::new([images, g.height, g.width, g.channels]);
    let three = g.kernel == 3 && g.stride == 1 && g.padding <= 2;
    let tiles = three && winograd::Map::input_gradient(&g).pays(g.out, g.channels);
    if let Some(format) = op.precision.format()
        && precision::choose_backward(format, op.kernel, tiles, format.in_hardware(isa))
    {
        precision::report(op.precision, || format!("{}, input gradient", g.name(images)), Ok(()));
        return from_vec(low::input_gradient(isa, &g, d, &panels()), shape);
    }
    let mut out = room(images * g.input_len());
    let rows = (g.stride == 1 && g.padding < g.kernel).then(|| narrow::Map {
        input: [g.out, g.out_height(), g.out_width()],
        output: [g.channels, g.height, g.width],
        kernel: g.kernel,
        stride: 1,
        padding: g.kernel - 1 - g.padding,
    });
    match (tiles, rows.filter(narrow::Map::pays)) {
        (true, _) if op.kernel == KernelChoice::Auto => winograd::input_gradient(isa, &g, d, values(&weight), &mut out),
        (_, Some(map)) if op.kernel == KernelChoice::Auto => narrow::forward(isa, map, d, &panels().turned(), &mut out),
        _ => dense::forward(isa, &Indirection::backward(&g), d, &panels(), &mut out),
    }
    // SAFETY: every kernel writes every pixel.
    from_vec(unsafe { full(out) }, shape)
}

/// Gradient of the weight `[Co, C, k, k]` from the gradient `[N, OH, OW, Co]`.
pub fn weight_gradient(gradient: FlexTensor, kept: Kept, op: ConvOp) -> FlexTensor {
    let (g, isa) = (op.geometry, detect());
    let gradient = gradient.to_contiguous();
    let d = values(&gradient);
    let out = match kept {
        Kept::Events(e) => gather_weight::weight_gradient(isa, g, &e, d),
        Kept::Values(x) if op.kernel == KernelChoice::Auto && narrow_weight::pays(&g) => {
            narrow_weight::weight_gradient(isa, g, values(&x), d)
        }
        Kept::Values(x) => dense_weight::weight_gradient(isa, g, &Indirection::forward(&g), values(&x), d),
    };
    from_vec(out, Shape::new([g.out, g.channels, g.kernel, g.kernel]))
}
