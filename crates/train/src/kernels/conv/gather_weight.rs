//! Weight gradient over active inputs: for each input channel the gradients of the output pixels
//! that its active pixels meet are added up, all taps at once.
//!
//! ```text
//! gw[tap, ci, co] = Σ_{active (n, iy, ix) of ci} v · g[n, (iy + p − ky)/s, (ix + p − kx)/s, co]
//! ```
//!
//! The batch is cut into bands of rows whose gradients, 32 output channels of them with a margin of
//! zeros, stay in the first-level cache. The active inputs of a band are sorted by channel and by
//! residue of their pixel mod s (which decides the taps); the sums of one channel, up to nine taps
//! of two registers, stay in registers over its active pixels.
//!
//! Tasks are panels × fixed parts of the batch, whose sums are added in order: the result does not
//! depend on the number of threads.

use super::events::Events;
use super::geometry::Geometry;
use super::simd::{Isa, LANES, Lanes, by_isa};
use crate::kernels::memory::{full, room, zeros};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Registers of a panel.
const NV: usize = 2;

/// Output channels of a panel.
const WIDTH: usize = NV * LANES;

/// Bytes of gradients of a band.
const BAND_BYTES: usize = 40 << 10;

/// Weights of a channel that are brought to their place at a time.
const BLOCK: usize = 64;

/// Tasks that a layer is cut into at least, where it has that many bands.
const TASKS: usize = 16;

/// One axis of a band: where a residue's gradients lie and how many taps it meets.
#[derive(Debug, Clone, Copy)]
struct Axis {
    kernel: usize,
    stride: usize,
}

impl Axis {
    /// Taps that inputs of this residue of (i + padding) meet: residue, residue + s, …
    fn taps(self, residue: usize) -> usize {
        (self.kernel.saturating_sub(residue)).div_ceil(self.stride)
    }

    /// Rows of zeros before the first output.
    fn margin(self) -> usize {
        (self.kernel - 1) / self.stride
    }
}

/// The active inputs of some rows, by channel and residue.
#[derive(Debug, Default)]
struct Band {
    /// Images `first..last`, or one image's rows.
    images: (usize, usize),
    rows: (usize, usize),
    /// For each (channel, class) where its pixels begin; one more at the end.
    starts: Vec<u32>,
    /// Offsets into the panel of gradients, in pixels: the output of the smallest tap.
    pixels: Vec<u32>,
    values: Vec<f32>,
}

/// How a batch is cut.
#[derive(Debug, Clone, Copy)]
struct Plan {
    g: Geometry,
    axis: Axis,
    /// Width of a panel's row, in pixels.
    width: usize,
    /// Rows of the input in a band, and images.
    rows: usize,
    images: usize,
}

impl Plan {
    fn new(g: Geometry) -> Self {
        let axis = Axis { kernel: g.kernel, stride: g.stride };
        // Outputs from −margin to the last that an input can meet.
        let width = (g.width - 1 + g.padding) / g.stride + 1 + axis.margin();
        let room = BAND_BYTES / (width * WIDTH * 4);
        let whole = Self::height_of(&g, axis, g.height);
        let (rows, images) = if room >= whole {
            (g.height, room / whole)
        } else {
            let outputs = room.saturating_sub(axis.margin() + 1).max(1);
            ((outputs * g.stride).min(g.height), 1)
        };
        Self { g, axis, width, rows, images }
    }

    /// Rows of a panel for `rows` input rows.
    fn height_of(g: &Geometry, axis: Axis, rows: usize) -> usize {
        (rows - 1 + g.stride - 1 + g.padding % g.stride) / g.stride + 1 + axis.margin() + g.padding / g.stride
    }

    /// Rows of a panel.
    fn height(&self) -> usize {
        Self::height_of(&self.g, self.axis, self.rows)
    }

    /// The output row that a panel of a band from input row `r` begins with.
    fn first_output(&self, r: usize) -> isize {
        ((r + self.g.padding) / self.g.stride) as isize - self.axis.margin() as isize
    }

    fn classes(&self) -> usize {
        self.g.stride * self.g.stride
    }

    fn bands(&self, images: usize) -> Vec<Band> {
        let mut bands = Vec::new();
        for first in (0..images).step_by(self.images) {
            for row in (0..self.g.height).step_by(self.rows) {
                bands.push(Band {
                    images: (first, (first + self.images).min(images)),
                    rows: (row, (row + self.rows).min(self.g.height)),
                    ..Band::default()
                });
            }
        }
        bands
    }

