//! Dense 3×3 convolution at stride 1 by minimal filtering, F(4×4, 3×3) (Winograd 1980; Lavin & Gray 2016).
//!
//! A tile of 4×4 outputs costs 36 products an input and output channel instead of 144:
//!
//! ```text
//! Y = Aᵀ·[(G·w·Gᵀ) ⊙ (Bᵀ·d·B)]·A,    d: 6×6 inputs, w: 3×3 weights, Y: 4×4 outputs
//! ```
//!
//! ⊙ and the sum over input channels are 36 matrix products. The transforms are additions and small
//! constants, sixteen channels at a time; they lose about two bits, which a gradient can spare and the
//! margin of a spike may not: only input gradients come here. Every value is computed in an order that
//! does not depend on the number of threads.

use super::dense::product;
use super::gather::{group, store};
use super::geometry::Geometry;
use super::pack::Panels;
use super::simd::{Isa, LANES, Lanes, by_isa};
use crate::kernels::memory::{room, zeros};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Side of a tile of outputs.
const OUT: usize = 4;

/// Side of the inputs that it meets.
const IN: usize = 6;

/// Matrix products.
const POINTS: usize = IN * IN;

/// Tiles of one matrix product's register block.
const MR: usize = 6;

/// Tiles that are transformed at a time.
const TILES: usize = 4 * MR;

/// What a convolution maps: `[N, in_height, in_width, inputs]` to `[N, height, width, outputs]`.
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
    /// Of the input gradient of a 3×3 convolution at stride 1.
    ///
    /// # Panics
    /// If it is padded by more than 2.
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

    /// Whether tiles need clearly fewer products than pixels do, and registers are filled.
    pub fn pays(&self, inputs: usize, outputs: usize) -> bool {
        let waste = (self.tiles() * OUT * OUT) as f64 / (self.height * self.width) as f64;
        inputs >= 32 && outputs >= 32 && inputs.is_multiple_of(LANES) && waste < 2.0
    }
}

/// Transformed weights of one panel of output channels, `[point][input][width]`.
struct FilterJob<'a> {
    /// `[tap][input][width]`.
    panel: &'a [f32],
    out: &'a mut [f32],
}

by_isa!(run_filter = filter(&mut FilterJob<'_>));

/// G·w·Gᵀ of every input and sixteen outputs.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn filter<V: Lanes>(job: &mut FilterJob<'_>) {
    let len = job.panel.len() / 9;
    for at in (0..len).step_by(LANES) {
        // SAFETY: a panel is nine taps of `len` values, a multiple of 16; the output 36 of them.
        unsafe {
            // The taps of an input gradient count from the far end.
            let tap = |k: usize| V::load(job.panel.as_ptr().add((8 - k) * len + at));
            let mut half = [[V::splat(0.0); 3]; IN];
            for x in 0..3 {
                let column = spread([tap(x), tap(3 + x), tap(6 + x)]);
                for y in 0..IN {
                    half[y][x] = column[y];
                }
            }
            for y in 0..IN {
                for (x, v) in spread(half[y]).into_iter().enumerate() {
                    v.store(job.out.as_mut_ptr().add((y * IN + x) * len + at));
                }
            }
        }
    }
}

/// G·w.
#[inline(always)]
unsafe fn spread<V: Lanes>([a, b, c]: [V; 3]) -> [V; IN] {
    // SAFETY: passed on from the caller.
    unsafe {
        let zero = V::splat(0.0);
        let (sixth, twelfth) = (V::splat(-1.0 / 6.0), V::splat(1.0 / 12.0));
        let outer = a.add(c);
        let far = zero.add_product(V::splat(1.0 / 24.0), a).add_product(V::splat(1.0 / 6.0), c);
        [
            zero.add_product(V::splat(0.25), a),
            zero.add_product(sixth, outer.add(b)),
            zero.add_product(sixth, outer.add_product(V::splat(-1.0), b)),
            far.add_product(twelfth, b),
            far.add_product(V::splat(-1.0 / 12.0), b),
            c,
        ]
    }
}

/// Bᵀ·d.
#[inline(always)]
unsafe fn gathered<V: Lanes>(d: [V; IN]) -> [V; IN] {
    // SAFETY: passed on from the caller.
    unsafe {
        let (four, five) = (V::splat(4.0), V::splat(-5.0));
        let minus = V::splat(-1.0);
        let less = V::splat(-4.0);
        let (even, odd) = (d[4].add_product(less, d[2]), d[3].add_product(less, d[1]));
        let (near, side) = (d[4].add_product(minus, d[2]), d[3].add_product(minus, d[1]));
        [
            d[4].add_product(five, d[2]).add_product(four, d[0]),
            even.add(odd),
            even.add_product(minus, odd),
            near.add_product(V::splat(2.0), side),
            near.add_product(V::splat(-2.0), side),
            d[5].add_product(five, d[3]).add_product(four, d[1]),
        ]
    }
}

/// Aᵀ·m.
#[inline(always)]
unsafe fn summed<V: Lanes>(m: [V; IN]) -> [V; OUT] {
    // SAFETY: passed on from the caller.
    unsafe {
        let minus = V::splat(-1.0);
        let (s1, d1) = (m[1].add(m[2]), m[1].add_product(minus, m[2]));
        let (s2, d2) = (m[3].add(m[4]), m[3].add_product(minus, m[4]));
        [
            m[0].add(s1).add(s2),
            d1.add_product(V::splat(2.0), d2),
            s1.add_product(V::splat(4.0), s2),
            m[5].add(d1).add_product(V::splat(8.0), d2),
        ]
    }
}

/// Transforms the inputs of some tiles.
struct InputJob<'a> {
    map: Map,
    /// `[images, in_height, in_width, inputs]`.
    x: &'a [f32],
    inputs: usize,
    zeros: &'a [f32],
    first: usize,
    count: usize,
    /// `[point][TILES][inputs]`, points [`pitch`] apart.
    out: &'a mut [f32],
}

