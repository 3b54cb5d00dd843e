//! Dense 3×3 convolution at stride 1 by minimal filtering, F(4×4, 3×3) (Winograd 1980; Lavin & Gray
//! 2016).
//!
//! A tile of 4×4 outputs costs 36 products per input and output channel instead of 144:
//!
//! ```text
//! Y = Aᵀ·[(G·w·Gᵀ) ⊙ (Bᵀ·d·B)]·A,    d: 6×6 inputs, w: 3×3 weights, Y: 4×4 outputs
//! ```
//!
//! ⊙ and the sum over input channels are 36 matrix products. The transforms are additions and
//! multiplications by small constants, sixteen channels at a time. They lose about two bits of
//! precision. A gradient tolerates that, but a membrane close to the threshold may not, so only
//! input gradients use this kernel. Every value is computed in an order that does not depend on the
//! number of threads.

mod product;
mod transform;

use super::dense::PANEL;
use super::gather::group;
use super::pack::{interleave, panel_width};
use crate::cpu::grain::FineGrained;
use crate::cpu::memory::{room, zeros};
use crate::cpu::simd::{Isa, LANES};
use crate::operators::Geometry;
use product::{OutputJob, run_output};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;
use transform::{FilterJob, InputJob, filter_pitch, run_filter, run_input};

/// Side of a tile of outputs.
const OUT: usize = 4;

/// Side of the input window that a tile reads.
const IN: usize = 6;

/// Number of matrix products.
const POINTS: usize = IN * IN;

/// Tiles per register block of a matrix product.
const MR: usize = 6;

/// Tiles per transformed block if there are many tiles.
const MANY: usize = 4 * MR;

/// Tiles per transformed block if there are few, so that every thread has some.
const FEW: usize = 2 * MR;

/// Blocks of `FEW` tiles whose products fit the L2 cache together.
const BLOCKS: usize = 6;

/// Inputs per slice of transformed weights. If all tiles fit in `BLOCKS` blocks, a task processes
/// the weights slice by slice, so that they stay in the L2 cache: the transformed weights of a wide
/// layer take four times the memory of the weights.
const SLICE: usize = 64;

/// Sizes of the convolution `[N, in_height, in_width, inputs]` to `[N, height, width, outputs]`.
#[derive(Debug, Clone, Copy)]
pub struct Map {
    /// Height of the input.
    pub in_height: usize,
    /// Width of the input.
    pub in_width: usize,
    /// Height of the output.
    pub height: usize,
    /// Width of the output.
    pub width: usize,
    /// Padding of the input, 0 to 2.
    pub padding: usize,
}

impl Map {
    /// The sizes of the input gradient of a 3×3 convolution at stride 1.
    ///
    /// # Panics
    /// If the convolution's padding exceeds 2.
    pub fn input_gradient(g: &Geometry) -> Self {
        let (in_height, in_width) = (g.out_height(), g.out_width());
        Self { in_height, in_width, height: g.height, width: g.width, padding: 2 - g.padding }
    }

    fn across(&self) -> usize {
        self.width.div_ceil(OUT)
    }

    fn tiles(&self) -> usize {
        self.across() * self.height.div_ceil(OUT)
    }

    /// Whether this kernel is faster: tiles need clearly fewer products than pixels do, and the
    /// channels fill registers. (From 32 to 16 channels at 8×8 it takes half the time of
    /// [`super::narrow`]; with 8 outputs the pairs of `narrow` are faster.)
    pub fn pays(&self, inputs: usize, outputs: usize) -> bool {
        let waste = (self.tiles() * OUT * OUT) as f64 / (self.height * self.width) as f64;
        inputs >= 16 && outputs >= 16 && inputs.is_multiple_of(LANES) && waste < 2.0
    }
}

/// The layout of tiles that are transformed together: `[point][tile][input]`.
#[derive(Debug, Clone, Copy)]
struct Block {
    tiles: usize,
    inputs: usize,
}

impl Block {
    /// Values between two points. One cache line more than the values take, so that the points do
    /// not compete for the same cache sets.
    fn pitch(self) -> usize {
        self.tiles * self.inputs + LANES
    }