    /// What an entry x·C + c says of its place.
    fn places(&self) -> Vec<Place> {
        let (g, s) = (&self.g, self.g.stride);
        let place = |e: usize| {
            let (x, c) = (e / g.channels, e % g.channels);
            Place {
                slot: (c * self.classes() + (x + g.padding) % s) as u32,
                column: ((x + g.padding) / s + self.axis.margin() - g.padding / s) as u32,
            }
        };
        (0..g.width * g.channels).map(place).collect()
    }

    /// Sorts the active inputs of a band by channel and residue.
    fn fill(&self, band: &mut Band, x: &Events, places: &[Place]) {
        let (g, s) = (&self.g, self.g.stride);
        let (first, height) = (self.first_output(band.rows.0), self.height());
        // Rows of the band: where its entries lie, the residue's first slot, the first pixel of its outputs.
        let (images, rows) = (band.images, band.rows);
        let lines = || {
            let each = (images.0..images.1).flat_map(move |n| (rows.0..rows.1).map(move |y| (n, y)));
            each.map(move |(n, y)| {
                let starts = &x.images[n].starts;
                let entries = starts[y * g.width] as usize..starts[(y + 1) * g.width] as usize;
                let row = ((y + g.padding) / s) as isize - first;
                let pixel = ((n - images.0) * height + row as usize) * self.width;
                (n, entries, (y + g.padding) % s * s, pixel as u32)
            })
        };
        let mut count = vec![0u32; g.channels * self.classes() + 1];
        for (n, entries, class, _) in lines() {
            for e in &x.images[n].entries[entries] {
                count[places[usize::from(*e)].slot as usize + class + 1] += 1;
            }
        }
        for i in 1..count.len() {
            count[i] += count[i - 1];
        }
        let total = count.last().copied().unwrap_or(0) as usize;
        let mut next = count.clone();
        let mut pixels = vec![0u32; total];
        let mut values = vec![0.0f32; if x.binary { 0 } else { total }];
        for (n, entries, class, pixel) in lines() {
            let image = &x.images[n];
            for k in entries {
                let place = places[usize::from(image.entries[k])];
                let slot = &mut next[place.slot as usize + class];
                pixels[*slot as usize] = pixel + place.column;
                if !x.binary {
                    values[*slot as usize] = image.values[k];
                }
                *slot += 1;
            }
        }
        (band.starts, band.pixels, band.values) = (count, pixels, values);
    }
}

/// Place of an input of a row.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Channel · classes + residue of the column.
    slot: u32,
    /// Column of the smallest tap's output in a panel.
    column: u32,
}

struct Job<'a> {
    plan: Plan,
    bands: &'a [Band],
    binary: bool,
    /// `[N, OH, OW, Co]`.
    gradient: &'a [f32],
    panel: usize,
    /// `[channel][tap][WIDTH]`.
    out: &'a mut [f32],
}

/// Gradient of the weight `[co, ci, ky, kx]` from active inputs and the gradient `[N, OH, OW, Co]`.
pub fn weight_gradient(isa: Isa, g: Geometry, x: &Events, gradient: &[f32]) -> Vec<f32> {
    let plan = Plan::new(g);
    let mut bands = plan.bands(x.images.len());
    let places = plan.places();
    bands.par_iter_mut().for_each(|band| plan.fill(band, x, &places));
    let panels = g.out.div_ceil(WIDTH);
    let parts = TASKS.div_ceil(panels).clamp(1, bands.len().max(1));
    let per_part = bands.len().div_ceil(parts).max(1);
    let parts = bands.len().div_ceil(per_part).max(1);
    let len = g.channels * g.taps() * WIDTH;
    let sum = |part: usize, panel: usize, out: &mut [f32]| {
        let bands = &bands[(part * per_part).min(bands.len())..((part + 1) * per_part).min(bands.len())];
        run(isa, &mut Job { plan, bands, binary: x.binary, gradient, panel, out });
    };
    let mut out = room(g.weights());
    let rows = out.par_chunks_mut((WIDTH * g.channels * g.taps()).max(1)).enumerate();
    if parts == 1 {
        // Brought to their place by the task that summed them, from its cache.
        rows.for_each_init(Vec::new, |sums, (panel, out)| {
            sums.clear();
            sums.resize(len, 0.0);
            sum(0, panel, sums);
            place(&g, sums, out, |o, v| _ = o.write(v));
        });
    } else {
        let mut sums = zeros(parts * panels * len);
        let tasks = sums.par_chunks_mut(len.max(1)).enumerate();
        tasks.for_each(|(task, out)| sum(task / panels, task % panels, out));
        rows.for_each(|(panel, out)| {
            let of = |part: usize| &sums[(part * panels + panel) * len..][..len];
            place(&g, of(0), out, |o, v| _ = o.write(v));
            for part in 1..parts {
                // SAFETY: the first part wrote all of it.
                place(&g, of(part), out, |o, v| unsafe { *o.assume_init_mut() += v });
            }
        });
    }
    // SAFETY: every panel's rows were written.
    unsafe { full(out) }
}

