//! What is this path? For `tickless data info`: a file of events, of images or of labels, or the
//! folder or archive of a data set.

mod events;
mod order;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::datasets::{self, DataRequest, Description};
use crate::formats::cifar::{Kind, Records, SIDE};
use crate::formats::{self, HEAD, Probe, idx};
use crate::progress::{Progress, Silent};
use crate::{Error, Result, source};

pub use events::{EventsInfo, digest};

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

/// Says what lies at `path`.
///
/// # Errors
/// As [`info_with`].
pub fn info(path: &Path) -> Result<Info> {
    info_with(path, &Silent)
}

/// As [`info`]; `progress` can stop it.
///
/// # Errors
/// [`Error::Unexpected`] for what is nothing known, or what is wrong with it; [`Error::Cancelled`].
pub fn info_with(path: &Path, progress: &dyn Progress) -> Result<Info> {
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
    let (head, len) = source::head(path, HEAD)?;
    if idx::kind(&head).is_none() && formats::is_events(Probe { head: &head, len }, &name) {
        return Ok(Info::Events(EventsInfo::read(path, progress)?));
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
