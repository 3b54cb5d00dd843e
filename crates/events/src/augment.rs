//! Augmentation: small random changes of a training sample that keep its label.
//!
//! For images: crop with padding, flip, the AutoAugment policy and cutout, and normalisation. For
//! frames of events: flip and roll. For recordings: flips, roll, drop and jitter. Each change draws
//! from the sample's own [`Rng`] ([`stream`]), so that any sample can be reproduced regardless of
//! how many threads load the data.

mod auto;
mod events;
mod pil;

use crate::rng::Rng;
use crate::{Columns, Error, Event, Image, Recording, Result};

pub use events::EventAugment;
pub use pil::Operation;

/// The random generator for sample `index` in `epoch`. Equal arguments give equal numbers.
pub fn stream(seed: u64, epoch: u64, index: u64) -> Rng {
    Rng::new(Rng::new(seed, epoch).next_u64(), index)
}

/// Changes of images, in the order of the fields. The default changes nothing;
/// [`ImageAugment::CIFAR`] and [`ImageAugment::PAPER`] are common choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct ImageAugment {
    /// Pads each side with this many black pixels, then crops to the original size at a random
    /// offset.
    pub pad: usize,
    /// Mirrors the image left to right with probability one half.
    pub flip: bool,
    /// Applies the AutoAugment policy for CIFAR-10, after crop and flip.
    pub auto: bool,
    /// Sets a square of this side around a random centre to black, after all other changes. The
    /// part outside the image is ignored; 0 disables the cutout.
    pub cutout: usize,
}

impl ImageAugment {
    /// Crop with padding 4, and flip.
    pub const CIFAR: ImageAugment = ImageAugment { pad: 4, flip: true, auto: false, cutout: 0 };

    /// The paper's augmentation for CIFAR: crop with padding 4, flip, AutoAugment, cutout 16.
    pub const PAPER: ImageAugment = ImageAugment { pad: 4, flip: true, auto: true, cutout: 16 };

    /// Returns the changed image, of the same shape.
    pub fn apply(&self, image: &Image, rng: &mut Rng) -> Image {
        let [_, height, width] = image.shape();
        let span = 2 * self.pad as u64 + 1;
        let (down, right) = (rng.below(span) as usize, rng.below(span) as usize);
        let flip = rng.coin() && self.flip;
        let (cy, cx) = (rng.below(height as u64) as usize, rng.below(width as u64) as usize);
        let mut out = image.clone();
        let plane = (height * width).max(1);
        for (to, from) in out.pixels_mut().chunks_exact_mut(plane).zip(image.pixels().chunks_exact(plane)) {
            for y in 0..height {
                for x in 0..width {
                    let seen = if flip { width - 1 - x } else { x };
                    let (sy, sx) = ((y + down).wrapping_sub(self.pad), (seen + right).wrapping_sub(self.pad));
                    to[y * width + x] = if sy < height && sx < width { from[sy * width + sx] } else { 0 };
                }
            }
        }
        if self.auto {
            out = auto::apply(out, rng);
        }
        // The cutout's pixels along one axis, clipped to the image.
        let range = |centre: usize, size: usize| {
            let half = self.cutout / 2;
            centre.saturating_sub(half)..(centre + self.cutout - half).min(size)
        };
        let columns = range(cx, width);
        for to in out.pixels_mut().chunks_exact_mut(plane).filter(|_| self.cutout > 0) {
            range(cy, height).for_each(|y| to[y * width..][columns.clone()].fill(0));
        }
        out
    }
}

/// Per-channel normalisation: (pixel/255 − mean)/std.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Normalise {
    /// Mean of each channel, in 0..1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, in 0..1.
    pub std: Vec<f32>,
}

impl Normalise {
    /// The statistics of CIFAR-10.
    pub fn cifar10() -> Normalise {
        Normalise { mean: vec![0.4914, 0.4822, 0.4465], std: vec![0.2023, 0.1994, 0.2010] }
    }

    /// The statistics of CIFAR-100.
    pub fn cifar100() -> Normalise {
        Normalise { mean: vec![0.5071, 0.4867, 0.4408], std: vec![0.2675, 0.2565, 0.2761] }
    }

    /// The statistics of ImageNet.
    pub fn imagenet() -> Normalise {
        Normalise { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }
    }

    /// Scales to 0..1 only: mean 0 and standard deviation 1.
    pub fn unit(channels: usize) -> Normalise {
        Normalise { mean: vec![0.0; channels], std: vec![1.0; channels] }
    }

