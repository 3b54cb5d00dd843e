//! Images as network input: pixels to numbers, per-channel normalisation, crop and flip.
//!
//! x = (pixel/255 − mean)/deviation with the means and deviations of the specification.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tickless_events::Image;
use tickless_net::recipe::Augment;

/// Mean and standard deviation per channel (one entry: the same for all).
#[derive(Debug, Clone, Copy)]
pub(super) struct Normalise {
    mean: &'static [f32],
    deviation: &'static [f32],
}

impl Normalise {
    /// The published constants of a data set; none for others.
    pub(super) fn of(dataset: &str) -> Self {
        match dataset {
            "cifar10" => Self { mean: &[0.4914, 0.4822, 0.4465], deviation: &[0.2023, 0.1994, 0.2010] },
            "cifar100" => Self { mean: &[0.5071, 0.4867, 0.4408], deviation: &[0.2675, 0.2565, 0.2761] },
            _ => Self { mean: &[0.0], deviation: &[1.0] },
        }
    }

    /// Writes `[C, H, W]`; `rng` is there in training only.
    pub(super) fn write(&self, image: &Image, augment: Augment, rng: Option<&mut ChaCha8Rng>, out: &mut [f32]) {
        let [c, h, w] = image.shape();
        let (mut dx, mut dy, mut flip) = (0isize, 0isize, false);
        if let Some(rng) = rng {
            let pad = augment.crop as i64;
            (dx, dy) = (rng.random_range(-pad..=pad) as isize, rng.random_range(-pad..=pad) as isize);
            flip = augment.flip && rng.random();
        }
        let pixels = image.pixels();
        for k in 0..c {
            let (mean, deviation) = (self.mean[k % self.mean.len()], self.deviation[k % self.deviation.len()]);
            // Padding is black before normalisation, as in the usual pipelines.
            let black = -mean / deviation;
            for y in 0..h {
                for x in 0..w {
                    let sx = if flip { w - 1 - x } else { x } as isize + dx;
                    let sy = y as isize + dy;
                    let inside = (0..w as isize).contains(&sx) && (0..h as isize).contains(&sy);
                    out[(k * h + y) * w + x] = if inside {
                        (f32::from(pixels[(k * h + sy as usize) * w + sx as usize]) / 255.0 - mean) / deviation
                    } else {
                        black
                    };
                }
            }
        }
    }
}
