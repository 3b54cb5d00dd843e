//! A batch on the host: values `[T, B, C, H, W]` and labels.

use super::{SampleId, Source};
use crate::error::{Error, Result};
use crate::model::Sequence;
use burn::tensor::Device;
use tickless_events::augment::{EventAugment, FrameAugment, ImageAugment, stream};
use tickless_events::rng::Rng;
use tickless_events::{Framing, Recording, Sample};
use tickless_net::InputKind;

/// Values and labels of several samples.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[T, B, C, H, W]`, row major; T = 1 for static images.
    pub values: Vec<f32>,
    /// The dimensions T, B, C, H, W.
    pub shape: [usize; 5],
    /// One label per sample.
    pub labels: Vec<usize>,
}

impl Batch {
    /// Moves the values to a device and returns them with the labels.
    pub fn into_sequence(self, device: &Device) -> (Sequence, Vec<usize>) {
        (Sequence::from_values(self.values, self.shape, device), self.labels)
    }
}

impl Source {
    /// Makes a batch: a recording becomes `steps` frames of equal duration, an image one step.
    ///
    /// If `augment` = (seed, epoch) is given, each sample is augmented with its own random stream.
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
            // Each sample has its own stream, so a sample can be made again without the others.
            let number = ((id.split as u64) << 40) | id.index as u64;
            let mut rng = augment.map(|(s, epoch)| stream(s, epoch, number));
            match kind {
                InputKind::Events => {
                    let framing = Framing::slices(steps);
                    let recording = self.recording(id)?;
                    let change = EventAugment {
                        drop: self.augment.drop,
                        jitter_px: self.augment.jitter_px,
                        jitter_us: self.augment.jitter_us,
                        flip_polarity: self.augment.polarity,
                        ..EventAugment::default()
                    };
                    let changed = match augment {
                        // A separate stream, so that flip and roll do not depend on the number of
                        // events.
                        Some((s, epoch)) if change != EventAugment::default() => {
                            let mut rng = stream(s, epoch, number | 1 << 62);
                            Some(change.apply(Recording::clone(&recording), &mut rng)?)
                        }
                        _ => None,
                    };
                    framing.write(changed.as_ref().unwrap_or(&recording), &mut one)?;
                    if let Some(rng) = &mut rng {
                        let change = FrameAugment { flip: self.augment.flip, roll_px: self.augment.roll };
                        change.apply([steps, shape.channels, shape.height, shape.width], &mut one, rng)?;
                    }
                    for t in 0..steps {
                        values[(t * b + k) * n..][..n].copy_from_slice(&one[t * n..][..n]);
                    }
                }
                InputKind::Image => match self.picture(id, rng.as_mut())? {
                    Sample::Image(image) => {
                        let change = ImageAugment {
                            pad: self.augment.crop,
                            flip: self.augment.flip,
                            auto: self.augment.auto,
                            cutout: self.augment.cutout,
                        };
                        let image = rng.map_or_else(|| image.clone(), |mut rng| change.apply(&image, &mut rng));
                        self.normalise.write(&image, &mut values[k * n..][..n])?;
                    }
                    Sample::Events(_) => {
                        return Err(Error::NoImage { set: self.dataset.name().to_owned(), sample: id.index });
                    }
                },
            }
        }
        let labels = ids.iter().map(|&id| self.label(id)).collect();
        Ok(Batch { values, shape: [steps, b, shape.channels, shape.height, shape.width], labels })
    }

    /// The whole image; if the batch is augmented and the recipe asks for random crops, one crop.
    fn picture(&self, id: SampleId, rng: Option<&mut Rng>) -> Result<Sample> {
        Ok(match rng {
            Some(rng) if self.augment.resized_crop => self.dataset.cropped(id.split, id.index, rng)?,
            _ => self.dataset.sample(id.split, id.index)?,
        })
    }
}
