//! Summarises a file of events, chunk by chunk, so that memory use does not depend on its length.
//!
//! A file is read a second time, for its times alone, only if its times are not sorted: the number
//! of events that sorting moves depends on all times (see [`super::order`]).

use std::fmt;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::order;
use crate::formats::{self, Axes, EventStream, Oddity, ReadOptions};
use crate::progress::Progress;
use crate::{Columns, Error, Result, Sensor};

/// The summary of a file of events. It describes the events in the order and with the coordinates
/// in which the file stores them ([`EventsInfo::axes`] gives the directions of the coordinates).
/// Times continue past an overflow of the file's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventsInfo {
    /// Name of the format.
    pub format: &'static str,
    /// The sensor of the options, or else the one that the file states.
    pub sensor: Option<Sensor>,
    /// The sensor that the file states, if it differs from `sensor`.
    pub stated_sensor: Option<Sensor>,
    /// Number of events.
    pub events: usize,
    /// Time of the first event in the file, µs.
    pub t_first_us: Option<u64>,
    /// Time of the last event in the file, µs.
    pub t_last_us: Option<u64>,
    /// Earliest time of an event, µs.
    pub t_earliest_us: Option<u64>,
    /// Latest time of an event, µs.
    pub t_latest_us: Option<u64>,
    /// The directions of the stored columns and rows.
    pub axes: String,
    /// Smallest and largest column.
    pub x: Option<(u16, u16)>,
    /// Smallest and largest row.
    pub y: Option<(u16, u16)>,
    /// Number of ON events.
    pub on: usize,
    /// Number of events that get another index when the file is sorted by time.
    pub moved: usize,
    /// Number of overflows of the clock that the reader detected and corrected. Overflows that the
    /// file itself counts are not included.
    pub overflows: u64,
    /// The offset that was subtracted from all times, in µs.
    pub shift_us: u64,
    /// The events outside the sensor, if any.
    pub outside: Option<Outside>,
    /// Number of events that were removed because they lie outside the sensor.
    pub dropped: u64,
    /// The odd words of the file; see [`formats::EventReader::oddities`].
    pub oddities: Vec<Oddity>,
    /// SHA-256 of the events in file order, each as 13 little-endian bytes: u64 time in µs, u16 x,
    /// u16 y, u8 polarity. Two readers that decode equal events compute equal digests.
    pub sha256: String,
}

/// Events that lie outside the sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Outside {
    /// Number of these events.
    pub events: u64,
    /// Index in the file of the first of them.
    pub first: u64,
    /// Column of the first.
    pub x: u16,
    /// Row of the first.
    pub y: u16,
}

impl Outside {
    /// Adds the events of `chunk` that lie outside `sensor` to `so_far`. `index` is the position in
    /// the file of the chunk's first event.
    pub fn add(so_far: &mut Option<Outside>, sensor: Sensor, chunk: &Columns, index: u64) {
        let Some(first) = chunk.first_outside(sensor) else { return };
        let outside = chunk.iter_from(first).filter(|e| !sensor.contains(e.x, e.y)).count() as u64;
        let (x, y) = (chunk.x()[first], chunk.y()[first]);
        let first = Outside { events: 0, first: index + first as u64, x, y };
        so_far.get_or_insert(first).events += outside;
    }
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outside { events, first, x, y } = self;
        if *events == 1 {
            write!(f, "event {first} at ({x}, {y})")
        } else {
            write!(f, "{events} events, the first is event {first} at ({x}, {y})")
        }
    }
}

impl EventsInfo {
    /// Summarises a decoded stream.
    pub fn of(stream: &EventStream) -> EventsInfo {
        let mut tally = Tally::default();
        let axes = axes(stream.format);
        match axes {
            Axes::LowerLeft => {
                let mut stored = stream.events.clone();
                tally.add_turned(axes, stream.sensor, stream.sensor, &mut stored);
            }
            _ => tally.add(&stream.events, stream.sensor),
        }
        tally.into_info(stream.format, stream.sensor, stream.events.moved_by_sorting())
    }

