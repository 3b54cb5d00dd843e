//! What is this path? For `tickless data info`: a file of events, of images or of labels, or the
//! folder or archive of a data set.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::datasets::{self, DataRequest, Description};
use crate::formats::cifar::{Kind, Records, SIDE};
use crate::formats::{self, EventStream, Probe, idx};
use crate::{Columns, Error, Result, Sensor, source};

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Info {
    /// A file of events.
    Events(EventsInfo),
    /// A file of images.
    Images {
        /// Name of the format.
        format: &'static str,
        /// Number of images.
        count: usize,
        /// `[C, H, W]`.
        shape: [usize; 3],
    },
    /// A file of labels.
    Labels {
        /// Name of the format.
        format: &'static str,
        /// Number of labels.
        count: usize,
        /// Number of samples of each label.
        per_class: Vec<usize>,
    },
    /// The files of a data set.
    Dataset(Description),
}

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
        let events = &stream.events;
        let range = |of: &[u16]| Some((*of.iter().min()?, *of.iter().max()?));
        EventsInfo {
            format: stream.format,
            sensor: stream.sensor,
            events: events.len(),
            t_first_us: events.t_us().first().copied(),
            t_last_us: events.t_us().last().copied(),
            x: range(events.x()),
            y: range(events.y()),
            on: events.on().iter().filter(|&&on| on).count(),
            moved: events.moved_by_sorting(),
            sha256: digest(events),
        }
    }
}

/// See [`EventsInfo::sha256`].
pub fn digest(events: &Columns) -> String {
    let mut hash = Sha256::new();
    for e in events.iter() {
        let mut record = [0; 13];
        record[..8].copy_from_slice(&e.t_us.to_le_bytes());
        record[8..10].copy_from_slice(&e.x.to_le_bytes());
        record[10..12].copy_from_slice(&e.y.to_le_bytes());
        record[12] = u8::from(e.on);
        hash.update(record);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says what lies at `path`.
///
/// # Errors
/// [`Error::Unexpected`] for what is nothing known, or what is wrong with it.
pub fn info(path: &Path) -> Result<Info> {
    let name = path.display().to_string();
    let zip = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip"));
    if path.is_dir() || (zip && path.exists()) {
        let Some(set) = datasets::list().iter().find(|d| (d.fits)(path)) else {
            let needs = datasets::list().iter().filter(|d| !d.needs.is_empty());
            let needs: Vec<_> = needs.map(|d| format!("{} ({})", d.name, d.needs)).collect();
            let remedy = format!("known are {}", needs.join("; "));
            return Err(Error::unexpected(name, "no known data set", remedy));
        };
        let data = datasets::open(&DataRequest::new(set.name, Some(path)))?;
        return Ok(Info::Dataset(data.describe()));
    }
    of_file(source::read(path)?, &name)
}

fn of_file(bytes: Vec<u8>, name: &str) -> Result<Info> {
    match idx::kind(&bytes) {
        Some(idx::Kind::Images) => {
            let images = idx::images(bytes, name)?;
            let shape = [1, images.height, images.width];
            return Ok(Info::Images { format: "idx", count: images.count, shape });
        }
        Some(idx::Kind::Labels) => {
            let labels = idx::labels(bytes, name)?;
            let classes = labels.iter().max().map_or(0, |&l| usize::from(l) + 1);
            let count = |c| labels.iter().filter(|&&l| usize::from(l) == c).count();
            let per_class = (0..classes).map(count).collect();
            return Ok(Info::Labels { format: "idx", count: labels.len(), per_class });
        }
        None => {}
    }
    let events = formats::is_events(Probe::whole(&bytes), name);
    // Records have no magic number either; only a file that cannot be events is taken for them.
    for (kind, format) in [(Kind::Cifar10, "cifar10"), (Kind::Cifar100, "cifar100")] {
        if !events && kind.fits(&bytes) {
            let count = Records::parse(bytes, kind, name)?.len();
            return Ok(Info::Images { format, count, shape: [3, SIDE, SIDE] });
        }
    }
    Ok(Info::Events(EventsInfo::of(&formats::decode(&bytes, name)?)))
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Info::Events(info) => info.fmt(f),
            Info::Images { format, count, shape: [c, h, w] } => {
                write!(f, "{count} images of {w}x{h} pixels, {c} channel(s), format {format}")
            }
            Info::Labels { format, count, per_class } => {
                write!(f, "{count} labels, format {format}; per class {per_class:?}")
            }
            Info::Dataset(description) => description.fmt(f),
        }
    }
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
    use super::*;
    use crate::Event;
    use crate::formats::nmnist_bin;

    #[test]
    fn events_are_told_from_records() {
        let mut record = vec![7; Kind::Cifar10.record()];
        assert!(matches!(of_file(record.clone(), "a.bin"), Ok(Info::Images { format: "cifar10", count: 1, .. })));
        record.push(7);
        assert!(matches!(of_file(record, "a.bin"), Ok(Info::Images { format: "cifar100", count: 1, .. })));
        let events = [Event { t_us: 3, x: 1, y: 2, on: true }, Event { t_us: 9, x: 4, y: 0, on: false }];
        let Ok(Info::Events(info)) = of_file(nmnist_bin::encode(events).unwrap(), "a.bin") else {
            panic!("not events");
        };
        assert_eq!((info.events, info.on, info.x, info.y), (2, 1, Some((1, 4)), Some((0, 2))));
        assert_eq!((info.t_first_us, info.t_last_us, info.moved), (Some(3), Some(9), 0));
        let json = serde_json::to_value(Info::Events(info)).unwrap();
        assert_eq!((&json["kind"], &json["events"]), (&"events".into(), &2.into()));
    }

    #[test]
    fn what_is_nothing_known_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = info(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no known data set") && error.contains("nmnist"), "{error}");
        let file = folder.path().join("notes.txt");
        std::fs::write(&file, "hello").unwrap();
        assert!(info(&file).unwrap_err().to_string().contains("`hello` is no event"));
        let file = folder.path().join("notes.md");
        std::fs::write(&file, "hello").unwrap();
        assert!(info(&file).unwrap_err().to_string().contains("no known format"));
        assert!(info(&folder.path().join("gone.bin")).is_err());
        assert!(info(&folder.path().join("gone.zip")).is_err());
    }

    #[test]
    fn an_empty_file_of_events_has_no_ranges() {
        let Ok(Info::Events(info)) = of_file(vec![], "a.bin") else { panic!("not events") };
        assert_eq!((info.events, info.x, info.t_first_us), (0, None, None));
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(info.sha256, empty);
    }
}
