//! A file of events in numbers, read chunk by chunk: a recording of any length takes the memory of
//! one chunk.
//!
//! Only a file whose times fall is read again, for its times alone, because how many events sorting
//! moves depends on all of them (see [`super::order`]).

use std::fmt;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::order;
use crate::formats::{self, EventStream};
use crate::progress::Progress;
use crate::{Columns, Error, Result, Sensor};

/// A file of events in numbers. All of them describe the file's own order and literal times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventsInfo {
    /// Name of the format.
    pub format: &'static str,
    /// The sensor, if the file states it.
    pub sensor: Option<Sensor>,
    /// Number of events.
    pub events: usize,
    /// Time of the first event in the file, µs.
    pub t_first_us: Option<u64>,
    /// Time of the last event in the file, µs.
    pub t_last_us: Option<u64>,
    /// Smallest and largest column.
    pub x: Option<(u16, u16)>,
    /// Smallest and largest row.
    pub y: Option<(u16, u16)>,
    /// Number of ON events.
    pub on: usize,
    /// Number of events that sorting by time moves.
    pub moved: usize,
    /// SHA-256 of the events in file order, each as 13 little-endian bytes: u64 time in µs, u16 x,
    /// u16 y, u8 polarity. Two readers that agree give the same digest.
    pub sha256: String,
}

impl EventsInfo {
    /// The numbers of a decoded stream.
    pub fn of(stream: &EventStream) -> EventsInfo {
        let mut tally = Tally::default();
        tally.add(&stream.events);
        tally.into_info(stream.format, stream.sensor, stream.events.moved_by_sorting())
    }

    /// The numbers of a file of events. Memory does not depend on its length.
    ///
    /// # Errors
    /// As [`formats::open`] and [`formats::EventReader::next`]; [`Error::Unexpected`] for a pipe with
    /// times that fall, which cannot be read again; [`Error::Cancelled`].
    pub fn read(path: &Path, progress: &dyn Progress) -> Result<EventsInfo> {
        let mut reader = formats::open(path)?;
        let (mut tally, mut chunk) = (Tally::default(), Columns::new());
        while reader.next(&mut chunk)? {
            stop(progress)?;
            tally.add(&chunk);
        }
        let moved = if tally.falls { moved(path, &tally, progress)? } else { 0 };
        Ok(tally.into_info(reader.format(), reader.sensor(), moved))
    }
}

fn stop(progress: &dyn Progress) -> Result<()> {
    if progress.cancelled() { Err(Error::Cancelled { what: "reading the events".into() }) } else { Ok(()) }
}

/// How many events of a file sorting moves.
fn moved(path: &Path, tally: &Tally, progress: &dyn Progress) -> Result<usize> {
    if !path.metadata().is_ok_and(|m| m.is_file()) {
        let problem = "its times fall, and how many events sorting moves takes a second reading";
        return Err(Error::unexpected(path.display().to_string(), problem, "save what comes through it as a file"));
    }
    let moved = order::moved(tally.earliest, tally.latest, &mut |take| {
        let (mut reader, mut chunk) = (formats::open(path)?, Columns::new());
        while reader.next(&mut chunk)? {
            stop(progress)?;
            take(chunk.t_us());
        }
        Ok(())
    })?;
    Ok(usize::try_from(moved).unwrap_or(usize::MAX))
}

/// What is known of the events so far.
#[derive(Default)]
struct Tally {
    events: usize,
    first: Option<u64>,
    last: Option<u64>,
    falls: bool,
    earliest: u64,
    latest: u64,
    x: Option<(u16, u16)>,
    y: Option<(u16, u16)>,
    on: usize,
    hash: Sha256,
}