    /// Values per block.
    fn len(self) -> usize {
        POINTS * self.pitch()
    }

    /// Offset of a tile's inputs for a point, in a sequence of blocks.
    #[inline(always)]
    fn at(self, point: usize, tile: usize) -> usize {
        tile / self.tiles * self.len() + point * self.pitch() + tile % self.tiles * self.inputs
    }
}

/// Computes the input gradient `[N, H, W, ci]` of a 3×3 convolution at stride 1 from the gradient
/// of its output, `x` `[N, OH, OW, co]`, and `weight` `[co, ci, 3, 3]`. Writes all of `out`.
pub fn input_gradient(isa: Isa, g: &Geometry, x: &[f32], weight: &[f32], out: &mut [MaybeUninit<f32>]) {
    let map = Map::input_gradient(g);
    // Names are those of `map`: its inputs are the outputs of the layer.
    let (inputs, outputs, width) = (g.out, g.channels, panel_width(g.channels, PANEL));
    let images = x.len() / g.output_len().max(1);
    let layer = Layer { isa, map, inputs, outputs, width, zeros: &vec![0.0f32; inputs] };
    match images * map.tiles() > outputs {
        true => layer.over_images(images, x, weight, out),
        false => layer.over_panels(images, x, weight, out),
    }
}

/// The values that all tasks share.
struct Layer<'a> {
    isa: Isa,
    map: Map,
    inputs: usize,
    outputs: usize,
    width: usize,
    zeros: &'a [f32],
}

