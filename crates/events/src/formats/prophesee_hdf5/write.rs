//! Writes Prophesee's HDF5. The encoder outputs chunks of events and of the index when they are
//! full and keeps only their addresses until the end: 24 bytes per 16,384 events or per 33 s of the
//! index.

use crate::formats::encoder::named;
use crate::formats::hdf5::write::{NewDataset, Object, SUPERBLOCK, Writer, Written, compound};
use crate::formats::{Encoder, ecf};
use crate::{Columns, Error, Event, Remedy, Result, Sensor};

/// Number of events per chunk, and of entries per chunk of an index.
const CHUNK: usize = 16_384;
/// Time between two entries of the index, in µs.
const STEP_US: u64 = 2_000;
/// Largest number of entries in the index, which covers about nine hours.
const MOST_ENTRIES: u64 = 1 << 24;

pub fn encoder(sensor: Option<Sensor>) -> Result<Box<dyn Encoder>> {
    let Some(sensor) = sensor else {
        return Err(Error::setting("Prophesee's HDF5 states the sensor, and none is known", Remedy::STATE_SENSOR));
    };
    let writer = Some(Writer::new());
    Ok(Box::new(ToHdf5 {
        sensor,
        writer,
        waiting: Vec::new(),
        chunks: Vec::new(),
        len: 0,
        first: None,
        last: 0,
        index: Index::default(),
        head: vec![0; SUPERBLOCK],
    }))
}

struct ToHdf5 {
    sensor: Sensor,
    /// `None` after the end.
    writer: Option<Writer>,
    /// Events of the incomplete chunk.
    waiting: Vec<Event>,
    chunks: Vec<Written>,
    /// Number of events so far.
    len: u64,
    /// Time of the first event in µs.
    first: Option<u64>,
    /// Time of the last event in µs.
    last: u64,
    index: Index,
    /// The superblock; zeros until `finish` writes it.
    head: Vec<u8>,
}

/// The index of events by time: each entry has the number of an event and its time in µs after the
/// first event.
#[derive(Default)]
struct Index {
    chunks: Vec<Written>,
    /// Entries of the incomplete chunk.
    waiting: Vec<(u64, i64)>,
    /// Number of entries.
    len: u64,
    last: (u64, i64),
}

impl Index {
    fn push(&mut self, entry: (u64, i64), to: &mut Writer) {
        self.waiting.push(entry);
        self.len += 1;
        self.last = entry;
        if self.waiting.len() == CHUNK {
            self.chunk(to);
        }
    }

    fn chunk(&mut self, to: &mut Writer) {
        let first = self.len - self.waiting.len() as u64;
        let entries = self.waiting.drain(..);
        let mut bytes: Vec<u8> = entries.flat_map(|(id, ts)| [id.to_le_bytes(), ts.to_le_bytes()].concat()).collect();
        // Without a filter all chunks must have the same length.
        bytes.resize(16 * CHUNK, 0);
        self.chunks.push(to.chunk(first, &bytes));
    }

    /// Ends the index; `first` is the time from which its times count.
    fn finish(mut self, to: &mut Writer, first: Option<u64>) -> Object {
        if !self.waiting.is_empty() {
            self.chunk(to);
        }
        let offset: Vec<_> = first.map(|first| ("offset", format!("-{first}"))).into_iter().collect();
        to.dataset(&NewDataset {
            datatype: compound(16, &[("id", 0, 8, false), ("ts", 8, 8, true)]),
            element: 16,
            len: self.len,
            chunk: CHUNK as u32,
            filter: None,
            chunks: &self.chunks,
            attributes: &offset,
        })
    }
}

impl Encoder for ToHdf5 {
    fn push(&mut self, events: &Columns, out: &mut Vec<u8>) -> Result<()> {
        let Some(mut to) = self.writer.take() else { return Ok(()) };
        for e in events.iter() {
            self.check(e, &mut to)?;
            self.waiting.push(e);
            self.len += 1;
            if self.waiting.len() == CHUNK {
                self.chunk(&mut to)?;
            }
        }
        to.take(out);
        self.writer = Some(to);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let Some(mut to) = self.writer.take() else { return Ok(()) };
        if !self.waiting.is_empty() {
            self.chunk(&mut to)?;
        }
        let events = to.dataset(&NewDataset {
            datatype: compound(16, &[("x", 0, 2, false), ("y", 2, 2, false), ("p", 4, 2, true), ("t", 8, 8, true)]),
            element: 16,
            len: self.len,
            chunk: CHUNK as u32,
            filter: Some((ecf::FILTER, "ECF")),
            chunks: &self.chunks,
            attributes: &[],
        });
        let indexes = std::mem::take(&mut self.index).finish(&mut to, self.first);
        let triggers = to.dataset(&NewDataset {
            datatype: compound(24, &[("p", 0, 2, true), ("t", 8, 8, true), ("id", 16, 2, true)]),
            element: 24,
            len: 0,
            chunk: CHUNK as u32,
            filter: None,
            chunks: &[],
            attributes: &[],
        });
        let trigger_indexes = Index::default().finish(&mut to, None);
        let events = to.group(&[("events", events), ("indexes", indexes)], &[]);
        let triggers = to.group(&[("events", triggers), ("indexes", trigger_indexes)], &[]);
        let attributes = [("version", "1.0".into()), ("geometry", self.sensor.to_string())];
        let root = to.group(&[("CD", events), ("EXT_TRIGGER", triggers)], &attributes);
        self.head = to.finish(root, out);
        Ok(())
    }