impl Tally {
    fn add(&mut self, events: &Columns) {
        let range = |so_far: Option<(u16, u16)>, of: &[u16]| {
            let (low, high) = (*of.iter().min()?, *of.iter().max()?);
            Some(so_far.map_or((low, high), |(a, b)| (a.min(low), b.max(high))))
        };
        let (Some(&first), Some(&last)) = (events.t_us().first(), events.t_us().last()) else { return };
        let (low, high) = events.t_us().iter().fold((u64::MAX, 0), |(low, high), &t| (low.min(t), high.max(t)));
        if self.events == 0 {
            (self.earliest, self.latest) = (low, high);
        }
        (self.earliest, self.latest) = (self.earliest.min(low), self.latest.max(high));
        self.falls |= self.last.is_some_and(|before| first < before) || !events.t_us().is_sorted();
        self.first.get_or_insert(first);
        self.last = Some(last);
        self.x = range(self.x, events.x());
        self.y = range(self.y, events.y());
        self.on += events.on().iter().filter(|&&on| on).count();
        self.events += events.len();
        update(&mut self.hash, events);
    }

    fn into_info(self, format: &'static str, sensor: Option<Sensor>, moved: usize) -> EventsInfo {
        EventsInfo {
            format,
            sensor,
            events: self.events,
            t_first_us: self.first,
            t_last_us: self.last,
            x: self.x,
            y: self.y,
            on: self.on,
            moved,
            sha256: hex(self.hash),
        }
    }
}

/// See [`EventsInfo::sha256`].
pub fn digest(events: &Columns) -> String {
    let mut hash = Sha256::new();
    update(&mut hash, events);
    hex(hash)
}

fn update(hash: &mut Sha256, events: &Columns) {
    const RECORD: usize = 13;
    let mut records = [0; 512 * RECORD];
    let mut n = 0;
    for e in events.iter() {
        let record = &mut records[n..n + RECORD];
        record[..8].copy_from_slice(&e.t_us.to_le_bytes());
        record[8..10].copy_from_slice(&e.x.to_le_bytes());
        record[10..12].copy_from_slice(&e.y.to_le_bytes());
        record[12] = u8::from(e.on);
        n += RECORD;
        if n == records.len() {
            hash.update(records);
            n = 0;
        }
    }
    hash.update(&records[..n]);
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for EventsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "format   {}", self.format)?;
        match self.sensor {
            Some(sensor) => writeln!(f, "sensor   {sensor}")?,
            None => writeln!(f, "sensor   not stated in the file")?,
        }
        writeln!(f, "events   {} ({} ON)", self.events, self.on)?;
        if let (Some(first), Some(last), Some(x), Some(y)) = (self.t_first_us, self.t_last_us, self.x, self.y) {
            writeln!(f, "time     {first}..{last} µs")?;
            writeln!(f, "x, y     {}..{}, {}..{}", x.0, x.1, y.0, y.1)?;
        }
        if self.moved > 0 {
            writeln!(f, "order    {} events are moved by sorting", self.moved)?;
        }
        write!(f, "sha256   {}", self.sha256)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::progress::Silent;
    use crate::testing::events;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_file_has_the_numbers_of_its_events(events in events(Sensor { width: 128, height: 128 }, 60, 900)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.dat");
            let columns = Columns::from(&events[..]);
            std::fs::write(&path, formats::encode("dat", &columns, None).unwrap()).unwrap();
            let found = EventsInfo::read(&path, &Silent).unwrap();
            let stream = EventStream { format: "dat", sensor: None, events: columns };
            prop_assert_eq!(&found, &EventsInfo::of(&stream));
            let mut sorted = events.clone();
            sorted.sort_by_key(|e| e.t_us);
            prop_assert_eq!(found.moved == 0, sorted == events);
            prop_assert_eq!(found.on, events.iter().filter(|e| e.on).count());
            prop_assert_eq!(found.t_last_us, events.last().map(|e| e.t_us));
            prop_assert_eq!(found.x.map(|x| x.1), events.iter().map(|e| e.x).max());
            prop_assert_eq!(found.y.map(|y| y.0), events.iter().map(|e| e.y).min());
        }
    }
}
