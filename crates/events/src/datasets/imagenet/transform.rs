//! Turns a photograph of any size into the crop that a network reads.

use image::RgbImage;
use image::imageops::{self, FilterType};

use crate::rng::Rng;
use crate::{Image, Result, Sensor};

/// Scales the short side to crop·256/224, then returns the centre of size `crop`.
pub fn centre(image: &RgbImage, crop: Sensor) -> Result<Image> {
    let (width, height) = image.dimensions();
    let (cw, ch) = (u32::from(crop.width), u32::from(crop.height));
    let scaled = |side: u32| (f64::from(side) * 256.0 / 224.0).round();
    // The larger of the two scales, so that the crop fits in both directions; for a square crop the
    // short side determines it.
    let scale = (scaled(cw) / f64::from(width.max(1))).max(scaled(ch) / f64::from(height.max(1)));
    let side = |side: u32, least: u32| ((f64::from(side) * scale) as u32).max(least);
    let (w, h) = (side(width, cw), side(height, ch));
    let small = imageops::resize(image, w, h, FilterType::Triangle);
    let half = |free: u32| (f64::from(free) / 2.0).round_ties_even() as u32;
    let (x, y) = (half(w - cw), half(h - ch));
    planes(&imageops::crop_imm(&small, x, y, cw, ch).to_image())
}

/// Scales a random part of the image to the size `crop`.
pub fn random(image: &RgbImage, crop: Sensor, rng: &mut Rng) -> Result<Image> {
    let (x, y, w, h) = part(image.dimensions(), rng);
    let part = imageops::crop_imm(image, x, y, w, h).to_image();
    planes(&imageops::resize(&part, crop.width.into(), crop.height.into(), FilterType::Triangle))
}

/// Draws the part as (x, y, width, height); see `imagenet` for the distribution.
fn part((width, height): (u32, u32), rng: &mut Rng) -> (u32, u32, u32, u32) {
    let (most, least) = (4.0f64 / 3.0, 3.0f64 / 4.0);
    let (full_w, full_h) = (f64::from(width), f64::from(height));
    let mut between = |a: f64, b: f64| a + (b - a) * f64::from(rng.unit());
    for _ in 0..10 {
        let area = full_w * full_h * between(0.08, 1.0);
        let shape = between(least.ln(), most.ln()).exp();
        let (w, h) = ((area * shape).sqrt().round(), (area / shape).sqrt().round());
        let (right, down) = (between(0.0, 1.0), between(0.0, 1.0));
        if (1.0..=full_w).contains(&w) && (1.0..=full_h).contains(&h) {
            let free = |full: f64, part: f64, at: f64| (((full - part + 1.0) * at) as u32).min((full - part) as u32);
            return (free(full_w, w, right), free(full_h, h, down), w as u32, h as u32);
        }
    }
    let shape = full_w / full_h.max(1.0);
    let (w, h) = if shape < least {
        (full_w, (full_w / least).round())
    } else if shape > most {
        ((full_h * most).round(), full_h)
    } else {
        (full_w, full_h)
    };
    (((full_w - w) / 2.0) as u32, ((full_h - h) / 2.0) as u32, w as u32, h as u32)
}

/// Converts to planes, `[3, H, W]`.
pub fn planes(image: &RgbImage) -> Result<Image> {
    let (width, height) = image.dimensions();
    let channel = |c: usize| image.pixels().map(move |p| p.0[c]);
    let pixels = (0..3).flat_map(channel).collect();
    Image::new(3, height as usize, width as usize, pixels)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::Rng; // not the trait that proptest's prelude brings

    proptest! {
        #[test]
        fn a_part_lies_inside_and_has_the_area_and_shape_asked_for(width in 1u32..600, height in 1u32..600, seed: u64) {
            let (x, y, w, h) = part((width, height), &mut Rng::new(seed, 0));
            prop_assert!(w > 0 && h > 0 && x + w <= width && y + h <= height);
            if width > 100 && height > 100 && (0.75..1.33).contains(&(f64::from(width) / f64::from(height))) {
                let area = f64::from(w * h) / f64::from(width * height);
                prop_assert!((0.07..=1.0).contains(&area), "{area}");
                prop_assert!((0.70..=1.42).contains(&(f64::from(w) / f64::from(h))));
            }
        }

        #[test]
        fn every_image_gives_the_crop(width in 1u32..90, height in 1u32..90, cw in 1u16..70, ch in 1u16..70, seed: u64) {
            let image = RgbImage::from_pixel(width, height, image::Rgb([9, 100, 250]));
            let crop = Sensor { width: cw, height: ch };
            for out in [centre(&image, crop).unwrap(), random(&image, crop, &mut Rng::new(seed, 0)).unwrap()] {
                prop_assert_eq!(out.shape(), [3, ch.into(), cw.into()]);
                for (plane, value) in out.pixels().chunks(usize::from(ch) * usize::from(cw)).zip([9, 100, 250]) {
                    prop_assert!(plane.iter().all(|&p| p == value), "a plain image stays plain");
                }
            }
        }
    }

    #[test]
    fn the_centre_is_that_of_the_scaled_image() {
        // 1024×512 is scaled by ½ and cropped from x = 144, y = 16; a linear gradient over x keeps
        // its values.
        let image = RgbImage::from_fn(1024, 512, |x, _| image::Rgb([(x / 4) as u8; 3]));
        let out = centre(&image, Sensor { width: 224, height: 224 }).unwrap();
        assert_eq!((out.pixels()[0], out.pixels()[223]), (72, 183));
    }
}