    fn head(&self) -> &[u8] {
        &self.head
    }
}

impl ToHdf5 {
    /// Checks an event and adds it to the index.
    fn check(&mut self, e: Event, to: &mut Writer) -> Result<()> {
        let refuse = |why: String, remedy: Remedy| {
            Err(Error::setting(format!("{} does not fit Prophesee's HDF5: {why}", named(self.len, e)), remedy))
        };
        if !self.sensor.contains(e.x, e.y) || e.x > 2047 || e.y > 2047 {
            return refuse(format!("it lies outside the {} sensor, or above 2047", self.sensor), Remedy::INSIDE_SENSOR);
        }
        let first = *self.first.get_or_insert(e.t_us);
        if e.t_us > i64::MAX as u64 {
            return refuse("its time is above 2^63 µs".into(), Remedy::START_AT_ZERO);
        }
        let Some(after) = e.t_us.checked_sub(first).filter(|_| e.t_us >= self.last) else {
            return refuse("its time falls".into(), Remedy::SORT);
        };
        self.last = e.t_us;
        let entry = after / STEP_US;
        if entry >= MOST_ENTRIES {
            return refuse("it lies more than nine hours after the first".into(), "cut the recording".into());
        }
        if self.index.len == 0 {
            self.index.push((0, -1), to);
        }
        // An interval without events repeats the entry before. Entry 0 is an extra one.
        if entry + 1 >= self.index.len {
            while self.index.len < entry + 1 {
                self.index.push(self.index.last, to);
            }
            self.index.push((self.len, after as i64), to);
        }
        Ok(())
    }

    fn chunk(&mut self, to: &mut Writer) -> Result<()> {
        let mut bytes = Vec::new();
        ecf::encode(&self.waiting, &mut bytes)?;
        let first = self.len - self.waiting.len() as u64;
        self.chunks.push(to.chunk(first, &bytes));
        self.waiting.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::formats;
    use crate::testing::events;

    const SENSOR: Sensor = Sensor { width: 1280, height: 720 };

    fn round_trip(events: &Columns) -> Result<(Option<Sensor>, Columns)> {
        let bytes = formats::encode("prophesee-hdf5", events, Some(SENSOR))?;
        let stream = formats::decode(&bytes, "x")?;
        assert_eq!(stream.format, "prophesee-hdf5");
        Ok((stream.sensor, stream.events))
    }

    #[test]
    fn a_tree_of_two_levels_of_chunks_decodes() {
        let event = |i: usize| Event {
            t_us: i as u64 / 7,
            x: i as u16 % 1280,
            y: (i / 99) as u16 % 720,
            on: i.is_multiple_of(3),
        };
        let events: Columns = (0..70 * CHUNK + 5).map(event).collect();
        assert_eq!(round_trip(&events).unwrap(), (Some(SENSOR), events));
    }

    #[test]
    fn memory_does_not_grow_with_the_recording() {
        let mut to = encoder(Some(SENSOR)).unwrap();
        let (mut out, mut most) = (Vec::new(), 0);
        for i in 0..40u64 {
            let event = |k: u64| Event { t_us: (i << 14 | k) * 100, x: k as u16 % 1280, y: k as u16 % 720, on: true };
            to.push(&(0..CHUNK as u64).map(event).collect(), &mut out).unwrap();
            most = most.max(out.len());
            assert!(i == 0 || !out.is_empty(), "a full chunk is given away");
            out.clear();
        }
        to.finish(&mut out).unwrap();
        // A chunk of events, a chunk of the index, and the structures at the end.
        assert!(most < 500_000 && out.len() < 500_000, "{most} {}", out.len());
    }

    #[test]
    fn times_that_fall_are_refused_also_between_chunks() {
        let event = |t_us| Event { t_us, x: 0, y: 0, on: true };
        assert!(round_trip(&[event(9), event(5)].into_iter().collect()).is_err());
        let mut events: Columns = (0..CHUNK).map(|_| event(9)).collect();
        events.push(event(10));
        assert!(round_trip(&events).is_ok());
        let mut falls: Columns = (0..CHUNK).map(|i| event(9 + i as u64)).collect();
        falls.push(event(10));
        assert!(round_trip(&falls).is_err());
    }

    #[test]
    fn a_gap_repeats_the_entry_before_it() {
        let mut to = ToHdf5 {
            sensor: SENSOR,
            writer: Some(Writer::new()),
            waiting: vec![],
            chunks: vec![],
            len: 0,
            first: None,
            last: 0,
            index: Index::default(),
            head: vec![],
        };
        let events: Columns =
            [10, 2010, 2011, 9000].map(|t_us| Event { t_us, x: 0, y: 0, on: true }).into_iter().collect();
        to.push(&events, &mut Vec::new()).unwrap();
        assert_eq!(to.index.waiting, [(0, -1), (0, 0), (1, 2000), (1, 2000), (1, 2000), (3, 8990)]);
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(mut events in events(SENSOR, 400, 60_000), base in 0u64..1 << 62) {
            events.iter_mut().for_each(|e| e.t_us += base);
            events.sort_by_key(|e| e.t_us);
            let events = Columns::from(&events[..]);
            prop_assert_eq!(round_trip(&events).unwrap(), (Some(SENSOR), events));
        }
    }
}
