//! Identifies a path for `tickless data info`: a file of events, of images or of labels, or the
//! folder or archive of a data set.

mod events;
mod order;

use std::fmt;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::datasets::{self, DataRequest, Description};
use crate::formats::cifar::{self, Kind, Records, SIDE};
use crate::formats::{self, HEAD, Probe, ReadOptions, StreamInfo, idx};
use crate::problem::{DatasetProblem, Problem};
use crate::progress::{Progress, Silent};
use crate::{Error, Result, source};

pub use events::{EventsInfo, Outside, digest};

/// The content of a path.
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
        /// Shape of each image, `[C, H, W]`.
        shape: [usize; 3],
    },
    /// A file of labels.
    Labels {
        /// Name of the format.
        format: &'static str,
        /// Number of labels.
        count: usize,
        /// Number of labels of each class.
        per_class: Vec<usize>,
    },
    /// A file of several streams of events; the caller must choose one ([`ReadOptions::stream`]).
    Streams {
        /// Name of the format.
        format: &'static str,
        /// The streams in the file.
        streams: Vec<StreamInfo>,
    },
    /// The files of a data set.
    Dataset(Description),
}

/// Identifies the content of `path`, with default options.
///
/// # Errors
/// As [`info_with`].
pub fn info(path: &Path) -> Result<Info> {
    info_with(path, &ReadOptions::default(), &Silent)
}

/// Identifies the content of `path`. `options` apply to a file of events, and `progress` can stop
/// reading it.
///
/// # Errors
/// [`Error::Unexpected`] if the format is unknown, if the content breaks its format, or if an
/// option does not apply to the format; [`Error::Cancelled`] if `progress` asks to stop.
pub fn info_with(path: &Path, options: &ReadOptions, progress: &dyn Progress) -> Result<Info> {
    let name = path.display().to_string();
    let zip = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip"));
    if path.is_dir() || (zip && path.exists()) {
        return data_set(path, options);
    }
    let (head, len) = source::head(path, HEAD)?;
    let probe = Probe::front(&head, len);
    let events = !idx::fits(&probe) && formats::is_events(probe, &name);
    if !events && head.starts_with(b"PK\x03\x04") {
        return data_set(path, options);
    }
    if !events
        && idx::kind(&head).is_none()
        && let Some(kind) = idx::named(&name)
    {
        let bytes = source::read(path)?;
        let refused = match kind {
            idx::Kind::Images => idx::images(bytes, &name).err(),
            idx::Kind::Labels => idx::labels(bytes, &name).err(),
        };
        if let Some(error) = refused {
            return Err(error);
        }
    }
    let cifar = (!events).then(|| cifar(&head, len, &name)).flatten();
    if events || (cifar.is_none() && idx::kind(&head).is_none()) {
        return match EventsInfo::read(path, options, progress) {
            Err(Error::Streams { wanted: None, format, streams, .. }) => Ok(Info::Streams { format, streams }),
            found => found.map(Info::Events),
        };
    }
    if *options != ReadOptions::default() {
        let problem = Problem::OptionsOfEvents;
        return Err(Error::unexpected(name, problem, "leave them out"));
    }
    if let Some((kind, format)) = cifar.filter(|_| idx::kind(&head).is_none()) {
        let count = cifar::count(source::reader(path)?, kind, &name, |e| source::broken(path, e))?;
        return Ok(Info::Images { format, count, shape: [3, SIDE, SIDE] });
    }
    // The header alone is enough for a larger uncompressed file; any other file is read completely.
    if let (Some(idx::Kind::Images), Some(len)) = (idx::kind(&head), len.filter(|len| *len > head.len() as u64)) {
        let [count, height, width] = idx::image_sizes(&head, len, &name)?;
        return Ok(Info::Images { format: "idx", count, shape: [1, height, width] });
    }
    of_file(source::read(path)?, &name)
}

