//! Turns recordings into frames of counts, `[T, 2, H, W]`.
//!
//! A [`Framing`] states how time is divided ([`Slicing`]) and to what size space is scaled. Frame k
//! counts the events of window k for each polarity (channel 0 OFF, 1 ON) and pixel. Every slicing
//! except tonic's windows puts each event into exactly one frame, so the sum of the frames is the
//! number of events. Scaling is an area sum: an event at (x, y) of a w×h sensor is counted at
//! (⌊x·w'/w⌋, ⌊y·h'/h⌋), so no event is lost.
//!
//! [`Framing::write`] fills the caller's buffer and allocates nothing; [`Framing::frames`]
//! allocates the buffer. To change the number of time steps, divide the same recording into another
//! T.

mod count;
mod slicing;
mod tonic;

pub use count::Count;
pub use slicing::Slicing;
pub use tonic::TonicWindows;

use crate::{Error, Recording, Result, Sensor};

/// Frames of more values than this are refused, because a setting such as a duration of 1 µs is
/// probably a mistake.
const MOST_VALUES: usize = 1 << 31;

/// The settings that turn a recording into frames.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Framing {
    /// The division of time into frames.
    pub slicing: Slicing,
    /// Width and height of the frames; `None` keeps the sensor's size.
    #[cfg_attr(feature = "serde", serde(default))]
    pub size: Option<Sensor>,
}

/// Frames of counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Frames<C> {
    /// The shape `[T, 2, H, W]`.
    pub shape: [usize; 4],
    /// The counts, row-major.
    pub data: Vec<C>,
}

impl Framing {
    /// Frames of `n` equal time slices, the default of Tickless, at the sensor's own size.
    pub fn slices(n: usize) -> Framing {
        Framing::new(Slicing::Slices(n))
    }

    /// Frames of the sensor's own size.
    pub fn new(slicing: Slicing) -> Framing {
        Framing { slicing, size: None }
    }

    /// The same framing, scaled to `size`.
    pub fn scaled(mut self, size: Sensor) -> Framing {
        self.size = Some(size);
        self
    }

    /// The shape `[T, 2, H, W]` of this recording's frames.
    ///
    /// # Errors
    /// [`Error::Setting`] if the framing is invalid for the recording (for example, zero slices).
    pub fn shape(&self, recording: &Recording) -> Result<[usize; 4]> {
        let size = self.size.unwrap_or(recording.sensor());
        if size.pixels() == 0 && !recording.is_empty() {
            let what = format!("frames of {size} pixels");
            return Err(Error::setting(what, "give a width and a height of at least 1"));
        }
        let count = self.slicing.count(recording)?;
        Ok([count, 2, usize::from(size.height), usize::from(size.width)])
    }

    /// Overwrites `out` with the counts, laid out `[T, 2, H, W]`, and returns how many events were
    /// counted. This is the number of events of the recording, unless tonic's windows drop or
    /// repeat events, or a narrow counter is full (it stays at its largest value).
    ///
    /// # Errors
    /// [`Error::Shape`] if the length of `out` does not match [`Framing::shape`];
    /// [`Error::Setting`] as there.
    pub fn write<C: Count>(&self, recording: &Recording, out: &mut [C]) -> Result<usize> {
        let shape = self.shape(recording)?;
        let values = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if values != Some(out.len()) {
            let shape = shape.to_vec();
            return Err(Error::Shape { what: "frames", shape, got: out.len() });
        }
        out.fill(C::default());
        let [count, _, height, width] = shape;
        let sensor = recording.sensor();
        let plain = (height, width) == (usize::from(sensor.height), usize::from(sensor.width));
        let mut counted = 0;
        for (k, frame) in out.chunks_exact_mut((2 * height * width).max(1)).enumerate().take(count) {
            let window = self.slicing.window(recording, k);
            let xs = &recording.x()[window.clone()];
            let ys = &recording.y()[window.clone()];
            let on = &recording.on()[window];
            for ((&x, &y), &on) in xs.iter().zip(ys).zip(on) {
                let (mut x, mut y) = (usize::from(x), usize::from(y));
                if !plain {
                    x = x * width / usize::from(sensor.width);
                    y = y * height / usize::from(sensor.height);
                }
                let cell = &mut frame[(usize::from(on) * height + y) * width + x];
                counted += usize::from(cell.increment());
            }
        }
        Ok(counted)
    }

