//! The matrix products of transformed tiles and weights, and the inverse transform to pixels.

use super::super::dense::product;
use super::super::gather::store;
use super::transform::filter_pitch;
use super::{Block, IN, MR, Map, OUT, POINTS};
use crate::cpu::simd::{LANES, Lanes, by_isa};
use std::mem::MaybeUninit;
use std::ops::Range;

/// Aᵀ·m: one dimension of the inverse transform.
#[inline(always)]
unsafe fn summed<V: Lanes>(m: [V; IN]) -> [V; OUT] {
    // SAFETY: the caller upholds the conditions of `Lanes`.
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

/// Multiplies some tiles with one panel of output channels and transforms the products to pixels.
pub(super) struct OutputJob<'a> {
    pub map: Map,
    pub block: Block,
    /// Whole blocks in sequence.
    pub v: &'a [f32],
    /// The inputs of this call. `products` already includes the inputs before them. The call that
    /// has the last inputs also does the inverse transform.
    pub inputs: Range<usize>,
    /// `[point][input][width]` for these inputs; points are [`filter_pitch`] apart.
    pub filter: &'a [MaybeUninit<f32>],
    pub width: usize,
    pub first: usize,
    pub count: usize,
    /// `[point][tile][width]` for all tiles of `v`.
    pub products: &'a mut [MaybeUninit<f32>],
    /// `[images, height, width, pitch]`; the panel writes `channels` channels from `from` on.
    pub out: &'a mut [MaybeUninit<f32>],
    pub pitch: usize,
    pub from: usize,
    pub channels: usize,
}

by_isa!(pub(super) run_output = output(&mut OutputJob<'_>));

#[inline(always)]
unsafe fn output<V: Lanes>(job: &mut OutputJob<'_>) {
    // SAFETY: the caller upholds the conditions of `Lanes`.
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
    let (map, k, width) = (job.map, job.inputs.len(), NV * LANES);
    let (tiles, pitch) = (job.v.len() / job.block.len() * job.block.tiles, filter_pitch(k, width));
    assert!(job.inputs.end <= job.block.inputs && job.count <= tiles);
    assert!(job.products.len() >= POINTS * tiles * width && job.filter.len() >= POINTS * pitch);
    let products = job.products.as_mut_ptr().cast::<f32>();
    for point in 0..POINTS {
        // SAFETY: the filter has `POINTS` points, as asserted above.
        let filter = unsafe { job.filter.as_ptr().cast::<f32>().add(point * pitch) };
        for t in (0..job.count).step_by(MR) {
            // SAFETY: `v` and `products` have room for whole blocks (results of tiles from `count`
            // on are not used). The filter has a row of a panel for each input and point, all
            // written. If inputs precede these, an earlier call has stored their products.
            unsafe {
                let rows = std::array::from_fn(|i| job.v.as_ptr().add(job.block.at(point, t + i) + job.inputs.start));
                let mut acc = [[V::splat(0.0); NV]; MR];
                if job.inputs.start > 0 {
                    for i in 0..MR {
                        for j in 0..NV {
                            acc[i][j] = V::load(products.add((point * tiles + t + i) * width + j * LANES));
                        }
                    }
                }
                product::<V, MR, NV>(&mut acc, &rows, filter, k);
                for (i, acc) in acc.iter().enumerate() {
                    for (j, a) in acc.iter().enumerate() {
                        a.store(products.add((point * tiles + t + i) * width + j * LANES));
                    }
                }
            }
        }
    }
    if job.inputs.end < job.block.inputs {
        return;
    }
    for t in 0..job.count {
        let (n, tile) = ((job.first + t) / map.tiles(), (job.first + t) % map.tiles());
        let (y0, x0) = (tile / map.across() * OUT, tile % map.across() * OUT);
        for j in 0..NV {
            let lanes = LANES.min(job.channels.saturating_sub(j * LANES));
            if lanes == 0 {
                continue;
            }
            // SAFETY: the loop above has written the products of every tile.
            unsafe {
                let products_at = |p: usize| V::load(products.add((p * tiles + t) * width + j * LANES));
                let mut half = [[V::splat(0.0); IN]; OUT];
                for x in 0..IN {
                    let column = summed(std::array::from_fn(|y| products_at(y * IN + x)));
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
