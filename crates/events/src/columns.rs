//! Events as a structure of arrays: decoders append to it, and a recording stores it.
//!
//! The columns are separate arrays for three reasons. Most consumers read only one or two columns
//! (for example, framing searches only the times). An event takes 13 bytes instead of 16, which
//! matters for 100 million events. And a decoder can fill a contiguous column with vector
//! instructions.

use crate::{Event, Sensor};

/// Events in the order in which they were appended; the four columns have equal lengths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    pub(crate) t_us: Vec<u64>,
    pub(crate) x: Vec<u16>,
    pub(crate) y: Vec<u16>,
    pub(crate) on: Vec<bool>,
}

impl Columns {
    /// Creates empty columns.
    pub fn new() -> Columns {
        Columns::default()
    }

    /// Creates empty columns with memory reserved for `n` events.
    pub fn with_capacity(n: usize) -> Columns {
        let mut columns = Columns::new();
        columns.reserve(n);
        columns
    }

    /// Reserves memory for `n` more events.
    pub fn reserve(&mut self, n: usize) {
        fn reserve<T>(column: &mut Vec<T>, n: usize) {
            #[cfg(feature = "mmap")]
            let before = column.capacity();
            column.reserve(n);
            #[cfg(feature = "mmap")]
            if column.capacity() != before {
                crate::mmap::large_pages(column);
            }
        }
        reserve(&mut self.t_us, n);
        reserve(&mut self.x, n);
        reserve(&mut self.y, n);
        reserve(&mut self.on, n);
    }

    /// Removes all events and keeps the reserved memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Removes all events but the first `n`.
    pub fn truncate(&mut self, n: usize) {
        self.t_us.truncate(n);
        self.x.truncate(n);
        self.y.truncate(n);
        self.on.truncate(n);
    }

    /// Appends one event.
    #[inline]
    pub fn push(&mut self, e: Event) {
        self.t_us.push(e.t_us);
        self.x.push(e.x);
        self.y.push(e.y);
        self.on.push(e.on);
    }

    /// Appends `n` zeros to every column and returns these elements, for a decoder to fill.
    #[inline]
    pub(crate) fn grow(&mut self, n: usize) -> Slots<'_> {
        let end = self.len() + n;
        let before = self.len();
        self.t_us.resize(end, 0);
        self.x.resize(end, 0);
        self.y.resize(end, 0);
        self.on.resize(end, false);
        Slots {
            t_us: &mut self.t_us[before..],
            x: &mut self.x[before..],
            y: &mut self.y[before..],
            on: &mut self.on[before..],
        }
    }

    /// Reserves memory for the events in the next `bytes` bytes, assuming the density of the file
    /// so far: the events from index `before` on came from `done` bytes. One call reserves at most
    /// 2²⁵ events, so that a file that begins with dense events cannot make the decoder allocate
    /// all memory.
    pub(crate) fn expect(&mut self, before: usize, done: usize, bytes: usize) {
        let free = self.t_us.capacity() - self.len();
        let density = (self.len() - before) as f64 / done.max(1) as f64;
        let expected = (density * bytes as f64 * 1.05) as usize + 64;
        if free < expected.min(1 << 16) {
            self.reserve(expected.min(1 << 25));
        }
    }

    /// Removes each event from index `from` on for which `keep` returns false, and returns how many
    /// were removed.
    pub(crate) fn retain_from(&mut self, from: usize, keep: impl Fn(Event) -> bool) -> u64 {
        let mut n = from;
        for i in from..self.len() {
            let e = Event { t_us: self.t_us[i], x: self.x[i], y: self.y[i], on: self.on[i] };
            if keep(e) {
                (self.t_us[n], self.x[n], self.y[n], self.on[n]) = (e.t_us, e.x, e.y, e.on);
                n += 1;
            }
        }
        let removed = self.len() - n;
        self.truncate(n);
        removed as u64
    }

    /// Appends all events of `other`.
    pub fn append(&mut self, other: &Columns) {
        self.t_us.extend_from_slice(&other.t_us);
        self.x.extend_from_slice(&other.x);
        self.y.extend_from_slice(&other.y);
        self.on.extend_from_slice(&other.on);
    }

    /// The allocated memory in bytes, including memory reserved for more events.
    pub fn memory(&self) -> usize {
        8 * self.t_us.capacity() + 2 * self.x.capacity() + 2 * self.y.capacity() + self.on.capacity()
    }

    /// Frees the memory that is reserved but not used.
    pub fn shrink_to_fit(&mut self) {
        self.t_us.shrink_to_fit();
        self.x.shrink_to_fit();
        self.y.shrink_to_fit();
        self.on.shrink_to_fit();
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.t_us.len()
    }

    /// Whether the columns hold no event.
    pub fn is_empty(&self) -> bool {
        self.t_us.is_empty()
    }

    /// Times in µs.
    pub fn t_us(&self) -> &[u64] {
        &self.t_us
    }

    /// The x coordinates (column of the pixel).
    pub fn x(&self) -> &[u16] {
        &self.x
    }

    /// The y coordinates (row of the pixel).
    pub fn y(&self) -> &[u16] {
        &self.y
    }

    /// Polarities, true for ON.
    pub fn on(&self) -> &[bool] {
        &self.on
    }

    /// Event `index`, or `None` if the index is past the end.
    pub fn get(&self, index: usize) -> Option<Event> {
        Some(Event {
            t_us: *self.t_us.get(index)?,
            x: *self.x.get(index)?,
            y: *self.y.get(index)?,
            on: *self.on.get(index)?,
        })
    }

    /// All events in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        (0..self.len()).map(|i| Event { t_us: self.t_us[i], x: self.x[i], y: self.y[i], on: self.on[i] })
    }

    /// The events from index `start` on.
    ///
    /// # Panics
    /// If `start` is above [`Columns::len`].
    pub(crate) fn iter_from(&self, start: usize) -> impl Iterator<Item = Event> + '_ {
        let columns = self.x[start..].iter().zip(&self.y[start..]).zip(&self.on[start..]);
        self.t_us[start..].iter().zip(columns).map(|(&t_us, ((&x, &y), &on))| Event { t_us, x, y, on })
    }

    /// All events in order, as a vector.
    pub fn to_vec(&self) -> Vec<Event> {
        self.iter().collect()
    }

    /// The indices of the events in the order of a stable sort by time.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&i| self.t_us[i]);
        order
    }

    /// The events sorted by time; events of the same time keep their order.
    pub(crate) fn sorted(self) -> Columns {
        if self.t_us.is_sorted() {
            return self;
        }
        self.order().iter().filter_map(|&i| self.get(i)).collect()
    }

    /// Number of events that get another index when they are sorted stably by time.
    pub fn moved_by_sorting(&self) -> usize {
        if self.t_us.is_sorted() {
            return 0;
        }
        self.order().iter().enumerate().filter(|&(now, &before)| now != before).count()
    }

    /// The smallest sensor that contains all events; 0×0 if the columns are empty. For formats that
    /// do not state a sensor. No sensor contains an event at coordinate 65,535; the size stops at
    /// 65,535.
    pub fn bounding(&self) -> Sensor {
        let size = |of: &[u16]| of.iter().max().map_or(0, |m| m.saturating_add(1));
        Sensor { width: size(&self.x), height: size(&self.y) }
    }

    /// The index of the first event that lies outside `sensor`.
    pub fn first_outside(&self, sensor: Sensor) -> Option<usize> {
        // Computing two maxima takes a tenth of the time of the search below, and in nearly every
        // call it shows that no event lies outside.
        let Sensor { width, height } = self.bounding();
        if width <= sensor.width && height <= sensor.height && width < u16::MAX && height < u16::MAX {
            return None;
        }
        self.x.iter().zip(&self.y).position(|(&x, &y)| !sensor.contains(x, y))
    }
}

