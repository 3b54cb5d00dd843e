//! Active inputs row by row: for each image of `[N, C, H, W]`, each row and each channel the columns that are not
//! zero and their values. Unlike [`crate::kernels::conv::events`] it reads maps as recordings lie, channels first,
//! and keeps a channel's inputs together, whose sums the weight gradient has in registers.

use crate::kernels::conv::Geometry;
use rayon::prelude::*;

/// Of one image.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// Where the inputs of row y, channel c begin, at y·C + c; one more at the end.
    starts: Vec<u32>,
    columns: Vec<u16>,
    values: Vec<f32>,
}

/// Of a batch.
#[derive(Debug, Clone, Default)]
pub struct Rows(Vec<Image>);

impl Image {
    /// Columns and values of a row of a channel.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> (&[u16], &[f32]) {
        let (a, b) = (self.starts[row] as usize, self.starts[row + 1] as usize);
        (&self.columns[a..b], &self.values[a..b])
    }
}

impl Rows {
    /// Of a map `[N, C, H, W]`.
    pub fn of(x: &[f32], g: &Geometry) -> Self {
        assert!(g.width <= 1 << 16, "a column is 16 bits");
        let room = || (vec![0u16; g.input_len() + 1], vec![0.0f32; g.input_len() + 1]);
        let images = x.par_chunks(g.input_len().max(1)).map_init(room, |(columns, values), x| {
            let mut starts = Vec::with_capacity(g.height * g.channels + 1);
            let mut n = 0;
            for y in 0..g.height {
                for c in 0..g.channels {
                    starts.push(n as u32);
                    let line = &x[(c * g.height + y) * g.width..][..g.width];
                    // Every value is written and the end moves on only where it is active: nothing to mispredict.
                    for (at, &v) in line.iter().enumerate() {
                        (columns[n], values[n]) = (at as u16, v);
                        n += usize::from(v != 0.0);
                    }
                }
            }
            starts.push(n as u32);
            Image { starts, columns: columns[..n].to_vec(), values: values[..n].to_vec() }
        });
        Self(images.collect())
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.0.len()
    }

    /// Fraction of active inputs.
    pub fn density(&self, g: &Geometry) -> f64 {
        let active: usize = self.0.iter().map(|i| i.values.len()).sum();
        active as f64 / (self.0.len() * g.input_len()).max(1) as f64
    }

    #[inline(always)]
    pub(super) fn image(&self, n: usize) -> &Image {
        &self.0[n]
    }
}
