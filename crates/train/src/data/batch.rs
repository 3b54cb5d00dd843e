//! A batch on the host: values `[T, B, C, H, W]` and labels.

use super::{SampleId, Source};
use crate::error::{Error, Result};
use crate::model::Sequence;
use burn::tensor::Device;
use std::sync::Arc;
use tickless_events::augment::{EventAugment, FrameAugment, ImageAugment, stream};
use tickless_events::rng::Rng;
use tickless_events::{Framing, Recording, Sample};
use tickless_net::{InputKind, Shape};

/// Values and labels of several samples.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Batch {
    /// `[T, B, C, H, W]`, row major; T = 1 for static images.
    pub values: Vec<f32>,
    /// The dimensions T, B, C, H, W.
    pub shape: [usize; 5],
    /// One label per sample.
    pub labels: Vec<usize>,
    /// A second copy of the recordings, `[m·T, B, C, H, W]`, if [`BatchRequest::finer`] = m is
    /// given.
    pub finer: Option<Vec<f32>>,
    /// The recordings that the frames count, if [`BatchRequest::recordings`] asks for them.
    pub recordings: Vec<Arc<Recording>>,
}

/// The content that a batch shall have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchRequest {
    /// Number of frames of a recording.
    pub steps: usize,
    /// Seed and epoch if the samples are to be augmented; each then has its own random stream.
    pub augment: Option<(u64, u64)>,
    /// m, the number of parts into which a second copy of the batch divides each frame; `None` for
    /// no second copy.
    pub finer: Option<usize>,
    /// Whether the batch holds the recordings too.
    pub recordings: bool,
}

impl BatchRequest {
    /// A request for frames only: `steps` for each recording.
    pub fn frames(steps: usize, augment: Option<(u64, u64)>) -> Self {
        Self { steps, augment, finer: None, recordings: false }
    }
}

impl Batch {
    /// Moves the values to a device and returns them with the labels.
    pub fn into_sequence(self, device: &Device) -> (Sequence, Vec<usize>) {
        (Sequence::from_values(self.values, self.shape, device), self.labels)
    }

    /// Moves the finer frames to a device, if the batch holds them.
    pub fn take_finer(&mut self, device: &Device) -> Option<Sequence> {
        let values = self.finer.take()?;
        let [t, b, c, h, w] = self.shape;
        let times = values.len() / self.values.len().max(1);
        Some(Sequence::from_values(values, [times * t, b, c, h, w], device))
    }
}

/// Frames of all samples of a batch, `[T, B, C, H, W]`.
struct BatchFrames {
    values: Vec<f32>,
    /// The frames of one sample with a channel for each polarity, `[T, 2, H, W]`.
    one: Vec<f32>,
    steps: usize,
    batch: usize,
}

impl BatchFrames {
    fn new(steps: usize, batch: usize, shape: Shape) -> Self {
        let both = 2 * shape.height * shape.width;
        Self { values: vec![0.0; steps * batch * shape.len()], one: vec![0.0; steps * both], steps, batch }
    }

    /// Cuts a recording into frames, augments them, and stores them at sample `k` of the batch.
    fn put(
        &mut self,
        k: usize,
        recording: &Recording,
        change: Option<(FrameAugment, &mut Rng)>,
        shape: Shape,
    ) -> Result<()> {
        let (steps, n) = (self.steps, shape.len());
        Framing::slices(steps).write(recording, &mut self.one)?;
        if let Some((change, rng)) = change {
            change.apply([steps, 2, shape.height, shape.width], &mut self.one, rng)?;
        }
        let pixels = shape.height * shape.width;
        for (t, both) in self.one.chunks_exact(2 * pixels).take(steps).enumerate() {
            let frame = &mut self.values[(t * self.batch + k) * n..][..n];
            if shape.channels == 2 {
                frame.copy_from_slice(both);
            } else {
                let (off, on) = both.split_at(pixels);
                frame.iter_mut().zip(off.iter().zip(on)).for_each(|(f, (off, on))| *f = off + on);
            }
        }
        Ok(())
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
        self.batch_of(ids, BatchRequest::frames(steps, augment))
    }

