//! A simulated event camera: it moves over a still image in three saccades and records the events.
//!
//! N-MNIST was recorded by moving a camera in front of a screen along a triangle; this module
//! simulates that. Each pixel stores the log intensity L = ln(offset + I) of its last event. When L
//! differs from the stored value by the pixel's threshold, the pixel emits an event (ON if L rose)
//! and the stored value moves by one threshold. The thresholds vary between pixels and belong to
//! the camera (its seed); the background noise belongs to the recording (its index).
//!
//! L is smooth along the path, so it is computed only at a few positions. The time of a threshold
//! crossing (in whole µs) is interpolated linearly between two positions. All arithmetic is plain
//! f32 and calls no mathematical function of the platform, so the same image, seed and index give
//! the same events on every machine.
//!
//! The result simulates a camera: recordings made here are not measurements.

mod scene;

pub use scene::Scene;

use crate::rng::Rng;
use crate::{Error, Event, Recording, Result, Sensor};

/// The corners of the path around the centre, as multiples of [`CameraConfig::path_px`]: a closed
/// isosceles triangle, like the saccades of N-MNIST. With 3 px, a 28×28 image stays entirely on a
/// 34×34 sensor.
const CORNERS: [(f32, f32); 4] = [(-1.0, -0.4), (0.0, 0.4), (1.0, -0.4), (-1.0, -0.4)];

/// Length of the path's longest leg, in the same unit.
const LONGEST: f32 = 2.0;

/// The largest distance, in pixels, between two positions at which L is computed.
const STEP_PX: f32 = 0.4;

/// The properties of a simulated camera. The documentation of each field gives its default.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct CameraConfig {
    /// The sensor; default 34×34.
    pub sensor: Sensor,
    /// Change of log intensity that causes an event; default 0.35.
    pub threshold: f32,
    /// Standard deviation of the thresholds over the pixels, relative to `threshold`; default 0.10.
    pub threshold_spread: f32,
    /// The offset in L = ln(offset + I), for an intensity I in 0..1; default 0.15.
    pub offset: f32,
    /// Amplitude of the path in pixels; default 3. The scene moves by up to this distance to the
    /// left and to the right, and by up to 0.4 of it up and down.
    pub path_px: f32,
    /// Duration of the three saccades in µs; default 300,000.
    pub duration_us: u32,
    /// Noise events per pixel and second; default 0.1.
    pub noise_hz: f32,
}

impl Default for CameraConfig {
    fn default() -> CameraConfig {
        CameraConfig {
            sensor: Sensor::NMNIST,
            threshold: 0.35,
            threshold_spread: 0.10,
            offset: 0.15,
            path_px: 3.0,
            duration_us: 300_000,
            noise_hz: 0.1,
        }
    }
}

/// A simulated camera: a configuration, and a fixed threshold for every pixel.
#[derive(Debug, Clone)]
pub struct Camera {
    config: CameraConfig,
    seed: u64,
    thresholds: Vec<f32>,
    /// The positions along the path, each as (time in µs, dx, dy).
    path: Vec<(u32, f32, f32)>,
}

impl Camera {
    /// Creates a camera. `seed` determines the thresholds of its pixels and, with an index, the
    /// noise.
    ///
    /// # Errors
    /// [`Error::Setting`] if a setting is out of range.
    pub fn new(config: CameraConfig, seed: u64) -> Result<Camera> {
        check(&config)?;
        let mut rng = Rng::new(seed, u64::MAX);
        let lowest = 0.1 * config.threshold;
        let thresholds = (0..config.sensor.pixels())
            .map(|_| config.threshold * (1.0 + config.threshold_spread * rng.normal()))
            .map(|threshold| threshold.max(lowest))
            .collect();
        let path = path(&config, STEP_PX);
        Ok(Camera { config, seed, thresholds, path })
    }

    /// The properties of this camera.
    pub fn config(&self) -> &CameraConfig {
        &self.config
    }

