//! A recording: the events of one sensor as a structure of arrays, sorted by time.

use std::ops::Range;

use crate::{Columns, Error, Event, Result, Sensor};

/// Events of one sensor, sorted by time; events of equal time keep their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    sensor: Sensor,
    events: Columns,
}

impl Recording {
    /// Creates a recording without events.
    pub fn empty(sensor: Sensor) -> Recording {
        Recording { sensor, events: Columns::new() }
    }

    /// Sorts the events stably by time. Returns the recording and the number of events whose index
    /// in it differs from their index in `events`.
    ///
    /// # Errors
    /// [`Error::OutsideSensor`] for the first event that lies outside the sensor.
    pub fn from_events(sensor: Sensor, events: &[Event]) -> Result<(Recording, usize)> {
        Recording::from_columns(sensor, events.into())
    }

    /// As [`Recording::from_events`]; if the events are already sorted, they are moved instead of
    /// copied.
    ///
    /// # Errors
    /// [`Error::OutsideSensor`] for the first event that lies outside the sensor.
    pub fn from_columns(sensor: Sensor, events: Columns) -> Result<(Recording, usize)> {
        if let Some(index) = events.first_outside(sensor) {
            return Err(Error::OutsideSensor { index, x: events.x()[index], y: events.y()[index], sensor });
        }
        if events.t_us().is_sorted() {
            return Ok((Recording { sensor, events }, 0));
        }
        let order = events.order();
        let moved = order.iter().enumerate().filter(|&(now, &before)| now != before).count();
        let events = order.iter().filter_map(|&i| events.get(i)).collect();
        Ok((Recording { sensor, events }, moved))
    }

    /// Scales the recording to a sensor of another size: event (x, y) moves to (⌊x·w'/w⌋,
    /// ⌊y·h'/h⌋), so that frames of the result are the area sums of the original's frames. No event
    /// is lost.
    ///
    /// # Errors
    /// [`Error::Setting`] if `size` has no pixels and the recording has events.
    pub fn scaled(mut self, size: Sensor) -> Result<Recording> {
        if size.pixels() == 0 && !self.is_empty() {
            return Err(Error::setting(format!("a recording scaled to {size} pixels"), "give at least 1x1"));
        }
        let scale = |values: &mut [u16], to: u16, from: u16| {
            // x < from, so the quotient is below `to`. `from` can be 0 only if the recording has no
            // events.
            let (to, from) = (u32::from(to), u32::from(from).max(1));
            values.iter_mut().for_each(|v| *v = (u32::from(*v) * to / from) as u16);
        };
        if size != self.sensor {
            scale(&mut self.events.x, size.width, self.sensor.width);
            scale(&mut self.events.y, size.height, self.sensor.height);
            self.sensor = size;
        }
        Ok(self)
    }

    /// The events as columns.
    pub fn columns(&self) -> &Columns {
        &self.events
    }

    /// The allocated memory of the events in bytes.
    pub fn memory(&self) -> usize {
        self.events.memory()
    }

    /// Frees memory that decoding reserved but did not use, which can be up to half of the
    /// allocation.
    pub fn shrink_to_fit(&mut self) {
        self.events.shrink_to_fit();
    }

    /// The sensor that contains all events.
    pub fn sensor(&self) -> Sensor {
        self.sensor
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether the recording has no events.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Times in µs, in ascending order.
    pub fn t_us(&self) -> &[u64] {
        self.events.t_us()
    }

    /// The x coordinates (column of the pixel).
    pub fn x(&self) -> &[u16] {
        self.events.x()
    }

    /// The y coordinates (row of the pixel).
    pub fn y(&self) -> &[u16] {
        self.events.y()
    }

    /// Polarities, true for ON.
    pub fn on(&self) -> &[bool] {
        self.events.on()
    }

    /// Event `index`, or `None` if the index is past the end.
    pub fn get(&self, index: usize) -> Option<Event> {
        self.events.get(index)
    }

    /// All events in order of time.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        self.events.iter()
    }

    /// Time of the first event in µs; `None` if the recording is empty.
    pub fn t_first_us(&self) -> Option<u64> {
        self.t_us().first().copied()
    }