/// Values between two points of transformed inputs: a line more than they are, so that the points do
/// not fall on the same lines of the cache.
fn pitch(inputs: usize) -> usize {
    TILES * inputs + LANES
}

by_isa!(run_input = input(&mut InputJob<'_>));

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn input<V: Lanes>(job: &mut InputJob<'_>) {
    let (map, k, pitch) = (job.map, job.inputs, pitch(job.inputs));
    for t in 0..job.count {
        let (n, tile) = ((job.first + t) / map.tiles(), (job.first + t) % map.tiles());
        let (y0, x0) = (tile / map.across() * OUT, tile % map.across() * OUT);
        let mut rows = [[job.zeros.as_ptr(); IN]; IN];
        for (i, row) in rows.iter_mut().enumerate() {
            for (j, p) in row.iter_mut().enumerate() {
                let (y, x) = ((y0 + i).wrapping_sub(map.padding), (x0 + j).wrapping_sub(map.padding));
                if y < map.in_height && x < map.in_width {
                    *p = job.x[((n * map.in_height + y) * map.in_width + x) * k..][..k].as_ptr();
                }
            }
        }
        for c in (0..k).step_by(LANES) {
            // SAFETY: every pointer has `inputs` values, a multiple of 16; tiles are below TILES.
            unsafe {
                let mut half = [[V::splat(0.0); IN]; IN];
                for j in 0..IN {
                    let mut d = [V::splat(0.0); IN];
                    for i in 0..IN {
                        d[i] = V::load(rows[i][j].add(c));
                    }
                    let column = gathered(d);
                    for i in 0..IN {
                        half[i][j] = column[i];
                    }
                }
                let into = job.out.as_mut_ptr().add(t * k + c);
                for i in 0..IN {
                    for (j, v) in gathered(half[i]).into_iter().enumerate() {
                        v.store(into.add((i * IN + j) * pitch));
                    }
                }
            }
        }
    }
}

/// Multiplies and transforms back one panel of output channels of some tiles.
struct OutputJob<'a> {
    map: Map,
    inputs: usize,
    /// As [`InputJob`] makes it.
    v: &'a [f32],
    /// `[point][input][width]`.
    filter: &'a [f32],
    width: usize,
    first: usize,
    count: usize,
    /// `[point][TILES][width]`.
    products: &'a mut [f32],
    /// `[images, height, width, pitch]`; this panel's channels are `channels` from `from`.
    out: &'a mut [MaybeUninit<f32>],
    pitch: usize,
    from: usize,
    channels: usize,
}

by_isa!(run_output = output(&mut OutputJob<'_>));

#[inline(always)]
unsafe fn output<V: Lanes>(job: &mut OutputJob<'_>) {
    // SAFETY: passed on from the caller.
    unsafe {
        match job.width / LANES {
            1 => panel::<V, 1>(job),
            2 => panel::<V, 2>(job),
            3 => panel::<V, 3>(job),
            4 => panel::<V, 4>(job),
            w => unreachable!("panels are 16 to 64 wide, not {}", w * LANES),
        }
    }
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn panel<V: Lanes, const NV: usize>(job: &mut OutputJob<'_>) {
    let (map, k, width) = (job.map, job.inputs, NV * LANES);
    let products = job.products.as_mut_ptr();
    for point in 0..POINTS {
        for t in (0..job.count).step_by(MR) {
            // SAFETY: the inputs have room for TILES tiles, of which those from `count` are not kept; the
            // filter has `inputs` rows of a panel a point.
            unsafe {
                let rows = std::array::from_fn(|i| job.v.as_ptr().add(point * pitch(k) + (t + i) * k));
                let mut acc = [[V::splat(0.0); NV]; MR];
                product::<V, MR, NV>(&mut acc, &rows, job.filter.as_ptr().add(point * k * width), k);
                for (i, acc) in acc.iter().enumerate() {
                    for (j, a) in acc.iter().enumerate() {
                        a.store(products.add((point * TILES + t + i) * width + j * LANES));
                    }
                }
            }
        }
    }
    for t in 0..job.count {
        let (n, tile) = ((job.first + t) / map.tiles(), (job.first + t) % map.tiles());
        let (y0, x0) = (tile / map.across() * OUT, tile % map.across() * OUT);
        for j in 0..NV {
            let lanes = LANES.min(job.channels.saturating_sub(j * LANES));
            if lanes == 0 {
                continue;
            }
            // SAFETY: the products were written above for every tile.
            unsafe {
                let at = |p: usize| V::load(products.add((p * TILES + t) * width + j * LANES));
                let mut half = [[V::splat(0.0); IN]; OUT];
                for x in 0..IN {
                    let column = summed(std::array::from_fn(|y| at(y * IN + x)));
                    for y in 0..OUT {
                        half[y][x] = column[y];
                    }
                }
                for (y, row) in half.into_iter().enumerate().take(map.height - y0) {
                    for (x, v) in summed(row).into_iter().enumerate().take(map.width - x0) {
                        let pixel = (n * map.height + y0 + y) * map.width + x0 + x;
                        let into = &mut job.out[pixel * job.pitch + job.from + j * LANES..][..lanes];
                        store::<V, 1>(&[v], into);
                    }
                }
            }
        }
    }
}

/// Whether a convolution goes over all weights for every block of tiles, which then are to be transformed
/// before (by [`filters`]); else it takes them as they are.
pub fn wants_filters(map: &Map, images: usize, channels: usize) -> bool {
    images * map.tiles() > channels
}

/// Weights of every panel of [`Panels::backward`], transformed.
pub fn filters(isa: Isa, panels: &Panels) -> Panels {
    let len = panels.inputs * panels.width;
    let mut data = zeros(panels.count() * POINTS * len);
    data.par_chunks_mut((POINTS * len).max(1)).enumerate().for_each(|(p, out)| {
        run_filter(isa, &mut FilterJob { panel: panels.panel(p), out });
    });
    Panels { data, taps: POINTS, ..*panels }
}

/// Input gradient of a 3×3 convolution at stride 1, all of it written; `weights` are [`filters`] where
/// [`wants_filters`] says so, else [`Panels::backward`].
pub fn input_gradient(isa: Isa, map: Map, x: &[f32], weights: &Panels, out: &mut [MaybeUninit<f32>]) {
    let (k, channels) = (weights.inputs, weights.outputs);
    let (x_len, out_len) = (map.in_height * map.in_width * k, map.height * map.width * channels);
    let images = x.len() / x_len.max(1);
    let zero = vec![0.0f32; k];
    let transform = |first: usize, count: usize, x: &[f32], v: &mut [f32]| {
        run_input(isa, &mut InputJob { map, x, inputs: k, zeros: &zero, first, count, out: v });
    };
    let blocks = |tiles: usize| (0..tiles).step_by(TILES).map(move |first| (first, TILES.min(tiles - first)));
    let of = |p: usize| (p * weights.width, weights.width.min(channels - p * weights.width));
    if wants_filters(&map, images, channels) {
        // Many tiles: a task transforms its images' and goes over all weights.
        let group = group(images, map.height * map.width);
        let parts = out.par_chunks_mut((group * out_len).max(1)).zip(x.par_chunks((group * x_len).max(1)));
        let buffers = || (vec![0.0f32; POINTS * pitch(k)], vec![0.0f32; POINTS * TILES * weights.width]);
        parts.for_each_init(buffers, |(v, products), (out, x)| {
            for (first, count) in blocks(x.len() / x_len * map.tiles()) {
                transform(first, count, x, v);
                for (p, filter) in weights.data.chunks_exact(POINTS * k * weights.width).enumerate() {
                    let (from, channels_here) = of(p);
                    let (width, pitch) = (weights.width, channels);
                    run_output(
                        isa,
                        &mut OutputJob {
                            map,
                            inputs: k,
                            v,
                            filter,
                            width,
                            first,
                            count,
                            products,
                            out,
                            pitch,
                            from,
                            channels: channels_here,
                        },
                    );
                }
            }
        });
        return;
    }
    // Few tiles: a task goes over all of them with its panel of weights, transformed where it is used.
    let tiles = images * map.tiles();
    let size = POINTS * pitch(k);
    let mut all = zeros(tiles.div_ceil(TILES) * size);
    all.par_chunks_mut(size.max(1)).enumerate().for_each(|(b, v)| {
        transform(b * TILES, TILES.min(tiles - b * TILES), x, v);
    });
    let width = weights.width;
    let pixels = images * map.height * map.width;
    let mut columns = room(weights.count() * pixels * width);
    columns.par_chunks_mut((pixels * width).max(1)).enumerate().for_each(|(p, out)| {
        let mut filter = vec![0.0f32; POINTS * k * width];
        run_filter(isa, &mut FilterJob { panel: weights.panel(p), out: &mut filter });
        let mut products = vec![0.0f32; POINTS * TILES * width];
        for (b, v) in all.chunks_exact(size).enumerate() {
            let (first, count) = (b * TILES, TILES.min(tiles - b * TILES));
            let (products, filter) = (&mut products[..], &filter[..]);
            run_output(
                isa,
                &mut OutputJob {
                    map,
                    inputs: k,
                    v,
                    filter,
                    width,
                    first,
                    count,
                    products,
                    out,
                    pitch: width,
                    from: 0,
                    channels: width,
                },
            );
        }
    });
    out.par_chunks_mut(channels).enumerate().with_min_len(64).for_each(|(pixel, row)| {
        for (p, row) in row.chunks_mut(width).enumerate() {
            row.copy_from_slice(&columns[(p * pixels + pixel) * width..][..row.len()]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::dense::{self, Indirection};
    use super::super::pack::panel_width;
    use super::*;
    use crate::kernels::memory::as_room;
    use rand::Rng;
    use rand_chacha::rand_core::SeedableRng;

    /// The input gradient of a layer, both ways.
    fn both(isa: Isa, g: &Geometry, images: usize) -> (Vec<f32>, Vec<f32>) {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let mut random = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let (d, w) = (random(images * g.output_len()), random(g.weights()));
        let panels = Panels::backward(&w, g, panel_width(g.channels, dense::PANEL));
        let (mut plain, mut fast) = (vec![0.0; images * g.input_len()], vec![7.0; images * g.input_len()]);
        dense::forward(isa, &Indirection::backward(g), &d, &panels, as_room(&mut plain));
        let map = Map::input_gradient(g);
        let weights = if wants_filters(&map, images, g.channels) { filters(isa, &panels) } else { panels };
        input_gradient(isa, map, &d, &weights, as_room(&mut fast));
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
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| both(Isa::detect(), &g, 9).1)
        };
        assert_eq!(of(1), of(3));
    }
}
