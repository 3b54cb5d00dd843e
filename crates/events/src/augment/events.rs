//! Changes of recordings, event by event, applied before framing or before an engine reads them.

use crate::rng::Rng;
use crate::{Columns, Event, Recording, Result};

/// Changes of recordings. Every event stays on the sensor and within the recording's time span, and
/// only `drop` removes events. The default changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct EventAugment {
    /// Probability that the recording is mirrored left to right.
    pub flip_x: f32,
    /// Probability that the recording is mirrored top to bottom.
    pub flip_y: f32,
    /// Probability that ON and OFF are swapped.
    pub flip_polarity: f32,
    /// Rolls all events by up to this many pixels in x and in y, in either direction: an event that
    /// leaves at one side enters at the other.
    pub roll_px: u16,
    /// Probability that an event is removed.
    pub drop: f32,
    /// Standard deviation, in pixels, of the normal shift of each event in x and in y. An event
    /// whose shift would leave the sensor keeps its coordinates.
    pub jitter_px: f32,
    /// Standard deviation, in µs, of the normal shift of each event in time. A shifted time is
    /// clamped to the times of the first and the last event, and the events are sorted again.
    pub jitter_us: f32,
    /// Largest uniform shift of each event in time, in µs: a number between −`shift_us` and
    /// `shift_us` is added to the normal shift of `jitter_us`. Shifted times are clamped and sorted
    /// as for `jitter_us`.
    pub shift_us: f32,
}

impl EventAugment {
    /// Returns the changed recording, sorted by time.
    ///
    /// # Errors
    /// Does not fail in practice: the only possible error is an event outside the sensor, and every
    /// change keeps events on the sensor.
    pub fn apply(&self, recording: Recording, rng: &mut Rng) -> Result<Recording> {
        if *self == EventAugment::default() {
            return Ok(recording);
        }
        let sensor = recording.sensor();
        let [flip_x, flip_y, swap] = [self.flip_x, self.flip_y, self.flip_polarity].map(|p| rng.unit() < p);
        let span = 2 * u64::from(self.roll_px) + 1;
        let mut roll = |size: u16| {
            let by = rng.below(span) as i64 - i64::from(self.roll_px);
            by.rem_euclid(i64::from(size).max(1)) as u32
        };
        let (right, down) = (roll(sensor.width), roll(sensor.height));
        let (first, last) = (recording.t_first_us().unwrap_or(0), recording.t_last_us().unwrap_or(0));
        let mut events = Columns::with_capacity(recording.len());
        for mut e in recording.iter() {
            if self.drop > 0.0 && rng.unit() < self.drop {
                continue;
            }
            if flip_x {
                e.x = sensor.width - 1 - e.x;
            }
            if flip_y {
                e.y = sensor.height - 1 - e.y;
            }
            e.x = ((u32::from(e.x) + right) % u32::from(sensor.width)) as u16;
            e.y = ((u32::from(e.y) + down) % u32::from(sensor.height)) as u16;
            e.on ^= swap;
            if self.jitter_px > 0.0 {
                e = self.moved(e, sensor, rng);
            }
            if self.jitter_us > 0.0 || self.shift_us > 0.0 {
                let normal = if self.jitter_us > 0.0 { f64::from(rng.normal()) } else { 0.0 };
                let uniform = if self.shift_us > 0.0 { f64::from(2.0 * rng.unit() - 1.0) } else { 0.0 };
                let by = normal * f64::from(self.jitter_us) + uniform * f64::from(self.shift_us);
                e.t_us = e.t_us.saturating_add_signed(by.round() as i64).clamp(first, last);
            }
            events.push(e);
        }
        Recording::from_columns(sensor, events).map(|(recording, _)| recording)
    }