    /// Writes the normalised pixels to `out`, `[C, H, W]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `out` has another length than the image, or if `mean` or `std` has
    /// another length than the image has channels.
    pub fn write(&self, image: &Image, out: &mut [f32]) -> Result<()> {
        let [channels, height, width] = image.shape();
        if out.len() != image.pixels().len() {
            let shape = vec![channels, height, width];
            return Err(Error::Shape { what: "normalised image", shape, got: out.len() });
        }
        for statistics in [&self.mean, &self.std] {
            if statistics.len() != channels {
                let (shape, got) = (vec![channels], statistics.len());
                return Err(Error::Shape { what: "mean and std of the normalisation", shape, got });
            }
        }
        let plane = (height * width).max(1);
        for (c, (to, from)) in out.chunks_exact_mut(plane).zip(image.pixels().chunks_exact(plane)).enumerate() {
            let (scale, shift) = (1.0 / (255.0 * self.std[c]), self.mean[c] / self.std[c]);
            to.iter_mut().zip(from).for_each(|(t, &f)| *t = f32::from(f) * scale - shift);
        }
        Ok(())
    }
}

/// Changes of frames of events. Every frame of a sample gets the same change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct FrameAugment {
    /// Mirrors the sample left to right with probability one half.
    pub flip: bool,
    /// Rolls the frames by up to this many pixels in x and in y, in either direction: a pixel that
    /// leaves at one side enters at the other. The paper uses 20 at 128×128 and 5 at 48×48.
    pub roll_px: usize,
}

impl FrameAugment {
    /// Changes frames `[T, 2, H, W]` (or any `[…, H, W]`) in place. The counts are only moved, so
    /// no event is lost.
    ///
    /// # Errors
    /// [`Error::Shape`] if `data` has another length than `shape` requires.
    pub fn apply<C: Copy>(&self, shape: [usize; 4], data: &mut [C], rng: &mut Rng) -> Result<()> {
        if shape.iter().product::<usize>() != data.len() {
            return Err(Error::Shape { what: "frames", shape: shape.to_vec(), got: data.len() });
        }
        let [_, _, height, width] = shape;
        let (flip, down, right) = self.draw(height, width, rng);
        if data.is_empty() {
            return Ok(());
        }
        for plane in data.chunks_exact_mut(height * width) {
            plane.rotate_right(down * width);
            for row in plane.chunks_exact_mut(width) {
                row.rotate_right(right);
                if flip {
                    row.reverse();
                }
            }
        }
        Ok(())
    }

    /// Changes the events of a recording. If the generator is in the same state, the frames of the
    /// result equal those that [`apply`](Self::apply) makes of the recording's frames.
    ///
    /// # Errors
    /// Does not fail in practice: the only possible error is an event outside the sensor, and every
    /// event stays on the sensor.
    pub fn apply_to_recording(&self, recording: &Recording, rng: &mut Rng) -> Result<Recording> {
        let sensor = recording.sensor();
        let (height, width) = (usize::from(sensor.height), usize::from(sensor.width));
        let (flip, down, right) = self.draw(height, width, rng);
        let mut events = Columns::with_capacity(recording.len());
        for e in recording.iter() {
            let (y, x) = ((usize::from(e.y) + down) % height, (usize::from(e.x) + right) % width);
            let x = if flip { width - 1 - x } else { x };
            events.push(Event { x: x as u16, y: y as u16, ..e });
        }
        Recording::from_columns(sensor, events).map(|(recording, _)| recording)
    }

