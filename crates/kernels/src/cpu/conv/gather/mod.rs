//! Sparse convolution: for each output pixel the kernel adds up the weight rows of the active
//! inputs in its window, `NV` registers of output channels at a time.
//!
//! ```text
//! y[oy, ox, panel] = Σ_group Σ_ky Σ_e v(e) · w[panel][group][ky][e − x₀·G]
//! over the entries e of the window [x₀, x₀ + k) in row oy·s + ky − p, with values v(e)
//! ```
//!
//! One pass covers as many groups of inputs and kernel rows as have weights that fit the L1 cache.
//! Between passes the sums are stored in the output. An active input costs one load and one
//! addition per register; a dense kernel costs a multiply-add for every input, zero or not. The
//! speedup is therefore the reciprocal of the density, limited by the bandwidth of the L1 cache.
//!
//! Fast path (`rows.rs`): if the convolution is 3×3 at stride 1 with padding 1, the panels are full
//! and the three kernel rows of a group do not fit one pass, an active input is added to the three
//! outputs of a row that read it, whose sums stay in registers.

use super::events::{AHEAD, Events, GROUP, Image, groups};
use super::pack::{Panels, interleave, one_gathered, panel_width};
use crate::cpu::grain::FineGrained;
use crate::cpu::memory::room;
use crate::cpu::simd::{Isa, LANES, Lanes, by_isa};
use crate::operators::Geometry;
use rayon::prelude::*;
use std::borrow::Cow;
use std::hint::select_unpredictable;
use std::mem::MaybeUninit;

mod rows;

/// Output channels per panel.
pub const PANEL: usize = 32;

/// Bytes of weight rows per pass: three taps of a group of inputs and two registers, three quarters
/// of the smallest L1 cache on machines with registers of this size.
const PASS_BYTES: usize = 24 << 10;

/// Independent sums per register. The loop adds to them in turn, which hides the latency of an
/// addition.
const SETS: usize = 4;
const _: () = assert!(SETS == 4 && SETS <= AHEAD);

/// One panel and some images.
struct Job<'a> {
    g: Geometry,
    images: &'a [Image],
    binary: bool,
    /// The panel in the layout of [`Panels::gathered`].
    panel: &'a [f32],
    width: usize,
    /// `[images, OH, OW, pitch]`; the panel writes `channels` channels from `from` on.
    out: &'a mut [MaybeUninit<f32>],
    pitch: usize,
    from: usize,
    channels: usize,
}