    /// Time of the last event in µs; `None` if the recording is empty.
    pub fn t_last_us(&self) -> Option<u64> {
        self.t_us().last().copied()
    }

    /// Length in µs, counting both ends: last − first + 1, or 0 if the recording is empty. Equal
    /// time slices divide by it, and the leak per time is derived from it.
    pub fn span_us(&self) -> u64 {
        match (self.t_first_us(), self.t_last_us()) {
            (Some(first), Some(last)) => (last - first).saturating_add(1),
            _ => 0,
        }
    }

    /// Number of ON events.
    pub fn on_count(&self) -> usize {
        self.on().iter().filter(|&&on| on).count()
    }

    /// The index range of the events with times in `[from_us, to_us)`.
    pub fn between(&self, from_us: u64, to_us: u64) -> Range<usize> {
        let start = self.t_us().partition_point(|&t| t < from_us);
        start..self.t_us().partition_point(|&t| t < to_us).max(start)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::events;

    const SENSOR: Sensor = Sensor { width: 8, height: 6 };

    #[test]
    fn an_event_outside_the_sensor_is_named() {
        let inside = Event { t_us: 1, x: 7, y: 5, on: true };
        let outside = Event { t_us: 2, x: 0, y: 6, on: true };
        let error = Recording::from_events(SENSOR, &[inside, outside]).unwrap_err();
        assert!(matches!(error, Error::OutsideSensor { index: 1, x: 0, y: 6, sensor: SENSOR }), "{error}");
    }

    #[test]
    fn a_recording_is_not_scaled_to_nothing() {
        let (recording, _) = Recording::from_events(SENSOR, &[Event { t_us: 1, x: 7, y: 5, on: true }]).unwrap();
        assert!(recording.scaled(Sensor { width: 0, height: 3 }).is_err());
    }

    #[test]
    fn an_empty_recording_has_no_span() {
        let recording = Recording::empty(SENSOR);
        assert_eq!((recording.span_us(), recording.t_first_us()), (0, None));
        assert_eq!(recording.between(0, 10), 0..0);
    }

    proptest! {
        #[test]
        fn sorting_is_stable_and_counts_the_moved(events in events(SENSOR, 50, 20)) {
            let (recording, moved) = Recording::from_events(SENSOR, &events).unwrap();
            let mut expected = events.clone();
            expected.sort_by_key(|e| e.t_us);
            prop_assert_eq!(recording.iter().collect::<Vec<_>>(), expected);
            prop_assert_eq!(moved == 0, events.is_sorted_by_key(|e| e.t_us));
            prop_assert!(moved <= events.len());
        }

        #[test]
        fn sorting_a_sorted_recording_moves_nothing(events in events(SENSOR, 50, 20)) {
            let (first, _) = Recording::from_events(SENSOR, &events).unwrap();
            let again: Vec<_> = first.iter().collect();
            prop_assert_eq!(Recording::from_events(SENSOR, &again).unwrap(), (first, 0));
        }

        #[test]
        fn frames_of_a_scaled_recording_are_the_scaled_frames(
            events in events(SENSOR, 50, 20), width in 1u16..20, height in 1u16..20
        ) {
            let size = Sensor { width, height };
            let (recording, _) = Recording::from_events(SENSOR, &events).unwrap();
            let frames = crate::Framing::slices(3).scaled(size).frames::<u16>(&recording).unwrap();
            let scaled = recording.scaled(size).unwrap();
            prop_assert_eq!(scaled.columns().first_outside(size), None);
            prop_assert_eq!(crate::Framing::slices(3).frames::<u16>(&scaled).unwrap().data, frames.data);
        }

        #[test]
        fn a_cut_in_time_parts_the_events(events in events(SENSOR, 50, 20), cut in 0u64..60) {
            let (recording, _) = Recording::from_events(SENSOR, &events).unwrap();
            let (before, after) = (recording.between(0, cut), recording.between(cut, u64::MAX));
            prop_assert_eq!(before.end, after.start);
            prop_assert_eq!(before.len() + after.len(), recording.len());
        }
    }
}
