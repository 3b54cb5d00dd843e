//! The transforms of weights and inputs, sixteen channels at a time.

use super::super::dense::PANEL;
use super::{Block, IN, Map, OUT, POINTS};
use crate::cpu::simd::{LANES, Lanes, by_isa};
use std::mem::MaybeUninit;

/// Transforms the weights of one panel.
pub(super) struct FilterJob<'a> {
    /// `[inputs, outputs, 3, 3]`: the weight of the layer whose input gradient is computed.
    pub weight: &'a [f32],
    pub inputs: usize,
    pub outputs: usize,
    /// First output of the panel.
    pub from: usize,
    pub width: usize,
    /// `[point][input][width]`; points are [`filter_pitch`] apart.
    pub out: &'a mut [MaybeUninit<f32>],
}

/// Values between two points of transformed weights. One cache line more than the values take, so
/// that the points do not compete for the same cache sets.
pub(super) fn filter_pitch(inputs: usize, width: usize) -> usize {
    inputs * width + LANES
}

by_isa!(pub(super) run_filter = filter(&mut FilterJob<'_>));

/// Computes G·w·Gᵀ for every input and sixteen outputs at a time.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn filter<V: Lanes>(job: &mut FilterJob<'_>) {
    let pitch = filter_pitch(job.inputs, job.width);
    assert!(job.out.len() >= POINTS * pitch && job.width <= PANEL && job.from < job.outputs);
    // `[tap][output]` of one input. Columns past the last output stay zero.
    let mut taps = [[0.0f32; PANEL]; 9];
    for input in 0..job.inputs {
        let rows = job.width.min(job.outputs - job.from);
        let from = &job.weight[(input * job.outputs + job.from) * 9..][..rows * 9];
        for (j, from) in from.as_chunks::<9>().0.iter().enumerate() {
            // An input gradient reads the taps in reverse order.
            for tap in 0..9 {
                taps[8 - tap][j] = from[tap];
            }
        }
        for at in (0..job.width).step_by(LANES) {
            // SAFETY: a row of taps and `width` are whole numbers of registers, and `out` holds
            // every point, as asserted above.
            unsafe {
                let tap = |k: usize| V::load(taps[k].as_ptr().add(at));
                let mut half = [[V::splat(0.0); 3]; IN];
                for x in 0..3 {
                    let column = spread([tap(x), tap(3 + x), tap(6 + x)]);
                    for y in 0..IN {
                        half[y][x] = column[y];
                    }
                }
                let into = job.out.as_mut_ptr().cast::<f32>().add(input * job.width + at);
                for y in 0..IN {
                    for (x, v) in spread(half[y]).into_iter().enumerate() {
                        v.store(into.add((y * IN + x) * pitch));
                    }
                }
            }
        }
    }
}

/// G·w: one dimension of the weight transform.
#[inline(always)]
unsafe fn spread<V: Lanes>([a, b, c]: [V; 3]) -> [V; IN] {
    // SAFETY: the caller upholds the conditions of `Lanes`.
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

/// Bᵀ·d: one dimension of the input transform.
#[inline(always)]
unsafe fn gathered<V: Lanes>(d: [V; IN]) -> [V; IN] {
    // SAFETY: the caller upholds the conditions of `Lanes`.
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

/// Transforms the inputs of a block of tiles.
pub(super) struct InputJob<'a> {
    pub map: Map,
    /// `[images, in_height, in_width, inputs]`.
    pub x: &'a [f32],
    pub block: Block,
    pub zeros: &'a [f32],
    pub first: usize,
    pub count: usize,
    /// In the layout of [`Block`].
    pub out: &'a mut [f32],
}

by_isa!(pub(super) run_input = input(&mut InputJob<'_>));

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn input<V: Lanes>(job: &mut InputJob<'_>) {
    let (map, k, pitch) = (job.map, job.block.inputs, job.block.pitch());
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
            // SAFETY: every pointer has `inputs` values, a multiple of 16, and `t` is below the
            // block's tiles.
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
