//! A batch on the host: values `[T, B, C, H, W]` and labels.

use super::{SampleId, Source};
use crate::error::{Error, Result};
use crate::seed;
use crate::sequence::Sequence;
use burn::tensor::Device;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tickless_events::{Framing, Sample, Slicing};
use tickless_net::InputKind;

/// Values and labels of some samples.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[T, B, C, H, W]`, row major; T = 1 for static images.
    pub values: Vec<f32>,
    /// T, B, C, H, W.
    pub shape: [usize; 5],
    /// B labels.
    pub labels: Vec<usize>,
}

impl Batch {
    /// Puts it on a device, giving the host memory away.
    pub fn into_sequence(self, device: &Device) -> (Sequence, Vec<usize>) {
        (Sequence::from_values(self.values, self.shape, device), self.labels)
    }
}

impl Source {
    /// Makes a batch: recordings as `steps` frames of equal time, images as one step.
    ///
    /// With `augment` = (seed, epoch) the samples are changed at random, each by its own draw.
    ///
    /// # Errors
    /// If a sample cannot be decoded.
    pub fn batch(&self, ids: &[SampleId], steps: usize, augment: Option<(u64, u64)>) -> Result<Batch> {
        let (shape, kind) = self.input();
        let steps = if kind == InputKind::Image { 1 } else { steps };
        let (b, n) = (ids.len(), shape.len());
        let mut values = vec![0.0f32; steps * b * n];
        let mut one = vec![0.0f32; steps * n];
        for (k, &id) in ids.iter().enumerate() {
            let mut rng = augment.map(|(s, epoch)| {
                let part = id.split as u64;
                seed::rng(s, "augment", (epoch << 40) | (part << 36) | id.index as u64)
            });
            match kind {
                InputKind::Events => {
                    let framing = Framing { slicing: Slicing::Slices(steps), size: self.size };
                    framing.write(self.recording(id)?.as_ref(), &mut one)?;
                    let (dx, dy, flip) = rng.as_mut().map_or((0, 0, false), |r| self.motion(r));
                    for t in 0..steps {
                        let to = &mut values[(t * b + k) * n..][..n];
                        let from = &one[t * n..][..n];
                        if (dx, dy, flip) == (0, 0, false) {
                            to.copy_from_slice(from);
                        } else {
                            moved(from, to, shape.height, shape.width, dx, dy, flip);
                        }
                    }
                }
                InputKind::Image => match self.dataset.sample(id.split, id.index)? {
                    Sample::Image(image) => {
                        self.normalise.write(&image, self.augment, rng.as_mut(), &mut values[k * n..][..n]);
                    }
                    Sample::Events(_) => return Err(Error::Setting("a data set of images gave a recording".into())),
                },
            }
        }
        let labels = ids.iter().map(|&id| self.label(id)).collect();
        Ok(Batch { values, shape: [steps, b, shape.channels, shape.height, shape.width], labels })
    }

    fn motion(&self, rng: &mut ChaCha8Rng) -> (isize, isize, bool) {
        let roll = i64::from(self.augment.roll);
        let d = (rng.random_range(-roll..=roll) as isize, rng.random_range(-roll..=roll) as isize);
        (d.0, d.1, self.augment.flip && rng.random())
    }
}

/// One step rolled by (dx, dy) and perhaps mirrored left-right.
fn moved(from: &[f32], to: &mut [f32], h: usize, w: usize, dx: isize, dy: isize, flip: bool) {
    let wrap = |v: usize, d: isize, n: usize| (v as isize + d).rem_euclid(n as isize) as usize;
    for (from, to) in from.chunks(h * w).zip(to.chunks_mut(h * w)) {
        for y in 0..h {
            for x in 0..w {
                let sx = wrap(if flip { w - 1 - x } else { x }, dx, w);
                to[y * w + x] = from[wrap(y, dy, h) * w + sx];
            }
        }
    }
}
