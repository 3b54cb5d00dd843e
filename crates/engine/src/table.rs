//! Weights in the engine's layout, in which the weights that an event adds to a row are contiguous.
//!
//! ```text
//! [phase of ky][phase of kx][c_in][ky of the phase, falling][kx of the phase, falling][c_out/groups]
//! ```
//!
//! The phase of k is k modulo the stride (divided by its greatest common divisor with the dilation).
//! Within a phase, target columns rise as kernel columns
//! fall, so the weights for a row of targets with all their channels are contiguous, like the
//! potentials `[y][x][c]`: one long vector addition per row.

use crate::edge::{steps, taps};
use crate::error::{Error, Result};
use crate::path::Folded;
use tickless_net::{Layer, Network, Node, Weights};
use tickless_simd::Aligned;

/// A weight table in the number type of its program.
#[derive(Debug)]
pub(crate) enum Table {
    Float(Aligned<f32>),
    /// Weights in units of the target's scale.
    Small(Aligned<i8>),
}

impl Table {
    /// Number of weights.
    pub fn len(&self) -> usize {
        match self {
            Table::Float(w) => w.len(),
            Table::Small(w) => w.len(),
        }
    }
}

/// Builds the table of a folded path. `target_scale` multiplies the weights to each channel of the
/// target ([`tickless_net::Node::input_scale`]).
///
/// # Errors
/// If the tensor is missing, has another shape, or has a value that is not finite.
pub(crate) fn table(net: &Network, weights: &Weights, f: &Folded, target_scale: Option<&[f32]>) -> Result<Vec<f32>> {
    let target = |channel: usize| target_scale.map_or(1.0, |s| f64::from(s[channel]));
    let Some(w) = f.weighted else {
        // Without a weighted layer each channel has one weight, the scale of the pooling.
        return Ok((0..f.output.channels).map(|c| (f.scale * target(c)) as f32).collect());
    };
    let node = &net.nodes()[w.node];
    let array = weights.require(&node.name, "weight")?;
    let expected = node.tensors().into_iter().find(|t| t.name == "weight").map(|t| t.shape);
    if expected.as_ref() != Some(&array.shape) || array.data.len() != array.shape.iter().product::<usize>() {
        let problem = format!(
            "its weight has shape {:?}, network `{}` needs {:?}; load the weights of this network",
            array.shape,
            net.name(),
            expected.unwrap_or_default()
        );
        return Err(Error::layer(&node.name, problem));
    }
    if let Some(at) = array.data.iter().position(|v| !v.is_finite()) {
        let problem = format!("weight {at} is {}; train again or load other weights", array.data[at]);
        return Err(Error::layer(&node.name, problem));
    }
    let (c_in, c_out) = (w.input.channels, node.output.channels / w.groups);
    let (mut ky, mut kx) = match node.layer {
        Layer::Conv(c) => c.window.kernel(),
        _ => (w.input.height, w.input.width),
    };
    let mut table = vec![0.0f64; ky * kx * c_in * c_out];
    for y in 0..ky {
        for x in 0..kx {
            for c in 0..c_in {
                let at = ((y * kx + x) * c_in + c) * c_out;
                for (o, slot) in table[at..at + c_out].iter_mut().enumerate() {
                    let channel = c / (c_in / w.groups) * c_out + o;
                    let weight = array.data[index(c, o, y, x, (c_in / w.groups, c_out, ky, kx))];
                    *slot = f64::from(weight) * target(channel);
                }
            }
        }
    }
    for &((py, px), stride) in &f.merged {
        table = merge(&table, (ky, kx), (py, px), stride, c_in * c_out);
        (ky, kx) = ((py - 1) * stride.0 + ky, (px - 1) * stride.1 + kx);
    }
    // Round the division of average pooling once here, instead of at every event.
    let table: Vec<f32> = table.into_iter().map(|v| (v * f.scale) as f32).collect();
    Ok(in_rows(&table, (ky, kx), steps(w.window, |s| s.0), c_in, c_out))
}

/// Builds the table of a layer's recurrent connections, `[from][to]`, or one weight per channel.
///
/// # Errors
/// As [`table`].
pub(crate) fn recurrent_table(node: &Node, weights: &Weights) -> Result<Vec<f32>> {
    let array = weights.require(&node.name, "recurrent")?;
    if let Some(at) = array.data.iter().position(|v| !v.is_finite()) {
        let problem = format!("recurrent weight {at} is {}; train again or load other weights", array.data[at]);
        return Err(Error::layer(&node.name, problem));
    }
    let channels = node.output.channels;
    let scale = node.input_scale();
    let scaled = |to: usize, weight: f32| scale.as_ref().map_or(weight, |s| weight * s[to]);
    if array.shape.len() == 1 {
        return Ok(array.data.iter().enumerate().map(|(c, w)| scaled(c, *w)).collect());
    }
    let all = (0..channels).flat_map(|from| (0..channels).map(move |to| (from, to)));
    Ok(all.map(|(from, to)| scaled(to, array.data[to * channels + from])).collect())
}

/// Converts a table `[ky][kx][c_in][c_out]` to the layout of this module.
fn in_rows(table: &[f32], (ky, kx): (usize, usize), apart: (usize, usize), c_in: usize, c_out: usize) -> Vec<f32> {
    let falling =
        |k: usize, apart: usize, phase: usize| (0..taps(k, apart, phase)).rev().map(move |i| phase + i * apart);
    let mut out = Vec::with_capacity(table.len());
    for (py, px) in (0..apart.0).flat_map(|py| (0..apart.1).map(move |px| (py, px))) {
        for c in 0..c_in {
            for (y, x) in falling(ky, apart.0, py).flat_map(|y| falling(kx, apart.1, px).map(move |x| (y, x))) {
                let at = ((y * kx + x) * c_in + c) * c_out;
                out.extend_from_slice(&table[at..at + c_out]);
            }
        }
    }
    out
}

/// Index in `[out][in/groups][ky][kx]` (equivalent to `[out][C·H·W]` for a linear layer) of the
/// weight from source channel `c` to channel `o` of its group.
fn index(c: usize, o: usize, y: usize, x: usize, (c_in, c_out, ky, kx): (usize, usize, usize, usize)) -> usize {
    let (group, c) = (c / c_in, c % c_in);
    (((group * c_out + o) * c_in + c) * ky + y) * kx + x
}

/// Weights of a convolution with this stride, followed by a sum over `window` positions.
fn merge(
    table: &[f64],
    (ky, kx): (usize, usize),
    window: (usize, usize),
    stride: (usize, usize),
    block: usize,
) -> Vec<f64> {
    let (my, mx) = ((window.0 - 1) * stride.0 + ky, (window.1 - 1) * stride.1 + kx);
    let mut out = vec![0.0; my * mx * block];
    for (jy, jx) in (0..window.0).flat_map(|jy| (0..window.1).map(move |jx| (jy, jx))) {
        for (y, x) in (0..ky).flat_map(|y| (0..kx).map(move |x| (y, x))) {
            let (from, to) = ((y * kx + x) * block, ((y + jy * stride.0) * mx + x + jx * stride.1) * block);
            for (sum, w) in out[to..to + block].iter_mut().zip(&table[from..from + block]) {
                *sum += w;
            }
        }
    }
    out
}