/// Which kind of CIFAR records a file begins with, and the name of that format. These records have
/// no magic number, so `None` is returned if the file's first bytes or its name indicate another
/// format.
fn cifar(head: &[u8], len: Option<u64>, name: &str) -> Option<(Kind, &'static str)> {
    let kinds = [(Kind::Cifar10, "cifar10"), (Kind::Cifar100, "cifar100")];
    if formats::is_named_otherwise(&Probe::front(head, len), name) {
        return None;
    }
    // If the size is known, it selects the kind whose records fill the file. The size of a damaged
    // file fits neither, so the second search ignores it.
    let whole = |kind: Kind| len.is_none_or(|len| len.is_multiple_of(kind.record() as u64));
    let begins = |(kind, _): &&(Kind, _)| kind.begins(head);
    let fitting = kinds.iter().filter(begins).find(|(kind, _)| whole(*kind));
    fitting.or_else(|| kinds.iter().find(begins)).copied()
}

/// The description of the first data set whose characteristic files the folder or archive contains;
/// an error if something is wrong with them.
fn data_set(path: &Path, options: &ReadOptions) -> Result<Info> {
    let Some(set) = datasets::list().iter().find(|d| (d.fits)(path)) else {
        let known: Vec<_> = datasets::list().iter().filter(|d| !d.needs.is_empty()).map(|d| d.name).collect();
        let remedy = format!(
            "give a folder with a sub-folder of recordings for each class, or the files of one of: {}",
            known.join(", ")
        );
        let problem = DatasetProblem::NoDataset { contents: contents(path) };
        return Err(Error::unexpected(path.display().to_string(), problem, remedy));
    };
    let ReadOptions { sensor, time_unit, literal_times, drop_outside, .. } = *options;
    let usable = ReadOptions { sensor, time_unit, literal_times, drop_outside, ..ReadOptions::default() };
    if *options != usable {
        let problem = Problem::OptionsOfFile { dataset: set.name };
        return Err(Error::unexpected(path.display().to_string(), problem, "leave it out"));
    }
    let request = DataRequest::new(set.name, Some(path));
    let data = datasets::open(&DataRequest { sensor, time_unit, literal_times, drop_outside, ..request })?;
    Ok(Info::Dataset(data.describe()))
}