    /// Summarises a file of events. Memory use does not depend on its length.
    ///
    /// # Errors
    /// As [`formats::open_with`] and [`formats::EventReader::next`]; [`Error::Unexpected`] if the
    /// times of a pipe are not sorted, because a pipe cannot be read twice; [`Error::Cancelled`].
    pub fn read(path: &Path, options: &ReadOptions, progress: &dyn Progress) -> Result<EventsInfo> {
        let noting = ReadOptions { note_oddities: true, ..*options };
        let mut reader = formats::open_stoppable(path, &noting, progress)?;
        let (mut tally, mut chunk) = (Tally::default(), Columns::new());
        let axes = axes(reader.format());
        while reader.next(&mut chunk)? {
            stop(progress)?;
            match axes {
                Axes::LowerLeft => tally.add_turned(axes, reader.stated_sensor(), reader.sensor(), &mut chunk),
                _ => tally.add(&chunk, reader.sensor()),
            }
        }
        let moved = if tally.falls { moved(path, options, reader.shift_us(), &tally, progress)? } else { 0 };
        let mut info = tally.into_info(reader.format(), reader.sensor(), moved);
        info.stated_sensor = reader.stated_sensor().filter(|stated| Some(*stated) != info.sensor);
        info.oddities = reader.oddities().to_vec();
        (info.overflows, info.shift_us, info.dropped) = (reader.overflows(), reader.shift_us(), reader.dropped());
        Ok(info)
    }
}

/// The axes of the format with this name.
fn axes(format: &str) -> Axes {
    formats::by_name(format).map_or(Axes::UpperLeft, |f| f.axes)
}

fn stop(progress: &dyn Progress) -> Result<()> {
    if progress.cancelled() { Err(Error::Cancelled { what: "reading the events".into() }) } else { Ok(()) }
}

/// Reads the times of a file again and returns the number of events that sorting would move.
/// `shift_us` is subtracted from all times, because the first reading did so, too.
///
/// # Errors
/// [`Error::Unexpected`] if the path is not a file; any error of the reader; [`Error::Cancelled`].
fn moved(path: &Path, options: &ReadOptions, shift_us: u64, tally: &Tally, progress: &dyn Progress) -> Result<usize> {
    if !path.metadata().is_ok_and(|m| m.is_file()) {
        let problem = "its times fall, and how many events sorting moves takes a second reading";
        return Err(Error::unexpected(path.display().to_string(), problem, "save what comes through it as a file"));
    }
    let moved = order::moved(tally.earliest, tally.latest, &mut |take| {
        let (mut reader, mut chunk) = (formats::open_shifted(path, options, shift_us)?, Columns::new());
        while reader.next(&mut chunk)? {
            stop(progress)?;
            take(chunk.t_us());
        }
        Ok(())
    })?;
    Ok(usize::try_from(moved).unwrap_or(usize::MAX))
}

/// The summary of the events read so far; times are in µs.
#[derive(Default)]
struct Tally {
    events: usize,
    first: Option<u64>,
    last: Option<u64>,
    /// Whether the time of any event is below that of the event before it.
    falls: bool,
    earliest: u64,
    latest: u64,
    x: Option<(u16, u16)>,
    y: Option<(u16, u16)>,
    on: usize,
    outside: Option<Outside>,
    hash: Sha256,
}

impl Tally {
    /// Adds events of a format whose stored axes differ from those of [`Columns`]. Events outside
    /// the sensor are counted before the coordinates are converted to the stored axes, because
    /// `sensor` describes the axes of [`Columns`].
    fn add_turned(&mut self, axes: Axes, stated: Option<Sensor>, sensor: Option<Sensor>, events: &mut Columns) {
        if let Some(sensor) = sensor {
            Outside::add(&mut self.outside, sensor, events, self.events as u64);
        }
        axes.to_stored(stated, events);
        self.add(events, None);
    }

    /// Adds events. If `sensor` is given, also counts the events outside it.
    fn add(&mut self, events: &Columns, sensor: Option<Sensor>) {
        let (Some(&first), Some(&last)) = (events.t_us().first(), events.t_us().last()) else { return };
        let range = |of: &[u16]| of.iter().fold((u16::MAX, 0), |(low, high), &v| (low.min(v), high.max(v)));
        let (x, y) = (range(events.x()), range(events.y()));
        if let Some(sensor) = sensor
            && !sensor.contains(x.1, y.1)
        {
            Outside::add(&mut self.outside, sensor, events, self.events as u64);
        }
        let sorted = events.t_us().is_sorted();
        let (low, high) = match sorted {
            true => (first, last),
            false => events.t_us().iter().fold((u64::MAX, 0), |(low, high), &t| (low.min(t), high.max(t))),
        };
        if self.events == 0 {
            (self.earliest, self.latest) = (low, high);
        }
        (self.earliest, self.latest) = (self.earliest.min(low), self.latest.max(high));
        self.falls |= self.last.is_some_and(|before| first < before) || !sorted;
        self.first.get_or_insert(first);
        self.last = Some(last);
        let wider = |so_far: Option<(u16, u16)>, (low, high)| {
            Some(so_far.map_or((low, high), |(a, b): (u16, u16)| (a.min(low), b.max(high))))
        };
        (self.x, self.y) = (wider(self.x, x), wider(self.y, y));
        self.on += events.on().iter().filter(|&&on| on).count();
        self.events += events.len();
        update(&mut self.hash, events);
    }

