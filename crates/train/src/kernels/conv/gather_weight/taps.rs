//! The sums of one channel over its active pixels, in registers: all taps of a 3×3 kernel at once, or one.

use super::super::simd::{LANES, Lanes};
use super::{NV, WIDTH};

/// The nine taps of a 3×3 kernel at stride 1.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
pub(super) unsafe fn nine<V: Lanes, const BINARY: bool>(
    out: &mut [f32],
    panel: &[f32],
    width: usize,
    pixels: &[u32],
    values: &[f32],
) {
    // SAFETY: passed on from the caller.
    unsafe {
        let mut acc = [[V::splat(0.0); NV]; 9];
        for (t, acc) in acc.iter_mut().enumerate() {
            for (j, a) in acc.iter_mut().enumerate() {
                *a = V::load(out.as_ptr().add(t * WIDTH + j * LANES));
            }
        }
        for (k, &pixel) in pixels.iter().enumerate() {
            let p = panel.as_ptr().add(pixel as usize * WIDTH);
            let v = if BINARY { V::splat(1.0) } else { V::splat(*values.get_unchecked(k)) };
            let rows = [p, p.sub(width * WIDTH), p.sub(2 * width * WIDTH)];
            for ky in 0..3 {
                for kx in 0..3 {
                    let p = rows[ky].sub(kx * WIDTH);
                    for j in 0..NV {
                        let (a, d) = (acc[ky * 3 + kx][j], V::load(p.add(j * LANES)));
                        acc[ky * 3 + kx][j] = if BINARY { a.add(d) } else { a.add_product(v, d) };
                    }
                }
            }
        }
        for (t, acc) in acc.iter().enumerate() {
            for (j, a) in acc.iter().enumerate() {
                a.store(out.as_mut_ptr().add(t * WIDTH + j * LANES));
            }
        }
    }
}

/// One tap, `back` pixels before the one that the offset names.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
pub(super) unsafe fn one<V: Lanes, const BINARY: bool>(
    out: &mut [f32],
    panel: &[f32],
    back: usize,
    pixels: &[u32],
    values: &[f32],
) {
    // SAFETY: passed on from the caller.
    unsafe {
        let mut even = [V::splat(0.0); NV];
        let mut odd = even;
        for j in 0..NV {
            even[j] = V::load(out.as_ptr().add(j * LANES));
        }
        let add = |acc: &mut [V; NV], k: usize| {
            let p = panel.as_ptr().add((*pixels.get_unchecked(k) as usize - back) * WIDTH);
            for j in 0..NV {
                let d = V::load(p.add(j * LANES));
                acc[j] = if BINARY { acc[j].add(d) } else { acc[j].add_product(V::splat(*values.get_unchecked(k)), d) };
            }
        };
        let pairs = pixels.len() / 2;
        for k in 0..pairs {
            add(&mut even, 2 * k);
            add(&mut odd, 2 * k + 1);
        }
        if pixels.len() % 2 == 1 {
            add(&mut even, pixels.len() - 1);
        }
        for j in 0..NV {
            even[j].add(odd[j]).store(out.as_mut_ptr().add(j * LANES));
        }
    }
}