    fn moved(&self, e: Event, sensor: crate::Sensor, rng: &mut Rng) -> Event {
        let mut near = |at: u16| i64::from(at) + f64::from(rng.normal() * self.jitter_px).round() as i64;
        let place = (u16::try_from(near(e.x)), u16::try_from(near(e.y)));
        match place {
            (Ok(x), Ok(y)) if sensor.contains(x, y) => Event { x, y, ..e },
            _ => e,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Sensor;
    use crate::rng::Rng; // not the trait that proptest's prelude brings
    use crate::testing::events;

    const SENSOR: Sensor = Sensor { width: 9, height: 5 };

    fn augments() -> impl Strategy<Value = EventAugment> {
        let p = || prop_oneof![Just(0.0f32), Just(1.0), 0.0f32..1.0];
        (p(), p(), p(), 0u16..20, p(), 0.0f32..30.0, 0.0f32..200.0, 0.0f32..200.0).prop_map(
            |(flip_x, flip_y, flip_polarity, roll_px, drop, jitter_px, jitter_us, shift_us)| EventAugment {
                flip_x,
                flip_y,
                flip_polarity,
                roll_px,
                drop,
                jitter_px,
                jitter_us,
                shift_us,
            },
        )
    }

    fn recording(events: &[Event]) -> Recording {
        Recording::from_events(SENSOR, events).unwrap().0
    }

    fn sorted(mut events: Vec<Event>) -> Vec<Event> {
        events.sort_by_key(|e| (e.t_us, e.x, e.y, e.on));
        events
    }

    proptest! {
        #[test]
        fn events_stay_on_the_sensor_in_order_and_in_time(events in events(SENSOR, 60, 90), by in augments(), seed: u64) {
            let before = recording(&events);
            let after = by.apply(before.clone(), &mut Rng::new(seed, 0)).unwrap();
            prop_assert_eq!(&after, &by.apply(before.clone(), &mut Rng::new(seed, 0)).unwrap(), "same seed, same result");
            prop_assert_eq!(after.sensor(), SENSOR);
            prop_assert_eq!(after.columns().first_outside(SENSOR), None);
            prop_assert!(after.t_us().is_sorted());
            prop_assert!(after.t_first_us() >= before.t_first_us() || after.is_empty());
            prop_assert!(after.t_last_us() <= before.t_last_us());
            prop_assert!(after.len() == before.len() || by.drop > 0.0);
            prop_assert!(after.is_empty() || by.drop < 1.0);
        }

        #[test]
        fn nothing_asked_is_nothing_changed(events in events(SENSOR, 60, 90), seed: u64) {
            let before = recording(&events);
            prop_assert_eq!(&EventAugment::default().apply(before.clone(), &mut Rng::new(seed, 0)).unwrap(), &before);
        }

        #[test]
        fn a_sure_flip_undoes_itself(events in events(SENSOR, 60, 90), x: bool, y: bool, p: bool) {
            let sure = |yes: bool| f32::from(u8::from(yes));
            let by = EventAugment { flip_x: sure(x), flip_y: sure(y), flip_polarity: sure(p), ..EventAugment::default() };
            let before = recording(&events);
            let once = by.apply(before.clone(), &mut Rng::new(0, 0)).unwrap();
            for (a, b) in before.iter().zip(once.iter()) {
                prop_assert_eq!(b.x, if x { 8 - a.x } else { a.x });
                prop_assert_eq!(b.y, if y { 4 - a.y } else { a.y });
                prop_assert_eq!((b.on != a.on, b.t_us), (p, a.t_us));
            }
            prop_assert_eq!(by.apply(once, &mut Rng::new(1, 1)).unwrap(), before);
        }

        #[test]
        fn a_roll_moves_all_events_alike(events in events(SENSOR, 60, 90), roll_px in 0u16..30, seed: u64) {
            let by = EventAugment { roll_px, ..EventAugment::default() };
            let before = recording(&events);
            let after = by.apply(before.clone(), &mut Rng::new(seed, 0)).unwrap();
            let shifts = before.iter().zip(after.iter()).map(|(a, b)| {
                ((b.x + 9 - a.x) % 9, (b.y + 5 - a.y) % 5)
            });
            prop_assert!(shifts.collect::<std::collections::BTreeSet<_>>().len() <= 1);
        }

        #[test]
        fn what_drops_is_a_part_of_the_events(events in events(SENSOR, 60, 90), drop in 0.0f32..1.0, seed: u64) {
            let by = EventAugment { drop, ..EventAugment::default() };
            let before = sorted(events.clone());
            let after = by.apply(recording(&events), &mut Rng::new(seed, 0)).unwrap();
            let mut rest = before.iter();
            prop_assert!(sorted(after.iter().collect()).iter().all(|e| rest.any(|b| b == e)));
        }
    }

    #[test]
    fn the_shares_and_deviations_are_those_asked_for() {
        let sensor = Sensor { width: 200, height: 200 };
        let events: Vec<_> = (0..20_000).map(|i| Event { t_us: 1_000_000 + i, x: 100, y: 100, on: true }).collect();
        let (whole, _) = Recording::from_events(sensor, &events).unwrap();
        let by = EventAugment { drop: 0.25, ..EventAugment::default() };
        let left = by.apply(whole.clone(), &mut Rng::new(0, 0)).unwrap().len() as f64 / 20_000.0;
        assert!((left - 0.75).abs() < 0.01, "{left}");
        let by = EventAugment { jitter_px: 4.0, ..EventAugment::default() };
        let moved = by.apply(whole, &mut Rng::new(0, 0)).unwrap();
        let variance = moved.x().iter().map(|&x| (f64::from(x) - 100.0).powi(2)).sum::<f64>() / 20_000.0;
        assert!((variance - 16.1).abs() < 0.6, "{variance}");
    }

    #[test]
    fn a_shift_is_uniform_up_to_the_largest_and_reorders_events_within_it() {
        // The first and the last event bound the times of the others, which lie so far from both
        // that no shift is clamped.
        let event = |t_us, x| Event { t_us, x, y: 0, on: true };
        let sensor = Sensor { width: 20_000, height: 1 };
        let between = (0..20_000u16).map(|i| event(10_000 + u64::from(i % 2), i));
        let all: Vec<_> = [event(0, 0)].into_iter().chain(between).chain([event(20_000, 0)]).collect();
        let (whole, _) = Recording::from_events(sensor, &all).unwrap();
        let by = EventAugment { shift_us: 300.0, ..EventAugment::default() };
        let moved = by.apply(whole, &mut Rng::new(3, 0)).unwrap();
        let times: Vec<f64> = moved.iter().map(|e| e.t_us as f64).filter(|t| (5_000.0..15_000.0).contains(t)).collect();
        assert_eq!(times.len(), 20_000);
        assert!(times.iter().all(|t| (9_700.0..=10_301.0).contains(t)));
        let variance = times.iter().map(|t| (t - 10_000.5).powi(2)).sum::<f64>() / 20_000.0;
        assert!((variance - 30_000.0).abs() < 900.0, "{variance}: that of a uniform shift is 300²/3");
        let of_first = moved.iter().take(10_001).filter(|e| e.t_us > 0 && e.x % 2 == 0).count();
        assert!((4_700..5_300).contains(&of_first), "{of_first} of the first half were first before");
    }
}
