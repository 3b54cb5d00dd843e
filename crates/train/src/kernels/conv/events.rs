//! Active inputs: the non-zero values of a feature map, pixel by pixel.
//!
//! For each image of `[N, H, W, C]` and each pixel in raster order the channels that are not zero. An
//! entry is x·C + c in 16 bits, so that the entries of neighbouring pixels of one row, which lie side by
//! side, index one run of weight rows. Spikes of one step are all 1 and store no values; counts
//! (after a temporal sum) and real numbers store theirs.

use rayon::prelude::*;

/// Active inputs of one image.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// For each pixel where its entries begin; one more at the end.
    pub starts: Vec<u32>,
    /// x·C + c.
    pub entries: Vec<u16>,
    /// The values, unless all are 1.
    pub values: Vec<f32>,
}

/// Active inputs of a batch.
#[derive(Debug, Clone, Default)]
pub struct Events {
    /// One per image.
    pub images: Vec<Image>,
    /// Whether every active value is 1.
    pub binary: bool,
    /// Active values in all.
    pub active: usize,
}

impl Events {
    /// Whether entries of this width and number of channels fit 16 bits.
    pub fn fit(width: usize, channels: usize) -> bool {
        width * channels <= 1 << 16
    }

    /// Of a map `[N, H, W, C]` with `pixels` = H·W.
    pub fn of(x: &[f32], pixels: usize, width: usize, channels: usize) -> Self {
        let mut images: Vec<Image> =
            x.par_chunks((pixels * channels).max(1)).map(|image| encode(image, width, channels)).collect();
        let active = images.iter().map(|i| i.entries.len()).sum();
        let binary = images.par_iter().all(|i| i.values.iter().all(|v| *v == 1.0));
        images.par_iter_mut().for_each(|i| {
            if binary {
                i.values = Vec::new();
            }
            i.entries.shrink_to_fit();
        });
        Self { images, binary, active }
    }

    /// Fraction of active values.
    pub fn density(&self, values: usize) -> f64 {
        self.active as f64 / values.max(1) as f64
    }
}

fn encode(image: &[f32], width: usize, channels: usize) -> Image {
    let mut out = Image::default();
    out.starts.reserve_exact(image.len() / channels + 1);
    let most = image.len();
    // Every value is written and the end moves on only where it is active: no branch to mispredict.
    let mut entries = vec![0u16; most + 1];
    let mut values = vec![0.0f32; most + 1];
    let mut n = 0;
    for (i, pixel) in image.chunks_exact(channels).enumerate() {
        out.starts.push(n as u32);
        let base = i % width * channels;
        for (c, &v) in pixel.iter().enumerate() {
            entries[n] = (base + c) as u16;
            values[n] = v;
            n += usize::from(v != 0.0);
        }
    }
    out.starts.push(n as u32);
    out.entries = entries[..n].to_vec();
    out.values = values[..n].to_vec();
    out
}
