//! Cuts a batch into bands, and sorts a band's active inputs by channel and residue.

use super::super::events::{Events, groups};
use super::{BAND_BYTES, WIDTH};
use crate::operators::Geometry;

/// One axis (rows or columns) of a convolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub kernel: usize,
    pub stride: usize,
}

impl Axis {
    /// Number of taps that read inputs of this residue of (i + padding) mod s: residue, residue +
    /// s, …
    pub(super) fn taps(self, residue: usize) -> usize {
        (self.kernel.saturating_sub(residue)).div_ceil(self.stride)
    }

    /// Rows of zeros before the first output.
    pub(super) fn margin(self) -> usize {
        (self.kernel - 1) / self.stride
    }
}

/// The active inputs of some rows, sorted by channel and residue.
#[derive(Debug, Default)]
pub(super) struct Band {
    /// Images `first..last`; one image if the band has only some of its rows.
    pub images: (usize, usize),
    pub rows: (usize, usize),
    /// The index at which the pixels of each (channel, class) begin, and the end of the last.
    pub starts: Vec<u32>,
    /// For each active input, the pixel of its smallest tap's output in the panel of gradients.
    pub pixels: Vec<u32>,
    pub values: Vec<f32>,
}

/// The division of a batch into bands.
#[derive(Debug, Clone, Copy)]
pub(super) struct BandCut {
    pub g: Geometry,
    pub axis: Axis,
    /// Pixels per row of a panel.
    pub width: usize,
    /// Input rows and images per band.
    pub rows: usize,
    pub images: usize,
}

impl BandCut {
    pub(super) fn new(g: Geometry) -> Self {
        let axis = Axis { kernel: g.kernel, stride: g.stride };
        // Outputs from −margin to the last one that reads an input.
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

    /// Rows of a panel for a band of `rows` input rows.
    pub(super) fn height_of(g: &Geometry, axis: Axis, rows: usize) -> usize {
        (rows - 1 + g.stride - 1 + g.padding % g.stride) / g.stride + 1 + axis.margin() + g.padding / g.stride
    }

    /// Rows of a panel.
    pub(super) fn height(&self) -> usize {
        Self::height_of(&self.g, self.axis, self.rows)
    }

    /// The output row at the top of the panel, for a band that begins at input row `r`.
    pub(super) fn first_output(&self, r: usize) -> isize {
        ((r + self.g.padding) / self.g.stride) as isize - self.axis.margin() as isize
    }

    pub(super) fn classes(&self) -> usize {
        self.g.stride * self.g.stride
    }

    pub(super) fn bands(&self, images: usize) -> Vec<Band> {
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

    /// For each group, a table from an entry x·G + c to its place.
    pub(super) fn places(&self) -> Vec<Vec<RowPosition>> {
        let (g, s) = (&self.g, self.g.stride);
        let group = |(first, count): (usize, usize)| {
            let place = |e: usize| {
                let (x, c) = (e / count, first + e % count);
                RowPosition {
                    slot: (c * self.classes() + (x + g.padding) % s) as u32,
                    column: ((x + g.padding) / s + self.axis.margin() - g.padding / s) as u32,
                }
            };
            (0..g.width * count).map(place).collect()
        };
        groups(g.channels).map(group).collect()
    }

    /// Sorts the active inputs of a band by channel and residue.
    pub(super) fn fill(&self, band: &mut Band, x: &Events, places: &[Vec<RowPosition>]) {
        let (g, s) = (&self.g, self.g.stride);
        let (first, height) = (self.first_output(band.rows.0), self.height());
        // Each line yields, for a row and group of the band: the image, its entries, the first slot
        // of the row's residue, the first pixel of its outputs in the panel, and the table of
        // places.
        let (images, rows) = (band.images, band.rows);
        let lines = || {
            let each = (images.0..images.1).flat_map(move |n| (rows.0..rows.1).map(move |y| (n, y)));
            // If the stride exceeds the kernel, rows between the windows meet no tap.
            let each = each.filter(|(_, y)| self.axis.taps((y + g.padding) % s) > 0);
            let each = each.flat_map(move |(n, y)| places.iter().enumerate().map(move |(k, places)| (n, y, k, places)));
            each.map(move |(n, y, group, places)| {
                let starts = &x.images[n].starts[group * g.pixels()..];
                let entries = starts[y * g.width] as usize..starts[(y + 1) * g.width] as usize;
                let row = ((y + g.padding) / s) as isize - first;
                let pixel = ((n - images.0) * height + row as usize) * self.width;
                (n, entries, (y + g.padding) % s * s, pixel as u32, places)
            })
        };
        let mut count = vec![0u32; g.channels * self.classes() + 1];
        for (n, entries, class, _, places) in lines() {
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
        for (n, entries, class, pixel, places) in lines() {
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

/// The place of an input within its row.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowPosition {
    /// channel · classes + residue of the column.
    pub slot: u32,
    /// Column of the smallest tap's output in a panel.
    pub column: u32,
}