/// Brings the sums of a panel, `[channel][tap][WIDTH]`, to its rows of `[co, ci, ky, kx]`.
fn place(g: &Geometry, sums: &[f32], out: &mut [MaybeUninit<f32>], put: impl Fn(&mut MaybeUninit<f32>, f32)) {
    // Rows of a few lines at a time for every output channel, from a block that stays in the cache.
    for (block, rows) in sums.chunks(BLOCK * WIDTH).enumerate() {
        for (j, o) in out.chunks_exact_mut(g.channels * g.taps()).enumerate() {
            for (o, row) in o[block * BLOCK..].iter_mut().zip(rows.chunks_exact(WIDTH)) {
                put(o, row[j]);
            }
        }
    }
}

by_isa!(run = body(&mut Job<'_>));

#[inline(always)]
unsafe fn body<V: Lanes>(job: &mut Job<'_>) {
    // SAFETY: passed on from the caller.
    unsafe { if job.binary { bands::<V, true>(job) } else { bands::<V, false>(job) } }
}

#[inline(always)]
unsafe fn bands<V: Lanes, const BINARY: bool>(job: &mut Job<'_>) {
    let plan = job.plan;
    let (g, s) = (plan.g, plan.g.stride);
    let mut panel = vec![0.0f32; plan.images * plan.height() * plan.width * WIDTH];
    for band in job.bands {
        copy(job, band, &mut panel);
        for c in 0..g.channels {
            let out = &mut job.out[c * g.taps() * WIDTH..(c + 1) * g.taps() * WIDTH];
            for class in 0..plan.classes() {
                let at = c * plan.classes() + class;
                let (a, b) = (band.starts[at] as usize, band.starts[at + 1] as usize);
                if a == b {
                    continue;
                }
                let pixels = &band.pixels[a..b];
                let values = if BINARY { &[][..] } else { &band.values[a..b] };
                let (ry, rx) = (class / s, class % s);
                // SAFETY: an active pixel's outputs lie inside the panel with its margins (see `Plan`); the
                // taps of a class are below the kernel's; values are as many as pixels.
                unsafe {
                    if g.kernel == 3 && s == 1 {
                        nine::<V, BINARY>(out, &panel, plan.width, pixels, values);
                    } else {
                        for i in 0..plan.axis.taps(ry) {
                            for j in 0..plan.axis.taps(rx) {
                                let tap = (ry + i * s) * g.kernel + rx + j * s;
                                let out = &mut out[tap * WIDTH..(tap + 1) * WIDTH];
                                one::<V, BINARY>(out, &panel, i * plan.width + j, pixels, values);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Copies the gradients that a band meets, zeros around them.
#[inline(always)]
fn copy(job: &Job<'_>, band: &Band, panel: &mut [f32]) {
    let plan = &job.plan;
    let g = &plan.g;
    let (oh, ow) = (g.out_height(), g.out_width());
    let from = job.panel * WIDTH;
    let channels = WIDTH.min(g.out - from);
    let first = plan.first_output(band.rows.0);
    // The margin, less what padding makes negative outputs reach.
    let left = plan.axis.margin() as isize - (g.padding / g.stride) as isize;
    let row_len = plan.width * WIDTH;
    for (k, n) in (band.images.0..band.images.1).enumerate() {
        for (r, row) in
            panel[k * plan.height() * row_len..][..plan.height() * row_len].chunks_exact_mut(row_len).enumerate()
        {
            let oy = first + r as isize;
            if oy < 0 || oy >= oh as isize {
                row.fill(0.0);
                continue;
            }
            let from = &job.gradient[(n * oh + oy as usize) * ow * g.out + from..];
            for (column, into) in row.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
                let ox = column as isize - left;
                if ox < 0 || ox >= ow as isize {
                    *into = [0.0; WIDTH];
                } else if let Some(from) = from[ox as usize * g.out..].first_chunk().filter(|_| channels == WIDTH) {
                    *into = *from;
                } else {
                    into[..channels].copy_from_slice(&from[ox as usize * g.out..][..channels]);
                    into[channels..].fill(0.0);
                }
            }
        }
    }
}

/// The nine taps of a 3×3 kernel at stride 1.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain indices stay registers in every build")]
unsafe fn nine<V: Lanes, const BINARY: bool>(
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
unsafe fn one<V: Lanes, const BINARY: bool>(
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