    /// Records the scene. `index` selects the noise: equal (seed, scene, index) give equal events.
    ///
    /// # Errors
    /// [`Error::Shape`] if the scene's sensor differs from the camera's.
    pub fn record(&self, scene: &Scene, index: u64) -> Result<Recording> {
        let Sensor { width, height } = self.config.sensor;
        let pixels = self.config.sensor.pixels();
        if scene.sensor() != self.config.sensor {
            let shape = vec![usize::from(height), usize::from(width)];
            return Err(Error::Shape { what: "scene", shape, got: scene.sensor().pixels() });
        }
        let padded = scene.padded(self.config.path_px.ceil() as usize + 1);
        let mut now = vec![0.0; pixels];
        let (_, dx, dy) = self.path[0];
        padded.log_intensity(dx, dy, self.config.offset, &mut now);
        let mut before = now.clone();
        let mut memory = now.clone();
        let mut codes = self.noise(index);
        for leg in self.path.windows(2) {
            let [(start, ..), (end, dx, dy)] = [leg[0], leg[1]];
            std::mem::swap(&mut now, &mut before);
            padded.log_intensity(dx, dy, self.config.offset, &mut now);
            let duration = (end - start) as f32;
            for (pixel, (((&l1, &l0), m), &threshold)) in
                now.iter().zip(&before).zip(&mut memory).zip(&self.thresholds).enumerate()
            {
                while (l1 - *m).abs() >= threshold {
                    let on = l1 > *m;
                    *m += if on { threshold } else { -threshold };
                    let share = ((*m - l0) / (l1 - l0)).clamp(0.0, 1.0);
                    codes.push(code(start + (share * duration) as u32, pixel, on));
                }
            }
        }
        codes.sort_unstable();
        let width = u32::from(width);
        let events: Vec<Event> = codes
            .iter()
            .map(|&code| {
                let (pixel, on) = ((code as u32) >> 1, code & 1 == 1);
                let (x, y) = ((pixel % width) as u16, (pixel / width) as u16);
                Event { t_us: code >> 32, x, y, on }
            })
            .collect();
        Ok(Recording::from_events(self.config.sensor, &events)?.0)
    }

    /// Noise events, encoded by [`code`]: every pixel gets ⌊expected number + uniform random
    /// number⌋ of them at uniformly distributed times.
    fn noise(&self, index: u64) -> Vec<u64> {
        let mut rng = Rng::new(self.seed, index);
        let expected = self.config.noise_hz * self.config.duration_us as f32 * 1e-6;
        let mut codes = Vec::with_capacity(4096);
        for pixel in 0..self.config.sensor.pixels() {
            for _ in 0..(expected + rng.unit()) as u32 {
                let t = rng.below(u64::from(self.config.duration_us)) as u32;
                codes.push(code(t, pixel, rng.coin()));
            }
        }
        codes
    }
}

/// Encodes an event in one integer, so that comparing integers sorts by time and then by pixel.
fn code(t_us: u32, pixel: usize, on: bool) -> u64 {
    u64::from(t_us) << 32 | (pixel as u64) << 1 | u64::from(on)
}

fn path(config: &CameraConfig, step_px: f32) -> Vec<(u32, f32, f32)> {
    let legs = CORNERS.len() as u64 - 1;
    let steps = ((LONGEST * config.path_px / step_px).ceil() as u64).max(1);
    let mut path = vec![(0, config.path_px * CORNERS[0].0, config.path_px * CORNERS[0].1)];
    for (leg, corners) in CORNERS.windows(2).enumerate() {
        let ((x0, y0), (x1, y1)) = (corners[0], corners[1]);
        for step in 1..=steps {
            let share = step as f32 / steps as f32;
            let t = u64::from(config.duration_us) * (leg as u64 * steps + step) / (legs * steps);
            let pixels = |from: f32, to: f32| config.path_px * (from + share * (to - from));
            path.push((t as u32, pixels(x0, x1), pixels(y0, y1)));
        }
    }
    path
}