    fn into_info(self, format: &'static str, sensor: Option<Sensor>, moved: usize) -> EventsInfo {
        EventsInfo {
            format,
            sensor,
            stated_sensor: None,
            events: self.events,
            t_first_us: self.first,
            t_last_us: self.last,
            t_earliest_us: self.first.map(|_| self.earliest),
            t_latest_us: self.first.map(|_| self.latest),
            axes: axes(format).to_string(),
            x: self.x,
            y: self.y,
            on: self.on,
            moved,
            overflows: 0,
            shift_us: 0,
            outside: self.outside,
            dropped: 0,
            oddities: Vec::new(),
            sha256: hex(self.hash),
        }
    }
}

/// The digest of events; see [`EventsInfo::sha256`].
pub fn digest(events: &Columns) -> String {
    let mut hash = Sha256::new();
    update(&mut hash, events);
    hex(hash)
}

/// Adds events to the digest, in the records that [`EventsInfo::sha256`] describes.
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
        match (self.sensor, self.stated_sensor) {
            (Some(sensor), Some(stated)) => writeln!(f, "sensor   {sensor} (the file states {stated})")?,
            (Some(sensor), None) => writeln!(f, "sensor   {sensor}")?,
            (None, _) => writeln!(f, "sensor   not stated in the file")?,
        }
        writeln!(f, "events   {} ({} ON)", self.events, self.on)?;
        if let (Some(first), Some(last), Some(x), Some(y)) = (self.t_earliest_us, self.t_latest_us, self.x, self.y) {
            writeln!(f, "time     {first}..{last} µs")?;
            writeln!(f, "x, y     {}..{}, {}..{}", x.0, x.1, y.0, y.1)?;
            writeln!(f, "axes     {}", self.axes)?;
        }
        if let (Some(outside), Some(sensor)) = (self.outside, self.sensor) {
            writeln!(f, "outside  {outside} of {}: outside the {sensor} sensor", self.events)?;
        }
        if self.dropped > 0 {
            writeln!(f, "outside  {} events outside the sensor are left out", self.dropped)?;
        }
        if self.shift_us > 0 {
            writeln!(f, "shift    {} µs are subtracted from all times", self.shift_us)?;
        }
        self.oddities.iter().try_for_each(|oddity| writeln!(f, "odd      {oddity}"))?;
        if self.overflows > 0 {
            let s = if self.overflows == 1 { "" } else { "s" };
            writeln!(f, "clock    overflowed {} time{s}: later times go on from there", self.overflows)?;
        }
        if self.moved > 0 {
            writeln!(
                f,
                "order    {} events are moved by sorting: their times fall (disorder, no overflow)",
                self.moved
            )?;
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
            let found = EventsInfo::read(&path, &ReadOptions::default(), &Silent).unwrap();
            let stream = EventStream { format: "dat", sensor: None, events: columns };
            prop_assert_eq!(&found, &EventsInfo::of(&stream));
            let mut sorted = events.clone();
            sorted.sort_by_key(|e| e.t_us);
            prop_assert_eq!(found.moved == 0, sorted == events);
            prop_assert_eq!(found.on, events.iter().filter(|e| e.on).count());
            prop_assert_eq!(found.t_last_us, events.last().map(|e| e.t_us));
            let times = || events.iter().map(|e| e.t_us);
            prop_assert_eq!((found.t_earliest_us, found.t_latest_us), (times().min(), times().max()));
            if let (Some(earliest), Some(latest)) = (times().min(), times().max()) {
                let line = format!("time     {earliest}..{latest} µs");
                prop_assert!(found.to_string().contains(&line), "{}", found);
            }
            prop_assert_eq!(found.x.map(|x| x.1), events.iter().map(|e| e.x).max());
            prop_assert_eq!(found.y.map(|y| y.0), events.iter().map(|e| e.y).min());
        }
    }
}
