//! The scene that the simulated camera records: light intensities on the sensor's plane.

use crate::{Error, Result, Sensor};

/// Light intensities in 0..1, one for each pixel of a sensor, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    sensor: Sensor,
    intensity: Vec<f32>,
}

impl Scene {
    /// Scales a grey image (`grey`, row by row, 0..1) of `image` pixels bilinearly to `size` and
    /// centres it on a dark plane of the sensor's size. If the sizes are equal, the image is copied
    /// unscaled.
    ///
    /// # Errors
    /// [`Error::Shape`] if `grey` has another length than `image` has pixels, or no pixels;
    /// [`Error::Setting`] if `size` is larger than the sensor.
    pub fn centred(sensor: Sensor, grey: &[f32], image: Sensor, size: Sensor) -> Result<Scene> {
        if grey.len() != image.pixels() || image.pixels() == 0 {
            let shape = vec![usize::from(image.height), usize::from(image.width)];
            return Err(Error::Shape { what: "image for the camera", shape, got: grey.len() });
        }
        if size.width > sensor.width || size.height > sensor.height {
            let what = format!("an image of {size} pixels on a {sensor} sensor");
            return Err(Error::setting(what, "scale it to the sensor's size or less"));
        }
        let (left, top) = ((sensor.width - size.width) / 2, (sensor.height - size.height) / 2);
        let mut intensity = vec![0.0; sensor.pixels()];
        let columns: Vec<_> = (0..size.width).map(|x| source(x, size.width, image.width)).collect();
        for y in 0..size.height {
            let (y0, y1, fy) = source(y, size.height, image.height);
            let (above, below) = (row(grey, image, y0), row(grey, image, y1));
            let start = usize::from(top + y) * usize::from(sensor.width) + usize::from(left);
            for (out, &(x0, x1, fx)) in intensity[start..].iter_mut().zip(&columns) {
                let upper = above[x0] + fx * (above[x1] - above[x0]);
                let lower = below[x0] + fx * (below[x1] - below[x0]);
                *out = upper + fy * (lower - upper);
            }
        }
        Ok(Scene { sensor, intensity })
    }

    /// The sensor on whose plane the scene lies.
    pub fn sensor(&self) -> Sensor {
        self.sensor
    }

    /// The intensities, row by row.
    pub fn intensity(&self) -> &[f32] {
        &self.intensity
    }

    /// The scene with a border of `margin` dark pixels, into which the camera's path leads.
    pub(super) fn padded(&self, margin: usize) -> Padded {
        let (width, height) = (usize::from(self.sensor.width), usize::from(self.sensor.height));
        let stride = width + 2 * margin;
        let mut plane = vec![0.0; stride * (height + 2 * margin)];
        let rows = plane.chunks_exact_mut(stride).skip(margin);
        for (from, to) in self.intensity.chunks_exact(width).zip(rows) {
            to[margin..margin + width].copy_from_slice(from);
        }
        Padded { plane, stride, width, margin }
    }
}

/// The two source pixels that are interpolated for output pixel `i`, and the weight of the second.
fn source(i: u16, size: u16, image: u16) -> (usize, usize, f32) {
    let at = (f32::from(i) + 0.5) * f32::from(image) / f32::from(size) - 0.5;
    let at = at.clamp(0.0, f32::from(image - 1));
    let low = at as usize;
    (low, (low + 1).min(usize::from(image) - 1), at - low as f32)
}

fn row(grey: &[f32], image: Sensor, y: usize) -> &[f32] {
    let width = usize::from(image.width);
    &grey[y * width..(y + 1) * width]
}

/// A scene with a border, so that the inner loop needs no bounds test at the scene's edge.
pub(super) struct Padded {
    plane: Vec<f32>,
    stride: usize,
    width: usize,
    margin: usize,
}

