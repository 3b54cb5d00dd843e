//! The operations of AutoAugment on u8 images, bit-identical to the Python library Pillow, because
//! the published policies were found with Pillow and users compare against it.
//!
//! ```text
//! blend(a, b, f) = a + f·(b − a), clamped to 0..255, then truncated
//! Brightness(f)  = blend(0, v, f)            Color(f) = blend(grey, v, f)
//! Contrast(f)    = blend(mean grey, v, f)    Sharpness(f) = blend(smooth, v, f)
//! grey           = ⌊(19595 R + 38470 G + 7471 B + 32768)/65536⌋
//! smooth         = (sum of the 3×3 pixels + 4·centre)/13, rounded; border pixels are unchanged
//! AutoContrast   = ⌊(v − low)·255/(high − low)⌋
//! Equalize       = ⌊(⌊step/2⌋ + number of darker pixels)/step⌋, at most 255,
//!                  step = ⌊(pixels − pixels of the brightest value)/255⌋
//! ```
//!
//! v is a pixel; low and high are the darkest and brightest value of its channel. A channel of one
//! value stays as it is under AutoContrast, and a channel with step = 0 under Equalize. Source: the
//! modules `ImageEnhance`, `ImageOps` and `Image` of Pillow.
//!
//! Operations that move pixels (shear, translate, rotate) sample the nearest source pixel, computed
//! in 16.16 fixed point; source positions outside the image are black. `tests/pillow.rs` compares
//! every operation with Pillow 13.0.

use crate::Image;

/// An operation with its magnitude.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// Moves row y to the left by this factor times y.
    ShearX(f64),
    /// Moves column x up by this factor times x.
    ShearY(f64),
    /// Moves the image to the right by this many pixels.
    TranslateX(i64),
    /// Moves the image down by this many pixels.
    TranslateY(i64),
    /// Rotates counterclockwise about the centre by this many degrees.
    Rotate(f64),
    /// Multiplies every pixel by this factor.
    Brightness(f32),
    /// Scales the difference from the grey image by this factor; changes nothing unless the image
    /// has three channels.
    Color(f32),
    /// Scales the difference from the mean grey by this factor.
    Contrast(f32),
    /// Scales the difference from the smoothed image by this factor.
    Sharpness(f32),
    /// Keeps this many high bits of each pixel; 8 or more change nothing.
    Posterize(u32),
    /// Inverts every pixel that is at least this bright.
    Solarize(f32),
    /// Stretches the range of each channel to 0..255.
    AutoContrast,
    /// Equalises the histogram of each channel.
    Equalize,
    /// Inverts every pixel: 255 − v.
    Invert,
}

impl Operation {
    /// Returns the changed image, of the same shape.
    pub fn apply(self, image: &Image) -> Image {
        let [_, height, width] = image.shape();
        let (h, w) = (height as f64, width as f64);
        match self {
            Operation::ShearX(m) => affine(image, [1.0, m, 0.0, 0.0, 1.0, 0.0]),
            Operation::ShearY(m) => affine(image, [1.0, 0.0, 0.0, m, 1.0, 0.0]),
            Operation::TranslateX(by) => translate(image, by, 0),
            Operation::TranslateY(by) => translate(image, 0, by),
            Operation::Rotate(degrees) => {
                let (sin, cos) = (-degrees.to_radians()).sin_cos();
                let (sin, cos) = (round15(sin), round15(cos));
                let (x, y) = (w / 2.0, h / 2.0);
                affine(image, [cos, sin, cos * -x + sin * -y + x, -sin, cos, -sin * -x + cos * -y + y])
            }
            Operation::Brightness(f) => each(image, |v| blend(0, v, f)),
            Operation::Color(f) => match grey(image) {
                Some(grey) if image.shape()[0] == 3 => against(image, |_, i| grey[i], f),
                _ => image.clone(),
            },
            Operation::Contrast(f) => {
                let grey = grey(image).unwrap_or_else(|| image.pixels().to_vec());
                let sum: u64 = grey.iter().map(|&v| u64::from(v)).sum();
                let mean = (sum as f64 / grey.len().max(1) as f64 + 0.5) as u8;
                each(image, |v| blend(mean, v, f))
            }
            Operation::Sharpness(f) => {
                let smooth = smooth(image);
                against(image, |channel, i| smooth.pixels()[channel * height * width + i], f)
            }
            Operation::Posterize(bits) => {
                let mask = 0xFFu16 << 8u32.saturating_sub(bits);
                each(image, |v| v & mask as u8)
            }
            Operation::Solarize(threshold) => each(image, |v| if f32::from(v) < threshold { v } else { 255 - v }),
            Operation::AutoContrast => by_table(image, stretch),
            Operation::Equalize => by_table(image, equalise),
            Operation::Invert => each(image, |v| 255 - v),
        }
    }
}

/// Rounds to 15 decimals, as Pillow rounds the entries of its rotation matrix.
fn round15(v: f64) -> f64 {
    (v * 1e15).round() / 1e15
}

/// Applies `change` to every value of every channel.
fn each(image: &Image, change: impl Fn(u8) -> u8) -> Image {
    let mut out = image.clone();
    out.pixels_mut().iter_mut().for_each(|v| *v = change(*v));
    out
}

/// Blends every pixel with `other(channel, pixel index)`.
fn against(image: &Image, other: impl Fn(usize, usize) -> u8, f: f32) -> Image {
    let [_, height, width] = image.shape();
    let mut out = image.clone();
    for (channel, plane) in out.pixels_mut().chunks_exact_mut((height * width).max(1)).enumerate() {
        plane.iter_mut().enumerate().for_each(|(i, v)| *v = blend(other(channel, i), *v, f));
    }
    out
}

