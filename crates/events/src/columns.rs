//! Events as a structure of arrays: what decoders append to and recordings consist of.
//!
//! Arrays instead of a vector of events because the consumers walk one or two of the columns
//! (framing searches only times, an engine streams all four), because 13 bytes an event instead
//! of 16 matter at 100 million events, and because a decoder fills a column with vector
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
    /// No events.
    pub fn new() -> Columns {
        Columns::default()
    }

    /// No events, with room for `n`.
    pub fn with_capacity(n: usize) -> Columns {
        let mut columns = Columns::new();
        columns.reserve(n);
        columns
    }

    /// Makes room for `n` more events.
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

    /// Removes all events and keeps the memory.
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

    /// Appends `n` zeros to every column, for a decoder to fill.
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

    /// Makes room for the events of `bytes` more bytes, if they come as dense as those from number
    /// `before` on in the `done` bytes so far. Bounded, so that a file that begins dense cannot ask for all memory.
    pub(crate) fn expect(&mut self, before: usize, done: usize, bytes: usize) {
        let free = self.t_us.capacity() - self.len();
        let density = (self.len() - before) as f64 / done.max(1) as f64;
        let expected = (density * bytes as f64 * 1.05) as usize + 64;
        if free < expected.min(1 << 16) {
            self.reserve(expected.min(1 << 25));
        }
    }

    /// Removes the events from number `from` on that `keep` refuses; returns how many.
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

    /// Bytes of memory that the columns take: those reserved for more events too.
    pub fn memory(&self) -> usize {
        8 * self.t_us.capacity() + 2 * self.x.capacity() + 2 * self.y.capacity() + self.on.capacity()
    }

    /// Gives memory back that is reserved for more events.
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

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.t_us.is_empty()
    }

    /// Times in µs.
    pub fn t_us(&self) -> &[u64] {
        &self.t_us
    }

    /// Columns of pixels.
    pub fn x(&self) -> &[u16] {
        &self.x
    }

    /// Rows of pixels.
    pub fn y(&self) -> &[u16] {
        &self.y
    }

    /// Polarities, true for ON.
    pub fn on(&self) -> &[bool] {
        &self.on
    }

    /// Event `index`, `None` beyond the end.
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

    /// The events from number `start` (at most [`Columns::len`]) on.
    pub(crate) fn iter_from(&self, start: usize) -> impl Iterator<Item = Event> + '_ {
        let columns = self.x[start..].iter().zip(&self.y[start..]).zip(&self.on[start..]);
        self.t_us[start..].iter().zip(columns).map(|(&t_us, ((&x, &y), &on))| Event { t_us, x, y, on })
    }

    /// All events in order, as a vector.
    pub fn to_vec(&self) -> Vec<Event> {
        self.iter().collect()
    }

    /// The indices of the events in stable order of time.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&i| self.t_us[i]);
        order
    }

    /// The events in stable order of time.
    pub(crate) fn sorted(self) -> Columns {
        if self.t_us.is_sorted() {
            return self;
        }
        self.order().iter().filter_map(|&i| self.get(i)).collect()
    }

    /// How many events stand at another index once they are sorted stably by time.
    pub fn moved_by_sorting(&self) -> usize {
        if self.t_us.is_sorted() {
            return 0;
        }
        self.order().iter().enumerate().filter(|&(now, &before)| now != before).count()
    }

    /// The smallest sensor that holds all events; 0×0 for none. For formats that do not state it.
    pub fn bounding(&self) -> Sensor {
        let size = |of: &[u16]| of.iter().max().map_or(0, |m| m.saturating_add(1));
        Sensor { width: size(&self.x), height: size(&self.y) }
    }

    /// The first event that does not lie on the sensor.
    pub fn first_outside(&self, sensor: Sensor) -> Option<usize> {
        // Two maxima take a tenth of the time of a search, and nearly always rule it out.
        let Sensor { width, height } = self.bounding();
        if width <= sensor.width && height <= sensor.height && width < u16::MAX && height < u16::MAX {
            return None;
        }
        self.x.iter().zip(&self.y).position(|(&x, &y)| !sensor.contains(x, y))
    }
}

/// New events at the end of [`Columns`], by column, all of one length.
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