    /// Draws the change of a sample of `height`×`width` pixels: whether it is mirrored, and the
    /// numbers of pixels by which it is rolled down (below `height`) and to the right (below
    /// `width`).
    fn draw(&self, height: usize, width: usize, rng: &mut Rng) -> (bool, usize, usize) {
        let flip = rng.coin() && self.flip;
        let span = 2 * self.roll_px as u64 + 1;
        let (down, right) = (rng.below(span), rng.below(span));
        // A roll by −roll_px..=roll_px, expressed as a forward rotation by less than `size`.
        let forward = |by: u64, size: usize| (by as i64 - self.roll_px as i64).rem_euclid(size.max(1) as i64) as usize;
        (flip, forward(down, height), forward(right, width))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::Rng; // not the trait that proptest's prelude brings
    use crate::testing::events;
    use crate::{Framing, Sensor};

    const SENSOR: Sensor = Sensor { width: 9, height: 5 };

    fn image() -> Image {
        Image::new(2, 3, 4, (1..=24).collect()).unwrap()
    }

    #[test]
    fn nothing_asked_is_nothing_changed() {
        let same = ImageAugment::default().apply(&image(), &mut Rng::new(0, 0));
        assert_eq!(same, image());
    }

    #[test]
    fn a_flip_mirrors_all_channels_or_none() {
        let flip = ImageAugment { flip: true, ..ImageAugment::default() };
        let mut seen = [false; 2];
        for i in 0..20 {
            let out = flip.apply(&image(), &mut Rng::new(0, i));
            let mirrored = out.pixels()[..4] == [4, 3, 2, 1];
            assert!(mirrored || out == image());
            assert!(!mirrored || out.pixels()[20..] == [24, 23, 22, 21]);
            seen[usize::from(mirrored)] = true;
        }
        assert_eq!(seen, [true; 2]);
    }

    #[test]
    fn a_cutout_is_a_black_square_of_its_side() {
        let white = Image::new(1, 40, 40, vec![255; 1600]).unwrap();
        let cut = ImageAugment { cutout: 16, ..ImageAugment::default() };
        let most = (0..50).map(|i| cut.apply(&white, &mut Rng::new(1, i)));
        let most = most.map(|o| o.pixels().iter().filter(|&&p| p == 0).count()).max();
        assert_eq!(most, Some(256));
    }

    #[test]
    fn normalising_follows_the_formula_and_checks_shapes() {
        let mut out = [0.0; 24];
        let by = Normalise { mean: vec![0.5, 0.25], std: vec![0.5, 2.0] };
        by.write(&image(), &mut out).unwrap();
        assert!((out[0] - (1.0 / 255.0 - 0.5) / 0.5).abs() < 1e-6);
        assert!((out[23] - (24.0 / 255.0 - 0.25) / 2.0).abs() < 1e-6);
        assert!(by.write(&image(), &mut [0.0; 3]).is_err());
        assert!(Normalise::cifar10().write(&image(), &mut out).is_err());
        assert!(FrameAugment::default().apply([1, 2, 3, 4], &mut [0u8; 3], &mut Rng::new(0, 0)).is_err());
    }

    #[test]
    fn a_crop_shifts_by_at_most_the_padding() {
        let mut pixels = vec![0; 81];
        pixels[40] = 1;
        let dot = Image::new(1, 9, 9, pixels).unwrap();
        let crop = ImageAugment { pad: 2, ..ImageAugment::default() };
        let places: std::collections::BTreeSet<_> = (0..400)
            .map(|i| crop.apply(&dot, &mut Rng::new(5, i)).pixels().iter().position(|&p| p == 1).unwrap())
            .collect();
        assert_eq!(places.len(), 25, "every shift occurs");
        assert!(places.iter().all(|p| (2..=6).contains(&(p / 9)) && (2..=6).contains(&(p % 9))));
    }

    #[test]
    fn any_sample_can_be_made_again_whoever_makes_it() {
        let pixels = (0..3 * 32 * 32).map(|i| (i * 31 % 253) as u8).collect();
        let image = Image::new(3, 32, 32, pixels).unwrap();
        let make = |epoch, index| ImageAugment::PAPER.apply(&image, &mut stream(7, epoch, index));
        let in_order: Vec<Image> = (0..60).map(|i| make(3, i)).collect();
        std::thread::scope(|scope| {
            for worker in 0..3 {
                let (in_order, make) = (&in_order, &make);
                scope.spawn(move || {
                    (worker..60).rev().step_by(3).for_each(|i| assert_eq!(make(3, i as u64), in_order[i]))
                });
            }
        });
        assert_ne!(make(4, 0), in_order[0], "another epoch, another change");
        assert!(in_order.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn auto_and_cutout_follow_crop_and_flip() {
        let white = Image::new(3, 32, 32, vec![255; 3072]).unwrap();
        for i in 0..50 {
            let plain =
                ImageAugment { cutout: 0, auto: false, ..ImageAugment::PAPER }.apply(&white, &mut stream(1, 0, i));
            let mut rng = stream(1, 0, i);
            let _place_flip_and_centre = [0; 5].map(|_| rng.next_u64());
            let changed = auto::apply(plain, &mut rng);
            let whole = ImageAugment::PAPER.apply(&white, &mut stream(1, 0, i));
            let differing: Vec<usize> = (0..3072).filter(|&p| whole.pixels()[p] != changed.pixels()[p]).collect();
            assert!(differing.len() <= 3 * 256 && differing.iter().all(|&p| whole.pixels()[p] == 0));
        }
    }

    proptest! {
        #[test]
        fn the_frames_of_a_changed_recording_are_the_changed_frames(
            events in events(SENSOR, 60, 90), seed: u64, roll_px in 0usize..9, flip: bool, steps in 1usize..4,
        ) {
            let (recording, _) = Recording::from_events(SENSOR, &events).unwrap();
            let augment = FrameAugment { flip, roll_px };
            let mut changed = Framing::slices(steps).frames::<u16>(&recording).unwrap();
            augment.apply(changed.shape, &mut changed.data, &mut Rng::new(seed, 1)).unwrap();
            let recording = augment.apply_to_recording(&recording, &mut Rng::new(seed, 1)).unwrap();
            prop_assert_eq!(changed, Framing::slices(steps).frames::<u16>(&recording).unwrap());
        }

        #[test]
        fn frames_keep_every_event(seed: u64, roll_px in 0usize..9, flip: bool) {
            let frames: Vec<u16> = (0..2 * 2 * 3 * 5).collect();
            let mut out = frames.clone();
            let augment = FrameAugment { flip, roll_px };
            augment.apply([2, 2, 3, 5], &mut out, &mut Rng::new(seed, 0)).unwrap();
            for (before, after) in frames.chunks(15).zip(out.chunks(15)) {
                let mut sorted = after.to_vec();
                sorted.sort_unstable();
                prop_assert_eq!(before, &sorted[..]);
            }
            // All planes are rolled by the same shift.
            prop_assert!(out.iter().zip(&out[15..]).all(|(a, b)| a + 15 == *b));
        }
    }
}