/// The weights of a layer.
#[derive(Debug, Clone, Copy)]
pub enum Weights<'a> {
    /// Packed by [`Panels::gathered`] in panels of at most [`PANEL`].
    Packed(&'a Panels),
    /// `[co, ci, ky, kx]`. Each task packs the panel that it reads.
    Plain(&'a [f32]),
}

/// Whether a layer has more weights than outputs. Then each weight is best read by one task only;
/// otherwise packing [`Weights::Plain`] per task costs more than it saves.
pub fn few_outputs(g: &Geometry, images: usize) -> bool {
    g.weights() > images * g.output_len()
}

/// Computes y `[N, OH, OW, Co]` from active inputs and writes all of `out`.
pub fn forward(isa: Isa, g: Geometry, x: &Events, weights: Weights<'_>, out: &mut [MaybeUninit<f32>]) {
    match weights {
        Weights::Packed(panels) if !few_outputs(&g, x.images.len()) => over_images(isa, g, x, panels, out),
        _ => over_panels(isa, g, x, weights, out),
    }
}

/// Each task processes some images with all weights.
fn over_images(isa: Isa, g: Geometry, x: &Events, weights: &Panels, out: &mut [MaybeUninit<f32>]) {
    let (group, width, pitch, binary) = (group(x.images.len(), g.out_pixels()), weights.width, g.out, x.binary);
    let parts = out.par_chunks_mut((group * g.output_len()).max(1)).zip(x.images.par_chunks(group)).fine_grained();
    parts.for_each(|(out, images)| {
        for p in 0..weights.count() {
            let (panel, from) = (weights.panel(p), p * width);
            let channels = width.min(g.out - from);
            run(isa, &mut Job { g, images, binary, panel, width, out, pitch, from, channels });
        }
    });
}

/// Each task processes one panel of weights with all images, or with some if there are more threads
/// than panels.
fn over_panels(isa: Isa, g: Geometry, x: &Events, weights: Weights<'_>, out: &mut [MaybeUninit<f32>]) {
    let (width, binary) = (panel_width(g.out, PANEL), x.binary);
    let (panels, pixels) = (g.out.div_ceil(width), x.images.len() * g.out_pixels());
    // The number of groups depends on the threads, but every value is the same for any grouping.
    let groups = (2 * rayon::current_num_threads()).div_ceil(panels);
    let group = x.images.len().div_ceil(groups).max(1);
    let mut columns = room(panels * pixels * width);
    columns.par_chunks_mut((pixels * width).max(1)).fine_grained().enumerate().for_each(|(p, out)| {
        let packed = match weights {
            Weights::Packed(all) => Cow::Borrowed(all.panel(p)),
            Weights::Plain(weight) => Cow::Owned(one_gathered(weight, &g, width, p)),
        };
        let panel = &packed[..];
        let parts = out.par_chunks_mut((group * g.out_pixels() * width).max(1)).zip(x.images.par_chunks(group));
        parts.for_each(|(out, images)| {
            let (pitch, from, channels) = (width, 0, width);
            run(isa, &mut Job { g, images, binary, panel, width, out, pitch, from, channels });
        });
    });
    interleave(&columns, g.out, width, out);
}

/// Images per task: enough pixels to amortise loading the weights into the cache, and enough tasks
/// for many cores.
pub fn group(images: usize, pixels: usize) -> usize {
    (1024 / pixels.max(1)).clamp(1, images.div_ceil(2).max(1))
}

by_isa!(run = body(&mut Job<'_>));

#[inline(always)]
unsafe fn body<V: Lanes>(job: &mut Job<'_>) {
    // SAFETY: the caller upholds the conditions of `Lanes`.
    unsafe {
        match (job.width / LANES, job.binary) {
            (1, true) => passes::<V, 1, true>(job),
            (1, false) => passes::<V, 1, false>(job),
            (2, true) => passes::<V, 2, true>(job),
            (2, false) => passes::<V, 2, false>(job),
            (w, _) => unreachable!("panels are 16 or 32 wide, not {}", w * LANES),
        }
    }
}

/// The active inputs of one group in one kernel row.
#[derive(Debug, Clone, Copy)]
struct List {
    ky: usize,
    /// Index of the group's first pixel in the starts of an image.
    starts: usize,
    /// Channels of the group.
    channels: usize,
    /// Offset of the list's weights in the panel.
    weights: usize,
}

#[inline(always)]
unsafe fn passes<V: Lanes, const NV: usize, const BINARY: bool>(job: &mut Job<'_>) {
    let (g, width) = (job.g, NV * LANES);
    let mut lists = Vec::new();
    for (group, (first, channels)) in groups(g.channels).enumerate() {
        for ky in 0..g.kernel {
            let weights = (first * g.taps() + ky * g.kernel * channels) * width;
            lists.push(List { ky, starts: group * g.pixels(), channels, weights });
        }
    }
    let bytes = g.kernel * g.channels.min(GROUP) * width * size_of::<f32>();
    let together = (PASS_BYTES / bytes.max(1)).max(1);
    // With few inputs all kernel rows fit one pass, which saves more than `rows` does.
    let by_rows = rows::fit(&g) && together < g.kernel && g.out.is_multiple_of(width);
    for (k, lists) in lists.chunks(if by_rows { 1 } else { together }).enumerate() {
        // SAFETY: as above; `by_rows` implies that every panel is full.
        unsafe {
            if by_rows {
                rows::pass::<V, NV, BINARY>(job, &lists[0], k == 0);
            } else {
                pass::<V, NV, BINARY>(job, lists, k == 0);
            }
        }
    }
}

/// Processes some lists for all images of the job.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn pass<V: Lanes, const NV: usize, const BINARY: bool>(job: &mut Job<'_>, lists: &[List], is_first: bool) {
    let g = job.g;
    let (oh, ow, width) = (g.out_height(), g.out_width(), NV * LANES);
    let (panel, pitch, from, channels) = (job.panel, job.pitch, job.from, job.channels);
    let zeros = [0.0f32; PANEL];
    let inside = |oy: usize, l: &List| (oy * g.stride + l.ky).wrapping_sub(g.padding) < g.height;
    for (image, out) in job.images.iter().zip(job.out.chunks_exact_mut(oh * ow * pitch)) {
        let entries = image.entries.as_ptr();
        let values = image.values.as_ptr();
        for oy in 0..oh {
            if !is_first && !lists.iter().any(|l| inside(oy, l)) {
                continue;
            }
            for ox in 0..ow {
                let y = &mut out[(oy * ow + ox) * pitch + from..][..channels];
                // SAFETY: `load` and `store` handle a partial panel through a buffer. An entry is
                // x·G + c with x inside the row, so entry − x₀·G is below kernel·G and indexes a
                // row of this list's weights. There is a value per entry unless `BINARY`. `AHEAD`
                // entries may be read after the last.
                unsafe {
                    let mut acc = [[V::splat(0.0); NV]; SETS];
                    if !is_first {
                        acc[0] = load::<V, NV>(y);
                    }
                    let x0 = (ox * g.stride) as isize - g.padding as isize;
                    let (left, right) = (x0.max(0) as usize, ((x0 + g.kernel as isize).max(0) as usize).min(g.width));
                    for list in lists {
                        if !inside(oy, list) || left >= right {
                            continue;
                        }
                        let line = list.starts + (oy * g.stride + list.ky - g.padding) * g.width;
                        let mut e = *image.starts.get_unchecked(line + left) as usize;
                        let end = *image.starts.get_unchecked(line + right) as usize;
                        let rows = panel
                            .as_ptr()
                            .wrapping_add(list.weights)
                            .wrapping_offset(-x0 * (list.channels * width) as isize);
                        while e + SETS <= end {
                            let four = Four::load(entries.add(e));
                            for s in 0..SETS {
                                add_row::<V, NV, BINARY>(
                                    &mut acc[s],
                                    rows.wrapping_add(four.at(s) * width),
                                    values,
                                    e + s,
                                );
                            }
                            e += SETS;
                        }
                        let four = Four::load(entries.add(e));
                        if BINARY {
                            // The remaining entries are added without a branch on their number:
                            // rows past the end are zeros.
                            for s in 0..SETS - 1 {
                                let row = rows.wrapping_add(four.at(s) * width);
                                let row = select_unpredictable(e + s < end, row, zeros.as_ptr());
                                add_row::<V, NV, BINARY>(&mut acc[s], row, values, e + s);
                            }
                        } else {
                            for s in 0..end - e {
                                add_row::<V, NV, BINARY>(
                                    &mut acc[0],
                                    rows.wrapping_add(four.at(s) * width),
                                    values,
                                    e + s,
                                );
                            }
                        }
                    }
                    let mut sum = acc[0];
                    for other in &acc[1..] {
                        for (s, o) in sum.iter_mut().zip(other) {
                            *s = s.add(*o);
                        }
                    }
                    store::<V, NV>(&sum, y);
                }
            }
        }
    }
}

/// Four entries in one load, which leaves more load slots for weight rows.
#[derive(Clone, Copy)]
struct Four(u64);

impl Four {
    /// # Safety
    /// Four entries must be readable at `p`.
    #[inline(always)]
    unsafe fn load(p: *const u16) -> Self {
        // SAFETY: the caller guarantees four readable entries, and any bits are a valid number.
        Self(u64::from_le(unsafe { p.cast::<u64>().read_unaligned() }))
    }

    #[inline(always)]
    fn at(self, k: usize) -> usize {
        (self.0 >> (16 * k)) as usize & 0xffff
    }
}

/// Adds the weight row of entry `e`, times its value unless `BINARY`.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn add_row<V: Lanes, const NV: usize, const BINARY: bool>(
    acc: &mut [V; NV],
    row: *const f32,
    values: *const f32,
    e: usize,
) {
    // SAFETY: as in `pass`.
    unsafe {
        for j in 0..NV {
            let w = V::load(row.add(j * LANES));
            acc[j] = if BINARY { acc[j].add(w) } else { acc[j].add_product(V::splat(*values.add(e)), w) };
        }
    }
}

/// Loads `NV` registers from a row that may be shorter; missing values are 0.
///
/// # Safety
/// See [`Lanes`]. The row must be initialised.
#[inline(always)]
pub unsafe fn load<V: Lanes, const NV: usize>(y: &[MaybeUninit<f32>]) -> [V; NV] {
    // SAFETY: loads read from `y` if it is long enough, else from a buffer that is.
    unsafe {
        let mut acc = [V::splat(0.0); NV];
        if y.len() == NV * LANES {
            for (j, a) in acc.iter_mut().enumerate() {
                *a = V::load(y.as_ptr().cast::<f32>().add(j * LANES));
            }
        } else {
            let mut buffer = [[0.0f32; LANES]; NV];
            for (into, from) in buffer.as_flattened_mut().iter_mut().zip(y) {
                *into = from.assume_init();
            }
            for (a, b) in acc.iter_mut().zip(&buffer) {
                *a = V::load(b.as_ptr());
            }
        }
        acc
    }
}

/// Stores `NV` registers to a row that may be shorter; values past its end are dropped.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
pub unsafe fn store<V: Lanes, const NV: usize>(acc: &[V; NV], y: &mut [MaybeUninit<f32>]) {
    // SAFETY: whole registers are stored if `y` is long enough, else as many values as it has.
    unsafe {
        if y.len() == NV * LANES {
            for (j, a) in acc.iter().enumerate() {
                a.store(y.as_mut_ptr().cast::<f32>().add(j * LANES));
            }
        } else {
            for (a, y) in acc.iter().zip(y.chunks_mut(LANES)) {
                a.store_first(y.as_mut_ptr().cast::<f32>(), y.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::memory::{as_room, full};
    use rand::Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn however_work_is_shared_and_weights_are_given_every_value_is_the_same() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        for (channels, side, out, stride, images) in
            [(70, 4, 130, 1, 3), (20, 5, 40, 2, 9), (33, 3, 64, 1, 1), (70, 3, 64, 1, 4)]
        {
            let g = Geometry { channels, height: side, width: side + 1, out, kernel: 3, stride, padding: 1 };
            let x: Vec<f32> =
                (0..images * g.input_len()).map(|_| f32::from(u8::from(rng.random_bool(0.2))) * 2.0).collect();
            let w: Vec<f32> = (0..g.weights()).map(|_| rng.random_range(-1.0..1.0)).collect();
            let panels = Panels::gathered(&w, &g, panel_width(g.out, PANEL));
            for isa in Isa::available() {
                let events = Events::of(isa, &x, g.pixels(), g.width, g.channels).with_values(&x);
                let mut by_images = vec![7.0f32; images * g.output_len()];
                over_images(isa, g, &events, &panels, as_room(&mut by_images));
                for threads in [1, 3] {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    for weights in [Weights::Packed(&panels), Weights::Plain(&w)] {
                        let mut by_panels = room(images * g.output_len());
                        pool.install(|| over_panels(isa, g, &events, weights, &mut by_panels));
                        // SAFETY: every value was written.
                        assert_eq!(by_images, unsafe { full(by_panels) }, "{isa:?} {g:?} {threads} {weights:?}");
                    }
                }
            }
        }
    }
}