impl Layer<'_> {
    fn panels(&self) -> usize {
        self.outputs.div_ceil(self.width)
    }

    fn filter_len(&self) -> usize {
        POINTS * filter_pitch(self.inputs, self.width)
    }

    /// Transforms the weights of a panel for some inputs.
    fn filter(&self, weight: &[f32], panel: usize, some: Range<usize>, out: &mut [MaybeUninit<f32>]) {
        let (inputs, outputs, from, width) = (some.len(), self.outputs, panel * self.width, self.width);
        let weight = &weight[some.start * outputs * 9..];
        run_filter(self.isa, &mut FilterJob { weight, inputs, outputs, from, width, out });
    }

    fn input(&self, block: Block, first: usize, tiles: usize, x: &[f32], out: &mut [f32]) {
        let (map, zeros, count) = (self.map, self.zeros, block.tiles.min(tiles - first));
        run_input(self.isa, &mut InputJob { map, x, block, zeros, first, count, out });
    }

    /// For many tiles: all weights are transformed first, and each task processes its images block
    /// by block with all weights.
    fn over_images(&self, images: usize, x: &[f32], weight: &[f32], out: &mut [MaybeUninit<f32>]) {
        let (map, isa, width) = (self.map, self.isa, self.width);
        let mut filters = room(self.panels() * self.filter_len());
        let each = filters.par_chunks_mut(self.filter_len()).fine_grained().enumerate();
        each.for_each(|(p, filter)| self.filter(weight, p, 0..self.inputs, filter));
        let (x_len, out_len) = (map.in_height * map.in_width * self.inputs, map.height * map.width * self.outputs);
        let group = group(images, map.height * map.width);
        let block = Block { tiles: MANY, inputs: self.inputs };
        let parts =
            out.par_chunks_mut((group * out_len).max(1)).zip(x.par_chunks((group * x_len).max(1))).fine_grained();
        let buffers = || (vec![0.0f32; block.len()], room(POINTS * MANY * width));
        parts.for_each_init(buffers, |(v, products), (out, x)| {
            let tiles = x.len() / x_len * map.tiles();
            for first in (0..tiles).step_by(MANY) {
                self.input(block, first, tiles, x, v);
                for (p, filter) in filters.chunks_exact(self.filter_len()).enumerate() {
                    let (from, pitch, count) = (p * width, self.outputs, MANY.min(tiles - first));
                    let channels = width.min(self.outputs - from);
                    let job = &mut OutputJob {
                        map,
                        block,
                        v,
                        inputs: 0..self.inputs,
                        filter,
                        width,
                        first,
                        count,
                        products,
                        out,
                        pitch,
                        from,
                        channels,
                    };
                    run_output(isa, job);
                }
            }
        });
    }

    /// For few tiles: all inputs are transformed first, and each task transforms its own panel of
    /// weights and processes all tiles with it.
    fn over_panels(&self, images: usize, x: &[f32], weight: &[f32], out: &mut [MaybeUninit<f32>]) {
        let (map, isa, width) = (self.map, self.isa, self.width);
        let (tiles, pixels) = (images * map.tiles(), images * map.height * map.width);
        let block = Block { tiles: FEW, inputs: self.inputs };
        let mut all = zeros(tiles.div_ceil(FEW) * block.len());
        let each = all.par_chunks_mut(block.len()).fine_grained().enumerate();
        each.for_each(|(b, v)| self.input(block, b * FEW, tiles, x, v));
        let mut columns = room(self.panels() * pixels * width);
        let slice = if tiles <= BLOCKS * FEW { SLICE } else { self.inputs };
        let buffers =
            || (room(POINTS * filter_pitch(slice.min(self.inputs), width)), room(POINTS * BLOCKS * FEW * width));
        let each = columns.par_chunks_mut((pixels * width).max(1)).fine_grained().enumerate();
        each.for_each_init(buffers, |(filter, products), (p, out)| {
            for from in (0..self.inputs).step_by(slice) {
                let inputs = from..(from + slice).min(self.inputs);
                self.filter(weight, p, inputs.clone(), filter);
                for (b, v) in all.chunks(BLOCKS * block.len()).enumerate() {
                    let first = b * BLOCKS * FEW;
                    let count = (BLOCKS * FEW).min(tiles - first);
                    let job = &mut OutputJob {
                        map,
                        block,
                        v,
                        inputs: inputs.clone(),
                        filter,
                        width,
                        first,
                        count,
                        products,
                        out,
                        pitch: width,
                        from: 0,
                        channels: width,
                    };
                    run_output(isa, job);
                }
            }
        });
        interleave(&columns, self.outputs, width, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::dense::{self, Indirection};
    use super::super::pack::Panels;
    use super::*;
    use crate::cpu::memory::as_room;
    use rand::Rng;
    use rand_chacha::rand_core::SeedableRng;

    /// The input gradient of a layer, computed by `dense` and by this kernel.
    fn both(isa: Isa, g: &Geometry, images: usize) -> (Vec<f32>, Vec<f32>) {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let mut random = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let (d, w) = (random(images * g.output_len()), random(g.weights()));
        let panels = Panels::backward(&w, g, panel_width(g.channels, dense::PANEL));
        let (mut plain, mut fast) = (vec![0.0; images * g.input_len()], vec![7.0; images * g.input_len()]);
        dense::forward(isa, &Indirection::backward(g), &d, &panels, as_room(&mut plain));
        input_gradient(isa, g, &d, &w, as_room(&mut fast));
        (plain, fast)
    }

    #[test]
    fn the_input_gradient_equals_the_plain_one_within_a_hundred_thousandth_of_the_largest() {
        for isa in Isa::available() {
            for (channels, out, side, padding, images) in [
                (32, 48, 8, 1, 3),
                (40, 32, 7, 1, 2),
                (96, 64, 4, 1, 2),
                (64, 32, 9, 0, 2),
                (33, 32, 5, 2, 30),
                (144, 32, 4, 1, 5),
                (144, 80, 4, 1, 5),
                (144, 80, 8, 1, 20),
            ] {
                let g = Geometry { channels, height: side, width: side + 1, out, kernel: 3, stride: 1, padding };
                let (plain, fast) = both(isa, &g, images);
                let largest = plain.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                let error = plain.iter().zip(&fast).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
                assert!(error < 1e-5 * largest, "{isa:?} {g:?}: {error} of {largest}");
            }
        }
    }

    #[test]
    fn the_result_does_not_depend_on_the_number_of_threads() {
        let g = Geometry { channels: 64, height: 8, width: 8, out: 32, kernel: 3, stride: 1, padding: 1 };
        let result_on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| both(crate::cpu::simd::detect(), &g, 9).1)
        };
        assert_eq!(result_on(1), result_on(3));
    }
}