/// Mutable slices of the elements that [`Columns::grow`] appended, all of one length.
pub(crate) struct Slots<'a> {
    pub t_us: &'a mut [u64],
    pub x: &'a mut [u16],
    pub y: &'a mut [u16],
    pub on: &'a mut [bool],
}

impl FromIterator<Event> for Columns {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Columns {
        let mut columns = Columns::new();
        columns.extend(events);
        columns
    }
}

impl Extend<Event> for Columns {
    fn extend<I: IntoIterator<Item = Event>>(&mut self, events: I) {
        let events = events.into_iter();
        self.reserve(events.size_hint().0);
        events.for_each(|e| self.push(e));
    }
}

impl From<&[Event]> for Columns {
    fn from(events: &[Event]) -> Columns {
        events.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::events;

    #[test]
    fn an_event_at_the_largest_coordinate_is_outside_every_sensor() {
        let columns = Columns::from(&[Event { t_us: 0, x: u16::MAX, y: 0, on: true }][..]);
        assert_eq!(columns.first_outside(Sensor { width: u16::MAX, height: u16::MAX }), Some(0));
    }

    proptest! {
        #[test]
        fn columns_hold_the_events_in_order(a in events(Sensor::NMNIST, 40, 100), b in events(Sensor::NMNIST, 40, 100)) {
            let mut columns = Columns::from(&a[..]);
            columns.append(&b.iter().copied().collect());
            prop_assert_eq!(columns.to_vec(), [a.clone(), b].concat());
            columns.truncate(a.len());
            prop_assert_eq!(columns.to_vec(), a.clone());
            prop_assert_eq!(columns.bounding(), Sensor::bounding(&a));
        }

        #[test]
        fn the_first_event_outside_is_found(events in events(Sensor::NMNIST, 40, 100), width in 20u16..36, height in 20u16..36) {
            let sensor = Sensor { width, height };
            let expected = events.iter().position(|e| !sensor.contains(e.x, e.y));
            prop_assert_eq!(Columns::from(&events[..]).first_outside(sensor), expected);
        }
    }
}