impl Padded {
    /// Writes ln(offset + I) of every pixel to `out`, with the camera shifted by (dx, dy) pixels.
    /// Both must be smaller than the margin in absolute value.
    pub(super) fn log_intensity(&self, dx: f32, dy: f32, offset: f32, out: &mut [f32]) {
        let (dx, dy) = (dx + self.margin as f32, dy + self.margin as f32);
        let (x, y) = (dx as usize, dy as usize);
        let (fx, fy) = (dx - x as f32, dy - y as f32);
        let [w00, w01, w10, w11] = [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy];
        for (i, line) in out.chunks_exact_mut(self.width).enumerate() {
            let upper = &self.plane[(i + y) * self.stride + x..][..self.width + 1];
            let lower = &self.plane[(i + y + 1) * self.stride + x..][..self.width + 1];
            for (j, value) in line.iter_mut().enumerate() {
                let light = w00 * upper[j] + w01 * upper[j + 1] + w10 * lower[j] + w11 * lower[j + 1];
                *value = ln(offset + light);
            }
        }
    }
}

/// The natural logarithm of a positive number, accurate to 1e-6. The platform's library is not used
/// because its results differ between platforms and because the compiler cannot vectorise the call.
fn ln(x: f32) -> f32 {
    const ROOT_HALF: u32 = 0x3F35_04F3;
    // x = m·2^e with m in [√½, √2); ln m = 2·artanh(s), s = (m − 1)/(m + 1), |s| < 0.172.
    let bits = x.to_bits().wrapping_sub(ROOT_HALF);
    let e = (bits as i32 >> 23) as f32;
    let m = f32::from_bits((bits & 0x007F_FFFF) + ROOT_HALF);
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    e * std::f32::consts::LN_2 + 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Sensor = Sensor { width: 2, height: 2 };

    #[test]
    fn the_logarithm_is_the_logarithm() {
        for i in 1..100_000u32 {
            let x = i as f32 * 2e-5;
            assert!((ln(x) - x.ln()).abs() < 2e-6 * (1.0 + x.ln().abs()), "{x}");
        }
    }

    #[test]
    fn an_image_of_its_own_size_is_only_centred() {
        let sensor = Sensor { width: 4, height: 6 };
        let scene = Scene::centred(sensor, &[0.1, 0.2, 0.3, 0.4], SMALL, SMALL).unwrap();
        assert_eq!(&scene.intensity()[8..16], [0.0, 0.1, 0.2, 0.0, 0.0, 0.3, 0.4, 0.0]);
        assert_eq!(scene.intensity().iter().filter(|&&v| v > 0.0).count(), 4);
    }

    #[test]
    fn scaling_keeps_a_flat_image_flat_and_a_ramp_rising() {
        let size = Sensor { width: 7, height: 7 };
        let flat = Scene::centred(size, &[0.5; 4], SMALL, size).unwrap();
        assert!(flat.intensity().iter().all(|&v| v == 0.5));
        let ramp = Scene::centred(size, &[0.0, 1.0, 0.0, 1.0], SMALL, size).unwrap();
        assert!(ramp.intensity()[..7].is_sorted());
    }

    #[test]
    fn wrong_sizes_are_refused() {
        assert!(Scene::centred(SMALL, &[0.0; 3], SMALL, SMALL).is_err());
        let large = Sensor { width: 3, height: 2 };
        assert!(Scene::centred(SMALL, &[0.0; 4], SMALL, large).is_err());
        let none = Sensor { width: 0, height: 0 };
        assert!(Scene::centred(SMALL, &[], none, SMALL).is_err());
    }

    #[test]
    fn a_whole_pixel_of_path_shifts_the_scene() {
        let scene = Scene { sensor: SMALL, intensity: vec![0.1, 0.2, 0.3, 0.4] };
        let mut seen = [0.0; 4];
        for (dx, light) in [(1.0, [1.2f32, 1.0, 1.4, 1.0]), (-1.0, [1.0, 1.1, 1.0, 1.3])] {
            scene.padded(2).log_intensity(dx, 0.0, 1.0, &mut seen);
            assert!(seen.iter().zip(light).all(|(a, b)| (a - b.ln()).abs() < 1e-6), "{seen:?}");
        }
    }
}