/// a + f·(b − a).
fn blend(a: u8, b: u8, f: f32) -> u8 {
    // The cast saturates at 0 and 255 and truncates the fraction.
    (f32::from(a) + f * (f32::from(b) - f32::from(a))) as u8
}

/// The grey version of an image of three channels; `None` for any other number of channels.
fn grey(image: &Image) -> Option<Vec<u8>> {
    let [channels, height, width] = image.shape();
    let plane = height * width;
    let v = image.pixels();
    let mix = |i: usize| {
        let [r, g, b] = [v[i], v[plane + i], v[2 * plane + i]].map(u32::from);
        ((19_595 * r + 38_470 * g + 7_471 * b + 0x8000) >> 16) as u8
    };
    (channels == 3).then(|| (0..plane).map(mix).collect())
}

/// Applies Pillow's 3×3 smoothing filter to each channel; border pixels stay as they are.
fn smooth(image: &Image) -> Image {
    let [_, height, width] = image.shape();
    let mut out = image.clone();
    let plane = (height * width).max(1);
    for (to, from) in out.pixels_mut().chunks_exact_mut(plane).zip(image.pixels().chunks_exact(plane)) {
        for y in 1..height.saturating_sub(1) {
            for x in 1..width.saturating_sub(1) {
                let row =
                    |y: usize| from[y * width + x - 1..=y * width + x + 1].iter().map(|&v| u32::from(v)).sum::<u32>();
                let sum = row(y - 1) + row(y) + row(y + 1) + 4 * u32::from(from[y * width + x]);
                to[y * width + x] = ((2 * sum + 13) / 26) as u8;
            }
        }
    }
    out
}

/// Maps each channel through the lookup table that `table` computes from the channel's histogram; a
/// channel for which it returns `None` stays as it is.
fn by_table(image: &Image, table: fn(&[u32; 256]) -> Option<[u8; 256]>) -> Image {
    let [_, height, width] = image.shape();
    let mut out = image.clone();
    for plane in out.pixels_mut().chunks_exact_mut((height * width).max(1)) {
        let mut histogram = [0; 256];
        plane.iter().for_each(|&v| histogram[usize::from(v)] += 1);
        if let Some(table) = table(&histogram) {
            plane.iter_mut().for_each(|v| *v = table[usize::from(*v)]);
        }
    }
    out
}

/// The lookup table of AutoContrast; `None` if the channel has fewer than two values.
fn stretch(histogram: &[u32; 256]) -> Option<[u8; 256]> {
    let low = histogram.iter().position(|&n| n > 0)?;
    let high = histogram.iter().rposition(|&n| n > 0)?;
    let scale = 255.0 / high.checked_sub(low).filter(|&d| d > 0)? as f64;
    let offset = -(low as f64) * scale;
    Some(std::array::from_fn(|v| (v as f64 * scale + offset) as u8))
}

/// The lookup table of Equalize; `None` if step = 0.
fn equalise(histogram: &[u32; 256]) -> Option<[u8; 256]> {
    let last = histogram.iter().rposition(|&n| n > 0)?;
    let pixels: u32 = histogram.iter().sum();
    let step = (pixels - histogram[last]) / 255;
    let mut n = step / 2;
    let mut equalised = |v: usize| {
        let level = n / step;
        n += histogram[v];
        level.min(255) as u8
    };
    (step > 0).then(|| std::array::from_fn(&mut equalised))
}

/// Moves the image by whole pixels.
fn translate(image: &Image, right: i64, down: i64) -> Image {
    pick(image, |x, y| (x as i64 - right, y as i64 - down))
}

/// An affine transform: output pixel (x, y) samples the source at
/// (a0·x' + a1·y' + a2, a3·x' + a4·y' + a5), with x' = x + ½ and y' = y + ½.
fn affine(image: &Image, a: [f64; 6]) -> Image {
    let fix = |v: f64| (v * 65_536.0 + 0.5).floor() as i64;
    let [a0, a1, a3, a4] = [a[0], a[1], a[3], a[4]].map(fix);
    let (x0, y0) = (fix(a[2] + a[0] * 0.5 + a[1] * 0.5), fix(a[5] + a[3] * 0.5 + a[4] * 0.5));
    pick(image, |x, y| {
        let (x, y) = (x as i64, y as i64);
        ((x0 + a0 * x + a1 * y) >> 16, (y0 + a3 * x + a4 * y) >> 16)
    })
}

/// Builds an image whose pixel (x, y) is the pixel of `image` at `place(x, y)`, or black if that
/// lies outside.
fn pick(image: &Image, place: impl Fn(usize, usize) -> (i64, i64)) -> Image {
    let [_, height, width] = image.shape();
    let mut out = image.clone();
    let plane = (height * width).max(1);
    for y in 0..height {
        for x in 0..width {
            let (sx, sy) = place(x, y);
            let inside = (0..width as i64).contains(&sx) && (0..height as i64).contains(&sy);
            let from = inside.then(|| sy as usize * width + sx as usize);
            let planes = out.pixels_mut().chunks_exact_mut(plane).zip(image.pixels().chunks_exact(plane));
            planes.for_each(|(to, seen)| to[y * width + x] = from.map_or(0, |i| seen[i]));
        }
    }
    out
}