fn check(config: &CameraConfig) -> Result<()> {
    let problem = if config.sensor.pixels() == 0 {
        "a sensor without pixels"
    } else if !(config.threshold.is_finite() && config.threshold >= 0.01) {
        "a threshold below 0.01"
    } else if !(0.0..=1.0).contains(&config.threshold_spread) {
        "a threshold spread outside 0..1"
    } else if !(config.offset.is_finite() && config.offset >= 1e-6) {
        "an offset below 0.000001"
    } else if !(0.0..=64.0).contains(&config.path_px) {
        "a path outside 0..64 px"
    } else if !(0.0..=1e5).contains(&config.noise_hz) {
        "noise outside 0..100,000 events per second"
    } else {
        return Ok(());
    };
    Err(Error::setting(format!("simulated camera with {problem}"), "compare CameraConfig::default()"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn square(config: &CameraConfig) -> Scene {
        let side = Sensor { width: 10, height: 10 };
        Scene::centred(config.sensor, &[1.0; 100], side, side).unwrap()
    }

    fn quiet() -> CameraConfig {
        CameraConfig { noise_hz: 0.0, ..CameraConfig::default() }
    }

    #[test]
    fn a_recording_is_a_function_of_seed_scene_and_index() {
        let config = CameraConfig::default();
        let scene = square(&config);
        let camera = |seed| Camera::new(config.clone(), seed).unwrap();
        let first = camera(1).record(&scene, 7).unwrap();
        assert_eq!(camera(1).record(&scene, 7).unwrap(), first);
        assert_ne!(camera(1).record(&scene, 8).unwrap(), first);
        assert_ne!(camera(2).record(&scene, 7).unwrap(), first);
    }

    #[test]
    fn the_events_never_change_between_versions_or_machines() {
        let config = CameraConfig::default();
        let recording = Camera::new(config.clone(), 42).unwrap().record(&square(&config), 3).unwrap();
        let digest = recording.iter().fold(0u64, |h, e| {
            let word = e.t_us << 24 | u64::from(e.x) << 16 | u64::from(e.y) << 8 | e.channel() as u64;
            (h ^ word).wrapping_mul(0x100_0000_01B3).rotate_left(17)
        });
        assert_eq!((recording.len(), digest), (1735, 4122090537723973612));
    }

    #[test]
    fn the_path_returns_to_its_start() {
        let path = path(&quiet(), STEP_PX);
        assert_eq!(path[0], (0, -3.0, -1.2));
        assert_eq!(path[path.len() - 1], (300_000, -3.0, -1.2));
        assert!(path.is_sorted_by_key(|p| p.0));
        assert!(path.iter().all(|p| p.1.abs() <= 3.0 && p.2.abs() <= 1.2 + 1e-6));
    }

    #[test]
    fn finer_steps_change_next_to_nothing() {
        let config = quiet();
        let scene = square(&config);
        let camera = Camera::new(config.clone(), 0).unwrap();
        let fine = Camera { path: path(&config, 0.01), ..camera.clone() };
        let by_pixel = |camera: &Camera| {
            let mut times = vec![Vec::new(); 2 * config.sensor.pixels()];
            for e in camera.record(&scene, 0).unwrap().iter() {
                times[(e.channel() * 34 + usize::from(e.y)) * 34 + usize::from(e.x)].push(e.t_us);
            }
            times
        };
        let (coarse, fine) = (by_pixel(&camera), by_pixel(&fine));
        let same = coarse.iter().zip(&fine).filter(|(a, b)| a.len() == b.len());
        let (mut pixels, mut events, mut off) = (0, 0, 0);
        for (a, b) in same {
            pixels += 1;
            events += a.len() as u64;
            off += a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).sum::<u64>();
        }
        assert!(pixels * 100 >= coarse.len() * 97, "{pixels} of {}", coarse.len());
        assert!(off < events * 1000, "mean {} µs", off / events);
    }

    #[test]
    fn an_even_scene_causes_only_noise() {
        let config = CameraConfig::default();
        let dark = Scene::centred(config.sensor, &[0.0], Sensor { width: 1, height: 1 }, config.sensor);
        let dark = dark.unwrap();
        let silent = Camera::new(quiet(), 0).unwrap().record(&dark, 0).unwrap();
        assert!(silent.is_empty());
        let camera = Camera::new(config, 0).unwrap();
        let noise: usize = (0..100).map(|i| camera.record(&dark, i).unwrap().len()).sum();
        // 1,156 pixels · 0.1 Hz · 0.3 s = 34.7 a recording.
        assert!((3_200..3_740).contains(&noise), "{noise}");
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let base = CameraConfig::default;
        for wrong in [
            CameraConfig { sensor: Sensor { width: 0, height: 3 }, ..base() },
            CameraConfig { threshold: 0.0, ..base() },
            CameraConfig { threshold: f32::NAN, ..base() },
            CameraConfig { offset: 0.0, ..base() },
            CameraConfig { path_px: f32::INFINITY, ..base() },
            CameraConfig { noise_hz: -1.0, ..base() },
        ] {
            assert!(Camera::new(wrong.clone(), 0).is_err(), "{wrong:?}");
        }
        let other = Sensor { width: 5, height: 5 };
        let scene = Scene::centred(other, &[0.0; 25], other, other).unwrap();
        assert!(Camera::new(base(), 0).unwrap().record(&scene, 0).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn events_follow_the_log_intensity(grey in prop::collection::vec(0.0f32..1.0, 64), seed: u64) {
            // The path is closed, so L ends at its initial value and the stored value differs from
            // it by less than one threshold. Therefore ON and OFF differ by at most one event per
            // pixel.
            let config = quiet();
            let image = Sensor { width: 8, height: 8 };
            let size = Sensor { width: 26, height: 26 };
            let scene = Scene::centred(config.sensor, &grey, image, size).unwrap();
            let recording = Camera::new(config, seed).unwrap().record(&scene, 0).unwrap();
            let mut balance = vec![0i32; 34 * 34];
            for e in recording.iter() {
                balance[usize::from(e.y) * 34 + usize::from(e.x)] += if e.on { 1 } else { -1 };
            }
            prop_assert!(balance.iter().all(|b| b.abs() <= 1));
            prop_assert!(recording.t_last_us().unwrap_or(0) <= 300_000);
        }
    }
}