    /// Makes a batch with the content that `request` asks for. A batch of images has neither finer
    /// frames nor recordings, even if the request asks for them.
    ///
    /// # Errors
    /// If a sample cannot be decoded.
    pub fn batch_of(&self, ids: &[SampleId], request: BatchRequest) -> Result<Batch> {
        let (shape, kind) = self.input();
        let BatchRequest { augment, .. } = request;
        let steps = if kind == InputKind::Image { 1 } else { request.steps };
        let (b, n) = (ids.len(), shape.len());
        let mut frames = BatchFrames::new(steps, b, shape);
        let finer = request.finer.filter(|_| kind == InputKind::Events);
        let mut finer = finer.map(|m| BatchFrames::new(m * steps, b, shape));
        let mut recordings = Vec::new();
        for (k, &id) in ids.iter().enumerate() {
            // Each sample has its own stream, so a sample can be made again without the others.
            let number = ((id.split as u64) << 40) | id.index as u64;
            let mut rng = augment.map(|(s, epoch)| stream(s, epoch, number));
            match kind {
                InputKind::Events => {
                    let recording = self.changed(self.recording(id)?, steps, augment.map(|a| (a, number)))?;
                    let change = FrameAugment { flip: self.augment.flip, roll_px: self.augment.roll };
                    // The finer frames and the recording get the same flip and roll as the frames.
                    let again = rng.clone();
                    frames.put(k, &recording, rng.as_mut().map(|rng| (change, rng)), shape)?;
                    if let Some(finer) = &mut finer {
                        finer.put(k, &recording, again.clone().as_mut().map(|rng| (change, rng)), shape)?;
                    }
                    if request.recordings {
                        recordings.push(match again {
                            Some(mut rng) => Arc::new(change.apply_to_recording(&recording, &mut rng)?),
                            None => recording,
                        });
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
                        self.normalise.write(&image, &mut frames.values[k * n..][..n])?;
                    }
                    Sample::Events(_) => {
                        return Err(Error::NoImage { set: self.dataset.name().to_owned(), sample: id.index });
                    }
                },
            }
        }
        let labels = ids.iter().map(|&id| self.label(id)).collect();
        Ok(Batch {
            values: frames.values,
            shape: [steps, b, shape.channels, shape.height, shape.width],
            labels,
            finer: finer.map(|f| f.values),
            recordings,
        })
    }

    /// Makes a batch of samples that need not belong to the data set, in the size of its samples:
    /// frames as [`batch`](Self::batch) makes them, without augmentation. The labels are 0.
    ///
    /// # Errors
    /// If a sample is not of the data set's kind and size.
    pub fn batch_of_samples(&self, samples: &[Sample], steps: usize) -> Result<Batch> {
        let (shape, kind) = self.input();
        let steps = if kind == InputKind::Image { 1 } else { steps };
        let (b, n) = (samples.len(), shape.len());
        let mut frames = BatchFrames::new(steps, b, shape);
        for (k, sample) in samples.iter().enumerate() {
            match (sample, kind) {
                (Sample::Events(recording), InputKind::Events) => frames.put(k, recording, None, shape)?,
                (Sample::Image(image), InputKind::Image) => {
                    self.normalise.write(image, &mut frames.values[k * n..][..n])?;
                }
                (Sample::Events(_), InputKind::Image) => {
                    return Err(Error::NoImage { set: self.dataset.name().to_owned(), sample: k });
                }
                (Sample::Image(_), InputKind::Events) => {
                    return Err(Error::NoRecording { set: self.dataset.name().to_owned(), sample: k });
                }
            }
        }
        Ok(Batch {
            values: frames.values,
            shape: [steps, b, shape.channels, shape.height, shape.width],
            labels: vec![0; b],
            finer: None,
            recordings: Vec::new(),
        })
    }

    /// Augments the events of a recording that is cut into `steps` frames. `augment` is ((seed,
    /// epoch), number of the sample), or `None` if the batch is not augmented.
    fn changed(
        &self,
        recording: Arc<Recording>,
        steps: usize,
        augment: Option<((u64, u64), u64)>,
    ) -> Result<Arc<Recording>> {
        let step_us = recording.span_us() as f64 / steps.max(1) as f64;
        let change = EventAugment {
            drop: self.augment.drop,
            jitter_px: self.augment.jitter_px,
            jitter_us: self.augment.jitter_us,
            shift_us: (f64::from(self.augment.jitter_steps) * step_us) as f32,
            flip_polarity: self.augment.polarity,
            ..EventAugment::default()
        };
        match augment {
            // A separate stream, so that flip and roll do not depend on the number of events.
            Some(((seed, epoch), number)) if change != EventAugment::default() => {
                let mut rng = stream(seed, epoch, number | 1 << 62);
                Ok(Arc::new(change.apply(Recording::clone(&recording), &mut rng)?))
            }
            _ => Ok(recording),
        }
    }

    /// The whole image; if the batch is augmented and the recipe asks for random crops, one crop.
    fn picture(&self, id: SampleId, rng: Option<&mut Rng>) -> Result<Sample> {
        self.note(id);
        Ok(match rng {
            Some(rng) if self.augment.resized_crop => self.dataset.cropped(id.split, id.index, rng)?,
            _ => self.dataset.sample(id.split, id.index)?,
        })
    }
}