/// The first few names in a folder, for an error message.
fn contents(path: &Path) -> String {
    const SHOWN: usize = 3;
    let Ok(entries) = fs::read_dir(path) else { return "it".into() };
    let mut names: Vec<_> =
        entries.flatten().map(|e| e.file_name().to_string_lossy().escape_debug().to_string()).collect();
    names.sort_unstable();
    match &names[..] {
        [] => "it (it is empty)".into(),
        all if all.len() <= SHOWN => all.join(", "),
        all => format!("{} and {} more", all[..SHOWN].join(", "), all.len() - SHOWN),
    }
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
    // CIFAR records have no magic number either, so a file that could also be events is read as
    // events.
    let head = &bytes[..bytes.len().min(HEAD)];
    let found = cifar(head, Some(bytes.len() as u64), name);
    if let Some((kind, format)) = found.filter(|_| !events) {
        let count = Records::parse(bytes, kind, name)?.len();
        return Ok(Info::Images { format, count, shape: [3, SIDE, SIDE] });
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
            Info::Streams { format, streams } => {
                write!(f, "format   {format}\nstreams  {} of events; choose one by its number:", streams.len())?;
                streams.iter().try_for_each(|stream| write!(f, "\n         {stream}"))
            }
            Info::Dataset(description) => description.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use tickless_testing::assert_problem;

    use super::*;
    use crate::Event;
    use crate::datasets::SampleKind;
    use crate::formats::nmnist_bin;
    use crate::problem::{Part, Truncation};

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
        let error = info(folder.path()).unwrap_err();
        assert!(matches!(error.problem(), Some(Problem::Dataset(DatasetProblem::NoDataset { .. }))), "{error}");
        assert!(error.to_string().contains("nmnist"), "{error}");
        let file = folder.path().join("notes.txt");
        std::fs::write(&file, "hello").unwrap();
        let error = info(&file).unwrap_err();
        assert_eq!(error.problem().unwrap().parts(), [&Part::Line("hello".into())], "{error}");
        let file = folder.path().join("notes.md");
        std::fs::write(&file, "hello").unwrap();
        assert_problem!(info(&file).unwrap_err(), Problem::NoFormat);
        assert!(info(&folder.path().join("gone.bin")).is_err());
        assert!(info(&folder.path().join("gone.zip")).is_err());
    }

    #[test]
    fn files_of_mnist_say_what_is_wrong_in_them_and_may_be_packed() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let labels = [&[0, 0, 8, 1, 0, 0, 0, 3][..], &[7, 2, 1]].concat();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&labels).unwrap();
        let packed = packed.finish().unwrap();
        for (name, bytes) in [("a-labels-idx1-ubyte", &labels), ("b.gz", &packed), ("c-labels", &packed)] {
            let file = folder.path().join(name);
            std::fs::write(&file, bytes).unwrap();
            assert!(matches!(info(&file), Ok(Info::Labels { count: 3, .. })), "{name}: {:?}", info(&file));
        }
        let header = |found, expected| Truncation::Header { found, expected }.into();
        let claim = Truncation::Claim { claimed: 3, held: 2, unit: "labels" };
        let (found, expected) = ("1013478509".into(), "2051".into());
        let magic = Problem::Expected { what: "magic number {}", found, expected };
        for (name, bytes, problem) in [
            ("d-labels-idx1-ubyte", &labels[..10], claim.into()),
            ("e-labels-idx1-ubyte", &labels[..6], header(6, 8)),
            ("f-labels-idx1-ubyte", &labels[..2], header(2, 8)),
            ("g-images-idx3-ubyte", &[0, 0, 8, 3, 0, 0][..], header(6, 16)),
            ("h-images-idx3-ubyte", b"<html>404 not found", magic),
        ] {
            let file = folder.path().join(name);
            std::fs::write(&file, bytes).unwrap();
            assert_problem!(info(&file).unwrap_err(), Problem::clone(&problem), "{name}");
        }
    }

    #[test]
    fn options_reach_a_data_set_or_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for class in ["a", "b"] {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            for name in ["1.txt", "2.txt"] {
                let text = "t_s x y p\n0.1 3 4 1\n0.2 5 6 0\n";
                std::fs::write(folder.path().join(class).join(name), text).unwrap();
            }
        }
        let info = |path: &Path, options: ReadOptions| info_with(path, &options, &Silent);
        let size = crate::Sensor { width: 8, height: 8 };
        let sensor = Some(size);
        let unknown_size = info(folder.path(), ReadOptions::default()).unwrap_err();
        assert_eq!(unknown_size.choices(), [crate::Choice::Sensor], "{unknown_size}");
        let Ok(Info::Dataset(set)) = info(folder.path(), ReadOptions { sensor, ..Default::default() }) else {
            panic!("no data set")
        };
        assert_eq!((&set.name[..], set.samples), ("folder", SampleKind::Events(size)));
        let error = info(folder.path(), ReadOptions { sensor, shift_to_zero: true, ..Default::default() });
        assert_problem!(error.unwrap_err(), Problem::OptionsOfFile { dataset: "folder" });
        let labels = folder.path().join("labels.idx");
        std::fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 1, 7]).unwrap();
        assert!(matches!(info(&labels, ReadOptions::default()), Ok(Info::Labels { .. })));
        let error = info(&labels, ReadOptions { sensor, ..Default::default() }).unwrap_err();
        assert_problem!(error, Problem::OptionsOfEvents);
    }

    #[test]
    fn an_empty_file_of_events_has_no_ranges() {
        let Ok(Info::Events(info)) = of_file(vec![], "a.bin") else { panic!("not events") };
        assert_eq!((info.events, info.x, info.t_first_us), (0, None, None));
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(info.sha256, empty);
    }
}