    /// The frames of this recording in a new buffer. Use `u8` only if a pixel has at most 255
    /// events in a frame: a full counter stays at its largest value ([`Framing::write`] returns how
    /// many events were counted).
    ///
    /// # Errors
    /// [`Error::Setting`] if the framing is invalid, or if the frames have more than 2³¹ values.
    pub fn frames<C: Count>(&self, recording: &Recording) -> Result<Frames<C>> {
        let shape = self.shape(recording)?;
        let values = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let Some(values) = values.filter(|&n| n <= MOST_VALUES) else {
            let what = format!("frames of shape {shape:?} are more than 2^31 values");
            return Err(Error::setting(what, "cut fewer frames or scale them down"));
        };
        let mut data = vec![C::default(); values];
        self.write(recording, &mut data)?;
        Ok(Frames { shape, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Event;
    use crate::testing::events;

    const SENSOR: Sensor = Sensor { width: 9, height: 5 };

    fn recording(events: &[Event]) -> Recording {
        Recording::from_events(SENSOR, events).unwrap().0
    }

    fn any_slicing() -> impl Strategy<Value = Slicing> {
        prop_oneof![
            (1usize..40).prop_map(Slicing::Slices),
            (1usize..40).prop_map(Slicing::EventCounts),
            (1u64..40).prop_map(Slicing::DurationUs),
        ]
    }

    #[test]
    fn the_channel_is_the_polarity() {
        let on = Event { t_us: 0, x: 2, y: 1, on: true };
        let off = Event { t_us: 5, x: 3, y: 0, on: false };
        let frames = Framing::slices(2).frames::<u8>(&recording(&[on, off])).unwrap();
        let count = |t: usize, c: usize, y: usize, x: usize| frames.data[((t * 2 + c) * 5 + y) * 9 + x];
        assert_eq!((count(0, 1, 1, 2), count(1, 0, 0, 3)), (1, 1));
    }

    #[test]
    fn a_full_counter_stays_full_and_is_reported() {
        let same = [Event { t_us: 0, x: 0, y: 0, on: true }; 300];
        let mut out = [0u8; 90];
        let counted = Framing::slices(1).write(&recording(&same), &mut out).unwrap();
        assert_eq!((counted, out[45]), (255, 255));
    }

    #[test]
    fn a_wrong_buffer_is_refused() {
        let error = Framing::slices(3).write(&recording(&[]), &mut [0f32; 7]).unwrap_err();
        let Error::Shape { what: "frames", shape, got: 7 } = &error else { panic!("{error}") };
        assert_eq!(shape, &[3, 2, 5, 9]);
    }

    #[test]
    fn times_at_both_ends_of_u64_fit_into_their_slices() {
        let first = Event { t_us: 0, x: 0, y: 0, on: true };
        let last = Event { t_us: u64::MAX, ..first };
        let frames = Framing::slices(7).frames::<u16>(&recording(&[first, last])).unwrap();
        assert_eq!((frames.data[45], frames.data[6 * 90 + 45]), (1, 1));
    }

    #[test]
    fn absurdly_many_frames_are_refused_without_allocating() {
        let first = Event { t_us: 0, x: 0, y: 0, on: true };
        let recording = recording(&[first, Event { t_us: u64::MAX - 1, ..first }]);
        let error = Framing::new(Slicing::DurationUs(1)).frames::<f32>(&recording).unwrap_err();
        assert!(matches!(&error, Error::Setting { .. }), "{error}");
        assert!(Framing::slices(0).frames::<f32>(&recording).is_err());
    }

    proptest! {
        #[test]
        fn no_event_is_lost(
            events in events(SENSOR, 200, 500),
            slicing in any_slicing(),
            (width, height) in (1u16..12, 1u16..12),
        ) {
            let framing = Framing::new(slicing).scaled(Sensor { width, height });
            let frames = framing.frames::<u16>(&recording(&events)).unwrap();
            let sum: usize = frames.data.iter().map(|&n| usize::from(n)).sum();
            prop_assert_eq!(sum, events.len());
        }

        #[test]
        fn slices_follow_the_formula(events in events(SENSOR, 100, 1000), n in 1usize..50) {
            let recording = recording(&events);
            let frames = Framing::slices(n).frames::<u16>(&recording).unwrap();
            let mut expected = vec![0u16; frames.data.len()];
            for e in recording.iter() {
                let bin = (e.t_us - recording.t_us()[0]) * n as u64 / recording.span_us();
                let row = (bin as usize * 2 + e.channel()) * 5 + usize::from(e.y);
                expected[row * 9 + usize::from(e.x)] += 1;
            }
            prop_assert_eq!(frames.data, expected);
        }

        #[test]
        fn merging_the_frames_of_k_times_as_many_slices_is_rebinning(
            events in events(SENSOR, 100, 1000), n in 1usize..8, k in 1usize..8,
        ) {
            let recording = recording(&events);
            let coarse = Framing::slices(n).frames::<f32>(&recording).unwrap();
            let fine = Framing::slices(n * k).frames::<f32>(&recording).unwrap();
            let size = 2 * SENSOR.pixels();
            let merged: Vec<f32> = (0..n * size)
                .map(|i| (0..k).map(|j| fine.data[(i / size * k + j) * size + i % size]).sum())
                .collect();
            prop_assert_eq!(coarse.data, merged);
        }

        #[test]
        fn scaling_is_the_area_sum_of_the_unscaled(events in events(SENSOR, 100, 50)) {
            let recording = recording(&events);
            let full = Framing::slices(2).frames::<u16>(&recording).unwrap();
            let size = Sensor { width: 4, height: 2 };
            let small = Framing::slices(2).scaled(size).frames::<u16>(&recording).unwrap();
            let mut expected = vec![0u16; small.data.len()];
            for (i, &n) in full.data.iter().enumerate() {
                let (plane, y, x) = (i / 45, i / 9 % 5, i % 9);
                expected[plane * 8 + y * 2 / 5 * 4 + x * 4 / 9] += n;
            }
            prop_assert_eq!(small.data, expected);
        }

        #[test]
        fn all_counters_agree(events in events(SENSOR, 60, 50), slicing in any_slicing()) {
            let (recording, framing) = (recording(&events), Framing::new(slicing));
            let bytes = framing.frames::<u8>(&recording).unwrap();
            let floats = framing.frames::<f32>(&recording).unwrap();
            prop_assert!(bytes.data.iter().zip(&floats.data).all(|(&a, &b)| f32::from(a) == b));
        }
    }
}
